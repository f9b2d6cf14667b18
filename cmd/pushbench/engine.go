// Pushes from a local engine, Docker or podman, beside its own push.

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// engine holds the contests from the engine that the docker client on the PATH reaches, if there is one. As on an agent, the base is pulled
// from a registry and stays, and in every round the engine builds a layer of its own on top of it.
func (b *benchmark) engine(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Output()
	if err != nil || !b.match.MatchString("engine") {
		fmt.Fprintln(b.log, "no engine: without the measurements from one")
		return nil
	}
	e := built{benchmark: b, base: b.from.host + "/bench/from:1", salt: int(time.Now().Unix() % 1_000_000 * 1000)}
	if err := e.docker(ctx, "pull", "--quiet", e.base); err != nil {
		return err
	}
	defer e.docker(context.WithoutCancel(ctx), "rmi", "--force", e.base)
	name := "engine, " + strings.TrimSpace(string(out)) + ", ECR-like: "
	layout := filepath.Join(b.dir, "layout") // the base's layers, under the digests that it was pulled by
	for _, c := range []contest{
		{name: name + "cold", at: b.ecr, entries: e.tools(""), before: e.build(ctx, "", false)},
		{name: name + "cold, handed out", at: b.ecr, entries: e.handedOut(), before: e.build(ctx, "", false)},
		{name: name + "one layer changed, fresh agent", at: b.ecr, entries: e.tools("0"), before: e.build(ctx, layout, false)},
		{name: name + "nothing changed", at: b.ecr, entries: e.tools("0"), before: e.build(ctx, layout, true)},
	} {
		if err := b.hold(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// built are images that the engine builds on a base.
type built struct {
	*benchmark
	base string
	salt int
}

func (e *built) docker(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0") // an engine without network or runtime can copy files
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, lastLine(string(text)))
	}
	return nil
}

// build builds an image as REPOSITORY:1, in whose repository is what stored names, as tag 0, and with pushed the image itself.
func (e *built) build(ctx context.Context, stored string, pushed bool) func(repository string, _ int) error {
	return func(repository string, _ int) error {
		e.salt++
		if err := e.child(ctx, "make", e.dir, "app", e.base, fmt.Sprint(e.salt)); err != nil {
			return err
		}
		if err := e.docker(ctx, "build", "--quiet", "--tag", repository+":1", filepath.Join(e.dir, "app")); err != nil {
			return err
		}
		if stored != "" {
			if err := e.child(ctx, "push", stored, repository, "0"); err != nil {
				return err
			}
		}
		if pushed {
			return e.child(ctx, "push", "docker-daemon:"+repository+":1", repository, "1", "0")
		}
		return nil
	}
}

// handedOut is ours where the engine does not push: it never does what zstd asks for.
func (e *built) handedOut() []entry {
	return []entry{{"ours, zstd", func(repository string, _ int) []string {
		return []string{e.self, "push", "docker-daemon:" + repository + ":1", repository, "1", "", "zstd"}
	}}}
}

// tools are the contestants. base is the tag of the image that runs, which only ours is told of.
func (e *built) tools(base string) []entry {
	entries := []entry{
		{"ours", func(repository string, _ int) []string {
			return []string{e.self, "push", "docker-daemon:" + repository + ":1", repository, "1", base}
		}},
		{"docker push", func(repository string, _ int) []string {
			return []string{"docker", "push", "--quiet", repository + ":1"}
		}},
	}
	if program, err := exec.LookPath("skopeo"); err == nil {
		entries = append(entries, entry{"skopeo", func(repository string, _ int) []string {
			args := []string{program, "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"}
			if host := os.Getenv("DOCKER_HOST"); host != "" {
				args = append(args, "--src-daemon-host", host)
			}
			return append(args, "docker-daemon:"+repository+":1", "docker://"+repository+":1")
		}})
	}
	return entries
}
