package recording

// Redaction: a record tells what AWS answered, and not to whom. Each member of the
// format says by its tag what it may hold, and is replaced accordingly: names by
// what they are and a number, ids by a number in the same form, so that equal ones
// stay equal and the rules that read them still do. Texts of AWS keep their words.

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// noAccount stands for the number of every account.
const noAccount = "000000000000"

// sensitive is what texts are searched for. Compiling it takes a while, which no step
// has to wait for before its first line.
var sensitive = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(strings.Join(sensitiveForms, "|")) })

// sensitiveForms are tried one after the other at each place. The names of the groups say
// how a match is replaced.
var sensitiveForms = []string{
	`(?P<arn>\barn:aws[\w-]*:[\w-]*:[\w-]*:\d*:[^\s'"(),;\]}<>]+)`,
	`(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s'"<>)\]]+)`,
	`(?P<image>\b[A-Za-z0-9][\w.-]*\.[a-z]{2,}(?::\d+)?/[\w./:@+-]+)`,
	`(?P<digest>\bsha(?:256|512):[0-9a-fA-F]{8,})`,
	`(?P<email>[\w.+-]+@[\w.-]+\.[A-Za-z]{2,})`,
	`(?P<ip6>(?:\b[0-9a-fA-F]{1,4}:|::)(?:[0-9a-fA-F]{0,4}:){1,7}[0-9a-fA-F]{0,4})`,
	`(?P<id>\becs-svc/\w+|\bd-[0-9A-Z]{9}\b|\becs-pause-\w+|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{16,}\b)`,
	`(?P<resource>\b(?:i|eni|eni-attach|subnet|sg|vpc|vpce|fs|fsap|vol|nat|igw|rtb|lt|ami|snap|cap)-[0-9a-f]{8,17}\b)`,
	`(?P<key>\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,})`,
	`(?P<ip4>\b\d{1,3}(?:\.\d{1,3}){3}\b)`,
	`(?P<host>\b(?:[A-Za-z0-9-]+\.)+(?:com|net|org|io|dev|cloud|internal|local|aws|app|cn|eu|de|uk|co)\b)`,
	`(?P<number>\d{12,})`,
	`(?P<quoted>"[^"]*"|(?:^|[\s(\[{=:,])'[^']*'|` + "`[^`]*`" + `)`,
}

// ordinary are words of AWS's own messages: a service or a container with such a
// name is recognised by nobody, and without the word the text says something else.
var ordinary = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, word := range strings.Fields(`a about access account action active address addresses agent alarm already also an and any are attempt attribute
		be because been by can cannot capacity check checks circuit client cluster code codes command constraint container containers could cpu create created
		deployment deployments deregister desired did does draining due ecr ecs elb enough error errors essential event exceeded execution exit exited exist
		failed failure fargate fetch file find for found from group groups had has have health healthy hook host http id image images in initializing instance
		instances insufficient interface internal invalid is it launch limit load location log logs manifest memory met met. more name network new no not number of
		old on one or parameter pending permission place port ports primary process provider provisioning pull pulled quota rate reached reason register
		registered registry request requirements resource resources retry revision role rolling rollback running secret secrets service services set spot
		start started starting state steady stop stopped stopping subnet subnets success succeeded tag target targets task tasks test than that the there this
		throttled throttling time timeout to token traffic type unable unavailable unhealthy update updated user value version volume was were when which with
		within without you your zone`) {
		all[word] = true
	}
	return all
})

// aliases replaces what tells whose run it was, each thing by one alias.
type aliases struct {
	redact func(string) string // secrets that the run knows; may be nil
	hidden []string            // values of variables
	names  map[string]string   // alias by name
	counts map[string]int      // aliases by kind
	sorted []string            // names that texts are searched for, longest first; nil after a new one
	texts  map[string]string   // what texts became: readings repeat them
	quotes map[string]string   // alias by what stands in quotation marks and is no name that is known
}

func newAliases(redact func(string) string) *aliases {
	return &aliases{redact: redact, names: map[string]string{}, counts: map[string]int{}, texts: map[string]string{}, quotes: map[string]string{}}
}

