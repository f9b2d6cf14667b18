//go:build unix

// Package task_test tests index.js, the script that the agent starts, under every Node that agents use.
//
// The executable it starts is this test's own binary, which then plays the part that $PLAY names. ECSDEPLOY_TEST_NODES
// lists the Node executables to test with, separated as in PATH; without it the one on the PATH is used.
package task_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
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
		fmt.Printf("arguments=%d input=%s\n", len(os.Args)-1, os.Getenv("INPUT_CLUSTER"))
		fmt.Println("self=" + os.Args[0])
	case "exit":
		code, _ := strconv.Atoi(argument)
		os.Exit(code)
	case "warn":
		fmt.Fprintln(os.Stderr, argument)
	case "die": // by a signal that no process can catch, in the middle of a line
		fmt.Print(argument)
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	case "panic":
		panic(argument)
	case "segmentation": // Go's runtime takes it for a fault of this process
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case "fatal": // an error that no program can recover from
		new(sync.Mutex).Unlock()
	case "leave": // a process behind that holds standard error open
		left := exec.Command("sleep", "60")
		left.Stderr = os.Stderr
		if err := left.Start(); err != nil {
			panic(err)
		}
		fmt.Println("left", left.Process.Pid)
	case "wait": // for one of two signals, each with an exit code of its own, or for the end of node
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		gone := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			close(gone)
		}()
		fmt.Println("ready", os.Getpid())
		select {
		case got := <-signals:
			fmt.Println("got", got)
		case <-gone:
			fmt.Println("node is gone")
		}
	}
	concluded, err := strconv.Atoi(os.Getenv("ECSDEPLOY_CONCLUDED"))
	if err != nil {
		panic(err)
	}
	os.Exit(concluded)
}

