package diagnosis

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
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
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

// account is an emulated AWS with a service that is stable, our clients of it, and
// the examiner.
type account struct {
	*emulator.Emulator
	*Examiner
	api     *awsecs.Client
	client  *ecs.Client
	service string
}

func newAccount(t *testing.T, tasks int) *account {
	t.Helper()
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	a := &account{Emulator: e, service: "web"}
	a.connect(e.Transport())
	if _, err := a.api.CreateCluster(t.Context(), &awsecs.CreateClusterInput{ClusterName: aws.String("dev")}); err != nil {
		t.Fatal(err)
	}
	a.create(t, "web", tasks)
	return a
}

// connect makes the clients use a transport.
func (a *account) connect(transport http.RoundTripper) {
	cfg := aws.Config{
		Region:      a.Region(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient:  &http.Client{Transport: transport},
	}
	a.api, a.client = awsecs.NewFromConfig(cfg), ecs.New(cfg)
	a.Examiner = New(a.client, cfg)
}

// create adds a service and waits until it is stable.
func (a *account) create(t *testing.T, name string, tasks int, balancers ...types.LoadBalancer) {
	t.Helper()
	if _, err := a.api.CreateService(t.Context(), &awsecs.CreateServiceInput{
		Cluster: aws.String("dev"), ServiceName: aws.String(name), DesiredCount: aws.Int32(int32(tasks)), LaunchType: types.LaunchTypeFargate,
		TaskDefinition:       aws.String(a.register(t, containers(``))),
		LoadBalancers:        balancers,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
	}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
}

// balanced adds a service with a load balancer, and makes it the one that is
// deployed to.
func (a *account) balanced(t *testing.T) {
	t.Helper()
	a.service = "balanced"
	a.create(t, "balanced", 2, types.LoadBalancer{TargetGroupArn: aws.String(targetGroup), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)})
}

// register registers a revision of these containers and returns its ARN.
func (a *account) register(t *testing.T, containers string) string {
	t.Helper()
	d, err := taskdef.Parse([]byte(`{"family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
		"executionRoleArn": "arn:aws:iam::123456789012:role/web-execution", "containerDefinitions": ` + containers + `}`))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := a.client.Register(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return stored.ARN()
}

// deploy moves the service to a revision of these containers, waits until the
// deployment has ended or the time has passed, and returns what is to be
// diagnosed.
func (a *account) deploy(t *testing.T, scenario, containers string, length time.Duration) Subject {
	t.Helper()
	s, err := emulator.ParseScenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	a.Script("dev", a.service, s)
	revision := a.register(t, containers)
	service, err := a.client.Service(t.Context(), "dev", a.service)
	if err != nil {
		t.Fatal(err)
	}
	if service, err = a.client.Update(t.Context(), service, ecs.Update{TaskDefinition: revision}); err != nil {
		t.Fatal(err)
	}
	own := service.Primary()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(10 * time.Second) {
		if service, err = a.client.Service(t.Context(), "dev", a.service); err != nil {
			t.Fatal(err)
		}
		if p := service.Primary(); p.RolloutState == "COMPLETED" {
			if p.ID == own.ID {
				t.Fatalf("the scenario %s succeeded", scenario)
			}
			break
		}
	}
	return Subject{
		Cluster: "dev", Service: a.service, DeploymentID: own.ID, TaskDefinition: revision,
		Since: own.CreatedAt, Events: service.Events, TargetGroups: service.TargetGroups,
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

// withELB makes the account's clients ask e about load balancers.
func (a *account) withELB(answer func(url.Values) (int, string)) {
	a.connect(&elb{a.Transport(), answer})
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
  container app exited with code 1
  last lines of app in task ID:
  | starting chat-app
  | panic: missing required environment variable DATABASE_URL
  | goroutine 1 [running]:
  | main.main()
  | 	/src/main.go:23 +0x1d
  | exit status 2
  hint: the process exited with an error: see its log`,
		},
		{
			name: "nothing stops a container that crashes", scenario: "crash", containers: containers(`, "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "x", "splunk-url": "https://splunk"}}`), length: 2 * time.Minute,
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app exited with code 1
  hint: the process exited with an error, and its log could not be read: check its output, configuration and secrets
no log of container app: its log driver is splunk; only awslogs can be read`,
		},
		{
			name: "no log configuration", scenario: "rollback", containers: containers(``), length: time.Hour,
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app exited with code 1
  hint: the process exited with an error, and its log could not be read: check its output, configuration and secrets
no log of container app: the task definition gives it no logConfiguration`,
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
  container app exited with code 0 after 30s
  last lines of app in task ID:
  | listening on 127.0.0.1:8081
  hint: the health check in the task definition failed: check that its command works in the image (curl or wget must be installed there), and raise startPeriod for a slow start`,
		},
		{
			name: "never healthy", scenario: "stuck", containers: containers(`, "logConfiguration": ` + logging), length: 5 * time.Minute,
			want: `2 tasks: running, health not known
  last lines of app in task ID:
  | waiting for database
  hint: ECS counts a task when its container health check passes and its load balancer target is healthy: check both, and what the application waits for`,
		},
		{
			name: "no capacity", scenario: "no-capacity", containers: containers(``), length: 3 * time.Minute,
			want: `3 times: was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.
  hint: AWS has no capacity for the task there at the moment; ECS retries: add subnets in other availability zones, or use FARGATE beside FARGATE_SPOT`,
		},
		{
			name: "no addresses", scenario: "no-address", containers: containers(``), length: 2 * time.Minute,
			want: `6 tasks stopped: Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet 'subnet-0a1b2c3d': InsufficientFreeAddressesInSubnet (TaskFailedToStart)
  hint: the subnet has no free addresses, and each task takes one: give the service more or larger subnets, or lower maximumPercent`,
		},
		{
			name: "no right to read tasks", scenario: "rollback", containers: containers(``), length: time.Hour,
			before: func(a *account) { a.Fail("ecs:ListTasks", emulator.Denied()) },
			want: `could not read the stopped tasks: access denied (requires ecs:ListTasks)
could not read the running tasks: access denied (requires ecs:ListTasks)`,
		},
		{
			name: "no right to describe tasks", scenario: "rollback", containers: containers(``), length: time.Hour,
			before: func(a *account) { a.Fail("ecs:DescribeTasks", emulator.Denied()) },
			want:   `could not read the stopped tasks: access denied (requires ecs:DescribeTasks)`,
		},
		{
			name: "no right to read logs", scenario: "rollback", containers: containers(`, "logConfiguration": ` + logging), length: time.Hour,
			before: func(a *account) { a.Fail("logs:GetLogEvents", emulator.Denied()) },
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app exited with code 1
  hint: the process exited with an error, and its log could not be read: check its output, configuration and secrets
could not read the log of container app (log group /ecs/web): access denied (requires logs:GetLogEvents)`,
		},
		{
			name: "no right to read the task definition", scenario: "rollback", containers: containers(`, "logConfiguration": ` + logging), length: time.Hour,
			before: func(a *account) {
				a.connect(a.Transport()) // a client that has not read the revision
				a.Fail("ecs:DescribeTaskDefinition", emulator.Denied())
			},
			want: `4 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app exited with code 1
  hint: the process exited with an error, and its log could not be read: check its output, configuration and secrets
could not read task definition web:2: access denied (requires ecs:DescribeTaskDefinition)`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 2)
				s := a.deploy(t, tt.scenario, tt.containers, tt.length)
				if tt.before != nil {
					tt.before(a)
				}
				before := len(a.Requests())
				d := a.Diagnose(t.Context(), s)
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
				"  hint: the load balancer's health check failed: if the application needs longer to come up, raise the service's healthCheckGracePeriodSeconds; otherwise check that it listens on the container port on 0.0.0.0, the health check's path and expected codes, and that the security group allows the load balancer",
				"2 targets unhealthy in target group web, port 8080: Target.ResponseCodeMismatch: Health checks failed with these codes: [404]",
				"  hint: the application answers the health check, but not with the expected code: check the target group's health check path and success codes",
			},
		},
		{
			name: "none any more, but events tell", scenario: "unhealthy",
			answer: targetHealth(),
			want: []string{
				"2 targets unhealthy in target group web, port 8080: Health checks failed",
				"  hint: the connection was refused or the answer malformed: check that the application listens on that port on 0.0.0.0, and that the protocol (HTTP or HTTPS) is the same",
			},
		},
		{
			name: "not checked yet, where that is all there is", scenario: "stuck",
			answer: targetHealth([4]string{"i-0381a63c79abcf416", "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"}),
			want: []string{
				"1 target initial in target group web, port 8080: Elb.InitialHealthChecking: Initial health checks in progress",
				"  hint: the load balancer has not checked the target often enough yet: interval × healthy threshold is how long that takes",
				"no log of container app: the task definition gives it no logConfiguration",
			},
		},
		{
			name: "denied", scenario: "stuck",
			answer: func(url.Values) (int, string) {
				return 403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/ci is not authorized to perform: elasticloadbalancing:DescribeTargetHealth</Message></Error></ErrorResponse>`
			},
			want: []string{"could not read the health of target group web: access denied (requires elasticloadbalancing:DescribeTargetHealth)"},
		},
		{
			name: "no answer", scenario: "stuck",
			want: []string{"could not read the health of target group web: no answer in time"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 1)
				a.withELB(tt.answer)
				a.balanced(t)
				s := a.deploy(t, tt.scenario, containers(``), 2*time.Minute)
				begin := time.Now()
				lines := a.Diagnose(t.Context(), s).Lines()
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
		{"ours, by its attachment", examination{complete: true, running: []types.Task{{Attachments: []types.Attachment{{Details: []types.KeyValuePair{{}, {Name: aws.String("IPv6Address"), Value: aws.String("2001:db8:0:0::1")}}}}}}}, "2001:db8::1", true},
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
		s := a.deploy(t, "rollback", containers(``), time.Hour)
		d := a.Diagnose(t.Context(), s)
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
		s := a.deploy(t, "rollback", containers(``), time.Hour)
		a.Fail("ecs:*", emulator.Fault{Hang: true})
		const limit = 6 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		begin := time.Now()
		d := a.Diagnose(ctx, s)
		if took := time.Since(begin); took > limit {
			t.Errorf("took %s, want %s at most", took, limit)
		}
		if want := (Note{What: StoppedTasks, Why: NoAnswer}); !slices.Contains(d.Notes, want) {
			t.Errorf("notes %v, want %v among them", d.Notes, want)
		}
	})
}
