package rollout

// The world of the tests that follow deployments: an emulated account with one
// service at rest, the controller under test, and somebody else. All of it runs in
// a testing/synctest bubble, so that half an hour is no time.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	cdtypes "github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/taskdef"
)

// line is the connection of the controller under test to AWS. A test can act at
// every call.
type line struct {
	http.RoundTripper
	mu     sync.Mutex
	calls  []string
	before func(operation string)      // before AWS sees the call
	lose   func(operation string) bool // AWS acts on the call, and its answer is lost
	refuse func(operation string) bool // the call is cut before AWS sees it all

	throttle func(operation string) bool // the call is answered with ThrottlingException
	stale    func(operation string) bool // the call is answered as the last one of the operation was

	edit func(operation string, body []byte) []byte // of an answer

	last map[string][]byte // bodies of answers, by operation
}

var errCut = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	l.mu.Lock()
	l.calls = append(l.calls, operation)
	before, lose, refuse, throttle, stale := l.before, l.lose, l.refuse, l.throttle, l.stale
	l.mu.Unlock()
	if before != nil {
		before(operation)
	}
	if refuse != nil && refuse(operation) {
		return nil, errCut
	}
	if throttle != nil && throttle(operation) {
		return replied(r, http.StatusBadRequest, []byte(`{"__type":"ThrottlingException","message":"Rate exceeded"}`)), nil
	}
	if body := l.lastOf(operation); body != nil && stale != nil && stale(operation) {
		return replied(r, http.StatusOK, body), nil
	}
	response, err := l.RoundTripper.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusOK {
		if response, err = l.keep(operation, response); err != nil {
			return nil, err
		}
	}
	if err == nil && lose != nil && lose(operation) {
		response.Body.Close()
		return nil, errCut
	}
	return response, err
}

// replied is an answer of AWS.
func replied(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}
}

// keep notes an answer, which may be given again.
func (l *line) keep(operation string, response *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.edit != nil {
		body = l.edit(operation, body)
		response.ContentLength = int64(len(body))
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if l.last == nil {
		l.last = map[string][]byte{}
	}
	l.last[operation] = body
	return response, nil
}

func (l *line) lastOf(operation string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[operation]
}

// count is how often operations with one of the names were called.
func (l *line) count(names ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, call := range l.calls {
		for _, name := range names {
			if call == name {
				n++
			}
		}
	}
	return n
}

// changing are the calls that change a service or its deployment.
func (l *line) changing() int {
	return l.count("UpdateService", "StopServiceDeployment", "ContinueServiceDeployment", "CreateDeployment", "StopDeployment", "ContinueDeployment", "DeleteService")
}

// forget has the calls counted anew.
func (l *line) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
}

type world struct {
	*testing.T
	*emulator.Emulator
	*line
	client  *ecs.Client
	control Controller
	at      ecs.Service // at rest, before the test
	others  Controller  // somebody else's
	ecs     *awsecs.Client
}

// kind is one of the two controllers.
type kind struct {
	name       string
	codeDeploy bool
	paused     string // scenario in which a deployment pauses
}

var kinds = []kind{{"ECS", false, "paused"}, {"CodeDeploy", true, "complete"}}

// inWorld runs a test in a world whose service is at rest.
func inWorld(t *testing.T, k kind, test func(w *world)) {
	t.Helper()
	inWorldOf(t, k, false, test)
}

// inWorldOf is inWorld; with ready, CodeDeploy waits to be told before it shifts traffic.
func inWorldOf(t *testing.T, k kind, ready bool, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := emulator.New(emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Demo(t.Context()); err != nil {
			t.Fatal(err)
		}
		config := func(transport http.RoundTripper) aws.Config {
			return aws.Config{Region: e.Region(), HTTPClient: &http.Client{Transport: transport}, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")}
		}
		w := &world{T: t, Emulator: e, line: &line{RoundTripper: e.Transport()}}
		w.ecs = awsecs.NewFromConfig(config(e.Transport()))
		if k.codeDeploy {
			w.handOver(codedeploy.NewFromConfig(config(e.Transport())), ready)
		}
		w.client = ecs.New(config(w.line))
		w.at = w.now()
		w.control = w.controller(w.client)
		w.others = w.controller(ecs.New(config(e.Transport())))
		w.forget()
		test(w)
	})
}

