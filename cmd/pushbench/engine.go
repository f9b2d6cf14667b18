// Pushes from a local engine, Docker or podman, beside its own push.

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// engine holds the contests from the engine that the docker client on the PATH reaches, if there is one. Every round has images of its own,
// of which the engine knows nothing but what it has just loaded: it is as if the agent were fresh.
func (b *benchmark) engine(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Output()
	if err != nil || !b.match.MatchString("engine") {
		fmt.Fprintln(b.log, "no engine: without the measurements from one")
		return nil
	}
	name := "engine, Docker " + strings.TrimSpace(string(out))
	docker := func(args ...string) error {
		if text, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, lastLine(string(text)))
		}
		return nil
	}
	salt := int(time.Now().Unix() % 1_000_000 * 1000)
	load := func(image string, base bool) func(repository string, _ int) error {
		return func(repository string, _ int) error {
			salt++
			if err := b.child(ctx, "make", b.dir, "engine", fmt.Sprint(salt)); err != nil {
				return err
			}
			docker("rmi", "--force", "bench:a", "bench:b")
			if base {
				if err := b.child(ctx, "push", filepath.Join(b.dir, "engine.tar"), repository, "0"); err != nil {
					return err
				}
			}
			if err := docker("load", "--quiet", "--input", filepath.Join(b.dir, image)); err != nil {
				return err
			}
			tag := map[string]string{"engine.tar": "bench:a", "next.tar": "bench:b"}[image]
			return docker("tag", tag, repository+":1")
		}
	}
	both := func(image, base string) []entry {
		return []entry{
			{"ours", func(repository string, _ int) []string {
				args := []string{b.self, "push", image, repository, "1"}
				if base != "" {
					args = append(args, base)
				}
				return args
			}},
			{"docker push", func(repository string, _ int) []string {
				return []string{"docker", "push", "--quiet", repository + ":1"}
			}},
		}
	}
	for _, c := range []contest{
		{name: name + ", ECR-like: cold", at: b.ecr, entries: both("bench:a", ""), before: load("engine.tar", false)},
		{name: name + ", ECR-like: one layer changed, fresh agent", at: b.ecr, entries: both("bench:b", "0"), before: load("next.tar", true)},
	} {
		if err := b.hold(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
