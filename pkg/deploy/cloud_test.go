package deploy

// A small ECS for the tests of this package: services, revisions, and deployments
// that take their time and end as a test wants them to. It behaves like the
// controllers of package rollout, whose Judge it asks, and writes down every call
// that changes something.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

const arnPrefix = "arn:aws:ecs:eu-west-1:123456789012:"

// revisionARN is the ARN of web:3.
func revisionARN(name string) string { return arnPrefix + "task-definition/" + name }

// what is the fate of a deployment.
type what string

const (
	succeeds   what = "succeeds"
	fails      what = "fails"       // and ECS does not roll it back
	goesBack   what = "goes back"   // ECS rolls it back
	crashes    what = "crashes"     // its tasks fail, as who counts them finds out
	hangs      what = "hangs"       // for ever
	pauses     what = "pauses"      // at a lifecycle hook
	isReplaced what = "is replaced" // by somebody else's
	isDeleted  what = "is deleted"  // the service
	shifts     what = "shifts"      // all traffic, and then goes on for ever
	drains     what = "drains"      // all traffic is shifted, and the previous tasks stop for ever
)

// fate is what becomes of a deployment.
type fate struct {
	what    what
	after   time.Duration // until it happens
	refused error         // Start refuses
	lost    bool          // Start is carried out, and its answer gets lost
	stop    error         // Stop refuses
	wins    bool          // it completes just before Stop arrives
	backIn  time.Duration // how long a rollback of it takes; 5 s where it is 0
	stuck   bool          // a rollback of it fails
	then    what          // after the hook was answered: succeeds, where it is empty
	deaf    error         // Answer refuses
}

// record is what the cloud keeps of a deployment.
type record struct {
	number       int
	id, revision string
	previous     string
	running      map[string]string // digest by container
	status       string            // as of a service deployment
	reason       string
	created      time.Time
	ended        time.Time
	desired      int
	hook         string // at which it waits
	answered     bool
	fate         fate
	back         *record // the one to which it is rolled back
	backAt       time.Time
}

type service struct {
	name    string
	desired int
	status  string
	who     string    // ECS or CODE_DEPLOY
	records []*record // oldest first
	primary *record
	fates   []fate // of the deployments that are started next; they succeed in 30 s where there is none
	moves   []func(s *service)
	moved   time.Time // when somebody else replaced a deployment
	broken  error     // why it cannot be read
	// listener takes test traffic; empty where there is none.
	listener string
	stage    string // of deployments in progress
	strategy
}

type strategy = ecs.Strategy

type ecsPause = ecs.Pause

type cloud struct {
	mu          sync.Mutex
	definitions map[string]taskdef.Definition
	newest      map[string]string // by family
	first       int               // number of a family's first revision, where that is not 1
	services    map[string]*service
	digests     map[string]string // by image, as a pull resolves it now
	changes     []string          // every call that changed something
	reads       map[string]int    // of definitions
	history     error             // why Successes fails
	inFlight    error             // why InFlight fails
	tags        error             // why tagging is refused
	tasks       error             // why tasks cannot be read
	diagnosing  time.Duration     // how long a diagnosis takes
	diagnoses   int
}

func newCloud() *cloud {
	return &cloud{
		definitions: map[string]taskdef.Definition{}, newest: map[string]string{},
		services: map[string]*service{}, digests: map[string]string{}, reads: map[string]int{},
	}
}

// define registers a revision of infrastructure, or of whom the tags say. image is
// that of its one container, app.
func (c *cloud) define(t *testing.T, name, image string, tags ...string) string {
	t.Helper()
	family, _, _ := strings.Cut(name, ":")
	d, err := taskdef.Parse(fmt.Appendf(nil, `{"family":%q,"containerDefinitions":[{"name":"app","image":%q,"essential":true}],"tags":[{"key":"team","value":"a"}]}`, family, image))
	if err != nil {
		t.Fatal(err)
	}
	return c.store(t, d, tags...)
}

