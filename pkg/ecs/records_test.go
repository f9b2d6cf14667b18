package ecs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
)

// briefs reads the whole history of a service.
func briefs(t *testing.T, c *Client, s Service, since time.Time, statuses ...string) []Brief {
	t.Helper()
	var all []Brief
	for b, err := range c.ServiceDeployments(t.Context(), s, since, statuses...) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// deploy forces n deployments of the service web, one after the other.
func (a *account) deploy(t *testing.T, n int) Service {
	t.Helper()
	s, err := a.Service(t.Context(), "dev", "web")
	for range n {
		if err == nil {
			_, err = a.Update(t.Context(), s, Update{Force: true})
		}
		time.Sleep(15 * time.Minute)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		begin := time.Now()
		s := a.deploy(t, 45)
		history := briefs(t, a.Client, s, time.Time{})
		if len(history) != 46 || a.count("ListServiceDeployments") != 3 {
			t.Fatalf("%d deployments in %d calls, want 46 in 3", len(history), a.count("ListServiceDeployments"))
		}
		if !slices.IsSortedFunc(history, func(a, b Brief) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
			t.Error("not newest first")
		}
		if since := briefs(t, a.Client, s, begin); len(since) != 45 {
			t.Errorf("%d since the first update, want 45", len(since))
		}
		if ended := briefs(t, a.Client, s, time.Time{}, "SUCCESSFUL"); len(ended) != 46 {
			t.Errorf("%d successful, want 46", len(ended))
		}
		if failed := briefs(t, a.Client, s, time.Time{}, "STOPPED", "ROLLBACK_FAILED"); len(failed) != 0 {
			t.Errorf("%d failed, want none", len(failed))
		}
		before := a.count("ListServiceDeployments")
		for range a.ServiceDeployments(t.Context(), s, time.Time{}) {
			break
		}
		if n := a.count("ListServiceDeployments") - before; n != 1 {
			t.Errorf("the newest one took %d calls, want 1", n)
		}

		missing := history[0].ARN[:len(history[0].ARN)-1] + "?"
		var wait sync.WaitGroup
		for _, b := range append(history[:24:24], Brief{ARN: missing}) {
			wait.Go(func() {
				d, err := a.ServiceDeployment(t.Context(), b.ARN)
				if b.ARN == missing {
					mentions(t, err, "describe service deployment", "not found")
					if Classify(err) != Gone {
						t.Errorf("missing: %v, class %s", err, Classify(err))
					}
					return
				}
				if err != nil || d.ARN != b.ARN || d.Status != b.Status || d.Target.ARN != b.Target || !d.Final() || d.FinishedAt.Before(d.CreatedAt) {
					t.Errorf("%+v, %v; want that of %+v", d, err, b)
					return
				}
				r, err := a.ServiceRevision(t.Context(), d.Target.ARN)
				if err != nil || r.TaskDefinition != s.TaskDefinition || len(r.Images) != 1 || !strings.HasPrefix(r.Images[0].Digest, "sha256:") {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		wait.Wait()
		if n, m := a.count("DescribeServiceDeployments"), a.count("DescribeServiceRevisions"); n != 2 || m != 2 {
			t.Errorf("%d and %d calls, want 2 and 2", n, m)
		}
		if _, err := a.ServiceRevision(t.Context(), history[3].Target); err != nil || a.count("DescribeServiceRevisions") != 2 {
			t.Errorf("%v, %d calls: a service revision was read again", err, a.count("DescribeServiceRevisions"))
		}
	})
}

// TestRecordsHaveABudget: what a verdict can do without costs seconds at most,
// whatever is wrong with it.
func TestRecordsHaveABudget(t *testing.T) {
	const arn = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/dev/web/x"
	for name, tt := range map[string]struct {
		fault emulator.Fault
		limit time.Duration
		calls int
		class Class
	}{
		"hangs":       {emulator.Fault{Hang: true}, 5*time.Second + window, 1, Broken},
		"broken":      {emulator.Broken(0), time.Second, 2, Broken},
		"throttled":   {emulator.Throttled(0), time.Second, 2, Throttled},
		"reset":       {emulator.Reset(0), time.Second, 2, Broken},
		"denied":      {emulator.Denied(), window, 1, Denied},
		"unsupported": {emulator.Fault{Code: "UnsupportedFeatureException", Message: "no"}, window, 1, Unsupported},
		"gone":        {emulator.Fault{Code: "ServiceNotFoundException", Message: "Service not found."}, window, 1, Gone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				for operation, call := range map[string]func() error{
					"DescribeServiceDeployments": func() error { _, err := a.ServiceDeployment(t.Context(), arn); return err },
					"DescribeServiceRevisions":   func() error { _, err := a.ServiceRevision(t.Context(), arn); return err },
					"ListServiceDeployments": func() error {
						for _, err := range a.ServiceDeployments(t.Context(), Service{Cluster: "dev", Name: "web"}, time.Time{}) {
							return err
						}
						return nil
					},
				} {
					a.Fail("ecs:"+operation, tt.fault)
					begin, before := time.Now(), a.count(operation)
					err := call()
					synctest.Wait() // a call that hangs is counted when it is given up
					if took := time.Since(begin); took > tt.limit {
						t.Errorf("%s took %s, want %s at most", operation, took, tt.limit)
					}
					if n := a.count(operation) - before; n != tt.calls {
						t.Errorf("%s: %d calls, want %d", operation, n, tt.calls)
					}
					if Classify(err) != tt.class {
						t.Errorf("%s: %v: class %s, want %s", operation, err, Classify(err), tt.class)
					}
				}
			})
		})
	}
}

// TestOneRecordOfSeveral: a record whose service is gone, or that the identity
// may not read, does not keep the others from being read.
func TestOneRecordOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		s := a.deploy(t, 2)
		history := briefs(t, a.Client, s, time.Time{})
		way := &trouble{next: a.Transport(), faults: map[string][]fault{"DescribeServiceDeployments": {answers(400, "ServiceNotFoundException", "Service not found.")}}}
		c := a.over(way)
		var wait sync.WaitGroup
		for _, b := range history {
			wait.Go(func() {
				if d, err := c.ServiceDeployment(t.Context(), b.ARN); err != nil || d.ARN != b.ARN {
					t.Errorf("%+v, %v", d, err)
				}
			})
		}
		wait.Wait()
		if n := way.count("DescribeServiceDeployments"); n != 4 {
			t.Errorf("%d calls, want one for all and three for each", n)
		}
	})
}

