package report

// The log: events of a run as lines. One line an event, the reason first.

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// Console is where the log's sections fold and the step's progress is shown.
type Console interface {
	Group(title string) (end func())
	Progress(percent int, operation string)
}

// Log is the view of a run as lines of a log. It is safe for concurrent use.
type Log struct {
	console Console
	log     *slog.Logger

	mu   sync.Mutex
	last time.Time // of the latest line: times do not run backwards
	pace pace      // of the push
}

// NewLog returns a view that writes to log and folds its sections in console.
func NewLog(console Console, log *slog.Logger) *Log {
	return &Log{console: console, log: log}
}

// Section implements [deploy.View].
func (l *Log) Section(s deploy.Section) (end func()) { return l.console.Group(sectionTitle(s)) }

func sectionTitle(s deploy.Section) string {
	switch s.Kind {
	case deploy.PlanSection:
		if s.DryRun {
			return "Plan (dry run: nothing is changed)"
		}
		return "Plan"
	case deploy.PushSection:
		return "Push " + s.Name
	case deploy.SigningSection:
		return "Signature of the image"
	case deploy.ScanSection:
		return "Scan of the image"
	case deploy.RevisionSection:
		return "Task definition"
	case deploy.RolloutSection:
		if s.Services > 1 {
			return fmt.Sprintf("Rollout of %d services", s.Services)
		}
		return "Rollout of " + s.Name
	case deploy.ResumeSection:
		return "Resume"
	case deploy.CurrentSection:
		return "Current images"
	case deploy.DriftSection:
		return "Drift"
	case deploy.SchedulesSection:
		return "Schedules"
	case deploy.TaskSection:
		return taskTitle(s)
	}
	return string(s.Kind)
}

// Progress implements [deploy.View].
func (l *Log) Progress(percent int, phase deploy.Phase) {
	operation := "Rolling out"
	if phase == deploy.Pushing {
		operation = "Pushing"
	}
	l.console.Progress(percent, operation)
}

// Show implements [deploy.View].
func (l *Log) Show(event any) {
	switch e := event.(type) {
	case deploy.PlanMade:
		l.plan(e)
	case deploy.ImageUnchecked:
		l.warn("", "could not check that %s exists and matches the platform: %s", e.Image, e.Err)
	case deploy.HistoryUnread:
		instead := "building on the pipeline's newest revision"
		if e.Build != "" {
			instead = "going back to the newest revision of build " + e.Build
		}
		l.warn(e.Service.Name, "could not read which of the service's deployments succeeded (%s); %s", e.Err, instead)
	case deploy.RepositoryCreated:
		if e.Template != "" {
			l.info("", "repository %s does not exist: ECR creates it at this push, by the creation template %s", e.URI, e.Template)
		} else {
			l.info("", "created repository %s: %s", e.URI, creationText(e.Creation))
		}
	case deploy.RepositoryAppeared:
		l.repositoryAppeared(e)
	case deploy.PushProgress:
		l.push(e.Now)
	case deploy.Pushed:
		l.info("", "%s", pushText(e.Result, e.Tags))
	case deploy.CurrentImages:
		for _, c := range e.Images {
			text := c.URI
			if !c.Exists {
				text += "  (the default: the service does not exist yet)"
			}
			l.info(c.Name, "%s", text)
		}
	case deploy.Compared:
		l.compared(e.Deviation)
	case deploy.TaskPlanned, deploy.TaskHappened, deploy.TaskEnded, deploy.MigrationSkipped, deploy.MigrationUnnoted, deploy.Untouched, deploy.Tidied:
		l.showTask(event)
	case deploy.SmokeTesting, deploy.SmokeAttempt, deploy.SmokeTested:
		l.showSmoke(event)
	case deploy.SigningUnread, deploy.SigningWaits, deploy.Signed, deploy.Unsigned:
		l.showSigning(event)
	case deploy.ScanWaits, deploy.ScanStarted, deploy.Scanned, deploy.ScanningUnread:
		l.showScan(event)
	default:
		if !l.showSchedule(event) {
			l.showService(event)
		}
	}
}

