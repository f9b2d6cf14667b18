package deploy_test

// The judge of the simulation: what the run said and did, against the emulator's
// own record of what truly happened. Each rule is one that must hold in any world.

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/rollout"
)

// named are the strings under a member of a request.
func named(body []byte, member string) []string {
	var in map[string]any
	if json.Unmarshal(body, &in) != nil {
		return nil
	}
	switch value := in[member].(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, one := range value {
			all = append(all, fmt.Sprint(one))
		}
		return all
	}
	return nil
}

// history is what truly happened. A deployment of ours of which UpdateService lost the
// answer, and that somebody's of the same revision replaced before anybody could see it,
// is that one: nothing tells them from each other. So is the run's own second one, where
// somebody ended the first one so early.
func (p *play) history() emulator.History {
	h := asOfECS(p.History())
	for i, own := range h.Deployments {
		lost := slices.ContainsFunc(h.Changes, func(c emulator.Change) bool {
			return c.Lost && c.Operation == "ecs:UpdateService" && p.mine(c.Caller, c.Time) && c.Time.Equal(own.Created) && p.mine(own.Caller, own.Created)
		})
		seen := slices.ContainsFunc(p.readings[own.Service], func(r reading) bool { return r.answered && r.at.After(own.Created) && r.at.Before(own.Ended) }) || p.started(own.ID)
		if !lost || own.SupersededBy == "" && own.RolledBackTo == "" || seen {
			continue
		}
		for j, other := range h.Deployments {
			again := other.ID == own.SupersededBy || p.mine(other.Caller, other.Created) && other.Created.After(own.Created)
			if again && other.Service == own.Service && other.TaskDefinition == own.TaskDefinition {
				h.Deployments[j].Caller = own.Caller
				h.Deployments = slices.Delete(h.Deployments, i, i+1)
				return h
			}
		}
	}
	return h
}

// started reports whether the run has said that it has started a deployment.
func (p *play) started(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.shown, func(event any) bool {
		started, is := event.(deploy.Started)
		return is && started.Now.ID == id
	})
}

// mine reports whether the run under test has called.
func (p *play) mine(caller string, at time.Time) bool {
	return caller == p.User() && !at.Before(p.began)
}

// deployments are those of a service, oldest first.
func (p *play) deployments(h emulator.History, service string) []emulator.DeploymentRecord {
	var all []emulator.DeploymentRecord
	for _, d := range h.Deployments {
		if d.Service == service {
			all = append(all, d)
		}
	}
	return all
}

// guard looks at a call that is about to change a service: whether it changes what
// is not the run's. Who acts between the last reading and the call cannot be seen.
func (p *play) guard(c *seenCall, what fate) {
	switch c.operation {
	case "UpdateService", "StopDeployment", "ContinueDeployment", "StopServiceDeployment", "ContinueServiceDeployment":
	default:
		return
	}
	h := p.history()
	p.guardReading(h, c)
	if what.fault != nil && !what.fault.Lost {
		return
	}
	theirs := p.request.WhenBusy == deploy.Supersede || p.command == rollBack
	switch c.operation {
	case "UpdateService":
		for _, name := range named(c.body, "service") {
			moved := false
			for _, d := range p.deployments(h, name) {
				moved = moved || p.mine(d.Caller, d.Created)
				if p.mine(d.Caller, d.Created) || p.joined(d) || d.Final() || !d.Created.Before(p.seen[name]) || d.Status == "PENDING" {
					continue
				}
				if revision := named(c.body, "taskDefinition"); len(revision) == 1 && strings.HasSuffix(d.TaskDefinition, revision[0]) {
					continue // the same is on its way
				}
				if !theirs || moved && d.Caller != p.User() {
					p.stolen = append(p.stolen, fmt.Sprintf("UpdateService of %s takes the place of %s by %s, which the run could see", name, d.ID, short(d.Caller)))
				}
			}
			if p.groups[slices.Index(p.services, name)] != nil {
				p.stolen = append(p.stolen, "UpdateService of "+name+", to which CodeDeploy deploys")
			}
		}
	case "StopDeployment", "ContinueDeployment":
		for _, id := range named(c.body, "deploymentId") {
			for _, d := range h.Deployments {
				if d.ID == id && !p.mine(d.Caller, d.Created) && !theirs && p.command != goOn && !p.joined(d) {
					p.stolen = append(p.stolen, fmt.Sprintf("%s of %s, which is not ours", c.operation, d.ID))
				}
			}
		}
	case "StopServiceDeployment", "ContinueServiceDeployment":
		for _, arn := range named(c.body, "serviceDeploymentArn") {
			for _, d := range h.Deployments {
				if d.ARN == arn && !p.mine(d.Caller, d.Created) && !theirs && p.command != goOn && !p.joined(d) {
					p.stolen = append(p.stolen, fmt.Sprintf("%s of %s, which is not ours", c.operation, d.ID))
				}
			}
		}
	}
}

