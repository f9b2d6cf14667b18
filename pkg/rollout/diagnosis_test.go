package rollout

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/taskdef"
)

const targetGroup = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/6d0ecf831eec9f09"

// logging is a container's log configuration that CloudWatch keeps.
const logging = `{"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs", "awslogs-create-group": "true"}}`

// containers is a task definition's list of containers: app, with the given
// further members.
func containers(members string) string {
	return `[{"name": "app", "image": "public.ecr.aws/nginx/nginx:1.28", "portMappings": [{"containerPort": 8080}]` + members + `}]`
}

// deploy moves the service to a revision of these containers, and watches until
// the deployment or the time ends.
func (a *account) deploy(t *testing.T, scenario, containers string, length time.Duration) (Started, State) {
	t.Helper()
	s, err := emulator.ParseScenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	a.Script("dev", a.service.Name, s)
	d, err := taskdef.Parse([]byte(`{"family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
		"executionRoleArn": "arn:aws:iam::123456789012:role/web-execution", "containerDefinitions": ` + containers + `}`))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := a.Register(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	started, err := a.Update(t.Context(), a.service, Change{TaskDefinition: stored.ARN()})
	if err != nil {
		t.Fatal(err)
	}
	w := a.Watch(started, length)
	for range w.Events(t.Context()) {
	}
	if w.Verdict().Outcome.Good() || !w.Verdict().Final() {
		t.Fatalf("the scenario %s ended with %+v, %v", scenario, w.Verdict(), w.Err())
	}
	return started, w.State()
}

// balanced adds a service with a load balancer, and makes it the one that is
// deployed to.
func (a *account) balanced(t *testing.T) {
	t.Helper()
	if _, err := a.api.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("dev"), ServiceName: aws.String("balanced"), DesiredCount: aws.Int32(2), LaunchType: types.LaunchTypeFargate,
		TaskDefinition:       aws.String("balanced"),
		LoadBalancers:        []types.LoadBalancer{{TargetGroupArn: aws.String(targetGroup), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}},
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
	}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
	var err error
	if a.service, err = a.Service(t.Context(), "dev", "balanced"); err != nil {
		t.Fatal(err)
	}
}

// elb answers DescribeTargetHealth beside the emulator.
type elb struct {
	http.RoundTripper
	answer func(url.Values) (int, string)
}

func (e *elb) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Host, "elasticloadbalancing.") {
		return e.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if e.answer == nil { // nobody answers
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, text := e.answer(form)
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r,
	}, nil
}

// targetHealth is the answer about targets, each given as id, state, reason and
// description.
func targetHealth(targets ...[4]string) func(url.Values) (int, string) {
	return func(form url.Values) (int, string) {
		if form.Get("Action") != "DescribeTargetHealth" || form.Get("TargetGroupArn") != targetGroup {
			return 400, `<ErrorResponse><Error><Code>TargetGroupNotFound</Code><Message>One or more target groups not found</Message></Error></ErrorResponse>`
		}
		var members strings.Builder
		for _, t := range targets {
			fmt.Fprintf(&members, `<member><Target><Id>%s</Id><Port>8080</Port></Target><HealthCheckPort>8080</HealthCheckPort><TargetHealth><State>%s</State><Reason>%s</Reason><Description>%s</Description></TargetHealth></member>`, t[0], t[1], t[2], t[3])
		}
		return 200, `<DescribeTargetHealthResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeTargetHealthResult><TargetHealthDescriptions>` +
			members.String() + `</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>`
	}
}

