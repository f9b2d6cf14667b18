// Package agent is a stand-in for the Azure Pipelines agent: it runs one packaged task as one step of a job and says
// what a real agent would have made of it. It unpacks the extension without exec bits, builds the environment,
// starts the task's Node handler, acts on the logging commands found in both streams, masks secrets, and cancels with
// the real agent's signals.
//
// It follows github.com/microsoft/azure-pipelines-agent; each rule cites the file under src/ that it comes from.
//
// It does not talk to Azure DevOps, run a job of several steps, evaluate conditions, check out sources, run containers,
// or enforce what only the web page does (required inputs, visibleRule, picklists). Where the real agent is lenient in a
// way that hides a mistake, it stays lenient and records the mistake in Result.Warnings.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Job is one step that runs one task. Give VSIX or TaskDir, and Node; everything else has a default.
type Job struct {
	VSIX    string // path of a packaged extension that holds exactly one task
	TaskDir string // a task folder that is unpacked already, used as it is
	Node    string // the node executable; default: node on the PATH

	Name      string            // the step's name, under which outputs are reachable; default: the task's name
	Inputs    map[string]string // by the names of the YAML file
	Variables map[string]string // pipeline variables, such as "Build.BuildId"; they override the agent's own
	Secrets   map[string]string // secret pipeline variables
	Endpoints []Endpoint        // the project's service connections
	Retries   int               // the step's retryCountOnTaskFailure

	// PublicLast is an agent before 5.277.0: it sets public variables after inputs, endpoints and secure files, so that a
	// variable named INPUT_X replaces the input x.
	PublicLast bool
	// PublicToken is a classic job that allows scripts to access the token: System.AccessToken is a public variable.
	PublicToken bool

	HostType HostType // HostBuild or HostRelease; default: HostBuild
	Release  Release  // read when HostType is HostRelease

	CollectionURL string // the organization; default: https://dev.azure.com/example/
	Token         string // the job's access token; default: a made-up one

	Environ   []string      // further environment of the agent's own process, "KEY=value"
	Directory string        // the agent's root folder; default: a temporary one, removed at the end
	Timeout   time.Duration // the step's timeoutInMinutes; 0 is none

	// How long the agent waits after SIGINT, after SIGTERM, and for the streams to close once node is gone.
	// The defaults, 7.5 s, 2.5 s and 5 s, are the real agent's (Agent.Sdk/ProcessInvoker.cs); the variables
	// PROCESS_SIGINT_TIMEOUT and PROCESS_SIGTERM_TIMEOUT, in milliseconds, replace the first two.
	Interrupt, Terminate, Drain time.Duration

	Output     io.Writer // receives the log, rendered for a person; nil for none
	Color      bool      // with ANSI colours
	Timestamps bool      // with the time that the web page can show before each line
}

// Status is how a step ended; its names are those of DistributedTask's TaskResult.
type Status int

// The statuses that a step of one task can have, from best to worst.
const (
	Succeeded Status = iota
	SucceededWithIssues
	Failed
	Canceled
	Skipped
)

var statusNames = [...]string{"Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped"}

func (s Status) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return statusNames[s]
}

// Result is what a step left behind.
type Result struct {
	Status   Status
	ExitCode int    // node's, of the last attempt; -1 when a signal ended it
	Attempts int    // how often the task was run
	Handler  string // the task.json handler that was chosen, such as Node24

	Outputs     map[string]string // output variables, reachable as <step>.<name>
	Variables   map[string]string // other variables that the task set, by the names it used
	Issues      []Issue           // as kept on the timeline: at most 10 errors and 10 warnings
	Summaries   []string          // contents of the uploaded Markdown summaries
	Attachments []Attachment      // other uploaded files
	BuildTags   []string
	Progress    []Progress
	Commands    []Command // every logging command that was recognised, in order

	Log    []Line   // as shown, masked
	Raw    []byte   // both streams as the task wrote them, line by line, not masked
	Masked []string // what the task itself declared secret, in order

	Orphans  []int    // processes of the task that outlived node; the agent has killed them
	Warnings []string // what a real agent would have dropped, ignored or complained about, and where this one differs
}

// Issue is an error or warning on the step's timeline record.
type Issue struct {
	Type    string // "error" or "warning"
	Message string // masked
	Data    map[string]string
}

