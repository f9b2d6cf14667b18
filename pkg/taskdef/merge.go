package taskdef

// Merging three ways: infrastructure and pipeline both register revisions of one
// family. What infrastructure changed since the pipeline last looked flows in,
// what the pipeline changed stays, and where the two disagree it is said.

import (
	"cmp"
	"fmt"
	"slices"
)

// Whose value a conflict keeps.
const (
	infrastructure = "infrastructure"
	pipeline       = "pipeline"
)

// A Conflict is one place that infrastructure and the pipeline both changed, to
// different values.
type Conflict struct {
	Path string // as in Difference
	// Base is the value that both started from, Theirs infrastructure's, Ours the
	// pipeline's, each shown as in Difference: "" where there is none.
	Base, Theirs, Ours string
	Kept               string // "infrastructure" or "pipeline"
}

// String is the conflict in one line:
// "cpu: infrastructure 512, pipeline 1024, before 256; kept infrastructure's".
func (c Conflict) String() string {
	shown := func(s string) string { return cmp.Or(s, "(none)") }
	kept := "infrastructure's"
	if c.Kept == pipeline {
		kept = "the pipeline's"
	}
	return fmt.Sprintf("%s: infrastructure %s, pipeline %s, before %s; kept %s",
		c.Path, shown(c.Theirs), shown(c.Ours), shown(c.Base), kept)
}

// Merge brings what infrastructure changed into what the pipeline registered:
// base is the revision of infrastructure that the pipeline's was made from,
// theirs the newest revision of infrastructure, and ours the newest of the
// pipeline. The result is theirs with what the pipeline changed between base and
// ours; all else is theirs byte for byte, read-only members included.
//
// Where both changed one place to different values, infrastructure wins, but for
// the image of a container, which stays the pipeline's: infrastructure only
// knows the placeholder, or what ran some time ago. Every such place is a
// [Conflict]. An image that the pipeline left as it was in base is not its own:
// there infrastructure's new one comes in. What one side removed and the other
// left alone is gone; a container that has another name is one removed and one
// added.
//
// Members of objects are merged by their names and items of sets (containers,
// variables, tags, …) by their keys. Other lists are one value. So is a variable,
// be it in the environment or among the secrets: it never ends up in both.
//
// What a change is, [Equal] decides: neither what ECS fills in nor a
// [Provenance] is one, and that of ours is not in the result. The zero
// Definition stands for a revision that is not there. Without a base the result
// has what either side has; without one side it is the other.
//
// Merge does not see what refers to what: where the pipeline added a dependency
// on a container that infrastructure removed, it stays for ECS to refuse.
func Merge(base, theirs, ours Definition) (Definition, []Conflict) {
	v := versions{base.used(), theirs.whole(), ours.used()}
	switch {
	case ours.doc.kind == missing || same(v.base, v.ours):
		return theirs, nil
	case theirs.doc.kind == missing:
		return ours.WithoutProvenance(), nil
	}
	if theirs.NetworkMode() != ours.NetworkMode() {
		// What one network mode implies has to be given in another.
		v.theirs.written = impliedHostPorts(v.theirs.written)
		v.ours.written = impliedHostPorts(v.ours.written)
	}
	var m merger
	merged := Definition{m.merge("", v, taskDefinition)}
	if len(merged.Containers()) == 0 {
		merged = m.keepContainers(merged, v)
	}
	return merged, m.found
}

// keepContainers is for the task that would be left without a container, because
// each side removed what the other kept.
func (m *merger) keepContainers(merged Definition, v versions) Definition {
	const name = "containerDefinitions"
	kept := v.get(name, unknown)
	for _, c := range kept.theirs.meant.items {
		was := kept.base.meant.find("name", c.get("name").str())
		m.found = append(m.found, Conflict{c.get("name").str(), summary(was), summary(c), "", infrastructure})
	}
	return Definition{merged.doc.with(name, kept.theirs.written)}
}

// merger merges and collects the conflicts.
type merger struct{ found []Conflict }

// merge returns what the versions of one place become: a missing value where it
// is to be removed.
func (m *merger) merge(path string, v versions, r *rule) value {
	merged, settled := v.settled()
	parts := v.filled(r)
	switch {
	case v.keep():
		return merged
	case parts.are(object): // even if it is settled: much of it may be theirs
		return m.object(path, parts, r)
	case parts.are(list) && r.key != "":
		return m.set(path, parts, r, nil)
	case settled:
		return merged
	}
	return m.conflict(path, v, r)
}

// object merges objects by the names of their members.
func (m *merger) object(path string, v versions, r *rule) value {
	merged := v.theirs.written
	merged.kind = object
	var contested map[string]bool
	for _, name := range names(v.base.meant, v.theirs.meant, v.ours.meant) {
		at, of := join(path, name), r.of(name)
		member := v.get(name, of)
		if of.rival != "" && contested == nil {
			contested = m.contested(path, name, v, r)
		}
		var to value
		if parts := member.filled(of); of.rival != "" && parts.are(list) {
			to = m.set(at, parts, of, contested)
		} else {
			to = m.merge(at, member, of)
		}
		if to.kind == missing {
			merged = merged.without(name)
		} else {
			merged = merged.with(name, to)
		}
	}
	return merged.unlessEmpty(v.theirs.written)
}

