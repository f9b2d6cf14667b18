// The contests, and how they are held.

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if role, ok := roles[args[0]]; ok {
			return role(ctx, args[1:], stdout)
		}
	}
	flags := flag.NewFlagSet("pushbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 3, "how `often` each push is measured")
	pattern := flags.String("run", "", "only the measurements whose name matches the `regexp`")
	dir := flags.String("dir", "", "`directory` for the images, some 4 GB, kept for the next run; a temporary one if empty")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	match, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if *dir == "" {
		if *dir, err = os.MkdirTemp("", "bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(*dir)
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := &benchmark{self: self, dir: *dir, rounds: *rounds, match: match, out: stdout, log: stderr}
	defer b.stop()
	return b.run(ctx)
}

// roles are what the processes do that the benchmark starts.
var roles = map[string]func(ctx context.Context, args []string, stdout io.Writer) error{
	"registry": serveRegistry,
	"make":     makeImage,
	"push":     pushImage,
	"limit":    printLimit,
}

type benchmark struct {
	self, dir string
	rounds    int
	match     *regexp.Regexp
	out, log  io.Writer

	fast, ecr, from model // registries; from has the image that is copied
	repositories    int
	stops           []func()
}

func (b *benchmark) stop() {
	for _, f := range slices.Backward(b.stops) {
		f()
	}
}

// child runs a role of this program to its end.
func (b *benchmark) child(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, b.self, args...)
	cmd.Stderr = b.log
	return cmd.Run()
}

// sample is one measurement.
type sample struct {
	wall, cpu time.Duration
	rss       int64 // bytes; 0 when unknown
	requests  int
	sent      int64
}

// measure runs a command and reads from the registry what it did there.
func (b *benchmark) measure(ctx context.Context, at model, command []string) (sample, error) {
	before, err := at.counts()
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	// Configuration and caches of the machine's user are none of an agent's.
	home := filepath.Join(b.dir, "home", strconv.FormatInt(time.Now().UnixNano(), 36))
	defer os.RemoveAll(home)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return sample{}, err
	}
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home)
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, lastLine(text.String()))
	}
	s := sample{wall: time.Since(begin), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: peakMemory(cmd.ProcessState)}
	if filepath.Base(command[0]) == "docker" {
		s.cpu, s.rss = 0, 0 // the daemon's, of which the client knows nothing
	}
	after, err := at.counts()
	s.requests, s.sent = after.Requests-before.Requests, after.Bytes-before.Bytes
	return s, err
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// contest is one measurement of several tools.
type contest struct {
	name string
	at   model
	// entries are the tools in the order of the table, those named ours first.
	entries []entry
	// before prepares a repository for each run, unmeasured; may be nil.
	before func(repository string, round int) error
	limit  string // the archive to measure the machine's own limit with, or ""
}

// entry is one tool. command returns nil where the tool cannot do it.
type entry struct {
	tool    string
	command func(repository string, round int) []string
}

// hold measures a contest and prints its part of the table.
func (b *benchmark) hold(ctx context.Context, c contest) error {
	if !b.match.MatchString(c.name) {
		return nil
	}
	fmt.Fprintf(b.log, "== %s\n", c.name)
	samples := make([][]sample, len(c.entries))
	var limits []sample
	for round := range b.rounds {
		for i, e := range c.entries {
			repository := b.repository(c.at)
			if c.before != nil {
				if err := c.before(repository, round); err != nil {
					return fmt.Errorf("%s: prepare: %w", c.name, err)
				}
			}
			command := e.command(repository, round)
			if command == nil {
				continue
			}
			s, err := b.measure(ctx, c.at, command)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				if i == 0 {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				fmt.Fprintf(b.log, "%s: %v\n", e.tool, err)
				continue
			}
			samples[i] = append(samples[i], s)
		}
		if c.limit != "" {
			out, err := exec.CommandContext(ctx, b.self, "limit", c.limit).Output()
			if err != nil {
				return err
			}
			wall, err := time.ParseDuration(strings.TrimSpace(string(out)))
			if err != nil {
				return err
			}
			limits = append(limits, sample{wall: wall})
		}
	}
	best := time.Duration(0)
	for i, of := range samples {
		if !strings.HasPrefix(c.entries[i].tool, "ours") && len(of) > 0 && (best == 0 || median(of).wall < best) {
			best = median(of).wall
		}
	}
	fmt.Fprintf(b.out, "\n%s\n", c.name)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twall s\tratio\tCPU s\tpeak MB\trequests\tsent MB\t")
	for i, e := range c.entries {
		if len(samples[i]) > 0 {
			printSample(w, e.tool, median(samples[i]), best)
		}
	}
	if limits != nil {
		printSample(w, "(limit)", median(limits), best)
	}
	return w.Flush()
}

func printSample(w io.Writer, tool string, s sample, best time.Duration) {
	cell := func(format string, known bool, v any) string {
		if !known {
			return "–"
		}
		return fmt.Sprintf(format, v)
	}
	ratio := 0.0
	if best > 0 {
		ratio = s.wall.Seconds() / best.Seconds()
	}
	fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\t%s\t%d\t%.1f\t\n", tool, s.wall.Seconds(), cell("%.2f", best > 0, ratio),
		cell("%.2f", s.cpu > 0, s.cpu.Seconds()), cell("%d", s.rss > 0, s.rss>>20), s.requests, float64(s.sent)/1e6)
}

