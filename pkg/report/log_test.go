package report

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// paper is the console and the log of a test.
type paper struct {
	lines    *[]string
	progress *[]string
	service  string
}

func newPaper() paper { return paper{lines: new([]string), progress: new([]string)} }

func (p paper) Group(title string) func() {
	*p.lines = append(*p.lines, "> "+title)
	return func() { *p.lines = append(*p.lines, "<") }
}

func (p paper) Progress(percent int, operation string) {
	*p.progress = append(*p.progress, fmt.Sprint(percent, operation))
}

func (p paper) Enabled(context.Context, slog.Level) bool { return true }
func (p paper) WithGroup(string) slog.Handler            { return p }

func (p paper) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		p.service = a.Value.String()
	}
	return p
}

func (p paper) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	if r.Level != slog.LevelInfo {
		line = r.Level.String() + " " + line
	}
	if p.service != "" {
		line = p.service + ": " + line
	}
	*p.lines = append(*p.lines, line)
	return nil
}

// lines are what the events become.
func lines(events ...any) string {
	p := newPaper()
	l := NewLog(p, slog.New(p))
	for _, e := range events {
		l.Show(e)
	}
	return strings.Join(*p.lines, "\n")
}

const definitions = "arn:aws:ecs:eu-west-1:123456789012:task-definition/"

var (
	web       = deploy.Service{Cluster: "main", Name: "web"}
	errDenied = errors.New("access denied (requires ecs:Something)")
	digest    = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	other     = "sha256:aaaac44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	short     = "sha256:e3b0c44298fc"
)