// showService shows the events of one service.
func (l *Log) showService(event any) {
	switch e := event.(type) {
	case deploy.Moved:
		l.warn(e.Service.Name, "someone else moved the service from %s to %s since the plan was made", ecs.ShortARN(e.From), ecs.ShortARN(e.To))
	case deploy.BusyWith:
		l.busy(e)
	case deploy.SecretsUnread:
		l.info(e.Service.Name, "could not read the versions of the service's secrets, so that one that has changed is not noticed: %s", shorten(e.Err.Error(), partLength))
	case deploy.TaskTagsChanged:
		l.taskTagsChanged(e)
	case deploy.RevisionKept:
		l.info(e.Service.Name, "%s is already up to date; no new revision registered", ecs.ShortARN(e.Revision))
	case deploy.Registered:
		l.info(e.Service.Name, "registered revision %s", ecs.ShortARN(e.Revision))
	case deploy.Copied:
		l.info(e.Service.Name, "%s was deregistered, so that no deployment of it can be started: %s, which is equal, stands for it", ecs.ShortARN(e.From), ecs.ShortARN(e.To))
	case deploy.NotStored:
		l.warn(e.Service.Name, "%s lacks members that were sent, since ECS does not know them: %s", ecs.ShortARN(e.Revision), strings.Join(e.Members, ", "))
	case deploy.Untagged:
		l.warn(e.Service.Name, "registered without provenance tags, so that its build cannot be told from the revision: %s", e.Err)
	case deploy.Started:
		l.started(e)
	case deploy.NotStarted: // the issue at the end of the run says what to do
		l.info(e.Service.Name, "the deployment could not be started: %s", Named(e.Err))
	case deploy.Marked:
		l.marked(e)
	case deploy.NotWaiting:
		l.info(e.Service.Name, "not waiting for the deployment (wait: false); its outcome is not tracked")
	case deploy.Happened:
		l.happened(e.Service.Name, e.Event)
	case deploy.Diagnosed:
		for _, line := range e.Diagnosis.Lines() {
			l.info(e.Service.Name, "%s", line)
		}
	case deploy.Failing:
		if e.Verdict.Reason.Code != deploy.SmokeTestFailed { // which was told
			l.warn(e.Service.Name, "%s", failingText(e.Verdict.Reason))
		}
	case deploy.RollingBack:
		l.rollingBack(e)
	case deploy.RollbackEnded:
		l.rollbackEnded(e)
	case deploy.Verified:
		l.verified(e)
	case deploy.StillBlocks:
		l.warn(e.Service.Name, "deployment %s is still in progress in CodeDeploy and blocks new deployments: stop it there, or choose whenBusy: supersede next time", e.Now.ID)
	case deploy.Interrupted:
		l.interrupted(e)
	case deploy.Fault:
		l.fault(e.Err)
	case deploy.Answered:
		if e.Action == rollout.RollBack {
			l.info(e.Service.Name, "told the paused deployment to roll back to %s", ecs.ShortARN(e.To))
		} else {
			l.info(e.Service.Name, "told the paused deployment to continue")
		}
	}
}

func (l *Log) info(service, format string, args ...any) {
	l.line(time.Now(), slog.LevelInfo, service, fmt.Sprintf(format, args...))
}

func (l *Log) warn(service, format string, args ...any) {
	l.line(time.Now(), slog.LevelWarn, service, fmt.Sprintf(format, args...))
}

// line writes one line under the time at which it happened, or that of the line
// before where that is later: ECS tells some things afterwards.
func (l *Log) line(at time.Time, level slog.Level, service, text string) {
	log := l.log
	if service != "" {
		log = log.With("service", service)
	}
	if !log.Enabled(context.Background(), level) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Before(l.last) {
		at = l.last
	}
	l.last = at
	// A log that cannot be written is no reason to stop the run.
	_ = log.Handler().Handle(context.Background(), slog.NewRecord(at, level, text, 0))
}

