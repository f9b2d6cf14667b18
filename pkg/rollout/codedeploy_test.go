package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

type object = map[string]any

// fault is an error in place of an answer.
type fault struct {
	code, message string
	times         int // how often; 0 = from now on
}

// scene is how far a CodeDeploy deployment has got, from a time after it began.
type scene struct {
	at       time.Duration
	status   string
	reason   string // code: message
	rollback string // id of the deployment that rolls it back
	tasks    int    // of the new task set; 0: there is none yet
	traffic  float64
	events   string // Install:Succeeded AllowTraffic:InProgress …
}

// codeDeployAccount is an account with the service dev/web, which CodeDeploy
// deploys. It answers in the wire format, and plays deployments by their scenes:
// also what the emulator never does, such as a status of the future or a
// rollback that is never named.
type codeDeployAccount struct {
	*Client
	group  object
	option object // blueGreenDeploymentConfiguration of deployments

	mu       sync.Mutex
	play     map[string][]scene // by deployment
	begin    map[string]time.Time
	revision object // of the last successful deployment
	faults   map[string]*fault
	calls    []string
	sent     map[string]object // last input, by operation
	gone     bool              // the service was deleted
	twin     bool              // two groups have the service
}

const (
	ourDeployment  = "d-0UR000001"
	backDeployment = "d-BACK00002"
	lastDeployment = "d-LAST00000"
)

func newCodeDeployAccount(t *testing.T, scenes ...scene) *codeDeployAccount {
	t.Helper()
	a := &codeDeployAccount{
		group: object{"applicationName": "AppECS-dev-web", "deploymentGroupName": "DgpECS-dev-web", "computePlatform": "ECS",
			"ecsServices": []object{{"clusterName": "dev", "serviceName": "web"}}},
		option: object{"deploymentReadyOption": object{"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
			"terminateBlueInstancesOnDeploymentSuccess": object{"action": "TERMINATE", "terminationWaitTimeInMinutes": 60}},
		play:   map[string][]scene{ourDeployment: scenes},
		begin:  map[string]time.Time{},
		faults: map[string]*fault{},
		sent:   map[string]object{},
	}
	a.Client = New(aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: a}})
	return a
}

func (a *codeDeployAccount) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in object
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	api, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, operation)
	a.sent[operation] = in
	status, answer := 200, any(nil)
	if f := a.faults[operation]; f != nil {
		status, answer = 400, object{"__type": f.code, "message": f.message}
		if f.times--; f.times == 0 {
			delete(a.faults, operation)
		}
	} else if api == "CodeDeploy_20141006" || api == "AmazonEC2ContainerServiceV20141113" {
		answer = a.answer(operation, in)
	}
	if answer == nil {
		status, answer = 400, object{"__type": "UnknownOperationException", "message": api + " " + operation}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(string(text))), ContentLength: int64(len(text))}, nil
}

func (a *codeDeployAccount) answer(operation string, in object) any {
	switch operation {
	case "ListApplications": // two pages, ours on the second
		if in["nextToken"] == nil {
			return object{"applications": []string{"other", "another"}, "nextToken": "2"}
		}
		return object{"applications": []any{a.group["applicationName"]}}
	case "ListDeploymentGroups":
		if in["applicationName"] != a.group["applicationName"] {
			return object{"deploymentGroups": []any{}}
		}
		if in["nextToken"] == nil {
			return object{"deploymentGroups": []any{"elsewhere"}, "nextToken": "2"}
		}
		return object{"deploymentGroups": []any{a.group["deploymentGroupName"]}}
	case "BatchGetDeploymentGroups":
		if slices.Contains(in["deploymentGroupNames"].([]any), "elsewhere") {
			return object{"deploymentGroupsInfo": []any{object{"deploymentGroupName": "elsewhere", "ecsServices": []object{{"clusterName": "prod", "serviceName": "web"}}}}}
		}
		if a.twin {
			return object{"deploymentGroupsInfo": []any{a.group, a.group}}
		}
		return object{"deploymentGroupsInfo": []any{a.group}}
	case "CreateDeployment":
		a.begin[ourDeployment] = time.Now()
		return object{"deploymentId": ourDeployment}
	case "GetDeployment":
		return object{"deploymentInfo": a.deployment(in["deploymentId"].(string))}
	case "GetApplicationRevision":
		return object{"applicationName": in["applicationName"], "revision": object{"revisionType": "AppSpecContent", "appSpecContent": object{
			"content": "version: 0.0\nHooks:\n  - AfterInstall: check-" + in["revision"].(object)["appSpecContent"].(object)["sha256"].(string) + "\n"}}}
	case "GetDeploymentTarget":
		s := a.scene(ourDeployment)
		events := []object{}
		for _, e := range strings.Fields(s.events) {
			name, status, _ := strings.Cut(e, ":")
			event := object{"lifecycleEventName": name, "status": status, "startTime": 1.7e9}
			if status == "Failed" {
				event["diagnostics"] = object{"errorCode": "ScriptFailed", "message": "the Lambda function check said no"}
			}
			events = append(events, event)
		}
		return object{"deploymentTarget": object{"deploymentTargetType": "ECSTarget", "ecsTarget": object{"targetId": "dev:web", "lifecycleEvents": events,
			"taskSetsInfo": []object{
				{"identifer": "ecs-svc/1", "taskSetLabel": "Blue", "trafficWeight": 100 - s.traffic, "status": "PRIMARY"},
				{"identifer": "ecs-svc/2", "taskSetLabel": "Green", "trafficWeight": s.traffic, "status": "ACTIVE"}}}}}
	case "StopDeployment":
		return object{"status": "Pending"}
	case "ContinueDeployment":
		return object{}
	case "DescribeServices":
		return a.describe()
	}
	return nil
}