// TestFiltersAreChecked: a history that ignores what it was asked for yields no
// deployment that is older, or in another status, than the caller asked for.
func TestFiltersAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		brief := func(name, status string, age time.Duration) string {
			return fmt.Sprintf(`{"serviceDeploymentArn": %q, "status": %q, "createdAt": %d}`, name, status, now.Add(-age).Unix())
		}
		c := canned(`{"serviceDeployments": [` + strings.Join([]string{
			brief("old", "SUCCESSFUL", time.Hour), brief("first", "SUCCESSFUL", 0), brief("other", "STOPPED", 0), brief("second", "SUCCESSFUL", -time.Minute),
		}, ",") + `]}`)
		var got []string
		for _, b := range briefs(t, c, Service{Cluster: "dev", Name: "web"}, now, "SUCCESSFUL") {
			got = append(got, b.ARN)
		}
		if !slices.Equal(got, []string{"second", "first"}) {
			t.Errorf("%v, want second, first", got)
		}
	})
}

// TestListsEnd: a list that points back to where it was, or on for ever, is an
// error.
func TestListsEnd(t *testing.T) {
	tests := map[string]func(int) string{
		"the same token": func(int) string { return "again" },
		"a cycle":        func(n int) string { return fmt.Sprint(n % 3) },
		"on for ever":    func(n int) string { return fmt.Sprint(n) },
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := New(configOver(roundTrip(func(*http.Request) (*http.Response, error) {
					calls++
					return answer(200, fmt.Sprintf(`{"serviceDeployments": [], "taskDefinitionArns": [], "taskArns": [], "nextToken": %q}`, token(calls))), nil
				})))
				var err error
				for _, err = range c.ServiceDeployments(t.Context(), Service{Name: "web"}, time.Time{}) {
				}
				mentions(t, err, "list deployments of service web", "does not end")
				for _, err = range c.Revisions(t.Context(), "web", false) {
				}
				mentions(t, err, "list revisions of web", "does not end")
				_, complete, err := c.Tasks(t.Context(), "dev", "ecs-svc/1", "RUNNING", 100)
				mentions(t, err, "list tasks of deployment ecs-svc/1", "does not end")
				if complete || Classify(err) != Broken || calls > 3*(mostPages+1) {
					t.Errorf("complete %t, class %s, %d calls", complete, Classify(err), calls)
				}
			})
		})
	}
}

