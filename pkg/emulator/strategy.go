// Deployments that shift traffic: BLUE_GREEN, CANARY and LINEAR. A second set of tasks is started beside the first, traffic moves over in one or
// several steps, lifecycle hooks may hold it up at most stages, and the first set goes when the second has baked. Where anything fails on the way,
// traffic moves back and the second set goes.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html

package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

var stages = []string{reconcileService, preScaleUp, scaleUp, postScaleUp, testShift, postTestShift, preShift, shift, postShift, bakeTime, cleanUp}

// stagePace is how long a stage takes at least.
const stagePace = 3 * time.Second

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

func (h *hook) describe() object {
	o := object{"hookId": h.id, "targetType": h.kind, "status": h.status, "timeoutAction": h.action, "expiresAt": epoch(h.expires)}
	o.put("targetArn", h.target)
	return o
}

// shifts says whether the release moves traffic from one set of tasks to another.
func (r *release) shifts() bool { return r.configuration.str("strategy") != "ROLLING" }

// reached says whether the release has come to a stage, or past it.
func (r *release) reached(stage string) bool {
	return slices.Index(stages, r.stage) >= slices.Index(stages, stage)
}

// trafficSteps are the percentages of production traffic that a deployment goes through.
func trafficSteps(configuration object) []float64 {
	switch configuration.str("strategy") {
	case "CANARY":
		return []float64{decimal(configuration.object("canaryConfiguration")["canaryPercent"]), 100}
	case "LINEAR":
		step := decimal(configuration.object("linearConfiguration")["stepPercent"])
		var steps []float64
		for n := 1; step*float64(n) < 100-1e-9; n++ {
			steps = append(steps, step*float64(n))
		}
		return append(steps, 100)
	}
	return []float64{100}
}

// stepBake is how long a step is watched before the next.
func stepBake(configuration object) time.Duration {
	minutes := 0
	switch configuration.str("strategy") {
	case "CANARY":
		minutes = configuration.object("canaryConfiguration").number("canaryBakeTimeInMinutes", 0)
	case "LINEAR":
		minutes = configuration.object("linearConfiguration").number("stepBakeTimeInMinutes", 0)
	}
	return time.Duration(minutes) * time.Minute
}

// bake is how long a deployment is watched when all is done but for the end of the old tasks. A rolling update watches alarms for a time that ECS
// computes from the alarms themselves; here it is alarmBake.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
func (r *release) bake() time.Duration {
	minutes := r.configuration.number("bakeTimeInMinutes", 0)
	if minutes == 0 && r.alarms != "DISABLED" && !r.shifts() {
		return alarmBake
	}
	return time.Duration(minutes) * time.Minute
}

const alarmBake = 2 * time.Minute

// enter begins a stage: its hooks start, and the traffic it moves is moved.
func (e *ECS) enter(s *service, d *deployment, stage string, now time.Time) {
	r := d.release
	r.stage, r.entered, r.updated = stage, now, now
	for _, h := range r.configuration.objects("lifecycleHooks") {
		if slices.Contains(h.strings("lifecycleStages"), stage) {
			r.hooks = append(r.hooks, e.newHook(h, stage, d.revision.scenario.lambda(), now))
		}
	}
	switch stage {
	case reconcileService:
		// Of several sets of tasks the one with the most traffic stays, and gets all of it.
		blue := s.blue(d)
		s.route(blue.revision, d.revision, 0)
		for _, o := range s.deployments {
			if o != d && o != blue {
				e.stopAll(s, o, now, "Scaling activity initiated by (deployment "+d.id+")")
			}
		}
	case testShift:
		if s.testRule() {
			for _, o := range s.deployments {
				o.revision.test = 0
			}
			d.revision.test = 100
		}
	case shift:
		if blue := s.blue(d); blue != nil {
			s.route(blue.revision, d.revision, r.steps[0])
		} else {
			d.revision.production = r.steps[0]
		}
		r.steps = r.steps[1:]
	}
}

// route gives a share of the production traffic to one revision, and the rest to the other.
func (s *service) route(blue, green *revision, percent float64) {
	for _, d := range s.deployments {
		d.revision.production = 0
	}
	blue.production, green.production = 100-percent, percent
}

// blue is the deployment that a service comes from when it moves to d: the one with the most production traffic; nil where there is none.
func (s *service) blue(d *deployment) *deployment {
	var best *deployment
	for _, o := range s.deployments {
		if o != d && (best == nil || o.revision.production > best.revision.production) {
			best = o
		}
	}
	return best
}

func (s *service) testRule() bool {
	return slices.ContainsFunc(s.doc.objects("loadBalancers"), func(lb object) bool { return lb.object("advancedConfiguration").has("testListenerRule") })
}

// newHook starts one run of a configured hook.
func (e *ECS) newHook(configured object, stage string, lambda Lambda, now time.Time) *hook {
	h := &hook{
		stage: stage, kind: cmp.Or(configured.str("targetType"), "AWS_LAMBDA"), target: configured.str("hookTargetArn"),
		action: cmp.Or(configured.object("timeoutConfiguration").str("action"), "ROLLBACK"),
	}
	h.expires = now.Add(e.scaled(time.Duration(configured.object("timeoutConfiguration").number("timeoutInMinutes", 1440)) * time.Minute))
	if h.kind == "PAUSE" {
		h.id, h.status = "ecs-pause-"+e.id(hookID), "AWAITING_ACTION"
	} else {
		h.id, h.status, h.answers = "ecs-lambda-"+e.id(hookID), "IN_PROGRESS", now.Add(e.scaled(lambda.Takes))
		if lambda.Fails {
			h.action = "ROLLBACK"
		}
	}
	return h
}

