package taskdef

// Provenance: where a revision came from, kept in tags of its own. A revision
// that has none of them was registered by infrastructure. ECS takes few
// characters in a tag and not many of them, so values are written in an escaped
// form that reads back as what was meant.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What ECS takes in tags (API reference, RegisterTaskDefinition, tags). Those of
// AWS itself do not count.
const (
	maxTags     = 50
	maxTagValue = 256 // characters
)

// Provenance is where a revision came from. Members that are "" are not known
// and have no tag.
type Provenance struct {
	BuildID    string // of the build that the image came from, as Azure DevOps numbers builds: the tag ecs-deploy:build-id
	Tag        string // of the image, which need not be the id of its build
	Pipeline   string // that made the build, as people know it
	PipelineID string // of that pipeline, which stays when it is renamed
	Commit     string // that was built
	Digest     string // of the image, sha256:…
	Base       string // the revision of infrastructure that it was made from, family:revision
	Secrets    string // versions of the secrets that its containers read, as SecretVersions writes them
}

// UnprovenTag marks a revision whose deployment succeeded while no task of it ran,
// since the service's desired count was 0: that proves nothing of it.
const UnprovenTag = "ecs-deploy:unproven"

// MigratedTag marks a revision for which a migration has succeeded. Its value says
// which: one that is not the same has yet to run.
const MigratedTag = "ecs-deploy:migrated"

// Migrated is the value of that tag; "" where there is none.
func (d Definition) Migrated() string {
	return d.doc.get("tags").find("key", MigratedTag).get("value").str()
}

// Unproven reports whether the revision is marked as one of which no task has run.
func (d Definition) Unproven() bool {
	return d.doc.get("tags").find("key", UnprovenTag).get("value").str() != ""
}

// provenanceTag is the key of a tag and the member that it holds.
type provenanceTag struct {
	key   string
	value *string
}

// tags are the members in the order of their tags.
func (p *Provenance) tags() []provenanceTag {
	return []provenanceTag{
		{"ecs-deploy:build-id", &p.BuildID},
		{"ecs-deploy:tag", &p.Tag},
		{"ecs-deploy:pipeline", &p.Pipeline},
		{"ecs-deploy:pipeline-id", &p.PipelineID},
		{"ecs-deploy:commit", &p.Commit},
		{"ecs-deploy:digest", &p.Digest},
		{"ecs-deploy:base", &p.Base},
		{"ecs-deploy:secrets", &p.Secrets},
	}
}

// SamePipeline reports whether both came from one pipeline that is known: by its
// id, or where one of them was registered before there were ids, by its name.
// Either may have been read from tags, where a value of more than 256 characters
// is cut.
func (p Provenance) SamePipeline(q Provenance) bool {
	if p.PipelineID != "" && q.PipelineID != "" {
		return tagValue(p.PipelineID) == tagValue(q.PipelineID)
	}
	return p.Pipeline != "" && tagValue(p.Pipeline) == tagValue(q.Pipeline)
}

// OlderThan reports whether p is an earlier build of the same pipeline than q.
// Only ids that are numbers have an order.
func (p Provenance) OlderThan(q Provenance) bool {
	a, errA := strconv.ParseUint(p.BuildID, 10, 64)
	b, errB := strconv.ParseUint(q.BuildID, 10, 64)
	return errA == nil && errB == nil && a < b && p.SamePipeline(q)
}

// ProvenanceIn is where the image of a container came from: what the revision's
// own tags say, or where infrastructure registered it again, those of the newest
// of the earlier revisions whose container has the same image. The earlier ones
// are given newest first. It reports false where none says so.
func (d Definition) ProvenanceIn(container string, earlier []Definition) (Provenance, bool) {
	if p, ok := d.Provenance(); ok {
		return p, true
	}
	image := d.Image(container)
	repository, tag := SplitImage(image)
	for _, e := range earlier {
		p, ok := e.Provenance()
		if !ok || image == "" {
			continue
		}
		theirs := e.Image(container)
		from, _ := SplitImage(theirs)
		if theirs == image || from == repository && tag != "" && (tag == p.Digest || tag == p.Tag) {
			return p, true
		}
	}
	return Provenance{}, false
}