func TestRecordsAreChecked(t *testing.T) {
	const name = `"serviceDeploymentArn": "x", "serviceRevisionArn": "x"`
	tests := []struct{ body, deployment, revision string }{
		{``, "says nothing of it", "says nothing of it"},
		{`{}`, "says nothing of it", "says nothing of it"},
		{`{"serviceDeployments": [{}], "serviceRevisions": [{}]}`, "says nothing of it", "says nothing of it"},
		{`{"serviceDeployments": [null], "serviceRevisions": [null]}`, "says nothing of it", "says nothing of it"},
		{`{"failures": [{"arn": "x", "reason": "LATER"}]}`, "LATER", "LATER"},
		{`{"failures": [{}]}`, "failure without a reason", "failure without a reason"},
		{`{"serviceDeployments": [{` + name + `}], "serviceRevisions": [{` + name + `}]}`, "no status", "no taskDefinition"},
		{`{"serviceDeployments": [{` + name + `, "status": "PENDING"}]}`, "no createdAt", "says nothing of it"},
		{`{"serviceDeployments": [{` + name + `, "status": "PENDING", "createdAt": 1}]}`, "no targetServiceRevision", "says nothing of it"},
		{`{"serviceDeployments": [{` + name + `, "status": "PENDING", "createdAt": 1, "targetServiceRevision": {"arn": "y"}, "lifecycleHookDetails": [{"targetType": "PAUSE", "status": "AWAITING_ACTION"}]}]}`, "without hookId", "says nothing of it"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			_, err := canned(tt.body).ServiceDeployment(t.Context(), "x")
			mentions(t, err, "describe service deployment x", tt.deployment)
			_, err2 := canned(tt.body).ServiceRevision(t.Context(), "x")
			mentions(t, err2, "describe service revision x", tt.revision)
			if Classify(err) != Broken || Classify(err2) != Broken {
				t.Errorf("%s: %s, %s", tt.body, Classify(err), Classify(err2))
			}
		})
	}
	for _, body := range []string{`{"serviceDeployments": [{}]}`, `{"serviceDeployments": [{"serviceDeploymentArn": "x"}]}`, `{"serviceDeployments": [{"serviceDeploymentArn": "x", "status": "PENDING"}]}`} {
		synctest.Test(t, func(t *testing.T) {
			for b, err := range canned(body).ServiceDeployments(t.Context(), Service{Name: "web"}, time.Time{}) {
				mentions(t, err, "list deployments of service web", "ListServiceDeployments")
				if b != (Brief{}) || Classify(err) != Broken {
					t.Errorf("%s: %+v", body, b)
				}
			}
		})
	}
}

func TestRecordAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := canned(`{"serviceDeployments": [{"serviceDeploymentArn": "x", "status": "ROLLBACK_IN_PROGRESS", "statusReason": "why", "createdAt": 1, "stoppedAt": 9,
			"targetServiceRevision": {"arn": "t", "requestedTaskCount": 3, "runningTaskCount": 2, "pendingTaskCount": 1, "requestedProductionTrafficWeight": 10, "requestedTestTrafficWeight": 100},
			"sourceServiceRevisions": [{"arn": "s"}, {}], "rollback": {"reason": "because", "serviceRevisionArn": "s"}, "lifecycleStage": "BAKE_TIME",
			"alarms": {"triggeredAlarmNames": ["high"]}, "deploymentCircuitBreaker": {"failureCount": 2, "threshold": 3, "status": "MONITORING"},
			"deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 7},
			"lifecycleHookDetails": [{"hookId": "l", "targetType": "AWS_LAMBDA", "status": "IN_PROGRESS"}, {"hookId": "h", "targetType": "PAUSE", "status": "AWAITING_ACTION", "expiresAt": 99, "timeoutAction": "ROLLBACK"}]}]}`).
			ServiceDeployment(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		traffic, test := *d.Target.Traffic, *d.Target.TestTraffic
		d.Target.Traffic, d.Target.TestTraffic = nil, nil
		got := fmt.Sprintf("%+v %g %g", d, traffic, test)
		want := fmt.Sprintf("%+v 10 100", ServiceDeployment{
			ARN: "x", Status: "ROLLBACK_IN_PROGRESS", StatusReason: "why", RollbackReason: "because", RollbackTo: "s",
			CreatedAt: time.Unix(1, 0).UTC(), FinishedAt: time.Unix(9, 0).UTC(),
			Target: TargetRevision{ARN: "t", Requested: 3, Running: 2, Pending: 1}, Sources: []string{"s"}, Stage: "BAKE_TIME",
			Strategy: Strategy{Name: "BLUE_GREEN", Bake: 7 * time.Minute, Steps: 1}, Alarms: []string{"high"}, Breaker: Breaker{2, 3, "MONITORING"},
			Hooks: []Hook{{ID: "l", Status: "IN_PROGRESS"}, {ID: "h", Pause: true, Waiting: true, Status: "AWAITING_ACTION", Expires: time.Unix(99, 0).UTC(), Timeout: "ROLLBACK"}},
		})
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if h := d.Waiting(); h.ID != "h" {
			t.Errorf("waits at %+v, want hook h", h)
		}
		r, err := canned(`{"serviceRevisions": [{"serviceRevisionArn": "r", "taskDefinition": "web:3", "containerImages": [{"containerName": "app", "image": "i", "imageDigest": "d"}],
			"ecsManagedResources": {"ingressPaths": [{"accessType": "PUBLIC", "endpoint": "a.example"}, {"accessType": "PRIVATE", "endpoint": "b.example"}, {}]},
			"overrides": {"runtimePlatform": {"cpuArchitecture": "ARM64"}}}]}`).ServiceRevision(t.Context(), "r")
		if err != nil || fmt.Sprintf("%+v", r) != "{ARN:r TaskDefinition:web:3 Images:[{Container:app Image:i Digest:d}] Express:true Endpoints:[a.example] Architecture:ARM64}" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestStopAndAnswer: stopping may be asked for twice, an answer to a hook not.
func TestStopAndAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		s := a.deploy(t, 0)
		if _, err := a.Update(t.Context(), s, Update{TaskDefinition: a.register(t, "1.28")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		arn := briefs(t, a.Client, s, time.Time{})[0].ARN
		way := &trouble{next: a.Transport(), faults: map[string][]fault{
			"StopServiceDeployment":     {{acted: true, err: errReset}, answers(400, "ThrottlingException", "Rate exceeded")},
			"ContinueServiceDeployment": {answers(400, "ThrottlingException", "Rate exceeded"), {err: errReset}},
		}}
		c := a.over(way)
		// By the time of the third attempt the first one has ended the deployment.
		err := c.Stop(t.Context(), arn)
		if way.count("StopServiceDeployment") != 3 || err != nil && !Ambiguous(err) {
			t.Errorf("stop: %v, ambiguous %t, %d calls", err, Ambiguous(err), way.count("StopServiceDeployment"))
		}
		if d, err := c.ServiceDeployment(t.Context(), arn); err != nil || !d.RollingBack() && !d.Final() {
			t.Errorf("after stop: %+v, %v", d, err)
		}
		if err := a.Stop(t.Context(), arn); err != nil && Ambiguous(err) {
			t.Errorf("a deployment that has ended: %v, ambiguous %t", err, Ambiguous(err))
		}
		err = c.Answer(t.Context(), arn, "hook", false)
		mentions(t, err, "continue service deployment")
		if !Ambiguous(err) || way.count("ContinueServiceDeployment") != 2 {
			t.Errorf("answer: %v, ambiguous %t, %d calls", err, Ambiguous(err), way.count("ContinueServiceDeployment"))
		}
		for rollback, want := range map[bool]string{false: `"action":"CONTINUE"`, true: `"action":"ROLLBACK"`} {
			if err := a.Answer(t.Context(), arn, "hook", rollback); err == nil {
				t.Error("a hook that nobody waits at was answered")
			}
			sent := a.Requests()[len(a.Requests())-1]
			if !strings.Contains(string(sent.Body), want) || !strings.Contains(string(sent.Body), `"hookId":"hook"`) {
				t.Errorf("sent %s, want %s", sent.Body, want)
			}
		}
	})
}

func TestTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web", "api")
		s := a.deploy(t, 0)
		many := 150
		if _, err := a.Update(t.Context(), s, Update{DesiredCount: &many}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		own := s.Primary().ID
		before := a.count("DescribeTasks")
		tasks, complete, err := a.Tasks(t.Context(), "dev", own, "RUNNING", 1000)
		if err != nil || !complete || len(tasks) != 150 || a.count("DescribeTasks")-before != 2 {
			t.Errorf("%d tasks in %d calls, complete %t, %v; want 150 in 2", len(tasks), a.count("DescribeTasks")-before, complete, err)
		}
		for _, task := range tasks {
			if aws.ToString(task.StartedBy) != own {
				t.Errorf("a task of %s", aws.ToString(task.StartedBy))
			}
		}
		for limit, want := range map[int]bool{100: false, 149: false, 150: true} {
			tasks, complete, err = a.Tasks(t.Context(), "dev", own, "RUNNING", limit)
			if err != nil || complete != want || len(tasks) != limit {
				t.Errorf("limit %d: %d tasks, complete %t, %v", limit, len(tasks), complete, err)
			}
		}
		tasks, complete, err = a.Tasks(t.Context(), "dev", own, "STOPPED", 10)
		if err != nil || !complete || len(tasks) != 0 {
			t.Errorf("stopped: %d tasks, complete %t, %v", len(tasks), complete, err)
		}
		a.Fail("ecs:DescribeTasks", emulator.Fault{Code: "AccessDeniedException", Skip: 1})
		tasks, complete, err = a.Tasks(t.Context(), "dev", own, "RUNNING", 1000)
		if Classify(err) != Denied || complete || len(tasks) != 100 {
			t.Errorf("denied half-way: %d tasks, complete %t, %v", len(tasks), complete, err)
		}
		mentions(t, err, "describe 50 tasks")
	})
}