// plan shows what will happen, before it does.
func (l *Log) plan(e deploy.PlanMade) {
	p := e.Plan
	switch {
	case p.Source != nil:
		l.info("", "image  %s", describe(p.Source.Describe()))
		l.info("", "push   %s", pushPlan(p))
		l.creationPlanned(p)
	case p.Image.URI != "":
		l.info("", "image  %s", candidateText(p.Image))
	}
	if len(p.Signing) > 0 {
		l.info("", "sign   ECR signs the image with %s; the run waits for that", profileNames(p.Signing))
	}
	if p.Request.FailOn != "" {
		l.info("", "scan   %s", scanPlan(p.Request.FailOn))
	}
	l.migrationPlanned(p)
	for _, s := range p.Services {
		l.planService(p, s)
		if newer, older := p.Older(s); older && p.Request.Rollout {
			l.warn(s.Name.Name, "build %s replaces the newer build %s of this pipeline", p.Request.Origin.BuildID, newer)
		}
		l.stages(p, s)
		l.planSmoke(s)
		if keep := s.Keep(); keep > 0 && p.Request.Wait && e.Limit > 0 && keep >= e.Limit {
			l.info(s.Name.Name, "CodeDeploy keeps the previous tasks for %s after the traffic is shifted, which is not waited for", Duration(keep))
		}
		if configuration, err := s.Unpaced(); err != nil && p.Request.Wait {
			l.info(s.Name.Name, "how long the traffic steps of the configuration %s take is not known: %s", configuration, err)
		}
		if wait := s.Wait(p.Request.Until); wait > 0 && p.Request.Wait {
			l.info(s.Name.Name, "the deployment takes at least %s: bake time and traffic steps of the service's configuration", Duration(wait))
			if e.Limit > 0 && wait >= e.Limit {
				l.warn(s.Name.Name, "timeoutMinutes leaves %s for the deployment, which takes at least %s: raise it, or set waitUntil: traffic", minutes(e.Limit), Duration(wait))
			}
		}
	}
	l.schedulesPlanned(p)
	for _, one := range p.Expiring {
		l.warn("", "%s", expiringText(one))
	}
	if e.Rollback > 0 && len(p.Services) > 0 && p.Request.Wait && !p.Request.DryRun {
		l.log.Debug(fmt.Sprintf("time limit: %s for the rollout, and %s for a rollback", minutes(e.Limit), minutes(e.Rollback)))
	}
}

// marked says what was noted on a revision.
func (l *Log) marked(e deploy.Marked) {
	revision := ecs.ShortARN(e.Revision)
	switch {
	case e.Err != nil:
		l.info(e.Service.Name, "could not change the tag %s of %s, by which a rollback knows whether tasks of it have run: %s", taskdef.UnprovenTag, revision, e.Err)
	case e.Unproven:
		l.info(e.Service.Name, "no task of %s has run: tagged it %s, so that a rollback passes it over", revision, taskdef.UnprovenTag)
	default:
		l.info(e.Service.Name, "tasks of %s run: removed its tag %s", revision, taskdef.UnprovenTag)
	}
}

// stages says how a lifecycle stage is waited for where deployments have none.
func (l *Log) stages(p *deploy.Plan, s deploy.ServicePlan) {
	until := p.Request.Until
	if !until.Stage() || !p.Request.Wait || s.HasStages() || s.Controller == nil {
		return
	}
	kind := "a rolling deployment"
	if s.Controller.Name() != "ECS" {
		kind = "a deployment of " + s.Controller.Name()
	}
	l.info(s.Name.Name, "%s has no lifecycle stage %s: waiting until it has completed", kind, until)
}

