package ecs

// No reply makes a reader panic, end without an error that names its call, or
// find something that ECS did not say.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// names of what the recorded replies are about.
const (
	replyService    = "arn:aws:ecs:eu-west-1:123456789012:service/dev/web"
	replyDeployment = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/dev/web/abc"
	replyRevision   = "arn:aws:ecs:eu-west-1:123456789012:service-revision/dev/web/1234567890123456789"
	replyDefinition = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3"
	replyTask       = "arn:aws:ecs:eu-west-1:123456789012:task/dev/0123456789abcdef0123456789abcdef"
)

const replyServiceBody = `{"serviceName": "web", "serviceArn": "` + replyService + `", "status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "pendingCount": 0,
	"launchType": "FARGATE", "schedulingStrategy": "REPLICA", "taskDefinition": "` + replyDefinition + `", "deploymentController": {"type": "ECS"},
	"currentServiceDeployment": "` + replyDeployment + `", "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}],
	"deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 5, "linearConfiguration": {"stepPercent": 10, "stepBakeTimeInMinutes": 6},
		"canaryConfiguration": {"canaryPercent": 5, "canaryBakeTimeInMinutes": 10}, "earlySuccessCriteria": {"enable": true},
		"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"], "timeoutConfiguration": {"timeoutInMinutes": 5, "action": "ROLLBACK"}}]},
	"loadBalancers": [{"targetGroupArn": "a", "containerName": "app", "containerPort": 80, "advancedConfiguration": {"alternateTargetGroupArn": "b"}}],
	"events": [{"id": "e", "createdAt": 1700000000.5, "message": "(service web) has reached a steady state."}],
	"deployments": [{"id": "ecs-svc/1234567890123456789", "status": "PRIMARY", "taskDefinition": "` + replyDefinition + `", "createdAt": 1700000000, "desiredCount": 2,
		"runningCount": 2, "pendingCount": 0, "failedTasks": 0, "rolloutState": "COMPLETED", "rolloutStateReason": "ECS deployment ecs-svc/1 completed."}],
	"taskSets": [{"id": "ecs-svc/9", "status": "ACTIVE", "taskDefinition": "` + replyDefinition + `", "externalId": "d-1", "computedDesiredCount": 2}]}`

const replyDefinitionBody = `{"taskDefinition": {"taskDefinitionArn": "` + replyDefinition + `", "family": "web", "revision": 3, "status": "ACTIVE", "cpu": "256", "memory": "512",
	"containerDefinitions": [{"name": "app", "image": "nginx:1.27", "essential": true, "environment": [{"name": "A", "value": ""}]}]}, "tags": [{"key": "team", "value": "chat"}]}`

const replyTaskBody = `{"taskArn": "` + replyTask + `", "lastStatus": "RUNNING", "startedBy": "ecs-svc/1", "containers": [{"name": "app", "exitCode": 1}]}`

// reader is one reading or change, and a reply that is right for it.
type reader struct {
	operation string
	reply     string
	call      func(context.Context, *Client) error
	spoken    string // of its errors
}

