package ecr

import (
	"errors"
	"testing"

	"ecsdeploy/pkg/mistake"
)

// A repository of another registry is neither looked up as missing, which would
// have it created, nor created.
func TestForeignHosts(t *testing.T) {
	for host, says := range map[string]string{
		"public.ecr.aws":       "Amazon ECR Public",
		"index.docker.io":      "Docker Hub",
		"docker.io":            "Docker Hub",
		"ghcr.io":              "GitHub Container Registry",
		"example.azurecr.io":   "Azure Container Registry",
		"eu.gcr.io":            "Google Container Registry",
		"europe.pkg.dev":       "Google Artifact Registry",
		"localhost":            "this machine",
		"localhost:5000":       "this machine",
		"127.0.0.1:5000":       "this machine",
		"registry.example.com": "another registry",
	} {
		fake := newFake()
		ref := host + "/team/app"
		_, err := fake.client().Repository(t.Context(), ref)
		_, missing := errors.AsType[*NotFoundError](err)
		if mentions(t, err, host, says); missing || !mistake.Is(err, mistake.Repository) {
			t.Errorf("look up %s: %v", ref, err)
		}
		_, err = fake.client().CreateRepository(t.Context(), ref)
		if mentions(t, err, host, says); !mistake.Is(err, mistake.Repository) || fake.count("CreateRepository") > 0 {
			t.Errorf("create %s: %v, %d calls", ref, err, fake.count("CreateRepository"))
		}
	}
}

// The registry may be a stand-in: its host is known by its token, or by the
// repositories that it has.
func TestCreateInAStandIn(t *testing.T) {
	fake := newFake()
	fake.host = "localhost:4566"
	fake.repo("other")
	r, err := fake.client().CreateRepository(t.Context(), "localhost:4566/app")
	if err != nil || r.URI != "localhost:4566/app" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := fake.client().CreateRepository(t.Context(), fakeAccount+".dkr.ecr.eu-west-1.amazonaws.com/app2"); err != nil {
		t.Error(err)
	}
}

func TestCreationTemplates(t *testing.T) {
	for _, c := range []struct {
		name      string
		templates [][2]string
		denied    bool
		want      string // the template; empty if the repository is created
	}{
		{"none", nil, false, ""},
		{"root", [][2]string{{"ROOT", "CREATE_ON_PUSH"}}, false, "ROOT"},
		{"prefix", [][2]string{{"ROOT", "CREATE_ON_PUSH"}, {"team", "CREATE_ON_PUSH"}}, false, "team"},
		{"longest prefix", [][2]string{{"team/app", "CREATE_ON_PUSH"}, {"team", "CREATE_ON_PUSH"}}, false, "team"},
		{"of part of a name", [][2]string{{"tea", "CREATE_ON_PUSH"}}, false, ""},
		{"for another occasion", [][2]string{{"team", "PULL_THROUGH_CACHE"}, {"ROOT", "CREATE_ON_PUSH"}}, false, ""},
		{"denied", [][2]string{{"ROOT", "CREATE_ON_PUSH"}}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newFake()
			fake.templates = c.templates
			fake.denied["DescribeRepositoryCreationTemplates"] = c.denied
			_, err := fake.client().Repository(t.Context(), "team/app")
			missing, ok := errors.AsType[*NotFoundError](err)
			if !ok || missing.Template != c.want {
				t.Errorf("look up: %v, template %v", err, missing)
			}
			r, err := fake.client().CreateRepository(t.Context(), "team/app")
			if err != nil || r.Template != c.want || (fake.count("CreateRepository") == 0) != (c.want != "") {
				t.Fatalf("%+v %v, %d created", r, err, fake.count("CreateRepository"))
			}
			if r.URI != fakeAccount+".dkr.ecr.eu-west-1.amazonaws.com/team/app" || r.Account != fakeAccount || !r.Immutable("1") {
				t.Errorf("%+v", r)
			}
			if c.want != "" && r.Immutable("dev-1") {
				t.Error("the template's exclusions are not known")
			}
		})
	}
}

func FuzzDecodeToken(f *testing.F) {
	f.Add("QVdTOnBhc3N3b3Jk")
	f.Add("")
	f.Add("QVdTOg==")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := decodeToken(tokenOutput(token))
		if err == nil && (c.user == "" || c.password == "") {
			t.Errorf("%q gave an empty user or password", token)
		}
	})
}