func definition(t *testing.T, name, image string) taskdef.Definition {
	t.Helper()
	family, revision, _ := strings.Cut(name, ":")
	d, err := taskdef.Parse(fmt.Appendf(nil, `{"taskDefinitionArn":%q,"family":%q,"revision":%s,"status":"ACTIVE","containerDefinitions":[{"name":"app","image":%q,"essential":true}]}`,
		definitions+name, family, revision, image))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told are the events of package deploy, and the lines that they become.
func told(t *testing.T) []struct {
	event any
	want  string
} {
	now := rollout.Snapshot{ID: "ecs-svc/2", Revision: definitions + "web:2", Previous: definitions + "web:1", New: true}
	back := now
	back.New, back.Record = false, &ecs.ServiceDeployment{Status: "ROLLBACK_IN_PROGRESS"}
	reached := rollout.Snapshot{ID: "ecs-svc/1", Revision: definitions + "web:1", Reached: true}
	scaling := rollout.Snapshot{ID: "ecs-svc/1", Revision: definitions + "web:1", Scaling: true, Service: ecs.Service{Desired: 1}}
	joined := now
	joined.New = false
	settled := ecs.Service{TaskDefinition: definitions + "web:2", Desired: 2, Running: 1, Pending: 1, Deployments: []ecs.Deployment{{ID: "ecs-svc/2", Status: "PRIMARY", RolloutState: "IN_PROGRESS"}}}
	one := map[string][]string{"app": {digest}}
	two := map[string][]string{"proxy": {other}, "app": {digest}}
	d1, d2 := definition(t, "web:1", "host/web:1"), definition(t, "web:1", "host/web:2")
	plan := &deploy.Plan{Image: deploy.Candidate{URI: "host/web:2", Digests: []string{digest}, Platforms: []deploy.Platform{{OS: "linux", Architecture: "amd64"}}},
		Services: []deploy.ServicePlan{{
			Name: web, Service: ecs.Service{TaskDefinition: definitions + "web:1"}, Running: d1, Target: d2, Container: "app",
			Known: []taskdef.Definition{d1}, Lineage: deploy.Lineage{Base: d1, Infrastructure: "web:1", PassedOver: []taskdef.Skipped{{Definition: definition(t, "web:9", "host/web:9"), Reason: "its deployment failed"}}},
		}}}
	baking := *plan
	baking.Services = []deploy.ServicePlan{plan.Services[0]}
	baking.Services[0].Service.Strategy.Bake = time.Hour
	baking.Services[0].Target = d1
	baking.Services[0].Lineage.PassedOver = nil
	baking.Request.Wait = true
	return []struct {
		event any
		want  string
	}{
		{deploy.PlanMade{Plan: plan}, "image  host/web:2  (linux/amd64)  " + short + "\n" +
			"web: not based on web:9: its deployment failed\n" +
			"web: web:1 → a new revision based on web:1\n" +
			"web:   app.image host/web:1 → host/web:2"},
		{deploy.PlanMade{Plan: &baking, Limit: 30 * time.Minute}, "image  host/web:2  (linux/amd64)  " + short + "\n" +
			"web: already runs web:1\n" +
			"web: the deployment takes at least 1h: bake time and traffic steps of the service's configuration\n" +
			"web: WARN timeoutMinutes leaves 30 minutes for the deployment, which takes at least 1h: raise it, or set waitUntil: traffic"},
		{deploy.ImageUnchecked{Image: "host/web:2", Err: errDenied}, "WARN could not check that host/web:2 exists and matches the platform: " + errDenied.Error()},
		{deploy.HistoryUnread{Service: web, Err: errDenied}, "web: WARN could not read which of the service's deployments succeeded (" + errDenied.Error() + "); building on the pipeline's newest revision"},
		{deploy.HistoryUnread{Service: web, Err: errDenied, Build: "11"}, "web: WARN could not read which of the service's deployments succeeded (" + errDenied.Error() + "); going back to the newest revision of build 11"},
		{deploy.TaskTagsChanged{Service: web, To: ecs.TaskTags{Propagate: "SERVICE", Managed: true}}, "web: tasks that start from now on get other tags: propagateTags SERVICE, enableECSManagedTags true"},
		{deploy.TaskTagsChanged{Service: web, To: ecs.TaskTags{Propagate: "NONE"}, Back: true}, "web: the service has its own setting of task tags again: propagateTags NONE, enableECSManagedTags false"},
		{deploy.TaskTagsChanged{Service: web, To: ecs.TaskTags{Propagate: "NONE"}, Back: true, Err: errDenied}, "web: WARN could not give the service its own setting of task tags back (propagateTags NONE, enableECSManagedTags false): " + errDenied.Error()},
		{deploy.SigningUnread{URI: "host/web:2", Err: errDenied}, "WARN could not read whether ECR has signed host/web:2, so that it is not waited for: " + errDenied.Error()},
		{deploy.SigningWaits{URI: "host/web:2", Pending: []ecr.Signature{{Profile: "x/one", Status: "IN_PROGRESS"}, {Profile: "x/two"}}, Elapsed: time.Minute, Left: 4 * time.Minute}, "waiting for the signature of host/web:2: one IN_PROGRESS, two no status yet; 1m elapsed; 4m left"},
		{deploy.Signed{URI: "host/web:2", Profiles: []string{"x/one", "x/two"}}, "ECR has signed host/web:2 with the signing profiles one, two"},
		{deploy.Unsigned{URI: "host/web:2", Profiles: []string{"x/one"}}, "host/web:2 was in ECR already and has no signature: ECR signs an image when it is pushed, and the signing rule for the signing profile one came later"},
		{deploy.RepositoryCreated{URI: "host/web"}, "created repository host/web: immutable tags, scan on push"},
		{deploy.RepositoryCreated{URI: "host/web", Template: "ROOT"}, "repository host/web does not exist: ECR creates it at this push, by the creation template ROOT"},
		{deploy.RepositoryAppeared{URI: "host/web"}, "repository host/web was created by someone else since the plan was made"},
		{deploy.RepositoryAppeared{URI: "host/web", Differences: []string{"it is encrypted with AES256 instead of the KMS key k"}, LifecyclePolicy: true}, "WARN repository host/web was created by someone else since the plan was made, and is left as it is: it is encrypted with AES256 instead of the KMS key k; its lifecycle policy was not set by this run"},
		{deploy.PushProgress{Now: image.Progress{Stage: image.StageUpload, Total: 100, Done: 50, Elapsed: 10 * time.Second, Layers: 2, LayersDone: 1}}, "pushing: 50 %, 50 B of 100 B, 1 of 2 blobs, 0 B/s sent, about 10s left"},
		{deploy.Pushed{Result: push.Result{Digest: digest, AlreadyThere: true}, Tags: []string{"2"}}, "already in ECR as 2, nothing to push: " + digest},
		{deploy.Moved{Service: web, From: definitions + "web:1", To: definitions + "web:3"}, "web: WARN someone else moved the service from web:1 to web:3 since the plan was made"},
		{deploy.BusyWith{Service: web, Other: now, Do: deploy.Wait}, "web: deployment ecs-svc/2, revision web:2 is in progress: waiting for it to end (whenBusy: wait)"},
		{deploy.BusyWith{Service: web, Other: back, Do: deploy.Wait}, "web: deployment ecs-svc/2, revision web:2 is being rolled back: waiting for it to end (whenBusy: wait)"},
		{deploy.BusyWith{Service: web, Other: now, Do: deploy.Supersede}, "web: WARN deployment ecs-svc/2, revision web:2 is in progress: this one replaces it (whenBusy: supersede)"},
		{deploy.BusyWith{Service: web, Other: now, Do: deploy.Supersede, Stop: true}, "web: WARN deployment ecs-svc/2, revision web:2 is in progress: stopping it, so that this one can start (whenBusy: supersede)"},
		{deploy.SecretsUnread{Service: web, Err: errDenied}, "web: could not read the versions of the service's secrets, so that one that has changed is not noticed: " + errDenied.Error()},
		{deploy.RevisionKept{Service: web, Revision: definitions + "web:2"}, "web: web:2 is already up to date; no new revision registered"},
		{deploy.Registered{Service: web, Revision: definitions + "web:2"}, "web: registered revision web:2"},
		{deploy.Copied{Service: web, From: definitions + "web:1", To: definitions + "web:3"}, "web: web:1 was deregistered, so that no deployment of it can be started: web:3, which is equal, stands for it"},
		{deploy.NotStored{Service: web, Revision: definitions + "web:2", Members: []string{"a", "b"}}, "web: WARN web:2 lacks members that were sent, since ECS does not know them: a, b"},
		{deploy.Marked{Service: web, Revision: definitions + "web:2", Unproven: true}, "web: no task of web:2 has run: tagged it ecs-deploy:unproven, so that a rollback passes it over"},
		{deploy.Marked{Service: web, Revision: definitions + "web:2"}, "web: tasks of web:2 run: removed its tag ecs-deploy:unproven"},
		{deploy.Marked{Service: web, Revision: definitions + "web:2", Err: errDenied}, "web: could not change the tag ecs-deploy:unproven of web:2, by which a rollback knows whether tasks of it have run: " + errDenied.Error()},
		{deploy.Untagged{Service: web, Err: errDenied}, "web: WARN registered without provenance tags, so that its build cannot be told from the revision: " + errDenied.Error()},
		{deploy.Started{Service: web, Now: now}, "web: moving from web:1 to web:2, deployment ecs-svc/2"},
		{deploy.Started{Service: web, Now: now, Digest: true}, "web: the tag of the image was pushed again: starting a new deployment of web:2 (ecs-svc/2), since its tasks run another digest"},
		{deploy.Started{Service: web, Now: reached}, "web: already runs web:1"},
		{deploy.Started{Service: web, Now: scaling}, "web: already set to web:1: waiting until 1 task is running"},
		{deploy.Started{Service: web, Now: joined}, "web: deployment ecs-svc/2 of web:2 is in progress already: following it"},
		{deploy.NotStarted{Service: web, Err: errDenied}, "web: the deployment could not be started: " + errDenied.Error()},
		{deploy.NotWaiting{Service: web}, "web: not waiting for the deployment (wait: false); its outcome is not tracked"},
		{deploy.Happened{Service: web, Event: rollout.Event{What: rollout.Counts{Running: 1, Desired: 2}}}, "web: 1 of 2 running"},
		{deploy.Diagnosed{Service: web, Diagnosis: diagnosis.Diagnosis{Causes: []diagnosis.Cause{{Count: 3, StopCode: "TaskFailedToStart", Reason: "CannotPullContainerError", Hint: "check the tag"}}}},
			"web: 3 tasks stopped: CannotPullContainerError (TaskFailedToStart)\nweb:   hint: check the tag"},
		{deploy.Failing{Service: web, Verdict: rollout.Verdict{Reason: rollout.Reason{Code: rollout.TasksFail, Count: 3, Limit: 3, Cause: &diagnosis.Cause{Event: true, Reason: "no role."}}}},
			"web: WARN stopping the deployment: 3 tasks failed for the same reason (maxFailedTasks: 3): no role"},
		{deploy.Failing{Service: web, Verdict: rollout.Verdict{Reason: rollout.Reason{Code: rollout.NotInTime, After: 25 * time.Minute, Kept: 5 * time.Minute, Running: 1, Desired: 1}}},
			"web: WARN stopping the deployment: the deployment did not complete within 25 minutes (timeoutMinutes: 30, including 5 minutes kept for a rollback); 1 of 1 task running"},
		{deploy.Failing{Service: web, Verdict: rollout.Verdict{Reason: rollout.Reason{Code: rollout.DeploymentFailed, Detail: "tasks failed to start."}}}, "web: WARN the deployment failed: tasks failed to start"},
		{deploy.RollingBack{Service: web, To: definitions + "web:1"}, "web: rolling back to web:1"},
		{deploy.RollingBack{Service: web, To: definitions + "web:1", Other: "api", Refused: errDenied}, "web: the deployment could not be stopped (" + errDenied.Error() + "): moving the service back instead\nweb: rolling back to web:1, because the rollout to api failed"},
		{deploy.RollbackEnded{Service: web, Rollback: deploy.Rollback{Wanted: true, To: definitions + "web:1", Done: true}}, "web: rolled back to web:1"},
		{deploy.RollbackEnded{Service: web, Rollback: deploy.Rollback{Wanted: true, To: definitions + "web:1", Code: deploy.StillInProgress}}, "web: WARN the rollback to web:1 is still in progress in ECS; its result is unknown"},
		{deploy.Verified{Service: web, Proof: rollout.Proof{Wanted: one, Resolved: rollout.Witness{Known: true}, Tasks: 2, Verified: 2, Running: rollout.Witness{Known: true}}},
			"web: verified: ECS resolved the image to " + short + "\nweb: verified: 2 of 2 running tasks run " + short},
		{deploy.Verified{Service: web, Proof: rollout.Proof{Wanted: two, Resolved: rollout.Witness{Known: true}, Tasks: 1, Verified: 1}},
			"web: verified: ECS resolved the image to " + short + " in app, sha256:aaaac44298fc in proxy\nweb: verified: 1 of 1 running task run " + short + " in app, sha256:aaaac44298fc in proxy"},
		{deploy.Verified{Service: web, Proof: rollout.Proof{Wanted: one, ResolvedErr: errDenied, TasksErr: errDenied}},
			"web: could not read which digest ECS resolved the image to: " + errDenied.Error() + "\nweb: WARN could not verify the digests of the running tasks: " + errDenied.Error()},
		{deploy.Verified{Service: web, Proof: rollout.Proof{Wanted: one, Tasks: 2, Unknown: 1, Verified: 1}}, "web: WARN image digest not reported by ECS for 1 of 2 running tasks: not verified"},
		{deploy.Verified{Service: web, Proof: rollout.Proof{Wanted: one}}, "web: WARN ECS lists no running task of the deployment: digests not verified"},
		{deploy.Verified{Service: web, Proof: rollout.Proof{Wanted: one, Resolved: rollout.Witness{Known: true, Wrong: []rollout.Wrong{{Container: "app", Digest: other}}}, Tasks: 1, Running: rollout.Witness{Known: true, Wrong: []rollout.Wrong{{Task: "t1", Container: "app", Digest: other}}}}},
			"web: WARN digest mismatch: the service revision, container app: expected " + digest + ", got " + other + "\nweb: WARN digest mismatch: task t1, container app: expected " + digest + ", got " + other},
		{deploy.StillBlocks{Service: web, Now: rollout.Snapshot{ID: "d-1"}}, "web: WARN deployment d-1 is still in progress in CodeDeploy and blocks new deployments: stop it there, or choose whenBusy: supersede next time"},
		{deploy.Interrupted{Service: web, Rollback: deploy.Rollback{Wanted: true, Done: true, To: definitions + "web:1"}}, "web: WARN the run was cancelled: requested the rollback to web:1, which continues without this step"},
		{deploy.Interrupted{Service: web, Now: settled}, "web: WARN the run was cancelled: the deployment is still in progress and its result is unknown; the service is set to web:2, 1 of 2 tasks running, 1 pending; its deployment ecs-svc/2 is IN_PROGRESS"},
		{deploy.Interrupted{Service: web, Err: errDenied}, "web: WARN the run was cancelled: the deployment is still in progress and its result is unknown (could not read the service: " + errDenied.Error() + ")"},
		{deploy.Interrupted{Service: web, Verdict: rollout.Verdict{Outcome: rollout.Succeeded}, Now: ecs.Service{TaskDefinition: definitions + "web:2", Desired: 1, Running: 1}}, "web: WARN the run was cancelled: the deployment had completed before; the service is set to web:2, 1 of 1 task running"},
		{deploy.Interrupted{Service: web, Verdict: rollout.Verdict{Outcome: rollout.Failed, Reason: rollout.Reason{Code: rollout.DeploymentFailed}}, Rollback: deploy.Rollback{Wanted: true, Code: deploy.NoEarlierRevision}, Now: ecs.Service{TaskDefinition: definitions + "web:2", Desired: 1}},
			"web: WARN not rolled back: no other revision of the service has had a successful deployment\nweb: WARN the run was cancelled: the deployment failed; the service is set to web:2, 0 of 1 task running"},
		{deploy.Fault{Err: &guard.Panic{Value: "index out of range", Stack: []byte("goroutine 7")}}, "WARN internal error: index out of range; the run continues without what was being read\nDEBUG goroutine 7"},
		{deploy.Interrupted{Service: web, Fault: true, Now: ecs.Service{TaskDefinition: definitions + "web:2", Desired: 1}},
			"web: WARN the step ended with an error: the deployment is still in progress and its result is unknown; the service is set to web:2, 0 of 1 task running"},
		{deploy.Answered{Service: web, Action: rollout.Continue}, "web: told the paused deployment to continue"},
		{deploy.Answered{Service: web, Action: rollout.RollBack, To: definitions + "web:1"}, "web: told the paused deployment to roll back to web:1"},
		{deploy.CurrentImages{Images: []deploy.CurrentImage{{Service: web, URI: "host/web:1"}}}, "web: host/web:1  (the default: the service does not exist yet)"},
	}
}

// happenings are the events of package rollout, and the lines that they become.
func happenings() []struct {
	what any
	want string
} {
	half := 50.0
	return []struct {
		what any
		want string
	}{
		{rollout.Said{Text: "has reached a steady state.", Times: 1}, "has reached a steady state."},
		{rollout.Said{Text: "has started 1 tasks.", Times: 3}, "has started 1 tasks. (3 times)"},
		{rollout.Said{Text: "was unable to place a task.", Trouble: true, Hint: "add instances", Times: 1}, "WARN was unable to place a task.\nweb: hint: add instances"},
		{rollout.Counts{Running: 1, Desired: 3, Pending: 1, Failed: 2, Others: 4}, "1 of 3 running, 1 pending, 2 failed; 4 of the previous deployment"},
		{rollout.Stage{Name: "BAKE_TIME", Traffic: &half, Left: 3 * time.Minute}, "bake time, 50 % of production traffic on the new revision, 3m left"},
		{rollout.Stage{Name: "TRAFFIC", Traffic: &half, Left: time.Hour}, "50 % of production traffic on the new revision; CodeDeploy stops the previous tasks after 1h"},
		{rollout.Doomed{Status: "ROLLBACK_REQUESTED", Asked: true}, "ECS rolls back, as this task requested"},
		{rollout.Doomed{Status: "ROLLBACK_IN_PROGRESS", Detail: "circuit breaker."}, "WARN ECS is rolling back: circuit breaker"},
		{rollout.Doomed{Status: "ROLLBACK_IN_PROGRESS", Alarms: []string{"5xx", "slow"}}, "WARN ECS is rolling back: alarms 5xx, slow"},
		{rollout.Doomed{Status: "STOP_REQUESTED"}, "WARN the deployment is being stopped"},
		{rollout.Doomed{Status: "FAILED", Detail: "tasks failed to start."}, "WARN the deployment failed: tasks failed to start"},
		{rollout.Unreadable{Err: errDenied}, "WARN could not read the deployment's own record; its result is judged by the service's list of deployments (" + errDenied.Error() + ")"},
		{rollout.Silence{Err: errDenied}, "WARN cannot reach AWS; retrying: " + errDenied.Error()},
		{rollout.Silence{}, "AWS answers again"},
		{rollout.Step{Name: "AllowTraffic", Status: "InProgress"}, "AllowTraffic in progress"},
		{rollout.Step{Name: "AllowTraffic", Status: "Failed", Detail: "no such function."}, "WARN AllowTraffic failed: no such function"},
		{rollout.Status{ID: "d-1", Status: "Created"}, "deployment d-1 has not begun yet"},
		{rollout.Status{ID: "d-1", Status: "Failed", Detail: "hook"}, "WARN deployment d-1 has failed: hook"},
		{rollout.Status{ID: "d-2", Status: "InProgress", Rollback: true}, "WARN CodeDeploy rolls back with deployment d-2, which is in progress"},
		{rollout.Status{ID: "d-2", Status: "Succeeded", Rollback: true}, "CodeDeploy rolls back with deployment d-2, which has succeeded"},
		{rollout.Waits{Cause: diagnosis.Cause{Fault: diagnosis.Capacity}}, "waiting for capacity: the deployment is not given up for this"},
		{rollout.Waits{}, "waiting for the cluster or its infrastructure to recover: the deployment is not given up for this"},
		{rollout.Heartbeat{Counts: rollout.Counts{Running: 1, Desired: 2, Others: 2}, Healthy: 1, Stage: "SCALE_UP", Elapsed: 2 * time.Minute, Left: 28 * time.Minute, Said: ecs.Message{Time: time.Now().Add(-time.Minute), Text: "(service web) has started 1 tasks."}},
			"1 of 2 running, 1 healthy; 2 of the previous deployment; scale up; 2m elapsed, 28m left; last event, 1m ago: has started 1 tasks."},
		{rollout.Heartbeat{Counts: rollout.Counts{Running: 1, Desired: 2}, Healthy: -1, Elapsed: 2 * time.Minute, Left: 28 * time.Minute}, "1 of 2 running; 2m elapsed, 28m left"},
	}
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range told(t) {
			if got := lines(tt.event); got != tt.want {
				t.Errorf("%T:\n%s\nwant:\n%s", tt.event, got, tt.want)
			}
		}
		for _, tt := range happenings() {
			if got := lines(deploy.Happened{Service: web, Event: rollout.Event{Time: time.Now(), What: tt.what}}); got != "web: "+tt.want {
				t.Errorf("%T:\n%s\nwant:\nweb: %s", tt.what, got, tt.want)
			}
		}
	})
}