// TestShim: whatever happens, the shim exits with 0, and says what failed in one error.
func TestShim(t *testing.T) {
	const check = " What it had begun may still be in progress: look at the deployments of the service in the ECS console."
	tests := []struct {
		name    string
		play    string
		preload string       // a script below testdata that node runs first
		program string       // the executable's file, instead of the test binary
		change  func(s shim) // of the task folder
		failed  string       // the beginning of the error; empty for none
		want    []string     // further parts of the output
	}{
		{name: "runs the executable without arguments", play: "report", want: []string{"arguments=0 input=prod"}},
		{name: "is silent when the executable has said how the run ended", play: "conclude"},
		{name: "exit code 0 without a word is failure", play: "exit 0", failed: "EcsDeploy ended with exit code 0 and did not say how the run ended." + check},
		{name: "so is any other", play: "exit 3", failed: "EcsDeploy ended with exit code 3 and did not say how the run ended." + check},
		{name: "a killed executable", play: "die", failed: "EcsDeploy was ended by SIGKILL, as when the agent has no memory left." + check},
		{name: "as a shell reports it", play: "exit 137", failed: "EcsDeploy was ended by SIGKILL"},
		{name: "killed within a command", play: "die ##vso[task.debug]half", failed: "EcsDeploy was ended by SIGKILL", want: []string{"##vso[task.debug]half\n"}},
		{name: "a panic", play: "panic ##vso[task.complete result=Succeeded]\u200b x", failed: "EcsDeploy crashed: panic: **vso[task.complete result=Succeeded] x.", want: []string{"\n##vso[task.debug]goroutine 1 "}},
		{name: "a fault", play: "segmentation", failed: "EcsDeploy crashed: SIGSEGV: segmentation violation."},
		{name: "an error of Go's runtime", play: "fatal", failed: "EcsDeploy crashed: fatal error: sync: unlock of unlocked mutex."},
		{name: "what is written to standard error", play: "warn a\r##v\u00adso[b.c]\x1b[0m 100%", want: []string{"\n##vso[task.debug]a\n##vso[task.debug]**vso[b.c] 100%AZP25\n"}},
		{name: "secrets in URLs", play: "warn Get https://u:p@h/?X-Amz-Signature=ab&x=1: no", want: []string{"]Get https://***@h/?X-Amz-Signature=***&x=1: no\n"}},
		{name: "does not wait for whoever holds standard error", play: "leave", want: []string{"left "}},
		{name: "unpacks into the task folder", play: "report", want: []string{"self={task}/bin/ecsdeploy-"}},
		{name: "elsewhere from a read-only task folder", play: "report", preload: "readonly.js", want: []string{"self={temp}/ecsdeploy-"}},
		{name: "elsewhere where that may hold no programs", play: "report", preload: "noexec.js", want: []string{"self={temp}/ecsdeploy-"}},
		{name: "elsewhere from a folder that everybody can change", play: "report", change: func(s shim) { s.must(os.Chmod(s.bin(), 0o777)) }, want: []string{"self={temp}/ecsdeploy-"}},
		{name: "a full disk", play: "report", preload: "full.js", failed: "EcsDeploy could not unpack its executable: no space left on device"},
		{name: "no place that may hold programs", play: "report", preload: "noexec-anywhere.js",
			failed: "EcsDeploy could not unpack its executable: {task}/bin/ecsdeploy-", want: []string{" cannot be run, as on a file system mounted with noexec; {temp}/ecsdeploy-"}},
		{name: "32-bit ARM Windows", preload: "windows-arm.js", failed: "EcsDeploy does not run on this agent's platform, win32-arm. It runs on "},
		{name: "a Node that is too old", play: "report", preload: "nobrotli.js",
			failed: "EcsDeploy needs the Node 20 of agents from 3.232.1 on; this agent (2.181.2) runs it with Node v"},
		{name: "names an unsupported platform", preload: "sunos.js",
			failed: "EcsDeploy does not run on this agent's platform, sunos-x64. It runs on linux (x64, arm64, arm), win32 (x64, arm64, ia32) and darwin (x64, arm64)."},
		{name: "says why the executable does not start", program: "#!/does/not/exist\n", failed: "EcsDeploy could not start {task}/bin/ecsdeploy-", want: []string{"ENOENT"}},
		{name: "no more open files", preload: "nofiles.js", failed: "EcsDeploy could not start {task}/bin/ecsdeploy-", want: []string{"EMFILE"}},
		{name: "an index without anything", change: func(s shim) { s.write("index.json", "null") }, failed: "The task's files in {task}/bin are damaged: "},
		{name: "a damaged index", change: func(s shim) { s.write("index.json", "{") }, failed: "The task's files in {task}/bin are damaged: "},
		{name: "no index", change: func(s shim) { s.must(os.Remove(filepath.Join(s.bin(), "index.json"))) }, failed: "The task's files in {task}/bin are damaged: "},
		{name: "a truncated pack", change: func(s shim) { s.must(os.Truncate(filepath.Join(s.bin(), family()+".br"), 1000)) }, failed: "The task's files in {task}/bin are damaged: "},
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
				if tt.change != nil {
					tt.change(s)
				}
				out := s.run("PLAY=" + tt.play)
				replace := strings.NewReplacer("{temp}", s.temp, "{task}", s.task)
				if tt.failed != "" {
					tt.failed = replace.Replace(tt.failed)
					tt.want = append(tt.want, "\n##vso[task.logissue type=error]"+tt.failed, "\n##vso[task.complete result=Failed]"+tt.failed)
				}
				for _, want := range tt.want {
					if want = replace.Replace(want); !strings.Contains(out, want) {
						t.Errorf("the output lacks %q:\n%s", want, out)
					}
				}
				if n := strings.Count(out, "##vso[task.complete "); n != strings.Count(strings.Join(tt.want, ""), "\n##vso[task.complete ") {
					t.Errorf("%d times task.complete:\n%s", n, out)
				}
				if len(tt.want) == 0 && out != "" {
					t.Errorf("unexpected output: %s", out)
				}
				if left := s.partial(); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	}
}

