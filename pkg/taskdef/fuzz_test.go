package taskdef

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/mistake"
)

// documents are the definitions in testdata and some that are small and odd.
func documents(f *testing.F) []string {
	f.Helper()
	all := []string{
		`{"family":"f","containerDefinitions":[{"name":"c"}]}`,
		`{"family":"f","containerDefinitions":[{"name":"c","environment":[{"name":"A"},{"name":"A","value":"2"}],"secrets":null,"cpu":0e0}],"tags":{}}`,
		`{"taskDefinition":{"family":"\ud800","containerDefinitions":[{"name":"\u0000","command":[[]],"portMappings":[{"containerPort":80,"hostPort":80}]}],"networkMode":"host","cpu":"1vcpu"},"tags":[{},{"key":"aws:"},null,1]}`,
		` [ 1.0 , -0 , 1e3, 12345678901234567890, "\u00e9\/", null, true, {"":{}, "a" : []} ] `,
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("no testdata: %v", err)
	}
	for _, name := range files {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, string(archive.Files[0].Data))
	}
	return all
}

// Reading and encoding gives the same bytes, less white space; all valid JSON is
// read, but for what is refused on purpose.
func FuzzParse(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readJSON(data)
		if err != nil {
			purpose := strings.Contains(err.Error(), "given twice") || strings.Contains(err.Error(), "nested deeper") || strings.Contains(err.Error(), "expected at most")
			if json.Valid(data) && utf8.Valid(data) && !purpose {
				t.Fatalf("valid JSON is refused: %v", err)
			}
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, data); err != nil {
			t.Fatalf("invalid JSON is read: %v", err)
		}
		if got := v.encode(); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("encoded\n%s\nwant\n%s", got, want.Bytes())
		}
		d, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(d.RegisterInput())
		if err != nil {
			t.Fatalf("RegisterInput cannot be read: %v", err)
		}
		if !bytes.Equal(again.RegisterInput(), d.RegisterInput()) {
			t.Fatalf("RegisterInput of itself is\n%s\nwant\n%s", again.RegisterInput(), d.RegisterInput())
		}
	})
}

// Whatever a file holds, what is read of it is JSON that can be registered.
func FuzzParseFile(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add("task.yaml", []byte(doc))
	}
	f.Add("task.yaml", []byte("x: &a {user: '1'}\nfamily: f\ncontainerDefinitions:\n- <<: *a\n  name: c\n  cpu: 0x10\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		d, err := ParseFile(name, data)
		if err != nil {
			if !mistake.Is(err, mistake.TaskDefinition) || !strings.HasPrefix(err.Error(), name+": ") {
				t.Fatalf("the error is no mistake that names the file: %v", err)
			}
			return
		}
		again, err := Parse(d.RegisterInput())
		if err != nil {
			t.Fatalf("RegisterInput cannot be read: %v\n%s", err, d.RegisterInput())
		}
		if !Equal(d, again) {
			t.Fatalf("RegisterInput is another definition: %v", Diff(d, again))
		}
	})
}

// Asking for nothing changes nothing; asking twice changes no more than asking
// once; what was asked for is there.
func FuzzRevise(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add([]byte(doc), "image:2", "LOG_LEVEL", "debug", "DB_PASSWORD", "512")
	}
	f.Fuzz(func(t *testing.T, data []byte, image, name, content, secret, cpu string) {
		base, err := Parse(data)
		if err != nil {
			return
		}
		same, err := base.Revise(Change{})
		if err != nil || !bytes.Equal(same.doc.encode(), base.doc.encode()) || !Equal(base, same) {
			t.Fatalf("revised with nothing: %v\n%s\nwant\n%s", err, same.doc.encode(), base.doc.encode())
		}
		container := base.Containers()[0].Name
		change := Change{
			DefaultContainer: container,
			Images:           map[string]string{container: image},
			Environment:      []Variable{{Name: name, Value: content}},
			Secrets:          []Variable{{Container: container, Name: secret, Value: content}},
			CPU:              cpu,
			Command:          []string{content, name},
			Tags:             []Tag{{name, content}},
		}
		revised, err := base.Revise(change)
		if err != nil {
			return
		}
		twice, err := revised.Revise(change)
		if err != nil || !bytes.Equal(twice.doc.encode(), revised.doc.encode()) {
			t.Fatalf("revised twice: %v\n%s\nwant\n%s", err, twice.doc.encode(), revised.doc.encode())
		}
		c := revised.doc.get("containerDefinitions").items[0]
		for _, list := range []string{"environment", "secrets"} {
			seen := c.get(list).find("name", map[string]string{"environment": name, "secrets": secret}[list])
			if seen.kind == missing {
				t.Fatalf("%s lacks what was asked for: %s", list, c.encode())
			}
		}
		if (len(Diff(base, revised)) == 0) != Equal(base, revised) {
			t.Fatalf("Diff = %v, but Equal = %t", Diff(base, revised), Equal(base, revised))
		}
	})
}

