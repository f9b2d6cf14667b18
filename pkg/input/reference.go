// Image references: a malformed one is refused before any call, since a
// registry would only say that it does not have it. What is pushed may also be a
// path, whose form is for pkg/image to judge.

package input

import (
	"regexp"
	"strings"
)

// Values of Inputs.Image and ContainerImage.Image that are not a reference.
const (
	CurrentReference = "current" // the image of the last successful deployment
	SelfReference    = "self"    // the image of this run
)

// The grammar of a reference: https://pkg.go.dev/github.com/distribution/reference
var (
	imagePath  = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	sha256Form = regexp.MustCompile(`^[0-9a-f]+$`)
	digestForm = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,}$`)
	hostForm   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]+)?$`)
)

const referenceExample = "for instance 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:1234"

// registryScheme begins the reference of an image in another registry.
const registryScheme = "docker://"

// checkReference reports what is malformed in a reference, be its registry named
// or not. It does not ask for one.
func checkReference(text string) error {
	if strings.ContainsAny(text, " \t\r\n") {
		return wrong(referenceExample, "%s is not an image reference: it contains a blank", shown(text))
	}
	name, digest, byDigest := strings.Cut(text, "@")
	path := name
	if host, rest, ok := strings.Cut(name, "/"); ok && namesRegistry(host) {
		if !hostForm.MatchString(host) {
			return wrong(referenceExample, "%s is not an image reference: %s is not the name of a registry", shown(text), shown(host))
		}
		path = rest
	}
	if colon := strings.LastIndexByte(path, ':'); colon > strings.LastIndexByte(path, '/') {
		t := path[colon+1:]
		path = path[:colon]
		if t == "" {
			return wrong("a variable in the tag is probably empty: check that it is set in this stage", "%s is not an image reference: the tag after the colon is empty", shown(text))
		}
		if problem, _ := tagProblem(t); problem != "" {
			return wrong(referenceExample, "%s is not an image reference: its tag %s", shown(text), problem)
		}
	}
	switch {
	case !imagePath.MatchString(path) && imagePath.MatchString(strings.ToLower(path)):
		return wrong("write the name in lower case", "%s is not an image reference: the name of a repository has no upper-case letters", shown(text))
	case !imagePath.MatchString(path):
		return wrong(referenceExample, "%s is not an image reference: expected lower-case letters, digits, and single . _ - or / between them as its name", shown(text))
	case !byDigest:
		return nil
	case digest == "":
		return wrong("a variable in the digest is probably empty: check that it is set in this stage", "%s is not an image reference: the digest after the @ is empty", shown(text))
	}
	algorithm, encoded, _ := strings.Cut(digest, ":")
	length := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	if length > 0 && (len(encoded) != length || !sha256Form.MatchString(encoded)) || !digestForm.MatchString(digest) {
		return wrong("copy the digest from the step that pushed the image: output imageDigest", "%s is not an image reference: the digest is incomplete or malformed; expected sha256: and 64 hexadecimal digits", shown(text))
	}
	return nil
}

// namesRegistry reports whether the part before the first slash of a reference
// is the host of a registry: it has a dot or a colon, or is localhost.
func namesRegistry(host string) bool {
	return host == "localhost" || strings.ContainsAny(host, ".:")
}

// parseReference takes a reference that names its registry: a short one is easily
// meant for ECR, where ECS would look on Docker Hub.
func parseReference(text string) (string, error) {
	if err := checkReference(text); err != nil {
		return "", err
	}
	host, name, ok := strings.Cut(text, "/")
	if ok && name != "" && namesRegistry(host) {
		return text, nil
	}
	hub := "docker.io/" + text
	if !ok {
		hub = "docker.io/library/" + text
	}
	return "", wrong("in ECR: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:1234; on Docker Hub: "+hub,
		"%s names no registry; expected a full image reference", shown(text))
}

// parseImageFor gives the parser for the image of a command: what is pushed may
// be a path and have blanks, what is rolled out is a full reference.
func parseImageFor(command Command) func(string) (string, error) {
	return func(text string) (string, error) {
		switch {
		case strings.ContainsAny(text, "\r\n"):
			return "", wrong("use the input images for further containers", "expected one image, not several lines")
		case (command == Rollout || command == RunTask) && text == CurrentReference:
			return text, nil
		case command == Rollout, command == RunTask:
			return parseReference(text)
		}
		name, remote := strings.CutPrefix(text, registryScheme)
		if !remote && looksLikePath(text) {
			return text, nil
		}
		return text, checkReference(name)
	}
}

var (
	windowsPath = regexp.MustCompile(`^[A-Za-z]:[/\\]`)
	archiveName = regexp.MustCompile(`(?i)(\.(tar|tgz|oci|gz|zst|json)|[/\\])(#.*)?$`)
)

// looksLikePath reports whether the image to push may be a path. What may be
// either is one: only pkg/image sees whether it exists.
func looksLikePath(text string) bool {
	return strings.ContainsAny(text, `\#`) || strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") || strings.HasPrefix(text, "~") ||
		windowsPath.MatchString(text) || archiveName.MatchString(text) || !strings.ContainsAny(text, ":@")
}

// Source: OCI distribution specification, "Pulling manifests", the grammar of a tag.
const maxTag = 128

// tagProblem says what keeps text from being a tag, and the tag that it could be
// written as; both are empty where it is one.
func tagProblem(text string) (problem, proposal string) {
	if text == "" {
		return "is empty", ""
	}
	var b strings.Builder
	for i, r := range text {
		letter := r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		switch {
		case letter, i > 0 && (r == '.' || r == '-'):
			b.WriteRune(r)
			continue
		case r == '.' || r == '-':
			problem = firstOf(problem, "begins with "+shown(string(r)))
		default:
			problem = firstOf(problem, "contains the character "+shown(string(r)))
			if b.Len() > 0 {
				b.WriteByte('-')
			}
		}
	}
	proposal = strings.TrimLeft(b.String(), ".-")
	if len(proposal) > maxTag {
		problem = firstOf(problem, "is longer than 128 characters")
		proposal = proposal[:maxTag]
	}
	if problem == "" {
		return "", ""
	}
	return problem, proposal
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func parseTag(text string) (string, error) {
	problem, proposal := tagProblem(text)
	if problem == "" {
		return text, nil
	}
	hint := "write one tag per line"
	switch {
	case strings.HasPrefix(text, "- "):
		hint = "write one tag per line, without dashes"
	case strings.ContainsAny(text, ", "):
	case proposal != "":
		hint = "for instance " + proposal
	}
	return "", wrong(hint, "%s is not a tag: it %s; expected up to %d letters, digits, _ . or -, not starting with . or -", shown(text), problem, maxTag)
}
