// Package taskdef works on Amazon ECS task definitions as documents: it parses
// them, revises them, compares them, says how two of them differ, merges what
// infrastructure and a pipeline made of one, and marks where it came from.
//
// A [Definition] is the JSON that ECS sent, not a struct made from it. Members
// that this package has never heard of, empty values, the order of members and
// the spelling of numbers all survive, so that a revision differs from its base
// only in what was asked for. Only white space between tokens is not kept.
//
// The package is pure. It does not call AWS, read files, register anything or
// decide whether ECS will accept a definition; nor does it print: what it
// returns for people to read may hold text from outside.
package taskdef

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// MaxSize is the largest task definition that ECS registers, in characters of its
// compact form (Amazon ECS service quotas, "Task definition size").
const MaxSize = 64 << 10

// readOnly lists the members of a described task definition that
// RegisterTaskDefinition does not take: those that the API's TaskDefinition
// has and its RegisterTaskDefinition request has not.
var readOnly = []string{
	"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities",
	"registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt",
}

// A Definition is one task definition. It is never changed: methods that change
// something return another one, and both may be used by several goroutines.
type Definition struct {
	// doc is the task definition as an object. Tags, which ECS answers beside
	// the definition but takes within it, are its member "tags".
	doc value
}

// A Container is the part of a container definition that a rollout looks at.
type Container struct {
	Name, Image string
	Essential   bool // the task stops when this container does; true unless the definition says false
}

// A Tag is a key and value attached to a task definition.
type Tag struct{ Key, Value string }

// Parse reads a task definition from the body of a DescribeTaskDefinition or
// RegisterTaskDefinition answer, whose tags stand beside the definition, from a
// bare task definition, or from the input of RegisterTaskDefinition.
//
// It refuses what could not be revised without guessing: invalid JSON, a member
// given twice, two containers of one name. Whether ECS would accept the rest is
// for ECS to say.
func Parse(data []byte) (Definition, error) {
	doc, err := readJSON(data)
	if err != nil {
		return Definition{}, fmt.Errorf("task definition: %w", err)
	}
	d, err := newDefinition(doc)
	if err != nil {
		return Definition{}, fmt.Errorf("task definition: %w", err)
	}
	return d, nil
}

func newDefinition(doc value) (Definition, error) {
	doc = unwrapped(doc)
	if doc.kind != object {
		return Definition{}, fmt.Errorf("%sexpected an object with containerDefinitions, found %s", doc.at(), doc.kind)
	}
	if doc.get("family").str() == "" {
		return Definition{}, fmt.Errorf("%sno family: it names the task definition that gets the new revision", doc.at())
	}
	containers := doc.get("containerDefinitions")
	if containers.kind != list || len(containers.items) == 0 {
		return Definition{}, fmt.Errorf("%sno containerDefinitions: expected a list of at least one container", doc.at())
	}
	seen := map[string]bool{}
	for _, c := range containers.items {
		name := c.get("name").str()
		switch {
		case name == "":
			return Definition{}, fmt.Errorf("%scontainerDefinitions: a container without a name", c.at())
		case seen[name]:
			return Definition{}, fmt.Errorf("%scontainerDefinitions: two containers are named %q", c.at(), name)
		}
		seen[name] = true
	}
	return Definition{doc}, nil
}

// unwrapped takes a definition out of an answer of ECS, with its tags.
func unwrapped(doc value) value {
	inner := doc.get("taskDefinition")
	if inner.kind != object {
		return doc
	}
	if tags := doc.get("tags"); tags.kind == list {
		inner = inner.with("tags", tags)
	}
	return inner
}

// ARN is the ARN of the registered revision, "" for a definition from a file. A
// revised definition keeps the ARN of its base until ECS has registered it.
func (d Definition) ARN() string { return d.doc.get("taskDefinitionArn").str() }

// Family is the name that all revisions of the task definition share.
func (d Definition) Family() string { return d.doc.get("family").str() }