// fresh is how old the reading of a service may be on which it is changed.
const fresh = 10 * time.Second

// guardReading looks whether the service was read before it is changed. A call that
// names a deployment can be made again as it was where it failed.
func (p *play) guardReading(h emulator.History, c *seenCall) {
	what := c.order()
	if p.changing[what] && c.operation != "UpdateService" {
		return
	}
	p.changing[what] = true
	services := named(c.body, "service")
	for _, d := range h.Deployments {
		if slices.Contains(named(c.body, "deploymentId"), d.ID) || slices.Contains(named(c.body, "serviceDeploymentArn"), d.ARN) {
			services = append(services, d.Service)
		}
	}
	for _, name := range services {
		if age := time.Since(p.asked[name]); age > fresh {
			p.stolen = append(p.stolen, fmt.Sprintf("%s: service %s was read %s before", c.operation, name, age.Round(time.Second)))
		}
	}
}

// joined reports whether a deployment is one that an earlier run of the same step
// has started, or that it has answered: the run goes on with it.
func (p *play) joined(d emulator.DeploymentRecord) bool {
	// One of somebody's that brings the same revision is taken for it: nothing tells them
	// from each other.
	revision := ""
	for _, earlier := range p.deployments(p.History(), d.Service) {
		if earlier.Caller == p.User() && earlier.Created.Before(p.began) {
			revision = earlier.TaskDefinition
		}
	}
	alike := p.before == "ours" && d.TaskDefinition == revision
	return alike || (p.before == "ours" || p.command == goOn) && d.Caller == p.User()
}

// state notes where every service is, as a state of the world.
func (p *play) state(operation string) {
	h := p.history()
	for _, name := range p.services {
		all := p.deployments(h, name)
		key := operation + " " + string(p.command)
		for _, d := range all[max(0, len(all)-3):] {
			key += fmt.Sprintf(" %s/%v/%v/%v/%v", d.Status, p.mine(d.Caller, d.Created), d.SupersededBy != "", d.RolledBackTo != "", short(d.StoppedBy))
		}
		p.counting.Lock()
		p.states[key] = true
		p.counting.Unlock()
	}
}

// parting is how long a cancelled run may go on: the agent ends it after that.
const parting = 7500 * time.Millisecond

// judge compares what was said and done with what happened.
func (p *play) judge() []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	h := p.history()
	wrong = append(wrong, p.stolen...)
	if most := p.request.Timeout + time.Minute; p.took > most {
		say("the run took %s, and its time limit is %s", p.took, p.request.Timeout)
	}
	if left := p.began.Add(p.took).Sub(p.canceled); !p.canceled.IsZero() && left > parting {
		say("the run went on for %s after it was cancelled", left)
	}
	p.judgeChanges(h, say)
	failed := ""
	for _, s := range p.result.Services {
		if p.err == nil && p.request.Wait {
			p.judgeService(h, s, say)
		}
		switch s.Outcome {
		case rollout.Failed, rollout.RolledBack, rollout.Superseded:
			if s.Reason.Code != deploy.OutOfTurn { // its turn did not come, perhaps since another one is paused
				failed = s.Name
			}
		case rollout.TimedOut:
			if s.Rollback.Code != deploy.TrafficStays {
				failed = s.Name
			}
		}
	}
	if failed != "" && len(p.services) > 1 && p.request.RollbackOnFailure && p.request.Wait && p.err == nil {
		for _, s := range p.result.Services {
			if d, ours := p.forward(h, s); ours && s.Outcome.Good() {
				say("service %s is %s with %s although the rollout to %s failed", s.Name, s.Outcome, d.ID, failed)
			}
		}
	}
	p.judgeInterrupted(h, say)
	return wrong
}

// forwardLimit is how long a run may take until its rollback begins.
func (p *play) forwardLimit() time.Duration {
	if p.request.Rollout && p.request.RollbackOnFailure {
		return p.request.Timeout - min(p.request.Timeout/5, 5*time.Minute)
	}
	return p.request.Timeout
}

