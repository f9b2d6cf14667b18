package report

import (
	"errors"
	"strings"
	"testing"

	"ecsdeploy/pkg/deploy"
)

// TestEveryCheckHasWords: a kind of check or state without words would show as a
// blank in the table.
func TestEveryCheckHasWords(t *testing.T) {
	explain := func(err error) (string, string) { return err.Error(), "do this" }
	for _, kind := range []deploy.CheckKind{
		deploy.IdentityCheck, deploy.RepositoryCheck, deploy.LayersCheck, deploy.SourceCheck, deploy.ImageCheck, deploy.ServiceCheck, deploy.HistoryCheck,
		deploy.TasksCheck, deploy.BaseCheck, deploy.RevisionCheck, deploy.RoleCheck, deploy.SecretCheck, deploy.LogGroupCheck, deploy.ScheduleCheck, deploy.PermissionCheck,
	} {
		for state, mark := range map[deploy.CheckState]string{deploy.Right: "✔", deploy.Wrong: "✘", deploy.Open: "–"} {
			c := deploy.Check{Kind: kind, State: state, Name: "thing", Service: deploy.Service{Cluster: "main", Name: "web"}}
			if state != deploy.Right {
				c.Err = errors.New("because")
			}
			row := Table([]deploy.Check{c}, explain)[0]
			if checkWords[kind] == "" || !strings.HasPrefix(row.Text, mark+"  "+checkWords[kind]) || strings.Contains(row.Text, "because") == (state == deploy.Right) {
				t.Errorf("%s %s: %q", kind, state, row.Text)
			}
			if (row.Hint != "") != (state == deploy.Wrong) {
				t.Errorf("%s %s: hint %q", kind, state, row.Hint)
			}
		}
	}
}

// TestCheckLine: a check that could not be made is no success, and no failure.
func TestCheckLine(t *testing.T) {
	right, wrong, open := deploy.Check{State: deploy.Right}, deploy.Check{State: deploy.Wrong, Err: errors.New("x")}, deploy.Check{State: deploy.Open, Err: errors.New("x")}
	for want, checks := range map[string][]deploy.Check{
		"2 of 2 checks passed; nothing was changed":                      {right, right},
		"1 of 2 checks passed; 1 could not be made; nothing was changed": {right, open},
		"1 check of 3 failed; 1 could not be made; nothing was changed":  {right, wrong, open},
		"2 checks of 2 failed; nothing was changed":                      {wrong, wrong},
	} {
		if got := checkLine(checks); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	explain := func(err error) (string, string) { return err.Error(), "" }
	if n := len(Failures(deploy.Result{Checks: []deploy.Check{right, wrong, open, wrong}}, explain)); n != 2 {
		t.Errorf("%d failures", n)
	}
}