// Definitions that differ in order and spelling only are Equal; for any two, be
// they near each other or not, Diff is empty exactly where they are.
func FuzzEqual(f *testing.F) {
	docs := documents(f)
	for i, doc := range docs {
		f.Add([]byte(doc), []byte(docs[(i+1)%len(docs)]), uint64(i))
		f.Add([]byte(doc), []byte(strings.Replace(doc, "0", "1", 1)), uint64(i))
	}
	f.Fuzz(func(t *testing.T, one, other []byte, seed uint64) {
		a, err := Parse(one)
		if err != nil {
			return
		}
		by := rand.New(rand.NewPCG(seed, 0))
		shuffled := Definition{shuffle(a.doc, taskDefinition, by)}
		if diff := Diff(a, shuffled); !Equal(a, shuffled) || len(diff) > 0 {
			t.Fatalf("not Equal: %v\n%s\n%s", diff, a.doc.encode(), shuffled.doc.encode())
		}
		others := []Definition{{mutate(a.doc, by)}, {mutate(mutate(a.doc, by), by)}}
		if b, err := Parse(other); err == nil {
			others = append(others, b)
		}
		for _, b := range others {
			if diff := Diff(a, b); (len(diff) == 0) != Equal(a, b) || Equal(a, b) != Equal(b, shuffled) {
				t.Fatalf("Equal = %t, the other way %t, Diff = %v\n%s\n%s", Equal(a, b), Equal(b, shuffled), diff, a.doc.encode(), b.doc.encode())
			}
		}
	})
}

// Whatever three documents hold: who stands still changes nothing, merging twice
// is merging once, the pipeline's images stay, nothing comes twice, and where
// nobody disagrees it does not matter who is who.
func FuzzMerge(f *testing.F) {
	docs := documents(f)
	for i, doc := range docs {
		for seed := range uint64(8) {
			f.Add([]byte(doc), []byte(docs[(i+1)%len(docs)]), seed)
		}
	}
	f.Fuzz(func(t *testing.T, one, other []byte, seed uint64) {
		base, err := Parse(one)
		if err != nil {
			return
		}
		by := rand.New(rand.NewPCG(seed, 1))
		theirs, ours := variant(base, by), variant(base, by)
		if d, err := Parse(other); err == nil && by.IntN(4) == 0 {
			ours = variant(d, by)
		}
		for _, still := range []struct{ base, theirs, ours, want Definition }{
			{base, base, ours, ours}, {base, theirs, base, theirs}, {base, theirs, theirs, theirs},
		} {
			if got, found := Merge(still.base, still.theirs, still.ours); !Equal(got, still.want) || len(found) > 0 {
				t.Fatalf("conflicts %v, differences %v\n%s\n%s\n%s", found, Diff(still.want, got), still.base.doc.encode(), still.theirs.doc.encode(), still.ours.doc.encode())
			}
		}
		merged, found := Merge(base, theirs, ours)
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf(format+"\nbase   %s\ntheirs %s\nours   %s\nmerged %s", append(args, base.doc.encode(), theirs.doc.encode(), ours.doc.encode(), merged.doc.encode())...)
		}
		if _, err := Parse(merged.RegisterInput()); err != nil {
			fail("merged cannot be read: %v", err)
		}
		if again, _ := Merge(base, theirs, merged); !Equal(again, merged) {
			fail("merging again changes %v", Diff(merged, again))
		}
		listed := wellFormed(base) && wellFormed(theirs) && wellFormed(ours)
		if len(found) == 0 && listed {
			if swapped, found := Merge(base, ours, theirs); !Equal(swapped, merged) || len(found) > 0 {
				fail("the other way round there are conflicts %v, differences %v", found, Diff(merged, swapped))
			}
		}
		for _, c := range merged.Containers() {
			if image := ours.Image(c.Name); image != "" && image != base.Image(c.Name) && image != c.Image {
				fail("container %s has lost the pipeline's image %s", c.Name, image)
			}
		}
		before := twice(theirs) + twice(ours)
		for _, name := range strings.Split(twice(merged), "\n") {
			if !strings.Contains(before, name) && listed {
				fail("%s is there twice", name)
			}
		}
	})
}