// readAt reports whether the last readings of a service at the end of a time limit were
// answered: that of the service, and that of its deployment where CodeDeploy deploys.
func (p *play) readAt(service string, limit time.Time) bool {
	answered := map[string]bool{}
	last := limit.Add(time.Second / 2)
	if ended, known := p.ended[service]; known {
		last = ended
	}
	for _, r := range p.readings[service] {
		if r.at.Before(last) {
			answered[r.call.operation] = r.answered
		}
	}
	for _, yes := range answered {
		if !yes {
			return false
		}
	}
	return len(answered) > 0
}

// judgeChanges: at most one forward and one backward deployment a service, and no
// revision twice.
func (p *play) judgeChanges(h emulator.History, say func(string, ...any)) {
	for _, name := range p.services {
		started := map[string][]string{}
		total := 0
		for _, d := range p.deployments(h, name) {
			if p.mine(d.Caller, d.Created) {
				started[d.TaskDefinition] = append(started[d.TaskDefinition], d.ID)
				total++
			}
		}
		for revision, ids := range started {
			if len(ids) > 1 {
				say("service %s: %s was deployed %d times: %v", name, short(revision), len(ids), ids)
			}
		}
		if total > 2 {
			say("service %s: the run started %d deployments", name, total)
		}
	}
	registered := 0
	for _, c := range h.Changes {
		if c.Operation == "ecs:RegisterTaskDefinition" && p.mine(c.Caller, c.Time) && c.Error == "" {
			registered++
		}
	}
	most := len(p.services)
	if p.shared {
		most = 1
	}
	if registered > most {
		say("%d revisions were registered, and %d are needed", registered, most)
	}
}

// forward is the deployment that the run started for a service.
func (p *play) forward(h emulator.History, s deploy.ServiceResult) (emulator.DeploymentRecord, bool) {
	for _, d := range p.deployments(h, s.Name) {
		if p.mine(d.Caller, d.Created) && (s.Revision == "" || d.TaskDefinition == s.Revision) {
			return d, true
		}
	}
	return emulator.DeploymentRecord{}, false
}

// followed is the deployment that a result is about.
func (p *play) followed(h emulator.History, s deploy.ServiceResult) (emulator.DeploymentRecord, bool) {
	if d, ours := p.forward(h, s); ours {
		return d, true
	}
	all := p.deployments(h, s.Name)
	slices.Reverse(all)
	joined := "" // as it was told
	for _, event := range p.shown {
		if started, is := event.(deploy.Started); is && started.Service.Name == s.Name {
			joined = started.Now.ID
		}
	}
	for _, d := range all {
		if p.command == goOn && (d.Caller != p.User() || !d.Created.Before(p.began)) {
			continue
		}
		if joined != "" && d.ARN != "" {
			if d.ID == joined {
				return d, true
			}
			continue
		}
		if id := s.CodeDeploy; id != "" {
			if d.ID == id {
				return d, true
			}
			continue
		}
		if s.Deployment != "" && d.ARN == s.Deployment || s.Deployment == "" && d.TaskDefinition == s.Revision {
			return d, true
		}
	}
	return emulator.DeploymentRecord{}, false
}

// read is when a service was read at which a rollback was told as done.
func (p *play) read(service string) time.Time {
	if told, is := p.told[service]; is {
		return told.Add(-time.Second - p.lateness)
	}
	return p.began.Add(p.took)
}

// sawAfter reports whether a reading of a service was answered in time that is of a later
// time.
func (p *play) sawAfter(service string, at time.Time) bool {
	return slices.ContainsFunc(p.readings[service], func(r reading) bool { return r.answered && r.at.After(at) })
}

// lag is how much later than the truth a view may show it.
const lag = 2 * time.Minute

