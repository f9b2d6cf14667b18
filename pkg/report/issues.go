package report

// How a run ended in few words: the closing line of the log, and the issues that
// the run's page shows.

import (
	"errors"
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// Issue is what the run's page shows of a service, in one line, and what to do
// about it, which may be empty.
type Issue struct{ Text, Hint string }

// Explain says what an error means, and what to do about it. It knows the errors
// of the session, which this package does not.
type Explain func(err error) (text, hint string)

// Whoever is called at night reads one line first, and in some places only its
// beginning: so much of it tells why. Both are in characters; a line has three
// parts at most.
const (
	partLength  = 360
	briefLength = 240
)

// Failures says what went wrong, once for each service.
func Failures(r deploy.Result, explain Explain) []Issue {
	all := checkFailures(r.Checks, explain)
	if r.Task.Failed() {
		all = append(all, taskIssue(r.Task))
		if err := r.Task.Unstopped; err != nil {
			text, hint := explain(err)
			all = append(all, Issue{text, hint})
		}
	}
	all = append(all, scheduleIssues(r, explain)...)
	for _, s := range r.Services {
		if failed(s) && s.Reason.Code != deploy.NotMigrated {
			text, hint := failure(s, explain)
			if s.Err != nil && r.Image.Pushed {
				text += "; " + DoneBefore(r.Image)
			}
			all = append(all, Issue{fmt.Sprintf("service %s: %s: %s", s.Name, outcomeWords(s.Outcome), text), hint})
		}
	}
	return all
}

func failed(s deploy.ServiceResult) bool {
	return s.Outcome != "" && s.Outcome != rollout.Paused && !s.Outcome.Good() && !wentBack(s)
}

// wentBack reports whether the service was rolled back because that was asked for.
func wentBack(s deploy.ServiceResult) bool { return s.Asked && s.Outcome == rollout.RolledBack }

// failure is why a rollout failed: what became of its tasks, then what ended it,
// then what was done about it.
func failure(s deploy.ServiceResult, explain Explain) (text, hint string) {
	if s.Err != nil {
		text, hint = explain(Named(s.Err))
		return "the deployment could not be started: " + text, hint
	}
	why, hint := s.Diagnosis.Why()
	reason := reasonText(s.Reason, s.Controller)
	if s.Reason.Cause != nil || strings.Contains(reason, why) {
		why = "" // the reason says it
	}
	var parts []string
	if smoke, is := failedSmoke(s); is {
		why, hint = "", smokeHint(smoke) // the tasks that run are not to blame
	}
	for _, part := range []string{why, reason, smokeFailure(s), wrongDigests(s), rollbackText(s.Rollback, s.Controller)} {
		if part != "" {
			parts = append(parts, shorten(part, partLength))
		}
	}
	return strings.Join(parts, "; "), hint
}

// DoneBefore says what a run had done before it could not go on.
func DoneBefore(pushed deploy.Image) string {
	return fmt.Sprintf("before that, %s was pushed, and the service was not moved: the step can be run again, and pushes nothing twice", pushed.URI)
}

// wrongDigests says which image runs instead of ours.
func wrongDigests(s deploy.ServiceResult) string {
	if s.Reason.Code != rollout.WrongDigest {
		return ""
	}
	for _, wrong := range s.Proof.Contradicted() {
		return wrongText(wrong, s.Proof.Wanted[wrong.Container])
	}
	return ""
}

// brief is why a rollout failed, for a title.
func brief(s deploy.ServiceResult, explain Explain) string {
	if s.Err != nil {
		text, _ := failure(s, explain)
		return shorten(text, briefLength)
	}
	why, _ := s.Diagnosis.Why()
	if smoke, is := failedSmoke(s); is {
		return shorten(reasonText(s.Reason, s.Controller)+": "+smokeBrief(smoke), briefLength)
	}
	if why == "" || s.Reason.Code == rollout.ReplacedByOther {
		why = reasonText(s.Reason, s.Controller)
	}
	return shorten(why, briefLength)
}

// Warnings says what is no failure and no plain success either.
func Warnings(r deploy.Result) []Issue {
	all := driftWarnings(r)
	for _, s := range r.Services {
		switch {
		case s.Outcome == rollout.Paused:
			all = append(all, Issue{s.Name + ": " + reasonText(s.Reason, s.Controller), "command resume lets it continue, or rolls it back"})
		case wentBack(s):
			all = append(all, Issue{fmt.Sprintf("%s: %s is not deployed: it was rolled back to %s, as requested", s.Name, ecs.ShortARN(s.Revision), ecs.ShortARN(s.Previous)), ""})
		case s.Outcome.Good() && noteworthy(s.Reason.Code):
			all = append(all, Issue{s.Name + ": " + noteText(s.Reason, s.Controller), ""})
		}
	}
	return all
}

// noteworthy reports whether a success has something to it that a person should
// know before relying on it.
func noteworthy(c rollout.Code) bool {
	return c == rollout.NothingRuns || c == rollout.EarlySuccess || c == rollout.WaitsOn
}

// Line is the run in one line, for the end of the log.
func Line(r deploy.Result, explain Explain) string {
	took := Duration(r.Took)
	switch {
	case len(r.Current) > 0:
		return currentLine(r.Current)
	case len(r.Checks) > 0:
		return checkLine(r.Checks)
	case len(r.Deviations) > 0:
		return driftLine(r)
	case r.DryRun:
		return "Dry run: nothing was changed"
	case r.Task != nil && (len(r.Services) == 0 || r.Task.Failed()):
		return fmt.Sprintf("%s (%s)", taskLine(r.Task), took)
	case len(r.Services) == 0 && !r.Image.Pushed:
		return fmt.Sprintf("%s is in ECR already (%s)", r.Image.URI, took)
	case len(r.Services) == 0:
		return fmt.Sprintf("Pushed %s (%s)", r.Image.URI, took)
	case r.Outcome() == rollout.Failed && len(r.Services) > 0 && (r.Services[0].Outcome.Good() || r.Services[0].Alone()) && len(scheduleIssues(r, explain)) > 0:
		return fmt.Sprintf("%s (%s)", shorten(scheduleIssues(r, explain)[0].Text, briefLength), took)
	case len(r.Services) == 1:
		return fmt.Sprintf("%s (%s)", serviceLine(r.Services[0], explain), took)
	default:
		text, rank := outcomeWords(r.Outcome()), 2
		for _, s := range r.Services { // one that failed by itself, where there is one
			if s.Outcome == r.Outcome() && tableRank(s) < rank {
				text, rank = serviceLine(s, explain), tableRank(s)
			}
		}
		return fmt.Sprintf("%d services: %s (%s)", len(r.Services), text, took)
	}
}

func serviceLine(s deploy.ServiceResult, explain Explain) string {
	revision, previous := ecs.ShortARN(s.Revision), ecs.ShortARN(s.Previous)
	switch {
	case s.Alone():
		return fmt.Sprintf("Revision %s is registered; no service was changed", revision)
	case wentBack(s):
		return fmt.Sprintf("%s was rolled back to %s, as requested", s.Name, previous)
	case s.Asked && s.Outcome == "":
		return fmt.Sprintf("%s is going back to %s; not waited for", s.Name, previous)
	}
	switch s.Outcome {
	case rollout.Succeeded:
		text := fmt.Sprintf("%s runs %s", s.Name, revision)
		if s.Reason.Code == rollout.NothingRuns {
			text = fmt.Sprintf("%s is set to %s, and its desired count is 0", s.Name, revision)
		}
		if s.Reason.Code == rollout.StageReached {
			text = fmt.Sprintf("%s: the deployment of %s has reached %s", s.Name, revision, s.Reason.Stage)
		}
		return text
	case rollout.Unchanged:
		if s.Reason.Code == rollout.NothingRuns {
			return fmt.Sprintf("%s is already set to %s, and its desired count is 0", s.Name, revision)
		}
		return fmt.Sprintf("%s already runs %s: nothing to do", s.Name, revision)
	case "":
		return fmt.Sprintf("%s is moving to %s; not waited for", s.Name, revision)
	default:
		text := fmt.Sprintf("%s: %s", s.Name, outcomeWords(s.Outcome))
		if reason := brief(s, explain); reason != "" && failed(s) {
			text += ": " + reason
		}
		return text
	}
}

// inputs are the task's inputs by the kind of thing that they name.
var inputs = map[mistake.Kind]string{
	mistake.Cluster: "cluster", mistake.Service: "services", mistake.TaskDefinition: "taskDefinition", mistake.Container: "container",
	mistake.Image: "image", mistake.FurtherImage: "images", mistake.Repository: "repository", mistake.Tag: "tags", mistake.Platform: "image",
	mistake.Variable: "environment", mistake.Removal: "removeEnvironment", mistake.Secret: "secrets", mistake.CPU: "cpu", mistake.Memory: "memory",
	mistake.Command: "containerCommand", mistake.DesiredCount: "desiredCount", mistake.Force: "forceNewDeployment", mistake.Hook: "hookId",
	mistake.Build: "buildId", mistake.Order: "olderBuild", mistake.Busy: "whenBusy", mistake.SmokeTest: "smokeTest",
	mistake.Schedule:        "schedules",
	mistake.Vulnerabilities: "failOnVulnerabilities",
	mistake.LifecyclePolicy: "lifecyclePolicy",
	mistake.Creation:        "createRepository",
	mistake.Key:             "kmsKey",
}

// Named returns the error with the name of the input in which it was made, where
// one names the thing that it is about.
func Named(err error) error {
	if late, is := errors.AsType[*deploy.TimeoutError](err); is {
		text := "the run did not finish within " + limitWords(late.After, late.Kept)
		if late.Err == nil {
			return errors.New(text)
		}
		return fmt.Errorf("%s: %w", text, Named(late.Err))
	}
	if p, is := errors.AsType[*deploy.Permission](err); is {
		text, hint := checkText(deploy.Check{Err: p}, nil)
		return &mistake.Error{Text: text, Advice: hint}
	}
	if m, is := errors.AsType[*mistake.Error](err); is {
		return m.In(inputs[m.Kind])
	}
	if about, is := errors.AsType[*deploy.AboutError](err); is {
		if input := inputs[about.Kind]; input != "" {
			return fmt.Errorf("input %s: %w", input, err)
		}
	}
	return err
}