func (w *world) controller(client *ecs.Client) Controller {
	w.Helper()
	s, err := client.Service(w.Context(), emulator.DemoCluster, emulator.DemoService)
	if err != nil {
		w.Fatal(err)
	}
	c, err := New(w.Context(), client, diagnosis.New(client, client.Config()), s)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// handOver makes the service again as one that CodeDeploy deploys.
func (w *world) handOver(api *codedeploy.Client, ready bool) {
	w.Helper()
	ctx, rolling := w.Context(), w.described()
	w.delete()
	w.wait("gone", func() bool { return aws.ToString(w.described().Status) == "INACTIVE" })
	check := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	_, err := w.ecs.CreateService(ctx, &awsecs.CreateServiceInput{
		Cluster: aws.String(emulator.DemoCluster), ServiceName: rolling.ServiceName, TaskDefinition: rolling.TaskDefinition, DesiredCount: aws.Int32(2), LaunchType: types.LaunchTypeFargate,
		DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy}, NetworkConfiguration: rolling.NetworkConfiguration, LoadBalancers: rolling.LoadBalancers,
	})
	check(err)
	_, err = api.CreateApplication(ctx, &codedeploy.CreateApplicationInput{ApplicationName: aws.String("web"), ComputePlatform: cdtypes.ComputePlatformEcs})
	check(err)
	action, minutes := cdtypes.DeploymentReadyActionContinueDeployment, int32(0)
	if ready {
		action, minutes = cdtypes.DeploymentReadyActionStopDeployment, 60
	}
	route := func(id string) *cdtypes.TrafficRoute {
		return &cdtypes.TrafficRoute{ListenerArns: []string{"arn:aws:elasticloadbalancing:" + w.Region() + ":" + w.Account() + ":listener/app/chat-app-dev/50dc6c495c0c9188/" + id}}
	}
	_, err = api.CreateDeploymentGroup(ctx, &codedeploy.CreateDeploymentGroupInput{
		ApplicationName: aws.String("web"), DeploymentGroupName: aws.String("web"), ServiceRoleArn: aws.String("arn:aws:iam::" + w.Account() + ":role/ecsCodeDeployRole"),
		DeploymentConfigName: aws.String("CodeDeployDefault.ECSAllAtOnce"),
		DeploymentStyle:      &cdtypes.DeploymentStyle{DeploymentType: cdtypes.DeploymentTypeBlueGreen, DeploymentOption: cdtypes.DeploymentOptionWithTrafficControl},
		BlueGreenDeploymentConfiguration: &cdtypes.BlueGreenDeploymentConfiguration{
			TerminateBlueInstancesOnDeploymentSuccess: &cdtypes.BlueInstanceTerminationOption{Action: cdtypes.InstanceActionTerminate, TerminationWaitTimeInMinutes: 1},
			DeploymentReadyOption:                     &cdtypes.DeploymentReadyOption{ActionOnTimeout: action, WaitTimeInMinutes: minutes},
		},
		EcsServices: []cdtypes.ECSService{{ClusterName: aws.String(emulator.DemoCluster), ServiceName: aws.String(emulator.DemoService)}},
		LoadBalancerInfo: &cdtypes.LoadBalancerInfo{TargetGroupPairInfoList: []cdtypes.TargetGroupPairInfo{{
			TargetGroups:     []cdtypes.TargetGroupInfo{{Name: aws.String("chat-app-dev")}, {Name: aws.String("chat-app-dev-green")}},
			ProdTrafficRoute: route("f2f7dc8efc522ab2"), TestTrafficRoute: route("0467ef3c8400ae65"),
		}}},
	})
	check(err)
	w.wait("steady", func() bool {
		return len(w.described().TaskSets) > 0 && w.described().TaskSets[0].StabilityStatus == types.StabilityStatusSteadyState
	})
}