// TestEveryEventHasWords: an event type that nobody words would be silent.
func TestEveryEventHasWords(t *testing.T) {
	have := map[string]bool{}
	for _, tt := range told(t) {
		have["deploy."+reflect.TypeOf(tt.event).Name()] = true
	}
	for _, tt := range append(append(smokeEvents(), scheduleEvents()...), gateEvents()...) {
		have["deploy."+reflect.TypeOf(tt.event).Name()] = true
	}
	for _, tt := range taskEvents(t) {
		have["deploy."+reflect.TypeOf(tt.event).Name()] = true
		if e, is := tt.event.(deploy.TaskHappened); is {
			have["runtask."+reflect.TypeOf(e.Event).Name()] = true
		}
	}
	for _, tt := range happenings() {
		have["rollout."+reflect.TypeOf(tt.what).Name()] = true
	}
	for _, source := range []struct {
		file, name string
		except     []string
	}{
		{"../deploy/events.go", "deploy", []string{"View", "Phase", "Section", "SectionKind"}},
		{"../rollout/event.go", "rollout", []string{"Event"}},
		{"../runtask/event.go", "runtask", nil},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), source.file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, is := n.(*ast.TypeSpec); is {
				name := source.name + "." + spec.Name.Name
				if !have[name] && !strings.Contains(" "+strings.Join(source.except, " ")+" ", " "+spec.Name.Name+" ") {
					t.Errorf("%s has no line in the tables of this file", name)
				}
			}
			return true
		})
	}
}

