package report

// Why a rollout ended as it did, in words: reasons and rollbacks.

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// outcomeWords says an outcome as people do.
func outcomeWords(o rollout.Outcome) string {
	switch o {
	case "":
		return "not waited for"
	case rollout.RolledBack:
		return "rolled back"
	case rollout.TimedOut:
		return "timed out"
	default:
		return string(o)
	}
}

// reasonText is the reason of a verdict within a sentence. controller is who
// deploys: ECS or CodeDeploy.
func reasonText(r rollout.Reason, controller string) string {
	controller = cmp.Or(controller, "ECS")
	switch r.Code {
	case rollout.ServiceDeleted:
		return "the service was deleted during the deployment"
	case rollout.ServiceDraining:
		return "the service is being deleted"
	case rollout.DeploymentFailed:
		return because("the deployment failed", withAlarms(r))
	case rollout.DeploymentStopped:
		return because("the deployment was stopped", withAlarms(r))
	case rollout.RolledBackByECS:
		return because(controller+" rolled back the deployment", withAlarms(r))
	case rollout.RolledBackByTask:
		return "this task requested the rollback"
	case rollout.RollbackFailed:
		return because("the deployment failed, and its rollback failed too", withAlarms(r))
	case rollout.ReplacedByOther:
		return fmt.Sprintf("another deployment (%s) replaced this one", deploymentName(r.By, r.Revision))
	case rollout.TasksFail:
		return fmt.Sprintf("%s failed for the same reason (maxFailedTasks: %d): %s", count(r.Count, "task"), r.Limit, shorten(r.Cause.Clause(), briefLength))
	case rollout.TasksNotStarted:
		return fmt.Sprintf("%s to start a task failed for the same reason (maxFailedTasks: %d): the service %s", count(r.Count, "attempt"), r.Limit, shorten(r.Cause.Clause(), briefLength))
	case rollout.HookWaits:
		return hookText(r)
	case rollout.ReadyWaits:
		return "CodeDeploy deployment " + r.By + " is paused and waits to be told to shift the traffic"
	case rollout.NotInTime:
		return notInTime(r)
	case rollout.Unread:
		return because("whether the deployment completed within "+limitWords(r.After, r.Kept)+" is not known: AWS did not answer at the end", r.Detail)
	case rollout.StartUnknown:
		return "it is not known what became of the start of the deployment: AWS did not answer, or the service does not show it"
	case rollout.WrongDigest:
		return "the deployment completed, but tasks run another image"
	case rollout.CompletedAnyway:
		return "the deployment completed before it could be stopped"
	case deploy.OutOfTurn:
		return fmt.Sprintf("the service was not changed: the rollout to service %s, which goes before it (order), did not succeed", r.Detail)
	case deploy.SmokeTestFailed:
		return "the smoke test did not pass"
	case deploy.NotMigrated:
		return "the migration before the rollout did not succeed; the service was not changed"
	case deploy.ScheduleFailed:
		return fmt.Sprintf("%s could not be moved to the new revision, and the services are rolled back with it (onFailure: rollback)", r.Detail)
	case deploy.SiblingFailed:
		return fmt.Sprintf("the rollout to service %s failed, and all services of the step are rolled back (onFailure: rollback)", r.Detail)
	}
	return noteText(r, controller)
}

// noteText says what is special about a success.
func noteText(r rollout.Reason, controller string) string {
	switch r.Code {
	case rollout.TrafficShifted:
		text := "all production traffic is on the new revision"
		switch {
		case controller == "CodeDeploy" && r.Left > 0:
			text += fmt.Sprintf("; CodeDeploy stops the previous tasks after %s", Duration(r.Left))
		case controller == "CodeDeploy":
			text += "; CodeDeploy stops the previous tasks next"
		case r.Stage != "":
			text += "; " + controller + " continues with " + plain(r.Stage)
		}
		return text
	case rollout.StageReached:
		return "the deployment has reached the stage " + r.Stage + " and is still in progress"
	case rollout.WaitsOn:
		if r.Stage == "CLEAN_UP" {
			return fmt.Sprintf("all production traffic is on the new revision, and the full count of tasks runs; the previous tasks did not stop within %s (timeoutMinutes): %s waits for them, up to the deregistration delay of the target group and the stopTimeout of the containers",
				minutes(r.After), controller)
		}
		return fmt.Sprintf("all production traffic is on the new revision, and the full count of tasks runs; timeoutMinutes allows %s, and the service's configuration takes at least %s: %s continues with %s, and its alarms may still roll back",
			minutes(r.After), Duration(r.Left), controller, cmp.Or(plain(r.Stage), "the rest"))
	case rollout.EarlySuccess:
		text := fmt.Sprintf("ECS reports success with %d of %d tasks running (early success criteria): it continues to replace tasks, and neither circuit breaker nor alarms apply any more", r.Running, r.Desired)
		if r.Cause != nil {
			text += fmt.Sprintf("; %s failed for the same reason: %s", count(r.Count, "task"), shorten(r.Cause.Clause(), briefLength))
		}
		return text
	case rollout.NothingRuns:
		return "the desired count is 0: no task runs, and nothing was verified"
	}
	return r.Detail
}

func withAlarms(r rollout.Reason) string {
	text := strings.TrimSuffix(r.Detail, ".")
	if len(r.Alarms) > 0 {
		text = strings.TrimPrefix(text+"; alarms "+strings.Join(r.Alarms, ", "), "; ")
	}
	return text
}

