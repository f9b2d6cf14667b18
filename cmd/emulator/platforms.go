// emulator platforms: the executables of all platforms that this machine can run, with an emulator of the processor or of
// Windows where it takes one, each put through the same runs.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/agent"
)

// processors are the emulators of qemu-user, by the platform that they run.
var processors = map[string]string{"linux-x64": "qemu-x86_64", "linux-arm64": "qemu-aarch64", "linux-arm": "qemu-arm"}

// native is this machine's platform, in Node's words.
func native() string {
	system := map[string]string{"windows": "win32"}[runtime.GOOS]
	if system == "" {
		system = runtime.GOOS
	}
	processor := map[string]string{"amd64": "x64", "386": "ia32"}[runtime.GOARCH]
	if processor == "" {
		processor = runtime.GOARCH
	}
	return system + "-" + processor
}

// trial is a row of the matrix: how one platform is started, and what came of each run.
type trial struct {
	platform, by string
	node         string // the program that the agent starts
	cancelled    string // the program that it starts where the run is cancelled; empty: the same
	results      []string
	failed       bool
}

func platforms(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("emulator platforms", flag.ContinueOnError)
	flags.SetOutput(stderr)
	vsix := flags.String("vsix", "build/ecsdeploy.vsix", "the packaged `extension`")
	bin := flags.String("bin", "build/bin", "the `directory` with the executables")
	node := flags.String("node", "node", "the Node `executable` of this machine")
	windowsNode := flags.String("windows-node", "", "a `node.exe`: Windows executables are then started by the task's own script")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ecsdeploy-platforms-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	executables, err := filepath.Glob(filepath.Join(*bin, "ecsdeploy-*"))
	if err != nil || len(executables) == 0 {
		return fmt.Errorf("no executables in %s; \"./build.sh package\" makes them", *bin)
	}
	wine, err := newWindows(ctx, dir)
	if err != nil {
		return err
	}
	defer wine.stop()

	const row = "%-13s  %-24s  %-12s  %-12s  %-16s  %s\n"
	fmt.Fprintf(stdout, row, "platform", "run by", "starts", "input errors", "push and rollout", "cancel")
	failed := false
	for _, executable := range executables {
		executable, err := filepath.Abs(executable)
		if err != nil {
			return err
		}
		t := trial{platform: strings.TrimSuffix(strings.TrimPrefix(filepath.Base(executable), "ecsdeploy-"), ".exe")}
		if err := t.prepare(dir, executable, *node, *windowsNode, wine); err != nil {
			return err
		}
		if t.node == "" {
			fmt.Fprintf(stdout, row, t.platform, t.by, "-", "-", "-", "-")
			continue
		}
		t.play(ctx, *vsix, stderr)
		failed = failed || t.failed
		fmt.Fprintf(stdout, row, t.platform, t.by, t.results[0], t.results[1], t.results[2], t.results[3])
	}
	if failed {
		return errors.New("not every platform did what it should")
	}
	return ctx.Err()
}

// prepare finds out how to run the executable; t.node stays empty where this machine cannot.
func (t *trial) prepare(dir, executable, node, windowsNode string, wine windows) error {
	if t.platform == native() {
		t.node, t.by = node, "this machine, index.js"
		return nil
	}
	program, arguments, windows := "", executable, strings.HasPrefix(t.platform, "win32-")
	var environ []string
	if windows {
		environ = wine.environ()
	}
	switch {
	case windows && wine.program == "" && t.platform != "win32-arm64":
		t.by = "needs wine"
	case t.platform == "win32-x64":
		t.by, program = "wine", wine.program
		if windowsNode != "" {
			// Of Windows' console only the executable is played here: the signal reaches one process, and on Windows the
			// script leaves it to the console.
			t.by, arguments = "wine, node.exe, index.js", windowsNode
			t.cancelled = filepath.Join(dir, t.platform+"-alone")
			if err := os.WriteFile(t.cancelled, []byte(wrapper(program, executable, windows, environ)), 0o755); err != nil {
				return err
			}
		}
	case t.platform == "win32-ia32" && wine.program32 != "":
		t.by, program = "wine", wine.program32
	case t.platform == "win32-ia32":
		t.by = "needs wine32"
	case processors[t.platform] != "":
		path, err := exec.LookPath(processors[t.platform])
		if err != nil {
			t.by = "needs " + processors[t.platform]
			return nil
		}
		t.by, program = filepath.Base(path), path
	default:
		t.by = "cannot be run here"
	}
	if program == "" {
		return nil
	}
	t.node = filepath.Join(dir, t.platform)
	return os.WriteFile(t.node, []byte(wrapper(program, arguments, windows, environ)), 0o755)
}

