// Requests, resources and answers are JSON documents: a resource keeps what it was made with, member for member, so that nothing the emulator
// has no opinion about is lost on the way to a description. Numbers stay as they were spelt (json.Number).

package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strconv"
	"time"
)

// object is a JSON object.
type object map[string]any

// parseObject reads one JSON object. Members that are null are dropped at every level: on the wire null means absent.
func parseObject(body []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	m, ok := tidy(v).(object)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return m, nil
}

// tidy gives decoded JSON the package's own object type and drops null members.
func tidy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(object, len(v))
		for k, x := range v {
			if x != nil {
				o[k] = tidy(x)
			}
		}
		return o
	case []any:
		for i := range v {
			v[i] = tidy(v[i])
		}
	}
	return v
}

// copyOf returns a deep copy of a document.
func copyOf[T any](v T) T {
	switch v := any(v).(type) {
	case object:
		o := make(object, len(v))
		for k, x := range v {
			o[k] = copyOf(x)
		}
		return any(o).(T)
	case []any:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = copyOf(x)
		}
		return any(l).(T)
	}
	return v
}

func (o object) str(name string) string    { s, _ := o[name].(string); return s }
func (o object) flag(name string) bool     { b, _ := o[name].(bool); return b }
func (o object) list(name string) []any    { l, _ := o[name].([]any); return l }
func (o object) object(name string) object { m, _ := o[name].(object); return m }
func (o object) has(name string) bool      { _, ok := o[name]; return ok }

// number returns an integer member, or def where it is absent.
func (o object) number(name string, def int) int {
	if n, ok := intOf(o[name]); ok {
		return n
	}
	return def
}

// objects returns a member that is a list of objects.
func (o object) objects(name string) []object {
	var out []object
	for _, v := range o.list(name) {
		if m, ok := v.(object); ok {
			out = append(out, m)
		}
	}
	return out
}

// strings returns a member that is a list of strings.
func (o object) strings(name string) []string {
	var out []string
	for _, v := range o.list(name) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// fill sets a member that is absent.
func (o object) fill(name string, v any) {
	if !o.has(name) {
		o[name] = v
	}
}

// with returns a copy of o that also has the members of more.
func (o object) with(more object) object {
	out := maps.Clone(o)
	maps.Copy(out, more)
	return out
}

// put sets a member unless the value is empty: the services leave out what has no value.
func (o object) put(name string, v any) {
	switch x := v.(type) {
	case nil:
		return
	case string:
		if x == "" {
			return
		}
	case time.Time:
		if x.IsZero() {
			return
		}
		v = epoch(x)
	case object:
		if x == nil {
			return
		}
	case []any:
		if x == nil {
			return
		}
	}
	o[name] = v
}

// epoch is a timestamp of the awsjson protocol: seconds, with milliseconds behind the point.
func epoch(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
}

// timeOf reads a timestamp of the awsjson protocol.
func timeOf(v any) time.Time {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}
	}
	f, err := n.Float64()
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(int64(f * 1e6))
}

func intOf(v any) (int, bool) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n), true
		}
		f, err := v.Float64()
		return int(f), err == nil
	case int:
		return v, true
	}
	return 0, false
}

// anys turns a typed slice into the list of a document; nil becomes an empty list.
func anys[T any](in []T) []any {
	out := make([]any, 0, len(in))
	for _, v := range in {
		out = append(out, v)
	}
	return out
}