// store keeps a revision under the next number of its family.
func (c *cloud) store(t *testing.T, d taskdef.Definition, tags ...string) string {
	t.Helper()
	var p taskdef.Provenance
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		switch key {
		case "build":
			p.BuildID = value
		case "pipeline":
			p.Pipeline = value
		case "base":
			p.Base = value
		case "tag":
			p.Tag = value
		}
	}
	d, err := d.WithProvenance(p)
	if err == nil {
		d, err = c.put(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d.ARN()
}

func (c *cloud) put(d taskdef.Definition) (taskdef.Definition, error) {
	number := max(c.first, 1)
	if newest, known := c.newest[d.Family()]; known {
		number = c.definitions[newest].Revision() + 1
	}
	arn := revisionARN(fmt.Sprintf("%s:%d", d.Family(), number))
	document := strings.TrimSuffix(strings.TrimSpace(string(d.RegisterInput())), "}")
	stored, err := taskdef.Parse(fmt.Appendf(nil, `%s,"taskDefinitionArn":%q,"revision":%d,"status":"ACTIVE"}`, document, arn, number))
	if err != nil {
		return stored, err
	}
	c.definitions[arn], c.newest[d.Family()] = stored, arn
	return stored, nil
}

// add creates a service that has reached each of the revisions, one after the
// other. They are given by their names, such as web:1.
func (c *cloud) add(name string, revisions ...string) *service {
	s := &service{name: name, desired: 2, status: "ACTIVE", who: "ECS"}
	c.services[name] = s
	for i, revision := range revisions {
		r := s.deploy(c, revisionARN(revision), s.desired, fate{})
		r.status, r.ended = "SUCCESSFUL", r.created
		r.created = r.created.Add(time.Duration(i-len(revisions)) * time.Hour)
	}
	return s
}

// deploy makes a new PRIMARY deployment.
func (s *service) deploy(c *cloud, revision string, desired int, f fate) *record {
	r := &record{number: len(s.records) + 1, revision: revision, status: "IN_PROGRESS", created: time.Now(), desired: desired, fate: f, running: map[string]string{}}
	r.id = fmt.Sprintf("ecs-svc/%s%d", s.name, r.number)
	if s.who == "CODE_DEPLOY" {
		r.id = fmt.Sprintf("d-%s%d", s.name, r.number)
	}
	if s.primary != nil {
		r.previous = s.primary.revision
		if old := s.primary; old.status == "IN_PROGRESS" {
			old.status, old.ended = "STOPPED", time.Now()
		}
	}
	for _, container := range c.definitions[revision].Containers() {
		r.running[container.Name] = c.digests[container.Image]
	}
	s.records, s.primary = append(s.records, r), r
	return r
}

// others deploys on somebody else's behalf.
func (s *service) others(c *cloud, revision string, f fate) *record {
	r := s.deploy(c, revision, s.desired, f)
	s.moved = time.Now()
	return r
}

// advance lets everything happen that is due.
func (s *service) advance(c *cloud) {
	now := time.Now()
	for _, r := range s.records {
		if r.status == "IN_PROGRESS" && !r.answered && !now.Before(r.created.Add(r.fate.after)) {
			s.happens(c, r, r.fate.what)
		}
		if r.status == "IN_PROGRESS" && r.answered && !now.Before(r.backAt) {
			s.happens(c, r, r.fate.then)
		}
		if (r.status == "ROLLBACK_REQUESTED" || r.status == "ROLLBACK_IN_PROGRESS") && !now.Before(r.backAt) {
			r.status, r.ended = "ROLLBACK_SUCCESSFUL", r.backAt
			if r.fate.stuck {
				r.status = "ROLLBACK_FAILED"
			}
		}
	}
}

func (s *service) happens(c *cloud, r *record, what what) {
	at := r.created.Add(r.fate.after)
	switch what {
	case succeeds, "":
		r.status, r.ended, r.hook = "SUCCESSFUL", at, ""
	case fails:
		r.status, r.ended, r.reason = "STOPPED", at, "tasks failed to start"
	case goesBack:
		s.goBack(r, "ROLLBACK_IN_PROGRESS", at)
	case pauses:
		r.hook = "hook-" + r.id
	case isReplaced:
		s.others(c, revisionARN("theirs:1"), fate{what: hangs})
	case isDeleted:
		s.status = "INACTIVE"
	}
}

// goBack begins ECS's rollback of a deployment: that of before is PRIMARY again.
func (s *service) goBack(r *record, status string, at time.Time) {
	r.status, r.hook, r.backAt = status, "", at.Add(max(r.fate.backIn, 5*time.Second))
	for _, earlier := range slices.Backward(s.records[:r.number-1]) {
		if earlier.status == "SUCCESSFUL" {
			r.back, s.primary = earlier, earlier
			return
		}
	}
}

// read is the service as DescribeServices would show it.
func (s *service) read() ecs.Service {
	out := ecs.Service{
		Cluster: "main", Name: s.name, ARN: arnPrefix + "service/main/" + s.name, Status: s.status, Controller: s.who,
		Desired: s.desired, TaskDefinition: s.primary.revision, Strategy: s.strategy,
		Described: types.Service{ClusterArn: aws.String(arnPrefix + "cluster/main")},
	}
	good := false // the one that runs until another has taken its place is listed, too
	for _, r := range slices.Backward(s.records) {
		last := r.status == "SUCCESSFUL" && !good
		good = good || last
		if r == s.primary || r.ended.IsZero() || last && s.primary.ended.IsZero() {
			out.Deployments = append(out.Deployments, s.entry(r))
		}
	}
	out.Running = out.Primary().Running
	return out
}

// entry is a deployment in the service's list.
func (s *service) entry(r *record) ecs.Deployment {
	d := ecs.Deployment{ID: r.id, Status: "ACTIVE", TaskDefinition: r.revision, CreatedAt: r.created, Desired: r.desired, RolloutState: "IN_PROGRESS"}
	if s.who == "CODE_DEPLOY" {
		d.CodeDeploy = r.id
	}
	if r == s.primary {
		d.Status = "PRIMARY"
	}
	switch r.status {
	case "SUCCESSFUL":
		d.RolloutState, d.Running = "COMPLETED", r.desired
	case "STOPPED":
		d.RolloutState, d.Failed = "FAILED", 3
	}
	if r.fate.what == shifts || r.fate.what == drains {
		d.Running = r.desired
	}
	return d
}

func (s *service) brief(r *record) *ecs.ServiceDeployment {
	out := &ecs.ServiceDeployment{
		ARN: arnPrefix + "service-deployment/main/" + s.name + "/" + fmt.Sprint(r.number), Status: r.status, StatusReason: r.reason,
		CreatedAt: r.created, FinishedAt: r.ended, Target: ecs.TargetRevision{ARN: s.revision(r)},
	}
	if r.back != nil {
		out.RollbackTo = s.revision(r.back)
	}
	if r.hook != "" {
		out.Hooks = []ecs.Hook{{ID: r.hook, Pause: true, Waiting: true}}
	}
	if r.fate.what == shifts {
		out.Stage = "BAKE_TIME"
	} else if r.fate.what == drains {
		out.Stage = "CLEAN_UP"
	} else if r.ended.IsZero() {
		out.Stage = s.stage
	}
	return out
}

func (s *service) revision(r *record) string {
	return arnPrefix + "service-revision/main/" + s.name + "/" + strings.TrimPrefix(r.id, "ecs-svc/")
}

func (c *cloud) note(format string, args ...any) {
	c.changes = append(c.changes, fmt.Sprintf(format, args...))
}

// said are the calls that changed something, in order.
func (c *cloud) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.changes, "; ")
}

