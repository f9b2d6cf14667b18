// Requests, resources and answers are JSON documents: a resource keeps what it was made with, member for member, so that nothing the emulator
// has no opinion about is lost on the way to a description. Numbers stay as they were spelt (json.Number).

package awsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strconv"
	"time"
)

// Object is a JSON object.
type Object map[string]any

// ParseObject reads one JSON object. Members that are null are dropped at every level: on the wire null means absent.
func ParseObject(body []byte) (Object, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	m, ok := tidy(v).(Object)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return m, nil
}

// tidy gives decoded JSON the package's own object type and drops null members.
func tidy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(Object, len(v))
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

// CopyOf returns a deep copy of a document.
func CopyOf[T any](v T) T {
	switch v := any(v).(type) {
	case Object:
		o := make(Object, len(v))
		for k, x := range v {
			o[k] = CopyOf(x)
		}
		return any(o).(T)
	case []any:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = CopyOf(x)
		}
		return any(l).(T)
	}
	return v
}

func (o Object) Str(name string) string    { s, _ := o[name].(string); return s }
func (o Object) Flag(name string) bool     { b, _ := o[name].(bool); return b }
func (o Object) List(name string) []any    { l, _ := o[name].([]any); return l }
func (o Object) Object(name string) Object { m, _ := o[name].(Object); return m }
func (o Object) Has(name string) bool      { _, ok := o[name]; return ok }

// Number returns an integer member, or def where it is absent.
func (o Object) Number(name string, def int) int {
	if n, ok := intOf(o[name]); ok {
		return n
	}
	return def
}

// Objects returns a member that is a list of objects.
func (o Object) Objects(name string) []Object {
	var out []Object
	for _, v := range o.List(name) {
		if m, ok := v.(Object); ok {
			out = append(out, m)
		}
	}
	return out
}

// Strings returns a member that is a list of strings.
func (o Object) Strings(name string) []string {
	var out []string
	for _, v := range o.List(name) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Fill sets a member that is absent.
func (o Object) Fill(name string, v any) {
	if !o.Has(name) {
		o[name] = v
	}
}

// With returns a copy of o that also has the members of more.
func (o Object) With(more Object) Object {
	out := maps.Clone(o)
	maps.Copy(out, more)
	return out
}

// Put sets a member unless the value is empty: the services leave out what has no value.
func (o Object) Put(name string, v any) {
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
		v = Epoch(x)
	case Object:
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

// Epoch is a timestamp of the awsjson protocol: seconds, with milliseconds behind the point.
func Epoch(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
}

// TimeOf reads a timestamp of the awsjson protocol.
func TimeOf(v any) time.Time {
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

// Anys turns a typed slice into the list of a document; nil becomes an empty list.
func Anys[T any](in []T) []any {
	out := make([]any, 0, len(in))
	for _, v := range in {
		out = append(out, v)
	}
	return out
}
