package report

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

const serviceARN = "arn:aws:ecs:eu-west-1:123456789012:service/product-dev-cluster/chat-app"

func result(services ...deploy.ServiceResult) deploy.Result {
	return deploy.Result{
		Image:    deploy.Image{URI: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17", Digest: "sha256:abc"},
		Services: services,
		Took:     70 * time.Second,
	}
}

// to is a service whose rollout ended in an outcome, for no reason that is known
// where it is good.
func to(name string, outcome rollout.Outcome) deploy.ServiceResult {
	s := deploy.ServiceResult{
		Service:    deploy.Service{Cluster: "product-dev-cluster", Name: name},
		ARN:        serviceARN,
		Controller: "ECS",
		Previous:   definitions + name + ":41",
		Revision:   definitions + name + ":42",
		Outcome:    outcome,
	}
	if !outcome.Good() && outcome != "" {
		s.Reason = rollout.Reason{Code: rollout.DeploymentFailed, Detail: "tasks failed to start."}
	}
	return s
}

// explain stands for that of the session.
func explain(err error) (string, string) {
	var m *mistake.Error
	if errors.As(err, &m) {
		return m.Error(), m.Advice
	}
	return err.Error(), "the session's hint"
}

func TestOutputs(t *testing.T) {
	value := func(r deploy.Result, name string) string {
		for _, o := range Outputs(r) {
			if o.Name == name {
				return o.Value
			}
		}
		return "(not set)"
	}
	one := result(to("chat-app", rollout.Succeeded))
	two := result(to("chat-app", rollout.Succeeded), to("worker", rollout.RolledBack))
	refused := to("worker", rollout.Failed)
	refused.Revision, refused.Err = "", errDenied
	pushed := result()
	found := deploy.Result{Current: []deploy.CurrentImage{{URI: "a:1", Revision: "r1"}, {URI: "b:2"}}}
	tests := []struct {
		name   string
		result deploy.Result
		output string
		want   string
	}{
		{"one service", one, "taskDefinitionArn", definitions + "chat-app:42"},
		{"one service", one, "outcome", "succeeded"},
		{"several services give a line each", two, "previousTaskDefinitionArn", definitions + "chat-app:41\n" + definitions + "worker:41"},
		{"only what was moved is claimed", result(to("chat-app", rollout.Succeeded), refused), "taskDefinitionArn", definitions + "chat-app:42\n"},
		{"one that could not be started", result(to("chat-app", rollout.Succeeded), refused), "outcome", "failed"},
		{"the outcome of several is the worst", two, "outcome", "rolledBack"},
		{"what no service has is not set", two, "serviceDeploymentArn", "(not set)"},
		{"a push has an image", pushed, "imageUri", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17"},
		{"a push has no outcome", pushed, "outcome", "(not set)"},
		{"one that was not waited for hides no failure", result(to("a", ""), to("b", rollout.Failed)), "outcome", "failed"},
		{"an outcome of the future hides behind no success", result(to("a", rollout.Succeeded), to("b", "an outcome of the future")), "outcome", "failed"},
		{"one that was not waited for is not a success", result(to("a", ""), to("b", rollout.Succeeded)), "outcome", "(not set)"},
		{"current images give a line each", found, "imageUri", "a:1\nb:2"},
		{"current images", found, "taskDefinitionArn", "r1"},
		{"current images", found, "outcome", "(not set)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := value(tt.result, tt.output); got != tt.want {
				t.Errorf("%s = %q, want %q", tt.output, got, tt.want)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	for outcome, red := range map[rollout.Outcome]bool{
		rollout.Succeeded: false, rollout.Unchanged: false, rollout.Paused: false, "": false,
		rollout.RolledBack: true, rollout.Failed: true, rollout.Superseded: true, rollout.TimedOut: true,
		"an outcome of the future": true,
	} {
		if got := len(Failures(result(to("chat-app", outcome)), explain)) > 0; got != red {
			t.Errorf("outcome %q: red is %v, want %v", outcome, got, red)
		}
	}
}

// TestReason: the lines that are read first say why, each in one line of bearable
// length: the issue, the end of the log, and the title of the summary.
func TestReason(t *testing.T) {
	crash := diagnosis.Diagnosis{Causes: []diagnosis.Cause{{
		Count: 4, StopCode: "EssentialContainerExited", Reason: "Essential container in task exited", Hint: "its log says why",
		Containers: []diagnosis.ContainerEnd{{Name: "app", ExitCode: new(1), Failed: true}},
	}}}
	registry := "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17"
	pull := diagnosis.Diagnosis{Causes: []diagnosis.Cause{{Count: 4, StopCode: "TaskFailedToStart", Hint: "check repository and tag",
		Reason: "CannotPullContainerError: pull image manifest has been retried " + strings.Repeat("again and ", 30) + "again: failed to resolve ref " + registry + ": " + registry + ": not found"}}}
	back := deploy.Rollback{Wanted: true, To: definitions + "chat-app:41", Done: true}
	for _, tt := range []struct {
		name      string
		reason    rollout.Reason
		rollback  deploy.Rollback
		diagnosis diagnosis.Diagnosis
		issue     string
		hint      string
		closed    string
	}{
		{"ECS tells no cause", rollout.Reason{Code: rollout.RolledBackByECS, Detail: "the circuit breaker threshold was exceeded."}, deploy.Rollback{}, crash,
			"service chat-app: rolled back: container app exited with code 1; ECS rolled back the deployment: the circuit breaker threshold was exceeded", "its log says why",
			"chat-app: rolled back: container app exited with code 1"},
		{"what is said already is not said twice", rollout.Reason{Code: rollout.TasksFail, Count: 3, Limit: 3, Cause: &crash.Causes[0]}, back, crash,
			"service chat-app: rolled back: 3 tasks failed for the same reason (maxFailedTasks: 3): container app exited with code 1; rolled back to chat-app:41", "its log says why",
			"chat-app: rolled back: container app exited with code 1"},
		{"of a long one the beginning and the end", rollout.Reason{Code: rollout.DeploymentFailed}, deploy.Rollback{}, pull,
			"service chat-app: rolled back: CannotPullContainerError: … failed to resolve ref " + registry + ": " + registry + ": not found; the deployment failed", "check repository and tag",
			"chat-app: rolled back: CannotPullContainerError: … failed to resolve ref " + registry + ": " + registry + ": not found"},
		{"nothing is known but what ECS says", rollout.Reason{Code: rollout.DeploymentStopped, Detail: "stopped\nby hand", Alarms: []string{"5xx"}}, deploy.Rollback{}, diagnosis.Diagnosis{},
			"service chat-app: rolled back: the deployment was stopped: stopped by hand; alarms 5xx", "", "chat-app: rolled back: the deployment was stopped: stopped by hand; alarms 5xx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := to("chat-app", rollout.RolledBack)
			s.Reason, s.Diagnosis, s.Rollback = tt.reason, tt.diagnosis, tt.rollback
			if got := Failures(result(s), explain); len(got) != 1 || got[0] != (Issue{tt.issue, tt.hint}) {
				t.Errorf("issue %q\nwant  %q, hint %q", got, tt.issue, tt.hint)
			}
			if got := Line(result(s), explain); got != tt.closed+" (1m 10s)" {
				t.Errorf("line %s\nwant %s", got, tt.closed)
			}
			if title, _, _ := strings.Cut(Markdown(result(s), explain), "\n"); title != "### ❌ "+text(tt.closed) {
				t.Errorf("title %s\nwant  ### ❌ %s", title, text(tt.closed))
			}
		})
	}
	s := to("worker", rollout.Failed)
	s.Diagnosis = crash
	if got, want := Line(result(to("chat-app", rollout.Succeeded), s), explain), "2 services: worker: failed: container app exited with code 1 (1m 10s)"; got != want {
		t.Errorf("of several services: %s\nwant: %s", got, want)
	}
	refused := to("worker", rollout.Failed)
	refused.Err, refused.Revision, refused.Reason = errDenied, "", rollout.Reason{Code: rollout.NotStarted}
	want := Issue{"service worker: failed: the deployment could not be started: " + errDenied.Error(), "the session's hint"}
	if got := Failures(result(refused), explain); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
}

// TestEveryReasonHasWords: reasons and rollback codes are listed in the packages
// that decide, and each has a sentence here.
func TestEveryReasonHasWords(t *testing.T) {
	cause := &diagnosis.Cause{Event: true, Reason: "x"}
	for _, code := range append(constants(t, "../rollout/rollout.go", "Code"), string(deploy.SiblingFailed), string(deploy.NotMigrated), string(deploy.OutOfTurn), string(deploy.SmokeTestFailed)) {
		if code == string(rollout.NotStarted) {
			continue // its error says it
		}
		if got := reasonText(rollout.Reason{Code: rollout.Code(code), Cause: cause}, ""); got == "" {
			t.Errorf("reason %s has no words", code)
		}
	}
	codes := constants(t, "../deploy/result.go", "RollbackCode")
	said := map[string]string{}
	for _, code := range codes {
		got := rollbackText(deploy.Rollback{Wanted: true, To: definitions + "web:1", Code: deploy.RollbackCode(code)}, "")
		if got == "" || said[got] != "" {
			t.Errorf("code %s: %q, as %s", code, got, said[got])
		}
		said[got] = code
	}
	if len(codes) < 8 {
		t.Errorf("found only %v", codes)
	}
}

// constants are the values of the string constants of a type in a file.
func constants(t *testing.T, path, typeName string) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is {
			return true
		}
		if of, is := spec.Type.(*ast.Ident); is && of.Name == typeName && len(spec.Values) == 1 {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, value)
		}
		return true
	})
	return all
}

