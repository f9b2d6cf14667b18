package main

// A reply is never trusted to be complete: every answer that a command gets is
// changed in every way that a broken proxy, a new version of a service, or somebody
// hostile could, and the run is judged by what truly happened.

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var (
	allReplies = flag.Bool("replies", false, "play every changed reply, and not a sample of them")
	oneReply   = flag.String("reply", "", "play the changed replies whose name matches")
	sample     = flag.Int("sample", 3, "how many changed replies of each drama, and how many faults, are played")
	seed       = flag.Uint64("seed", 0, "draws the sample of changed replies and of faults; 0 draws other replies every day")
)

// hostile are texts that would do something, were they printed as they are.
var hostile = []string{
	"##vso[task.setvariable variable=pwned]1",
	"x\n##vso[task.complete result=Succeeded]fine",
	"#\u200b#vso[task.setvariable variable=pwned]1\r##\u00advso[task.setsecret]a",
	"x\u2028##[error]no\u0085##vso[artifact.upload artifactname=a]/etc/passwd",
	"\x1b[2K##vso[task.setvariable variable=outcome;isoutput=true]succeeded",
}

// mutant is one changed reply.
type mutant struct {
	name   string // drama operation#number change
	number int    // of the operation's replies; 0 is every one
	change func(reply) reply
}

// whole are the changes of a whole reply.
func whole() map[string]func(reply) reply {
	as := func(kind, body string) func(reply) reply {
		return func(r reply) reply {
			h := r.header.Clone()
			h.Set("Content-Type", kind)
			return reply{http.StatusOK, h, []byte(body)}
		}
	}
	const json11 = "application/x-amz-json-1.1"
	return map[string]func(reply) reply{
		"empty object": as(json11, "{}"), "empty body": as(json11, ""), "null": as(json11, "null"), "list": as(json11, "[]"), "text": as(json11, `"ok"`),
		"HTML":              as("text/html", "<html><body>Sign in to ##vso[task.setvariable variable=pwned]1 the proxy</body></html>"),
		"200 with an error": as(json11, `{"__type":"ServerException","message":"##vso[task.setvariable variable=pwned]1"}`),
		"deep nesting":      as(json11, strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat("}", 9000)),
		"truncated":         func(r reply) reply { return reply{r.status, r.header, r.body[:len(r.body)/2]} },
		"one byte short":    func(r reply) reply { return reply{r.status, r.header, r.body[:max(len(r.body)-1, 0)]} },
		"hostile headers": func(r reply) reply {
			h := r.header.Clone()
			for name := range h {
				if name != "Content-Length" && name != "Content-Type" {
					h.Set(name, "##vso[task.setvariable variable=pwned]1")
				}
			}
			return reply{r.status, h, r.body}
		},
	}
}

// values are what a member is replaced by; the first one is its absence. deep is a value
// of many levels.
func values(was, deep any) map[string]any {
	all := map[string]any{"missing": absent{}, "null": nil, "hostile": hostile[0], "hostile lines": hostile[1], "hostile invisible": hostile[2], "hostile separators": hostile[3], "hostile escape": hostile[4]}
	switch was := was.(type) {
	case string:
		maps.Copy(all, map[string]any{"number": 7, "object": map[string]any{"a": 1}, "empty": "", "long": strings.Repeat("a", 70_000)})
	case json.Number:
		maps.Copy(all, map[string]any{"negative": -1, "huge": json.Number("1e300"), "beyond int64": json.Number("9223372036854775808"), "fraction": 0.5, "NaN": "NaN", "Infinity": "-Infinity", "list": []any{1}})
	case bool:
		maps.Copy(all, map[string]any{"other": !was, "number": 1})
	case []any:
		maps.Copy(all, map[string]any{"empty": []any{}, "of null": []any{nil}, "of text": []any{"a"}, "object": map[string]any{}, "nested": deep})
	case map[string]any:
		maps.Copy(all, map[string]any{"empty": map[string]any{}, "list": []any{}, "number": 7, "nested": deep})
	}
	return all
}

type absent struct{}

func nested(depth int) any {
	var v any = 1
	for range depth {
		v = map[string]any{"a": v}
	}
	return v
}

// paths are the members of a document, once for each name: of a list only the first
// element, of a document within a text, as the registry's, none.
func paths(v any, prefix string, visit func(path string, value any)) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			visit(prefix+"/"+key, v[key])
			paths(v[key], prefix+"/"+key, visit)
		}
	case []any:
		if len(v) > 0 {
			visit(prefix+"/0", v[0])
			paths(v[0], prefix+"/0", visit)
		}
	}
}

// replace returns the document with another value at path.
func replace(v any, path []string, by any) any {
	if len(path) == 0 {
		return by
	}
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		if _, gone := by.(absent); gone && len(path) == 1 {
			delete(out, path[0])
		} else {
			out[path[0]] = replace(v[path[0]], path[1:], by)
		}
		return out
	case []any:
		i, _ := strconv.Atoi(path[0])
		if i >= len(v) {
			return v
		}
		out := slices.Clone(v)
		if _, gone := by.(absent); gone && len(path) == 1 {
			return slices.Delete(out, i, i+1)
		}
		out[i] = replace(v[i], path[1:], by)
		return out
	}
	return v
}

func decode(body []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}