// Attachment is a file that the task asked to be uploaded.
type Attachment struct {
	Type, Name string
	Content    []byte
}

// Progress is one step of the progress bar.
type Progress struct {
	Percent   int
	Operation string
}

// Run runs the step to its end. Cancelling ctx is a cancelled job: SIGINT, 7.5 s, SIGTERM, 2.5 s, kill, each sent to
// node alone. The error is not nil only where a real agent could not have started the task at all; how the task itself
// ended is the Result's Status.
func (j Job) Run(ctx context.Context) (Result, error) {
	j, err := j.withDefaults()
	if err != nil {
		return Result{}, err
	}
	if j.Directory == "" {
		dir, err := os.MkdirTemp("", "agent-")
		if err != nil {
			return Result{}, err
		}
		defer os.RemoveAll(dir)
		j.Directory = dir
	}
	dirs, err := makeDirectories(j.Directory, j.HostType)
	if err != nil {
		return Result{}, err
	}
	taskDir := j.TaskDir
	if taskDir == "" {
		if taskDir, err = Unpack(j.VSIX, dirs.tasks); err != nil {
			return Result{}, err
		}
	}
	task, err := readTask(taskDir)
	if err != nil {
		return Result{}, err
	}
	if j.Name == "" {
		j.Name = task.Name
	}
	handler, target, err := task.handler()
	if err != nil {
		return Result{}, err
	}
	env, err := j.environment(task, dirs)
	if err != nil {
		return Result{}, err
	}

	s := newStep(j, task, env)
	s.result.Handler = handler
	s.start()
	s.run(ctx, process{
		node:      j.Node,
		script:    filepath.Join(taskDir, filepath.FromSlash(target)),
		directory: dirs.working,
		environ:   env.list(),
	})
	s.finish()
	return s.result, nil
}

// WorkingDirectory is the task's System.DefaultWorkingDirectory in a Job with a Directory, for files that the task is to
// find. Run makes it where it does not exist.
func (j Job) WorkingDirectory() string {
	return layout(j.Directory, j.HostType).working
}

func (j Job) withDefaults() (Job, error) {
	if (j.VSIX == "") == (j.TaskDir == "") {
		return j, errors.New("agent: a Job needs either VSIX or TaskDir")
	}
	for _, d := range []struct {
		field    *time.Duration
		variable string
		value    time.Duration
	}{
		{&j.Interrupt, "PROCESS_SIGINT_TIMEOUT", 7500 * time.Millisecond},
		{&j.Terminate, "PROCESS_SIGTERM_TIMEOUT", 2500 * time.Millisecond},
		{&j.Drain, "", 5 * time.Second},
	} {
		if text, ok := lookupFold(j.Variables, d.variable); ok {
			if ms, err := strconv.Atoi(text); err == nil && ms > 0 && *d.field == 0 {
				*d.field = time.Duration(ms) * time.Millisecond
			}
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *string
		value string
	}{{&j.Node, "node"}, {&j.CollectionURL, "https://dev.azure.com/example/"}, {&j.Token, "job-access-token-0123456789"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if j.HostType == "" {
		j.HostType = HostBuild
	}
	if !strings.HasSuffix(j.CollectionURL, "/") {
		j.CollectionURL += "/"
	}
	return j, nil
}

// directories are the folders of a job (Microsoft.VisualStudio.Services.Agent/Constants.cs, Path and Build.Path).
type directories struct {
	root, work, tasks, temp, tools string
	job                            string // _work/1 or _work/r1
	working                        string // System.DefaultWorkingDirectory
}

func layout(root string, host HostType) directories {
	work := filepath.Join(root, "_work")
	d := directories{
		root: root, work: work, tasks: filepath.Join(work, "_tasks"), temp: filepath.Join(work, "_temp"), tools: filepath.Join(work, "_tool"),
		job: filepath.Join(work, "1"),
	}
	d.working = filepath.Join(d.job, "s")
	if host == HostRelease {
		d.job = filepath.Join(work, "r1")
		d.working = filepath.Join(d.job, "a")
	}
	return d
}

func makeDirectories(root string, host HostType) (directories, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return directories{}, err
	}
	d := layout(root, host)
	for _, dir := range []string{d.tasks, d.temp, d.tools, d.working, filepath.Join(d.job, "a"), filepath.Join(d.job, "b")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return directories{}, err
		}
	}
	return d, nil
}