// TestOldNode: an agent falls back to an older Node where its Node 20 does not run, as on a Linux with an old glibc, and
// where it is told to. The script runs there, too, and what it says on a failure can be read. ECSDEPLOY_TEST_OLD_NODES lists
// the executables; there are none for every machine.
func TestOldNode(t *testing.T) {
	paths := filepath.SplitList(os.Getenv("ECSDEPLOY_TEST_OLD_NODES"))
	if len(paths) == 0 {
		t.Skip("ECSDEPLOY_TEST_OLD_NODES names no Node 10 or 16: ./build.sh test installs them on Linux, x64")
	}
	self := pack(t, ownExecutable(t), runtime.GOOS)
	for _, path := range paths {
		version, err := exec.Command(path, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, tt := range []struct{ name, play, preload, want string }{
			{"runs", "report", "", "self={task}/bin/ecsdeploy-"},
			{"runs from a read-only folder", "report", "readonly.js", "self={temp}/ecsdeploy-"},
			{"tells a crash", "panic ##vso[task.complete result=Succeeded]", "", "\n##vso[task.complete result=Failed]EcsDeploy crashed: panic: **vso[task.complete result=Succeeded]."},
			{"names the platform", "", "sunos.js", "\n##vso[task.complete result=Failed]EcsDeploy does not run on this agent's platform, sunos-x64."},
		} {
			t.Run(strings.TrimSpace(string(version))+"/"+tt.name, func(t *testing.T) {
				s := newShim(t, path, tt.preload, self)
				out := s.run("PLAY=" + tt.play)
				if want := strings.NewReplacer("{temp}", s.temp, "{task}", s.task).Replace(tt.want); !strings.Contains(out, want) {
					t.Errorf("the output lacks %q:\n%s", want, out)
				}
			})
		}
	}
}

// TestUnpacking: what lies in the executable's place is run only if it is the executable, whole and nobody else's.
func TestUnpacking(t *testing.T) {
	self := pack(t, ownExecutable(t), runtime.GOOS)
	tests := map[string]func(s shim, file string){
		"an empty file":                 func(s shim, file string) { s.must(os.WriteFile(file, nil, 0o755)) },
		"a file that is cut off":        func(s shim, file string) { s.must(os.Truncate(file, 4096)) },
		"another one of the same size":  func(s shim, file string) { s.must(os.WriteFile(file, make([]byte, len(ownExecutable(s.t))), 0o755)) },
		"one that everybody may change": func(s shim, file string) { s.must(os.Chmod(file, 0o777)) },
		"one that may not be run":       func(s shim, file string) { s.must(os.Chmod(file, 0o644)) },
		"a link": func(s shim, file string) {
			s.must(os.Rename(file, file+".elsewhere"))
			s.must(os.Symlink(file+".elsewhere", file))
		},
		"a link in the way of unpacking": func(s shim, file string) {
			s.must(os.Remove(file))
			s.must(os.Symlink("/dev/null", fmt.Sprintf("%s.%d.tmp", file, 1<<30)))
		},
		"what killed processes have left": func(s shim, file string) {
			s.must(os.Truncate(file, 0))
			s.must(os.WriteFile(fmt.Sprintf("%s.%d.tmp", file, 1<<30), []byte("half of it"), 0o644))
		},
		"another's file": func(s shim, file string) {
			if os.Getuid() == 0 { // only root can give files away
				s.must(os.Chown(file, 12345, 12345))
			}
		},
	}
	for node := range nodes(t) {
		for name, damage := range tests {
			t.Run(node.version+"/"+name, func(t *testing.T) {
				s := newShim(t, node.path, "", self)
				file := s.unpacked()
				damage(s, file)
				if out := s.again("PLAY=report"); !strings.Contains(out, "self="+file+"\n") {
					t.Errorf("it was not unpacked again:\n%s", out)
				}
				info, err := os.Lstat(file)
				s.must(err)
				if content, err := os.ReadFile(file); err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o755 || !bytes.Equal(content, ownExecutable(t)) {
					t.Errorf("%s is %v with %d bytes, %v", file, info.Mode(), len(content), err)
				}
				if left := s.partial(); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			})
		}
		t.Run(node.version+"/a folder in its place", func(t *testing.T) {
			s := newShim(t, node.path, "", self)
			file := s.unpacked()
			s.must(os.Remove(file))
			s.must(os.Mkdir(file, 0o755))
			if out := s.again("PLAY=report"); !strings.Contains(out, "self="+s.temp) {
				t.Errorf("it was not unpacked elsewhere:\n%s", out)
			}
		})
		t.Run(node.version+"/by a process that is at it", func(t *testing.T) {
			s := newShim(t, node.path, "", self)
			partial := fmt.Sprintf("%s.%d.tmp", s.unpacked(), os.Getpid())
			s.must(os.WriteFile(partial, []byte("half of it"), 0o644))
			s.again("PLAY=report")
			if left := s.partial(); !slices.Equal(left, []string{partial}) {
				t.Errorf("%q is left, want %s", left, partial)
			}
		})
		t.Run(node.version+"/by several at once", func(t *testing.T) {
			s := newShim(t, node.path, "", self)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if out := s.again("PLAY=report"); !strings.Contains(out, "self="+s.bin()) {
						t.Errorf("one did not run:\n%s", out)
					}
				})
			}
			wg.Wait()
			if left := s.partial(); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
		t.Run(node.version+"/in folders with odd names, without HOME", func(t *testing.T) {
			s := newShim(t, node.path, "readonly.js", self)
			odd := filepath.Join(t.TempDir(), "Ж 100% \"ü\" & $(x)")
			s.must(os.Rename(s.task, odd))
			s.must(os.Mkdir(filepath.Join(odd, "t e m p"), 0o755))
			s.cmd.Args[len(s.cmd.Args)-1] = filepath.Join(odd, "index.js")
			if out := s.again("PLAY=report", "AGENT_TEMPDIRECTORY="+filepath.Join(odd, "t e m p")); !strings.Contains(out, "self="+odd) {
				t.Errorf("it did not run:\n%s", out)
			}
		})
	}
}

