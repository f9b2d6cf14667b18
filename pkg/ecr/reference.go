package ecr

// How people write a repository: a name, or a full URI without a tag.

import (
	"regexp"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// Reference is a repository as it was written down, not yet looked up.
type Reference struct {
	// Host is the registry, with a port if there is one; empty for a name alone.
	Host string

	// Account and Region are those in the name of an ECR host; empty for a
	// name alone and for any other host.
	Account, Region string

	// Name of the repository inside the registry, namespaces included.
	Name string
}

// String returns the reference as it is written: host/name, or the name.
func (r Reference) String() string {
	if r.Host == "" {
		return r.Name
	}
	return r.Host + "/" + r.Name
}

var (
	// ecrHost covers the ordinary, dual-stack ("dkr-ecr") and FIPS hosts of all
	// partitions. The list of suffixes is closed on purpose: what matches is
	// sent a token. Source: registryHostPattern of the ECR credential helper and
	// https://docs.aws.amazon.com/general/latest/gr/ecr.html
	ecrHost = regexp.MustCompile(`^([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9][a-z0-9-]*)\.` +
		`(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|` +
		`c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$`)

	anyHost = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?$`)

	// repositoryName is the API's pattern, a little wider in what may separate
	// two words; ECR has the last word on that.
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	repositoryName = regexp.MustCompile(`^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$`)
)

// ParseRepository reads a repository's name ("team/app") or full URI
// ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"). The registry may
// be any host, for a stand-in of ECR; as in all image references, the part
// before the first slash is a host when it has a dot or a colon in it or is
// "localhost". Names have 2 to 256 characters.
//
// A tag, a digest or a scheme is a mistake of the kind Repository that says so.
func ParseRepository(s string) (Reference, error) {
	fail := func(format string, args ...any) (Reference, error) {
		return Reference{}, mistake.New(mistake.Repository, "", "repository %q: "+format, append([]any{s}, args...)...)
	}
	if s == "" {
		return Reference{}, mistake.New(mistake.Repository, "", "repository: empty; expected a name such as team/app, or a repository URI")
	}
	if scheme, _, found := strings.Cut(s, "://"); found {
		return fail("expected no %s:// in front", scheme)
	}

	ref := Reference{Name: s}
	if first, rest, found := strings.Cut(s, "/"); found && isHost(first) {
		ref = Reference{Host: first, Name: rest}
		if !anyHost.MatchString(first) {
			return fail("%q is not a host name", first)
		}
		if m := ecrHost.FindStringSubmatch(first); m != nil {
			ref.Account, ref.Region = m[1], m[2]
		}
	} else if !found && ecrHost.MatchString(s) {
		return fail("the name after the registry is missing")
	}

	switch {
	case strings.Contains(ref.Name, "@"):
		return fail("expected a repository without a digest")
	case strings.Contains(ref.Name, ":"):
		return fail("expected a repository without a tag; tags are given by the input tags")
	case len(ref.Name) < 2 || len(ref.Name) > 256:
		return fail("expected a name of 2 to 256 characters")
	case !repositoryName.MatchString(ref.Name):
		return fail("expected lower-case letters and digits, in words separated by . _ - or /")
	}
	return ref, nil
}

// isHost is the rule of image references for their first part:
// https://pkg.go.dev/github.com/distribution/reference#ParseNormalizedNamed
func isHost(part string) bool {
	return part == "localhost" || strings.ContainsAny(part, ".:")
}