// runs is the revision that a service is set to.
func (c *cloud) runs(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services[name].advance(c)
	return ecs.ShortARN(c.services[name].primary.revision)
}

// ECS.

func (c *cloud) Service(ctx context.Context, cluster, name string) (ecs.Service, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return ecs.Service{}, context.Cause(ctx)
	}
	s := c.services[name]
	if s == nil {
		return ecs.Service{}, &mistake.Error{Kind: mistake.Service, Absent: true, Text: "service " + name + " does not exist"}
	}
	if len(s.moves) > 0 {
		move := s.moves[0]
		s.moves = s.moves[1:]
		if move != nil {
			move(s)
		}
	}
	s.advance(c)
	return s.read(), s.broken
}

func (c *cloud) Definition(_ context.Context, ref string) (taskdef.Definition, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads[ref]++
	arn := ref
	if newest, is := c.newest[ref]; is {
		arn = newest
	} else if !strings.HasPrefix(ref, "arn:") {
		arn = revisionARN(ref)
	}
	d, known := c.definitions[arn]
	if !known {
		return d, &mistake.Error{Kind: mistake.TaskDefinition, Absent: true, Text: "task definition " + ref + " does not exist"}
	}
	return d, nil
}

func (c *cloud) Fresh(ctx context.Context, ref string) (taskdef.Definition, error) {
	return c.Definition(ctx, ref)
}