func (a *codeDeployAccount) describe() object {
	if a.gone {
		return object{"services": []any{}, "failures": []any{object{"reason": "MISSING"}}}
	}
	sets := []object{{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": previousRevision, "externalId": lastDeployment,
		"computedDesiredCount": 2, "runningCount": 2, "pendingCount": 0, "createdAt": 1.6e9}}
	s := a.scene(ourDeployment)
	if s.tasks > 0 {
		sets = append(sets, object{"id": "ecs-svc/2", "status": "ACTIVE", "taskDefinition": ourRevision, "externalId": ourDeployment,
			"computedDesiredCount": 2, "runningCount": s.tasks, "pendingCount": 2 - s.tasks, "createdAt": 1.7e9})
	}
	return object{"services": []any{object{
		"serviceName": "web", "serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/dev/web", "status": "ACTIVE", "taskDefinition": previousRevision,
		"deploymentController": object{"type": "CODE_DEPLOY"}, "desiredCount": 2, "runningCount": 2 + s.tasks, "pendingCount": 0, "deployments": []any{},
		"loadBalancers": []object{{"targetGroupArn": targetGroup, "containerName": "app", "containerPort": 8080}}, "platformVersion": "LATEST",
		"taskSets": sets,
		"events":   []object{{"id": "e1", "createdAt": 1.6e9, "message": "(service web) has reached a steady state."}},
	}}}
}

// scene returns where the deployment is now.
func (a *codeDeployAccount) scene(id string) scene {
	begin, known := a.begin[id]
	if !known {
		return scene{}
	}
	var now scene
	for _, s := range a.play[id] {
		if time.Since(begin) >= s.at {
			now = s
		}
	}
	return now
}

func (a *codeDeployAccount) deployment(id string) object {
	info := object{"deploymentId": id, "applicationName": a.group["applicationName"], "computePlatform": "ECS", "autoRollbackConfiguration": a.group["autoRollbackConfiguration"],
		"blueGreenDeploymentConfiguration": a.option, "createTime": float64(time.Now().Unix()), "status": "Succeeded"}
	if id == lastDeployment {
		info["revision"] = a.revision
		return info
	}
	s := a.scene(id)
	info["status"] = s.status
	if sent := a.sent["CreateDeployment"]; sent != nil {
		info["autoRollbackConfiguration"] = sent["autoRollbackConfiguration"]
		// The content is never told here, only its digest.
		info["revision"] = object{"revisionType": "AppSpecContent", "appSpecContent": object{"sha256": sent["revision"].(object)["appSpecContent"].(object)["sha256"]}}
	}
	if code, message, found := strings.Cut(s.reason, ": "); found {
		info["errorInformation"] = object{"code": code, "message": message}
	}
	if s.rollback != "" {
		info["rollbackInfo"] = object{"rollbackDeploymentId": s.rollback}
		if _, known := a.begin[s.rollback]; !known {
			a.begin[s.rollback] = time.Now()
		}
	}
	return info
}

