// emulator try: the packaged task, run as an agent runs it against the emulator, and the proof of what came of it.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/agent"
	"ecsdeploy/pkg/emulator/azdo"
)

// ending is what a scenario should come to.
type ending struct {
	status  agent.Status
	outcome string
}

// endingOf is what a scenario should come to: where ECS or the task finds that
// the new revision does not run, the service is back on the one before. It is that
// of docs/endings.md, except that a run here has a minute, which long-bake outlasts.
func endingOf(name string) ending {
	switch name {
	case "complete", "slow", "throttled", "flapping", "spot", "blue-green", "canary", "linear", "draining", "early-success", "classic-balancer",
		"no-instance-late", "no-capacity-late", "late-cpu", "late-memory", "late-ports", "late-agent", "late-attribute", "late-instances",
		"late-provider", "late-managed":
		return ending{agent.Succeeded, "succeeded"}
	case "desired-zero", "early-success-crash", "long-bake":
		return ending{agent.SucceededWithIssues, "succeeded"}
	case "paused", "several-pauses", "pause-expires", "pause-continues":
		return ending{agent.SucceededWithIssues, "paused"}
	case "superseded":
		return ending{agent.Failed, "superseded"}
	case "deleted":
		return ending{agent.Failed, "failed"}
	case cancelled:
		return ending{agent.Canceled, ""}
	default:
		return ending{agent.Failed, "rolledBack"}
	}
}

const cancelled = "cancel"

const (
	buildID = 1042
	archive = "chat-app.tar" // the image's file in the job's working directory
)

// attempt is one run of the task.
type attempt struct {
	scenario emulator.Scenario
	cancel   bool
	release  bool
	history  bool // an earlier build was rolled out before, so that the run can say what is new

	devops *azdo.Server // set by run, with how many requests the emulator had answered before
	before int

	vsix, node string
	speed      float64
	color      bool
	out        io.Writer
}

func try(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("emulator try", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: emulator try [flags] [scenario]\n\nFlags:\n")
		flags.PrintDefaults()
		fmt.Fprint(stderr, "\nScenarios:\n")
		listScenarios(stderr)
	}
	a := attempt{out: stdout}
	flags.StringVar(&a.vsix, "vsix", "build/ecsdeploy.vsix", "the packaged `extension`")
	flags.StringVar(&a.node, "node", "node", "the Node `executable` to run its script with")
	flags.Float64Var(&a.speed, "speed", 10, "how many `times` faster than real time rollouts go")
	flags.BoolVar(&a.release, "release", false, "run as a stage of a classic release, not in a YAML pipeline")
	flags.BoolVar(&a.history, "history", true, "roll out an earlier build first, whose log is not shown")
	flags.BoolVar(&a.color, "color", isTerminal(stdout), "colours in the log")
	if err := flags.Parse(args); err != nil {
		return err
	}
	name := flags.Arg(0)
	switch {
	case flags.NArg() > 1:
		return fmt.Errorf("unexpected argument %q", flags.Arg(1))
	case name == "help" || name == "list":
		listScenarios(stdout)
		return nil
	case name == cancelled:
		a.cancel, name = true, "slow"
	}
	var err error
	if a.scenario, err = emulator.ParseScenario(name); err != nil {
		return err
	}
	return a.run(ctx)
}

func listScenarios(w io.Writer) {
	for _, s := range emulator.Scenarios() {
		fmt.Fprintf(w, "  %-20s %s\n", s.Name, s.Description)
	}
	fmt.Fprintf(w, "  %-20s %s\n", cancelled, "the run is cancelled in the middle of the deployment")
}

// run sets the stage, runs the task on it, and compares what came of it with what should have.
func (a attempt) run(ctx context.Context) (err error) {
	if _, err := os.Stat(a.vsix); err != nil {
		return fmt.Errorf("the packaged extension: %w; \"./build.sh package\" makes it", err)
	}
	dir, err := os.MkdirTemp("", "ecsdeploy-try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := emulator.New(emulator.Options{Directory: filepath.Join(dir, "layers"), Speed: a.speed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Demo(ctx); err != nil {
		return err
	}
	endpoint, stop, err := listen(e)
	if err != nil {
		return err
	}
	defer stop()
	devops, stopDevOps, err := demoDevOps()
	if err != nil {
		return err
	}
	defer stopDevOps()
	a.devops = devops
	if a.history {
		if err := a.earlier(ctx, e, endpoint, filepath.Join(dir, "earlier")); err != nil {
			return err
		}
	}
	e.Script(emulator.DemoCluster, emulator.DemoService, a.scenario)
	a.before = len(e.Requests())
	tag := strconv.Itoa(buildID)
	witness := newWitness(endpoint, e.Region())
	before, err := witness.look(ctx, tag)
	if err != nil {
		return err
	}

	result, took, err := a.deploy(ctx, e, endpoint, filepath.Join(dir, "agent"), buildID)
	if err != nil {
		return err
	}

	after, err := a.settled(context.WithoutCancel(ctx), witness, tag, before)
	if err != nil {
		return err
	}
	a.printResult(result, took)
	recordings, err := download(ctx, result, filepath.Join(dir, "downloads"))
	for _, name := range slices.Sorted(maps.Keys(recordings)) {
		a.row("recording", name+": "+recordings[name])
	}
	a.printProof(before, after)
	wrong := a.judge(result, before, after)
	if kept := endingOf(a.name()).status; err != nil || len(recordings) != map[bool]int{true: 1}[kept == agent.Failed || kept == agent.Canceled] {
		wrong = append(wrong, fmt.Sprintf("%d recordings were attached and could be played back: %v", len(recordings), err))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("scenario %s did not end as it should: %s", a.name(), strings.Join(wrong, "; "))
	}
	return nil
}