func (w *world) described() types.Service {
	w.Helper()
	out, err := w.ecs.DescribeServices(w.Context(), &awsecs.DescribeServicesInput{Cluster: aws.String(emulator.DemoCluster), Services: []string{emulator.DemoService}})
	if err != nil || len(out.Services) != 1 {
		w.Fatalf("describe the service: %v, %v", out, err)
	}
	return out.Services[0]
}

// now is the service as somebody else reads it.
func (w *world) now() ecs.Service {
	w.Helper()
	s, err := ecs.New(aws.Config{Region: w.Region(), HTTPClient: &http.Client{Transport: w.Transport()}, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")}).
		Service(w.Context(), emulator.DemoCluster, emulator.DemoService)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// delete deletes the service with its tasks, as somebody else does.
func (w *world) delete() {
	w.Helper()
	if _, err := w.ecs.DeleteService(w.Context(), &awsecs.DeleteServiceInput{Cluster: aws.String(emulator.DemoCluster), Service: aws.String(emulator.DemoService), Force: aws.Bool(true)}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) wait(what string, until func() bool) {
	w.Helper()
	for begin := time.Now(); !until(); time.Sleep(time.Second) {
		if time.Since(begin) > time.Hour {
			w.Fatalf("still not %s after an hour", what)
		}
	}
}

// play sets how deployments go from now on.
func (w *world) play(scenario string) {
	w.Helper()
	s, err := emulator.ParseScenario(scenario)
	if err != nil {
		w.Fatal(err)
	}
	w.Script(emulator.DemoCluster, emulator.DemoService, s)
}

// revision registers another revision of the service's family.
func (w *world) revision() string {
	w.Helper()
	base, err := w.client.Fresh(w.Context(), emulator.DemoFamily)
	if err != nil {
		w.Fatal(err)
	}
	revised, err := base.Revise(taskdef.Change{Images: map[string]string{"chat-app": "public.ecr.aws/nginx/nginx:" + time.Now().Format("150405.000")}})
	if err != nil {
		w.Fatal(err)
	}
	stored, err := w.client.Register(w.Context(), revised)
	if err != nil {
		w.Fatal(err)
	}
	return stored.ARN()
}

// start has the service run a revision, as the scenario says.
func (w *world) start(scenario string) Deployment {
	w.Helper()
	if scenario != "" {
		w.play(scenario)
	}
	d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), RollBack: true, Expect: w.now().Primary().ID})
	if err != nil {
		w.Fatal(err)
	}
	if !d.Snapshot().New {
		w.Fatalf("no new deployment was started: %+v", d.Snapshot())
	}
	return d
}

// follow watches to the end and returns what was told.
func (w *world) follow(d Deployment, limits Limits) []Event {
	w.Helper()
	if limits.Timeout == 0 {
		limits.Timeout = 30 * time.Minute
	}
	var told []Event
	for e := range d.Watch(w.Context(), limits) {
		told = append(told, e)
	}
	return told
}

// ended checks how the deployment ended.
func (w *world) ended(d Deployment, want Outcome, code Code) {
	w.Helper()
	if v := d.Verdict(); d.Err() != nil || v.Outcome != want || v.Reason.Code != code {
		w.Errorf("ended %q (%+v), error %v; want %q (%s)", v.Outcome, v.Reason, d.Err(), want, code)
	}
}

// inTime watches for a while only.
func (w *world) inTime(d Deployment, while time.Duration) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), while)
	defer cancel()
	for range d.Watch(ctx, Limits{Timeout: time.Hour}) {
	}
	if !errors.Is(d.Err(), context.DeadlineExceeded) {
		w.Fatalf("the watch ended before %s: %v, %v", while, d.Verdict(), d.Err())
	}
}