// start finds the group and starts a deployment.
func (a *codeDeployAccount) start(t *testing.T, change CodeDeployChange) CodeDeployment {
	t.Helper()
	service, err := a.Service(t.Context(), "dev", "web")
	if err != nil {
		t.Fatal(err)
	}
	group, err := a.CodeDeployGroup(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	change.TaskDefinition = ourRevision
	d, err := a.CreateDeployment(t.Context(), group, service, change)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (a *codeDeployAccount) count(operation string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, c := range a.calls {
		if c == operation {
			n++
		}
	}
	return n
}

// TestWatchCodeDeploy plays deployments. The verdict itself has its table in
// TestJudgeCodeDeploy.
func TestWatchCodeDeploy(t *testing.T) {
	const (
		installed = "BeforeInstall:Succeeded Install:Succeeded AfterInstall:Succeeded "
		shifting  = installed + "BeforeAllowTraffic:Succeeded AllowTraffic:InProgress AfterAllowTraffic:Pending"
		shifted   = installed + "BeforeAllowTraffic:Succeeded AllowTraffic:Succeeded AfterAllowTraffic:Succeeded"
	)
	canary := []scene{
		{0, "Created", "", "", 0, 0, ""},
		{10 * time.Second, "InProgress", "", "", 1, 0, "BeforeInstall:Succeeded Install:InProgress"},
		{time.Minute, "InProgress", "", "", 2, 10, shifting},
		{6 * time.Minute, "InProgress", "", "", 2, 100, shifted},
	}
	failing := func(after ...scene) []scene {
		return append([]scene{canary[0], canary[1]}, after...)
	}
	unhealthy := scene{2 * time.Minute, "Failed", "HOOK_EXECUTION_FAILURE: the hook AfterAllowTestTraffic failed", "", 2, 0, installed + "AfterAllowTestTraffic:Failed"}
	back := func(s scene) scene { s.rollback = backDeployment; return s }
	later := func(d time.Duration, s scene) scene { s.at += d; return s }

	tests := []struct {
		name    string
		scenes  []scene
		back    []scene // of the deployment that rolls ours back
		change  CodeDeployChange
		before  func(*codeDeployAccount, *CodeDeployment)
		timeout time.Duration
		want    Outcome
		reason  string
		events  []string
		once    string
		limit   time.Duration
	}{
		{name: "a canary that succeeds", scenes: append(slices.Clone(canary), scene{66 * time.Minute, "Succeeded", "", "", 2, 100, shifted}), timeout: 2 * time.Hour, want: Succeeded,
			events: []string{"deployment d-0UR000001 is in progress", "Install in progress", "Install succeeded", "1 of 2 running, 1 pending; 2 of the previous deployment", "2 of 2 running", "10 % of production traffic on the new task set", "100 % of production traffic on the new task set; CodeDeploy ends the previous one after 60 min"},
			once:   "AllowTraffic in progress"},
		{name: "the end is not waited for once the traffic is shifted", scenes: canary, want: Succeeded, limit: 7 * time.Minute,
			before: func(_ *codeDeployAccount, d *CodeDeployment) { d.UntilTraffic = true }},
		{name: "the previous task set stays longer than the patience lasts", scenes: canary, want: TimedOut, reason: "100 % of production traffic", limit: 30 * time.Minute},
		{name: "failed, and nobody rolls back", scenes: failing(unhealthy), want: Failed, reason: "the hook AfterAllowTestTraffic failed (HOOK_EXECUTION_FAILURE)", limit: 2*time.Minute + 10*time.Second,
			events: []string{"AfterAllowTestTraffic failed: the Lambda function check said no"}},
		{name: "failed and rolled back", change: CodeDeployChange{RollBack: true}, scenes: failing(back(unhealthy)), back: []scene{{status: "Created"}, {at: time.Minute, status: "Succeeded"}},
			want: RolledBack, reason: "HOOK_EXECUTION_FAILURE", events: []string{"CodeDeploy rolls back with deployment d-BACK00002, which has not begun yet", "CodeDeploy rolls back with deployment d-BACK00002, which has succeeded"}},
		{name: "a rollback that is named late", change: CodeDeployChange{RollBack: true}, scenes: failing(unhealthy, later(20*time.Second, back(unhealthy))), back: []scene{{status: "InProgress"}, {at: time.Minute, status: "Succeeded"}}, want: RolledBack},
		{name: "a rollback that is never named", change: CodeDeployChange{RollBack: true}, scenes: failing(unhealthy), want: Failed, limit: 3 * time.Minute},
		{name: "a rollback that fails", change: CodeDeployChange{RollBack: true}, scenes: failing(back(unhealthy)), back: []scene{{status: "InProgress"}, {at: time.Minute, status: "Failed", reason: "ECS_UPDATE_ERROR: no capacity"}},
			want: Failed, reason: "so did its rollback d-BACK00002: no capacity (ECS_UPDATE_ERROR)"},
		{name: "a rollback that never ends", change: CodeDeployChange{RollBack: true}, scenes: failing(back(unhealthy)), back: []scene{{status: "InProgress"}}, want: TimedOut, limit: 30 * time.Minute},
		{name: "stopped by hand", scenes: failing(scene{time.Minute, "Stopped", "MANUAL_STOP: The deployment was stopped by a user.", "", 2, 0, installed}), want: Failed, reason: "the deployment was stopped: The deployment was stopped by a user (MANUAL_STOP)"},
		{name: "stopped by us: its rollback is waited for although the group has none", scenes: failing(scene{time.Minute, "Stopped", "", "", 2, 0, installed}, scene{70 * time.Second, "Stopped", "", backDeployment, 2, 0, installed}),
			back: []scene{{status: "Succeeded"}}, want: RolledBack, before: func(_ *codeDeployAccount, d *CodeDeployment) { *d = d.Again() }},
		{name: "ready, and waiting to be told", scenes: failing(scene{time.Minute, "Ready", "", "", 2, 0, installed}), want: Paused, reason: ourDeployment,
			before: func(a *codeDeployAccount, _ *CodeDeployment) {
				a.option["deploymentReadyOption"] = object{"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60}
			}},
		{name: "ready, and going on by itself", scenes: failing(scene{time.Minute, "Ready", "", "", 2, 0, installed}, scene{2 * time.Minute, "Succeeded", "", "", 2, 100, shifted}), want: Succeeded},
		{name: "a status of the future", scenes: failing(scene{time.Minute, "HalfSucceeded", "", "", 2, 100, shifted}), want: TimedOut, reason: "its CodeDeploy deployment is half succeeded"},
		{name: "lifecycle events denied", scenes: append(canary[:3:3], scene{2 * time.Minute, "Succeeded", "", "", 2, 100, shifted}), want: Succeeded, once: "lifecycle events and traffic cannot be read",
			before: func(a *codeDeployAccount, _ *CodeDeployment) {
				a.faults["GetDeploymentTarget"] = &fault{"AccessDeniedException", "not authorized to perform: codedeploy:GetDeploymentTarget", 0}
			}},
		{name: "a target that has not started", scenes: append(canary[:3:3], scene{2 * time.Minute, "Succeeded", "", "", 2, 100, shifted}), want: Succeeded, events: []string{"10 % of production traffic"},
			before: func(a *codeDeployAccount, _ *CodeDeployment) {
				a.faults["GetDeploymentTarget"] = &fault{"DeploymentNotStartedException", "has not started", 5}
			}},
		{name: "minutes without an answer", scenes: append(canary[:3:3], scene{20 * time.Minute, "Succeeded", "", "", 2, 100, shifted}), want: Succeeded, once: "AWS does not answer", events: []string{"AWS answers again"},
			before: func(a *codeDeployAccount, _ *CodeDeployment) {
				a.faults["GetDeployment"] = &fault{"ThrottlingException", "Rate exceeded", 60}
			}},
		{name: "deleted in the middle", scenes: canary, want: Failed, reason: "deleted", before: func(a *codeDeployAccount, _ *CodeDeployment) { a.gone = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newCodeDeployAccount(t, tt.scenes...)
				a.play[backDeployment] = tt.back
				d := a.start(t, tt.change)
				if tt.before != nil {
					tt.before(a, &d)
				}
				if tt.timeout == 0 {
					tt.timeout = 30 * time.Minute
				}
				begin := time.Now()
				w := a.WatchCodeDeploy(d, tt.timeout)
				var lines []string
				for e := range w.Events(t.Context()) {
					lines = append(lines, e.Text)
				}
				told := strings.Join(lines, "\n")
				if w.Err() != nil {
					t.Fatalf("ended without a verdict: %v; told:\n%s", w.Err(), told)
				}
				if got := w.Verdict(); got.Outcome != tt.want || !strings.Contains(got.Reason, tt.reason) {
					t.Errorf("verdict %q (%s), want %q (…%s…); told:\n%s", got.Outcome, got.Reason, tt.want, tt.reason, told)
				}
				for _, want := range tt.events {
					if !slices.Contains(lines, want) && !strings.Contains(told, want) {
						t.Errorf("%q was not told:\n%s", want, told)
					}
				}
				if n := strings.Count(told, tt.once); tt.once != "" && n != 1 {
					t.Errorf("%q was told %d times, want once:\n%s", tt.once, n, told)
				}
				if strings.Contains(told, "steady state") {
					t.Errorf("an old event was told:\n%s", told)
				}
				if took := time.Since(begin); tt.limit != 0 && took > tt.limit {
					t.Errorf("ended after %s, want %s at most", took, tt.limit)
				}
				if w.Verdict().Outcome == Succeeded && w.Started().ID != "ecs-svc/2" {
					t.Errorf("tasks are looked for by %q, want the new task set's id", w.Started().ID)
				}
				if hook := w.HookID(); (hook != "") != (tt.want == Paused) {
					t.Errorf("HookID = %q with outcome %s", hook, tt.want)
				}
			})
		})
	}
}

func TestWatchCodeDeployIsCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newCodeDeployAccount(t, scene{status: "InProgress", tasks: 1, events: "Install:InProgress"})
		d := a.start(t, CodeDeployChange{})
		before := len(a.calls)
		const length = 20 * time.Minute
		for range a.WatchCodeDeploy(d, length).Events(t.Context()) {
		}
		if rate := float64(len(a.calls)-before) / length.Seconds(); rate > 0.5 {
			t.Errorf("%.2f calls a second, want 0.5 at most", rate)
		}
	})
}