// mutants are the changes of one operation's replies: each of the first and of the
// last reply, and of all.
func mutants(operation string, replies []reply, deep any) (all []mutant) {
	numbers := []int{1, 0}
	if len(replies) > 1 {
		numbers = []int{1, 2, len(replies), 0}
		if len(replies) == 2 {
			numbers = []int{1, 2, 0}
		}
	}
	for _, number := range numbers {
		sample := replies[max(number, 1)-1]
		name := fmt.Sprintf("%s#%d", operation, number)
		changes := whole()
		for _, what := range slices.Sorted(maps.Keys(changes)) {
			all = append(all, mutant{name + " " + what, number, changes[what]})
		}
		document, ok := decode(sample.body)
		if !ok || !json.Valid(sample.body) {
			continue
		}
		paths(document, "", func(path string, value any) {
			by := values(value, deep)
			for _, what := range slices.Sorted(maps.Keys(by)) {
				all = append(all, mutant{name + " " + path + " " + what, number, func(r reply) reply {
					v, ok := decode(r.body)
					if !ok {
						return r
					}
					body, err := json.Marshal(replace(v, strings.Split(path, "/")[1:], by[what]))
					if err != nil {
						return r
					}
					return reply{r.status, r.header, body}
				}})
			}
		})
	}
	return all
}

// meddle changes the replies that a mutant is about.
func (m mutant) meddle(operation string) func(exchange) (*http.Response, error) {
	return func(e exchange) (*http.Response, error) {
		response, err := e.send()
		if err != nil || e.operation != operation || m.number != 0 && m.number != e.number {
			return response, err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		r := m.change(reply{response.StatusCode, response.Header.Clone(), body})
		r.header.Del("Content-Length")
		out := answer(e.request, r.status, r.header.Get("Content-Type"), r.body)
		out.Header = r.header
		return out, nil
	}
}

// explains are the operations that only explain or verify: whatever becomes of their
// replies, the rollback happens.
var explains = regexp.MustCompile(`^(logs|elasticloadbalancing|registry):|:(ListTasks|DescribeTasks)#`)

// sampled is how many cases of each drama are played: one with -short.
func sampled() int {
	if testing.Short() {
		return 1
	}
	return *sample
}

// replyCase is a changed reply of a drama.
type replyCase struct {
	mutant
	operation   string
	drama       drama
	archive     *txtar.Archive
	undisturbed performance
}

// play returns what must not be, and whether the run was green.
func (c replyCase) play(t *testing.T) (problems []string, green bool) {
	p := c.drama.playOn(t, c.archive, c.meddle(c.operation))
	problems = c.drama.judge(p, c.undisturbed)
	// CodeDeploy's hooks come from the deployment before: a reply that has none, as
	// that of a new group, is one that nobody can tell from the truth.
	unhooked := p.green() && strings.Contains(c.name, "lastSuccessfulDeployment")
	if c.drama.back && !unhooked && p.runs != c.drama.before && (c.number != 0 || explains.MatchString(c.operation+"#")) {
		problems = append(problems, "was not rolled back: the service runs "+p.runs)
	}
	if len(problems) > 0 {
		problems = append(problems, "\n"+tail(p.log))
	}
	return problems, p.green()
}

// drawn are the cases to play of a drama, and how many there are.
func (d drama) drawn(t *testing.T, random *rand.Rand) (cases []replyCase, total int) {
	archive := d.read(t)
	undisturbed, replies := d.undisturbed(t, archive)
	deep := nested(2000)
	for _, operation := range slices.Sorted(maps.Keys(replies)) {
		for _, m := range mutants(operation, replies[operation], deep) {
			m.name = d.name + " " + m.name
			cases = append(cases, replyCase{m, operation, d, archive, undisturbed})
		}
	}
	total = len(cases)
	if *oneReply != "" {
		wanted := regexp.MustCompile(*oneReply)
		cases = slices.DeleteFunc(cases, func(c replyCase) bool { return !wanted.MatchString(c.name) })
	}
	if !*allReplies {
		random.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
		cases = slices.Clone(cases[:min(len(cases), 4*sampled())])
	}
	return cases, total
}

// TestReplies plays a sample of all changed replies: some seconds of them, of every day
// others, or with "-replies" every one, which takes an hour or two. "-reply" plays one
// again.
func TestReplies(t *testing.T) {
	clearAWS(t)
	// Most of what a run allocates is garbage when it ends.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	draw := *seed
	if draw == 0 {
		draw = uint64(time.Now().Unix() / (24 * 60 * 60))
	}
	random := rand.New(rand.NewPCG(draw, 3))
	var cases []replyCase
	total := 0
	for _, d := range dramas {
		drawn, of := d.drawn(t, random)
		cases, total = append(cases, drawn...), total+of
	}
	begin := time.Now()
	var next, green atomic.Int64
	t.Run("all", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= int64(len(cases)); n = next.Add(1) {
					c := cases[n-1]
					problems, succeeded := c.play(t)
					if succeeded {
						green.Add(1)
					}
					if len(problems) > 0 {
						t.Errorf("%s: %s", c.name, strings.Join(problems, "; "))
					}
				}
			})
		}
	})
	took := time.Since(begin)
	t.Logf("%d changed replies, %d played in %s by -seed %d, %s each (%d of the runs succeeded)",
		total, len(cases), took.Round(time.Second), draw, (took / time.Duration(max(len(cases), 1))).Round(time.Millisecond), green.Load())
}

// tail is the end of a log, which says how the run ended.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(len(lines)-14, 0):], "\n")
}