func (l *Log) planService(p *deploy.Plan, s deploy.ServicePlan) {
	name := s.Name.Name
	if s.Other != nil && s.Other.Snapshot().HookID() != "" && s.Target.ARN() == s.Other.Snapshot().Revision {
		action := "continue"
		switch {
		case s.Back:
			action = "roll back to " + ecs.ShortARN(s.Running.ARN())
		case s.Smoke != nil && s.Other.Snapshot().HasTestTraffic():
			action += " if the smoke test passes"
		}
		l.info(name, "%s: %s; this run has it %s", s.Target, pausedText(s.Other.Snapshot()), action)
		return
	}
	if s.Target.ARN() != "" && s.Lineage.Base.ARN() == "" && s.Lineage.File == "" { // command rollback
		l.info(name, "%s → %s%s%s", ecs.ShortARN(s.Service.TaskDefinition), s.Target, buildText(s.Target), copyText(s.Target))
		for _, passed := range s.PassedOver {
			l.info(name, "passed over %s: %s", passed.Revision, passed.Why)
		}
		return
	}
	l.lineage(name, s)
	if s.Image != nil {
		l.info(name, "image  %s", candidateText(*s.Image))
	}
	from := cmp.Or(s.From(), "(none)")
	switch arn := s.Registered(); {
	case arn == s.Service.TaskDefinition && arn != "":
		l.info(name, "already runs %s", ecs.ShortARN(arn))
		l.tagChanges(name, s)
		l.secretsChanged(name, s, true)
		return
	case arn != "" && name == "":
		l.info(name, "%s is registered already", ecs.ShortARN(arn))
	case arn != "":
		l.info(name, "%s → %s, which is registered already", from, ecs.ShortARN(arn))
	default:
		l.info(name, "%s → a new revision based on %s", from, baseText(s.Lineage))
	}
	for _, difference := range taskdef.Diff(s.Running, s.Target) {
		l.info(name, "  %s", difference)
	}
	l.tagChanges(name, s)
	l.secretsChanged(name, s, false)
	for _, conflict := range s.Lineage.Conflicts {
		l.info(name, "  changed by both: %s", conflict)
	}
	for _, behind := range s.Target.OtherTags(s.Target.Image(s.Container)) {
		l.info(name, "  container %s stays on %s", behind.Name, behind.Image)
	}
	if members := s.Target.Unknown(); len(members) > 0 && s.Lineage.File != "" {
		l.info(name, "  sent as they are, since this task does not know them: %s", strings.Join(members, ", "))
	}
	if members := s.Target.Pins(); len(members) > 0 && s.Running.Image(s.Container) != s.Target.Image(s.Container) {
		l.warn(name, "the image changes, and %s may allow only certain images: renew it where it names them", strings.Join(members, ", "))
	}
	for _, absent := range s.Lineage.Base.Absent(p.Request.Change) {
		l.info(name, "  removeEnvironment: %s does not exist", absent.Name)
	}
}

// secretsChanged says which secrets have a new version, and where the service stays as
// it is, why.
func (l *Log) secretsChanged(name string, s deploy.ServicePlan, stays bool) {
	for _, source := range s.SecretsChanged {
		text := fmt.Sprintf("  %s has a new version since %s was registered", secretText(source), s.Running)
		if stays && s.SecretsIgnored {
			text += "; no deployment is started for that (whenSecretsChange: ignore)"
		}
		l.info(name, "%s", text)
	}
}

// secretText names the source of a secret as people do.
func secretText(source string) string {
	parts := strings.Split(source, ":")
	switch {
	case len(parts) > 6 && parts[2] == "secretsmanager":
		text := "secret " + randomSuffix.ReplaceAllString(parts[6], "")
		if len(parts) > 7 && parts[7] != "" {
			text += " (" + parts[7] + ")"
		}
		return text
	case len(parts) > 5 && parts[2] == "ssm":
		return "parameter " + strings.TrimPrefix(parts[5], "parameter")
	}
	return "parameter " + source
}

// randomSuffix is what Secrets Manager adds to the name of a secret in its ARN.
var randomSuffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// pausedText says where a deployment waits, and what becomes of it without an answer.
func pausedText(s rollout.Snapshot) string {
	reason := rollout.Reason{Hook: ecs.Hook{ID: s.HookID()}}
	if s.CodeDeploy == nil && s.Record != nil {
		reason.Hook, reason.Stage = s.Record.Waiting(), s.Record.Stage
	}
	return hookText(reason)
}