func (c *cloud) Register(_ context.Context, d taskdef.Definition) (taskdef.Definition, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, tagged := d.Provenance(); tagged && c.tags != nil {
		return d, c.tags
	}
	stored, err := c.put(d)
	c.note("register %s", stored)
	return stored, err
}

func (c *cloud) Revisions(_ context.Context, family string, inactive bool) iter.Seq2[string, error] {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.SortedFunc(maps.Keys(c.definitions), func(a, b string) int {
		return c.definitions[b].Revision() - c.definitions[a].Revision()
	})
	all = slices.DeleteFunc(all, func(arn string) bool {
		return c.definitions[arn].Family() != family || (c.definitions[arn].Status() == "INACTIVE") != inactive
	})
	return func(yield func(string, error) bool) {
		for _, arn := range all {
			if !yield(arn, nil) {
				return
			}
		}
	}
}

// Rollouts.

func (c *cloud) Controller(_ context.Context, s ecs.Service) (rollout.Controller, error) {
	return &controller{c, c.services[s.Name]}, nil
}

func (c *cloud) Diagnose(ctx context.Context, s diagnosis.Subject) diagnosis.Diagnosis {
	c.mu.Lock()
	c.diagnoses++
	c.mu.Unlock()
	_ = sleep(ctx, c.diagnosing)
	return diagnosis.Diagnosis{Causes: []diagnosis.Cause{{Count: 3, Reason: "container app exited with code 1"}}}
}

func (c *cloud) Prove(_ context.Context, s rollout.Snapshot, want map[string][]string) rollout.Proof {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := rollout.Proof{Wanted: want, TasksErr: c.tasks}
	if c.tasks != nil {
		return p
	}
	p.Tasks, p.Running.Known = s.Service.Desired, true
	p.Verified = p.Tasks
	for _, r := range c.services[s.Service.Name].records {
		for container, digests := range want {
			if r.id == s.ID && !slices.Contains(digests, r.running[container]) {
				p.Verified = 0
				p.Running.Wrong = append(p.Running.Wrong, rollout.Wrong{Task: "t1", Container: container, Digest: r.running[container]})
			}
		}
	}
	return p
}

// Route is the address of the test listener of a service, by its name.
func (c *cloud) Route(_ context.Context, listener string) (rollout.Route, error) {
	return rollout.Route{URL: "http://" + listener + ".example:9000"}, nil
}

// Balancing are no settings.
func (c *cloud) Balancing(context.Context, string) rollout.Balancing { return rollout.Balancing{} }

// TestListener is the service's test listener.
func (c *controller) TestListener() string { return c.listener }

// Holds reports whether deployments wait while test traffic is on the new revision.
func (c *controller) Holds() bool { return len(c.Pauses) > 0 }

// controller deploys to one service.
type controller struct {
	*cloud
	*service
}

func (c *controller) Name() string {
	if c.who == "CODE_DEPLOY" {
		return "CodeDeploy"
	}
	return "ECS"
}

func (c *controller) Unsupported(change rollout.Change) []error {
	if c.who == "CODE_DEPLOY" && change.DesiredCount != nil {
		return []error{mistake.New(mistake.DesiredCount, "", "CodeDeploy does not set it")}
	}
	return nil
}

// inProgress is the record of the deployment in progress.
func (c *controller) inProgress() *record {
	c.advance(c.cloud)
	for _, r := range slices.Backward(c.records) {
		if r.ended.IsZero() {
			return r
		}
	}
	return nil
}

func (c *controller) InFlight(ctx context.Context) (rollout.Deployment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if r := c.inProgress(); r != nil && c.inFlight == nil {
		return &deployment{controller: c, record: r}, nil
	}
	return nil, c.inFlight
}

func (c *controller) LastGood(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight != nil {
		return "", c.inFlight
	}
	if r := c.inProgress(); r == nil && c.primary.status == "SUCCESSFUL" {
		return c.primary.revision, nil
	}
	return "", nil
}

func (c *controller) Successes(context.Context) iter.Seq2[string, error] {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, r := range slices.Backward(c.records) {
		if r.status == "SUCCESSFUL" {
			all = append(all, r.revision)
		}
	}
	return func(yield func(string, error) bool) {
		if c.history != nil {
			yield("", c.history)
			return
		}
		for _, revision := range all {
			if !yield(revision, nil) {
				return
			}
		}
	}
}