// Provenance reads where the revision came from. It reports false where no tag
// says so: then the revision belongs to infrastructure.
func (d Definition) Provenance() (Provenance, bool) {
	var p Provenance
	for _, t := range p.tags() {
		*t.value = fromTagValue(d.doc.get("tags").find("key", t.key).get("value").str())
	}
	if base := d.Family() + p.Base; strings.HasPrefix(p.Base, ":") && len(base) > maxTagValue { // see WithProvenance
		p.Base = base
	}
	return p, p != Provenance{}
}

// WithProvenance returns the definition with tags that say where it came from,
// in the place of those that it has. Values are written so that ECS takes them
// and that [Definition.Provenance] reads them back; only one of more than 256
// characters is cut, and ends in a hash of the whole.
//
// It is an error if ECS would not take so many tags. Then nothing is added, for
// half of a provenance says little.
func (d Definition) WithProvenance(p Provenance) (Definition, error) {
	doc, added := d.doc.dropItem("tags", "key", UnprovenTag).dropItem("tags", "key", MigratedTag), 0
	if number, own := strings.CutPrefix(p.Base, d.Family()+":"); own && len(p.Base) > maxTagValue {
		p.Base = ":" + number // the name of a family may be as long as a tag; cut, it names no revision
	}
	for _, t := range p.tags() {
		if *t.value == "" {
			doc = doc.dropItem("tags", "key", t.key)
			continue
		}
		doc = doc.withPair("tags", "key", t.key, "value", tagValue(*t.value))
		added++
	}
	if own := len(d.WithoutProvenance().registered().get("tags").items); added > 0 && own+added > maxTags {
		return Definition{}, fmt.Errorf("tags: %s has %d; ECS takes at most %d, and %d more would say where the revision came from", d, own, maxTags, added)
	}
	return Definition{doc}, nil
}

// WithoutProvenance returns the definition without the tags of its provenance:
// for identities that may not tag, and for what is to belong to infrastructure.
func (d Definition) WithoutProvenance() Definition {
	doc, p := d.doc.dropItem("tags", "key", UnprovenTag).dropItem("tags", "key", MigratedTag), Provenance{}
	for _, t := range p.tags() {
		doc = doc.dropItem("tags", "key", t.key)
	}
	return Definition{doc}
}

// tagValue writes s in the characters that ECS takes in the value of a tag:
// letters, digits, spaces and + - = . _ : / @. All others, and spaces at either
// end, become =XX for each byte, as does = itself. What is too long ends in the
// beginning of its SHA-256, so that two values that differ stay different.
func tagValue(s string) string {
	const hash, dots = 16, "..."
	var b strings.Builder
	size, end := 0, 0 // in characters; in bytes, of what can stay before a hash
	for i, r := range s {
		_, width := utf8.DecodeRuneInString(s[i:])
		if isPlainInTag(r) && (r != ' ' || i > 0 && i < len(s)-1) {
			b.WriteRune(r)
			size++
		} else {
			for _, c := range []byte(s[i : i+width]) {
				fmt.Fprintf(&b, "=%02X", c)
				size += len("=XX")
			}
		}
		if size <= maxTagValue-hash-len(dots) {
			end = b.Len()
		}
	}
	if size <= maxTagValue {
		return b.String()
	}
	sum := sha256.Sum256([]byte(s))
	return b.String()[:end] + dots + hex.EncodeToString(sum[:hash/2])
}

// isPlainInTag reports whether a character stands for itself in the value of a
// tag. Letters beyond the basic plane do not: ECS may count them as two.
func isPlainInTag(r rune) bool {
	return r == ' ' || strings.ContainsRune("+-._:/@", r) ||
		r < 0x10000 && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// fromTagValue reads what tagValue wrote. A = that begins no =XX, since a person
// wrote it, stands for itself.
func fromTagValue(s string) string {
	var b strings.Builder
	for {
		before, after, escaped := strings.Cut(s, "=")
		b.WriteString(before)
		if !escaped {
			return b.String()
		}
		c, err := hex.DecodeString(after[:min(2, len(after))])
		if err != nil || len(c) == 0 {
			b.WriteByte('=')
			s = after
			continue
		}
		b.Write(c)
		s = after[2:]
	}
}
