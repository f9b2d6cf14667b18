package taskdef

// Revising: what a pipeline asks of a task definition, carried out on the
// document with as few edits as can be.

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"ecsdeploy/pkg/mistake"
)

// A Change is what a pipeline asks for. The zero Change asks for nothing.
type Change struct {
	Images map[string]string // container → image; "" is the application's

	// ImageContainers get the image of the application's container as well.
	ImageContainers []string

	// Environment and Secrets are variables to set: a secret's value is the
	// ARN (valueFrom) of what holds it. ECS refuses a container that has an
	// environment variable and a secret of one name, so setting one of the two
	// removes the other.
	Environment, Secrets []Variable

	// RemoveEnvironment names variables to remove, be they environment
	// variables or secrets. Removing what is not there changes nothing; Absent
	// tells.
	RemoveEnvironment []VariableName

	CPU, Memory string // of the task: "512" or "0.5 vCPU", "1024" or "1 GB"

	// Command replaces the command of CommandContainer. Nil leaves it alone;
	// empty but not nil means the command of the image.
	Command          []string
	CommandContainer string

	// DefaultContainer is the application's container, meant wherever a
	// container is "". Where it is "" itself, ChooseContainer decides.
	DefaultContainer string

	Tags []Tag // to add, or to replace by key
}

// A Variable is an environment variable or a secret of a container.
//
// Where the task definition has no container called Container, and that has an
// upper-case letter, Container and Name with a colon between them are the name of
// a variable of the application's container: names in .NET have colons, and only
// the task definition tells the two apart.
type Variable struct {
	Container string // "" for the application's
	Name      string
	Value     string
}

// A VariableName names a variable of a container, as in [Variable].
type VariableName struct {
	Container string // "" for the application's
	Name      string
}

// Revise returns the definition with a change made. A value that already is as
// asked is left as it is spelled, and a change that changes nothing returns the
// same document. The error joins one [*mistake.Error] for each thing that is wrong: an
// unknown container, a variable given twice, a reserved tag, a result beyond
// [MaxSize]. Where the application's container is not known, that is said once.
func (d Definition) Revise(c Change) (Definition, error) {
	r := reviser{base: d, doc: d.doc, application: c.DefaultContainer, given: map[VariableName]mistake.Kind{}}
	for _, name := range slices.Sorted(maps.Keys(c.Images)) {
		image := c.Images[name]
		if image == "" {
			r.fail(mistake.FurtherImage, "", "no image for container %q", name)
		}
		r.container(mistake.FurtherImage, name, func(c value) value { return c.withText("image", image) })
	}
	if image := c.Images[""]; image != "" {
		for _, name := range c.ImageContainers {
			if other := c.Images[name]; other != "" && other != image {
				r.fail(mistake.FurtherImage, "name it in one of the two", "container %s is to get the image of this run, %s, and %s", name, image, other)
			}
			r.container(mistake.Container, name, func(c value) value { return c.withText("image", image) })
		}
	}
	for _, v := range c.RemoveEnvironment {
		r.variable(mistake.Removal, Variable{v.Container, v.Name, ""}, func(c value, name string) value {
			return c.dropItem("environment", "name", name).dropItem("secrets", "name", name)
		})
	}
	for _, v := range c.Environment {
		r.variable(mistake.Variable, v, func(c value, name string) value {
			return c.dropItem("secrets", "name", name).withPair("environment", "name", name, "value", v.Value)
		})
	}
	for _, v := range c.Secrets {
		if v.Value == "" {
			r.fail(mistake.Secret, "", "%s: no value; expected the ARN of a secret or a parameter", v.Name)
		}
		r.variable(mistake.Secret, v, func(c value, name string) value {
			return c.dropItem("environment", "name", name).withPair("secrets", "name", name, "valueFrom", v.Value)
		})
	}
	if c.Command != nil {
		r.container(mistake.Command, c.CommandContainer, func(v value) value { return v.withTexts("command", c.Command) })
	}
	r.size("cpu", c.CPU, "vCPU")
	r.size("memory", c.Memory, "GB")
	for _, t := range c.Tags {
		switch {
		case t.Key == "" || isReserved(t.Key):
			r.fail("", "", "tag %q: expected a key that does not begin with aws:", t.Key)
		default:
			r.doc = r.doc.withPair("tags", "key", t.Key, "value", t.Value)
		}
	}
	revised := Definition{r.doc}
	if n := revised.size(); n > MaxSize && (n > d.size() || d.ARN() == "") { // what ECS has registered it took
		r.fail("", "keep large values in Parameter Store or Secrets Manager, and name them in secrets",
			"the revised task definition has %d characters; ECS takes at most %d", n, MaxSize)
	}
	if len(r.mistakes) > 0 {
		return Definition{}, joined(r.mistakes)
	}
	return revised, nil
}

