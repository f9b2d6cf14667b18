// The contestants: ours, and those of the others that are on the PATH.

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"

	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/image/source"
)

// pushImage pushes: SOURCE REPOSITORY TAG [BASE [COMPRESSION [lazy]]].
func pushImage(ctx context.Context, args []string, stdout io.Writer) (err error) {
	if len(args) < 3 {
		return errors.New("want SOURCE REPOSITORY TAG [BASE [COMPRESSION [lazy]]]")
	}
	m, err := source.Open(ctx, args[0], source.Options{Environ: os.LookupEnv})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var o push.Options
	if len(args) > 3 && args[3] != "" {
		// The base is the image that runs, as the deployments of ECS name it.
		o.Base = func(context.Context) (push.Base, error) { return push.Base{Reference: args[3], Proven: true}, nil }
	}
	if len(args) > 4 {
		o.Compression = compress.Compression(args[4])
	}
	o.LazyLoading = len(args) > 5
	r, err := push.Push(ctx, m, push.Target{Repository: args[1], Tags: []string{args[2]}}, o)
	if err == nil {
		fmt.Fprintf(stdout, "%+v\n", r)
	}
	return err
}

// printLimit does no more than any push of raw layers has to: hash what an archive holds, compress it on all cores, hash the outcome. The
// disk and the network are left out: it prints how long the rest took.
func printLimit(_ context.Context, args []string, stdout io.Writer) error {
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	const block = 256 << 10
	type piece struct {
		raw  []byte
		out  bytes.Buffer
		done chan struct{}
	}
	begin := time.Now()
	workers := runtime.GOMAXPROCS(0)
	queue, order := make(chan *piece, 4*workers), make(chan *piece, 4*workers)
	free := sync.Pool{New: func() any { return new(piece) }}
	go func() {
		sum := sha256.New()
		for raw := range slices.Chunk(data, block) {
			p := free.Get().(*piece)
			p.raw, p.done = raw, make(chan struct{})
			sum.Write(raw)
			queue <- p
			order <- p
		}
		close(queue)
		close(order)
	}()
	for range workers {
		go func() {
			w, _ := flate.NewWriter(nil, 2) // ours
			for p := range queue {
				p.out.Reset()
				w.Reset(&p.out)
				w.Write(p.raw)
				w.Flush()
				close(p.done)
			}
		}()
	}
	sum := sha256.New()
	for p := range order {
		<-p.done
		sum.Write(p.out.Bytes())
		free.Put(p)
	}
	fmt.Fprintln(stdout, time.Since(begin))
	return nil
}

// tool is a program that pushes images. Its functions return nil for what it cannot do.
type tool struct {
	name                  string
	program               string // found on the PATH; "" is ours
	archive, layout, copy func(source, repository string) []string
}

func asArchive(t *tool) func(source, repository string) []string { return t.archive }
func asLayout(t *tool) func(source, repository string) []string  { return t.layout }
func asCopy(t *tool) func(source, repository string) []string    { return t.copy }

func (b *benchmark) allTools() []*tool {
	plain := func(host string) string { return "reg=" + host + ",tls=disabled" }
	hostOf := func(ref string) string { host, _, _ := strings.Cut(ref, "/"); return host }
	ours := func(path, repository string) []string {
		return []string{b.self, "push", path, repository, "1"}
	}
	return []*tool{
		{name: "ours", archive: ours, layout: ours,
			copy: func(from, r string) []string { return ours("docker://"+from, r) }},
		{name: "ours, zstd",
			archive: func(path, r string) []string { return append(ours(path, r), "", "zstd") }},
		{name: "ours, SOCI index",
			archive: func(path, r string) []string { return append(ours(path, r), "", "gzip", "lazy") }},
		{name: "crane", program: "crane",
			archive: func(p, r string) []string { return []string{"push", p, r + ":1"} },
			layout:  func(p, r string) []string { return []string{"push", p, r + ":1"} },
			copy:    func(f, r string) []string { return []string{"copy", f, r + ":1"} }},
		{name: "skopeo", program: "skopeo",
			archive: func(p, r string) []string {
				return []string{"--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "docker-archive:" + p, "docker://" + r + ":1"}
			},
			layout: func(p, r string) []string {
				return []string{"--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", "oci:" + p, "docker://" + r + ":1"}
			},
			copy: func(f, r string) []string {
				return []string{"--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", "docker://" + f, "docker://" + r + ":1"}
			}},
		{name: "regctl", program: "regctl",
			archive: func(p, r string) []string {
				return []string{"--host", plain(hostOf(r)), "image", "import", r + ":1", p}
			},
			layout: func(p, r string) []string {
				return []string{"--host", plain(hostOf(r)), "image", "copy", "ocidir://" + p + ":1", r + ":1"}
			},
			copy: func(f, r string) []string {
				return []string{"--host", plain(hostOf(r)), "--host", plain(hostOf(f)), "image", "copy", f, r + ":1"}
			}},
		{name: "oras", program: "oras",
			layout: func(p, r string) []string {
				return []string{"cp", "--from-oci-layout", "--to-plain-http", "--no-tty", p + ":1", r + ":1"}
			},
			copy: func(f, r string) []string {
				return []string{"cp", "--from-plain-http", "--to-plain-http", "--no-tty", f, r + ":1"}
			}},
	}
}

// tools are the entries of a contest: those tools that are there and can do what way says.
func (b *benchmark) tools(path string, way func(*tool) func(source, repository string) []string) []entry {
	if path == "" {
		path = b.from.host + "/bench/from:1"
	}
	var entries []entry
	for _, t := range b.allTools() {
		command := way(t)
		if command == nil {
			continue
		}
		program := t.program
		if program != "" {
			found, err := exec.LookPath(program)
			if err != nil {
				continue
			}
			program, _ = filepath.Abs(found)
		}
		entries = append(entries, entry{t.name, func(repository string, _ int) []string {
			args := command(path, repository)
			if program != "" {
				args = append([]string{program}, args...)
			}
			return args
		}})
	}
	return entries
}
