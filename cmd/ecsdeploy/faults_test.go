package main

// The fault matrix: every network call of every command, with every way in which a
// call goes wrong. docs/faults.md is written by it ("-run TestFaults -faults -update").

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var (
	allFaults = flag.Bool("faults", false, "play every fault, and not a sample of them")
	oneFault  = flag.String("fault", "", "play the faults whose row of docs/faults.md matches")
)

// disturbance is one way in which a call goes wrong. hit counts the calls that it
// was asked about, from 1, and since is the time since the first. An answer of nil
// and no error lets the call pass.
type disturbance struct {
	name   string
	lasts  bool // a run cannot outlast it
	answer func(e exchange, hit int, since time.Duration) (*http.Response, error)
}

var disturbances = []disturbance{
	{"error before", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) { return refuse(e, 500, "ServerException", "Service Unavailable.") })
	}},
	{"error after", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) {
			act(e)
			return refuse(e, 500, "ServerException", "Service Unavailable.")
		})
	}},
	{"throttled 1 min", false, func(e exchange, _ int, since time.Duration) (*http.Response, error) {
		if since > time.Minute {
			return nil, nil
		}
		if strings.HasPrefix(e.operation, "registry:") {
			return refuse(e, 429, "TOOMANYREQUESTS", "Rate exceeded")
		}
		return refuse(e, 400, "ThrottlingException", "Rate exceeded")
	}},
	{"reset", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) { return nil, errCut })
	}},
	{"lost answer", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) { act(e); return nil, errCut })
	}},
	{"truncated", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) {
			return slowly(e, func(body []byte) io.Reader {
				return io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{})
			})
		})
	}},
	{"stalled 30 s", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) {
			return slowly(e, func(body []byte) io.Reader {
				half := len(body) / 2
				return io.MultiReader(bytes.NewReader(body[:half]), &stalled{e.request, false}, bytes.NewReader(body[half:]))
			})
		})
	}},
	{"expired token", true, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		if strings.HasPrefix(e.operation, "registry:") {
			return once(hit, func() (*http.Response, error) {
				return refuse(e, 403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
			})
		}
		return refuse(e, 400, "ExpiredTokenException", "The security token included in the request is expired")
	}},
	{"clock skew", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		if strings.HasPrefix(e.operation, "registry:") {
			return nil, nil
		}
		return once(hit, func() (*http.Response, error) {
			code := "InvalidSignatureException"
			if !strings.HasPrefix(e.operation, "ec") && !strings.HasPrefix(e.operation, "codedeploy:") && !strings.HasPrefix(e.operation, "logs:") {
				code = "SignatureDoesNotMatch" // the Query protocol's, and that of REST services
			}
			out, err := refuse(e, 403, code, "Signature expired: 20000101T001000Z is now earlier than 20000101T001500Z (20000101T002000Z - 5 min.)")
			out.Header.Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
			return out, err
		})
	}},
	{"429, Retry-After", false, func(e exchange, hit int, _ time.Duration) (*http.Response, error) {
		return once(hit, func() (*http.Response, error) {
			out, err := refuse(e, 429, "TooManyRequestsException", "Rate exceeded")
			out.Header.Set("Retry-After", "20")
			return out, err
		})
	}},
}

func once(hit int, f func() (*http.Response, error)) (*http.Response, error) {
	if hit > 1 {
		return nil, nil
	}
	return f()
}

