package diagnosis

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

var _ Source = (*ecs.Client)(nil)

// fake is a Source with given answers.
type fake struct {
	stopped, running []types.Task
	definition       string // JSON
	tasksError       error
	partial          bool // there are more tasks than these
	panics           bool
}

func (f fake) Tasks(_ context.Context, _, _, status string, _ int) ([]types.Task, bool, error) {
	if f.panics {
		panic("a reply without sense")
	}
	if status == "STOPPED" {
		return f.stopped, !f.partial, f.tasksError
	}
	return f.running, !f.partial, f.tasksError
}

func (f fake) Definition(context.Context, string) (taskdef.Definition, error) {
	if f.definition == "" {
		return taskdef.Definition{}, errors.New("no such task definition")
	}
	return taskdef.Parse([]byte(f.definition))
}

// defining is a task definition of these containers.
func defining(containers string) string {
	return `{"family": "web", "containerDefinitions": ` + containers + `}`
}

// config is a configuration whose calls the transport answers.
func config(transport http.RoundTripper) aws.Config {
	return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""), HTTPClient: &http.Client{Transport: transport}}
}

// silent is a transport on which nobody answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

var subject = Subject{Cluster: "dev", Service: "web", DeploymentID: "ecs-svc/1", TaskDefinition: "web:2", Since: noon}

// TestRobust: replies without members, with members of another deployment, or
// without sense end in a diagnosis, never in a panic.
func TestRobust(t *testing.T) {
	other := stoppedTask(1, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", container("app", 1))
	other.StartedBy = aws.String("ecs-svc/0")
	early := stoppedTask(-60, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", container("app", 1))
	for _, tt := range []struct {
		name   string
		source fake
		change func(*Subject)
		want   string
	}{
		{"tasks without members", fake{stopped: []types.Task{{}, {}}, running: []types.Task{{}}, definition: defining(`[{"name": "app"}]`)}, nil,
			"2 tasks: stopped; ECS gives no reason"},
		{"containers without members", fake{stopped: []types.Task{{StopCode: "TaskFailedToStart", Containers: []types.Container{{}, {}}}}, definition: defining(`[{"name": "app"}]`)}, nil,
			"1 task stopped: TaskFailedToStart"},
		{"running tasks without members", fake{running: []types.Task{{Containers: []types.Container{{}}}}, definition: defining(`[{"name": "app"}]`)}, nil,
			"1 task: still in an unknown state"},
		{"tasks of another deployment", fake{stopped: []types.Task{other}}, nil, ""},
		{"tasks from before the deployment", fake{stopped: []types.Task{early}}, nil, ""},
		{"no deployment", fake{panics: true}, func(s *Subject) { s.DeploymentID = "" }, ""},
		{"a definition that makes no sense", fake{stopped: []types.Task{stoppedTask(1, "EssentialContainerExited", "Essential container in task exited", container("app", 1))},
			definition: defining(`[{"name": "app", "essential": "perhaps", "logConfiguration": []}]`)}, nil,
			"1 task stopped: Essential container in task exited (EssentialContainerExited)"},
		{"options that make no sense", fake{stopped: []types.Task{stoppedTask(1, "EssentialContainerExited", "Essential container in task exited", container("app", 1))},
			definition: defining(`[{"name": "app", "logConfiguration": {"logDriver": "none", "options": {"a": 1}}}]`)}, nil,
			"1 task stopped: Essential container in task exited (EssentialContainerExited)"},
		{"no definition", fake{stopped: []types.Task{stoppedTask(1, "EssentialContainerExited", "Essential container in task exited", container("app", 1))}}, nil,
			"1 task stopped: Essential container in task exited (EssentialContainerExited)"},
		{"an error beside tasks", fake{stopped: []types.Task{stoppedTask(1, "UserInitiated", "Task stopped by user")}, tasksError: &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}, definition: defining(`[{"name": "app"}]`)}, nil,
			"1 task stopped: Task stopped by user (UserInitiated)"},
		{"more tasks than are read", fake{partial: true}, nil, "only the first 1000 stopped tasks were read"},
		{"a panic", fake{panics: true}, nil, "could not read the rest of the diagnosis: unexpected reply: a reply without sense"},
		{"a denial that names the policy", fake{tasksError: &smithy.GenericAPIError{Code: "AccessDeniedException",
			Message: "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecs:ListTasks on resource: * with an explicit deny in a service control policy: arn:aws:organizations::123456789012:policy/o-1/service_control_policy/p-1"}}, nil,
			"could not read the stopped tasks: access denied (ecs:ListTasks is denied by service control policy arn:aws:organizations::123456789012:policy/o-1/service_control_policy/p-1)"},
		{"another error", fake{tasksError: errors.New("connection reset")}, nil, "could not read the stopped tasks: connection reset"},
		{"events without sense", fake{}, func(s *Subject) {
			s.Events = []ecs.Message{{}, {Text: "(service", Time: noon}, {Text: "unable to \xff", Time: noon}}
		}, "unable to �"},
		{"target groups without sense", fake{}, func(s *Subject) { s.TargetGroups = []string{"", "a/b/c", "x", "x", "x", "x", "x"} },
			"could not read the health of target group b: no answer in time"},
		{"CodeDeploy's reason", fake{stopped: []types.Task{stoppedTask(1, "ServiceSchedulerInitiated", "Task set was deleted", container("app", 143))}}, func(s *Subject) { s.Elsewhere = "an alarm went off (ALARM_ACTIVE)" },
			"an alarm went off (ALARM_ACTIVE)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := subject
				if tt.change != nil {
					tt.change(&s)
				}
				e := New(tt.source, config(silent{}))
				lines := e.Diagnose(t.Context(), s).Lines()
				if tt.want == "" && len(lines) > 0 || tt.want != "" && !slices.Contains(lines, tt.want) {
					t.Errorf("got:\n%s\nwant %q in it", strings.Join(lines, "\n"), tt.want)
				}
				for _, c := range e.Stops(t.Context(), s) {
					_ = c.Clause()
				}
				e.Health(t.Context(), s.Cluster, s.DeploymentID, s.TargetGroups)
			})
		})
	}
}