func TestTasksAreChecked(t *testing.T) {
	for body, lacks := range map[string]string{
		`{"taskArns": ["a"]}`:                                               "0 of 1 tasks",
		`{"taskArns": ["a"], "tasks": [{}]}`:                                "a task without taskArn",
		`{"taskArns": ["a"], "tasks": [null]}`:                              "a task without taskArn",
		`{"taskArns": ["a"], "tasks": [{"taskArn": "a"}]}`:                  "no lastStatus",
		`{"taskArns": ["a", "b"], "failures": [{"reason": "MISSING"}]}`:     "1 of 2 tasks",
		`{"taskArns": ["a"], "tasks": [{"taskArn": "a", "lastStatus":""}]}`: "no lastStatus",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, complete, err := canned(body).Tasks(t.Context(), "dev", "ecs-svc/1", "RUNNING", 100)
			mentions(t, err, "DescribeTasks", lacks)
			if complete || Classify(err) != Broken {
				t.Errorf("%s: complete %t, %v", body, complete, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		tasks, complete, err := canned(`{"taskArns": ["a", "b"], "tasks": [{"taskArn": "a", "lastStatus": "RUNNING", "startedBy": "somebody else"}], "failures": [{"arn": "b", "reason": "MISSING"}]}`).
			Tasks(t.Context(), "dev", "ecs-svc/1", "", 100)
		if err != nil || complete || len(tasks) != 0 {
			t.Errorf("%d tasks, complete %t, %v; want none of ours, and not all", len(tasks), complete, err)
		}
	})
}

// TestRunTask: with a token a lost answer is asked for again, without one not.
func TestRunTask(t *testing.T) {
	for _, token := range []string{"", "build-7"} {
		t.Run(token, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				a.register(t, "1.27")
				way := &trouble{next: a.Transport(), faults: map[string][]fault{"RunTask": {answers(400, "ThrottlingException", "Rate exceeded"), {err: errReset}}}}
				in := &ecs.RunTaskInput{
					Cluster: aws.String("dev"), TaskDefinition: aws.String("web"), LaunchType: types.LaunchTypeFargate,
					NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
				}
				if token != "" {
					in.ClientToken = aws.String(token)
				}
				tasks, failures, err := a.over(way).RunTask(t.Context(), in)
				if token == "" {
					mentions(t, err, "run task web")
					if !Ambiguous(err) || way.count("RunTask") != 2 || in.ClientToken != nil {
						t.Errorf("%v, ambiguous %t, %d calls", err, Ambiguous(err), way.count("RunTask"))
					}
					return
				}
				if err != nil || len(tasks) != 1 || len(failures) != 0 || way.count("RunTask") != 3 {
					t.Fatalf("%d tasks, %d failures, %v, %d calls", len(tasks), len(failures), err, way.count("RunTask"))
				}
				if err := a.StopTask(t.Context(), "dev", aws.ToString(tasks[0].TaskArn), "cancelled"); err != nil {
					t.Error(err)
				}
				stopped, missing, err := a.DescribeTasks(t.Context(), "dev", []string{aws.ToString(tasks[0].TaskArn), "00000000000000000000000000000000"})
				if err != nil || len(stopped) != 1 || len(missing) != 1 || aws.ToString(stopped[0].StoppedReason) != "cancelled" {
					t.Errorf("%+v, %+v, %v", stopped, missing, err)
				}
			})
		})
	}
	for body, lacks := range map[string]string{``: "neither a task nor a failure", `{}`: "neither a task nor a failure", `{"tasks": [{}]}`: "a task without taskArn"} {
		synctest.Test(t, func(t *testing.T) {
			_, _, err := canned(body).RunTask(t.Context(), &ecs.RunTaskInput{TaskDefinition: aws.String("web")})
			mentions(t, err, "run task web", "RunTask", lacks)
			if !Ambiguous(err) {
				t.Errorf("%s: %v is not ambiguous", body, err)
			}
		})
	}
}

// TestRevisionIsCompletedLater: ECS notes the digests of a service revision's images when
// its tasks start. One that was read before is read again.
func TestRevisionIsCompletedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		s, err := a.Service(t.Context(), "dev", "web")
		if err == nil {
			_, err = a.Update(t.Context(), s, Update{Force: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		target := briefs(t, a.Client, s, time.Time{})[0].Target
		early, err := a.ServiceRevision(t.Context(), target)
		if err != nil || len(early.Images) != 1 || early.Images[0].Digest != "" {
			t.Fatalf("%+v, %v; want no digest yet", early, err)
		}
		time.Sleep(15 * time.Minute)
		late, err := a.ServiceRevision(t.Context(), target)
		if err != nil || len(late.Images) != 1 || late.Images[0].Digest == "" {
			t.Errorf("%+v, %v; want the digest", late, err)
		}
	})
}