// lineage says what is unusual about what the revision is made from.
func (l *Log) lineage(name string, s deploy.ServicePlan) {
	if drift, is := s.Drift(); is {
		l.warn(name, "infrastructure moved the service to %s, which runs %s instead of build %s (%s): give it the running image (command currentImage) before it deploys",
			s.Running, drift.Runs, drift.BuildID, drift.Revision)
	}
	if s.Lineage.Note != "" {
		l.warn(name, "%s", s.Lineage.Note)
	}
	for _, passed := range s.Lineage.PassedOver {
		l.info(name, "not based on %s: %s", passed.Definition, passed.Reason)
	}
}

func (l *Log) busy(e deploy.BusyWith) {
	name := deploymentName(e.Other.ID, e.Other.Revision)
	state := "is in progress"
	if e.Other.RollingBack() {
		state = "is being rolled back"
	}
	switch {
	case e.Stop:
		l.warn(e.Service.Name, "deployment %s %s: stopping it, so that this one can start (whenBusy: supersede)", name, state)
	case e.Do == deploy.Supersede:
		l.warn(e.Service.Name, "deployment %s %s: this one replaces it (whenBusy: supersede)", name, state)
	default:
		l.info(e.Service.Name, "deployment %s %s: waiting for it to end (whenBusy: wait)", name, state)
	}
}

func (l *Log) started(e deploy.Started) {
	s := e.Now
	to := ecs.ShortARN(s.Revision)
	switch {
	case e.Digest:
		l.info(e.Service.Name, "the tag of the image was pushed again: starting a new deployment of %s (%s), since its tasks run another digest", to, s.ID)
	case s.Reached:
		l.info(e.Service.Name, "already runs %s", to)
	case s.Scaling:
		l.info(e.Service.Name, "already set to %s: waiting until %s running", to, count(s.Service.Desired, "task")+are(s.Service.Desired))
	case s.New:
		l.info(e.Service.Name, "moving from %s to %s, deployment %s", ecs.ShortARN(s.Previous), to, s.ID)
	default:
		l.info(e.Service.Name, "deployment %s of %s is in progress already: following it", s.ID, to)
	}
}