var readers = []reader{
	{"DescribeServices", `{"services": [` + replyServiceBody + `], "failures": []}`, func(ctx context.Context, c *Client) error {
		s, err := c.Service(ctx, "dev", "web")
		if err == nil && (s.Name != "web" && s.ARN != "web" || s.Status == "" || s.Strategy.Wait() < 0 || s.Strategy.Steps < 0) {
			return fmt.Errorf("impossible: %+v", s)
		}
		return err
	}, "describe service web"},
	{"UpdateService", `{"service": ` + replyServiceBody + `}`, func(ctx context.Context, c *Client) error {
		s, err := c.Update(ctx, Service{Cluster: "dev", Name: "web"}, Update{TaskDefinition: replyDefinition})
		if err == nil && s.Name != "web" {
			return fmt.Errorf("impossible: %+v", s)
		}
		if err != nil && !Ambiguous(err) {
			return fmt.Errorf("impossible: not ambiguous: %w", err)
		}
		return err
	}, "update service web"},
	{"DescribeServiceDeployments", `{"serviceDeployments": [{"serviceDeploymentArn": "` + replyDeployment + `", "status": "IN_PROGRESS", "createdAt": 1700000000, "lifecycleStage": "BAKE_TIME",
		"targetServiceRevision": {"arn": "` + replyRevision + `", "requestedTaskCount": 2, "requestedProductionTrafficWeight": 10.5}, "sourceServiceRevisions": [{"arn": "x"}],
		"rollback": {"reason": "r", "serviceRevisionArn": "x"}, "alarms": {"triggeredAlarmNames": ["high"]}, "deploymentCircuitBreaker": {"failureCount": 1, "threshold": 3, "status": "MONITORING"},
		"lifecycleHookDetails": [{"hookId": "h", "targetType": "PAUSE", "status": "AWAITING_ACTION", "expiresAt": 1700000000, "timeoutAction": "ROLLBACK"}]}], "failures": []}`,
		func(ctx context.Context, c *Client) error {
			d, err := c.ServiceDeployment(ctx, replyDeployment)
			if err == nil && (d.ARN != replyDeployment || d.Status == "" || d.Target.ARN == "" || d.CreatedAt.IsZero()) {
				return fmt.Errorf("impossible: %+v", d)
			}
			return err
		}, "describe service deployment abc"},
	{"ListServiceDeployments", `{"serviceDeployments": [{"serviceDeploymentArn": "` + replyDeployment + `", "status": "SUCCESSFUL", "createdAt": 1700000000, "targetServiceRevisionArn": "` + replyRevision + `"}]}`,
		func(ctx context.Context, c *Client) error {
			for b, err := range c.ServiceDeployments(ctx, Service{Cluster: "dev", Name: "web"}, time.Unix(1600000000, 0)) {
				if err != nil {
					return err
				}
				if b.ARN == "" || b.CreatedAt.Before(time.Unix(1600000000, 0)) {
					return fmt.Errorf("impossible: %+v", b)
				}
			}
			return nil
		}, "list deployments of service web"},
	{"DescribeServiceRevisions", `{"serviceRevisions": [{"serviceRevisionArn": "` + replyRevision + `", "taskDefinition": "` + replyDefinition + `",
		"containerImages": [{"containerName": "app", "image": "nginx:1.27", "imageDigest": "sha256:0"}], "ecsManagedResources": {"ingressPaths": [{"accessType": "PUBLIC", "endpoint": "x"}]},
		"overrides": {"runtimePlatform": {"cpuArchitecture": "ARM64"}}}], "failures": []}`,
		func(ctx context.Context, c *Client) error {
			r, err := c.ServiceRevision(ctx, replyRevision)
			if err == nil && (r.ARN != replyRevision || r.TaskDefinition == "") {
				return fmt.Errorf("impossible: %+v", r)
			}
			return err
		}, "describe service revision 1234567890123456789"},
	{"DescribeTaskDefinition", replyDefinitionBody, func(ctx context.Context, c *Client) error {
		d, err := c.Definition(ctx, replyDefinition)
		if err == nil && d.String() != "web:3" {
			return fmt.Errorf("impossible: %s", d)
		}
		return err
	}, "describe task definition|there is no task definition"},
	{"RegisterTaskDefinition", replyDefinitionBody, func(ctx context.Context, c *Client) error {
		d, err := taskdef.Parse([]byte(replyDefinitionBody))
		if err == nil {
			d, err = c.Register(ctx, d)
		}
		if err == nil && (d.Family() != "web" || d.ARN() == "") {
			return fmt.Errorf("impossible: %s", d)
		}
		return err
	}, "register task definition web"},
	{"ListTaskDefinitions", `{"taskDefinitionArns": ["` + replyDefinition + `"]}`, func(ctx context.Context, c *Client) error {
		for arn, err := range c.Revisions(ctx, "web", false) {
			if err != nil {
				return err
			}
			if !strings.HasPrefix(ShortARN(arn), "web") {
				return fmt.Errorf("impossible: %s", arn)
			}
		}
		return nil
	}, "list revisions of web"},
	{"DescribeTasks", `{"tasks": [` + replyTaskBody + `], "failures": []}`, func(ctx context.Context, c *Client) error {
		_, complete, err := c.Tasks(ctx, "dev", "ecs-svc/1", "STOPPED", 200)
		if err != nil && complete {
			return fmt.Errorf("impossible: complete, and %w", err)
		}
		return err
	}, "task"},
	{"ListTasks", `{"taskArns": ["` + replyTask + `"]}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.Tasks(ctx, "dev", "ecs-svc/1", "STOPPED", 200)
		return err
	}, "task"},
	{"RunTask", `{"tasks": [` + replyTaskBody + `], "failures": []}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.RunTask(ctx, &ecs.RunTaskInput{TaskDefinition: aws.String("web")})
		return err
	}, "run task web"},
	{"StopTask", `{"task": ` + replyTaskBody + `}`, func(ctx context.Context, c *Client) error { return c.StopTask(ctx, "dev", replyTask, "") }, "stop task"},
	{"StopServiceDeployment", `{"serviceDeploymentArn": "` + replyDeployment + `"}`, func(ctx context.Context, c *Client) error { return c.Stop(ctx, replyDeployment) }, "stop service deployment abc"},
	{"ContinueServiceDeployment", `{"serviceDeploymentArn": "` + replyDeployment + `"}`, func(ctx context.Context, c *Client) error {
		return c.Answer(ctx, replyDeployment, "h", false)
	}, "continue service deployment abc"},
	{"DeregisterTaskDefinition", replyDefinitionBody, func(ctx context.Context, c *Client) error { return c.Deregister(ctx, replyDefinition) }, "deregister task definition web:3"},
	{"ListServices", `{"serviceArns": ["` + replyService + `"]}`, func(ctx context.Context, c *Client) error {
		_, err := c.Service(ctx, "dev", "missing")
		if !mistake.Absent(err) {
			return fmt.Errorf("impossible: %w", err)
		}
		return nil
	}, ""},
	{"ListClusters", `{"clusterArns": ["arn:aws:ecs:eu-west-1:123456789012:cluster/dev"]}`, func(ctx context.Context, c *Client) error {
		_, err := c.Service(ctx, "nowhere", "web")
		if !mistake.Absent(err) {
			return fmt.Errorf("impossible: %w", err)
		}
		return nil
	}, ""},
}