// variant changes a few places of a definition, so that it still is one: any
// places, or those that pipelines change.
func variant(d Definition, by *rand.Rand) Definition {
	a := func(all ...string) string { return all[by.IntN(len(all))] }
	for range by.IntN(5) {
		if changed, err := Parse(mutate(d.doc, by).encode()); err == nil && by.IntN(2) == 0 {
			d = changed
			continue
		}
		all := d.Containers()
		container := all[by.IntN(len(all))].Name
		v := Variable{container, a("A", "B", "LOG_LEVEL"), a("1", "2", "")}
		change := []Change{
			{Images: map[string]string{container: a("i:1", "i:2")}},
			{Environment: []Variable{v}},
			{Secrets: []Variable{v}},
			{RemoveEnvironment: []VariableName{{container, v.Name}}},
			{Tags: []Tag{{v.Name, v.Value}}, CPU: a("256", "512")},
		}[by.IntN(5)]
		if changed, err := d.Revise(change); err == nil {
			d = changed
		}
	}
	return d
}

// twice names what is in a definition twice: variables be they secrets or not,
// volumes and tags.
func twice(d Definition) string {
	var all strings.Builder
	count := func(where, key string, lists ...value) {
		seen := map[string]bool{}
		for _, l := range lists {
			for _, item := range l.items {
				name := item.get(key).str()
				if name != "" && seen[name] {
					all.WriteString(quote(where+"/"+name) + "\n")
				}
				seen[name] = true
			}
		}
	}
	for _, c := range d.doc.get("containerDefinitions").items {
		count("variable of "+c.get("name").str(), "name", c.get("environment"), c.get("secrets"))
	}
	count("volume", "name", d.doc.get("volumes"))
	count("tag", "key", d.doc.get("tags"))
	return all.String()
}

// wellFormed reports whether sets are lists.
func wellFormed(d Definition) bool {
	ok := true
	check := func(v value, names ...string) {
		for _, name := range names {
			if k := v.get(name).kind; k != missing && k != list {
				ok = false
			}
		}
	}
	check(d.doc, "volumes", "tags")
	for _, c := range d.doc.get("containerDefinitions").items {
		check(c, "environment", "secrets")
	}
	return ok
}

