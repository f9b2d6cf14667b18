//go:build unix

// Package task_test tests index.js, the script that the agent starts, under every Node that agents use.
//
// The executable it starts is this test's own binary, which then plays the part that $PLAY names. ECSDEPLOY_TEST_NODES
// lists the Node executables to test with, separated as in PATH; without it the one on the PATH is used.
package task_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if part := os.Getenv("PLAY"); part != "" {
		play(part)
	}
	os.Exit(m.Run())
}

// play is the executable's side of a test.
func play(part string) {
	verb, argument, _ := strings.Cut(part, " ")
	switch verb {
	case "report":
		stdin, _ := io.ReadAll(os.Stdin)
		fmt.Printf("arguments=%d stdin=%q input=%s\n", len(os.Args)-1, stdin, os.Getenv("INPUT_CLUSTER"))
		fmt.Fprintln(os.Stderr, "self="+os.Args[0])
	case "exit":
		code, _ := strconv.Atoi(argument)
		os.Exit(code)
	case "die":
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	case "wait": // for one of two signals, each with an exit code of its own
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		fmt.Println("ready", os.Getpid())
		got := <-signals
		fmt.Println("got", got)
		os.Exit(map[os.Signal]int{os.Interrupt: 40, syscall.SIGTERM: 41}[got])
	}
	os.Exit(0)
}

func TestShim(t *testing.T) {
	tests := []struct {
		name    string
		play    string
		preload string // a script below testdata that node runs first
		program string // the executable's file, instead of the test binary
		exit    int
		want    []string // in the output
	}{
		{name: "runs the executable without arguments or input", play: "report", want: []string{`arguments=0 stdin="" input=prod`}},
		{name: "mirrors success", play: "exit 0"},
		{name: "mirrors failure", play: "exit 3", exit: 3},
		{name: "a signal's death is failure", play: "die", exit: 1, want: []string{
			"##vso[task.logissue type=error]EcsDeploy was ended by SIGKILL.",
			"##vso[task.complete result=Failed]EcsDeploy was ended by SIGKILL.",
		}},
		{name: "unpacks into the task folder", play: "report", want: []string{"self={task}/bin/ecsdeploy-"}},
		{name: "elsewhere from a read-only task folder", play: "report", preload: "readonly.js", want: []string{"self={temp}/ecsdeploy-"}},
		{name: "elsewhere where that may hold no programs", play: "report", preload: "noexec.js", want: []string{"self={temp}/ecsdeploy-"}},
		{name: "names an unsupported platform", preload: "sunos.js", want: []string{
			"##vso[task.logissue type=error]EcsDeploy does not run on this agent's platform, sunos-x64. It runs on linux (x64, arm64, arm), win32 (x64, arm64, ia32) and darwin (x64, arm64).",
			"##vso[task.complete result=Failed]",
		}},
		{name: "says why the executable does not start", program: "#!/does/not/exist\n", want: []string{
			"##vso[task.logissue type=error]EcsDeploy could not start {task}/bin/ecsdeploy-",
			"ENOENT",
			"##vso[task.complete result=Failed]",
		}},
	}
	self := pack(t, ownExecutable(t), runtime.GOOS)
	for node := range nodes(t) {
		for _, tt := range tests {
			t.Run(node.version+"/"+tt.name, func(t *testing.T) {
				bin := self
				if tt.program != "" {
					bin = pack(t, []byte(tt.program), runtime.GOOS)
				}
				s := newShim(t, node.path, tt.preload, bin)
				s.cmd.Env = append(s.cmd.Env, "PLAY="+tt.play)
				out, err := s.cmd.CombinedOutput()
				if code := exitCode(t, err); code != tt.exit {
					t.Errorf("exit code %d, want %d", code, tt.exit)
				}
				for _, want := range tt.want {
					want = strings.NewReplacer("{temp}", s.temp, "{task}", s.task).Replace(want)
					if !strings.Contains(string(out), want) {
						t.Errorf("the output lacks %q:\n%s", want, out)
					}
				}
				if len(tt.want) == 0 && len(out) > 0 {
					t.Errorf("unexpected output: %s", out)
				}
			})
		}
	}
}