// withELB makes the account's client ask e about load balancers.
func (a *account) withELB(answer func(url.Values) (int, string)) {
	a.Client = New(aws.Config{
		Region:      a.Region(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient:  &http.Client{Transport: &elb{a.Transport(), answer}},
	})
}

// TestDiagnose plays what goes wrong, and shows the page that explains it. ID
// stands for a task's.
func TestDiagnose(t *testing.T) {
	tests := []struct {
		name       string
		scenario   string
		containers string
		length     time.Duration
		before     func(*account) // Diagnose, after the deployment
		want       string
	}{
		{
			name: "the container exits, and its log says why", scenario: "rollback", containers: containers(`, "logConfiguration": ` + logging), length: time.Hour,
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app ended with exit code 1
  last lines of app in task ID:
  | starting chat-app
  | panic: missing required environment variable DATABASE_URL
  | goroutine 1 [running]:
  | main.main()
  | 	/src/main.go:23 +0x1d
  | exit status 2
  hint: the process ended by itself with an error: its log says why`,
		},
		{
			name: "nothing stops a container that crashes", scenario: "crash", containers: containers(`, "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "x", "splunk-url": "https://splunk"}}`), length: 2 * time.Minute,
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app ended with exit code 1
  hint: the process ended by itself with an error, and no log of it could be read here: look at its output, and check its configuration and secrets
not known: the output of container app: it goes to the log driver splunk, which is not read here`,
		},
		{
			name: "no log configuration", scenario: "rollback", containers: containers(``), length: time.Hour,
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app ended with exit code 1
  hint: the process ended by itself with an error, and no log of it could be read here: look at its output, and check its configuration and secrets
not known: the output of container app: the task definition gives it no logConfiguration`,
		},
		{
			name: "the image cannot be pulled", scenario: "pull-error", containers: containers(`, "logConfiguration": ` + logging), length: 2 * time.Minute,
			want: `6 tasks stopped: CannotPullContainerError: pull image manifest has been retried: failed to resolve ref public.ecr.aws/nginx/nginx:1.28: pulling from host public.ecr.aws failed with status code [manifests 1.28]: 403 Forbidden (TaskFailedToStart)
  hint: the registry refused the pull: the execution role needs ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer, and in another account the repository's policy must allow them; ECR also refuses so when the repository does not exist`,
		},
		{
			name: "the log group is missing", scenario: "crash", containers: containers(`, "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/nowhere", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs"}}`), length: 90 * time.Second,
			want: `4 tasks stopped: ResourceInitializationError: failed to validate logger args: create stream has been retried: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1 (TaskFailedToStart)
  hint: the task definition's log group does not exist in that region: create it, or set awslogs-create-group to true and give the execution role logs:CreateLogGroup`,
		},
		{
			name: "the container's health check fails", scenario: "unhealthy", containers: containers(`, "healthCheck": {"command": ["CMD-SHELL", "curl -f localhost:8080"]}, "logConfiguration": ` + logging), length: 2 * time.Minute,
			want: `2 tasks stopped: Task failed container health checks (ServiceSchedulerInitiated)
  container app ended with exit code 0 after 30s
  last lines of app in task ID:
  | listening on 127.0.0.1:8081
  hint: the health check in the task definition failed: run its command inside the image (is curl or wget there?), and give a slow start more startPeriod`,
		},
		{
			name: "never healthy", scenario: "stuck", containers: containers(`, "logConfiguration": ` + logging), length: 5 * time.Minute,
			want: `2 tasks: running, health not known
  last lines of app in task ID:
  | waiting for database
  hint: ECS counts a task when its container health check passes and its load balancer target is healthy: check both, and what the application waits for`,
		},
		{
			name: "startedBy and desiredStatus refused together", scenario: "rollback", containers: containers(`, "logConfiguration": ` + logging), length: time.Hour,
			before: func(a *account) {
				a.Fail("ecs:ListTasks", emulator.Fault{Code: "InvalidParameterException", Message: "startedBy cannot be combined with other filters.", Times: 1})
			},
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app ended with exit code 1
  last lines of app in task ID:
  | starting chat-app
  | panic: missing required environment variable DATABASE_URL
  | goroutine 1 [running]:
  | main.main()
  | 	/src/main.go:23 +0x1d
  | exit status 2
  hint: the process ended by itself with an error: its log says why`,
		},
		{
			name: "no right to read tasks", scenario: "rollback", containers: containers(``), length: time.Hour,
			before: func(a *account) { a.Fail("ecs:ListTasks", emulator.Denied()) },
			want: `not known: which tasks stopped: not allowed, it takes ecs:ListTasks
not known: which tasks run: not allowed, it takes ecs:ListTasks`,
		},
		{
			name: "no right to describe tasks", scenario: "rollback", containers: containers(``), length: time.Hour,
			before: func(a *account) { a.Fail("ecs:DescribeTasks", emulator.Denied()) },
			want:   `not known: why tasks stopped: not allowed, it takes ecs:DescribeTasks`,
		},
		{
			name: "no right to read logs", scenario: "rollback", containers: containers(`, "logConfiguration": ` + logging), length: time.Hour,
			before: func(a *account) { a.Fail("logs:GetLogEvents", emulator.Denied()) },
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app ended with exit code 1
  hint: the process ended by itself with an error, and no log of it could be read here: look at its output, and check its configuration and secrets
not known: the log of container app (log group /ecs/web): not allowed, it takes logs:GetLogEvents`,
		},
		{
			name: "no right to read the task definition", scenario: "rollback", containers: containers(`, "logConfiguration": ` + logging), length: time.Hour,
			before: func(a *account) { a.Fail("ecs:DescribeTaskDefinition", emulator.Denied()) },
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app ended with exit code 1
  hint: the process ended by itself with an error, and no log of it could be read here: look at its output, and check its configuration and secrets
not known: which containers are essential, and where they log: not allowed, it takes ecs:DescribeTaskDefinition`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 2)
				started, state := a.deploy(t, tt.scenario, tt.containers, tt.length)
				if tt.before != nil {
					tt.before(a)
				}
				before := len(a.Requests())
				d := a.Diagnose(t.Context(), started, state)
				if got := page(d); got != tt.want {
					t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
				}
				if calls := len(a.Requests()) - before; calls > 12 {
					t.Errorf("%d calls, want 12 at most", calls)
				}
			})
		})
	}
}

// page is the diagnosis as it is printed, with ID for the task whose log it is.
func page(d Diagnosis) string {
	text := strings.Join(d.Lines(), "\n")
	for _, c := range d.Causes {
		if c.LogTask != "" {
			text = strings.ReplaceAll(text, c.LogTask, "ID")
		}
	}
	return text
}

// TestDiagnoseTargets: what the load balancer says, or no longer says.
func TestDiagnoseTargets(t *testing.T) {
	tests := []struct {
		name     string
		scenario string
		answer   func(url.Values) (int, string)
		want     []string // the last lines of the page
	}{
		{
			name: "unhealthy ones", scenario: "unhealthy",
			answer: targetHealth([4]string{"i-0381a63c79abcf413", "unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]"},
				[4]string{"i-0381a63c79abcf414", "unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]"},
				[4]string{"i-0381a63c79abcf415", "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"},
				[4]string{"i-0381a63c79abcf416", "initial", "Elb.RegistrationInProgress", "Target registration is in progress"},
				[4]string{"i-0381a63c79abcf417", "healthy", "", ""}),
			want: []string{
				"  hint: the load balancer's health check failed: if the application needs longer to come up, raise the service's healthCheckGracePeriodSeconds; otherwise check that it listens on the container port on 0.0.0.0, the health check's path and expected codes, and that the security group lets the load balancer in",
				"2 targets unhealthy in target group web, port 8080: Target.ResponseCodeMismatch: Health checks failed with these codes: [404]",
				"  hint: the application answers the health check, but not with the expected code: check the target group's health check path and success codes",
			},
		},
		{
			name: "none any more, but events tell", scenario: "unhealthy",
			answer: targetHealth(),
			want: []string{
				"2 targets unhealthy in target group web, port 8080: Health checks failed",
				"  hint: the connection was refused or the answer malformed: does the application listen on that port on 0.0.0.0, and does the protocol (HTTP or HTTPS) fit?",
			},
		},
		{
			name: "not checked yet, where that is all there is", scenario: "stuck",
			answer: targetHealth([4]string{"i-0381a63c79abcf416", "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"}),
			want: []string{
				"1 target initial in target group web, port 8080: Elb.InitialHealthChecking: Initial health checks in progress",
				"  hint: the load balancer has not checked the target often enough yet: interval × healthy threshold is how long that takes",
				"not known: the output of container app: the task definition gives it no logConfiguration",
			},
		},
		{
			name: "denied", scenario: "stuck",
			answer: func(url.Values) (int, string) {
				return 403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/ci is not authorized to perform: elasticloadbalancing:DescribeTargetHealth</Message></Error></ErrorResponse>`
			},
			want: []string{"not known: the health of target group web: not allowed, it takes elasticloadbalancing:DescribeTargetHealth"},
		},
		{
			name: "no answer", scenario: "stuck",
			want: []string{"not known: the health of target group web: no answer in time"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 1)
				a.withELB(tt.answer)
				first, err := taskdef.Parse([]byte(`{"family": "balanced", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "containerDefinitions": ` + containers(``) + `}`))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := a.Register(t.Context(), first); err != nil {
					t.Fatal(err)
				}
				a.balanced(t)
				started, state := a.deploy(t, tt.scenario, containers(``), 2*time.Minute)
				begin := time.Now()
				lines := a.Diagnose(t.Context(), started, state).Lines()
				for _, want := range tt.want {
					if !slices.Contains(lines, want) {
						t.Errorf("missing: %s\nin:\n%s", want, strings.Join(lines, "\n"))
					}
				}
				if n := strings.Count(strings.Join(lines, "\n"), "target group web,"); n > 1 {
					t.Errorf("the target group is told of %d times:\n%s", n, strings.Join(lines, "\n"))
				}
				if took := time.Since(begin); took > readLimit {
					t.Errorf("took %s, want %s at most", took, readLimit)
				}
			})
		})
	}
}