// TestNamed: every kind of mistake belongs to an input of the task.
func TestNamed(t *testing.T) {
	manifest, err := os.ReadFile("../../task/task.json")
	if err != nil {
		t.Fatal(err)
	}
	kinds := constants(t, "../mistake/mistake.go", "Kind")
	if len(kinds) < 20 {
		t.Fatalf("found only %v", kinds)
	}
	for _, kind := range kinds {
		input := inputs[mistake.Kind(kind)]
		if !strings.Contains(string(manifest), `"name": "`+input+`"`) {
			t.Errorf("kind %q is mapped to %q, which is no input of the task", kind, input)
		}
		err := Named(fmt.Errorf("service web: %w", mistake.New(mistake.Kind(kind), "do this", "wrong")))
		if !strings.HasPrefix(err.Error(), "input "+input+": ") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := Named(errDenied); err != errDenied {
		t.Error(err)
	}
	if err := Named(mistake.New("", "", "belongs to nothing")); err.Error() != "belongs to nothing" {
		t.Error(err)
	}
}

// TestWarnings: what is no failure and no plain success either is said in the
// issues and in the summary.
func TestWarnings(t *testing.T) {
	paused := to("web", rollout.Paused)
	paused.Reason = rollout.Reason{Code: rollout.HookWaits, Stage: "POST_SCALE_UP", Hook: ecs.Hook{ID: "h1", Timeout: "ROLLBACK", Expires: time.Date(2026, 11, 26, 21, 5, 0, 0, time.UTC)}}
	nothing := to("web", rollout.Succeeded)
	nothing.Reason = rollout.Reason{Code: rollout.NothingRuns}
	still := to("web", rollout.Unchanged)
	still.Reason = nothing.Reason
	early := to("web", rollout.Succeeded)
	early.Reason = rollout.Reason{Code: rollout.EarlySuccess, Running: 1, Desired: 3}
	asked := to("web", rollout.RolledBack)
	asked.Asked = true
	for _, tt := range []struct {
		s       deploy.ServiceResult
		warning string
		line    string
		summary []string
	}{
		{paused, "web: the deployment is paused at lifecycle hook h1 (stage POST_SCALE_UP); without an answer ECS rolls back at 2026-11-26 21:05 UTC", "web: paused", []string{"### ⏸️ web: paused", "lifecycle hook h1"}},
		{nothing, "web: the desired count is 0: no task runs, and nothing was verified", "web is set to web:42, and its desired count is 0",
			[]string{"### ⚠️ web is set to web:42, and its desired count is 0", "> the desired count is 0: no task runs, and nothing was verified", "| Tasks | ⚠️ none: the desired count is 0"}},
		{still, "web: the desired count is 0: no task runs, and nothing was verified", "web is already set to web:42, and its desired count is 0", []string{"### ⚠️ "}},
		{early, "web: ECS reports success with 1 of 3 tasks running (early success criteria): it continues to replace tasks, and neither circuit breaker nor alarms apply any more", "web runs web:42",
			[]string{"### ⚠️ web runs web:42", "early success criteria"}},
		{asked, "web: web:42 is not deployed: it was rolled back to web:41, as requested", "web was rolled back to web:41, as requested", []string{"### ↩️ "}},
	} {
		r := result(tt.s)
		warnings := Warnings(r)
		if len(warnings) != 1 || warnings[0].Text != tt.warning || len(Failures(r, explain)) != 0 {
			t.Errorf("%q\nwant %q", warnings, tt.warning)
		}
		if got := Line(r, explain); got != tt.line+" (1m 10s)" {
			t.Errorf("line %s, want %s", got, tt.line)
		}
		summary := Markdown(r, explain)
		for _, want := range tt.summary {
			if !strings.Contains(summary, want) {
				t.Errorf("the summary lacks %q:\n%s", want, summary)
			}
		}
		if several := Markdown(result(tt.s, to("b", rollout.Succeeded)), explain); tt.s.Outcome.Good() && !strings.HasPrefix(several, "### ⚠️") {
			t.Errorf("of several: %s", several)
		}
	}
	if got := Warnings(result(to("web", rollout.Succeeded), to("web", rollout.Failed), to("web", ""))); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestRollbackAsAsked: a rollback is no failure where that was asked for, and no
// deployment either.
func TestRollbackAsAsked(t *testing.T) {
	for _, tt := range []struct {
		outcome           rollout.Outcome
		failures, warning int
		title             string
	}{
		{rollout.RolledBack, 0, 1, "### ↩️ chat-app was rolled back to chat-app:41, as requested"},
		{rollout.Failed, 1, 0, "### ❌ chat-app: failed: the deployment failed: tasks failed to start"},
		{"", 0, 0, "### ⏸️ chat-app is going back to chat-app:41; not waited for"},
	} {
		s := to("chat-app", tt.outcome)
		s.Asked = true
		r := result(s)
		if f, w := len(Failures(r, explain)), len(Warnings(r)); f != tt.failures || w != tt.warning {
			t.Errorf("outcome %q: %d failures, %d warnings, want %d and %d", tt.outcome, f, w, tt.failures, tt.warning)
		}
		if title, _, _ := strings.Cut(Markdown(r, explain), "\n"); title != tt.title {
			t.Errorf("outcome %q: %s, want %s", tt.outcome, title, tt.title)
		}
	}
}

// TestLine: the end of the log.
func TestLine(t *testing.T) {
	pushed := result()
	pushed.Image.Pushed = true
	dry := result(to("web", ""))
	dry.DryRun = true
	for _, tt := range []struct {
		r    deploy.Result
		want string
	}{
		{pushed, "Pushed 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17 (1m 10s)"},
		{result(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17 is in ECR already (1m 10s)"},
		{dry, "Dry run: nothing was changed"},
		{result(to("web", rollout.Succeeded)), "web runs web:42 (1m 10s)"},
		{result(to("web", rollout.Unchanged)), "web already runs web:42: nothing to do (1m 10s)"},
		{result(to("web", "")), "web is moving to web:42; not waited for (1m 10s)"},
		{result(to("a", rollout.Succeeded), to("b", rollout.Succeeded)), "2 services: succeeded (1m 10s)"},
		{result(to("a", rollout.Succeeded), to("b", "")), "2 services: not waited for (1m 10s)"},
		{deploy.Result{Current: []deploy.CurrentImage{{Service: web, URI: "host/web:1"}}}, "Current image of web: host/web:1"},
		{deploy.Result{Current: make([]deploy.CurrentImage, 2)}, "Current images of 2 services found"},
	} {
		if got := Line(tt.r, explain); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// TestReasonTexts: who did it, why, and what of it.
func TestReasonTexts(t *testing.T) {
	for _, tt := range []struct {
		reason     rollout.Reason
		controller string
		want       string
	}{
		{rollout.Reason{Code: rollout.RolledBackByTask}, "", "this task requested the rollback"},
		{rollout.Reason{Code: rollout.RolledBackByECS, Alarms: []string{"a", "b"}}, "CodeDeploy", "CodeDeploy rolled back the deployment: alarms a, b"},
		{rollout.Reason{Code: rollout.ReplacedByOther, By: "ecs-svc/9", Revision: definitions + "web:19"}, "", "another deployment (ecs-svc/9, revision web:19) replaced this one"},
		{rollout.Reason{Code: rollout.ReplacedByOther, By: "ecs-svc/9"}, "", "another deployment (ecs-svc/9) replaced this one"},
		{rollout.Reason{Code: rollout.NotInTime, After: 30 * time.Minute}, "", "the deployment did not complete within 30 minutes (timeoutMinutes)"},
		{rollout.Reason{Code: rollout.NotInTime, After: time.Minute, Kept: time.Minute, Running: 1, Desired: 2}, "", "the deployment did not complete within 1 minute (timeoutMinutes: 2, including 1 minute kept for a rollback); 1 of 2 tasks running"},
		{rollout.Reason{Code: rollout.TrafficShifted}, "CodeDeploy", "all production traffic is on the new revision; CodeDeploy stops the previous tasks next"},
		{rollout.Reason{Code: rollout.TrafficShifted, Left: time.Hour}, "CodeDeploy", "all production traffic is on the new revision; CodeDeploy stops the previous tasks after 1h"},
		{rollout.Reason{Code: rollout.TrafficShifted, Stage: "BAKE_TIME"}, "ECS", "all production traffic is on the new revision; ECS continues with bake time"},
		{rollout.Reason{Code: rollout.TrafficShifted}, "ECS", "all production traffic is on the new revision"},
		{rollout.Reason{Code: rollout.WaitsOn, Stage: "CLEAN_UP", After: 25 * time.Minute}, "ECS", "all production traffic is on the new revision, and the full count of tasks runs; the previous tasks did not stop within 25 minutes (timeoutMinutes): ECS waits for them, up to the deregistration delay of the target group and the stopTimeout of the containers"},
		{rollout.Reason{Code: rollout.ReadyWaits, By: "d-1"}, "CodeDeploy", "CodeDeploy deployment d-1 is paused and waits to be told to shift the traffic"},
		{rollout.Reason{Code: rollout.HookWaits, Hook: ecs.Hook{ID: "h1"}}, "", "the deployment is paused at lifecycle hook h1"},
	} {
		if got := reasonText(tt.reason, tt.controller); got != tt.want {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}
