package image_test

import (
	"testing"

	"ecsdeploy/pkg/image"
)

func FuzzPlatform(f *testing.F) {
	for _, s := range []string{"linux/amd64", "linux/arm/v7", "windows(10.0.20348.1)/amd64", "linux/arm64/v8.2", "a/b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := image.ParsePlatform(s)
		if err != nil || s == "" {
			return
		}
		if again, err := image.ParsePlatform(p.String()); err != nil || again != p || !p.Matches(p) {
			t.Errorf("%q is %+v, which is written %q and read as %+v: %v", s, p, p.String(), again, err)
		}
	})
}

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "linux/amd64": "linux/amd64", "Linux/x86_64": "linux/amd64", "linux/aarch64": "linux/arm64",
		"linux/arm64/v8": "linux/arm64", "linux/arm/v7": "linux/arm/v7", "linux/armhf": "linux/arm/v7", "windows/amd64": "windows/amd64",
	} {
		if p, err := image.ParsePlatform(in); err != nil || p.String() != want {
			t.Errorf("%q: %s %v, want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux,windows/amd64"} {
		if p, err := image.ParsePlatform(in); err == nil {
			t.Errorf("%q: %s", in, p)
		}
	}
}

func TestPlatformMatches(t *testing.T) {
	for _, c := range []struct {
		want, have string
		ok         bool
	}{
		{"", "linux/amd64", true},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm64/v8", "linux/arm64", true},
		{"linux/arm64", "linux/arm64/v9", false},
		{"linux/arm64/v8.2", "linux/arm64/v8", true},
		{"linux/arm64/v8", "linux/arm64/v8.2", false},
		{"linux/arm", "linux/arm/v7", true},
		{"linux/arm", "linux/arm/v8", false},
		{"linux/arm", "linux/arm/v5", true},
		{"linux/arm/v8", "linux/arm/v7", true},
		{"linux/arm/v6", "linux/arm/v7", false},
		{"linux/arm/v6", "linux/arm/v5", true},
		{"linux/arm/v6", "linux/arm", false},
		{"linux/amd64", "linux/arm64", false},
		{"linux/amd64", "windows/amd64", false},
		{"linux/amd64", "linux/amd64/v3", false},
		{"linux/amd64", "linux/amd64/v2", false},
		{"linux/amd64/v1", "linux/amd64", true},
		{"linux/amd64/v3", "linux/amd64", true},
		{"linux/amd64/v3", "linux/amd64/v4", false},
		{"linux/riscv64", "linux/riscv64/rva20u64", false},
		{"linux/ppc64le/power9", "linux/ppc64le", true},
		{"windows/amd64", "windows(10.0.20348.1)/amd64", true},
		{"windows(10.0.20348)/amd64", "windows(10.0.20348.2700)/amd64", true},
		{"windows(10.0.20348.1)/amd64", "windows(10.0.20348.2700)/amd64", true},
		{"windows(10.0.17763)/amd64", "windows(10.0.20348.2700)/amd64", false},
	} {
		want, err1 := image.ParsePlatform(c.want)
		have, err2 := image.ParsePlatform(c.have)
		if err1 != nil || err2 != nil || want.Matches(have) != c.ok {
			t.Errorf("%s wanted, %s there: %t", c.want, c.have, !c.ok)
		}
	}
}
