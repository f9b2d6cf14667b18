package taskdef

// What a plan shows: the differences between two definitions, one per line, and
// never a value that could be a secret.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const (
	masked  = "***"
	longest = 160 // runes of a value that are shown
)

// A Difference is one place where two definitions differ.
type Difference struct {
	// Path is where: "cpu", "app.image", "app.environment LOG_LEVEL",
	// "volumes data.host.sourcePath", "tags team".
	Path string
	// Old and New are the values as shown: "" where there is none, "***" where
	// the value may be a secret, cut where it is long.
	Old, New string
}

// String is the difference in one line: "cpu 256 → 512".
func (d Difference) String() string {
	line := d.Path + " " + cmp.Or(d.Old, "(none)") + " → " + cmp.Or(d.New, "(none)")
	if d.Old == d.New { // masked or cut: the line alone would not say so
		line += " (changed)"
	}
	return line
}

// Diff lists the differences between two definitions, containers first, in an
// order that does not change from call to call. There are none exactly where the
// two are [Equal].
//
// Values of environment variables, labels, log and driver options and of members
// that this package does not know are masked, since any of them may be a secret.
// What refers to a secret, such as a valueFrom ARN, is shown. A container that is
// only in one of them is shown by its image.
func Diff(old, new Definition) []Difference {
	return differences("", old.canonical(), new.canonical(), taskDefinition)
}

func differences(path string, a, b value, r *rule) []Difference {
	var d differ
	d.compare(path, a, b, r)
	return d.found
}

type differ struct{ found []Difference }

// compare compares two canonical values, either of which may be missing. It adds
// at least one difference where they are not the same.
func (d *differ) compare(path string, a, b value, r *rule) {
	if string(a.encode()) == string(b.encode()) {
		return
	}
	before := len(d.found)
	switch {
	case bothAre(object, a, b):
		d.members(path, a, b, r)
	case !bothAre(list, a, b) || isFlat(a) && isFlat(b):
		// shown as they are
	case r.key != "" && hasKeys(a, r) && hasKeys(b, r):
		d.set(path, a, b, r)
	default:
		d.list(path, a, b, r)
	}
	if len(d.found) == before {
		d.add(path, show(a, r), show(b, r))
	}
}

func (d *differ) add(path, older, newer string) {
	d.found = append(d.found, Difference{path, older, newer})
}

func (d *differ) members(path string, a, b value, r *rule) {
	for _, name := range names(a, b) {
		m := r.of(name)
		d.compare(join(path, name), a.getOr(name, m), b.getOr(name, m), m)
	}
}

// names returns the names of the members of some objects, sorted.
func names(objects ...value) []string {
	var all []string
	for _, o := range objects {
		for _, m := range o.members {
			all = append(all, m.name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// join is the path of a member.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// getOr returns a member of an object, or what its absence means.
func (v value) getOr(name string, r *rule) value {
	m := v.get(name)
	if m.kind == missing && v.kind == object && r.absent != "" {
		switch r.kind {
		case text, number, boolean:
			return value{kind: r.kind, raw: r.absent}
		}
	}
	return m
}

// list compares the items of two lists by their places.
func (d *differ) list(path string, a, b value, r *rule) {
	for i := range max(len(a.items), len(b.items)) {
		var x, y value
		if i < len(a.items) {
			x = a.items[i]
		}
		if i < len(b.items) {
			y = b.items[i]
		}
		d.compare(fmt.Sprintf("%s[%d]", path, i), x, y, r.item())
	}
}

// set compares the items of two lists by their keys.
func (d *differ) set(path string, a, b value, r *rule) {
	var keys []string
	for _, item := range slices.Concat(a.items, b.items) {
		keys = append(keys, keyOf(item, r))
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		x, y := a.find(r.key, key), b.find(r.key, key)
		oneSided := x.kind == missing || y.kind == missing
		switch {
		case path == "containerDefinitions" && oneSided:
			d.add(key, summary(x), summary(y))
		case path == "containerDefinitions":
			d.members(key, x, y, r.item())
		case r.pair != "" && isPair(x, r) && isPair(y, r):
			d.compare(path+" "+key, x.get(r.pair), y.get(r.pair), r.item().of(r.pair))
		default:
			d.compare(path+" "+key, x.without(r.key), y.without(r.key), r.item())
		}
	}
}

// bothAre reports whether both values are of a kind, where they are at all.
func bothAre(k kind, a, b value) bool {
	return (a.kind == k || a.kind == missing) && (b.kind == k || b.kind == missing)
}

// isFlat reports whether a list holds scalars only.
func isFlat(v value) bool {
	return !slices.ContainsFunc(v.items, isComposite)
}

func isComposite(v value) bool { return v.kind == list || v.kind == object }

// hasKeys reports whether every item of a set has a key of its own.
func hasKeys(v value, r *rule) bool {
	seen := map[string]bool{}
	for _, item := range v.items {
		key := item.get(r.key).str()
		if key == "" || seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// isPair reports whether an item of a list of pairs is a name and a value and
// nothing else, so that its path can be its name. So is one that is missing.
func isPair(v value, r *rule) bool {
	rest := v.without(r.key).members
	return v.kind == missing || len(rest) == 1 && rest[0].name == r.pair
}

// summary shows a container that is only on one side.
func summary(container value) string {
	if container.kind == missing {
		return ""
	}
	if image := container.get("image"); image.kind == text {
		return show(image, aText)
	}
	return "{…}"
}

// show is a value as it may be shown: never what the rule hides, nor what is not
// of the shape that the rule speaks of.
func show(v value, r *rule) string {
	switch {
	case v.kind == missing:
		return ""
	case r.hidden, isComposite(v) != isComposite(value{kind: r.kind}):
		return masked
	case v.kind == object && len(v.members) > 0:
		return "{…}"
	case v.kind == list && len(v.items) > 0 && (!isFlat(v) || r.item().hidden || isComposite(value{kind: r.item().kind})):
		return "[…]"
	case v.kind == text && isPlain(v.str()):
		return cut(v.str())
	}
	return cut(string(v.encode()))
}

// isPlain reports whether a string can be shown without quotes.
func isPlain(s string) bool {
	odd := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '"' }
	return s != "" && !strings.ContainsFunc(s, odd)
}

// cut shortens what is too long to read, in the middle: the ends of an image
// reference or an ARN tell more.
func cut(s string) string {
	r := []rune(s)
	if len(r) <= longest {
		return s
	}
	return string(r[:longest-60]) + "…" + string(r[len(r)-59:])
}