// hide has values replaced wherever they stand by themselves, each of their lines
// too: a text may show one.
func (a *aliases) hide(values []string) {
	for _, value := range values {
		for _, part := range append(strings.Split(value, "\n"), value) {
			if part = strings.TrimSpace(part); utf8.RuneCountInString(part) >= 4 && !ordinary()[strings.ToLower(part)] && !slices.Contains(a.hidden, part) {
				a.hidden = append(a.hidden, part)
			}
		}
	}
	slices.SortFunc(a.hidden, func(x, y string) int { return cmp.Or(len(y)-len(x), cmp.Compare(x, y)) })
}

// number is the next of a kind.
func (a *aliases) number(kind string) int {
	a.counts[kind]++
	return a.counts[kind]
}

// alias is what stands for a text: the same for the same text.
func (a *aliases) alias(text string, make func() string) string {
	known, ok := a.names[text]
	if !ok {
		known = make()
		a.names[text], a.sorted = known, nil
	}
	return known
}

// name is the alias of a name, which may be an ARN.
func (a *aliases) name(kind, name string) string {
	switch {
	case name == "":
		return ""
	case strings.HasPrefix(name, "arn:"):
		return a.arn(name)
	}
	return a.alias(name, func() string { return fmt.Sprintf("%s-%d", kind, a.number(kind)) })
}