func TestSections(t *testing.T) {
	for _, tt := range []struct {
		section deploy.Section
		want    string
	}{
		{deploy.Section{Kind: deploy.PlanSection}, "Plan"},
		{deploy.Section{Kind: deploy.PlanSection, DryRun: true}, "Plan (dry run: nothing is changed)"},
		{deploy.Section{Kind: deploy.PushSection, Name: "web:2"}, "Push web:2"},
		{deploy.Section{Kind: deploy.RevisionSection}, "Task definition"},
		{deploy.Section{Kind: deploy.RolloutSection, Name: "main/web", Services: 1}, "Rollout of main/web"},
		{deploy.Section{Kind: deploy.RolloutSection, Services: 3}, "Rollout of 3 services"},
		{deploy.Section{Kind: deploy.ResumeSection}, "Resume"},
		{deploy.Section{Kind: deploy.CurrentSection}, "Current images"},
		{deploy.Section{Kind: deploy.DriftSection}, "Drift"},
		{deploy.Section{Kind: deploy.TaskSection, Name: "main/web"}, "Task in the network of main/web"},
		{deploy.Section{Kind: deploy.TaskSection, Name: "main/web", Migration: true}, "Migration in the network of main/web"},
	} {
		if got := sectionTitle(tt.section); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	p := newPaper()
	l := NewLog(p, slog.New(p))
	end := l.Section(deploy.Section{Kind: deploy.PlanSection})
	l.Progress(10, deploy.Pushing)
	l.Progress(60, deploy.RollingOut)
	end()
	if got := strings.Join(append(*p.lines, *p.progress...), "; "); got != "> Plan; <; 10Pushing; 60Rolling out" {
		t.Error(got)
	}
}

// TestTimesDoNotRunBackwards: ECS tells some things afterwards, and a log whose
// times jump is hard to read.
func TestTimesDoNotRunBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stamps []time.Time
		handler := stamping{paper: newPaper(), stamps: &stamps}
		l := NewLog(handler, slog.New(handler))
		for _, ago := range []time.Duration{time.Minute, 0, time.Hour, 30 * time.Second} {
			l.Show(deploy.Happened{Service: web, Event: rollout.Event{Time: time.Now().Add(-ago), What: rollout.Counts{}}})
		}
		for i := 1; i < len(stamps); i++ {
			if stamps[i].Before(stamps[i-1]) {
				t.Errorf("line %d: %v after %v", i, stamps[i], stamps[i-1])
			}
		}
	})
}

