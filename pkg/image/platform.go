package image

// A platform is what an image was built for: "linux/amd64", "linux/arm64/v8".

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/mistake"
)

// Platform names an operating system and a processor in the words of the OCI
// image specification (image-index.md, "platform").
type Platform struct {
	OS, Architecture, Variant string
	// OSVersion is the build of Windows, "10.0.20348.2700"; empty elsewhere.
	OSVersion string
}

var platformPart = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// ParsePlatform reads "os/architecture" or "os/architecture/variant", where the
// operating system may have a version in parentheses, as containerd writes it:
// "windows(10.0.20348)/amd64". The empty string is the zero Platform, which
// matches everything.
func ParsePlatform(s string) (Platform, error) {
	if s == "" {
		return Platform{}, nil
	}
	wrong := mistake.New(mistake.Platform, "write it as os/architecture, such as linux/arm64", "platform %q: expected os/architecture, such as linux/arm64", s)
	parts := strings.Split(strings.ToLower(s), "/")
	if len(parts) < 2 || len(parts) > 3 {
		return Platform{}, wrong
	}
	var version string
	if os, rest, ok := strings.Cut(parts[0], "("); ok {
		parts[0] = os
		if version, ok = strings.CutSuffix(rest, ")"); !ok || !platformPart.MatchString(version) {
			return Platform{}, wrong
		}
	}
	for _, p := range parts {
		if !platformPart.MatchString(p) {
			return Platform{}, wrong
		}
	}
	p := Platform{OS: parts[0], Architecture: parts[1], OSVersion: version}
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
	s := p.OS
	if p.OSVersion != "" {
		s += "(" + p.OSVersion + ")"
	}
	s += "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Matches says whether an image for have runs where p is asked for. Names that
// mean the same are equal: x86_64 and amd64, arm64 and arm64/v8. An image for an
// older processor of the same family matches, one for a newer does not: no
// variant means the oldest of amd64 (v1), and v7 of arm and v8 of arm64. A
// version of Windows matches the same build whatever its revision. An empty
// operating system or architecture of p matches any.
func (p Platform) Matches(have Platform) bool {
	_, ok := p.rank(have)
	return ok
}

// rank is Matches, and how good the match is: of several images that match, the
// one of the highest rank makes most of the processor.
func (p Platform) rank(have Platform) (rank int, ok bool) {
	p, have = p.normal(), have.normal()
	same := func(want, have string) bool { return want == "" || want == have }
	if !same(p.OS, have.OS) || !same(p.Architecture, have.Architecture) || p.OSVersion != "" && build(p.OSVersion) != build(have.OSVersion) {
		return 0, false
	}
	if p.Architecture == "" {
		return 0, true
	}
	want, known := p.generation()
	got, alike := have.generation()
	if !known || !alike {
		return 0, p.Variant == have.Variant || have.Variant == ""
	}
	return got, got <= want
}

// generation orders the variants of an architecture, of which a processor runs
// its own and all lower ones: v8.2 is 82.
func (p Platform) generation() (n int, ok bool) {
	variant := p.Variant
	if variant == "" {
		variant = map[string]string{"amd64": "v1", "arm": "v7", "arm64": "v8"}[p.Architecture]
	}
	m := generations.FindStringSubmatch(variant)
	if m == nil || !slices.Contains([]string{"amd64", "arm", "arm64"}, p.Architecture) {
		return 0, false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return 10*major + minor, true
}

var generations = regexp.MustCompile(`^v([0-9])(?:\.([0-9]))?$`)

// build is the part of a version of Windows that an image and its host have to
// have in common: "10.0.20348" of "10.0.20348.2700".
func build(version string) string {
	parts := strings.SplitN(version, ".", 4)
	return strings.Join(parts[:min(len(parts), 3)], ".")
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

func PlatformOf(p *v1.Platform) Platform {
	if p == nil {
		return Platform{}
	}
	return Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
}

// Known says whether the platform names a system at all: the descriptors of
// attestations say "unknown/unknown".
func (p Platform) Known() bool {
	return p.OS != "" && p.OS != "unknown" && p.Architecture != "unknown"
}

// PlatformList joins platforms for a message.
func PlatformList(ps []Platform) string {
	if len(ps) == 0 {
		return "none"
	}
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return strings.Join(s, ", ")
}
