package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/agent"
)

// The whole product, as packaged, under the stand-in agent: the shim, the executable for this machine, real signals, real
// sockets. What try itself judges is half of the test.
func TestTry(t *testing.T) {
	vsix := os.Getenv("ECSDEPLOY_TEST_VSIX")
	if vsix == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("ECSDEPLOY_TEST_VSIX is not set: run ./build.sh test")
		}
		t.Skip("ECSDEPLOY_TEST_VSIX does not name a packaged extension: ./build.sh test makes one")
	}
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"complete", nil, []string{"What is in this rollout: build 1040 (20260105.0) → build 1042 (20260105.2), 3 commits, 2 pull requests, 1 work item", "Succeeded after", "chat-app-dev:3, before chat-app-dev:2", "2 tasks, the pushed one"}},
		{"in a classic release", []string{"-release"}, []string{"Succeeded after", "as 1042", "2 tasks, the pushed one"}},
		{"rollback", []string{"rollback"}, []string{"Failed after", "rolledBack", "decisions, of which 0 differ from the recorded ones", "chat-app-dev:2, before chat-app-dev:2", "2 tasks, another image's"}},
		{"superseded", []string{"superseded"}, []string{"Failed after", "superseded"}},
		{"cancel", []string{"cancel"}, []string{"-- somebody presses Cancel --", "Canceled from Cancel to the end", "decisions, of which 0 differ from the recorded ones", "processes left              0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			args := append([]string{"-vsix", vsix, "-speed", "30"}, tt.args...)
			if err := try(t.Context(), args, &out, os.Stderr); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

// What try expects of each scenario is what the page says of it.
func TestEndingOf(t *testing.T) {
	page, err := os.ReadFile("../../docs/endings.md")
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[string]agent.Status{"🟢": agent.Succeeded, "🟡": agent.SucceededWithIssues, "🔴": agent.Failed}
	for _, s := range emulator.Scenarios() {
		row := regexp.MustCompile("(?m)^\\| `" + s.Name + "` \\|.*\\| (🟢|🟡|🔴) [^|]* \\| `(\\w+)` \\|$").FindStringSubmatch(string(page))
		if row == nil {
			t.Errorf("docs/endings.md has no row for %s", s.Name)
			continue
		}
		want := ending{statuses[row[1]], row[2]}
		if s.Name == "long-bake" { // longer than the minute of a run here
			want.status = agent.SucceededWithIssues
		}
		if got := endingOf(s.Name); got != want {
			t.Errorf("try expects %s to end as %v, docs/endings.md says %v", s.Name, got, want)
		}
	}
}

func TestTryArguments(t *testing.T) {
	tests := []struct {
		name string
		args []string
		out  string
		err  string
	}{
		{"the scenarios are listed", []string{"list"}, "cancel               the run is cancelled", ""},
		{"an unknown scenario", []string{"explode"}, "", `scenario "explode" does not exist; there are complete, slow`},
		{"one scenario too many", []string{"slow", "crash"}, "", `unexpected argument "crash"`},
		{"no extension there", []string{"-vsix", "missing.vsix"}, "", "the packaged extension: stat missing.vsix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := try(t.Context(), tt.args, &out, &out)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("the output lacks %q:\n%s", tt.out, out.String())
			}
		})
	}
}