// TooLarge reports whether the definition has more characters than ECS registers.
func (d Definition) TooLarge() bool { return d.size() > MaxSize }

// Absent lists the variables that a change removes but that are not there, with
// their containers: a plan should say so, for a name may be misspelled.
func (d Definition) Absent(c Change) []VariableName {
	r := reviser{base: d, doc: d.doc, application: c.DefaultContainer}
	var absent []VariableName
	for _, v := range c.RemoveEnvironment {
		v = r.read(v)
		r.container(mistake.Removal, v.Container, func(c value) value {
			if c.get("environment").find("name", v.Name).kind == missing && c.get("secrets").find("name", v.Name).kind == missing {
				absent = append(absent, VariableName{c.get("name").str(), v.Name})
			}
			return c
		})
	}
	return absent
}

// size is what counts against MaxSize, in characters: of the compact document,
// however its strings are escaped. Tags are kept apart by ECS.
func (d Definition) size() int { return characters(d.registered().without("tags")) }

// characters is how long a value is without white space and needless escapes.
func characters(v value) int {
	n := 0
	switch v.kind {
	case missing:
		return 0
	case list:
		for _, item := range v.items {
			n += characters(item)
		}
		return n + len("[]") + max(0, len(v.items)-1)
	case object:
		for _, m := range v.members {
			n += utf8.RuneCountInString(quote(m.name)) + len(":") + characters(m.value)
		}
		return n + len("{}") + max(0, len(v.members)-1)
	case text:
		if s := unquote(v.raw); s != v.raw { // half of a surrogate pair is as spelled
			return utf8.RuneCountInString(quote(s))
		}
	}
	return utf8.RuneCountInString(v.raw)
}

// reviser makes one change and collects what is wrong with it.
type reviser struct {
	base        Definition
	doc         value
	application string                        // the container meant by ""
	given       map[VariableName]mistake.Kind // as what each variable is given
	mistakes    []*mistake.Error
}

// fail notes a mistake, once.
func (r *reviser) fail(kind mistake.Kind, hint, format string, args ...any) {
	r.note(mistake.New(kind, hint, format, args...))
}

func (r *reviser) note(m *mistake.Error) {
	if !slices.ContainsFunc(r.mistakes, func(other *mistake.Error) bool { return *other == *m }) {
		r.mistakes = append(r.mistakes, m)
	}
}

// joined is mistakes as one error.
func joined(mistakes []*mistake.Error) error {
	errs := make([]error, len(mistakes))
	for i, m := range mistakes {
		errs[i] = m
	}
	return errors.Join(errs...)
}

// resolve returns the name of an existing container, or notes a mistake of the
// kind: about the application's container where no other is named.
func (r *reviser) resolve(kind mistake.Kind, name string) (string, bool) {
	if name == "" {
		name, kind = r.application, mistake.Container
	}
	chosen, wrong := r.base.chooseContainer(kind, name, "")
	if wrong != nil {
		r.note(wrong)
	}
	return chosen, wrong == nil
}

// container changes one container.
func (r *reviser) container(kind mistake.Kind, name string, change func(value) value) {
	name, ok := r.resolve(kind, name)
	if !ok {
		return
	}
	r.doc = r.doc.edit("containerDefinitions", func(c value) value {
		if c.get("name").str() != name {
			return c
		}
		return change(c)
	})
}

