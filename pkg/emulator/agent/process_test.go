//go:build unix

package agent

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEachLine(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"line feeds", "a\nb\n", "a|b|"},
		{"the last one may be open", "a\nb", "a|b|"},
		{"carriage returns end lines", "10%\r20%\rdone\n", "10%|20%|done|"},
		{"both together are one end", "a\r\nb\r\n\r\n", "a|b||"},
		{"empty lines", "\n\na\n", "||a|"},
		{"invalid UTF-8 is replaced", "a\xffb\n", "a\uFFFDb|"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			eachLine(strings.NewReader(tt.in), func(line string) { got += line + "|" })
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// run runs the task in testdata under the Node that the tests use. Each cancel point is a line of output.
func run(t *testing.T, job Job, cancelAt string) Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	job.TaskDir = cmp.Or(job.TaskDir, "testdata/task")
	job.TaskDir, _ = filepath.Abs(job.TaskDir)
	job.Node = node()
	job.Output = writerFunc(func(p []byte) (int, error) {
		if cancelAt != "" && strings.Contains(string(p), cancelAt) {
			cancel()
		}
		return len(p), nil
	})
	result, err := job.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// node is the first of ECSDEPLOY_TEST_NODES, which are separated as in PATH, or the one on the PATH.
func node() string {
	return append(filepath.SplitList(os.Getenv("ECSDEPLOY_TEST_NODES")), "node")[0]
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func logged(r Result) string {
	var lines []string
	for _, line := range r.Log {
		lines = append(lines, line.String())
	}
	return strings.Join(lines, "\n")
}

func TestRun(t *testing.T) {
	result := run(t, Job{Inputs: map[string]string{"script": `
		console.log('tag ' + process.env.INPUT_TAG + ' in ' + require('path').basename(process.cwd()));
		console.error('##vso[task.setvariable variable=imageUri]app:1');
		require('fs').readFileSync(0);
		console.log('no input');`}}, "")
	if result.Status != Succeeded || result.ExitCode != 0 || result.Handler != "Node24" {
		t.Errorf("%v, exit code %d, handler %s", result.Status, result.ExitCode, result.Handler)
	}
	if result.Outputs["imageUri"] != "app:1" {
		t.Errorf("outputs %q", result.Outputs)
	}
	for _, want := range []string{"##[section]Starting: Puppet", "Version      : 1.2.3", "tag 1042 in s", "no input", "##[section]Finishing: Puppet"} {
		if !strings.Contains(logged(result), want) {
			t.Errorf("the log lacks %q:\n%s", want, logged(result))
		}
	}
	if !strings.Contains(string(result.Raw), "##vso[task.setvariable variable=imageUri]app:1\n") {
		t.Errorf("raw output %q", result.Raw)
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name, script string
		status       Status
		exit         int
	}{
		{"a failure that the task handled", "console.log('##vso[task.complete result=Failed]no')", Failed, 0},
		{"a task that broke, whatever it said", "console.log('##vso[task.complete result=Succeeded]yes'); process.exitCode = 3", Failed, 3},
		{"a task that was killed", "process.kill(process.pid, 'SIGKILL')", Succeeded, -1},
		{"a task that was killed after it said that it failed", "require('fs').writeSync(1, '##vso[task.complete result=Failed]no\\n'); process.kill(process.pid, 'SIGKILL')", Failed, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result := run(t, Job{Inputs: map[string]string{"script": tt.script}}, "")
			if result.Status != tt.status || result.ExitCode != tt.exit {
				t.Errorf("%v with exit code %d, want %v with %d", result.Status, result.ExitCode, tt.status, tt.exit)
			}
		})
	}
}

// A task that failed is run again; what it said remains only where it also exited with another code than 0.
func TestRetries(t *testing.T) {
	const attempt = `
		const fs = require('fs'), file = process.env.AGENT_TEMPDIRECTORY + '/attempts';
		const n = fs.existsSync(file) ? Number(fs.readFileSync(file)) + 1 : 1;
		fs.writeFileSync(file, String(n));
		if (n < 3) { %s }`
	tests := []struct {
		name, failure string
		retries       int
		status        Status
		attempts      int
	}{
		{"one that says so", "console.log('##vso[task.complete result=Failed]no')", 5, Succeeded, 3},
		{"one that exits with 1", "process.exitCode = 1", 5, Succeeded, 3},
		{"one that does both", "console.log('##vso[task.complete result=Failed]no'); process.exitCode = 1", 4, Failed, 5},
		{"too few retries", "process.exitCode = 1", 1, Failed, 2},
		{"none", "process.exitCode = 1", 0, Failed, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := strings.Replace(attempt, "%s", tt.failure, 1)
			result := run(t, Job{Retries: tt.retries, Inputs: map[string]string{"script": script}}, "")
			if result.Status != tt.status || result.Attempts != tt.attempts {
				t.Errorf("%v after %d attempts, want %v after %d", result.Status, result.Attempts, tt.status, tt.attempts)
			}
		})
	}
}