func TestWatchCodeDeployWithoutVerdict(t *testing.T) {
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newCodeDeployAccount(t, scene{status: "InProgress"})
			d := a.start(t, CodeDeployChange{})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			w := a.WatchCodeDeploy(d, time.Hour)
			for range w.Events(ctx) {
			}
			if !errors.Is(w.Err(), context.DeadlineExceeded) || w.Verdict().Final() || !w.UnderWay() {
				t.Errorf("Err = %v, verdict %v, under way %v", w.Err(), w.Verdict(), w.UnderWay())
			}
		})
	})
	t.Run("denied", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newCodeDeployAccount(t, scene{status: "InProgress"})
			d := a.start(t, CodeDeployChange{})
			a.faults["GetDeployment"] = &fault{"AccessDeniedException", "not authorized to perform: codedeploy:GetDeployment", 0}
			w := a.WatchCodeDeploy(d, time.Hour)
			for range w.Events(t.Context()) {
			}
			if !denied(w.Err()) || w.Verdict().Final() {
				t.Errorf("Err = %v, verdict %v; want the refusal", w.Err(), w.Verdict())
			}
		})
	})
	t.Run("forgotten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newCodeDeployAccount(t, scene{status: "InProgress"})
			d := a.start(t, CodeDeployChange{})
			a.faults["GetDeployment"] = &fault{"DeploymentDoesNotExistException", "no such deployment", 0}
			w := a.WatchCodeDeploy(d, time.Hour)
			for range w.Events(t.Context()) {
			}
			if p, ok := errors.AsType[*Problem](w.Err()); !ok || !p.Absent {
				t.Errorf("Err = %v, want a problem with what is gone", w.Err())
			}
		})
	})
}