// onThisSystem has the agent's commands that name files name them as this file system does.
const onThisSystem = ` > >(sed -u -E '/^#{2}vso\[task\.(addattachment|uploadfile|uploadsummary)[] ]/{s/Z://;s/\\/\//g}')`

// wrapper is a script that the agent starts in Node's place. It is Bash's, which hands on variables whose names have
// dashes. Windows programs get the paths that the agent sets as paths on wine's drive Z, which is the root of this file
// system. Of node.exe the standard error is a file: it does not take the pipes of this system for some.
func wrapper(program, executable string, windows bool, environ []string) string {
	lines := []string{"#!/usr/bin/env bash", `export ECSDEPLOY_TASK_FOLDER="${1%/*}"`}
	for _, entry := range environ {
		lines = append(lines, "export '"+entry+"'")
	}
	start := fmt.Sprintf("exec '%s' '%s'", program, executable)
	if windows {
		if strings.EqualFold(filepath.Base(executable), "node.exe") {
			start += ` "Z:$1" 2>"$temp"/node-errors.txt`
		}
		start += onThisSystem
		lines = append(lines, "temp=$AGENT_TEMPDIRECTORY")
		for _, name := range []string{"AGENT_TEMPDIRECTORY", "SYSTEM_DEFAULTWORKINGDIRECTORY", "PIPELINE_WORKSPACE"} {
			lines = append(lines, fmt.Sprintf(`export %s="Z:$%[1]s"`, name))
		}
	}
	return strings.Join(append(lines, start), "\n") + "\n"
}

// play puts the platform through the runs.
func (t *trial) play(ctx context.Context, vsix string, stderr io.Writer) {
	note := func(took time.Duration, err error) {
		if err != nil {
			t.failed = true
			t.results = append(t.results, "no")
			fmt.Fprintf(stderr, "%s: %v\n", t.platform, err)
			return
		}
		t.results = append(t.results, fmt.Sprintf("yes, %.1f s", took.Seconds()))
	}
	began := time.Now()
	result, err := agent.Job{VSIX: vsix, Node: t.node, Inputs: map[string]string{"command": "deploy"}}.Run(ctx)
	took := time.Since(began)
	if err == nil && len(result.Raw) == 0 {
		err = errors.New("no output")
	}
	note(took, err)
	switch {
	case err != nil:
	case result.Status != agent.Failed || result.ExitCode != 0:
		err = fmt.Errorf("the step %v with exit code %d", result.Status, result.ExitCode)
	case len(result.Issues) < 2:
		err = fmt.Errorf("want each mistake as an issue, got %v", result.Issues)
	}
	note(took, err)
	for _, run := range []struct {
		scenario string
		cancel   bool
	}{{"complete", false}, {"slow", true}} {
		began := time.Now()
		scenario, err := emulator.ParseScenario(run.scenario)
		if err == nil {
			var log strings.Builder
			a := attempt{scenario: scenario, cancel: run.cancel, vsix: vsix, node: t.node, speed: 30, out: &log} // without history: each platform plays as little as proves it
			if run.cancel && t.cancelled != "" {
				a.node = t.cancelled
			}
			if err = a.run(ctx); err != nil {
				err = fmt.Errorf("%w; its log:\n%s", err, log.String())
			}
		}
		note(time.Since(began), err)
	}
}
