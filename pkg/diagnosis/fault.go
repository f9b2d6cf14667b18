package diagnosis

// Whose fault it is that a task ended or could not be started, and whether a
// deployment can still succeed: pure. A deployment is given up early only for
// what its revision, or what the revision names, will do to the next task too.
// Missing capacity, trouble with placement and with the machines underneath pass
// without the revision, and are waited for. The texts to recognise are those of
//
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/failed-to-start-error.html
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
//   - https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html

import (
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

// Fault is whose fault it is that tasks end or cannot be started.
type Fault string

// The kinds of fault.
const (
	// Nobody: the tasks were not needed any more, somebody stopped them, or they
	// have not ended.
	Nobody Fault = ""
	// Revision: the revision, or what it names: image, command, secrets, roles,
	// log configuration, health checks, and the route to them. The next task will
	// end in the same way.
	Revision Fault = "revision"
	// Capacity: there is no instance, address, interface, quota or Spot capacity
	// for the task at the moment.
	Capacity Fault = "capacity"
	// Environment: the cluster, its instances, its load balancer or AWS itself are
	// in a state in which the task cannot be started or kept.
	Environment Fault = "environment"
)

// Waits reports whether the cause may pass while the revision stays as it is, so
// that a deployment waits for it.
func (c Cause) Waits() bool { return c.Fault == Capacity || c.Fault == Environment }

// bareStart is how ECS words that a task did not start where only its containers
// say why.
var bareStart = regexp.MustCompile(`(?i)^(.*reason: )?(taskfailedtostart: )?task failed to start\.?$`)

// Decisive reports whether the text of a cause says enough to tell whose fault it
// is: "Task failed to start" leaves that to the task's containers.
func Decisive(c Cause) bool { return !bareStart.MatchString(c.Reason) }

// faultRow recognises whose fault a text of ECS speaks of.
type faultRow struct {
	pattern *regexp.Regexp
	fault   Fault
}

func faultRows(rows ...[2]string) func() []faultRow {
	// Compiled when it is first asked for: most runs have nothing to explain.
	return sync.OnceValue(func() []faultRow {
		compiled := make([]faultRow, len(rows))
		for i, r := range rows {
			compiled[i] = faultRow{regexp.MustCompile(`(?i)` + r[0]), Fault(r[1])}
		}
		return compiled
	})
}

// initialisation is about ResourceInitializationError, whose texts quote names
// that users chose; so these rows are narrow, and everything else is the
// revision's.
var initialisation = faultRows(
	[2]string{`unable to launch instance.*((insufficient|unfulfillable)\w*capacity|\w*exceeded\b|maxpricetoolow|insufficientfreeaddresses)`, string(Capacity)},
	[2]string{`unable to launch instance`, string(Environment)}, // UnauthorizedOperation: the infrastructure role; Unsupported: the instance type
	[2]string{`insufficientfreeaddresses`, string(Capacity)},
	[2]string{`failed to configure eni|setup regular eni|netplugin failed`, string(Environment)},
	[2]string{`throttlingexception|rate exceeded|toomanyrequestsexception`, string(Environment)},
)

// placement is about everything that ECS says before an agent has the task, and
// about what it says of tasks that ran.
var placement = faultRows(
	// What may be had later: room on an instance, an instance, an address, a quota.
	[2]string{`\bresource:`, string(Capacity)},
	[2]string{`no active instances|empty capacity provider|no container instances were found`, string(Capacity)},
	[2]string{`capacity is unavailable|insufficient capacity|insufficient\w*capacity|unfulfillablecapacity|spotmaxpricetoolow`, string(Capacity)},
	[2]string{`\w*(count|limit)exceeded\b|reached the limit|above your limit|limit on the number of|quota`, string(Capacity)},
	[2]string{`insufficientfreeaddresses|(not|insufficient|no)\b.*(free|available) (ip )?address|public ip assignment (en|dis)abled in subnet '[^']*'?\.?$`, string(Capacity)},
	[2]string{`unused device index|eni\b.*\blimit`, string(Capacity)},
	[2]string{`no container instance met.*(insufficient|already using)|no container instance met all of its requirements\.?$`, string(Capacity)},
	[2]string{`spot (task was )?interrupt`, string(Capacity)},
	// What is wrong with the cluster, its instances or AWS.
	[2]string{`no container instance met|placement constraint|^(taskfailedtostart: )?(agent|attribute|location)\b`, string(Environment)},
	[2]string{`host ec2|container instance.*(drain|deregister|terminat)|amazon ecs agent`, string(Environment)},
	[2]string{`maintenance|task retirement|scheduled.*retire|unhealthy host|underlying (host|hardware|infrastructure)|availability zone.*(impaired|unavailable)`, string(Environment)},
	[2]string{`throttl|rate (limit )?exceeded|internal ?error|service ?unavailable`, string(Environment)},
	[2]string{`network interface|unexpected ec2 error|timeout waiting for|timed out waiting for`, string(Environment)},
)

// firstFault returns the fault of the first row that fits.
func firstFault(rows []faultRow, text string) (Fault, bool) {
	for _, r := range rows {
		if r.pattern.MatchString(text) {
			return r.fault, true
		}
	}
	return Nobody, false
}

// named is how an agent begins a reason: CannotPullContainerError: …
var named = regexp.MustCompile(`(?i)^(taskfailedtostart: )?(\w+(error|exception)): `)

// stopFault is whose fault it is that tasks stopped as c says.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html (stopCode)
func stopFault(c Cause) Fault {
	switch types.TaskStopCode(c.StopCode) {
	case types.TaskStopCodeSpotInterruption, types.TaskStopCodeTerminationNotice:
		return Capacity
	case types.TaskStopCodeInfrastructureHealth:
		return Environment
	case types.TaskStopCodeUserInitiated:
		return Nobody
	case types.TaskStopCodeTaskFailedToStart:
		return startFault(c)
	case types.TaskStopCodeEssentialContainerExited:
		if fault, ok := firstFault(placement(), c.Reason); ok {
			return fault
		}
		return Revision
	}
	// The scheduler stopped it, or ECS gives no code that is known here.
	switch {
	case containsFold(c.Reason, "health check") && c.Reason != runningUnhealthy, containsFold(c.Reason, "essential container"):
		return Revision
	case named.MatchString(c.Reason):
		return startFault(c)
	}
	fault, _ := firstFault(placement(), c.Reason)
	return fault
}

// startFault is whose fault it is that tasks could not be started. Where ECS's
// words are not known, it is the revision's if a container says that an agent had
// the task, and else the cluster's: the deployment's own limits are still there.
func startFault(c Cause) Fault {
	reason := strings.ToLower(c.Reason)
	if m := named.FindStringSubmatch(reason); m != nil {
		switch m[2] {
		case "resourceinitializationerror":
			if fault, ok := firstFault(initialisation(), reason); ok {
				return fault
			}
			return Revision
		case "internalerror", "serverexception", "throttlingexception":
			return Environment
		}
		if strings.HasPrefix(m[2], "cannot") {
			return Revision
		}
	}
	if noRole.MatchString(reason) {
		return Revision
	}
	if fault, ok := firstFault(placement(), reason); ok {
		return fault
	}
	if named.MatchString(reason) {
		return Revision
	}
	for _, e := range c.Containers {
		if e.ExitCode != nil || e.Reason != "" {
			return Revision
		}
	}
	return Environment
}

// eventFault is whose fault an event speaks of.
func eventFault(reason string) Fault {
	if _, inner, ok := strings.Cut(reason, "Reason: "); ok {
		return startFault(Cause{Reason: inner})
	}
	if _, inner, ok := strings.Cut(reason, "(error "); ok && !containsFold(reason, "register targets") {
		return startFault(Cause{Reason: inner})
	}
	return startFault(Cause{Reason: reason})
}

// Hopeless returns the cause for which a deployment cannot succeed: one for which
// most or more of its tasks stopped and that the next task will meet too. false
// where there is none, and where most is 0 or less. causes are those of
// [StopCauses]; events are for [Unlaunchable].
func Hopeless(causes []Cause, most int) (Cause, bool) {
	for _, c := range causes {
		if most > 0 && !c.Event && c.Count >= most && c.Fault == Revision {
			return c, true
		}
	}
	return Cause{}, false
}

// roleSettles is how long a new role may be unknown to ECS, whose first attempts
// then fail and a later one does not: https://github.com/pulumi/pulumi-awsx/issues/927.
const roleSettles = 2 * time.Minute

// noRole is how ECS words that a role of the task definition does not exist,
// does not trust it, or may not be passed.
var noRole = regexp.MustCompile(`(?i)unable to assume the role`)

// Unlaunchable returns the cause for which no task of a deployment can be
// started: most or more attempts since it began failed for a role, over a longer
// time than a new role needs to become known. Such attempts leave no stopped task
// behind. tasks is how many of the deployment's tasks run or are pending: where
// there are any, the role can be assumed. events come newest first.
func Unlaunchable(events []ecs.Message, since time.Time, tasks, most int) (Cause, bool) {
	var attempts []ecs.Message
	for _, e := range events {
		if !e.Time.Before(since) && noRole.MatchString(e.Text) {
			attempts = append(attempts, e)
		}
	}
	n := len(attempts)
	if most <= 0 || n < most || tasks > 0 || attempts[0].Time.Sub(attempts[n-1].Time) < roleSettles {
		return Cause{}, false
	}
	cause := eventCause(attempts[0].Text)
	cause.Count = n
	return cause, true
}

// Awaited returns the first of the causes that a deployment waits for; false where
// it waits for none of them.
func Awaited(causes []Cause) (Cause, bool) {
	for _, c := range causes {
		if c.Waits() {
			return c, true
		}
	}
	return Cause{}, false
}
