package taskdef

// Revising: what a pipeline asks of a task definition, carried out on the
// document with as few edits as can be.

import (
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"ecsdeploy/pkg/mistake"
)

// A Change is what a pipeline asks for. The zero Change asks for nothing.
type Change struct {
	Images map[string]string // container → image; "" is the application's

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
type Variable struct {
	Container string // "" for the application's
	Name      string
	Value     string
}

// A VariableName names a variable of a container.
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
	for _, v := range c.RemoveEnvironment {
		r.variable(mistake.Removal, Variable{v.Container, v.Name, ""}, func(c value) value {
			return c.dropItem("environment", "name", v.Name).dropItem("secrets", "name", v.Name)
		})
	}
	for _, v := range c.Environment {
		r.variable(mistake.Variable, v, func(c value) value {
			return c.dropItem("secrets", "name", v.Name).withPair("environment", "name", v.Name, "value", v.Value)
		})
	}
	for _, v := range c.Secrets {
		if v.Value == "" {
			r.fail(mistake.Secret, "", "%s: no value; expected the ARN of a secret or a parameter", v.Name)
		}
		r.variable(mistake.Secret, v, func(c value) value {
			return c.dropItem("environment", "name", v.Name).withPair("secrets", "name", v.Name, "valueFrom", v.Value)
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
	if n := revised.bytes(); n > MaxSize && n > d.bytes() {
		r.fail("", "keep large values in Parameter Store or Secrets Manager, and name them in secrets",
			"the revised task definition has %d bytes; ECS takes at most %d", n, MaxSize)
	}
	if len(r.mistakes) > 0 {
		return Definition{}, joined(r.mistakes)
	}
	return revised, nil
}

// Absent lists the variables that a change removes but that are not there, with
// their containers: a plan should say so, for a name may be misspelled.
func (d Definition) Absent(c Change) []VariableName {
	r := reviser{base: d, doc: d.doc, application: c.DefaultContainer}
	var absent []VariableName
	for _, v := range c.RemoveEnvironment {
		r.container(mistake.Removal, v.Container, func(c value) value {
			if c.get("environment").find("name", v.Name).kind == missing && c.get("secrets").find("name", v.Name).kind == missing {
				absent = append(absent, VariableName{c.get("name").str(), v.Name})
			}
			return c
		})
	}
	return absent
}

// bytes is the size that counts against MaxSize: tags are kept apart by ECS.
func (d Definition) bytes() int { return len(d.registered().without("tags").encode()) }

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

// variable changes a variable of one container, which no other part of the
// change may name as well.
func (r *reviser) variable(kind mistake.Kind, v Variable, change func(value) value) {
	container, ok := r.resolve(kind, v.Container)
	name := VariableName{container, v.Name}
	switch before, twice := r.given[name]; {
	case v.Name == "":
		r.fail(kind, "", "a variable without a name")
	case !utf8.ValidString(v.Name + v.Value):
		r.fail(kind, "", "%q is not valid UTF-8", v.Name)
	case !ok: // noted
	case twice && before == kind:
		r.fail(kind, "remove one of the two lines", "%s of container %s is given twice", v.Name, container)
	case twice:
		r.fail(kind, "name it in one of the two", "%s of container %s is given as a %s, too", v.Name, container, before)
	default:
		r.given[name] = kind
		r.container(kind, container, change)
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