func TestCreateDeployment(t *testing.T) {
	both := []any{"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"}
	tests := []struct {
		name     string
		change   CodeDeployChange
		group    object // autoRollbackConfiguration of the group
		revision object // of the last successful deployment
		rollback any    // autoRollbackConfiguration that is sent
		content  string // part of the AppSpec
	}{
		{name: "the first deployment", content: `"TaskDefinition":"` + ourRevision + `","LoadBalancerInfo":{"ContainerName":"app","ContainerPort":8080},"PlatformVersion":"LATEST"}}}]}`},
		{name: "hooks are kept", revision: object{"revisionType": "AppSpecContent", "appSpecContent": object{"sha256": "5eed"}}, content: `"Hooks":[{"AfterInstall":"check-5eed"}]`},
		{name: "hooks of an older form of revision are kept", revision: object{"revisionType": "String", "string": object{"content": "Hooks: [{AfterInstall: old}]"}}, content: `"Hooks":[{"AfterInstall":"old"}]`},
		{name: "an AppSpec that was given", change: CodeDeployChange{AppSpec: []byte(`{"Resources": [{"Web": {"Type": "AWS::ECS::Service", "Properties": {}}}]}`)},
			revision: object{"revisionType": "S3", "s3Location": object{"bucket": "b", "key": "k"}}, content: `{"Resources":[{"Web":`},
		{name: "a rollback is added", change: CodeDeployChange{RollBack: true}, rollback: object{"enabled": true, "events": both}},
		{name: "a rollback is added to what the group has", change: CodeDeployChange{RollBack: true}, group: object{"enabled": true, "events": []string{"DEPLOYMENT_STOP_ON_ALARM"}},
			rollback: object{"enabled": true, "events": append([]any{"DEPLOYMENT_STOP_ON_ALARM"}, both...)}},
		{name: "a rollback that is switched off in the group", change: CodeDeployChange{RollBack: true}, group: object{"enabled": false, "events": []string{"DEPLOYMENT_STOP_ON_ALARM"}}, rollback: object{"enabled": true, "events": both}},
		{name: "a group that rolls back already", change: CodeDeployChange{RollBack: true}, group: object{"enabled": true, "events": both}},
		{name: "a rollback is not asked for", group: object{"enabled": true, "events": []string{"DEPLOYMENT_STOP_ON_ALARM"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newCodeDeployAccount(t)
				if tt.group != nil {
					a.group["autoRollbackConfiguration"] = tt.group
				}
				if a.revision = tt.revision; tt.revision != nil {
					a.group["lastSuccessfulDeployment"] = object{"deploymentId": lastDeployment, "status": "Succeeded"}
				}
				d := a.start(t, tt.change)
				if d.ID != ourDeployment || d.TaskDefinition != ourRevision || d.Previous != previousRevision || !d.New {
					t.Errorf("started %+v", d.Target)
				}
				sent := a.sent["CreateDeployment"]
				if sent["applicationName"] != "AppECS-dev-web" || sent["deploymentGroupName"] != "DgpECS-dev-web" {
					t.Errorf("sent to %v, %v", sent["applicationName"], sent["deploymentGroupName"])
				}
				if got, want := fmt.Sprint(sent["autoRollbackConfiguration"]), fmt.Sprint(tt.rollback); got != want {
					t.Errorf("autoRollbackConfiguration = %s, want %s", got, want)
				}
				spec := sent["revision"].(object)["appSpecContent"].(object)
				content := spec["content"].(string)
				if !strings.Contains(content, tt.content) {
					t.Errorf("AppSpec %s, want it to contain %s", content, tt.content)
				}
				if spec["sha256"] != digestOf([]byte(content)) {
					t.Errorf("digest %s, want that of the content", spec["sha256"])
				}
				if n := a.count("CreateDeployment"); n != 1 {
					t.Errorf("%d calls of CreateDeployment, want one", n)
				}
			})
		})
	}
}