type stamping struct {
	paper
	stamps *[]time.Time
}

func (s stamping) WithAttrs([]slog.Attr) slog.Handler { return s }

func (s stamping) Handle(_ context.Context, r slog.Record) error {
	*s.stamps = append(*s.stamps, r.Time)
	return nil
}

// TestPace: a push writes few lines, which say how far it is, how fast, and how
// long it will go on.
func TestPace(t *testing.T) {
	const mb = 1_000_000
	at := func(seconds, done, sent int64) image.Progress {
		return image.Progress{Stage: image.StageUpload, Total: 1000 * mb, Done: done * mb, Sent: sent * mb, Layers: 7, LayersDone: 3, Reused: 2, Elapsed: time.Duration(seconds) * time.Second}
	}
	layer := func(p image.Progress, l image.LayerDone) image.Progress { p.Layer = &l; return p }
	steps := []struct {
		now  image.Progress
		want string
	}{
		{image.Progress{Stage: image.StageExport, Elapsed: 5 * time.Second}, ""}, // an engine that does not say how much it is
		{image.Progress{Stage: image.StageExport, Elapsed: 10 * time.Second, Total: 400 * mb, Done: 100 * mb}, "reading from the engine: 25 %, 100 MB of 400 MB, about 30s left"},
		{at(2, 100, 40), ""}, // too soon
		{at(5, 250, 100), "pushing: 25 %, 250 MB of 1.0 GB, 3 of 7 blobs (2 already in ECR), 20.0 MB/s sent, about 15s left"},
		{layer(at(6, 260, 100), image.LayerDone{Digest: digest, Size: 3 * mb, Duration: time.Second}), ""},
		{layer(at(6, 260, 100), image.LayerDone{Digest: digest, Size: 90 * mb, Duration: time.Minute, Reused: true}), ""},
		{layer(at(6, 260, 100), image.LayerDone{Digest: digest, Size: 90 * mb, Duration: 6 * time.Second}), "layer sha256:e3b0c44298fc: 90.0 MB in 6.0s"},
		{at(10, 280, 110), ""}, // too little
		{at(35, 280, 110), "pushing: 28 %, 280 MB of 1.0 GB, 3 of 7 blobs (2 already in ECR), 333 kB/s sent, about 28s left"},
		{at(40, 1000, 400), "pushing: 100 %, 1.0 GB of 1.0 GB, 3 of 7 blobs (2 already in ECR), 58.0 MB/s sent"},
	}
	var p pace
	for i, s := range steps {
		if got := p.next(s.now); got != s.want {
			t.Errorf("step %d: %q, want %q", i, got, s.want)
		}
	}
}