// Revision is the number of the registered revision, 0 for a definition from a
// file. Like ARN it is the base's until a revised definition is registered.
func (d Definition) Revision() int {
	n, err := strconv.Atoi(d.doc.get("revision").raw)
	if err != nil {
		return 0
	}
	return n
}

// Status is ACTIVE, INACTIVE, DELETE_IN_PROGRESS or "" as ECS gave it.
func (d Definition) Status() string { return d.doc.get("status").str() }

// Deregistered reports whether no deployment of the revision can be started: its
// status is INACTIVE or DELETE_IN_PROGRESS. A status that is not known is left to ECS
// to judge (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html).
func (d Definition) Deregistered() bool {
	return d.Status() == "INACTIVE" || d.Status() == "DELETE_IN_PROGRESS"
}

// NetworkMode is bridge, host, awsvpc, none or "" as given.
func (d Definition) NetworkMode() string { return d.doc.get("networkMode").str() }

// ExecutionRoleARN is the role with which ECS pulls the images and reads the
// secrets, by ARN or name as given; "" where there is none.
func (d Definition) ExecutionRoleARN() string { return d.doc.get("executionRoleArn").str() }

// TaskRoleARN is the role of the containers, by ARN or name as given; "" where
// there is none.
func (d Definition) TaskRoleARN() string { return d.doc.get("taskRoleArn").str() }

// RuntimePlatform is the operating system family and CPU architecture as given
// (LINUX, X86_64), each "" where absent.
func (d Definition) RuntimePlatform() (os, arch string) {
	p := d.doc.get("runtimePlatform")
	return p.get("operatingSystemFamily").str(), p.get("cpuArchitecture").str()
}

// RequiresCompatibilities lists the launch types that ECS validates the
// definition against: FARGATE, EC2, …
func (d Definition) RequiresCompatibilities() []string {
	var all []string
	for _, v := range d.doc.get("requiresCompatibilities").items {
		all = append(all, v.str())
	}
	return all
}

// Size is what the task has: CPU units, and MiB of memory, each 0 where the
// definition gives no size.
func (d Definition) Size() (cpu, memory float64) {
	return amount(d.doc.get("cpu").str(), "vCPU"), amount(d.doc.get("memory").str(), "GB")
}

// Containers lists the containers in the order of the document.
func (d Definition) Containers() []Container {
	var all []Container
	for _, c := range d.doc.get("containerDefinitions").items {
		all = append(all, Container{
			Name:      c.get("name").str(),
			Image:     c.get("image").str(),
			Essential: c.get("essential").raw != "false",
		})
	}
	return all
}

// Image is the image of a container, "" where there is no such container.
func (d Definition) Image(container string) string {
	return d.doc.get("containerDefinitions").find("name", container).get("image").str()
}

// Tags lists the tags, those of AWS itself (aws:…) included.
func (d Definition) Tags() []Tag {
	var all []Tag
	for _, t := range d.doc.get("tags").items {
		all = append(all, Tag{Key: t.get("key").str(), Value: t.get("value").str()})
	}
	return all
}

// RegisterInput is the body of a RegisterTaskDefinition request: the document
// without its read-only members and without tags of AWS itself, which may not
// be sent. An empty list of tags is left out, for ECS refuses one.
func (d Definition) RegisterInput() []byte {
	return d.registered().encode()
}

// registered is the document as RegisterTaskDefinition takes it.
func (d Definition) registered() value {
	doc := d.doc.without(readOnly...)
	tags := doc.get("tags")
	if tags.kind != list {
		return doc
	}
	own := filter(tags.items, func(t value) bool { return !isReserved(t.get("key").str()) })
	switch len(own) {
	case 0:
		return doc.without("tags")
	case len(tags.items):
		return doc
	}
	return doc.with("tags", value{kind: list, items: own})
}

// isReserved reports whether a tag key belongs to AWS: "aws:" in any case
// (RegisterTaskDefinition, tags).
func isReserved(key string) bool {
	return len(key) >= 4 && strings.EqualFold(key[:4], "aws:")
}

