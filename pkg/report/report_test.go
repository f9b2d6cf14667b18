package report

import (
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
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

func to(name string, outcome rollout.Outcome) deploy.ServiceResult {
	return deploy.ServiceResult{
		Service:  deploy.Service{Cluster: "product-dev-cluster", Name: name},
		ARN:      serviceARN,
		Previous: "arn:aws:ecs:eu-west-1:123456789012:task-definition/" + name + ":41",
		Revision: "arn:aws:ecs:eu-west-1:123456789012:task-definition/" + name + ":42",
		Outcome:  outcome,
		Reason:   map[bool]string{false: "tasks failed to start"}[outcome.Good() || outcome == ""],
	}
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
	pushed := result()
	tests := []struct {
		name   string
		result deploy.Result
		output string
		want   string
	}{
		{"one service", one, "taskDefinitionArn", "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:42"},
		{"one service", one, "outcome", "succeeded"},
		{"several services give a line each", two, "previousTaskDefinitionArn",
			"arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:41\narn:aws:ecs:eu-west-1:123456789012:task-definition/worker:41"},
		{"the outcome of several is the worst", two, "outcome", "rolledBack"},
		{"what no service has is not set", two, "serviceDeploymentArn", "(not set)"},
		{"a push has an image", pushed, "imageUri", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17"},
		{"a push has no outcome", pushed, "outcome", "(not set)"},
		{"one that was not waited for hides no failure", result(to("a", ""), to("b", rollout.Failed)), "outcome", "failed"},
		{"an outcome of the future hides behind no success", result(to("a", rollout.Succeeded), to("b", "an outcome of the future")), "outcome", "failed"},
		{"one that was not waited for is not a success", result(to("a", ""), to("b", rollout.Succeeded)), "outcome", "(not set)"},
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
		if got := len(Failures(result(to("chat-app", outcome)))) > 0; got != red {
			t.Errorf("outcome %q: red is %v, want %v", outcome, got, red)
		}
	}
}

// TestReason: the lines that are read first say why, each in one line of bearable
// length: the issue, the end of the log, and the title of the summary.
func TestReason(t *testing.T) {
	crash := rollout.Diagnosis{Causes: []rollout.Cause{{
		Count: 4, StopCode: "EssentialContainerExited", Reason: "Essential container in task exited", Hint: "its log says why",
		Containers: []rollout.ContainerEnd{{Name: "app", ExitCode: new(1), Failed: true}},
	}}}
	pull := rollout.Diagnosis{Causes: []rollout.Cause{{Count: 4, StopCode: "TaskFailedToStart", Hint: "check repository and tag",
		Reason: "CannotPullContainerError: pull image manifest has been retried: failed to resolve ref 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17: not found"}}}
	for _, tt := range []struct {
		name, reason        string
		diagnosis           rollout.Diagnosis
		issue, hint, closed string
	}{
		{"ECS tells no cause", "the circuit breaker threshold was exceeded.", crash,
			"service chat-app: rolled back: container app ended with exit code 1; the circuit breaker threshold was exceeded.", "its log says why",
			"chat-app: rolled back: container app ended with exit code 1"},
		{"what is said already is not said twice", "3 tasks stopped alike: container app ended with exit code 1; rolled back to chat-app:41", crash,
			"service chat-app: rolled back: 3 tasks stopped alike: container app ended with exit code 1; rolled back to chat-app:41", "its log says why",
			"chat-app: rolled back: container app ended with exit code 1"},
		{"of a long one the beginning and the end", "the circuit breaker threshold was exceeded.", pull,
			"service chat-app: rolled back: CannotPullContainerError: pull image manifest has been retried: failed … not found; the circuit breaker threshold was exceeded.", "check repository and tag",
			"chat-app: rolled back: CannotPullContainerError: pull image manifest has been retried: failed … not found"},
		{"nothing is known but what ECS says", "alarms\n5xx", rollout.Diagnosis{},
			"service chat-app: rolled back: alarms 5xx", "", "chat-app: rolled back: alarms 5xx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := to("chat-app", rollout.RolledBack)
			s.Reason, s.Diagnosis = tt.reason, tt.diagnosis
			if got := Failures(result(s)); len(got) != 1 || got[0] != (Issue{tt.issue, tt.hint}) {
				t.Errorf("issue %q\nwant  %q, hint %q", got, tt.issue, tt.hint)
			}
			if got := Line(result(s)); got != tt.closed+" (1 min 10 s)" {
				t.Errorf("line %s\nwant %s", got, tt.closed)
			}
			if title, _, _ := strings.Cut(Markdown(result(s)), "\n"); title != "### ❌ "+tt.closed {
				t.Errorf("title %s\nwant  ### ❌ %s", title, tt.closed)
			}
		})
	}
	s := to("worker", rollout.Failed)
	s.Diagnosis = crash
	if got, want := Line(result(to("chat-app", rollout.Succeeded), s)), "2 services: worker: failed: container app ended with exit code 1 (1 min 10 s)"; got != want {
		t.Errorf("of several services: %s\nwant: %s", got, want)
	}
}

// TestBackAsAsked: going back is no failure where that was asked for, and no
// deployment either.
func TestBackAsAsked(t *testing.T) {
	back := func(outcome rollout.Outcome) deploy.Result {
		s := to("chat-app", outcome)
		s.Back = true
		return result(s)
	}
	for _, tt := range []struct {
		outcome           rollout.Outcome
		failures, warning int
		title             string
	}{
		{rollout.RolledBack, 0, 1, "### ↩️ chat-app was rolled back to chat-app:41, as asked"},
		{rollout.Failed, 1, 0, "### ❌ chat-app: failed: tasks failed to start"},
		{"", 0, 0, "### ⏸️ chat-app is going back to chat-app:41; its end was not waited for"},
	} {
		r := back(tt.outcome)
		if f, w := len(Failures(r)), len(Warnings(r)); f != tt.failures || w != tt.warning {
			t.Errorf("outcome %q: %d failures, %d warnings, want %d and %d", tt.outcome, f, w, tt.failures, tt.warning)
		}
		if title, _, _ := strings.Cut(Markdown(r), "\n"); title != tt.title {
			t.Errorf("outcome %q: %s, want %s", tt.outcome, title, tt.title)
		}
	}
}

func TestElide(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{
		{"one two three", 13, "one two three"},
		{"one  two\r\nthree", 13, "one two three"},
		{"one two three four five six", 20, "one two … six"},
		{"oneone … two … three", 19, "oneone … three"},
		{strings.Repeat("x", 30), 13, "xxxxxx … xxxx"},
		{strings.Repeat("é", 30), 13, "éééééé … éééé"},
		{"", 13, ""},
	} {
		if got := elide(tt.s, tt.n); got != tt.want {
			t.Errorf("elide(%q, %d) = %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}

// TestMarkdownIsHarmless: a summary is rendered as Markdown and HTML, and what
// ECS or an image's author wrote must not become either.
func TestMarkdownIsHarmless(t *testing.T) {
	s := to("chat-app", rollout.Failed)
	s.Reason = "<img src=x onerror=alert(1)> [click](javascript:x) | a\n# heading `code`"
	r := result(s)
	r.Image.URI = "host/<script>|x:17`"
	got := Markdown(r)
	for _, bad := range []string{"<img", "<script", "[click](", "\n# heading", " | a"} {
		if strings.Contains(got, bad) {
			t.Errorf("the summary holds %q:\n%s", bad, got)
		}
	}
}

// TestWhy: the summary says why, and how much of that it leaves out.
func TestWhy(t *testing.T) {
	s := to("chat-app", rollout.Failed)
	s.Diagnosis = rollout.Diagnosis{
		Causes:  []rollout.Cause{{Count: 3, Event: true, Reason: "was unable to place a task.", Hint: "wait, or add instances"}},
		More:    2,
		Targets: []rollout.UnhealthyTargets{{Count: 1, Group: "web", Reason: "Request timed out"}},
	}
	got := Markdown(result(s))
	for _, want := range []string{"- 3 × was unable to place a task.\n", "  - 💡 wait, or add instances\n", "- and 2 more causes\n", "- 1 × target in web: Request timed out\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the summary lacks %q:\n%s", want, got)
		}
	}
}

func TestConsoleURL(t *testing.T) {
	tests := []struct{ arn, want string }{
		{serviceARN, "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/product-dev-cluster/services/chat-app/health?region=eu-west-1"},
		{"arn:aws-cn:ecs:cn-north-1:123456789012:service/c/s", "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/c/services/s/health?region=cn-north-1"},
		{"arn:aws-iso:ecs:us-iso-east-1:123456789012:service/c/s", ""},
		{"arn:aws:ecs:eu-west-1:123456789012:service/old-format", ""},
		{"arn:aws:s3:::bucket", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := ConsoleURL(tt.arn); got != tt.want {
			t.Errorf("ConsoleURL(%q) = %q, want %q", tt.arn, got, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 400 * time.Millisecond: "0 s", 40 * time.Second: "40 s", 5 * time.Minute: "5 min",
		time.Hour + 2*time.Minute + 3*time.Second: "1 h 2 min 3 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}
