package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What lines of output do to a step. Each case is a task that prints the lines and ends with exit code 0.
func TestLines(t *testing.T) {
	tests := []struct {
		name     string
		job      Job
		mode     string // restrictions.commands.mode
		lines    []string
		status   Status
		log      []string
		outputs  map[string]string
		vars     map[string]string
		issues   []string // "type: message"
		warnings []string // parts of them, in order
	}{
		{
			name:  "plain text and formatting are shown",
			lines: []string{"hello", "##[group]Plan", "inside", "##[endgroup]", "##[section]done"},
			log:   []string{"hello", "##[group]Plan", "inside", "##[endgroup]", "##[section]done"},
		},
		{
			name:    "a declared output is an output without isoutput",
			lines:   []string{"##vso[task.setvariable variable=imageUri]app:1"},
			outputs: map[string]string{"imageUri": "app:1"},
		},
		{
			name:    "isoutput makes an output of any variable that may be set",
			lines:   []string{"##vso[task.setvariable variable=Ecs.Tag;isOutput=TRUE]1", "##vso[task.setvariable variable=ecs.other]2"},
			outputs: map[string]string{"Ecs.Tag": "1"},
			vars:    map[string]string{"ecs.other": "2"},
		},
		{
			name:     "a variable outside settableVariables is refused",
			lines:    []string{"##vso[task.setvariable variable=PATH;isoutput=true]x", "##vso[task.prependpath]/evil"},
			log:      []string{"##[warning]Setting variable 'PATH' has been disabled by the task or build definition.", "##[warning]Setting variable 'PATH' has been disabled by the task or build definition."},
			issues:   []string{"warning: Setting variable 'PATH' has been disabled by the task or build definition.", "warning: Setting variable 'PATH' has been disabled by the task or build definition."},
			warnings: []string{`"PATH" is not among restrictions.settableVariables`, `"PATH"`},
		},
		{
			name:   "a variable without a name fails the step",
			lines:  []string{"##vso[task.setvariable variable=]x"},
			status: Failed,
			issues: []string{"error: Unable to process command '##vso[task.setvariable variable=]x' successfully.", "error: Required field 'variable' is missing in ##vso[task.setvariable] command."},
			log:    []string{"##[error]Unable to process command '##vso[task.setvariable variable=]x' successfully.", "##[error]Required field 'variable' is missing in ##vso[task.setvariable] command."},
		},
		{
			name:  "secrets are masked from the next line on, spelled in other ways, too",
			lines: []string{"hunter2 is early", "##vso[task.setsecret]hunter2", "hunter2hunter2 and xhunter2", "##vso[task.debug]hunter2"},
			log:   []string{"hunter2 is early", "*** and x***"},
		},
		{
			name:     "a secret of several lines hides nothing",
			lines:    []string{"##vso[task.setsecret]one%0Atwo", "one", "two"},
			log:      []string{"one", "two"},
			warnings: []string{"several lines"},
		},
		{
			name:    "a secret variable is masked",
			lines:   []string{"##vso[task.setvariable variable=outcome;issecret=true]hush", "hush"},
			log:     []string{"***"},
			outputs: map[string]string{"outcome": "hush"},
		},
		{
			name:   "issues are logged and kept, masked",
			job:    Job{Secrets: map[string]string{"k": "hunter2"}},
			lines:  []string{"##vso[task.logissue type=error]no hunter2", "##vso[task.logissue type=Warning;sourcepath=a.json;linenumber=3;columnnumber=1;code=E7]odd", "##vso[task.issue type=error]alias"},
			log:    []string{"##[error]no ***", "##[warning]a.json(3,1): warning E7: odd", "##[error]alias"},
			issues: []string{"error: no ***", "warning: a.json(3,1): warning E7: odd", "error: alias"},
		},
		{
			name:   "an issue of several lines",
			lines:  []string{"##vso[task.logissue type=error]one%0Atwo"},
			log:    []string{"##[error]one", "two"},
			issues: []string{"error: one\ntwo"},
		},
		{
			name:   "an issue without a type is a warning about itself",
			lines:  []string{"##vso[task.logissue]x"},
			log:    []string{"##[warning]Can't create TaskIssue from logging event."},
			issues: []string{"warning: Can't create TaskIssue from logging event."},
		},
		{
			name:   "complete decides while the exit code is 0",
			lines:  []string{"##vso[task.complete result=Failed]no"},
			status: Failed,
		},
		{
			name:   "the worst of several results wins",
			lines:  []string{"##vso[task.complete result=Failed]", "##vso[task.complete result=Succeeded]"},
			status: Failed,
		},
		{
			name:   "results are spelled exactly",
			lines:  []string{"##vso[task.complete result=failed]"},
			status: Failed,
			log:    []string{"##[error]Unable to process command '##vso[task.complete result=failed]' successfully.", "##[error]Command doesn't have valid result value."},
			issues: []string{"error: Unable to process command '##vso[task.complete result=failed]' successfully.", "error: Command doesn't have valid result value."},
		},
		{
			name:   "or are numbers",
			lines:  []string{"##vso[task.complete result=1]"},
			status: SucceededWithIssues,
		},
		{
			name:   "a broken command is shown and warned about",
			lines:  []string{"oops ##vso[task.complete"},
			log:    []string{"##[warning]'oops ##vso[task.complete' contains logging command keyword '##vso', but it's not a legal command.", "oops ##vso[task.complete"},
			issues: []string{"warning: 'oops ##vso[task.complete' contains logging command keyword '##vso', but it's not a legal command."},
		},
		{
			name:     "an unknown area is a warning",
			lines:    []string{"##vso[tusk.complete result=Failed]x"},
			log:      []string{"##[warning]Cannot find command extension for ##vso[tusk.command]."},
			issues:   []string{"warning: Cannot find command extension for ##vso[tusk.command]."},
			warnings: []string{`unknown command area "tusk"`},
		},
		{
			name:   "an unknown event fails the step",
			lines:  []string{"##vso[task.compleet result=Succeeded]x"},
			status: Failed,
			log: []string{
				"##[error]Unable to process command '##vso[task.compleet result=Succeeded]x' successfully.",
				"##[error]##vso[task.compleet] is not a recognized command for task command extension.",
			},
			issues: []string{
				"error: Unable to process command '##vso[task.compleet result=Succeeded]x' successfully.",
				"error: ##vso[task.compleet] is not a recognized command for task command extension.",
			},
		},
		{
			name:   "release commands do not belong in a build",
			lines:  []string{"##vso[release.updatereleasename]x"},
			status: Failed,
			log:    []string{"##[error]release commands are not supported for build flow.", "##vso[release.updatereleasename]x"},
			issues: []string{"error: release commands are not supported for build flow."},
		},
		{
			name:  "a release takes them",
			job:   Job{HostType: HostRelease},
			lines: []string{"##vso[release.updatereleasename]x"},
			vars:  map[string]string{"Release.ReleaseName": "x"},
		},
		{
			name:     "restricted commands",
			mode:     "restricted",
			lines:    []string{"##vso[build.addbuildtag]v1", "##vso[task.setvariable variable=outcome]ok"},
			log:      []string{"##[warning]##vso[build.addbuildtag] is not allowed in this step due to policy restrictions."},
			issues:   []string{"warning: ##vso[build.addbuildtag] is not allowed in this step due to policy restrictions."},
			outputs:  map[string]string{"outcome": "ok"},
			warnings: []string{"build.addbuildtag is not allowed"},
		},
		{
			name:  "debug lines show when System.Debug is on",
			job:   Job{Variables: map[string]string{"system.debug": "True"}},
			lines: []string{"##vso[task.debug]look", "##vso[task.setprogress value=5]half%0Away"},
			log:   []string{"##[debug]look", "##[debug]Processed: ##vso[task.setprogress value=5]half", "way"},
		},
		{
			name:     "a summary that does not exist fails the step",
			lines:    []string{"##vso[task.uploadsummary]summary.md"},
			status:   Failed,
			issues:   []string{"error: Unable to process command '##vso[task.uploadsummary]summary.md' successfully.", "error: Cannot upload task attachment file, attachment file location is not specified or attachment file does not exist on disk."},
			log:      []string{"##[error]Unable to process command '##vso[task.uploadsummary]summary.md' successfully.", "##[error]Cannot upload task attachment file, attachment file location is not specified or attachment file does not exist on disk."},
			warnings: nil,
		},
		{
			name:   "a variable of the agent's own",
			lines:  []string{"##vso[task.setvariable variable=Build.BuildId]1"},
			log:    []string{"##[warning]Overwriting readonly variable 'Build.BuildId'. This behavior will be disabled in the future.", "##[warning]Setting variable 'Build.BuildId' has been disabled by the task or build definition."},
			issues: []string{"warning: Overwriting readonly variable 'Build.BuildId'. This behavior will be disabled in the future.", "warning: Setting variable 'Build.BuildId' has been disabled by the task or build definition."},
			warnings: []string{
				"settableVariables",
			},
		},
		{
			name:   "a variable of the agent's own that is locked fails the step",
			job:    Job{Variables: map[string]string{"agent.readOnlyVariables": "true"}},
			lines:  []string{"##vso[task.setvariable variable=build.buildid]1"},
			status: Failed,
			log:    []string{"##[error]Unable to process command '##vso[task.setvariable variable=build.buildid]1' successfully.", "##[error]Overwriting readonly variable 'build.buildid' is not permitted."},
			issues: []string{"error: Unable to process command '##vso[task.setvariable variable=build.buildid]1' successfully.", "error: Overwriting readonly variable 'build.buildid' is not permitted."},
		},
		{
			name:    "names of outputs ignore case",
			lines:   []string{"##vso[task.setvariable variable=IMAGEURI]app:1"},
			outputs: map[string]string{"IMAGEURI": "app:1"},
		},
		{
			name:     "commands that change later steps are reported",
			lines:    []string{"##vso[task.setendpoint id=x;field=url]http://evil"},
			warnings: []string{`changed field "url" of service connection "x"`},
		},
		{
			name:     "commands that the stand-in leaves alone are reported",
			lines:    []string{"##vso[artifact.upload artifactname=a]b"},
			warnings: []string{"artifact.upload"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.job)
			s.task.Restrictions.Commands.Mode = tt.mode
			for _, line := range tt.lines {
				s.handle(line)
			}
			s.settle(0, nil, process{})
			s.finish()
			got := s.result

			if got.Status != tt.status {
				t.Errorf("status %v, want %v", got.Status, tt.status)
			}
			var log []string
			for _, line := range got.Log {
				log = append(log, line.String())
			}
			if log = log[:len(log)-1]; !slices.Equal(log, tt.log) { // less "Finishing"
				t.Errorf("log\n got %q\nwant %q", log, tt.log)
			}
			if !maps.Equal(got.Outputs, tt.outputs) {
				t.Errorf("outputs %q, want %q", got.Outputs, tt.outputs)
			}
			if !maps.Equal(got.Variables, tt.vars) {
				t.Errorf("variables %q, want %q", got.Variables, tt.vars)
			}
			var issues []string
			for _, issue := range got.Issues {
				issues = append(issues, issue.Type+": "+issue.Message)
			}
			if !slices.Equal(issues, tt.issues) {
				t.Errorf("issues\n got %q\nwant %q", issues, tt.issues)
			}
			if len(got.Warnings) != len(tt.warnings) {
				t.Fatalf("warnings %q, want %q", got.Warnings, tt.warnings)
			}
			for i, want := range tt.warnings {
				if !strings.Contains(got.Warnings[i], want) {
					t.Errorf("warning %q, want %q", got.Warnings[i], want)
				}
			}
		})
	}
}