// TestLogsSideBySide: logs and target groups that do not answer cost the time of
// one.
func TestLogsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped []types.Task
		for i := range 4 {
			stopped = append(stopped, stoppedTask(i, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", container("app", int32(i+1))))
		}
		s := subject
		s.TargetGroups = []string{targetGroup, targetGroup + "0"}
		begin := time.Now()
		d := New(fake{stopped: stopped, definition: defining(containers(`, "logConfiguration": ` + logging))}, config(silent{})).Diagnose(t.Context(), s)
		if took := time.Since(begin); took > readLimit {
			t.Errorf("took %s, want %s at most", took, readLimit)
		}
		if want := (Note{What: ContainerLog, Name: "app", Detail: "/ecs/web", Why: NoAnswer}); !slices.Contains(d.Notes, want) {
			t.Errorf("notes %v, want %v among them", d.Notes, want)
		}
	})
}

// TestEventsOfTasks: what a task says itself is not told again as an event.
func TestEventsOfTasks(t *testing.T) {
	const missing = "CannotPullImageManifestError: Error response from daemon: manifest unknown: Requested image not found"
	synctest.Test(t, func(t *testing.T) {
		s := subject
		s.Events = []ecs.Message{{Text: "(service web) was unable to place a task. Reason: " + missing + ".", Time: noon.Add(time.Minute)}}
		d := New(fake{stopped: alike(3, types.TaskStopCodeTaskFailedToStart, "Task failed to start", unstarted("app", missing)), definition: defining(containers(``))}, config(silent{})).Diagnose(t.Context(), s)
		if len(d.Causes) != 1 || d.Causes[0].Count != 3 || d.Causes[0].Fault != Revision || !strings.Contains(d.Causes[0].Hint, "no such image") {
			t.Errorf("got:\n%s", page(d))
		}
		if why, _ := d.Why(); why != missing {
			t.Errorf("told %q", why)
		}
	})
}