// read finds out what the two parts of a variable's name mean. A part in lower
// case is taken for a container, as most are named so: where there is none of
// that name, it is more likely misspelt than a part of the variable's name. So is one
// that differs from the name of a container by case alone.
func (r *reviser) read(v VariableName) VariableName {
	named := func(c Container) bool { return strings.EqualFold(c.Name, v.Container) }
	if slices.ContainsFunc(r.base.Containers(), named) || v.Container == strings.ToLower(v.Container) || !canBegin(v.Container) {
		return v
	}
	return VariableName{"", v.Container + ":" + v.Name}
}

// canBegin reports whether the name of a variable can begin so: with a letter or _.
func canBegin(name string) bool {
	return name != "" && (name[0] == '_' || name[0] >= 'A' && name[0] <= 'Z' || name[0] >= 'a' && name[0] <= 'z')
}

// variable changes a variable of one container, which no other part of the
// change may name as well.
func (r *reviser) variable(kind mistake.Kind, v Variable, change func(container value, name string) value) {
	as := r.read(VariableName{v.Container, v.Name})
	container, ok := r.resolve(kind, as.Container)
	name := VariableName{container, as.Name}
	switch before, twice := r.given[name]; {
	case v.Name == "":
		r.fail(kind, "", "a variable without a name")
	case !utf8.ValidString(as.Name + v.Value):
		r.fail(kind, "", "%q is not valid UTF-8", as.Name)
	case !ok: // noted
	case as.Container != "" && !canBegin(as.Name):
		r.fail(kind, "names of variables begin with a letter or _", "%q of container %s is not the name of a variable", as.Name, container)
	case twice && before == mistake.Removal && kind == mistake.Secret: // a variable becomes a secret
		r.given[name] = kind
		r.container(kind, container, func(c value) value { return change(c, as.Name) })
	case twice && before == kind:
		r.fail(kind, "remove one of the two lines", "%s of container %s is given twice", as.Name, container)
	case twice:
		r.fail(kind, "name it in one of the two", "%s of container %s is given as a %s, too", as.Name, container, before)
	default:
		r.given[name] = kind
		r.container(kind, container, func(c value) value { return change(c, as.Name) })
	}
}

// size changes the task's cpu or memory.
func (r *reviser) size(name, to, unit string) {
	if to == "" || canonicalSize(r.doc.get(name).str(), unit) == canonicalSize(to, unit) {
		return
	}
	r.doc = r.doc.withText(name, to)
}

// withText returns the object with a string member that means s.
func (v value) withText(name, s string) value {
	if old := v.get(name); old.kind == text && old.str() == s {
		return v
	}
	return v.with(name, newText(s))
}

// withTexts returns the object with a list of strings.
func (v value) withTexts(name string, all []string) value {
	old, to := v.get(name), value{kind: list}
	for i, s := range all {
		item := newText(s)
		if i < len(old.items) && old.items[i].kind == text && old.items[i].str() == s {
			item = old.items[i]
		}
		to.items = append(to.items, item)
	}
	return v.with(name, to)
}

// withPair returns the object with a list in which the item with a key has a
// value: every such item, or a new one at the end.
func (v value) withPair(name, key, item, member, to string) value {
	l := v.get(name)
	if l.find(key, item).kind == missing {
		pair := value{kind: object}.with(key, newText(item)).with(member, newText(to))
		return v.with(name, value{kind: list, items: append(slices.Clip(l.items), pair)})
	}
	return v.edit(name, func(i value) value {
		if i.get(key).str() == item {
			return i.withText(member, to)
		}
		return i
	})
}

// dropItem returns the object with a list from which the items with a key are
// taken out.
func (v value) dropItem(name, key, item string) value {
	l := v.get(name)
	if l.find(key, item).kind == missing {
		return v
	}
	l.items = filter(l.items, func(i value) bool { return i.get(key).str() != item })
	return v.with(name, l)
}
