package report

import (
	"errors"
	"strings"
	"testing"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/taskdef"
)

// TestEveryCheckHasWords: a kind of check or state without words would show as a
// blank in the table.
func TestEveryCheckHasWords(t *testing.T) {
	explain := func(err error) (string, string) { return err.Error(), "do this" }
	for _, kind := range []deploy.CheckKind{
		deploy.IdentityCheck, deploy.RepositoryCheck, deploy.LayersCheck, deploy.SourceCheck, deploy.ImageCheck, deploy.ServiceCheck, deploy.HistoryCheck,
		deploy.TasksCheck, deploy.BaseCheck, deploy.RevisionCheck, deploy.RoleCheck, deploy.SecretCheck, deploy.LogGroupCheck, deploy.ScheduleCheck, deploy.PermissionCheck,
		deploy.NetworkCheck,
	} {
		for state, mark := range map[deploy.CheckState]string{deploy.Right: "✔", deploy.Wrong: "✘", deploy.Open: "–", deploy.Noted: "⚠"} {
			c := deploy.Check{Kind: kind, State: state, Name: "thing", Service: deploy.Service{Cluster: "main", Name: "web"}}
			if state != deploy.Right {
				c.Err = errors.New("because")
			}
			row := Table([]deploy.Check{c}, explain)[0]
			if checkWords[kind] == "" || !strings.HasPrefix(row.Text, mark+"  "+checkWords[kind]) || strings.Contains(row.Text, "because") == (state == deploy.Right) {
				t.Errorf("%s %s: %q", kind, state, row.Text)
			}
			if (row.Hint != "") != (state == deploy.Wrong || state == deploy.Noted) {
				t.Errorf("%s %s: hint %q", kind, state, row.Hint)
			}
		}
	}
}

// TestCheckLine: a check that could not be made is no success, and no failure.
func TestCheckLine(t *testing.T) {
	noted := deploy.Check{State: deploy.Noted, Err: &deploy.PathNote{}}
	right, wrong, open := deploy.Check{State: deploy.Right}, deploy.Check{State: deploy.Wrong, Err: errors.New("x")}, deploy.Check{State: deploy.Open, Err: errors.New("x")}
	for want, checks := range map[string][]deploy.Check{
		"2 of 2 checks passed; nothing was changed":                      {right, right},
		"1 of 2 checks passed; 1 could not be made; nothing was changed": {right, open},
		"1 check of 3 failed; 1 could not be made; nothing was changed":  {right, wrong, open},
		"2 checks of 2 failed; nothing was changed":                      {wrong, wrong},
		"1 of 2 checks passed; 1 to look at; nothing was changed":        {right, noted},
	} {
		if got := checkLine(checks); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	explain := func(err error) (string, string) { return err.Error(), "" }
	if n := len(Failures(deploy.Result{Checks: []deploy.Check{right, wrong, open, noted, wrong}}, explain)); n != 2 {
		t.Errorf("%d failures", n)
	}
}

// TestPathText: what has to be reached, and by which way. A host is behind no VPC
// endpoint of AWS, nor is a service in another region.
func TestPathText(t *testing.T) {
	n := &deploy.PathNote{
		Services: []taskdef.Reach{{Service: "ecr.api"}, {Service: "logs"}}, Outside: []taskdef.Reach{{Host: "docker.io"}, {Service: "ssm", Region: "us-east-1"}},
		Subnets: []string{"subnet-1", "subnet-2"}, Region: "eu-west-1",
	}
	text, hint := pathText(n)
	for _, want := range []string{"subnet-1, subnet-2", "ecr.api, logs, docker.io, ssm in us-east-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
	for _, want := range []string{"DISABLED", "NAT gateway, or VPC endpoints: com.amazonaws.eu-west-1.ecr.api, com.amazonaws.eu-west-1.logs;", "docker.io, ssm in us-east-1: not through"} {
		if !strings.Contains(hint, want) {
			t.Errorf("%q lacks %q", hint, want)
		}
	}
	n.Services = nil
	if _, hint := pathText(n); strings.Contains(hint, "endpoint") {
		t.Errorf("%q offers an endpoint for what has none", hint)
	}
	n.Public, n.Already = true, true
	if text, hint := pathText(n); !strings.Contains(hint, "ENABLED") || !strings.Contains(hint, "internet gateway") || !strings.Contains(text, "running tasks do not") {
		t.Errorf("%q, %q", text, hint)
	}
}