// TestHealth: a running task counts as healthy when nothing that checks it says
// otherwise.
func TestHealth(t *testing.T) {
	task := func(address string, health types.HealthStatus) types.Task {
		return types.Task{LastStatus: aws.String("RUNNING"), HealthStatus: health, TaskDefinitionArn: aws.String("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2"),
			Containers: []types.Container{{Name: aws.String("app"), NetworkInterfaces: []types.NetworkInterface{{PrivateIpv4Address: aws.String(address)}}}}}
	}
	bridged := types.Task{LastStatus: aws.String("RUNNING"), HealthStatus: types.HealthStatusHealthy,
		Containers: []types.Container{{Name: aws.String("app"), NetworkBindings: []types.NetworkBinding{{HostPort: aws.Int32(8080)}, {}}}}}
	pending := task("10.0.1.9", types.HealthStatusUnknown)
	pending.LastStatus = aws.String("PENDING")
	unchecked, checked := defining(containers(``)), defining(containers(`, "healthCheck": {"command": ["CMD-SHELL", "curl -f localhost:8080"]}`))
	denied := func(url.Values) (int, string) {
		return 403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/ci is not authorized to perform: elasticloadbalancing:DescribeTargetHealth</Message></Error></ErrorResponse>`
	}
	healthy := [4]string{"10.0.1.1", "healthy", "", ""}
	for _, tt := range []struct {
		name    string
		source  fake
		balance func(url.Values) (int, string) // nil: no target group
		healthy int
		total   int
		known   bool
	}{
		{"no checks at all", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusUnknown), pending}, definition: unchecked}, nil, 1, 1, true},
		{"a check that is not decided", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusUnknown)}, definition: checked}, nil, 0, 1, true},
		{"a check that passes", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, nil, 1, 1, true},
		{"a check that fails", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusUnhealthy), task("10.0.1.2", types.HealthStatusHealthy)}}, nil, 1, 2, true},
		{"it is unknown whether there is a check", fake{running: []types.Task{task("10.0.1.1", "")}}, nil, 0, 1, false},
		{"no task", fake{}, nil, 0, 0, true},
		{"not all tasks", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}, partial: true}, nil, 1, 1, false},
		{"tasks that cannot be read", fake{tasksError: errors.New("connection reset")}, nil, 0, 0, false},
		{"a panic", fake{panics: true}, nil, 0, 0, false},

		{"a healthy target", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth(healthy), 1, 1, true},
		{"a healthy target of somebody else", fake{running: []types.Task{task("10.0.1.2", types.HealthStatusHealthy)}}, targetHealth(healthy), 0, 1, true},
		{"a target that is being checked", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth([4]string{"10.0.1.1", "initial", "Elb.InitialHealthChecking", ""}), 0, 1, true},
		{"an unhealthy target", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth([4]string{"10.0.1.1", "unhealthy", "Target.Timeout", ""}), 0, 1, true},
		{"an unhealthy and a healthy registration", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth(healthy, [4]string{"10.0.1.1", "unhealthy", "Target.Timeout", ""}), 0, 1, true},
		{"an unused and a healthy registration", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth(healthy, [4]string{"10.0.1.1", "unused", "Target.NotInUse", ""}), 1, 1, true},
		{"a target without health checks", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth([4]string{"10.0.1.1", "unavailable", "Target.HealthCheckDisabled", ""}), 1, 1, true},
		{"a healthy target of a task whose own check fails", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusUnhealthy)}}, targetHealth(healthy), 0, 1, true},
		{"a draining target", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth([4]string{"10.0.1.1", "draining", "", ""}), 0, 1, true},
		{"a port of an instance", fake{running: []types.Task{bridged}}, targetHealth([4]string{"i-0381a63c79abcf413", "healthy", "", ""}), 1, 1, true},
		{"no target yet", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, targetHealth(), 0, 1, true},
		{"a target group that may not be read", fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, denied, 1, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var groups []string
				if tt.balance != nil {
					groups = []string{targetGroup}
				}
				got, total, known := New(tt.source, config(&elb{silent{}, tt.balance})).Health(t.Context(), "dev", "ecs-svc/1", groups)
				if got != tt.healthy || total != tt.total || known != tt.known {
					t.Errorf("%d of %d healthy, known: %v; want %d of %d, %v", got, total, known, tt.healthy, tt.total, tt.known)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		e := New(fake{running: []types.Task{task("10.0.1.1", types.HealthStatusHealthy)}}, config(silent{}))
		if _, total, known := e.Health(t.Context(), "dev", "ecs-svc/1", []string{targetGroup}); total != 1 || known {
			t.Errorf("a load balancer that does not answer: %d tasks, known: %v", total, known)
		}
		if _, _, known := e.Health(t.Context(), "dev", "", nil); known {
			t.Error("no deployment, and yet its health is known")
		}
	})
}