// replying is a client for which one operation is answered with body, and the
// others as they should be.
func replying(operation string, status int, body string) *Client {
	return New(configOver(roundTrip(func(r *http.Request) (*http.Response, error) {
		if operationOf(r) == operation {
			return answer(status, body), nil
		}
		in, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		switch {
		case strings.Contains(string(in), `"nowhere"`):
			return refusal(400, "ClusterNotFoundException", "Cluster not found."), nil
		case strings.Contains(string(in), `"missing"`) && operationOf(r) == "DescribeServices":
			return answer(200, `{"failures": [{"arn": "arn:aws:ecs:eu-west-1:123456789012:service/dev/missing", "reason": "MISSING"}]}`), nil
		}
		for _, known := range readers {
			if known.operation == operationOf(r) {
				return answer(200, known.reply), nil
			}
		}
		return refusal(400, "UnknownOperationException", ""), nil
	})))
}

// check has r read the reply and returns what is wrong with how it did.
func (r reader) check(status int, body string) (problem string) {
	defer func() {
		if v := recover(); v != nil {
			problem = fmt.Sprint("panic: ", v)
		}
	}()
	err := r.call(context.Background(), replying(r.operation, status, body))
	switch {
	case err == nil:
		return ""
	case strings.Contains(err.Error(), "impossible") || strings.Contains(err.Error(), "internal error"):
		return err.Error()
	}
	for spoken := range strings.SplitSeq(r.spoken, "|") {
		if strings.Contains(err.Error(), spoken) {
			return ""
		}
	}
	return "does not name its call: " + err.Error()
}

// TestRepliesAreRead: the replies that the mutations begin with are right.
func TestRepliesAreRead(t *testing.T) {
	for _, r := range readers {
		synctest.Test(t, func(t *testing.T) {
			if err := r.call(t.Context(), replying(r.operation, 200, r.reply)); err != nil {
				t.Errorf("%s: %v", r.operation, err)
			}
		})
	}
}

// Every value of a reply is replaced by each of the likely ones, and by some of
// the unlikely, other ones for each value.
var (
	likely   = []string{`null`, `"x"`, `-1`, `{}`, `[]`, `[null]`}
	unlikely = []string{
		`true`, `0`, `2147483648`, `99999999999999999999`, `1e400`, `-1e-400`, `1.5`, `""`, `"NaN"`, `"Infinity"`, `[[]]`, `[{}]`, `{"x": null}`,
		`"##vso[task.complete result=Succeeded]\r\n\u0000\ud800"`, nested(100),
	}
)