func (c *controller) Paused(_ context.Context, hookID string) (rollout.Deployment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.inProgress(); r != nil && r.hook != "" && (hookID == "" || hookID == r.hook) {
		return &deployment{controller: c, record: r}, nil
	}
	return nil, mistake.New(mistake.Service, "", "no deployment of service %s is paused", c.name)
}

func (c *controller) Start(ctx context.Context, change rollout.Change) (rollout.Deployment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	busy := c.inProgress()
	if c.definitions[change.TaskDefinition].Status() == "INACTIVE" && c.primary.revision != change.TaskDefinition {
		return nil, &smithy.GenericAPIError{Code: "ClientException", Message: "TaskDefinition is inactive"}
	}
	if c.status != "ACTIVE" {
		return nil, &mistake.Error{Kind: mistake.Service, Absent: true, Text: "service " + c.name + " is " + c.status}
	}
	if change.Expect != "" && change.Expect != c.primary.id {
		return nil, &rollout.MovedError{Service: c.read()}
	}
	if busy != nil && !change.Supersede && !slices.Contains(change.Replaces, busy.id) && busy.revision != change.TaskDefinition {
		return nil, &rollout.MovedError{Service: c.read(), InFlight: &deployment{controller: c, record: busy}}
	}
	scale := change.DesiredCount != nil && *change.DesiredCount != c.desired
	if c.primary.revision == change.TaskDefinition && !change.Force && !scale && c.primary.status != "STOPPED" {
		return &deployment{controller: c, record: c.primary, reached: busy == nil}, nil
	}
	var f fate
	if len(c.fates) > 0 {
		f, c.fates = c.fates[0], c.fates[1:]
	} else {
		f.after = 30 * time.Second
	}
	if f.refused != nil {
		return nil, f.refused
	}
	if scale {
		c.desired = *change.DesiredCount
	}
	force := ""
	if change.Force {
		force = " by force"
	}
	c.note("start %s %s%s", c.name, ecs.ShortARN(change.TaskDefinition), force)
	r := c.deploy(c.cloud, change.TaskDefinition, c.desired, f)
	if f.lost {
		return nil, errors.New("the answer got lost")
	}
	return &deployment{controller: c, record: r, fresh: true}, nil
}

// deployment is one view of a record.
type deployment struct {
	*controller
	record  *record
	fresh   bool // this view's run has started it
	reached bool // it had succeeded before
	asked   bool
	limits  rollout.Limits
	left    time.Duration
	failing bool // enough tasks have failed
	verdict rollout.Verdict
	err     error
}

func (d *deployment) snapshot() rollout.Snapshot {
	r := d.record
	s := rollout.Snapshot{
		ID: r.id, Revision: r.revision, Previous: r.previous, New: d.fresh, Reached: d.reached, Asked: d.asked,
		Until: d.limits.Until, Left: d.left, Service: d.read(), Own: d.entry(r), Listed: true, Record: d.brief(r),
	}
	if r.answered {
		s.Answered = r.hook
	}
	if d.who == "CODE_DEPLOY" {
		s.Record = nil
		status := map[string]string{"IN_PROGRESS": "InProgress", "SUCCESSFUL": "Succeeded", "STOPPED": "Failed"}[r.status]
		s.CodeDeploy = &rollout.CodeDeployRecord{Status: status}
		if status == "" {
			s.CodeDeploy.Status = "Stopped"
			s.CodeDeploy.Rollback = &rollout.CodeDeployRollback{ID: "d-back", Status: "InProgress"}
			if !r.ended.IsZero() {
				s.CodeDeploy.Rollback.Status = "Succeeded"
			}
		}
	}
	for _, earlier := range d.records[:r.number-1] {
		s.Earlier = append(s.Earlier, earlier.id)
	}
	if !r.ended.IsZero() {
		s.Ended = time.Since(r.ended)
	}
	if !d.moved.IsZero() {
		s.Replaced = time.Since(d.moved)
	}
	if d.failing {
		s.Hopeless = &rollout.Reason{Code: rollout.TasksFail, Cause: &diagnosis.Cause{Reason: "container app exited with code 1"}, Count: 3, Limit: d.limits.MaxFailedTasks}
	}
	return s
}

func (d *deployment) Snapshot() rollout.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.snapshot()
}

func (d *deployment) Verdict() rollout.Verdict { return d.verdict }
func (d *deployment) Err() error               { return d.err }