// progress takes the primary deployment through its stages as far as it comes now.
func (e *ECS) progress(s *service, d *deployment, now time.Time) {
	r := d.release
	if r.stage == "" {
		first := preScaleUp
		if len(r.sources) > 1 {
			first = reconcileService
		}
		e.enter(s, d, first, now)
		return
	}
	for _, h := range r.hooks {
		if !h.waits() {
			continue
		}
		if why, failed := h.advance(d.revision.scenario.lambda(), now); failed {
			e.failDeployment(s, d, now, why, true)
			return
		}
		if h.waits() {
			return
		}
	}
	if now.Sub(r.entered) < e.scaled(stagePace) {
		return
	}
	next := stages[slices.Index(stages, r.stage)+1:]
	switch r.stage {
	case reconcileService:
		if len(s.deployments) > 2 {
			return // the set of tasks in between has not gone yet
		}
	case scaleUp:
		if s.ready(d) < s.desired {
			return
		}
	case shift:
		if len(r.steps) > 0 {
			if now.Sub(r.entered) < e.scaled(stepBake(r.configuration)) {
				return
			}
			next = stages[slices.Index(stages, preShift):]
		}
	case bakeTime:
		if now.Sub(r.entered) < e.scaled(r.bake()) {
			return
		}
	case cleanUp:
		return // settle ends it
	}
	if next[0] == bakeTime && r.bake() == 0 {
		next = next[1:]
	}
	e.enter(s, d, next[0], now)
}

// advance brings a hook up to the present, and says why the deployment fails if it does.
func (h *hook) advance(lambda Lambda, now time.Time) (why cause, failed bool) {
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

// giveBack is the way back of a deployment that shifts traffic: once the blue tasks are all there they get the traffic again, and the others go.
func (e *ECS) giveBack(s *service, d *deployment, now time.Time) {
	r := d.release
	if s.ready(d) < s.desired {
		return
	}
	switch {
	case !r.returning:
		r.returning, r.stage, r.entered, r.updated = true, shift, now, now
		for _, o := range s.deployments {
			o.revision.production, o.revision.test = 0, 0
		}
		d.revision.production = 100
		if s.testRule() {
			d.revision.test = 100
		}
	case r.stage == shift && now.Sub(r.entered) >= e.scaled(stagePace):
		r.stage, r.entered, r.updated = testShift, now, now
	case r.stage == testShift && now.Sub(r.entered) >= e.scaled(stagePace):
		r.stage, r.entered, r.updated = cleanUp, now, now
	}
}

// ready counts the tasks of a deployment that are healthy in every respect.
func (s *service) ready(d *deployment) int {
	n := 0
	for _, t := range s.tasks(d) {
		if t.wanted() && t.ready {
			n++
		}
	}
	return n
}

// stopAll stops every task of a deployment.
func (e *ECS) stopAll(s *service, d *deployment, now time.Time, reason string) {
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
func (e *ECS) continueServiceDeployment(c *call) (object, error) {
	invalid := func(message string) (object, error) {
		return nil, apiErrorf("InvalidParameterException", "%s", message)
	}
	arn, id := c.in.str("serviceDeploymentArn"), c.in.str("hookId")
	if err := checkARNs([]string{arn}, "Service deployment arn", "service-deployment"); err != nil {
		return nil, err
	}
	if !hookForm(id) {
		return invalid("Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}")
	}
	r := e.findRelease(arn)
	if r == nil {
		return nil, apiErrorf("ServiceDeploymentNotFoundException", "The service deployment does not exist.")
	}
	if r.final() {
		return invalid("Continuing a service deployment is not allowed for service deployment in terminal states.")
	}
	i := slices.IndexFunc(r.hooks, func(h *hook) bool { return h.id == id })
	if i < 0 || r.hooks[i].status != "AWAITING_ACTION" || r.status != "IN_PROGRESS" {
		return invalid("Provided hookId is either completed, unavailable, or not associated with the given Resource ARN")
	}
	h := r.hooks[i]
	r.updated, e.busy = c.now, true
	if cmp.Or(c.in.str("action"), "CONTINUE") == "CONTINUE" {
		h.status = "SUCCEEDED"
		c.change.Deployment, c.change.Effect = "ecs-svc/"+r.target.id, "continued"
		return object{"serviceDeploymentArn": r.arn}, nil
	}
	h.status = "FAILED"
	r.stoppedBy = c.principal
	c.change.Deployment, c.change.Effect = "ecs-svc/"+r.target.id, "rolled back"
	if p := r.service.primary(); p != nil && p.release == r {
		e.failDeployment(r.service, p, c.now, hookFailed(h.stage, ""), true)
	}
	return object{"serviceDeploymentArn": r.arn}, nil
}
