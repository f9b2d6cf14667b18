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

// runner starts the executable of one platform.
type runner struct {
	platform string   // in Node's words, as files are named: linux-arm64
	programs []string // of which the first that is on the PATH runs it; none: it runs by itself
	windows  bool
}

// runners is in the order of .ci/platforms. What has no entry, as macOS, cannot be run on another system.
var runners = []runner{
	{platform: "linux-x64", programs: []string{"qemu-x86_64"}},
	{platform: "linux-arm64", programs: []string{"qemu-aarch64"}},
	{platform: "linux-arm", programs: []string{"qemu-arm"}},
	{platform: "win32-x64", programs: []string{"wine64", "wine"}, windows: true},
	{platform: "win32-ia32", programs: []string{"wine32", "wine"}, windows: true},
}

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
	stop, err := startWine(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()

	const row = "%-13s  %-28s  %-14s  %-16s  %-18s  %s\n"
	fmt.Fprintf(stdout, row, "platform", "run by", "starts", "input errors", "push and rollout", "cancel")
	failed := false
	for _, executable := range executables {
		executable, err := filepath.Abs(executable)
		if err != nil {
			return err
		}
		t := trial{platform: strings.TrimSuffix(strings.TrimPrefix(filepath.Base(executable), "ecsdeploy-"), ".exe")}
		if err := t.prepare(dir, executable, *node, *windowsNode); err != nil {
			return err
		}
		if t.node == "" {
			fmt.Fprintf(stdout, row, t.platform, t.by, "-", "-", "-", "-")
			continue
		}
		t.play(ctx, *vsix)
		failed = failed || t.failed
		fmt.Fprintf(stdout, row, t.platform, t.by, t.results[0], t.results[1], t.results[2], t.results[3])
	}
	if failed {
		return errors.New("not every platform did what it should")
	}
	return ctx.Err()
}

// prepare finds out how to run the executable; t.node stays empty where this machine cannot.
func (t *trial) prepare(dir, executable, node, windowsNode string) error {
	if t.platform == native() {
		t.node, t.by = node, "this machine, index.js"
		return nil
	}
	t.by = "not run on this machine"
	for _, r := range runners {
		if r.platform != t.platform {
			continue
		}
		for _, program := range r.programs {
			path, err := exec.LookPath(program)
			if err != nil {
				continue
			}
			t.by = program
			script := wrapper(path, executable, r.windows)
			if r.windows && windowsNode != "" && t.platform == "win32-x64" {
				t.by += ", index.js"
				script = wrapper(path, windowsNode, true) // it gets the path of index.js from the agent
			}
			t.node = filepath.Join(dir, t.platform)
			return os.WriteFile(t.node, []byte(script), 0o755)
		}
		t.by = "needs " + strings.Join(r.programs, " or ")
	}
	return nil
}

// wrapper is a script that the agent starts in Node's place. Windows programs get the paths that the agent sets as paths
// on wine's drive Z, which is the root of this file system; the agent could not read those of a summary.
func wrapper(program, executable string, windows bool) string {
	lines := []string{"#!/bin/sh", `export ECSDEPLOY_TASK_FOLDER="${1%/*}"`}
	arguments := ""
	if windows {
		for _, name := range []string{"AGENT_TEMPDIRECTORY", "SYSTEM_DEFAULTWORKINGDIRECTORY", "PIPELINE_WORKSPACE"} {
			lines = append(lines, fmt.Sprintf(`export %s="Z:$%[1]s"`, name))
		}
		lines = append(lines, "export INPUT_SUMMARY=false")
		if strings.EqualFold(filepath.Base(executable), "node.exe") {
			arguments = ` "Z:$1"`
		}
	}
	return strings.Join(append(lines, fmt.Sprintf("exec '%s' '%s'%s", program, executable, arguments)), "\n") + "\n"
}

// startWine sets up a Windows of its own below dir, where wine is installed. Its server is started ahead of the runs, for
// the agent takes for a process left behind whatever they start.
func startWine(ctx context.Context, dir string) (stop func(), err error) {
	wine := ""
	for _, name := range []string{"wine64", "wine"} {
		if path, err := exec.LookPath(name); err == nil && wine == "" {
			wine = path
		}
	}
	if wine == "" {
		return func() {}, nil
	}
	prefix := filepath.Join(dir, "wine")
	for name, value := range map[string]string{"WINEPREFIX": prefix, "WINEDEBUG": "-all", "DISPLAY": ""} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	if out, err := exec.CommandContext(ctx, wine, "wineboot", "--init").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("wineboot: %w: %s", err, out)
	}
	return func() {
		_ = exec.Command(wine, "wineboot", "--kill").Run() // best effort: the folder goes in any case
	}, nil
}

// play puts the platform through the runs.
func (t *trial) play(ctx context.Context, vsix string) {
	note := func(took time.Duration, err error) {
		if err != nil {
			t.failed = true
			t.results = append(t.results, "FAILED: "+err.Error())
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
			a := attempt{scenario: scenario, cancel: run.cancel, vsix: vsix, node: t.node, speed: 30, out: io.Discard}
			err = a.run(ctx)
		}
		note(time.Since(began), err)
	}
}