// set merges sets by the keys of their items. Of contested keys it has what
// infrastructure has.
func (m *merger) set(path string, v versions, r *rule, contested map[string]bool) value {
	groups := v.groups(r)
	items := map[string][]value{}
	for _, key := range groups.keys() {
		g := groups.of(key)
		if contested[key] {
			items[key] = g.theirs.written.items
		} else {
			items[key] = m.group(path, key, g, r)
		}
	}
	// Infrastructure's stay in their places; what the pipeline added comes last.
	merged := value{kind: list}
	for _, item := range slices.Concat(v.theirs.written.items, v.ours.written.items) {
		key := writtenKey(item, r)
		if rest := items[key]; len(rest) > 0 {
			merged.items, items[key] = append(merged.items, rest[0]), rest[1:]
		}
	}
	return merged.unlessEmpty(v.theirs.written)
}

// unlessEmpty returns the value, or what was there instead of an empty one.
func (v value) unlessEmpty(was value) value {
	if len(v.items)+len(v.members) == 0 && was.kind != v.kind {
		return was
	}
	return v
}

// group merges the items of one key, of which there is rarely more than one.
func (m *merger) group(path, key string, v versions, r *rule) []value {
	at := path + " " + key
	if path == "containerDefinitions" {
		at = key
	}
	if !v.every(func(items value) bool { return len(items.items) < 2 }) {
		if merged, settled := v.settled(); settled {
			return merged.items
		}
		return m.conflict(at, v, r).items
	}
	v = v.each(version.only)
	var merged value
	if r.pair != "" && v.every(func(item value) bool { return isPair(item, r) }) {
		merged = m.pair(at, v, r.pair, r.item().of(r.pair))
	} else {
		merged = m.merge(at, v, r.item())
	}
	if merged.kind == missing {
		return nil
	}
	return []value{merged}
}

// pair merges items that are pairs: their place is that of the value.
func (m *merger) pair(path string, v versions, name string, r *rule) value {
	to := m.merge(path, v.get(name, r), r)
	switch {
	case to.kind == missing:
		return value{}
	case v.theirs.written.kind == missing:
		return v.ours.written
	}
	return v.theirs.written.with(name, to)
}

// contested finds the keys of which the two sides want different things in two
// sets that may not both have them, and notes them as conflicts.
func (m *merger) contested(path, name string, v versions, r *rule) map[string]bool {
	one := r.of(name)
	other := r.of(one.rival)
	here, there := v.get(name, one).groups(one), v.get(one.rival, other).groups(other)
	contested := map[string]bool{}
	for _, key := range here.keys() {
		a, b := here.of(key), there.of(key)
		if _, settled := a.beside(b).settled(); settled || key == "" || !b.exist() {
			continue
		}
		contested[key] = true
		shown := func(a, b version) string {
			return cmp.Or(showGroup(a.meant, one), showGroup(b.meant, other))
		}
		// The place is where infrastructure has it, or else where the pipeline has.
		at := join(path, name)
		if a.theirs.meant.kind == missing && (b.theirs.meant.kind != missing || a.ours.meant.kind == missing) {
			at = join(path, one.rival)
		}
		m.found = append(m.found, Conflict{at + " " + key,
			shown(a.base, b.base), shown(a.theirs, b.theirs), shown(a.ours, b.ours), infrastructure})
	}
	return contested
}

// showGroup is the items of a key as they may be shown.
func showGroup(items value, r *rule) string {
	if len(items.items) == 1 && isPair(items.items[0], r) {
		return show(items.items[0].get(r.pair), r.item().of(r.pair))
	}
	return show(items, r)
}

// conflict notes that both sides changed something, and returns what is kept.
// Where one side removed it, it notes each change that the other had made to it.
func (m *merger) conflict(path string, v versions, r *rule) value {
	kept, merged := infrastructure, v.theirs.written
	if r.ours && v.ours.meant.kind == r.kind {
		kept, merged = pipeline, v.ours.written
	}
	base, theirs, ours := v.base.meant, v.theirs.meant, v.ours.meant
	switch {
	case theirs.kind == missing:
		for _, d := range differences(path, base, ours, r) {
			m.found = append(m.found, Conflict{d.Path, d.Old, "", d.New, kept})
		}
	case ours.kind == missing:
		for _, d := range differences(path, base, theirs, r) {
			m.found = append(m.found, Conflict{d.Path, d.Old, d.New, "", kept})
		}
	default:
		m.found = append(m.found, Conflict{path, show(base, r), show(theirs, r), show(ours, r), kept})
	}
	return merged
}