// settled looks at the service after the run. A cancelled run only asks ECS to
// roll back, which goes on without it.
func (a attempt) settled(ctx context.Context, w witness, tag string, before sight) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for tick := time.Tick(200 * time.Millisecond); ; <-tick {
		after, err := w.look(ctx, tag)
		if err != nil || !a.cancel || after.taskDefinition == before.taskDefinition {
			return after, err
		}
	}
}

func (a attempt) name() string {
	if a.cancel {
		return cancelled
	}
	return a.scenario.Name
}

// deploy runs the packaged task for a build with the inputs of the README's first example.
func (a attempt) deploy(ctx context.Context, e *emulator.Emulator, endpoint, dir string, build int) (agent.Result, time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	job := agent.Job{
		VSIX: a.vsix, Node: a.node, Directory: dir, Output: a.out, Color: a.color,
		Inputs: map[string]string{
			"awsCredentials": "AWS ECR Dev",
			"region":         e.Region(),
			"image":          archive,
			"repository":     emulator.DemoRepository,
			"cluster":        emulator.DemoCluster,
			"services":       emulator.DemoService,
			"timeoutMinutes": "1",
		},
		CollectionURL: a.devops.CollectionURL(), Token: a.devops.Token(),
		Variables: map[string]string{"Build.BuildId": strconv.Itoa(build)},
		Endpoints: []agent.Endpoint{{
			ID: "4a1f4b1e-7f0c-4a3e-9d53-0c6f5a2b8e10", Name: "AWS ECR Dev", Type: "AWS", URL: "https://aws.amazon.com/",
			Scheme:     "UsernamePassword",
			Parameters: map[string]string{"username": "AKIAIOSFODNN7EXAMPLE", "password": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
		}},
		Environ: []string{"AWS_ENDPOINT_URL=" + endpoint},
	}
	if a.release {
		job.HostType, job.Variables = agent.HostRelease, nil
		job.Release = agent.Release{
			ID: 12, Name: "Release-12", Definition: "chat-app", Environment: "dev", Attempt: 1,
			Artifacts: []agent.Artifact{{Alias: "_chat-app", BuildID: build, BuildNumber: "20260105.2", Definition: "chat-app", SourceBranch: "refs/heads/main"}},
		}
	}
	if err := writeArchive(filepath.Join(job.WorkingDirectory(), archive), fmt.Sprintf("chat-app:%d", build)); err != nil {
		return agent.Result{}, 0, err
	}
	began := time.Now()
	if a.cancel {
		job.Output = writerFunc(func(p []byte) (int, error) {
			if ctx.Err() == nil && watching(e.Requests()[a.before:]) {
				fmt.Fprintln(a.out, "-- somebody presses Cancel --")
				began = time.Now()
				cancel()
			}
			return a.out.Write(p)
		})
	}
	result, err := job.Run(ctx)
	return result, time.Since(began), err
}

// watching reports whether the service has been moved and its deployment looked at since.
func watching(requests []emulator.Request) bool {
	moved := slices.IndexFunc(requests, func(r emulator.Request) bool {
		return r.Operation == "UpdateService" && r.Status == http.StatusOK
	})
	return moved >= 0 && slices.ContainsFunc(requests[moved:], func(r emulator.Request) bool { return r.Operation == "DescribeServices" })
}

// judge names everything that is not as the scenario should leave it.
func (a attempt) judge(result agent.Result, before, after sight) []string {
	var wrong []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	want := endingOf(a.name())
	check(result.Status == want.status, "the step %v, not %v", result.Status, want.status)
	check(result.Outputs["outcome"] == want.outcome, "the outcome is %q, not %q", result.Outputs["outcome"], want.outcome)
	check(result.ExitCode == 0, "exit code %d", result.ExitCode)
	check(len(result.Orphans) == 0, "processes were left behind: %v", result.Orphans)
	check(len(result.Warnings) == 0, "the agent objects: %q", result.Warnings)
	switch want.outcome {
	case "succeeded":
		check(after.taskDefinition != before.taskDefinition, "the service is still on %s", after.taskDefinition)
		check(result.Outputs["taskDefinitionArn"] == after.taskDefinition, "the step names %s, the service runs %s", result.Outputs["taskDefinitionArn"], after.taskDefinition)
		// A success with a warning says which tasks do not run it, or not yet.
		check(want.status != agent.Succeeded || after.runs(after.pushed), "the tasks run %v, not the pushed %s", after.running, after.pushed)
		check(result.Outputs["imageDigest"] == after.pushed, "the step names digest %s, ECR has %s", result.Outputs["imageDigest"], after.pushed)
	case "rolledBack", "": // cancelled: rolled back by ECS, which the step asked for
		check(after.taskDefinition == before.taskDefinition, "the service is on %s, not back on %s", after.taskDefinition, before.taskDefinition)
		check(!after.runs(after.pushed), "the pushed image is running")
	}
	return wrong
}

// earlier rolls out the build before, without a trace in the log.
func (a attempt) earlier(ctx context.Context, e *emulator.Emulator, endpoint, dir string) error {
	before := a
	before.out, before.cancel, before.release = io.Discard, false, false
	result, _, err := before.deploy(ctx, e, endpoint, dir, earlierBuild)
	if err == nil && result.Status != agent.Succeeded {
		err = fmt.Errorf("the earlier build could not be rolled out: %v", result.Issues)
	}
	return err
}

// listen serves the emulator on a free port of loopback.
func listen(e *emulator.Emulator) (endpoint string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with stop
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