// FuzzPack: whatever has become of the packed files, only the executable itself is started, and the step fails otherwise.
func FuzzPack(f *testing.F) {
	program := []byte("#!/bin/sh\necho started\nexit $ECSDEPLOY_CONCLUDED\n")
	f.Add([]byte(`{"linux-x64":{"pack":"x86.br","offset":1e9,"length":-1,"sha256":null}}`), []byte{}, 0)
	f.Add([]byte(`{"linux-x64":{"pack":"../../index.js","offset":0,"length":5,"sha256":""}}`), []byte("\x0b\x02\x80started\x03"), 7)
	f.Add([]byte(nil), []byte("\xff\xff"), 3)
	f.Add([]byte(`{"__proto__":{"linux-x64":{}}}`), []byte(nil), 0)
	bin := pack(f, program, runtime.GOOS)
	f.Fuzz(func(t *testing.T, index, stream []byte, at int) {
		s := newShim(t, nodePaths()[0], "", bin)
		for name, bytes := range map[string][]byte{"index.json": index, family() + ".br": stream} {
			file := filepath.Join(s.bin(), name)
			content, err := os.ReadFile(file)
			s.must(err)
			if name == "index.json" && len(bytes) > 0 {
				content = bytes
			} else if len(bytes) > 0 { // overwritten at some place
				copy(content[uint(at)%uint(len(content)):], bytes)
			}
			s.must(os.WriteFile(file, content, 0o644))
		}
		out := s.run()
		failed := strings.Count(out, "##vso[task.complete result=Failed]")
		if started := strings.Contains(out, "started\n"); started && out != "started\n" || !started && failed != 1 {
			t.Errorf("output:\n%s", out)
		}
	})
}

// BenchmarkStart is what a start costs: node alone, and with the executable checked before it is started.
func BenchmarkStart(b *testing.B) {
	program := append(make([]byte, 0, 15<<20), "#!/bin/sh\nexit $ECSDEPLOY_CONCLUDED\n"...)
	program = program[:cap(program)] // as large as the task's executable
	bin := pack(b, program, runtime.GOOS)
	empty := filepath.Join(b.TempDir(), "empty.js")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		b.Fatal(err)
	}
	b.Run("node", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(nodePaths()[0], empty).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("shim", func(b *testing.B) {
		s := newShim(b, nodePaths()[0], "", bin)
		s.unpacked()
		for b.Loop() {
			if out := s.again(); out != "" {
				b.Fatal(out)
			}
		}
	})
	b.Run("shim-unpacking", func(b *testing.B) {
		s := newShim(b, nodePaths()[0], "readonly.js", bin)
		for b.Loop() {
			if out := s.again(); out != "" {
				b.Fatal(out)
			}
		}
	})
}