// judgeService: the outcome of a service is what truly happened.
func (p *play) judgeService(h emulator.History, s deploy.ServiceResult, say func(string, ...any)) {
	d, known := p.followed(h, s)
	all := p.deployments(h, s.Name)
	end := p.began.Add(p.took)
	last := all[len(all)-1]
	doubt := func(why string) {
		say("service %s: told %q (%s, rollback to %q %v %s %v), but %s: in truth %s of %s is %s (%s), by %s, superseded by %q, rolled back to %q",
			s.Name, s.Outcome, s.Reason.Code, short(s.Rollback.To), s.Rollback.Done, s.Rollback.Code, s.Rollback.Err, why, d.ID, short(d.TaskDefinition), d.Status, d.Reason, short(d.Caller), d.SupersededBy, d.RolledBackTo)
	}
	alive := p.alive(s.Name)
	if s.Reason.Code == rollout.StartUnknown {
		if d, ours := p.forward(h, s); ours && alive && d.SupersededBy == "" && p.sawAfter(s.Name, d.Created.Add(time.Second)) {
			say("service %s: told that it is not known whether it was started, but it could be read, and %s was", s.Name, d.ID)
		}
		return
	}
	if s.Outcome == rollout.Failed && (s.Reason.Code == rollout.NotStarted || s.Reason.Code == deploy.OutOfTurn) {
		if d, ours := p.forward(h, s); ours {
			say("service %s: told that it was not started, but %s of %s was, and is %s", s.Name, d.ID, short(d.TaskDefinition), d.Status)
		}
		return
	}
	if !known {
		doubt("there is no such deployment")
		return
	}
	if s.Rollback.Code == deploy.OthersDeployment && !slices.ContainsFunc(all, func(d emulator.DeploymentRecord) bool { return d.Created.After(p.began) && d.Caller != p.User() }) {
		doubt("nobody else has deployed")
	}
	p.judgeSmoke(s, doubt)
	theirs := d.SupersededBy != "" && !p.mineByID(h, d.SupersededBy)
	back, moved := p.backward(h, s)
	switch s.Outcome {
	case rollout.Succeeded, rollout.Unchanged:
		early := s.Reason.Code == rollout.TrafficShifted || s.Reason.Code == rollout.StageReached || s.Reason.Code == rollout.EarlySuccess || s.Reason.Code == rollout.WaitsOn
		if d.Status != "SUCCESSFUL" && !early {
			doubt("it did not succeed")
		}
		for _, later := range all {
			stays := later.Status == "SUCCESSFUL" || later.Status == "IN_PROGRESS"
			if stays && later.ARN != "" && later.Created.After(d.Created) && !p.mine(later.Caller, later.Created) && later.Created.Add(time.Second).Before(p.seen[s.Name]) {
				doubt("it could be seen that " + later.ID + " had replaced it")
			}
		}
		if want := p.digests[released]; p.request.Rollout && d.Digests["app"] != want {
			doubt("it runs digest " + d.Digests["app"])
		}
	case rollout.RolledBack:
		if s.Reason.Code == rollout.TasksFail && p.lacksRoom(s.Name) {
			doubt("there was only no room for its tasks")
		}
		switch {
		case d.Status == "ROLLBACK_SUCCESSFUL", d.Status == "ROLLBACK_IN_PROGRESS", d.Status == "ROLLBACK_REQUESTED":
		case moved && (back.Status == "SUCCESSFUL" || back.Status == "IN_PROGRESS"):
		case moved && back.Status == "ROLLBACK_REQUESTED": // just now
		case moved && (back.Turned.After(p.read(s.Name)) || back.Ended.After(p.read(s.Name))): // of that nobody could know
		default:
			doubt("it was not rolled back")
		}
		if s.Rollback.Done && s.Rollback.To != "" && moved && back.TaskDefinition != s.Rollback.To {
			doubt("it went back to " + short(back.TaskDefinition))
		}
	case rollout.Superseded:
		later := last.ID != d.ID && last.Created.After(d.Created) && !p.mine(last.Caller, last.Created)
		if !theirs && !later {
			doubt("nobody replaced it")
		}
	case rollout.Paused:
		if d.Final() && d.Ended.Before(end.Add(-lag)) {
			doubt("it has ended")
		}
	case rollout.TimedOut:
		// What happens while the service goes back does not change that it was too late.
		limit := p.began.Add(p.forwardLimit())
		switch {
		case s.Reason.Code == rollout.Unread && p.readAt(s.Name, limit):
			doubt("the service could be read")
		case s.Reason.Code == rollout.Unread:
		case d.Final() && d.Ended.Before(limit.Add(-lag)) && d.Ended.Before(end.Add(-lag)) && !theirs:
			doubt("it ended long before")
		}
	case rollout.Failed:
		switch s.Reason.Code {
		case rollout.ServiceDeleted, rollout.ServiceDraining:
			if alive {
				doubt("the service is there")
			}
		case rollout.TasksFail, rollout.TasksNotStarted:
			if p.lacksRoom(s.Name) {
				doubt("there was only no room for its tasks")
			}
			if d.Status == "SUCCESSFUL" && !moved && d.Ended.Before(end.Add(-lag)) {
				doubt("it succeeded")
			}
			if strings.HasPrefix(d.Status, "ROLLBACK_SUCC") && alive && d.Ended.Before(end.Add(-lag)) {
				doubt("it was rolled back")
			}
		case rollout.DeploymentStopped, rollout.DeploymentFailed, rollout.RollbackFailed:
			if d.Status == "SUCCESSFUL" || d.Status == "ROLLBACK_SUCCESSFUL" {
				doubt("it was not stopped")
			}
			if theirs {
				doubt("somebody replaced it")
			}
		}
	default:
		doubt("that is no outcome")
	}
}

