// Deployments that shift traffic: BLUE_GREEN, CANARY and LINEAR. A second set of tasks is started beside the first, traffic moves over in one or
// several steps, lifecycle hooks may hold it up at most stages, and the first set goes when the second has baked. Where anything fails on the way,
// traffic moves back and the second set goes.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html

package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

var Stages = []string{scenario.ReconcileService, scenario.PreScaleUp, scenario.ScaleUp, scenario.PostScaleUp, scenario.TestShift, scenario.PostTestShift, scenario.PreShift, scenario.Shift, scenario.PostShift, scenario.BakeTime, scenario.CleanUp}

// StagePace is how long a stage takes at least.
const StagePace = 3 * time.Second

// hook is one run of a lifecycle hook.
type hook struct {
	id, stage string
	kind      string // PAUSE, AWS_LAMBDA
	target    string // ARN of the function
	status    string // AWAITING_ACTION, IN_PROGRESS, SUCCEEDED, FAILED, TIMED_OUT
	expires   time.Time
	action    string    // at the timeout: ROLLBACK, CONTINUE
	answers   time.Time // when the function does
}

// waits says whether the deployment waits for this hook.
func (h *hook) waits() bool { return h.status == "AWAITING_ACTION" || h.status == "IN_PROGRESS" }

func (h *hook) describe() awsapi.Object {
	o := awsapi.Object{"hookId": h.id, "targetType": h.kind, "status": h.status, "timeoutAction": h.action, "expiresAt": awsapi.Epoch(h.expires)}
	o.Put("targetArn", h.target)
	return o
}

// shifts says whether the release moves traffic from one set of tasks to another.
func (r *release) shifts() bool { return r.configuration.Str("strategy") != "ROLLING" }

// reached says whether the release has come to a stage, or past it.
func (r *release) reached(stage string) bool {
	return slices.Index(Stages, r.stage) >= slices.Index(Stages, stage)
}

// trafficSteps are the percentages of production traffic that a deployment goes through.
func trafficSteps(configuration awsapi.Object) []float64 {
	switch configuration.Str("strategy") {
	case "CANARY":
		return []float64{Decimal(configuration.Object("canaryConfiguration")["canaryPercent"]), 100}
	case "LINEAR":
		step := Decimal(configuration.Object("linearConfiguration")["stepPercent"])
		var steps []float64
		for n := 1; step*float64(n) < 100-1e-9; n++ {
			steps = append(steps, step*float64(n))
		}
		return append(steps, 100)
	}
	return []float64{100}
}

// stepBake is how long a step is watched before the next.
func stepBake(configuration awsapi.Object) time.Duration {
	minutes := 0
	switch configuration.Str("strategy") {
	case "CANARY":
		minutes = configuration.Object("canaryConfiguration").Number("canaryBakeTimeInMinutes", 0)
	case "LINEAR":
		minutes = configuration.Object("linearConfiguration").Number("stepBakeTimeInMinutes", 0)
	}
	return time.Duration(minutes) * time.Minute
}

// bake is how long a deployment is watched when all is done but for the end of the old tasks. A rolling update watches alarms for a time that ECS
// computes from the alarms themselves; here it is alarmBake.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
func (r *release) bake() time.Duration {
	minutes := r.configuration.Number("bakeTimeInMinutes", 0)
	if minutes == 0 && r.alarms != "DISABLED" && !r.shifts() {
		return alarmBake
	}
	return time.Duration(minutes) * time.Minute
}

const alarmBake = 2 * time.Minute

// enter begins a stage: its hooks start, and the traffic it moves is moved.
func (e *ECS) enter(s *Service, d *Deployment, stage string, now time.Time) {
	r := d.release
	r.stage, r.entered, r.updated = stage, now, now
	for _, h := range r.configuration.Objects("lifecycleHooks") {
		if slices.Contains(h.Strings("lifecycleStages"), stage) {
			r.hooks = append(r.hooks, e.newHook(h, stage, d.Revision.Scenario.HookFate(), now))
		}
	}
	switch stage {
	case scenario.ReconcileService:
		// Of several sets of tasks the one with the most traffic stays, and gets all of it.
		blue := s.blue(d)
		s.route(blue.Revision, d.Revision, 0)
		for _, o := range s.Deployments {
			if o != d && o != blue {
				e.stopAll(s, o, now, "Scaling activity initiated by (deployment "+d.id+")")
			}
		}
	case scenario.TestShift:
		if s.testRule() {
			for _, o := range s.Deployments {
				o.Revision.Test = 0
			}
			d.Revision.Test = 100
		}
	case scenario.Shift:
		if blue := s.blue(d); blue != nil {
			s.route(blue.Revision, d.Revision, r.steps[0])
		} else {
			d.Revision.Production = r.steps[0]
		}
		r.steps = r.steps[1:]
	}
}