func TestCreateDeploymentRefuses(t *testing.T) {
	group := Group{Application: "AppECS-dev-web", Name: "DgpECS-dev-web"}
	limit := &fault{"DeploymentLimitExceededException", "The Deployment Group 'DgpECS-dev-web' already has an active Deployment '" + ourDeployment + "'", 1}
	t.Run("another deployment is in flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newCodeDeployAccount(t)
			service, err := a.Service(t.Context(), "dev", "web")
			if err != nil {
				t.Fatal(err)
			}
			a.faults["CreateDeployment"] = limit
			// Its revision is another one.
			a.faults["GetDeployment"] = &fault{"AccessDeniedException", "no", 0}
			_, err = a.CreateDeployment(t.Context(), group, service, CodeDeployChange{TaskDefinition: ourRevision})
			if busy, ok := errors.AsType[*BusyError](err); !ok || busy.Deployment != ourDeployment || busy.Service != "web" || busy.Hint() == "" {
				t.Errorf("error %v, want a BusyError that names %s", err, ourDeployment)
			}
		})
	})
	t.Run("an answer that got lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newCodeDeployAccount(t, scene{status: "Created"})
			service, err := a.Service(t.Context(), "dev", "web")
			if err != nil {
				t.Fatal(err)
			}
			a.begin[ourDeployment] = time.Now()
			limit.times = 1
			a.faults["CreateDeployment"] = limit
			d, err := a.CreateDeployment(t.Context(), group, service, CodeDeployChange{TaskDefinition: ourRevision})
			if err != nil || d.ID != ourDeployment || !d.New {
				t.Errorf("= %+v, %v; want the deployment of the call whose answer got lost", d.Target, err)
			}
		})
	})
	t.Run("hooks that cannot be read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newCodeDeployAccount(t)
			service, err := a.Service(t.Context(), "dev", "web")
			if err != nil {
				t.Fatal(err)
			}
			a.revision = object{"revisionType": "S3", "s3Location": object{"bucket": "b", "key": "k"}}
			group := group
			group.Successful = lastDeployment
			_, err = a.CreateDeployment(t.Context(), group, service, CodeDeployChange{TaskDefinition: ourRevision})
			if p, ok := errors.AsType[*Problem](err); !ok || p.Input != "services" || !strings.Contains(p.Message, "hooks") {
				t.Errorf("error %v, want a problem with the hooks", err)
			}
			if n := a.count("CreateDeployment"); n != 0 {
				t.Errorf("%d deployments were started", n)
			}
		})
	})
}

func TestCodeDeployGroup(t *testing.T) {
	tests := []struct {
		name   string
		before func(*codeDeployAccount)
		want   Group
		err    string
	}{
		{name: "found behind pages", want: Group{Application: "AppECS-dev-web", Name: "DgpECS-dev-web"}},
		{name: "with its history", before: func(a *codeDeployAccount) {
			a.group["lastSuccessfulDeployment"] = object{"deploymentId": lastDeployment, "status": "Succeeded"}
			a.group["lastAttemptedDeployment"] = object{"deploymentId": "d-NEW", "status": "Baking"}
			a.group["autoRollbackConfiguration"] = object{"enabled": true, "events": []string{"DEPLOYMENT_FAILURE"}}
		}, want: Group{"AppECS-dev-web", "DgpECS-dev-web", []string{"DEPLOYMENT_FAILURE"}, lastDeployment, "d-NEW"}},
		{name: "the last one failed", before: func(a *codeDeployAccount) {
			a.group["lastAttemptedDeployment"] = object{"deploymentId": "d-NEW", "status": "Failed"}
		}, want: Group{Application: "AppECS-dev-web", Name: "DgpECS-dev-web"}},
		{name: "several", before: func(a *codeDeployAccount) { a.twin = true },
			err: "input services: service web belongs to 2 deployment groups of the CodeDeploy application AppECS-dev-web (DgpECS-dev-web and DgpECS-dev-web)"},
		{name: "none", before: func(a *codeDeployAccount) {
			a.group["ecsServices"] = []object{{"clusterName": "dev", "serviceName": "worker"}}
		}, err: "input services: service web is deployed by CodeDeploy, and none of its 3 applications in eu-west-1 has a deployment group for it"},
		{name: "denied", before: func(a *codeDeployAccount) {
			a.faults["ListApplications"] = &fault{"AccessDeniedException", "User: arn:aws:iam::123456789012:user/x is not authorized to perform: codedeploy:ListApplications", 0}
		}, err: "not authorized to perform: codedeploy:ListApplications"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newCodeDeployAccount(t)
				if tt.before != nil {
					tt.before(a)
				}
				// The cluster may have been given as an ARN.
				got, err := a.CodeDeployGroup(t.Context(), Service{Name: "web", Cluster: "arn:aws:ecs:eu-west-1:123456789012:cluster/dev"})
				if tt.err != "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Errorf("error %v, want %q", err, tt.err)
					}
					return
				}
				if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("= %+v, %v; want %+v", got, err, tt.want)
				}
				if n := a.count("ListDeploymentGroups"); n != 2 {
					t.Errorf("%d calls of ListDeploymentGroups, want the two pages of the application named after the service", n)
				}
			})
		})
	}
}

func TestCodeDeployInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newCodeDeployAccount(t, scene{status: "InProgress"}, scene{at: time.Hour, status: "Succeeded"})
		d := a.start(t, CodeDeployChange{})
		if _, busy, err := a.CodeDeployInFlight(t.Context(), Group{}, d.Service); busy || err != nil {
			t.Errorf("a group without a deployment: %v, %v", busy, err)
		}
		group := d.Group
		group.InFlight = ourDeployment
		// The digest of the revision is all that GetDeployment tells.
		a.sent["CreateDeployment"]["revision"].(object)["appSpecContent"].(object)["sha256"] = "5eed"
		got, busy, err := a.CodeDeployInFlight(t.Context(), group, d.Service)
		if err != nil || !busy || got.ID != ourDeployment || got.New {
			t.Errorf("= %+v, %v, %v; want the deployment, not as a new one", got.Target, busy, err)
		}
		time.Sleep(2 * time.Hour)
		if _, busy, err := a.CodeDeployInFlight(t.Context(), group, d.Service); busy || err != nil {
			t.Errorf("a deployment that has ended: %v, %v", busy, err)
		}
	})
}

func TestAnswerCodeDeploy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newCodeDeployAccount(t, scene{status: "Ready", tasks: 2}, scene{at: time.Minute, status: "Succeeded", tasks: 2, traffic: 100})
		a.option = nil
		d := a.start(t, CodeDeployChange{})
		if v := judgeCodeDeploy(d, CodeDeployState{State: State{Service: d.Service}, Status: "Ready", Waits: true}); v.Outcome != Paused {
			t.Errorf("before the answer: %v, want paused", v)
		}
		on, err := a.AnswerCodeDeploy(t.Context(), d, false)
		if err != nil || a.sent["ContinueDeployment"]["deploymentWaitType"] != "READY_WAIT" {
			t.Fatalf("continue: %v, sent %v", err, a.sent["ContinueDeployment"])
		}
		w := a.WatchCodeDeploy(on, time.Hour) // CodeDeploy still says Ready for a while
		for range w.Events(t.Context()) {
		}
		if v := w.Verdict(); v.Outcome != Succeeded {
			t.Errorf("after the answer: %v, %v", v, w.Err())
		}
		if _, err := a.AnswerCodeDeploy(t.Context(), d, true); err != nil || a.sent["StopDeployment"]["autoRollbackEnabled"] != true || a.sent["StopDeployment"]["deploymentId"] != ourDeployment {
			t.Errorf("rollback: %v, sent %v", err, a.sent["StopDeployment"])
		}
		a.faults["ContinueDeployment"] = &fault{"DeploymentIsNotInReadyStateException", "The deployment is not ready", 0}
		if _, err := a.AnswerCodeDeploy(t.Context(), d, false); err == nil || !strings.Contains(err.Error(), "input services: CodeDeploy deployment d-0UR000001 of service web does not wait for an answer") {
			t.Errorf("continue where nothing waits: %v", err)
		}
		a.faults["StopDeployment"] = &fault{"DeploymentAlreadyCompletedException", "The deployment is over", 0}
		if err := a.StopCodeDeploy(t.Context(), d.ID); !errors.Is(err, ErrEnded) {
			t.Errorf("stop what is over: %v", err)
		}
		if _, err := a.AnswerCodeDeploy(t.Context(), d, true); err == nil || !strings.Contains(err.Error(), "does not wait for an answer (it has ended)") {
			t.Errorf("roll back what is over: %v", err)
		}
	})
}