// deploymentName names a deployment as the console does: its id and revision.
func deploymentName(id, revision string) string {
	if revision == "" {
		return id
	}
	return id + ", revision " + ecs.ShortARN(revision)
}

func hookText(r rollout.Reason) string {
	text := "the deployment is paused at lifecycle hook " + r.Hook.ID
	if r.Stage != "" {
		text += " (stage " + r.Stage + ")"
	}
	if !r.Hook.Expires.IsZero() {
		action := "takes the hook's timeout action"
		switch r.Hook.Timeout {
		case "ROLLBACK":
			action = "rolls back"
		case "CONTINUE":
			action = "continues"
		}
		text += fmt.Sprintf("; without an answer ECS %s at %s UTC", action, r.Hook.Expires.UTC().Format("2006-01-02 15:04"))
	}
	return text
}

// limitWords is a time limit and the input that sets it, of which kept is for a
// rollback.
func limitWords(after, kept time.Duration) string {
	if kept > 0 {
		return fmt.Sprintf("%s (timeoutMinutes: %g, including %s kept for a rollback)", minutes(after), (after + kept).Minutes(), minutes(kept))
	}
	return minutes(after) + " (timeoutMinutes)"
}

func notInTime(r rollout.Reason) string {
	text := "the deployment did not complete within " + limitWords(r.After, r.Kept)
	if r.Desired > 0 {
		text += fmt.Sprintf("; %d of %s running", r.Running, count(r.Desired, "task"))
	}
	return text
}

// rollbackText says what came of a rollback within a sentence; "" where none was
// tried and none is worth a word.
func rollbackText(b deploy.Rollback, controller string) string {
	to := ecs.ShortARN(b.To)
	controller = cmp.Or(controller, "ECS")
	switch {
	case b.Done:
		return "rolled back to " + to
	case b.Code == deploy.TrafficStays:
		return "all production traffic is on the new revision already, so it was not rolled back; waitUntil: traffic does not wait for the rest"
	case !b.Wanted:
		return ""
	}
	switch b.Code {
	case deploy.NoEarlierRevision:
		return "not rolled back: no other revision of the service has had a successful deployment"
	case deploy.OnlyPlaceholder:
		return "not rolled back: what ran before is the placeholder image"
	case deploy.SameRevision:
		return "not rolled back: " + to + " is what was rolled out, and there is no other revision to go back to"
	case deploy.OthersDeployment:
		return "not rolled back: another deployment has replaced this one"
	case deploy.RollbackUnknown:
		text := "it is not known whether the rollback to " + to + " was begun"
		if b.Err != nil {
			text += ": " + b.Err.Error()
		}
		return text
	case deploy.StillInProgress:
		text := fmt.Sprintf("the rollback to %s is still in progress in %s; its result is unknown", to, controller)
		if b.Err != nil {
			text += " (" + b.Err.Error() + ")"
		}
		return text
	case deploy.EndedBadly:
		return because("the rollback to "+to+" failed", reasonText(b.Reason, controller))
	}
	if b.Err != nil {
		return "not rolled back: " + b.Err.Error()
	}
	return "not rolled back"
}

// statusWords says of a deployment in a sentence where it stands.
func statusWords(status string) string {
	switch status {
	case "Created":
		return "has not begun yet"
	case "Succeeded", "SUCCESSFUL":
		return "has succeeded"
	case "Failed":
		return "has failed"
	case "Stopped", "STOPPED":
		return "was stopped"
	case "":
		return "has no status"
	}
	return "is " + plain(status)
}

// countsText says how many tasks a deployment has.
func countsText(c rollout.Counts) string { return healthText(c, -1) }

// healthText says how many tasks a deployment has, and how many of the running ones
// are healthy; -1 is not known.
func healthText(c rollout.Counts, healthy int) string {
	text := fmt.Sprintf("%d of %d running", c.Running, c.Desired)
	if healthy >= 0 {
		text += fmt.Sprintf(", %d healthy", healthy)
	}
	if c.Pending > 0 {
		text += fmt.Sprintf(", %d pending", c.Pending)
	}
	if c.Failed > 0 {
		text += fmt.Sprintf(", %d failed", c.Failed)
	}
	if c.Others > 0 {
		text += fmt.Sprintf("; %d of the previous deployment", c.Others)
	}
	return text
}

// stageText says where a deployment with a strategy of its own stands.
func stageText(s rollout.Stage) string {
	var parts []string
	if s.Name != "TRAFFIC" { // CodeDeploy names no stage
		parts = append(parts, plain(s.Name))
	}
	if s.Traffic != nil {
		parts = append(parts, fmt.Sprintf("%g %% of production traffic on the new revision", *s.Traffic))
	}
	text := strings.Join(parts, ", ")
	switch {
	case s.Left > 0 && s.Name == "TRAFFIC":
		text += "; CodeDeploy stops the previous tasks after " + Duration(s.Left)
	case s.Left > 0:
		text += ", " + Duration(s.Left.Round(time.Minute)) + " left"
	}
	return text
}

// serviceText says in one line where a service stands.
func serviceText(s ecs.Service) string {
	text := fmt.Sprintf("the service is set to %s, %d of %s running", ecs.ShortARN(s.TaskDefinition), s.Running, count(s.Desired, "task"))
	if s.Pending > 0 {
		text += fmt.Sprintf(", %d pending", s.Pending)
	}
	if state := s.Primary().RolloutState; state != "" {
		text += "; its deployment " + s.Primary().ID + " is " + state
	}
	return text
}
