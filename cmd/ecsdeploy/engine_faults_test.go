package main

// Faults of the calls to the Docker Engine that holds the image. These go over a socket,
// and so in real time.

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecsdeploy/pkg/image/imagetest"
)

// engineDisturbance is one way in which a call to an engine goes wrong. lasts says that
// it does so every time.
type engineDisturbance struct {
	name  string
	lasts bool
	spoil func(w http.ResponseWriter, answer *httptest.ResponseRecorder)
}

var engineDisturbances = []engineDisturbance{
	{"error", false, func(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
		http.Error(w, `{"message":"try again"}`, http.StatusInternalServerError)
	}},
	{"error, always", true, func(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
		http.Error(w, `{"message":"no space left on device"}`, http.StatusInternalServerError)
	}},
	{"denied", true, func(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
		http.Error(w, `{"message":"authorization denied by plugin"}`, http.StatusForbidden)
	}},
	{"connection lost", false, func(http.ResponseWriter, *httptest.ResponseRecorder) { panic(http.ErrAbortHandler) }},
	{"truncated", false, func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
		body := answer.Body.Bytes()
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.Header().Set("Content-Length", answer.Header().Get("X-Length"))
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}},
	{"truncated, always", true, func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
		w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}},
	{"slow", false, func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
		body := answer.Body.Bytes()
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		time.Sleep(300 * time.Millisecond)
		w.Write(body[len(body)/2:])
	}},
	{"a page", true, func(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html>##vso[task.setvariable variable=pwned]1</html>")
	}},
}

// spoiled is an engine of which one call goes wrong.
type spoiled struct {
	http.Handler
	call string
	engineDisturbance
	mu    sync.Mutex
	calls map[string]int
}

// engineCall is a call without what differs from engine to engine.
func engineCall(r *http.Request) string {
	path := regexp.MustCompile(`^/v[\d.]+`).ReplaceAllString(r.URL.Path, "")
	if r.Method == http.MethodDelete {
		return "DELETE /images/…"
	}
	return r.Method + " " + regexp.MustCompile(`^/images/.+/(json|get|push|tag)$`).ReplaceAllString(path, "/images/…/$1")
}

func (s *spoiled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := engineCall(r)
	s.mu.Lock()
	s.calls[call]++
	spoil := call == s.call && (s.lasts || s.calls[call] == 1)
	s.mu.Unlock()
	if !spoil {
		s.Handler.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	s.Handler.ServeHTTP(answer, r)
	s.spoil(w, answer)
}

// engines hold the image that is pushed: one that has to hand it out, and one that
// pushes through the task.
var engines = map[string]func(t *testing.T) http.Handler{
	"push": func(t *testing.T) http.Handler {
		e := imagetest.NewPushingEngine(t, engineSample(t), nil)
		e.Engine.Push = func(string, string) []string { return []string{`{"error":"unexpected EOF"}`} }
		e.Inspect["Size"] = 1 << 20
		return &e.Engine
	},
	"push through the task": func(t *testing.T) http.Handler {
		return imagetest.NewPushingEngine(t, engineSample(t), nil)
	},
}

func engineSample(t *testing.T) imagetest.Sample {
	return imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 70_000), imagetest.RawLayer(t, 2, 1000))
}

// playEngine pushes an image of an engine.
func playEngine(t *testing.T, engine, call string, d engineDisturbance) (p performance, calls map[string]int) {
	t.Helper()
	w := newWorld(t)
	spoiled := &spoiled{Handler: engines[engine](t), call: call, engineDisturbance: d, calls: map[string]int{}}
	host, _ := imagetest.ListenOnSocket(t, spoiled)("DOCKER_HOST")
	environ := append(environment(t, w, t.TempDir(), "{command: push, image: 'app:1', repository: chat-app}"), "DOCKER_HOST="+host)
	var log bytes.Buffer
	begin := time.Now()
	run(t.Context(), environ, &log, w.Transport())
	p.log, p.took = log.String(), time.Since(begin)
	for _, change := range w.History().Changes {
		p.acted = p.acted || change.Operation == "registry:PutManifest" || change.Operation == "ecr:PutImage"
	}
	return p, spoiled.calls
}

// TestEngineFaults disturbs each call to the engine: the push succeeds, or fails within
// its time and names the engine.
func TestEngineFaults(t *testing.T) {
	clearAWS(t)
	if testing.Short() {
		t.Skip("plays whole runs")
	}
	var columns []string
	for _, d := range engineDisturbances {
		columns = append(columns, d.name)
	}
	m := newMatrix("engine", columns...)
	type cell struct {
		engine, call string
		engineDisturbance
	}
	var cells []cell
	least := map[string]int{"push": 3, "push through the task": 6} // calls
	for _, engine := range slices.Sorted(maps.Keys(engines)) {
		undisturbed, calls := playEngine(t, engine, "", engineDisturbance{})
		if undisturbed.result() != "Succeeded" || len(calls) < least[engine] {
			t.Fatalf("%s: calls %v\n%s", engine, calls, undisturbed.log)
		}
		for _, call := range slices.Sorted(maps.Keys(calls)) {
			for _, d := range engineDisturbances {
				cells = append(cells, cell{engine, call, d})
			}
		}
	}
	m.total = len(cells)
	if !*allFaults {
		random := rand.New(rand.NewPCG(max(*seed, 1), 12))
		random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		cells = cells[:sampled()]
	}
	for _, c := range cells {
		p, _ := playEngine(t, c.engine, c.call, c.engineDisturbance)
		how := "✓"
		if problems := injected(p.log); len(problems) > 0 || strings.Count(p.log, "##vso[task.complete ") != 1 || p.took > 30*time.Second {
			t.Errorf("%s: %s: %s: %v, in %s\n%s", c.engine, c.call, c.name, problems, p.took, tail(p.log))
		}
		if !p.green() {
			how = "fails"
			if at := strings.LastIndex(p.log, "##vso[task.logissue type=error]"); at < 0 || !strings.Contains(p.log[at:], "engine") && !strings.Contains(p.log[at:], "Docker Engine") {
				t.Errorf("%s: %s: %s: the error does not name the engine\n%s", c.engine, c.call, c.name, tail(p.log))
			}
		}
		m.put(c.engine+" | `"+c.call+"`", c.name, how)
	}
	m.compare(t)
}