func TestJudgeCodeDeploy(t *testing.T) {
	ours := CodeDeployment{Started: Started{Target: Target{ID: ourDeployment, TaskDefinition: ourRevision, Previous: previousRevision}}}
	impatient, answered := ours, ours
	impatient.UntilTraffic = true
	answered.answered = true
	all, some := 100.0, 10.0
	active := State{Service: Service{Status: "ACTIVE"}}
	checked := []LifecycleEvent{{Name: "AllowTraffic", Status: "Succeeded"}, {Name: "AfterAllowTraffic", Status: "Skipped"}}
	checking := []LifecycleEvent{{Name: "AllowTraffic", Status: "Succeeded"}, {Name: "AfterAllowTraffic", Status: "InProgress"}}
	tests := []struct {
		name   string
		d      CodeDeployment
		state  CodeDeployState
		want   Outcome
		reason string
	}{
		{"created goes on", ours, CodeDeployState{State: active, Status: "Created"}, "", ""},
		{"queued goes on", ours, CodeDeployState{State: active, Status: "Queued"}, "", ""},
		{"in progress goes on although all traffic is shifted (peer: services-stable)", ours, CodeDeployState{State: active, Status: "InProgress", Traffic: &all, Lifecycle: checked}, "", ""},
		{"baking goes on", ours, CodeDeployState{State: active, Status: "Baking", Traffic: &all, Lifecycle: checked}, "", ""},
		{"nothing known yet", ours, CodeDeployState{State: active}, "", ""},
		{"a status of the future goes on", ours, CodeDeployState{State: active, Status: "PartlySucceeded"}, "", ""},
		{"succeeded", ours, CodeDeployState{State: active, Status: "Succeeded"}, Succeeded, ""},
		{"ready waits for a decision", ours, CodeDeployState{State: active, Status: "Ready", Waits: true}, Paused, ourDeployment},
		{"ready goes on where the group lets it", ours, CodeDeployState{State: active, Status: "Ready"}, "", ""},
		{"ready goes on after the answer", answered, CodeDeployState{State: active, Status: "Ready", Waits: true}, "", ""},
		{"shifted is the end for who waits for traffic only", impatient, CodeDeployState{State: active, Status: "InProgress", Traffic: &all, Lifecycle: checked}, Succeeded, "all production traffic"},
		{"not while a hook still checks", impatient, CodeDeployState{State: active, Status: "InProgress", Traffic: &all, Lifecycle: checking}, "", ""},
		{"not with a tenth of the traffic", impatient, CodeDeployState{State: active, Status: "InProgress", Traffic: &some, Lifecycle: checked}, "", ""},
		{"not when the lifecycle cannot be read", impatient, CodeDeployState{State: active, Status: "InProgress"}, "", ""},
		{"failed", ours, CodeDeployState{State: active, Status: "Failed", Error: "alarm (ALARM_ACTIVE)"}, Failed, "alarm (ALARM_ACTIVE)"},
		{"failed by a hook, which says more", ours, CodeDeployState{State: active, Status: "Failed", Error: "a hook failed. (HOOK_EXECUTION_FAILURE)",
			Lifecycle: []LifecycleEvent{{Name: "AfterInstall", Status: "Succeeded"}, {Name: "AfterAllowTraffic", Status: "Failed", Message: "check said no"}}},
			Failed, "(HOOK_EXECUTION_FAILURE); AfterAllowTraffic failed: check said no"},
		{"failed, its rollback not named yet", ours, CodeDeployState{State: active, Status: "Failed", RollbackDue: true}, "", ""},
		{"failed, rolling back", ours, CodeDeployState{State: active, Status: "Failed", Rollback: &CodeDeployRollback{ID: backDeployment, Status: "InProgress"}}, "", ""},
		{"rolled back (peer: the last deployment succeeded, so success)", ours, CodeDeployState{State: active, Status: "Failed", Error: "x", Rollback: &CodeDeployRollback{ID: backDeployment, Status: "Succeeded"}}, RolledBack, "failed: x"},
		{"stopped and rolled back", ours, CodeDeployState{State: active, Status: "Stopped", Rollback: &CodeDeployRollback{ID: backDeployment, Status: "Succeeded"}}, RolledBack, "stopped"},
		{"the rollback failed", ours, CodeDeployState{State: active, Status: "Failed", Rollback: &CodeDeployRollback{ID: backDeployment, Status: "Failed"}}, Failed, "so did its rollback"},
		{"the rollback was stopped", ours, CodeDeployState{State: active, Status: "Failed", Rollback: &CodeDeployRollback{ID: backDeployment, Status: "Stopped"}}, Failed, "rollback"},
		{"the service is deleted", ours, CodeDeployState{State: State{Missing: true}, Status: "Succeeded"}, Failed, "deleted"},
		{"the service is being deleted", ours, CodeDeployState{State: State{Service: Service{Status: "DRAINING"}}, Status: "InProgress"}, Failed, "deleted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := judgeCodeDeploy(tt.d, tt.state)
			if got.Outcome != tt.want || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("judgeCodeDeploy = %q (%s), want %q (…%s…)", got.Outcome, got.Reason, tt.want, tt.reason)
			}
			if got.Final() && !got.Outcome.Good() && got.Reason == "" {
				t.Errorf("outcome %s comes without a reason", got.Outcome)
			}
		})
	}
}

// FuzzJudgeCodeDeploy: whatever CodeDeploy answers, nothing but the success of
// our own deployment is a success, or, for who asked for no more, all of the
// traffic with nothing left to check.
func FuzzJudgeCodeDeploy(f *testing.F) {
	f.Add("Succeeded", "", false, "ACTIVE", 100.0, "Succeeded", false)
	f.Add("Failed", "Succeeded", false, "ACTIVE", 100.0, "Succeeded", true)
	f.Add("InProgress", "Succeeded", true, "ACTIVE", 100.0, "Skipped", true)
	f.Add("Ready", "", true, "DRAINING", 0.0, "Pending", true)
	f.Fuzz(func(t *testing.T, status, rollback string, due bool, service string, traffic float64, event string, untilTraffic bool) {
		s := CodeDeployState{
			State: State{Service: Service{Status: service}}, Status: status, RollbackDue: due, Waits: due, Traffic: &traffic,
			Lifecycle: []LifecycleEvent{{Name: "AllowTraffic", Status: event}, {Name: "AfterAllowTraffic", Status: event}},
		}
		if rollback != "" {
			s.Rollback = &CodeDeployRollback{ID: backDeployment, Status: rollback}
		}
		var d CodeDeployment
		d.UntilTraffic = untilTraffic
		if !judgeCodeDeploy(d, s).Outcome.Good() {
			return
		}
		shifted := untilTraffic && (status == "InProgress" || status == "Baking") && traffic == 100 && (event == "Succeeded" || event == "Skipped")
		if status != "Succeeded" && !shifted || service == "DRAINING" || service == "INACTIVE" {
			t.Errorf("green without our own success: %q, rollback %q, service %q", status, rollback, service)
		}
	})
}
