// A registry that costs next to nothing, so that what is measured is the client: it keeps manifests and small blobs, and of large ones the
// size alone. It can be slowed down to what Amazon ECR was seen to do.

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// model is a running registry.
type model struct{ host string }

// counts are what a registry has been asked and sent since it started.
type counts struct {
	Requests int
	Bytes    int64 // of blobs
}

func (m model) counts() (c counts, err error) {
	resp, err := http.Get("http://" + m.host + "/counts")
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	return c, json.NewDecoder(resp.Body).Decode(&c)
}

// serve starts a registry in a process of its own.
func (b *benchmark) serve(ctx context.Context, args ...string) (model, error) {
	cmd := exec.CommandContext(ctx, b.self, append([]string{"registry"}, args...)...)
	cmd.Stderr = b.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return model{}, err
	}
	if err := cmd.Start(); err != nil {
		return model{}, err
	}
	b.stops = append(b.stops, func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	return model{strings.TrimSpace(line)}, err
}

// serveRegistry is the process: it prints its address and serves until it is killed.
func serveRegistry(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	r := &modelRegistry{manifests: map[string]stored{}, blobs: map[string]stored{}, uploads: map[string]*pending{}}
	flags.DurationVar(&r.latency, "latency", 0, "before every answer")
	flags.Int64Var(&r.rate, "rate", 0, "bytes a second of an upload; 0 is as fast as they come")
	layout := flags.String("layout", "", "OCI layout to be served as bench/from:1")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *layout != "" {
		if err := r.load(*layout); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, l.Addr())
	s := &http.Server{Handler: r}
	context.AfterFunc(ctx, func() { s.Close() })
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stored is a manifest or a blob.
type stored struct {
	mediaType, digest string
	size              int64
	content           []byte // nil for a large blob
	path              string // of a blob in a layout
}

const smallBlob = 1 << 20

type pending struct {
	size    int64
	content []byte // as long as it is small
}

type modelRegistry struct {
	latency time.Duration
	rate    int64

	mu        sync.Mutex
	counts    counts
	sessions  int
	manifests map[string]stored // by repository + "\n" + tag or digest
	blobs     map[string]stored
	uploads   map[string]*pending
}

// load serves a layout.
func (r *modelRegistry) load(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return err
	}
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(raw, &index); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		digest := "sha256:" + filepath.Base(path)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		s := stored{digest: digest, size: info.Size(), path: path}
		r.blobs["bench/from\n"+digest] = s
		if info.Size() > smallBlob {
			continue
		}
		if s.content, err = os.ReadFile(path); err != nil {
			return err
		}
		var m struct{ MediaType string }
		if json.Unmarshal(s.content, &m) != nil || m.MediaType == "" {
			continue
		}
		s.mediaType = m.MediaType
		r.manifests["bench/from\n"+digest] = s
		if digest == index.Manifests[0].Digest {
			r.manifests["bench/from\n1"] = s
		}
	}
	return nil
}

func (r *modelRegistry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == "/counts" {
		r.mu.Lock()
		defer r.mu.Unlock()
		json.NewEncoder(w).Encode(r.counts)
		return
	}
	r.mu.Lock()
	r.counts.Requests++
	r.mu.Unlock()
	time.Sleep(r.latency)
	if q.URL.Path == "/v2/" {
		return
	}
	route, kind, reference := splitRoute(q.URL.Path)
	key := route + "\n" + reference
	switch q.Method + " " + kind {
	case "HEAD manifests", "GET manifests":
		r.answer(w, q, r.manifests, key)
	case "HEAD blobs", "GET blobs":
		r.answer(w, q, r.blobs, key)
	case "PUT manifests":
		raw, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		s := stored{mediaType: q.Header.Get("Content-Type"), digest: digestOf(raw), size: int64(len(raw)), content: raw}
		r.mu.Lock()
		r.manifests[key], r.manifests[route+"\n"+s.digest] = s, s
		r.mu.Unlock()
		w.Header().Set("Docker-Content-Digest", s.digest)
		w.WriteHeader(http.StatusCreated)
	case "POST uploads":
		r.mu.Lock()
		r.sessions++
		id := strconv.Itoa(r.sessions)
		r.uploads[id] = &pending{}
		r.mu.Unlock()
		r.session(w, route, id, 0, http.StatusAccepted)
	case "PATCH uploads", "PUT uploads":
		r.upload(w, q, route, reference)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// splitRoute takes a path apart: /v2/REPOSITORY/KIND/REFERENCE.
func splitRoute(path string) (repository, kind, reference string) {
	path = strings.TrimPrefix(path, "/v2/")
	for _, kind := range []string{"blobs/uploads", "blobs", "manifests"} {
		if repository, reference, ok := strings.Cut(path, "/"+kind+"/"); ok {
			return repository, strings.TrimPrefix(kind, "blobs/"), reference
		}
	}
	return path, "", ""
}

func (r *modelRegistry) answer(w http.ResponseWriter, q *http.Request, from map[string]stored, key string) {
	r.mu.Lock()
	s, ok := from[key]
	r.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if s.mediaType == "" {
		s.mediaType = "application/octet-stream"
	}
	w.Header().Set("Content-Type", s.mediaType)
	w.Header().Set("Docker-Content-Digest", s.digest)
	w.Header().Set("Content-Length", strconv.FormatInt(s.size, 10))
	switch {
	case q.Method == http.MethodHead:
	case s.content != nil:
		w.Write(s.content)
	case s.path != "":
		f, err := os.Open(s.path)
		if err != nil {
			return
		}
		defer f.Close()
		io.Copy(w, f)
	}
}

func (r *modelRegistry) session(w http.ResponseWriter, repository, id string, size int64, status int) {
	w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.WriteHeader(status)
}

// upload takes the body of a PATCH, or of the PUT that ends an upload.
func (r *modelRegistry) upload(w http.ResponseWriter, q *http.Request, repository, id string) {
	r.mu.Lock()
	u := r.uploads[id]
	r.mu.Unlock()
	if u == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	begin, buffer, got := time.Now(), make([]byte, 128<<10), int64(0)
	for {
		n, err := q.Body.Read(buffer)
		got += int64(n)
		if u.size += int64(n); u.size <= smallBlob {
			u.content = append(u.content, buffer[:n]...)
		}
		if r.rate > 0 {
			time.Sleep(time.Duration(float64(got)/float64(r.rate)*float64(time.Second)) - time.Since(begin))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Bytes += got
	if q.Method == http.MethodPatch {
		r.session(w, repository, id, u.size, http.StatusAccepted)
		return
	}
	delete(r.uploads, id)
	digest := q.URL.Query().Get("digest")
	s := stored{digest: digest, size: u.size}
	if u.size <= smallBlob {
		s.content = u.content
	}
	r.blobs[repository+"\n"+digest] = s
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
	w.WriteHeader(http.StatusCreated)
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