// median is, of each figure by itself, the middle one.
func median(samples []sample) sample {
	return sample{
		wall:     middle(samples, func(s sample) time.Duration { return s.wall }),
		cpu:      middle(samples, func(s sample) time.Duration { return s.cpu }),
		rss:      middle(samples, func(s sample) int64 { return s.rss }),
		requests: middle(samples, func(s sample) int { return s.requests }),
		sent:     middle(samples, func(s sample) int64 { return s.sent }),
	}
}

func middle[T cmp.Ordered](samples []sample, of func(sample) T) T {
	var all []T
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// repository names one that has not been used yet.
func (b *benchmark) repository(at model) string {
	b.repositories++
	return fmt.Sprintf("%s/bench/r%d", at.host, b.repositories)
}

// run holds all contests.
func (b *benchmark) run(ctx context.Context) error {
	var err error
	if err = b.child(ctx, "make", b.dir, "image"); err != nil {
		return fmt.Errorf("make the images: %w", err)
	}
	for _, m := range []struct {
		to   *model
		args []string
	}{
		{&b.fast, nil},
		{&b.ecr, []string{"-latency", "60ms", "-rate", "40000000"}},
		{&b.from, []string{"-layout", filepath.Join(b.dir, "index")}},
	} {
		if *m.to, err = b.serve(ctx, m.args...); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		name string
		at   model
	}{{"fast", b.fast}, {"ECR-like", b.ecr}} {
		for _, c := range b.contests(ctx, m.name, m.at) {
			if err := b.hold(ctx, c); err != nil {
				return err
			}
		}
	}
	return errors.Join(b.engine(ctx), b.linear(ctx))
}

// contests are those that need no engine.
func (b *benchmark) contests(ctx context.Context, model string, at model) []contest {
	raw, layout := filepath.Join(b.dir, "image.tar"), filepath.Join(b.dir, "layout")
	again := func(path string) func(string, int) error {
		return func(repository string, _ int) error { return b.child(ctx, "push", path, repository, "1") }
	}
	cold := contest{name: model + ": raw archive", at: at, entries: b.tools(raw, asArchive), limit: raw}
	if model != "fast" {
		cold.limit = ""
	}
	oci := b.tools(layout, asLayout)
	changed := slices.DeleteFunc(b.tools(filepath.Join(b.dir, "changed.tar"), asArchive), func(e entry) bool { return strings.HasPrefix(e.tool, "ours, ") })
	ours := changed[0].command
	changed[0].command = func(repository string, round int) []string { return append(ours(repository, round), "0") }
	copies := b.tools("", asCopy)
	return []contest{
		cold,
		{name: model + ": raw archive, nothing changed", at: at, entries: b.tools(raw, asArchive), before: again(raw)},
		{name: model + ": raw archive, one layer changed, fresh agent", at: at, entries: changed,
			before: func(repository string, _ int) error { return b.child(ctx, "push", layout, repository, "0") }},
		{name: model + ": gzip OCI layout", at: at, entries: oci},
		{name: model + ": gzip OCI layout, nothing changed", at: at, entries: oci, before: again(layout)},
		{name: model + ": registry to registry, index with attestation", at: at, entries: copies},
		{name: model + ": registry to registry, nothing changed", at: at, entries: copies,
			before: again("docker://" + b.from.host + "/bench/from:1")},
	}
}

// linear shows how the cost grows with the size and with the number of layers.
func (b *benchmark) linear(ctx context.Context) error {
	type point struct {
		name string
		args []string
	}
	var points []point
	for _, mb := range []int{10, 100, 1000, 10_000} {
		points = append(points, point{fmt.Sprintf("%d MB of zeros, 1 layer", mb), []string{strconv.Itoa(mb), "1", "sparse"}})
	}
	for _, layers := range []int{1, 10, 100, 127} {
		points = append(points, point{fmt.Sprintf("127 MB, %d layers", layers), []string{"127", strconv.Itoa(layers), "dense"}})
	}
	if !b.match.MatchString("linear") {
		return nil
	}
	fmt.Fprintf(b.out, "\nlinear: docker archives to the fast registry\n")
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twall s\tratio\tCPU s\tpeak MB\trequests\tsent MB\t")
	for _, p := range points {
		fmt.Fprintf(b.log, "== linear: %s\n", p.name)
		path := filepath.Join(b.dir, "linear.tar")
		if err := b.child(ctx, append([]string{"make", path}, p.args...)...); err != nil {
			return err
		}
		var samples []sample
		for range b.rounds {
			s, err := b.measure(ctx, b.fast, []string{b.self, "push", path, b.repository(b.fast), "1"})
			if err != nil {
				return err
			}
			samples = append(samples, s)
		}
		os.Remove(path)
		printSample(w, p.name, median(samples), 0)
	}
	return w.Flush()
}
