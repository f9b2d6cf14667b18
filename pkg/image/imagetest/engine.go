package imagetest

// A stand-in for the engine on a unix socket: it answers as Docker with the classic
// store, Docker with containerd's, and podman do.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Engine answers for one image.
type Engine struct {
	Api      string // "1.41"
	Podman   bool
	Inspect  map[string]any
	Archive  []byte
	CutAfter int // bytes of the archive after which the connection ends; 0 is never
	// Midway is called once PauseAt bytes of the archive have been handed out, with the
	// context of the request; may be nil.
	Midway   func(ctx context.Context)
	PauseAt  int
	Tags     []string
	Other    string // the name of another image that it has; may be empty
	Exports  int
	Exported func() // is called when the archive has been handed out; may be nil
	// Push does what the engine is told to and returns the lines of its answer;
	// nil is an engine that cannot.
	Push   func(name, tag string) []string
	Pushes int
	Calls  []string // what changes something, and the credentials of pushes
}

func (f *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.Podman {
		w.Header().Set("Libpod-API-Version", "5.0.0")
	}
	if r.URL.Path == "/_ping" {
		w.Header().Set("API-Version", f.Api)
		io.WriteString(w, "OK")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v"+f.Api)
	if !ok {
		http.Error(w, `{"message":"client version is not supported"}`, http.StatusBadRequest)
		return
	}
	if r.Method != http.MethodGet && f.Push != nil {
		f.Calls = append(f.Calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()[len("/v"+f.Api):]+" "+r.Header.Get("X-Registry-Auth")))
		if name, ok := strings.CutSuffix(path, "/push"); ok {
			f.Pushes++
			for _, line := range f.Push(strings.TrimPrefix(name, "/images/"), r.URL.Query().Get("tag")) {
				if line == "hang" {
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					return
				}
				io.WriteString(w, line+"\n")
			}
		}
		return
	}
	if f.Other != "" && path == "/images/"+f.Other+"/json" {
		io.WriteString(w, `{"Id":"sha256:0"}`)
		return
	}
	switch path {
	case "/images/app:1/json", fmt.Sprintf("/images/%v/json", f.Inspect["Id"]):
		json.NewEncoder(w).Encode(f.Inspect)
	case "/images/json":
		var list []map[string]any
		for i, tag := range f.Tags {
			list = append(list, map[string]any{"RepoTags": []string{tag}, "Created": -i})
		}
		json.NewEncoder(w).Encode(list)
	case fmt.Sprintf("/images/%s/get", f.Inspect["Id"]):
		f.Exports++
		if f.CutAfter > 0 {
			w.Write(f.Archive[:f.CutAfter])
			if f.Midway != nil {
				w.(http.Flusher).Flush()
				f.Midway(r.Context())
			}
			panic(http.ErrAbortHandler)
		}
		rest := f.Archive
		if f.Midway != nil {
			w.Write(rest[:f.PauseAt])
			w.(http.Flusher).Flush()
			f.Midway(r.Context())
			rest = rest[f.PauseAt:]
		}
		w.Write(rest)
		if f.Exported != nil {
			f.Exported()
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"No such image"}`)
	}
}

// Environ looks variables up in a map.
func Environ(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

// Listen serves the engine on a socket and returns an environment that leads there.
func (f *Engine) Listen(t *testing.T) (environment func(string) (string, bool)) {
	t.Helper()
	return ListenOnSocket(t, f)
}

// ListenOnSocket serves an engine on a socket and returns an environment that leads there.
func ListenOnSocket(t *testing.T, engine http.Handler) (environment func(string) (string, bool)) {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(engine)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return Environ(map[string]string{"DOCKER_HOST": "unix://" + filepath.Join(dir, "s")})
}