// On POSIX the agent signals node alone, so the shim hands the signal on and waits for the executable to clean up.
func TestSignalsAreForwarded(t *testing.T) {
	bin := pack(t, ownExecutable(t), runtime.GOOS)
	for node := range nodes(t) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(node.version+"/"+sig.String(), func(t *testing.T) {
				s := newShim(t, node.path, "", bin)
				out, _ := s.wait(t)
				if err := s.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				if line, _ := out.ReadString('\n'); line != "got "+sig.String()+"\n" {
					t.Errorf("the executable said %q", line)
				}
				if err := s.cmd.Wait(); err != nil {
					t.Error(err)
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
			if err := s.cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A 32-bit agent on a 64-bit Windows starts the executable for the system.
func TestAgentFor32BitsOn64BitWindows(t *testing.T) {
	bin := pack(t, ownExecutable(t), "win32")
	for node := range nodes(t) {
		t.Run(node.version, func(t *testing.T) {
			s := newShim(t, node.path, "windows-ia32.js", bin)
			if out := s.run("PLAY=report"); !strings.Contains(out, "self="+filepath.Join(s.bin(), "ecsdeploy-win32-"+arch()+".exe")+"\n") {
				t.Errorf("it did not start the executable:\n%s", out)
			}
		})
	}
}

// When node is killed, the agent takes that for success: it is the executable that has to notice.
func TestExecutableNoticesThatNodeIsGone(t *testing.T) {
	bin := pack(t, ownExecutable(t), runtime.GOOS)
	for node := range nodes(t) {
		t.Run(node.version, func(t *testing.T) {
			s := newShim(t, node.path, "", bin)
			out, _ := s.wait(t)
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if line, _ := out.ReadString('\n'); line != "node is gone\n" {
				t.Errorf("the executable said %q", line)
			}
			_ = s.cmd.Wait() // killed
		})
	}
}

type node struct{ path, version string }

func nodePaths() []string {
	return filepath.SplitList(cmp.Or(os.Getenv("ECSDEPLOY_TEST_NODES"), "node"))
}

func nodes(t *testing.T) func(func(node) bool) {
	return func(yield func(node) bool) {
		for _, path := range nodePaths() {
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
	t          testing.TB
	task, temp string
	cmd        *exec.Cmd
}

func (s shim) bin() string { return filepath.Join(s.task, "bin") }

func (s shim) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s shim) write(name, content string) {
	s.must(os.WriteFile(filepath.Join(s.bin(), name), []byte(content), 0o644))
}

// run runs the shim once, which must exit with 0, and returns what it printed.
func (s shim) run(environ ...string) string {
	s.t.Helper()
	s.cmd.Env = append(s.cmd.Env, environ...)
	out, err := s.cmd.CombinedOutput()
	if err != nil {
		s.t.Errorf("%v, want exit code 0", err)
	}
	return string(out)
}

// again runs it once more.
func (s shim) again(environ ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.cmd.Path, s.cmd.Args[1:]...)
	cmd.Env = slices.Clone(s.cmd.Env)
	s.cmd = cmd
	return s.run(environ...)
}

// unpacked has the executable unpacked and returns its path.
func (s shim) unpacked() string {
	s.t.Helper()
	s.again("PLAY=conclude")
	found, _ := filepath.Glob(filepath.Join(s.bin(), "ecsdeploy-*"))
	if len(found) != 1 {
		s.t.Fatalf("unpacked: %q", found)
	}
	return found[0]
}

// partial lists what must not be left behind: files that are not whole, and what lies in the temporary folder.
func (s shim) partial() []string {
	files, _ := filepath.Glob(filepath.Join(s.bin(), "*.tmp"))
	left, _ := filepath.Glob(filepath.Join(s.temp, "*"))
	return append(files, left...)
}

// newShim makes a task folder with the executables of bin. preload is a script below testdata that node runs first.
func newShim(t testing.TB, node, preload, bin string) shim {
	t.Helper()
	s := shim{t: t, task: t.TempDir(), temp: t.TempDir()}
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
	s.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AGENT_TEMPDIRECTORY=" + s.temp, "INPUT_CLUSTER=prod",
		"GORACE=atexit_sleep_ms=0", // the race detector would make each executable linger for a second
	}
	return s
}

// family is what the pack with the executables for this machine's processor is called by.
func family() string { return map[string]string{"amd64": "x86", "arm64": "arm"}[runtime.GOARCH] }

func arch() string { return map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH] }

// pack packs an executable for a platform as the build does, between others, and returns the folder.
func pack(t testing.TB, executable []byte, platform string) string {
	t.Helper()
	name := "ecsdeploy-" + platform + "-" + arch()
	if platform == "win32" {
		name += ".exe"
	}
	from, to := t.TempDir(), t.TempDir()
	contents := map[string][]byte{}
	for _, other := range []string{"linux", "darwin", "aix"} {
		contents["ecsdeploy-"+other+"-"+arch()] = []byte("of no use")
	}
	contents[name] = executable
	for name, content := range contents {
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
func ownExecutable(t testing.TB) []byte {
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
