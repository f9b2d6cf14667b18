package report

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// TestDrift: what the log and the run's page say of services beside what was deployed.
func TestDrift(t *testing.T) {
	same := deploy.Deviation{Service: web, Running: definitions + "web:2", Deployed: definitions + "web:2", BuildID: "7", Ours: true}
	never := deploy.Deviation{Service: web, Running: definitions + "web:1"}
	back := same
	back.Running = definitions + "web:1"
	moved := same
	moved.Running, moved.Ours, moved.By, moved.InProgress = definitions+"web:3", false, "arn:aws:iam::123456789012:user/terraform", "ecs-svc/3"
	moved.Differences = taskdef.Diff(definition(t, "web:2", "host/web:7"), definition(t, "web:3", "host/web:1"))
	unknown := moved
	unknown.By, unknown.InProgress, unknown.Differences = "", "", nil
	ours := back
	ours.Running, ours.Build, ours.Pipeline = definitions+"web:5", "9", "chat/other"
	going := ours
	going.InProgress = "ecs-svc/5"
	other := same
	other.Digest, other.Proof = digest, rollout.Proof{Tasks: 2, Verified: 1, Running: rollout.Witness{Wrong: []rollout.Wrong{{Task: "t1", Container: "app", Digest: "sha256:ff"}}}}
	compared := same
	compared.Digest, compared.Proof = "sha256:aa", rollout.Proof{Tasks: 2, Verified: 2}
	uncompared := same
	uncompared.Uncompared = errDenied
	for _, tt := range []struct {
		one  deploy.Deviation
		want string
	}{
		{same, "web: runs web:2, as this task deployed it (build 7)"},
		{never, "web: runs web:1; no successful deployment of this task was found, so there is nothing to compare it with"},
		{back, "web: runs web:1 instead of web:2 (build 7), which this task deployed last"},
		{moved, "web: deployment ecs-svc/3 is in progress\nweb: runs web:3, registered by terraform, instead of web:2 (build 7), which this task deployed last\nweb:   app.image host/web:7 → host/web:1"},
		{ours, "web: runs web:5 (build 9), registered by pipeline chat/other, instead of web:2 (build 7), which this task deployed last"},
		{going, "web: deployment ecs-svc/5 is in progress\nweb: is being moved to web:5 (build 9) by this task; deployed last was web:2 (build 7)"},
		{other, "web: runs web:2, as this task deployed it (build 7), with another image: its tag was moved since\nweb: the image that was deployed is " + digest + ", and container app has sha256:ff"},
		{compared, "web: runs web:2, as this task deployed it (build 7)\nweb: 2 of 2 running tasks run sha256:aa"},
		{uncompared, "web: runs web:2, as this task deployed it (build 7)\nweb: image not compared: " + errDenied.Error()},
		{unknown, "web: runs web:3, which another tool registered, instead of web:2 (build 7), which this task deployed last"},
	} {
		if got := lines(deploy.Compared{Deviation: tt.one}); got != tt.want {
			t.Errorf("%s\nwant:\n%s", got, tt.want)
		}
		r := deploy.Result{Deviations: []deploy.Deviation{tt.one}}
		if got := Warnings(r); len(got) > 0 != tt.one.Deviates() {
			t.Errorf("warnings %q", got)
		}
		if got := Line(r, nil); !strings.HasPrefix(got, "web runs ") && !strings.HasPrefix(got, "web is being moved") {
			t.Errorf("line %q", got)
		}
		outcome := map[bool]string{false: "unchanged", true: "drifted"}[tt.one.Deviates()]
		if got := Outputs(r); got[0] != (Output{"outcome", outcome}) || got[1] != (Output{"taskDefinitionArn", tt.one.Running}) {
			t.Errorf("outputs %v", got)
		}
		if page := Markdown(r, nil); !strings.Contains(page, "deployed last") || strings.Contains(page, "⚠️") != tt.one.Deviates() {
			t.Errorf("summary %s", page)
		}
	}
	if got := Warnings(deploy.Result{Deviations: []deploy.Deviation{moved}}); !strings.HasSuffix(got[0].Text, "; 1 difference, first: app.image host/web:7 → host/web:1") {
		t.Errorf("%q", got)
	}
	for want, all := range map[string][]deploy.Deviation{"No drift in 2 services": {same, never}, "Drift in 1 of 2 services": {same, moved}} {
		if got := Line(deploy.Result{Deviations: all}, nil); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
