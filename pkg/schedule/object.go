package schedule

// A JSON object that keeps its members in their order, and every value as it is
// spelled.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

type object []member

type member struct {
	name  string
	value json.RawMessage
}

// parse reads an object. A member that is there twice is refused: it is not known
// which of them counts.
func parse(data []byte) (object, error) {
	if !json.Valid(data) {
		return nil, errors.New("not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, _ := d.Token(); t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	o := object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: t.(string)} // valid JSON has a name here
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		if o.get(m.name) != nil {
			return nil, fmt.Errorf("the member %q is there twice", m.name)
		}
		o = append(o, m)
	}
	return o, nil
}

// get is the value of a member; nil where there is none.
func (o object) get(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text is the value of a member that is a string; "" for anything else.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// object is the value of a member that is an object; nil for anything else.
func (o object) object(name string) object {
	inner, err := parse(o.get(name))
	if err != nil {
		return nil
	}
	return inner
}

// objects are the objects in the list that a member is.
func (o object) objects(name string) (all []object, err error) {
	var list []json.RawMessage
	if raw := o.get(name); raw != nil {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("%s is no list", name)
		}
	}
	for _, raw := range list {
		one, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// needed is objects for a member without which an answer is incomplete.
func (o object) needed(name string) ([]object, error) {
	if o.get(name) == nil {
		return nil, fmt.Errorf("the answer is incomplete: %s is missing", name)
	}
	return o.objects(name)
}

// with is the object with a member: in its place, or at the end.
func (o object) with(name string, value json.RawMessage) object {
	o = slices.Clone(o)
	for i := range o {
		if o[i].name == name {
			o[i].value = value
			return o
		}
	}
	return append(o, member{name, value})
}

// without is the object without some members.
func (o object) without(names ...string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return slices.Contains(names, m.name) })
}

func (o object) encode() json.RawMessage {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, quote(m.name)...), ':'), m.value...)
	}
	return append(b, '}')
}

// quote spells s as JSON, with no more escapes than JSON asks for.
func quote(s string) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into a Builder: neither can fail
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}
