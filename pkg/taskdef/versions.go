package taskdef

// What a merge looks at: the three versions of each place, with what each of
// them was written as and what it means.

import (
	"maps"
	"slices"
)

// A version is a value as one side has it. What is missing as it is written may
// still mean something: a default.
type version struct {
	written value // as spelled: what a result is made of
	meant   value // canonical: what is compared and shown
}

// used is the version that another can have been made from: without what only a
// described definition has.
func (d Definition) used() version {
	return version{d.WithoutProvenance().registered(), d.canonical()}
}

// whole is the version with everything in it.
func (d Definition) whole() version {
	return version{d.doc, canonical(impliedHostPorts(d.doc), taskDefinition)}
}

// get returns a member of an object.
func (v version) get(name string, r *rule) version {
	return version{v.written.get(name), v.meant.getOr(name, r)}
}

// only returns the item of a list of at most one.
func (v version) only() version {
	if v.meant.kind == missing {
		return version{}
	}
	return version{v.written.items[0], v.meant.items[0]}
}

// groups returns the items of a set by their keys, each as a list: nothing keeps
// a document from having two items of one key.
func (v version) groups(r *rule) map[string]version {
	groups := map[string]version{}
	for _, item := range v.written.items {
		key := writtenKey(item, r)
		g := groups[key]
		g.written.kind, g.written.items = list, append(g.written.items, item)
		groups[key] = g
	}
	for _, item := range v.meant.items {
		key := keyOf(item, r)
		g := groups[key]
		g.meant.kind, g.meant.items = list, append(g.meant.items, item)
		groups[key] = g
	}
	return groups
}

// writtenKey is keyOf for an item that is not canonical.
func writtenKey(item value, r *rule) string {
	if r.key == "." {
		item = canonical(item, r.item())
	}
	return keyOf(item, r)
}

// same reports whether two versions mean the same.
func same(a, b version) bool { return string(a.meant.encode()) == string(b.meant.encode()) }

// versions are the three of one place.
type versions struct{ base, theirs, ours version }

func (v versions) each(f func(version) version) versions {
	return versions{f(v.base), f(v.theirs), f(v.ours)}
}

// every reports whether something holds for what all three mean.
func (v versions) every(f func(value) bool) bool {
	return f(v.base.meant) && f(v.theirs.meant) && f(v.ours.meant)
}

// exist reports whether there is a version.
func (v versions) exist() bool {
	return !v.every(func(v value) bool { return v.kind == missing })
}

// beside returns the versions of two places as those of one.
func (v versions) beside(w versions) versions {
	both := func(a, b version) version {
		return version{meant: value{kind: list, items: []value{a.meant, b.meant}}}
	}
	return versions{both(v.base, w.base), both(v.theirs, w.theirs), both(v.ours, w.ours)}
}

func (v versions) get(name string, r *rule) versions {
	return v.each(func(v version) version { return v.get(name, r) })
}

// keep reports whether what infrastructure has can stay: the pipeline changed
// nothing, or did the same.
func (v versions) keep() bool { return same(v.base, v.ours) || same(v.theirs, v.ours) }

// settled returns the result where no more than one side changed something, or
// both did the same.
func (v versions) settled() (value, bool) {
	switch {
	case v.keep():
		return v.theirs.written, true
	case same(v.base, v.theirs):
		return v.ours.written, true
	}
	return value{}, false
}

// filled returns the versions with an empty object or list for a missing one
// that means it.
func (v versions) filled(r *rule) versions {
	return v.each(func(v version) version {
		if v.meant.kind == missing && (r.absent == "{}" || r.absent == "[]") {
			v.meant.kind = r.kind
		}
		return v
	})
}

// are reports whether there are two sides of a kind to merge part by part. The
// base may be missing.
func (v versions) are(k kind) bool {
	return v.theirs.meant.kind == k && v.ours.meant.kind == k && (v.base.meant.kind == k || v.base.meant.kind == missing)
}

// groups are the versions of the items of a set, by their keys.
type groups struct{ base, theirs, ours map[string]version }

func (v versions) groups(r *rule) groups {
	return groups{v.base.groups(r), v.theirs.groups(r), v.ours.groups(r)}
}

func (g groups) of(key string) versions {
	return versions{g.base[key], g.theirs[key], g.ours[key]}
}

// keys returns the keys of all three, sorted.
func (g groups) keys() []string {
	all := maps.Clone(g.base)
	maps.Copy(all, g.theirs)
	maps.Copy(all, g.ours)
	return slices.Sorted(maps.Keys(all))
}