func (d *deployment) Watch(ctx context.Context, limits rollout.Limits) iter.Seq[rollout.Event] {
	return func(yield func(rollout.Event) bool) {
		begin := time.Now()
		d.limits, d.verdict, d.err = limits, rollout.Verdict{}, nil
		for told := (rollout.Counts{}); ; {
			d.left = limits.Timeout - time.Since(begin)
			if ctx.Err() != nil {
				d.err = context.Cause(ctx)
				return
			}
			d.mu.Lock()
			d.advance(d.cloud)
			r := d.record
			d.failing = r.fate.what == crashes && limits.MaxFailedTasks > 0 && time.Since(r.created) >= r.fate.after
			now, broken := d.snapshot(), d.broken
			d.mu.Unlock()
			if d.err = broken; broken != nil {
				return
			}
			if counts := now.Counts(); counts != told {
				told = counts
				if !yield(rollout.Event{Time: time.Now(), What: counts}) {
					return
				}
			}
			if d.verdict = rollout.Judge(now); d.verdict.Final() {
				return
			}
			if d.left <= 0 {
				d.verdict = rollout.Verdict{Outcome: rollout.TimedOut, Reason: rollout.Reason{Code: rollout.NotInTime, After: limits.Timeout}}
				return
			}
			if d.err = sleep(ctx, min(2*time.Second, d.left)); d.err != nil {
				return
			}
		}
	}
}

func (d *deployment) Stop(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if d.record.fate.wins && d.record.ended.IsZero() {
		d.record.status, d.record.ended = "SUCCESSFUL", time.Now()
	}
	d.advance(d.cloud)
	now := d.snapshot()
	now.Hopeless, now.Until = nil, rollout.UntilEnded
	if v := rollout.Judge(now); v.Final() && v.Outcome != rollout.Paused {
		d.verdict = v
		if v.Outcome == rollout.Superseded {
			return rollout.ErrNotOurs
		}
		return rollout.ErrEnded
	}
	switch {
	case d.record.fate.stop != nil:
		if errors.Is(d.record.fate.stop, rollout.ErrNotOurs) {
			d.verdict = rollout.Verdict{Outcome: rollout.Superseded, Reason: rollout.Reason{Code: rollout.ReplacedByOther}}
		}
		return d.record.fate.stop
	case d.record.status == "SUCCESSFUL", d.record.status == "STOPPED":
		return rollout.ErrEnded
	case now.RollingBack():
		return nil
	case d.primary != d.record:
		return rollout.ErrNotOurs
	}
	d.note("stop %s %s", d.name, ecs.ShortARN(d.record.revision))
	d.asked, d.failing = true, false
	d.goBack(d.record, "ROLLBACK_REQUESTED", time.Now())
	return nil
}

func (d *deployment) Answer(_ context.Context, action rollout.Action) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.record.status != "IN_PROGRESS" {
		return rollout.ErrEnded
	}
	if d.record.fate.deaf != nil {
		return d.record.fate.deaf
	}
	d.note("%s %s", action, d.name)
	d.record.answered, d.record.backAt = true, time.Now().Add(10*time.Second)
	if action == rollout.RollBack {
		d.asked = true
		d.goBack(d.record, "ROLLBACK_REQUESTED", time.Now())
	}
	return nil
}

// screen keeps what a run showed.
type screen struct {
	mu     sync.Mutex
	events []any
	open   int
}

func (v *screen) Section(s Section) func() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.open--
	}
}

func (v *screen) Show(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = append(v.events, event)
}

func (v *screen) Progress(int, Phase) {}

// shown are the events of one type.
func shown[T any](v *screen) []T {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []T
	for _, e := range v.events {
		if one, is := e.(T); is {
			all = append(all, one)
		}
	}
	return all
}

func taggingDenied() error {
	return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized to perform: ecs:TagResource"}
}

// deregister makes a revision INACTIVE.
func (c *cloud) deregister(name string) {
	d := c.definitions[revisionARN(name)]
	document := strings.TrimSuffix(strings.TrimSpace(string(d.RegisterInput())), "}")
	inactive, err := taskdef.Parse(fmt.Appendf(nil, `%s,"taskDefinitionArn":%q,"revision":%d,"status":"INACTIVE"}`, document, d.ARN(), d.Revision()))
	if err != nil {
		panic(err)
	}
	c.definitions[d.ARN()] = inactive
}
