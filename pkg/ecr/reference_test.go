package ecr

import (
	"strings"
	"testing"
)

func TestParseRepository(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Reference
	}{
		{"app", Reference{Name: "app"}},
		{"team/app", Reference{Name: "team/app"}},
		{"my.app", Reference{Name: "my.app"}},
		{"team/sub-team/app_2.web", Reference{Name: "team/sub-team/app_2.web"}},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
			Reference{Host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com", Account: "123456789012", Region: "eu-west-1", Name: "team/app"}},
		{"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app",
			Reference{Host: "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", Account: "123456789012", Region: "us-east-1", Name: "app"}},
		{"123456789012.dkr-ecr.eu-west-1.on.aws/app",
			Reference{Host: "123456789012.dkr-ecr.eu-west-1.on.aws", Account: "123456789012", Region: "eu-west-1", Name: "app"}},
		{"123456789012.dkr-ecr-fips.us-gov-west-1.on.aws/app",
			Reference{Host: "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws", Account: "123456789012", Region: "us-gov-west-1", Name: "app"}},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app",
			Reference{Host: "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Account: "123456789012", Region: "cn-north-1", Name: "app"}},
		{"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/app",
			Reference{Host: "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", Account: "123456789012", Region: "eusc-de-east-1", Name: "app"}},
		{"127.0.0.1:5000/team/app", Reference{Host: "127.0.0.1:5000", Name: "team/app"}},
		{"localhost/app", Reference{Host: "localhost", Name: "app"}},
		{"registry.example.com/app", Reference{Host: "registry.example.com", Name: "app"}},
		// Only ECR's own domains make an ECR host: a token is sent there.
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.org/app",
			Reference{Host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.org", Name: "app"}},
	} {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParseRepository(tt.in)
			if err != nil || got != tt.want {
				t.Fatalf("got %+v, %v\nwant %+v", got, err, tt.want)
			}
			if got.String() != tt.in {
				t.Errorf("String() = %q, want the input", got)
			}
		})
	}
}

func TestParseRepositoryRefuses(t *testing.T) {
	for _, tt := range []struct{ in, mention string }{
		{"", "empty"},
		{"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", "no https://"},
		{"docker://app", "no docker://"},
		{"app:42", "without a tag"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:42", "without a tag"},
		{"app@sha256:" + strings.Repeat("0", 64), "without a digest"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "name after the registry is missing"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/", "2 to 256"},
		{"a", "2 to 256"},
		{strings.Repeat("a", 257), "2 to 256"},
		{"Team/App", "lower-case"},
		{"team//app", "lower-case"},
		{"/app", "lower-case"},
		{"app/", "lower-case"},
		{"app ", "lower-case"},
		{"-app", "lower-case"},
		{"app\n##[error]", "lower-case"},
		{"ho_st:80/app", "not a host name"},
		{".../app", "not a host name"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			_, err := ParseRepository(tt.in)
			mentions(t, err, "repository", tt.mention)
		})
	}
}

// What is accepted is what was written, and is safe to put into a URL.
func FuzzParseRepository(f *testing.F) {
	for _, s := range []string{
		"team/app", "127.0.0.1:5000/app", "localhost/a", "app:1", "a@b", "https://x/y", "./aa",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", "123456789012.dkr-ecr-fips.us-east-1.on.aws/x/y",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRepository(s)
		if err != nil {
			if ref != (Reference{}) {
				t.Errorf("a reference beside the error: %+v", ref)
			}
			return
		}
		if ref.String() != s {
			t.Errorf("%q reads as %q", s, ref)
		}
		if strings.ContainsAny(s, " \t\r\n@#?%\\") || strings.Contains(s, "//") || strings.Contains(s, "/../") {
			t.Errorf("accepted %q", s)
		}
		if (ref.Account == "") != (ref.Region == "") || ref.Account != "" && !strings.HasPrefix(ref.Host, ref.Account+".dkr") {
			t.Errorf("account %q and region %q of host %q", ref.Account, ref.Region, ref.Host)
		}
		again, err := ParseRepository(ref.String())
		if err != nil || again != ref {
			t.Errorf("read again: %+v, %v; want %+v", again, err, ref)
		}
	})
}