func are(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

// happened shows an event of a deployment.
func (l *Log) happened(service string, e rollout.Event) {
	level := slog.LevelInfo
	text := ""
	switch what := e.What.(type) {
	case rollout.Said:
		if text = what.Text; what.Trouble {
			level = slog.LevelWarn
		}
		if what.Times > 1 {
			text += fmt.Sprintf(" (%d times)", what.Times)
		}
		if what.Hint != "" {
			text += "\nhint: " + what.Hint
		}
	case rollout.Counts:
		text = countsText(what)
	case rollout.Stage:
		text = stageText(what)
	case rollout.Doomed:
		if text = doomText(what); !what.Asked {
			level = slog.LevelWarn
		}
	case rollout.Unreadable:
		level, text = slog.LevelWarn, unreadableText(what)
	case rollout.Silence:
		if text = "AWS answers again"; what.Err != nil {
			level, text = slog.LevelWarn, "cannot reach AWS; retrying: "+what.Err.Error()
		}
	case rollout.Step:
		if text = because(what.Name+" "+plain(what.Status), what.Detail); what.Status == "Failed" {
			level = slog.LevelWarn
		}
	case rollout.Status:
		level, text = statusText(what)
	case rollout.Waits:
		text = "waiting for " + faultWords(what.Cause) + ": the deployment is not given up for this"
	case rollout.Heartbeat:
		text = heartbeatText(what)
	}
	for line := range strings.Lines(text) {
		l.line(e.Time, level, service, strings.TrimRight(line, "\n"))
		level = slog.LevelInfo // a hint is no issue of its own
	}
}

func faultWords(c diagnosis.Cause) string {
	if c.Fault == diagnosis.Capacity {
		return "capacity"
	}
	return "the cluster or its infrastructure to recover"
}

// failingText says why a deployment is given up, or has ended badly.
func failingText(r rollout.Reason) string {
	text := reasonText(r, "")
	switch r.Code {
	case rollout.TasksFail, rollout.TasksNotStarted, rollout.NotInTime: // it is in progress
		return "stopping the deployment: " + text
	}
	return text
}

func doomText(d rollout.Doomed) string {
	detail := withAlarms(rollout.Reason{Detail: d.Detail, Alarms: d.Alarms})
	switch {
	case d.Asked:
		return "ECS rolls back, as this task requested"
	case d.Status == "STOP_REQUESTED":
		return because("the deployment is being stopped", detail)
	case d.Status == "FAILED":
		return because("the deployment failed", detail)
	}
	return because("ECS is rolling back", detail)
}

func unreadableText(u rollout.Unreadable) string {
	text := "could not read the deployment's own record; its result is judged by the service's list of deployments"
	if u.Err != nil {
		text += " (" + u.Err.Error() + ")"
	}
	return text
}

func statusText(s rollout.Status) (slog.Level, string) {
	level := slog.LevelInfo
	if s.Status == "Failed" || s.Status == "Stopped" || s.Rollback && s.Status != "Succeeded" {
		level = slog.LevelWarn
	}
	if s.Rollback {
		return level, because("CodeDeploy rolls back with deployment "+s.ID+", which "+statusWords(s.Status), s.Detail)
	}
	return level, because("deployment "+s.ID+" "+statusWords(s.Status), s.Detail)
}

func heartbeatText(h rollout.Heartbeat) string {
	text := healthText(h.Counts, h.Healthy)
	if h.Stage != "" {
		text += "; " + plain(h.Stage)
	}
	text += fmt.Sprintf("; %s elapsed, %s left", Duration(h.Elapsed), Duration(h.Left))
	if h.Said.Text != "" {
		said := h.Said.Text
		if strings.HasPrefix(said, "(service ") { // the line has its name in front already
			_, said, _ = strings.Cut(said, ") ")
		}
		text += fmt.Sprintf("; last event, %s ago: %s", Duration(time.Since(h.Said.Time)), shorten(said, 160))
	}
	return text
}

func (l *Log) rollingBack(e deploy.RollingBack) {
	if e.Refused != nil {
		l.info(e.Service.Name, "the deployment could not be stopped (%s): moving the service back instead", e.Refused)
	}
	if e.Schedule {
		l.info(e.Service.Name, "rolling back to %s, because %s could not be moved", ecs.ShortARN(e.To), e.Other)
		return
	}
	if e.Other != "" {
		l.info(e.Service.Name, "rolling back to %s, because the rollout to %s failed", ecs.ShortARN(e.To), e.Other)
		return
	}
	l.info(e.Service.Name, "rolling back to %s", ecs.ShortARN(e.To))
}

func (l *Log) rollbackEnded(e deploy.RollbackEnded) {
	if e.Rollback.Done {
		l.info(e.Service.Name, "rolled back to %s", ecs.ShortARN(e.Rollback.To))
		return
	}
	l.warn(e.Service.Name, "%s", rollbackText(e.Rollback, ""))
}

// verified says what of the proof was found, each point on its own.
func (l *Log) verified(e deploy.Verified) {
	p, name := e.Proof, e.Service.Name
	for _, wrong := range p.Contradicted() {
		l.warn(name, "%s", wrongText(wrong, p.Wanted[wrong.Container]))
	}
	switch {
	case p.ResolvedErr != nil:
		l.info(name, "could not read which digest ECS resolved the image to: %s", p.ResolvedErr)
	case p.Resolved.Known && len(p.Resolved.Wrong) == 0:
		l.info(name, "verified: ECS resolved the image to %s", wantedText(p.Wanted))
	}
	switch {
	case p.TasksErr != nil:
		l.warn(name, "could not verify the digests of the running tasks: %s", p.TasksErr)
	case p.Tasks == 0:
		l.warn(name, "ECS lists no running task of the deployment: digests not verified")
	case p.Unknown > 0:
		l.warn(name, "image digest not reported by ECS for %d of %s: not verified", p.Unknown, count(p.Tasks, "running task"))
	case len(p.Running.Wrong) == 0:
		l.info(name, "verified: %d of %s run %s", p.Verified, count(p.Tasks, "running task"), wantedText(p.Wanted))
	}
}

// wantedText is the expected digest, or those of several containers by their names.
func wantedText(wanted map[string][]string) string {
	var all []string
	for _, container := range slices.Sorted(maps.Keys(wanted)) {
		all = append(all, shortDigest(wanted[container]))
		if len(wanted) > 1 {
			all[len(all)-1] += " in " + container
		}
	}
	return strings.Join(all, ", ")
}

func wrongText(w rollout.Wrong, want []string) string {
	where := "task " + w.Task
	if w.Task == "" {
		where = "the service revision"
	}
	return fmt.Sprintf("digest mismatch: %s, container %s: expected %s, got %s", where, w.Container, strings.Join(want, " or "), w.Digest)
}

// interrupted says how a cancelled run leaves a service.
func (l *Log) interrupted(e deploy.Interrupted) {
	b, name, why := e.Rollback, e.Service.Name, "the run was cancelled"
	if e.Fault {
		why = "the step ended with an error"
	}
	switch {
	case b.Done:
		l.warn(name, "%s: requested the rollback to %s, which continues without this step", why, ecs.ShortARN(b.To))
		return
	case b.Wanted:
		l.warn(name, "%s", rollbackText(b, ""))
	}
	state := "the deployment is still in progress and its result is unknown"
	switch {
	case e.Verdict.Outcome.Good():
		state = "the deployment had completed before"
	case e.Verdict.Final():
		state = reasonText(e.Verdict.Reason, "")
	}
	if e.Err != nil {
		l.warn(name, "%s: %s (could not read the service: %s)", why, state, e.Err)
		return
	}
	l.warn(name, "%s: %s; %s", why, state, serviceText(e.Now))
}

func describe(i image.Description) string {
	parts := []string{string(i.Kind)}
	for _, p := range i.Platforms {
		parts = append(parts, p.String())
	}
	if i.Layers > 0 {
		parts = append(parts, count(i.Layers, "layer"))
	}
	if i.Size > 0 {
		parts = append(parts, size(i.Size))
	}
	return i.Ref + "  (" + strings.Join(parts, ", ") + ")"
}

func pushPlan(p *deploy.Plan) string {
	tags := strings.Join(p.Request.Tags, ", ")
	switch {
	case p.Repository == nil:
		return fmt.Sprintf("%s, a repository that will be created, as %s", p.Request.Repository, tags)
	case p.State != nil && p.State.AlreadyThere():
		return fmt.Sprintf("%s has it already as %s", p.Repository.URI, tags)
	default:
		return fmt.Sprintf("%s as %s", p.Repository.URI, tags)
	}
}

func candidateText(c deploy.Candidate) string {
	text := c.URI
	if len(c.Platforms) > 0 {
		names := make([]string, len(c.Platforms))
		for i, platform := range c.Platforms {
			names[i] = platform.String()
		}
		text += "  (" + strings.Join(names, ", ") + ")"
	}
	return text + "  " + shortDigest(c.Digests)
}

func baseText(l deploy.Lineage) string {
	switch {
	case l.Merged != "":
		return fmt.Sprintf("%s with what the pipeline changed in %s", l.Infrastructure, l.Merged)
	case l.File != "":
		return "the file " + l.File
	default:
		return l.Base.String()
	}
}

// copyText says that a revision cannot be deployed as it is.
func copyText(d taskdef.Definition) string {
	if d.Status() != "INACTIVE" {
		return ""
	}
	return ", a copy of it, since it was deregistered"
}

func buildText(d taskdef.Definition) string {
	if p, ok := d.Provenance(); ok && p.BuildID != "" {
		return ", build " + p.BuildID
	}
	return ""
}