var errCut = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// act has the emulator act on a call and drops its answer.
func act(e exchange) {
	if response, err := e.send(); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

// refuse is an error of the service in its own protocol.
func refuse(e exchange, status int, code, message string) (*http.Response, error) {
	switch service, _, _ := strings.Cut(e.operation, ":"); service {
	case "registry":
		return answer(e.request, status, "application/json", fmt.Appendf(nil, `{"errors":[{"code":%q,"message":%q}]}`, code, message)), nil
	case "sts", "elasticloadbalancing":
		return answer(e.request, status, "text/xml", fmt.Appendf(nil, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, strings.TrimSuffix(code, "Exception"), message)), nil
	}
	return answer(e.request, status, "application/x-amz-json-1.1", fmt.Appendf(nil, `{"__type":%q,"message":%q}`, code, message)), nil
}

// slowly sends a call and hands its answer out through a reader.
func slowly(e exchange, through func(body []byte) io.Reader) (*http.Response, error) {
	response, err := e.send()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	response.Body = io.NopCloser(through(body))
	return response, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// stalled ends after 30 seconds.
type stalled struct {
	request *http.Request
	over    bool
}

func (s *stalled) Read([]byte) (int, error) {
	if s.over {
		return 0, io.EOF
	}
	select {
	case <-time.After(30 * time.Second):
		s.over = true
		return 0, io.EOF
	case <-s.request.Context().Done():
		return 0, s.request.Context().Err()
	}
}

// faultCell is one fault of one call of one command.
type faultCell struct {
	drama       drama
	operation   string
	number      int // of the call at which it begins
	last        bool
	disturbance disturbance
}

func (c faultCell) row() string {
	call := c.operation
	if c.last {
		call += ", last"
	}
	return c.drama.name + " | `" + call + "`"
}

func (c faultCell) meddle() func(exchange) (*http.Response, error) {
	var mu sync.Mutex
	var first time.Time
	hits := 0
	return func(e exchange) (*http.Response, error) {
		// The session has ended for every call of AWS from then on.
		everywhere := c.disturbance.lasts && !strings.HasPrefix(c.operation, "registry:") && !strings.HasPrefix(e.operation, "registry:")
		mu.Lock()
		concerned := e.operation == c.operation && e.number >= c.number || everywhere && hits > 0
		if concerned {
			if hits++; hits == 1 {
				first = time.Now()
			}
		}
		hit, since := hits, time.Since(first)
		mu.Unlock()
		if concerned {
			if response, err := c.disturbance.answer(e, hit, since); response != nil || err != nil {
				return response, err
			}
		}
		return e.send()
	}
}

// cells of a drama, by the calls of its undisturbed run.
func (d drama) cells(replies map[string][]reply) (all []faultCell) {
	for _, operation := range slices.Sorted(maps.Keys(replies)) {
		for _, disturbance := range disturbances {
			if disturbance.name == "clock skew" && strings.HasPrefix(operation, "registry:") {
				continue
			}
			all = append(all, faultCell{d, operation, 1, false, disturbance})
			if n := len(replies[operation]); n > 2 {
				all = append(all, faultCell{d, operation, n, true, disturbance})
			}
		}
	}
	return all
}

// callWords are what an error says of a call: its name, or what it is for.
func callWords(operation string) *regexp.Regexp {
	service, name, _ := strings.Cut(operation, ":")
	if service == "registry" {
		return regexp.MustCompile(`(?i)layer|blob|upload|manifest|tag|config|image`)
	}
	switch operation {
	case "codedeploy:GetApplicationRevision":
		return regexp.MustCompile(`AppSpec|revision of the paused deployment`)
	case "ecr:DescribeRepositories": // the placeholder of the transcript cannot be pushed once the repository cannot be asked
		return regexp.MustCompile(`(?i)repositor|placeholder\.tar`)
	}
	words := regexp.MustCompile(`[A-Z][a-z]+`).FindAllString(name, -1)
	return regexp.MustCompile(`(?i)` + regexp.QuoteMeta(name) + `|` + regexp.QuoteMeta(words[len(words)-1][:4]))
}

// play plays a cell and returns how it ended, and what must not be.
func (c faultCell) play(t *testing.T, archive *txtar.Archive, undisturbed performance) (how string, problems []string) {
	p := c.drama.playOn(t, archive, c.meddle())
	problems = c.drama.judge(p, undisturbed)
	switch {
	case p.result() == undisturbed.result() && p.output("outcome") == undisturbed.output("outcome"):
		how = "✓"
	case p.green():
		how = "✓ with a warning"
	default:
		how = "fails"
		if c.drama.back && len(p.started) > 0 && p.runs != c.drama.before && !c.disturbance.lasts {
			problems = append(problems, "was not rolled back: the service runs "+p.runs)
		}
		if at := strings.LastIndex(p.log, "##vso[task.logissue type=error]"); at < 0 || !callWords(c.operation).MatchString(p.log[at:]) && !c.disturbance.lasts {
			problems = append(problems, "the error does not name the call")
		}
	}
	for i := range problems {
		problems[i] += "\n" + tail(p.log)
	}
	return how, problems
}

// TestFaults plays a sample of the matrix and compares it with docs/faults.md.
func TestFaults(t *testing.T) {
	const document = "../../docs/faults.md"
	clearAWS(t)
	written, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(max(*seed, 1), 8))
	var table strings.Builder
	table.WriteString("| command | call |")
	for _, d := range disturbances {
		table.WriteString(" " + d.name + " |")
	}
	table.WriteString("\n|---|---|" + strings.Repeat("---|", len(disturbances)) + "\n")
	total, played, failed := 0, 0, 0
	begin := time.Now()
	for _, d := range dramas {
		archive := d.read(t)
		undisturbed, replies := d.undisturbed(t, archive)
		cells := d.cells(replies)
		total += len(cells)
		if *oneFault != "" {
			cells = slices.DeleteFunc(cells, func(c faultCell) bool { return !regexp.MustCompile(*oneFault).MatchString(c.row()) })
		}
		if !*allFaults {
			random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
			cells = cells[:min(len(cells), sampled())]
		}
		rows := map[string]map[string]string{}
		for _, c := range cells {
			played++
			how, problems := c.play(t, archive, undisturbed)
			if how == "fails" {
				failed++
			}
			for _, problem := range problems {
				t.Errorf("%s: %s: %s", c.row(), c.disturbance.name, problem)
			}
			if rows[c.row()] == nil {
				rows[c.row()] = map[string]string{}
			}
			rows[c.row()][c.disturbance.name] = how
			if !*allFaults && !*update {
				if want := inTable(string(written), c); want != how {
					t.Errorf("%s: %s: %q, and docs/faults.md says %q", c.row(), c.disturbance.name, how, want)
				}
			}
		}
		for _, row := range slices.Sorted(maps.Keys(rows)) {
			table.WriteString("| " + row + " |")
			for _, d := range disturbances {
				table.WriteString(" " + rows[row][d.name] + " |")
			}
			table.WriteString("\n")
		}
	}
	t.Logf("%d cells, %d played in %s, %d of them failed", total, played, time.Since(begin).Round(time.Second), failed)
	if !*allFaults {
		return
	}
	const from, to = "<!-- measured: begin -->\n", "<!-- measured: end -->"
	before, rest, found := strings.Cut(string(written), from)
	_, after, closed := strings.Cut(rest, to)
	if !found || !closed {
		t.Fatalf("%s has lost its marks", document)
	}
	want := before + from + table.String() + to + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(written) {
		t.Errorf("%s is another one than what is measured:\n%s", document, difference(string(written), want))
	}
}

// inTable is what the document says of a cell.
func inTable(document string, c faultCell) string {
	for line := range strings.Lines(document) {
		if rest, is := strings.CutPrefix(line, "| "+c.row()+" |"); is {
			columns := strings.Split(rest, "|")
			for i, d := range disturbances {
				if d.name == c.disturbance.name && i < len(columns) {
					return strings.TrimSpace(columns[i])
				}
			}
		}
	}
	return ""
}