var (
	hexID  = regexp.MustCompile(`^[0-9a-f]{16,}$`)
	uuidID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

// id is the alias of an id in the same form: what groups texts by their form, and
// what finds an id in a text, still does.
func (a *aliases) id(id string) string {
	if id == "" {
		return ""
	}
	if number, is := strings.CutPrefix(id, "ecs-svc/"); is {
		return "ecs-svc/" + a.id(number)
	}
	return a.alias(id, func() string {
		n := a.number("id")
		switch {
		case hexID.MatchString(id):
			return fmt.Sprintf("%0*x", len(id), n)
		case uuidID.MatchString(id):
			return fmt.Sprintf("00000000-0000-0000-0000-%012x", n)
		case strings.HasPrefix(id, "d-"):
			return fmt.Sprintf("d-%09d", n)
		case strings.HasPrefix(id, "ecs-pause-"):
			return fmt.Sprintf("ecs-pause-%d", n)
		}
		return fmt.Sprintf("%d", n)
	})
}

// kinds are those of names in ARNs, by the type of the resource.
var kinds = map[string]string{
	"task-definition": "family", "targetgroup": "targetGroup", "role": "role", "cluster": "cluster", "secret": "secret", "parameter": "parameter",
	"repository": "repository", "log-group": "logGroup", "alarm": "alarm", "loadbalancer": "balancer", "function": "function",
}

// arn is an ARN of no account and region, with the same kind of resource.
func (a *aliases) arn(arn string) string {
	if arn == "" {
		return ""
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || len(parts[2]) > 40 || !plainWord.MatchString(parts[2]) {
		return a.name("resource", strings.ReplaceAll(arn, ":", "."))
	}
	end := strings.IndexAny(parts[5], "/:")
	if end < 0 || end > 40 || !plainWord.MatchString(parts[5][:end]) {
		return "arn:aws:" + parts[2] + "::" + noAccount + ":" + a.name("resource", parts[5])
	}
	kind, separator := parts[5][:end], parts[5][end:end+1]
	segments := strings.FieldsFunc(parts[5][end+1:], func(r rune) bool { return r == '/' })
	for i, s := range segments {
		segments[i] = a.segment(kind, i, len(segments), s)
	}
	return "arn:aws:" + parts[2] + "::" + noAccount + ":" + kind + separator + strings.Join(segments, "/")
}

// segment is part i of n of the name of a resource.
func (a *aliases) segment(kind string, i, n int, text string) string {
	inService := kind == "service" || kind == "task" || kind == "container-instance" || kind == "service-deployment" || kind == "service-revision" || kind == "task-set"
	switch {
	case !strings.ContainsFunc(text, alphanumeric):
		return text // such as the … of an id that was cut out before
	case kind == "task-definition":
		family, revision, found := strings.Cut(text, ":")
		if !found || strings.Trim(revision, "0123456789") != "" {
			return a.name("family", text)
		}
		return a.name("family", family) + ":" + revision
	case inService && i == 0 && n > 1:
		return a.name("cluster", text)
	case inService && i == 1 && n > 2, kind == "service":
		return a.name("service", text)
	case inService, i > 0 && hexID.MatchString(text):
		return a.id(text)
	}
	return a.name(cmp.Or(kinds[kind], "resource"), text)
}

// code is a word of AWS's or of ours; anything else is not kept.
func (a *aliases) code(text string) string {
	if len(text) <= 64 && codeWord.MatchString(text) && (a.redact == nil || a.redact(text) == text) {
		return text
	}
	if text == "" {
		return ""
	}
	return "…"
}

var (
	plainWord  = regexp.MustCompile(`^[a-z][a-z-]*$`)
	codeWord   = regexp.MustCompile(`^[A-Za-z][A-Za-z_.]*[0-9]{0,3}$`)
	actionWord = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z]+$`)
)

// text is a text of AWS without secrets, names and ids.
func (a *aliases) text(text string) string {
	if done, known := a.texts[text]; known || text == "" {
		return done
	}
	plain := text
	if a.redact != nil {
		plain = a.redact(plain)
	}
	for _, value := range a.hidden {
		plain = replaceWord(plain, value, "***")
	}
	plain = a.parts(clip(strings.ToValidUTF8(plain, "�")))
	a.texts[text] = plain
	return plain
}

// parts replaces what is sensitive by its form, and names in between.
func (a *aliases) parts(text string) string {
	var b strings.Builder
	names := sensitive().SubexpNames()
	end := 0
	for _, m := range sensitive().FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(a.words(text[end:m[0]]))
		for g := 1; g < len(names); g++ {
			if m[2*g] >= 0 && names[g] != "" {
				b.WriteString(a.form(names[g], text[m[0]:m[1]]))
				break
			}
		}
		end = m[1]
	}
	b.WriteString(a.words(text[end:]))
	return b.String()
}

// form replaces a match of a kind.
func (a *aliases) form(kind, match string) string {
	kept := strings.TrimRight(match, ".:,;")
	rest := match[len(kept):]
	numbered := func(format string) string {
		return a.alias(kept, func() string { return fmt.Sprintf(format, a.number(kind)) }) + rest
	}
	switch kind {
	case "arn":
		return a.arn(kept) + rest
	case "url":
		return numbered("https://host.example/%d")
	case "image":
		return numbered("registry.example/image-%d")
	case "digest":
		return numbered("sha256:%064x")
	case "email":
		return numbered("user-%d@host.example")
	case "ip6":
		if _, err := netip.ParseAddr(match); err != nil {
			return a.words(match) // a time, or a class of some language
		}
		return a.alias(match, func() string { return fmt.Sprintf("2001:db8::%x", a.number(kind)) })
	case "id":
		return a.id(match)
	case "resource":
		dash := strings.LastIndexByte(match, '-')
		return a.alias(match, func() string { return fmt.Sprintf("%s-%017x", match[:dash], a.number(kind)) })
	case "key":
		return "***"
	case "ip4":
		return a.alias(match, func() string { n := a.number(kind); return fmt.Sprintf("198.18.%d.%d", n/256%256, n%256) })
	case "host":
		if strings.HasSuffix(match, ".amazonaws.com") && strings.Count(match, ".") <= 3 && strings.Trim(match, "abcdefghijklmnopqrstuvwxyz-.0123456789") == "" {
			service, _, _ := strings.Cut(match, ".")
			if a.names[service] == "" && len(service) <= 24 && strings.Trim(service, "abcdefghijklmnopqrstuvwxyz-") == "" {
				return match
			}
		}
		return numbered("host-%d.example")
	case "number":
		return noAccount
	}
	return a.quoted(match)
}

// quoted is a text in quotation marks, which AWS sets around what users named: its
// alias where it is known.
func (a *aliases) quoted(match string) string {
	open := strings.IndexAny(match, "\"'`")
	before, quote, inner := match[:open], match[open:open+1], match[open+1:len(match)-1]
	if inner == "" {
		return match
	}
	alias, known := a.names[inner]
	switch {
	case known:
	case strings.HasPrefix(inner, "arn:"):
		alias = a.arn(inner)
	default:
		alias = a.quote(inner)
	}
	return before + quote + alias + quote
}

// quote is the alias of what is quoted: … for the first text, …2 for the second one.
// Reasons that differ only there stay different, as the rules that count them need.
func (a *aliases) quote(inner string) string {
	alias, known := a.quotes[inner]
	if !known {
		if alias = "…"; len(a.quotes) > 0 {
			alias += fmt.Sprint(len(a.quotes) + 1)
		}
		a.quotes[inner] = alias
	}
	return alias
}

// shortName is a name that is too short to be searched for in a text.
const shortName = 3

// words replaces names that are known.
func (a *aliases) words(text string) string {
	if a.sorted == nil {
		for name := range a.names {
			if utf8.RuneCountInString(name) >= shortName && !ordinary()[strings.ToLower(name)] {
				a.sorted = append(a.sorted, name)
			}
		}
		slices.SortFunc(a.sorted, func(x, y string) int { return cmp.Or(len(y)-len(x), cmp.Compare(x, y)) })
	}
	// Aliases that are there already are not searched for names again.
	pieces := []piece{{text, false}}
	for _, name := range a.sorted {
		if !strings.Contains(text, name) {
			continue
		}
		var next []piece
		for _, p := range pieces {
			if p.done {
				next = append(next, p)
				continue
			}
			rest := p.text
			for {
				i := indexWord(rest, name)
				if i < 0 {
					break
				}
				next = append(next, piece{rest[:i], false}, piece{a.names[name], true})
				rest = rest[i+len(name):]
			}
			next = append(next, piece{rest, false})
		}
		pieces = next
	}
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

type piece struct {
	text string
	done bool
}

// indexWord finds a word: what neither continues letters or digits before it nor
// is continued by some.
func indexWord(text, word string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 || word == "" {
			return -1
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(word):])
		if !alphanumeric(before) && !alphanumeric(after) {
			return i
		}
		from = i + 1
		for from < len(text) && !utf8.RuneStart(text[from]) {
			from++
		}
	}
}