// String is the name a person knows the definition by: family:revision, or the
// family alone where it has not been registered.
func (d Definition) String() string {
	if n := d.Revision(); n > 0 {
		return d.Family() + ":" + strconv.Itoa(n)
	}
	return d.Family()
}

// ChooseContainer finds the application's container.
//
// It is the one called name where a name is given; else the one whose image is
// from repository, whose tag or digest does not count: host/name, or the name
// alone, of whatever registry; else the only essential one; else the only one.
// Where several images are from the repository, the only essential one among
// them counts.
// Anything else is a [*mistake.Error] that lists the containers.
func (d Definition) ChooseContainer(name, repository string) (string, error) {
	chosen, wrong := d.chooseContainer(mistake.Container, name, repository)
	if wrong != nil {
		return "", wrong
	}
	return chosen, nil
}

// chooseContainer is ChooseContainer for a name of the given kind.
func (d Definition) chooseContainer(kind mistake.Kind, name, repository string) (string, *mistake.Error) {
	all := d.Containers()
	if name != "" {
		if !d.has(name) {
			return "", d.unknownContainer(kind, name)
		}
		return name, nil
	}
	candidates := all
	if repository != "" {
		want, _ := SplitImage(repository)
		from := filter(all, func(c Container) bool {
			have, _ := SplitImage(c.Image)
			_, name, _ := strings.Cut(have, "/")
			return have == want || name == want
		})
		if len(from) > 0 {
			candidates = from
		}
	}
	if len(candidates) > 1 {
		candidates = filter(candidates, func(c Container) bool { return c.Essential })
	}
	if len(candidates) == 1 {
		return candidates[0].Name, nil
	}
	var found []string
	for _, c := range all {
		found = append(found, fmt.Sprintf("%s (%s)", c.Name, c.Image))
	}
	if len(found) == 0 {
		return "", mistake.New(kind, "", "the task definition has no containers")
	}
	return "", mistake.New(kind, "name one of "+strings.Join(found, ", "), "cannot tell which container of %s is the application's", d)
}

// has reports whether there is a container of a name.
func (d Definition) has(container string) bool {
	return slices.ContainsFunc(d.Containers(), func(c Container) bool { return c.Name == container })
}

func (d Definition) unknownContainer(kind mistake.Kind, name string) *mistake.Error {
	var names []string
	for _, c := range d.Containers() {
		names = append(names, c.Name)
	}
	return mistake.New(kind, "it has "+strings.Join(names, ", "), "no container %q in %s", name, d)
}

// ChooseContainers finds the containers that get the image of a run: those that
// are named, or where none is, the one that [Definition.ChooseContainer] finds.
// The first is the application's. The error joins a [*mistake.Error] for each name
// that there is no container of.
func (d Definition) ChooseContainers(names []string, repository string) ([]string, error) {
	if len(names) == 0 {
		names = []string{""}
	}
	var chosen []string
	var wrong []*mistake.Error
	for _, name := range names {
		container, err := d.chooseContainer(mistake.Container, name, repository)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		chosen = append(chosen, container)
	}
	if len(wrong) > 0 {
		return nil, joined(wrong)
	}
	return chosen, nil
}

// OtherTags lists the containers that run another tag or digest of the
// repository of an image. In a revision that was made for the image they are the
// ones that stay behind: a plan should name them.
func (d Definition) OtherTags(image string) []Container {
	repository, tag := SplitImage(image)
	return filter(d.Containers(), func(c Container) bool {
		have, other := SplitImage(c.Image)
		return have == repository && other != tag
	})
}

// SplitImage splits an image reference, host/name:tag or host/name@digest, into
// the repository and the tag or digest, "" where there is neither: ECS then
// means the tag latest. Where there are both, the digest counts.
func SplitImage(ref string) (repository, tagOrDigest string) {
	repository, tagOrDigest, _ = strings.Cut(ref, "@")
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		return repository[:colon], cmp.Or(tagOrDigest, repository[colon+1:])
	}
	return repository, tagOrDigest
}

func filter[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, x := range all {
		if keep(x) {
			kept = append(kept, x)
		}
	}
	return kept
}