// Whatever a provenance says, ECS takes its tags, they read as what was meant,
// and it changes nothing else.
func FuzzProvenance(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add([]byte(doc), "4711", "shop / Deploy [prod]", "0b1c2d3e", "sha256:94af", "shop:17")
		f.Add([]byte(doc), "", " = =5B a=", strings.Repeat("日本[", 100), "\xff\ufffd", strings.Repeat("x", 257))
	}
	f.Fuzz(func(t *testing.T, data []byte, build, pipeline, commit, digest, base string) {
		d, err := Parse(data)
		if tags := d.doc.get("tags").kind; err != nil || tags != list && tags != missing {
			return
		}
		given := Provenance{build, pipeline, commit, digest, base}
		marked, err := d.WithProvenance(given)
		if err != nil {
			return
		}
		read, ok := marked.Provenance()
		if ok != (given != Provenance{}) {
			t.Fatalf("provenance is there: %t, of %q", ok, given)
		}
		for i, tag := range given.tags() {
			stored := marked.doc.get("tags").find("key", tag.key).get("value").str()
			if back := *read.tags()[i].value; back != *tag.value && utf8.RuneCountInString(stored) < maxTagValue-10 {
				t.Errorf("%q reads as %q", *tag.value, back)
			}
			if again := tagValue(*read.tags()[i].value); again != stored {
				t.Errorf("%q, read and written again, is %q", stored, again)
			}
			if !inTags.MatchString(stored) {
				t.Errorf("ECS does not take %q", stored)
			}
		}
		if pipeline != "" && (!given.SamePipeline(read) || !read.SamePipeline(given)) {
			t.Errorf("%q is not the pipeline %q", read.Pipeline, pipeline)
		}
		if !Equal(d, marked) || len(Diff(d, marked)) > 0 {
			t.Errorf("provenance is a difference: %v", Diff(d, marked))
		}
		if again, err := marked.WithProvenance(given); err != nil || !bytes.Equal(again.doc.encode(), marked.doc.encode()) {
			t.Errorf("%v: provenance twice is\n%s\nwant\n%s", err, again.doc.encode(), marked.doc.encode())
		}
		without := marked.WithoutProvenance()
		if p, ok := without.Provenance(); ok {
			t.Errorf("without provenance there is %+v", p)
		}
		if got, want := without.RegisterInput(), d.WithoutProvenance().RegisterInput(); !bytes.Equal(got, want) {
			t.Errorf("without provenance:\n%s\nwant\n%s", got, want)
		}
	})
}

// inTags is what ECS takes in the value of a tag (API reference, Tag, value).
var inTags = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)

// mutate changes one place of a value: something goes, comes twice, trades places
// or is another thing altogether.
func mutate(v value, by *rand.Rand) value {
	things := []string{`0`, `""`, `"tcp"`, `true`, `null`, `[]`, `{}`, `[{"name":"a"},{"name":"a","value":""}]`, `{"name":""}`, `["a"]`}
	thing, _ := readJSON([]byte(things[by.IntN(len(things))]))
	n := len(v.items) + len(v.members)
	if n == 0 {
		return thing
	}
	i := by.IntN(n)
	if v.kind == list {
		v.items = append([]value(nil), v.items...)
		switch by.IntN(6) {
		case 0:
			v.items = append(v.items[:i], v.items[i+1:]...)
		case 1:
			v.items = append(v.items, v.items[i])
		case 2:
			v.items[0], v.items[i] = v.items[i], v.items[0]
		case 3:
			v.items = append(v.items, thing)
		default:
			v.items[i] = mutate(v.items[i], by)
		}
		return v
	}
	m := v.members[i]
	switch by.IntN(8) {
	case 0:
		return v.without(m.name)
	case 1:
		return v.with(m.name, thing)
	case 2:
		return v.with([]string{"value", "hostPort", "essential", "unknown", "name"}[by.IntN(5)], thing)
	}
	return v.with(m.name, mutate(m.value, by))
}

// shuffle writes a value in another way that means the same.
func shuffle(v value, r *rule, by *rand.Rand) value {
	members := make([]member, len(v.members))
	for i, j := range by.Perm(len(v.members)) {
		m := v.members[j]
		members[i] = member{raw: respell(m.raw), name: m.name, value: shuffle(m.value, r.of(m.name), by)}
	}
	items := make([]value, len(v.items))
	for i, item := range v.items {
		items[i] = shuffle(item, r.item(), by)
	}
	if r.key != "" && hasKeys(v, r) {
		by.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	v.members, v.items = members, items
	switch v.kind {
	case text:
		v.raw = respell(v.raw)
	case number:
		if !strings.ContainsAny(v.raw, "eE") {
			v.raw += "e0"
		}
	}
	return v
}

// respell escapes the letters e of a string, unless an escape is near.
func respell(raw string) string {
	if strings.Contains(raw, `\`) || strings.ContainsRune(raw, utf8.RuneError) {
		return raw
	}
	return strings.ReplaceAll(raw, "e", `\u0065`)
}