// lacksRoom reports whether nothing but missing capacity keeps the tasks of a
// service's deployment from starting: that is waited for.
func (p *play) lacksRoom(service string) bool {
	i := slices.Index(p.services, service)
	return roomless[p.scenarios[i]] && !slices.ContainsFunc(p.deeds, func(d deed) bool { return d.service == i && d.name == "kill" })
}

// roomless are the scenarios in which there is no room for the tasks, or not yet.
var roomless = map[string]bool{"no-capacity": true, "no-capacity-late": true, "no-instance-late": true, "late-memory": true, "late-managed": true}

// alive reports whether a service is ACTIVE, as infrastructure sees it.
func (p *play) alive(service string) bool {
	out, err := p.ecs.DescribeServices(p.Context(), &awsecs.DescribeServicesInput{Cluster: aws.String(simCluster), Services: []string{service}})
	p.must(err)
	return len(out.Services) == 1 && aws.ToString(out.Services[0].Status) == "ACTIVE"
}

func (p *play) mineByID(h emulator.History, id string) bool {
	return slices.ContainsFunc(h.Deployments, func(d emulator.DeploymentRecord) bool { return d.ID == id && p.mine(d.Caller, d.Created) })
}

// backward is the deployment by which the run moved a service back.
func (p *play) backward(h emulator.History, s deploy.ServiceResult) (emulator.DeploymentRecord, bool) {
	forward := false
	for _, d := range p.deployments(h, s.Name) {
		if !p.mine(d.Caller, d.Created) {
			continue
		}
		if forward || p.command == goOn || d.TaskDefinition != s.Revision {
			return d, true
		}
		forward = true
	}
	return emulator.DeploymentRecord{}, false
}

// judgeSmoke: a success has passed its smoke test, and what is said to have failed it has.
func (p *play) judgeSmoke(s deploy.ServiceResult, doubt func(string)) {
	if p.smoke == nil {
		return
	}
	late := slices.ContainsFunc(s.Smoke, func(r deploy.SmokeResult) bool { return r.Late })
	switch {
	case s.Reason.Code == deploy.SmokeTestFailed && !p.smoke.fails && !late:
		doubt("its smoke test passes")
	case s.Outcome.Good() && s.Reason.Code != rollout.NothingRuns && len(s.Smoke) == 0:
		doubt("it was not tested")
	case s.Outcome.Good() && p.smoke.fails && len(s.Smoke) > 0:
		doubt("its smoke test does not pass")
	}
}

// untouched reports whether a deployment of CodeDeploy was stopped before it had put
// anything beside what the service runs: then there was nothing to roll back.
func untouched(d emulator.DeploymentRecord) bool {
	return d.ARN == "" && d.Status == "STOPPED" && len(d.Digests) == 0
}

// judgeInterrupted: what a cancelled run says of a rollback is true.
func (p *play) judgeInterrupted(h emulator.History, say func(string, ...any)) {
	for _, event := range p.shown {
		left, is := event.(deploy.Interrupted)
		if !is || !left.Rollback.Done || !p.alive(left.Service.Name) {
			continue
		}
		all := p.deployments(h, left.Service.Name)
		back := slices.ContainsFunc(all, func(d emulator.DeploymentRecord) bool {
			return strings.HasPrefix(d.Status, "ROLLBACK_") || d.StoppedBy == p.User() || untouched(d) || p.mine(d.Caller, d.Created) && d.TaskDefinition == left.Rollback.To
		})
		if !back {
			say("service %s: told that the rollback to %s was begun, and nothing of the kind happened", left.Service.Name, short(left.Rollback.To))
		}
	}
}
