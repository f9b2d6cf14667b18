package report

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/deploy"
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
	for _, tt := range []struct {
		one  deploy.Deviation
		want string
	}{
		{same, "web: runs web:2, as this task deployed it (build 7)"},
		{never, "web: runs web:1; no successful deployment of this task was found, so there is nothing to compare it with"},
		{back, "web: runs web:1 instead of web:2 (build 7), which this task deployed last"},
		{moved, "web: deployment ecs-svc/3 is in progress\nweb: runs web:3, registered by terraform, instead of web:2 (build 7), which this task deployed last\nweb:   app.image host/web:7 → host/web:1"},
		{unknown, "web: runs web:3, which another tool registered, instead of web:2 (build 7), which this task deployed last"},
	} {
		if got := lines(deploy.Compared{Deviation: tt.one}); got != tt.want {
			t.Errorf("%s\nwant:\n%s", got, tt.want)
		}
		r := deploy.Result{Deviations: []deploy.Deviation{tt.one}}
		if got := Warnings(r); len(got) > 0 != tt.one.Drifted() {
			t.Errorf("warnings %q", got)
		}
		if got := Line(r, nil); !strings.HasPrefix(got, "web runs ") {
			t.Errorf("line %q", got)
		}
		if got := Outputs(r); got[0] != (Output{"taskDefinitionArn", tt.one.Running}) {
			t.Errorf("outputs %v", got)
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
