package image

// A platform is what an image was built for: "linux/amd64", "linux/arm64/v8".

import (
	"fmt"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Platform names an operating system and a processor in the words of the OCI
// image specification (image-index.md, "platform").
type Platform struct{ OS, Architecture, Variant string }

var platformPart = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// ParsePlatform reads "os/architecture" or "os/architecture/variant".
// The empty string is the zero Platform, which matches everything.
func ParsePlatform(s string) (Platform, error) {
	if s == "" {
		return Platform{}, nil
	}
	parts := strings.Split(strings.ToLower(s), "/")
	if len(parts) < 2 || len(parts) > 3 {
		return Platform{}, fmt.Errorf("platform %q: want os/architecture, such as linux/arm64", s)
	}
	for _, p := range parts {
		if !platformPart.MatchString(p) {
			return Platform{}, fmt.Errorf("platform %q: want os/architecture, such as linux/arm64", s)
		}
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p.normal(), nil
}

// String writes the platform as ParsePlatform reads it; the zero Platform is "".
func (p Platform) String() string {
	if p == (Platform{}) {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Matches says whether an image for have serves who asks for p. An empty field
// of p matches anything, and names that mean the same are equal: x86_64 and
// amd64, arm64 and arm64/v8 (containerd's platforms package, "Normalize").
func (p Platform) Matches(have Platform) bool {
	p, have = p.normal(), have.normal()
	same := func(want, have string) bool { return want == "" || want == have }
	return same(p.OS, have.OS) && same(p.Architecture, have.Architecture) && same(p.Variant, have.Variant)
}

// normal replaces the names that uname and others use by those of the Go
// toolchain, which the image specification asks for.
func (p Platform) normal() Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386", "x86":
		p.Architecture = "386"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	if (p.Architecture == "arm64" && (p.Variant == "v8" || p.Variant == "8")) || (p.Architecture == "amd64" && p.Variant == "v1") {
		p.Variant = ""
	}
	if p.Architecture == "arm" && len(p.Variant) == 1 {
		p.Variant = "v" + p.Variant
	}
	return p
}

func platformOf(p *v1.Platform) Platform {
	if p == nil {
		return Platform{}
	}
	return Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// known says whether the platform names a system at all: the descriptors of
// attestations say "unknown/unknown".
func (p Platform) known() bool {
	return p.OS != "" && p.OS != "unknown" && p.Architecture != "unknown"
}

// platformList joins platforms for a message.
func platformList(ps []Platform) string {
	if len(ps) == 0 {
		return "none"
	}
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return strings.Join(s, ", ")
}