// route gives a share of the production traffic to one revision, and the rest to the other.
func (s *Service) route(blue, green *revision, percent float64) {
	for _, d := range s.Deployments {
		d.Revision.Production = 0
	}
	blue.Production, green.Production = 100-percent, percent
}

// blue is the deployment that a service comes from when it moves to d: the one with the most production traffic; nil where there is none.
func (s *Service) blue(d *Deployment) *Deployment {
	var best *Deployment
	for _, o := range s.Deployments {
		if o != d && (best == nil || o.Revision.Production > best.Revision.Production) {
			best = o
		}
	}
	return best
}

func (s *Service) testRule() bool {
	return slices.ContainsFunc(s.Doc.Objects("loadBalancers"), func(lb awsapi.Object) bool { return lb.Object("advancedConfiguration").Has("testListenerRule") })
}

// newHook starts one run of a configured hook.
func (e *ECS) newHook(configured awsapi.Object, stage string, lambda scenario.Lambda, now time.Time) *hook {
	h := &hook{
		stage: stage, kind: cmp.Or(configured.Str("targetType"), "AWS_LAMBDA"), target: configured.Str("hookTargetArn"),
		action: cmp.Or(configured.Object("timeoutConfiguration").Str("action"), "ROLLBACK"),
	}
	h.expires = now.Add(e.Scaled(time.Duration(configured.Object("timeoutConfiguration").Number("timeoutInMinutes", 1440)) * time.Minute))
	if h.kind == "PAUSE" {
		h.id, h.status = "ecs-pause-"+e.ID(awsapi.HookID), "AWAITING_ACTION"
	} else {
		h.id, h.status, h.answers = "ecs-lambda-"+e.ID(awsapi.HookID), "IN_PROGRESS", now.Add(e.Scaled(lambda.Takes))
		if lambda.Fails {
			h.action = "ROLLBACK"
		}
	}
	return h
}

// progress takes the primary deployment through its stages as far as it comes now.
func (e *ECS) progress(s *Service, d *Deployment, now time.Time) {
	r := d.release
	if r.stage == "" {
		first := scenario.PreScaleUp
		if len(r.sources) > 1 {
			first = scenario.ReconcileService
		}
		e.enter(s, d, first, now)
		return
	}
	for _, h := range r.hooks {
		if !h.waits() {
			continue
		}
		if why, failed := h.advance(d.Revision.Scenario.HookFate(), now); failed {
			e.failDeployment(s, d, now, why, true)
			return
		}
		if h.waits() {
			return
		}
	}
	if now.Sub(r.entered) < e.Scaled(StagePace) {
		return
	}
	next := Stages[slices.Index(Stages, r.stage)+1:]
	switch r.stage {
	case scenario.ReconcileService:
		if len(s.Deployments) > 2 {
			return // the set of tasks in between has not gone yet
		}
	case scenario.ScaleUp:
		if s.Ready(d) < s.Desired {
			return
		}
	case scenario.Shift:
		if len(r.steps) > 0 {
			if now.Sub(r.entered) < e.Scaled(stepBake(r.configuration)) {
				return
			}
			next = Stages[slices.Index(Stages, scenario.PreShift):]
		}
	case scenario.BakeTime:
		if now.Sub(r.entered) < e.Scaled(r.bake()) {
			return
		}
	case scenario.CleanUp:
		return // settle ends it
	}
	if next[0] == scenario.BakeTime && r.bake() == 0 {
		next = next[1:]
	}
	e.enter(s, d, next[0], now)
}

// advance brings a hook up to the present, and says why the deployment fails if it does.
func (h *hook) advance(lambda scenario.Lambda, now time.Time) (why cause, failed bool) {
	switch {
	case h.kind == "AWS_LAMBDA" && !now.Before(h.answers):
		if !lambda.Fails {
			h.status = "SUCCEEDED"
			return cause{}, false
		}
		h.status = "FAILED"
		return hookFailed(h.stage, "Lifecycle hook target "+h.target+" returned FAILED status."), true
	case !now.Before(h.expires):
		h.status = "TIMED_OUT"
		if h.action == "CONTINUE" {
			return cause{}, false
		}
		if h.kind == "PAUSE" {
			return because(h.stage + " pause hook timed out."), true
		}
		return hookFailed(h.stage, "Lifecycle hook target "+h.target+" timed out."), true
	}
	return cause{}, false
}