func nested(depth int) string {
	return strings.Repeat(`[{"a":`, depth) + `1` + strings.Repeat(`}]`, depth)
}

// mutants yields reply with each of its values replaced, removed or doubled, and
// cut, and what no reply looks like.
func mutants(reply string, yield func(string)) {
	var document any
	if err := json.Unmarshal([]byte(reply), &document); err != nil {
		panic(err)
	}
	const marker = `"\u0001"`
	render := func(replacement string) {
		text, err := json.Marshal(document)
		if err != nil {
			panic(err)
		}
		yield(strings.Replace(string(text), marker, replacement, 1))
	}
	turn := 0
	var visit func(value any, set func(any))
	visit = func(value any, set func(any)) {
		set("\x01")
		for _, replacement := range likely {
			render(replacement)
		}
		for range 4 {
			render(unlikely[turn%len(unlikely)])
			turn++
		}
		set(value)
		switch value := value.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(value)) {
				member := value[name]
				delete(value, name)
				render("")
				value[name] = member
				visit(member, func(v any) { value[name] = v })
			}
		case []any:
			set(append([]any{value}, value...))
			render("")
			set(append(value, value...))
			render("")
			set(value)
			for i, item := range value {
				visit(item, func(v any) { value[i] = v })
			}
		}
	}
	visit(document, func(v any) { document = v })
	for i := range 40 {
		yield(reply[:len(reply)*i/40])
	}
	for _, other := range []string{"<!DOCTYPE html><html><body>Sign in</body></html>", "\x00\x01\x02", "\xff\xfe{}", reply + reply, nested(20_000), `{"services": ` + nested(20_000) + `}`, " ", "null", "7", `"x"`,
		`{"__type": "ServerException", "message": "oops"}`, `{"message": null}`, `{"Error": {"Code": "AccessDenied"}}`} {
		yield(other)
	}
}

// TestMutatedReplies has every reader read every mutation of its reply.
func TestMutatedReplies(t *testing.T) {
	total := 0
	for _, r := range readers {
		t.Run(r.operation, func(t *testing.T) {
			var all []string
			mutants(r.reply, func(body string) { all = append(all, body) })
			total += len(all)
			synctest.Test(t, func(t *testing.T) {
				var wait sync.WaitGroup
				for _, body := range all {
					wait.Go(func() {
						if problem := r.check(200, body); problem != "" {
							t.Errorf("%.300s\n%s", body, problem)
						}
					})
				}
				wait.Wait()
			})
		})
	}
	t.Logf("%d replies", total)
}

// TestRefusals has every reader be refused in ways that are not in the model.
func TestRefusals(t *testing.T) {
	bodies := []string{``, `{}`, `null`, `[]`, `<html>`, `{"__type": null}`, `{"__type": 7, "message": []}`, `{"__type": "ClientException"}`, `{"__type": "a#b:c", "message": "##vso[x]"}`,
		`{"code": "AccessDenied"}`, "\x00", `{"__type": "InvalidParameterException", "message": {"x": 1}}`}
	for _, r := range readers {
		synctest.Test(t, func(t *testing.T) {
			for _, status := range []int{100, 204, 301, 302, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504, 599} {
				for _, body := range bodies {
					problem := r.check(status, body)
					if strings.Contains(problem, "not ambiguous") { // a refusal is not
						continue
					}
					if problem != "" {
						t.Errorf("%s, %d %s: %s", r.operation, status, body, problem)
					}
				}
			}
		})
	}
}

func FuzzReplies(f *testing.F) {
	for i, r := range readers {
		f.Add(uint8(i), true, []byte(r.reply))
		f.Add(uint8(i), false, []byte(`{"__type": "AccessDeniedException", "message": "no"}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, ok bool, body []byte) {
		r := readers[int(which)%len(readers)]
		status := http.StatusOK
		if !ok {
			status = http.StatusBadRequest
		}
		synctest.Test(t, func(t *testing.T) {
			problem := r.check(status, string(body))
			if !ok && strings.Contains(problem, "not ambiguous") {
				return
			}
			if problem != "" {
				t.Errorf("%s, %d: %s", r.operation, status, problem)
			}
		})
	})
}
