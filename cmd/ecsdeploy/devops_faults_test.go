package main

// Faults of the calls to Azure DevOps that only say more or leave a mark: what is in a
// rollout, tags, properties, leases, statuses, the name of a release. None of them ever
// fails a run, or holds it for long.

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator/azdo"
)

// devopsDrama is a run that leaves every mark it can.
type devopsDrama struct {
	name  string
	marks string
	in    func(*azdo.Server) []string // what the agent sets of the place in which it runs
}

var devopsDramas = []devopsDrama{
	{"a build of a pull request", "properties\nretain\ncommitStatus\npullRequestStatus", func(s *azdo.Server) []string {
		s.AddPullRequest(azdo.PullRequest{ID: 5})
		return []string{"SYSTEM_PULLREQUEST_PULLREQUESTID=5", "BUILD_REPOSITORY_ID=chat", "BUILD_REPOSITORY_PROVIDER=TfsGit"}
	}},
	{"a classic release", "properties\nretain\ncommitStatus\nreleaseName", func(s *azdo.Server) []string {
		s.AddRelease(azdo.Release{ID: 3, Name: "Release-3", EnvironmentID: 31})
		return []string{"SYSTEM_HOSTTYPE=release", "RELEASE_RELEASEID=3", "RELEASE_RELEASENAME=Release-3", "RELEASE_ENVIRONMENTNAME=Production", "ENDPOINT_URL_SYSTEMVSSCONNECTION=" + s.ReleaseURL()}
	}},
}

// devopsRun is how such a run ended.
type devopsRun struct {
	performance
	calls []string
	left  string // the marks in Azure DevOps
}

// play rolls build 20 out after 18; meddle has the requests to Azure DevOps first.
func (d devopsDrama) play(t *testing.T, meddle func(exchange) (*http.Response, error)) (p devopsRun) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, devops := newWorld(t), history()
		for _, id := range []int{17, 18, 20} {
			b := devops.Build(id)
			b.Commit = fmt.Sprintf("c%d", id)
			devops.AddBuild(b)
		}
		w.perform(t, []string{"running", "17"})
		w.push(t, "18", "amd64")
		w.push(t, "20", "amd64")
		inputs := func(build, marks string) string {
			return fmt.Sprintf("{command: rollout, repository: chat-app, cluster: %s, services: %s, tags: '%s', tagBuild: true, marks: %q}", cluster, service, build, marks)
		}
		both := clouds{devops, w.Transport()}
		run(t.Context(), inPipeline(devops, environment(t, w, t.TempDir(), inputs("18", "retain"))...), new(bytes.Buffer), both)
		time.Sleep(10 * time.Minute)

		environ := append(inPipeline(devops, environment(t, w, t.TempDir(), inputs("20", d.marks))...), d.in(devops)...)
		var mu sync.Mutex
		numbers := map[string]int{}
		var log bytes.Buffer
		begin := time.Now()
		run(t.Context(), environ, &log, carrier(func(r *http.Request) (*http.Response, error) {
			if !devops.Serves(r.URL) {
				return both.RoundTrip(r)
			}
			operation := "devops:" + r.Method + " " + devopsPath(r.URL.Path)
			mu.Lock()
			numbers[operation]++
			e := exchange{operation, numbers[operation], r, func() (*http.Response, error) { return both.RoundTrip(r) }}
			mu.Unlock()
			return meddle(e)
		}))
		p.log, p.took, p.calls = log.String(), time.Since(begin), slices.Sorted(maps.Keys(numbers))
		build := devops.Build(20)
		leased := 0
		for _, l := range devops.Leases() {
			leased += l.RunID
		}
		p.left = fmt.Sprint(build.Tags, len(build.Properties), leased, len(devops.Statuses()), strings.Contains(p.log, "renamed the release"))
	})
	return p
}

// devopsPath is the path of a call without what differs from run to run.
func devopsPath(path string) string {
	if _, api, found := strings.Cut(path, "/_apis/"); found {
		path = "/_apis/" + api
	}
	path = idPart.ReplaceAllString(path, "/…")
	return regexp.MustCompile(`/(tags|commits|repositories)/[^/]+`).ReplaceAllString(path, "/$1/…")
}

// said is what the log says of a call that was not answered.
var said = regexp.MustCompile(`(?m)(^\d\d:\d\d:\d\d  |type=warning\])Azure DevOps: `)

// devopsLimit is how much longer than undisturbed a run may take for one call that only
// says more.
const devopsLimit = 15 * time.Second

// TestDevOpsFaults disturbs each of these calls in each way: the rollout succeeds, in its
// time, and the log names a mark that is not there in the end.
func TestDevOpsFaults(t *testing.T) {
	clearAWS(t)
	if testing.Short() {
		t.Skip("plays whole runs")
	}
	m := newMatrix("devops")
	random := rand.New(rand.NewPCG(max(*seed, 1), 11))
	for _, d := range devopsDramas {
		undisturbed := d.play(t, func(e exchange) (*http.Response, error) { return e.send() })
		if undisturbed.result() != "Succeeded" || len(undisturbed.calls) < 6 {
			t.Fatalf("calls %q\n%s", undisturbed.calls, undisturbed.log)
		}
		type cell struct {
			operation string
			disturbance
		}
		var cells []cell
		for _, operation := range undisturbed.calls {
			for _, disturbance := range disturbances {
				if disturbance.name != "clock skew" {
					cells = append(cells, cell{operation, disturbance})
				}
			}
		}
		m.total += len(cells)
		if !*allFaults {
			random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
			cells = cells[:2*sampled()]
		}
		for _, c := range cells {
			p := d.play(t, disturbed(c.operation, c.disturbance))
			name := d.name + ": " + c.operation + ": " + c.name
			if problems := injected(p.log); len(problems) > 0 || strings.Count(p.log, "##vso[task.complete ") != 1 {
				t.Errorf("%s: %v\n%s", name, problems, tail(p.log))
			}
			how := "✓"
			switch {
			case p.result() != "Succeeded" && p.result() != "SucceededWithIssues" || p.output("outcome") != "succeeded":
				how = "fails"
				t.Errorf("%s: ends as %s %s\n%s", name, p.result(), p.output("outcome"), tail(p.log))
			case p.took > undisturbed.took+devopsLimit:
				t.Errorf("%s: takes %s, and %s undisturbed", name, p.took, undisturbed.took)
			case p.left != undisturbed.left:
				if how = "✓ with a note"; !said.MatchString(p.log) {
					t.Errorf("%s: leaves %s and not %s, without a word\n%s", name, p.left, undisturbed.left, p.log)
				}
			case said.MatchString(p.log):
				how = "✓ with a note"
			}
			m.put(d.name+" | `"+strings.TrimPrefix(c.operation, "devops:")+"`", c.name, how)
		}
	}
	m.compare(t)
}

// disturbed is a disturbance of one operation.
func disturbed(operation string, d disturbance) func(exchange) (*http.Response, error) {
	var mu sync.Mutex
	var first time.Time
	hits := 0
	return func(e exchange) (*http.Response, error) {
		if e.operation == operation {
			mu.Lock()
			if hits++; hits == 1 {
				first = time.Now()
			}
			hit, since := hits, time.Since(first)
			mu.Unlock()
			if response, err := d.answer(e, hit, since); response != nil || err != nil {
				return response, err
			}
		}
		return e.send()
	}
}