// because is a cause that is told in the same words everywhere.
func because(reason string) cause {
	whole := "Service deployment rolled back because " + reason
	return cause{rollout: "ECS deployment failed: " + whole, event: whole, because: reason}
}

func hookFailed(stage, what string) cause {
	return because(strings.TrimSpace(stage + " lifecycle hook(s) failed. " + what))
}

// giveBack is the rollback of a deployment that shifts traffic: once the blue tasks are all there they get the traffic again, and the others go.
func (e *ECS) giveBack(s *Service, d *Deployment, now time.Time) {
	r := d.release
	if s.Ready(d) < s.Desired {
		return
	}
	switch {
	case !r.returning:
		r.returning, r.stage, r.entered, r.updated = true, scenario.Shift, now, now
		for _, o := range s.Deployments {
			o.Revision.Production, o.Revision.Test = 0, 0
		}
		d.Revision.Production = 100
		if s.testRule() {
			d.Revision.Test = 100
		}
	case r.stage == scenario.Shift && now.Sub(r.entered) >= e.Scaled(StagePace):
		r.stage, r.entered, r.updated = scenario.TestShift, now, now
	case r.stage == scenario.TestShift && now.Sub(r.entered) >= e.Scaled(StagePace):
		r.stage, r.entered, r.updated = scenario.CleanUp, now, now
	}
}

// Ready counts the tasks of a deployment that are healthy in every respect.
func (s *Service) Ready(d *Deployment) int {
	n := 0
	for _, t := range s.tasks(d) {
		if t.wanted() && t.Ready {
			n++
		}
	}
	return n
}

// stopAll stops every task of a deployment.
func (e *ECS) stopAll(s *Service, d *Deployment, now time.Time, reason string) {
	var stopped []string
	for _, t := range s.tasks(d) {
		if t.wanted() {
			e.stop(t, now, "ServiceSchedulerInitiated", reason)
			stopped = append(stopped, "(task "+t.id+")")
		}
	}
	if stopped != nil {
		e.event(s, now, fmt.Sprintf("has stopped %d running tasks: %s.", len(stopped), strings.Join(stopped, " ")))
	}
}

// hookForm is how hook ids look.
func hookForm(id string) bool {
	parts := strings.SplitN(id, "-", 3)
	return len(parts) == 3 && parts[0] == "ecs" && (parts[1] == "pause" || parts[1] == "lambda") && parts[2] != ""
}

// continueServiceDeployment answers a pause hook. Codes are those of the API reference, words those of the developer guide:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContinueServiceDeployment.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshooting-blue-green.html
func (e *ECS) continueServiceDeployment(c *awsapi.Invocation) (awsapi.Object, error) {
	invalid := func(message string) (awsapi.Object, error) {
		return nil, awsapi.Errorf("InvalidParameterException", "%s", message)
	}
	arn, id := c.In.Str("serviceDeploymentArn"), c.In.Str("hookId")
	if err := checkARNs([]string{arn}, "Service deployment arn", "service-deployment"); err != nil {
		return nil, err
	}
	if !hookForm(id) {
		return invalid("Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}")
	}
	r := e.findRelease(arn)
	if r == nil {
		return nil, awsapi.Errorf("ServiceDeploymentNotFoundException", "The service deployment does not exist.")
	}
	if r.final() {
		return invalid("Continuing a service deployment is not allowed for service deployment in terminal states.")
	}
	i := slices.IndexFunc(r.hooks, func(h *hook) bool { return h.id == id })
	if i < 0 || r.hooks[i].status != "AWAITING_ACTION" || r.status != "IN_PROGRESS" {
		return invalid("Provided hookId is either completed, unavailable, or not associated with the given Resource ARN")
	}
	h := r.hooks[i]
	r.updated, e.Busy = c.Now, true
	if cmp.Or(c.In.Str("action"), "CONTINUE") == "CONTINUE" {
		h.status = "SUCCEEDED"
		c.Change.Deployment, c.Change.Effect = "ecs-svc/"+r.target.id, "continued"
		return awsapi.Object{"serviceDeploymentArn": r.arn}, nil
	}
	h.status = "FAILED"
	r.stoppedBy = c.Principal
	c.Change.Deployment, c.Change.Effect = "ecs-svc/"+r.target.id, "rolled back"
	if p := r.service.primary(); p != nil && p.release == r {
		e.failDeployment(r.service, p, c.Now, hookFailed(h.stage, ""), true)
	}
	return awsapi.Object{"serviceDeploymentArn": r.arn}, nil
}