func TestOnlyTenIssuesOfAKindAreKept(t *testing.T) {
	s := start(t, Job{})
	for i := range 12 {
		s.handle(fmt.Sprintf("##vso[task.logissue type=error]error %d", i+1))
		s.handle(fmt.Sprintf("##vso[task.logissue type=warning]warning %d", i+1))
	}
	if got := len(s.result.Issues); got != 20 {
		t.Errorf("%d issues are kept, want 20", got)
	}
	if got := len(s.result.Log); got != 24 {
		t.Errorf("%d lines are logged, want all 24", got)
	}
	if got := s.result.Warnings; len(got) != 4 || !strings.Contains(got[0], "error 11 of the step is not kept") {
		t.Errorf("warnings %q", got)
	}
}

func TestProgressNeverGoesBack(t *testing.T) {
	s := start(t, Job{})
	for _, line := range []string{"value=10]push", "value=5]back", "value=200]over", "value=x]none"} {
		s.handle("##vso[task.setprogress " + line)
	}
	want := []Progress{{10, "push"}, {10, "back"}, {100, "over"}, {100, "none"}}
	if !slices.Equal(s.result.Progress, want) {
		t.Errorf("got %v, want %v", s.result.Progress, want)
	}
}

func TestUploads(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"summary.md", "gone.md", "plan.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, Job{})
	s.handle("##vso[task.uploadsummary]" + filepath.Join(dir, "summary.md"))
	s.handle("##vso[task.uploadsummary]" + filepath.Join(dir, "gone.md"))
	s.handle("##vso[task.uploadfile]" + filepath.Join(dir, "plan.json"))
	s.handle("##vso[build.addbuildtag] v1 ")
	if err := os.Remove(filepath.Join(dir, "gone.md")); err != nil { // the upload comes after the step
		t.Fatal(err)
	}
	s.settle(0, nil, process{})
	s.finish()
	got := s.result
	if got.Status != Succeeded || !slices.Equal(got.Summaries, []string{"summary.md"}) || !slices.Equal(got.BuildTags, []string{"v1"}) {
		t.Errorf("status %v, summaries %q, tags %q", got.Status, got.Summaries, got.BuildTags)
	}
	if len(got.Attachments) != 1 || got.Attachments[0].Name != "plan.json" || string(got.Attachments[0].Content) != "plan.json" {
		t.Errorf("attachments %q", got.Attachments)
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "gone.md was gone before it could be uploaded") {
		t.Errorf("warnings %q", got.Warnings)
	}
}

func TestRenderedLog(t *testing.T) {
	lines := []string{"##[section]Starting", "##[group]Plan", "cpu 256 -> 512", "##[endgroup]", "##[warning]slow", "##[error]no", "end"}
	tests := []struct {
		name string
		job  Job
		want string
	}{
		{"plain", Job{}, "##[section]Starting\n▾ Plan\n    cpu 256 -> 512\n##[warning]slow\n##[error]no\nend\n"},
		{"in colour", Job{Color: true}, "\x1b[1;32mStarting\x1b[0m\n\x1b[1m▾ Plan\x1b[0m\n    cpu 256 -> 512\n\x1b[33mslow\x1b[0m\n\x1b[31mno\x1b[0m\nend\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			tt.job.Output = &out
			s := start(t, tt.job)
			for _, line := range lines {
				s.handle(line)
			}
			if out.String() != tt.want {
				t.Errorf("got\n%q\nwant\n%q", out.String(), tt.want)
			}
		})
	}
}

func start(t *testing.T, job Job) *step {
	t.Helper()
	job, task, dirs := prepare(t, job, t.TempDir())
	env, err := job.environment(task, dirs)
	if err != nil {
		t.Fatal(err)
	}
	return newStep(job, task, env)
}