func TestPushText(t *testing.T) {
	r := push.Result{Digest: "sha256:e3b0", Layers: 7, Reused: 6, SentBytes: 4_500_000, ReusedBytes: 185_000_000, Duration: 4 * time.Second}
	tests := []struct{ got, want string }{
		{pushText(r, []string{"17", "main"}), "pushed as 17, main in 4.0s: 4.5 MB sent, 185 MB (6 of 7 blobs) in ECR already, sha256:e3b0"},
		{pushText(push.Result{Digest: "sha256:e3b0", SentBytes: 200_000_000, Duration: 2 * time.Second, Lazy: &push.LazyLoading{Layers: 3, Of: 6, Bytes: 180_000_000, OfBytes: 200_000_000}}, []string{"17"}), "pushed as 17 in 2.0s: 200 MB sent, SOCI index of 3 of 6 layers (180 MB of 200 MB), sha256:e3b0"},
		{pushText(push.Result{Digest: "sha256:e3b0", AlreadyThere: true}, []string{"17"}), "already in ECR as 17, nothing to push: sha256:e3b0"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// TestPinsInThePlan: members that say which images may run are named when the image
// changes, and only then.
func TestPinsInThePlan(t *testing.T) {
	pinned := func(image, policy string) taskdef.Definition {
		d, err := taskdef.Parse(fmt.Appendf(nil, `{"taskDefinitionArn":%q,"family":"web","revision":1,"status":"ACTIVE","trustedExecutionConfiguration":{"isolationMode":"SHARED"%s},"containerDefinitions":[{"name":"app","image":%q}]}`,
			definitions+"web:1", policy, image))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const policy = `,"attestationPolicy":"cG9saWN5"`
	for _, tt := range []struct {
		from, to, policy string
		warned           bool
	}{{"host/web:1", "host/web:2", policy, true}, {"host/web:1", "host/web:1", policy, false}, {"host/web:1", "host/web:2", "", false}} {
		running, target := pinned(tt.from, tt.policy), pinned(tt.to, tt.policy)
		s := deploy.ServicePlan{Name: web, Service: ecs.Service{TaskDefinition: definitions + "web:1"}, Running: running, Target: target, Container: "app", Lineage: deploy.Lineage{Base: running}}
		got := lines(deploy.PlanMade{Plan: &deploy.Plan{Services: []deploy.ServicePlan{s}}})
		if strings.Contains(got, "WARN the image changes, and trustedExecutionConfiguration.attestationPolicy may allow only certain images") != tt.warned {
			t.Errorf("%+v:\n%s", tt, got)
		}
	}
}

// TestStaysBehind: containers of the same repository that the run does not move are named
// in the plan.
func TestStaysBehind(t *testing.T) {
	of := func(app string) taskdef.Definition {
		d, err := taskdef.Parse(fmt.Appendf(nil, `{"taskDefinitionArn":%q,"family":"web","revision":1,"status":"ACTIVE","containerDefinitions":[{"name":"app","image":%q},{"name":"migrate","image":"host/web:1"},{"name":"proxy","image":"host/proxy:1"}]}`,
			definitions+"web:1", app))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	running := of("host/web:1")
	for app, want := range map[string]int{"host/web:2": 1, "host/web:1": 0} {
		s := deploy.ServicePlan{Name: web, Service: ecs.Service{TaskDefinition: definitions + "web:0"}, Running: running, Target: of(app), Container: "app", Lineage: deploy.Lineage{Base: running}}
		got := lines(deploy.PlanMade{Plan: &deploy.Plan{Services: []deploy.ServicePlan{s}}})
		if strings.Count(got, "stays on") != want || strings.Count(got, "container migrate stays on host/web:1") != want {
			t.Errorf("%s:\n%s", app, got)
		}
	}
}