func alphanumeric(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func replaceWord(text, word, with string) string {
	var b strings.Builder
	for {
		i := indexWord(text, word)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i] + with)
		text = text[i+len(word):]
	}
}

// clip cuts a text to maxText characters.
func clip(text string) string {
	if utf8.RuneCountInString(text) <= maxText {
		return text
	}
	return string([]rune(text)[:maxText-1]) + "…"
}

// walk calls replace with every string in v and what its tag says it is.
func walk(v reflect.Value, is string, replace func(is, text string) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), is, replace)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && v.Type().PkgPath() == reflect.TypeFor[File]().PkgPath() {
				walk(v.Field(i), f.Tag.Get("is"), replace)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), is, replace)
		}
	case reflect.String:
		v.SetString(replace(is, v.String()))
	}
}

// anonymise replaces everything in a file that tells whose it is. Names are
// learned first, so that texts which came before them lose them too; further ones
// are given by their kinds.
func (a *aliases) anonymise(f *File, further map[string][]string) {
	walk(reflect.ValueOf(f), "", func(is, text string) string {
		switch is {
		case "id":
			a.id(text)
		case "arn":
			a.arn(text)
		case "text", "code", "ours", "phrase", "action":
		default:
			a.name(is, text)
		}
		return text
	})
	for _, kind := range slices.Sorted(maps.Keys(further)) {
		for _, name := range further[kind] {
			a.name(kind, name)
		}
	}
	walk(reflect.ValueOf(f), "", func(is, text string) string {
		switch is {
		case "id":
			return a.id(text)
		case "arn":
			return a.arn(text)
		case "text":
			return a.text(text)
		case "code":
			return a.code(text)
		case "action":
			if text != "" && (len(text) > 120 || !actionWord.MatchString(text)) {
				return "…"
			}
			return text
		case "ours", "phrase":
			return text
		}
		return a.name(is, text)
	})
}
