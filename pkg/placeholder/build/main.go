// Command build makes the placeholder image: it compiles the server for each
// platform and writes an OCI archive (OCI image specification, image-layout.md)
// of an index with one layer a platform. It needs no Docker.
//
//	go run ./pkg/placeholder/build FILE
//
// The same sources and the same Go make the same bytes, on any machine. FILE is
// left alone when it has them already.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./pkg/placeholder/build FILE")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "build the placeholder image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) error {
	archive, err := build(ctx, compiler{})
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, archive) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, archive, 0o644)
}

// build returns the archive.
func build(ctx context.Context, c compiler) ([]byte, error) {
	servers := map[string][]byte{}
	for _, architecture := range architectures {
		program, err := c.compile(ctx, architecture)
		if err != nil {
			return nil, err
		}
		servers[architecture] = program
	}
	return archive(servers)
}

// compiler runs the go command. The zero value is as good as any other: what
// the fields say must not matter to the result.
type compiler struct {
	directory string // within the module; empty is the working directory
	cache     string // GOCACHE; empty is the user's
}

// compile returns the server for an architecture. Inlining is off because that
// makes it a tenth smaller, and speed is not what it is for.
func (c compiler) compile(ctx context.Context, architecture string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "placeholder-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "placeholder")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-gcflags=all=-l", "-ldflags=-s -w -buildid=",
		"-o", program, "ecsdeploy/pkg/placeholder/server")
	cmd.Dir = c.directory
	// The settings of whoever builds are not to change what comes of it.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+architecture, "GOAMD64=v1", "GOARM64=v8.0", "CGO_ENABLED=0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if c.cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+c.cache)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return os.ReadFile(program)
}