// TestOnlyOurTargets: addresses of the tasks that ran before are not ours.
func TestOnlyOurTargets(t *testing.T) {
	task := func(address string) types.Task {
		return types.Task{Containers: []types.Container{{NetworkInterfaces: []types.NetworkInterface{{PrivateIpv4Address: aws.String(address)}}}}}
	}
	for _, tt := range []struct {
		name string
		x    examination
		id   string
		want bool
	}{
		{"ours", examination{complete: true, running: []types.Task{task("10.0.1.1"), task("10.0.1.2")}}, "10.0.1.2", true},
		{"somebody else's", examination{complete: true, running: []types.Task{task("10.0.1.1")}}, "10.0.1.9", false},
		{"none of ours runs", examination{complete: true}, "10.0.1.9", false},
		{"our tasks tell no address", examination{complete: true, running: []types.Task{{}}}, "10.0.1.9", true},
		{"our tasks could not be read", examination{}, "10.0.1.9", true},
		{"an instance", examination{complete: true, running: []types.Task{task("10.0.1.1")}}, "i-0381a63c79abcf413", true},
	} {
		if got := tt.x.registered(tt.id); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestDiagnoseManyTasks: more tasks than a page of ListTasks holds, in one
// cause, and other deployments' tasks not among them.
func TestDiagnoseManyTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 150)
		started, state := a.deploy(t, "rollback", containers(``), time.Hour)
		d := a.Diagnose(t.Context(), started, state)
		if len(d.Causes) != 1 || d.Causes[0].Count < 150 || d.Causes[0].Count > 300 {
			t.Errorf("want one cause of between 150 and 300 tasks, got:\n%s", page(d))
		}
	})
}

// TestDiagnoseEndsInTime: an AWS that does not answer costs the time given, not
// more, and is said.
func TestDiagnoseEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 2)
		started, state := a.deploy(t, "rollback", containers(``), time.Hour)
		a.Fail("ecs:*", emulator.Fault{Hang: true})
		const limit = 6 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		begin := time.Now()
		d := a.Diagnose(ctx, started, state)
		if took := time.Since(begin); took > limit {
			t.Errorf("took %s, want %s at most", took, limit)
		}
		if want := "which tasks stopped: no answer in time"; !slices.Contains(d.Notes, want) {
			t.Errorf("notes %q, want %q among them", d.Notes, want)
		}
	})
}