// On POSIX the agent signals node alone, so the shim hands the signal on and waits for the executable to clean up.
func TestSignalsAreForwarded(t *testing.T) {
	bin := pack(t, ownExecutable(t), runtime.GOOS)
	for node := range nodes(t) {
		for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 40, syscall.SIGTERM: 41} {
			t.Run(node.version+"/"+sig.String(), func(t *testing.T) {
				s := newShim(t, node.path, "", bin)
				out, _ := s.wait(t)
				if err := s.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				if line, _ := out.ReadString('\n'); line != "got "+sig.String()+"\n" {
					t.Errorf("the executable said %q", line)
				}
				if got := exitCode(t, s.cmd.Wait()); got != code {
					t.Errorf("exit code %d, want %d", got, code)
				}
			})
		}
	}
}

// On Windows the console tells the executable itself: the shim has to outlive the signal and must not touch its child.
func TestWindowsSignalsAreLeftToTheConsole(t *testing.T) {
	bin := pack(t, ownExecutable(t), "win32")
	for node := range nodes(t) {
		t.Run(node.version, func(t *testing.T) {
			s := newShim(t, node.path, "windows.js", bin)
			out, pid := s.wait(t)
			if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if line, _ := out.ReadString('\n'); line != "shim heard SIGINT\n" {
				t.Fatalf("want the preloaded script to confirm the signal, got %q", line)
			}
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil { // as the console's second event would end it
				t.Fatal(err)
			}
			if line, _ := out.ReadString('\n'); line != "got terminated\n" {
				t.Errorf("the executable was sent something else first: %q", line)
			}
			if got := exitCode(t, s.cmd.Wait()); got != 41 {
				t.Errorf("exit code %d, want 41", got)
			}
		})
	}
}

type node struct{ path, version string }

func nodes(t *testing.T) func(func(node) bool) {
	return func(yield func(node) bool) {
		for _, path := range filepath.SplitList(cmp.Or(os.Getenv("ECSDEPLOY_TEST_NODES"), "node")) {
			version, err := exec.Command(path, "--version").Output()
			if err != nil {
				t.Fatalf("node %s: %v; install Node 20 or later", path, err)
			}
			if !yield(node{path, strings.TrimSpace(string(version))}) {
				return
			}
		}
	}
}

// shim is a task folder as it is after unpacking: index.js and the packed executables.
type shim struct {
	task, temp string
	cmd        *exec.Cmd
}

// newShim makes a task folder with the executables of bin. preload is a script below testdata that node runs first.
func newShim(t *testing.T, node, preload, bin string) shim {
	t.Helper()
	s := shim{task: t.TempDir(), temp: t.TempDir()}
	script, err := os.ReadFile("index.js")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.task, "index.js"), script, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(s.task, "bin"), os.DirFS(bin)); err != nil {
		t.Fatal(err)
	}
	arguments := []string{filepath.Join(s.task, "index.js")}
	if preload != "" {
		path, err := filepath.Abs(filepath.Join("testdata", preload))
		if err != nil {
			t.Fatal(err)
		}
		arguments = append([]string{"--require", path}, arguments...)
	}
	s.cmd = exec.CommandContext(t.Context(), node, arguments...)
	s.cmd.Stdin = strings.NewReader("not for the executable")
	s.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AGENT_TEMPDIRECTORY=" + s.temp, "INPUT_CLUSTER=prod",
		"GORACE=atexit_sleep_ms=0", // the race detector would make each executable linger for a second
	}
	return s
}

// pack packs an executable for a platform as the build does, behind another one, and returns the folder.
func pack(t *testing.T, executable []byte, platform string) string {
	t.Helper()
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	name := "ecsdeploy-" + platform + "-" + arch
	if platform == "win32" {
		name += ".exe"
	}
	from, to := t.TempDir(), t.TempDir()
	for name, content := range map[string][]byte{"ecsdeploy-aix-" + arch: []byte("of no use"), name: executable} {
		if err := os.WriteFile(filepath.Join(from, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("node", filepath.Join("..", ".ci", "pack.js"), from, to, "0").CombinedOutput(); err != nil {
		t.Fatalf("pack the executables: %v: %s", err, out)
	}
	return to
}

// ownExecutable is this test's binary, which plays the executable's part.
func ownExecutable(t *testing.T) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	executable, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	return executable
}

// wait starts the shim with an executable that waits for a signal, and returns once it does.
func (s shim) wait(t *testing.T) (out *bufio.Reader, pid int) {
	t.Helper()
	s.cmd.Env = append(s.cmd.Env, "PLAY=wait")
	s.cmd.Stderr = os.Stderr
	pipe, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out = bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("read the executable's first line: %v", err)
	}
	if _, err := fmt.Sscanf(line, "ready %d", &pid); err != nil {
		t.Fatalf("the executable said %q: %v", line, err)
	}
	return out, pid
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}