const stubborn = `
	process.on('SIGINT', () => console.log('heard SIGINT'));
	process.on('SIGTERM', () => { console.log('heard SIGTERM'); if (%) process.exit(0); });
	setInterval(() => {}, 1000);
	console.log('ready');`

func TestCancel(t *testing.T) {
	tests := []struct {
		name   string
		script string
		job    Job
		exit   int
		heard  []string
	}{
		{
			name:   "SIGINT is enough",
			script: "process.on('SIGINT', () => { console.log('cleaned up'); process.exit(0); }); setInterval(() => {}, 1000); console.log('ready');",
			heard:  []string{"cleaned up"},
		},
		{
			name:   "then SIGTERM",
			script: strings.ReplaceAll(stubborn, "%", "true"),
			job:    Job{Interrupt: 100 * time.Millisecond},
			heard:  []string{"heard SIGINT", "heard SIGTERM"},
		},
		{
			name:   "then the kill",
			script: strings.ReplaceAll(stubborn, "%", "false"),
			job:    Job{Interrupt: 100 * time.Millisecond, Terminate: 100 * time.Millisecond},
			exit:   -1,
			heard:  []string{"heard SIGINT", "heard SIGTERM"},
		},
		{
			name:   "after the times that variables give",
			script: strings.ReplaceAll(stubborn, "%", "false"),
			job:    Job{Variables: map[string]string{"process.sigint.timeout": "1", "PROCESS_SIGINT_TIMEOUT": "100", "Process_Sigterm_Timeout": "100"}},
			exit:   -1,
			heard:  []string{"heard SIGINT", "heard SIGTERM"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.job.Inputs = map[string]string{"script": tt.script}
			result := run(t, tt.job, "ready")
			if result.Status != Canceled || result.ExitCode != tt.exit {
				t.Errorf("%v with exit code %d, want Canceled with %d", result.Status, result.ExitCode, tt.exit)
			}
			for _, want := range append(tt.heard, "##[error]The operation was canceled.") {
				if !strings.Contains(logged(result), want) {
					t.Errorf("the log lacks %q:\n%s", want, logged(result))
				}
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	script := "setInterval(() => {}, 1000)" // dies of SIGINT
	result := run(t, Job{Timeout: time.Millisecond, Inputs: map[string]string{"script": script}}, "")
	if result.Status != Failed || !strings.Contains(logged(result), "##[error]The task has timed out.") {
		t.Errorf("%v\n%s", result.Status, logged(result))
	}
}

// A child that node leaves behind holds the streams open; the agent waits for it a little, then ends it. The child also
// holds the only open end of a FIFO, which tells when it is gone.
func TestOrphans(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("orphans are found through /proc")
	}
	fifo := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error)
	go func() {
		_, err := os.ReadFile(fifo) // until nobody writes any more
		gone <- err
	}()
	script := `
		const alive = require('fs').openSync('` + fifo + `', 'w');
		const stdio = ['ignore', 'inherit', 'inherit', alive];
		require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio }).unref();`
	result := run(t, Job{Drain: 10 * time.Millisecond, Inputs: map[string]string{"script": script}}, "")
	if len(result.Orphans) != 1 {
		t.Fatalf("orphans %v, want one", result.Orphans)
	}
	if !strings.Contains(logged(result), "Terminate orphan process: pid") {
		t.Errorf("the log does not tell of it:\n%s", logged(result))
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
}

func TestNodeIsMissing(t *testing.T) {
	job := Job{TaskDir: "testdata/task", Node: filepath.Join(t.TempDir(), "node")}
	result, err := job.Run(t.Context())
	if err != nil || result.Status != Failed || !slices.ContainsFunc(result.Issues, func(i Issue) bool { return strings.Contains(i.Message, "start node") }) {
		t.Errorf("%v, %v, %v", err, result.Status, result.Issues)
	}
}
