package deploy

// What a new revision is made from. Infrastructure registers revisions of the same
// family as the pipeline: what it changed since the pipeline's last successful
// revision flows in, and what the pipeline owns stays. Revisions of the pipeline
// whose deployment failed, or that never ran, are no base: what they set must not
// come back. The tags that a revision carries tell the two apart
// (taskdef.Provenance).

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// Lineage is what a revision is made from, and how that came about.
type Lineage struct {
	Base           taskdef.Definition
	Infrastructure string             // the infrastructure's revision in it, family:revision; empty where it is not known
	Merged         string             // the pipeline's revision that was merged with it; empty where there was nothing to merge
	Conflicts      []taskdef.Conflict // what both had changed
	Ours           taskdef.Definition // the pipeline's last successful revision; the zero Definition where there is none
	Note           string             // what could not be merged; may be empty
	PassedOver     []taskdef.Skipped  // newer revisions that are no base, and why
	File           string             // the file that the base was read from
}

// registered reports whether the base is a revision as ECS has registered it. One that
// was merged has the ARN of infrastructure's, and may say what ECS never took.
func (l Lineage) registered() bool { return l.Base.ARN() != "" && l.Merged == "" && l.Note == "" }

// library remembers the revisions that were read while a plan is made: services
// often share a family.
type library struct {
	ecs   ECS
	mu    sync.Mutex
	books map[string]*book
}

// book is one revision. Who asks for it while it is being read waits, and leaves
// when its context ends.
type book struct {
	read chan struct{} // closed once the rest is final
	taskdef.Definition
	err error
}

func newLibrary(ecs ECS) *library {
	return &library{ecs: ecs, books: map[string]*book{}}
}

// definition reads a revision, or the newest one of a family, once.
func (l *library) definition(ctx context.Context, ref string) (taskdef.Definition, error) {
	l.mu.Lock()
	b, known := l.books[ref]
	if !known {
		b = &book{read: make(chan struct{})}
		l.books[ref] = b
	}
	l.mu.Unlock()
	if known {
		select {
		case <-b.read:
			return b.Definition, b.err
		case <-ctx.Done():
			return taskdef.Definition{}, context.Cause(ctx)
		}
	}
	b.Definition, b.err = l.ecs.Definition(ctx, ref)
	close(b.read)
	if b.err == nil && b.ARN() != "" {
		l.mu.Lock()
		l.books[b.ARN()] = b
		l.mu.Unlock()
	}
	return b.Definition, b.err
}

// newest reads the newest active revision of a family.
func (l *library) newest(ctx context.Context, family string) (taskdef.Definition, error) {
	return l.definition(ctx, family)
}

// baseOf is the base that a service of a request is read with. Where the run brings no
// image, the name of a family stands for its newest revision as it is, deployed before or
// not: that is what is to be rolled out.
func (d *Deployer) baseOf(ctx context.Context, library *library, r Request) string {
	if r.Push || r.Image != "" || r.Repository != "" {
		return r.TaskDefinition
	}
	return d.newestByName(ctx, library, r.TaskDefinition)
}

// newestByName is the ARN of the newest revision of a family where ref is its name, and
// else ref.
func (d *Deployer) newestByName(ctx context.Context, library *library, ref string) string {
	if namesFamily(ref) {
		if newest, err := d.newestOf(ctx, library, ref); err == nil { // or else reading ref says what is wrong
			return newest.ARN()
		}
	}
	return ref
}

// trace finds what the input taskDefinition means.
func (d *Deployer) trace(ctx context.Context, library *library, s ServicePlan, ref string) (Lineage, error) {
	var l Lineage
	var err error
	switch {
	case ref == "" || ref == "latest", ref == s.Running.Family(): // the family by its name means no other revision
		return d.latest(ctx, library, s)
	case ref == "running":
		l.Base = s.Running
	case strings.HasPrefix(ref, "arn:"):
		l.Base, err = library.definition(ctx, ref)
	default:
		l, err = d.fileOrRevision(ctx, library, ref)
	}
	if p, ours := l.Base.Provenance(); ours {
		l.Infrastructure = p.Base
	} else if l.Base.ARN() != "" {
		l.Infrastructure = l.Base.String()
	}
	return l, err
}

// latest takes the newest revision that infrastructure registered in the running
// family, merged with the pipeline's last revision that succeeded.
func (d *Deployer) latest(ctx context.Context, library *library, s ServicePlan) (Lineage, error) {
	newest, err := library.newest(ctx, s.Running.Family())
	if mistake.Absent(err) { // all of the family were deregistered, the running one too
		newest, err = s.Running, nil
	}
	if err != nil {
		return Lineage{}, err
	}
	ours, outcome, err := d.lastOurs(ctx, library, s, newest)
	if err != nil {
		return Lineage{}, err
	}
	if outcome == taskdef.Unproven && d.leftBehind(ctx, s, newest, ours) {
		outcome = taskdef.LeftBehind
	}
	candidates := []taskdef.Candidate{{Definition: newest, Outcome: outcome}}
	if newest.ARN() == ours.ARN() {
		candidates[0].Outcome = taskdef.Succeeded
	} else if ours.ARN() != "" {
		candidates = append(candidates, taskdef.Candidate{Definition: ours, Outcome: taskdef.Succeeded})
	}
	// A revision of a pipeline is made from the newest one of infrastructure.
	if p, made := newest.Provenance(); made && p.Base != "" {
		if newest.ARN() == ours.ARN() && (s.Running.ARN() == newest.ARN() || ranOurs(s)) {
			// Infrastructure has registered nothing since: there is nothing to merge.
			return Lineage{Base: ours, Ours: ours, Infrastructure: p.Base}, nil
		}
		from, _ := ours.Provenance()
		for _, ref := range []string{p.Base, from.Base} {
			base, err := library.definition(ctx, ref)
			switch {
			case err == nil:
				candidates = append(candidates, taskdef.Candidate{Definition: base})
			case !mistake.Absent(err):
				return Lineage{}, err
			}
			if !base.Deregistered() || from.Base == "" || from.Base == p.Base {
				break
			}
			// Infrastructure has taken that one back: what counts is the one before it.
		}
	}
	if _, made := s.Running.Provenance(); !made && s.Running.ARN() != newest.ARN() {
		candidates = append(candidates, taskdef.Candidate{Definition: s.Running})
	}
	slices.SortStableFunc(candidates, func(a, b taskdef.Candidate) int { return cmp.Compare(b.Revision(), a.Revision()) })
	return d.combine(ctx, library, taskdef.Trace(candidates))
}

// leftBehind reports whether a deployment of the pipeline's newest revision has
// succeeded, though the service has gone back from it to ours. Only the newest part of
// the history can say so: what is older than ours is not looked at.
func (d *Deployer) leftBehind(ctx context.Context, s ServicePlan, newest, ours taskdef.Definition) bool {
	if _, made := newest.Provenance(); !made || ours.ARN() == "" || newest.ARN() == ours.ARN() {
		return false
	}
	times := 0
	for arn, err := range s.Controller.Successes(ctx) {
		if err != nil || arn == newest.ARN() {
			return err == nil
		}
		if arn == ours.ARN() {
			times++
		}
		if times > 1 || revisionOf(arn).number < ours.Revision() {
			break
		}
	}
	return false
}

// ranOurs reports whether the service runs a revision of a pipeline.
func ranOurs(s ServicePlan) bool {
	_, made := s.Running.Provenance()
	return made
}

// combine makes the base of the lineage that was found.
func (d *Deployer) combine(ctx context.Context, library *library, found taskdef.Lineage) (Lineage, error) {
	l := Lineage{Ours: found.Ours, PassedOver: found.Skipped}
	var madeFrom taskdef.Definition
	if ref := found.MadeFrom(); ref != "" {
		var err error
		if madeFrom, err = library.definition(ctx, ref); err != nil && !mistake.Absent(err) {
			return l, err
		}
		l.Merged = found.Ours.String()
	}
	l.Base, l.Conflicts, l.Note = found.Base(madeFrom)
	if l.Note != "" || found.Ours.ARN() == "" || taskdef.Equal(l.Base, found.Infrastructure) {
		l.Merged = ""
	}
	if found.Infrastructure.ARN() != "" {
		l.Infrastructure = found.Infrastructure.String()
	} else if p, ours := found.Ours.Provenance(); ours {
		l.Infrastructure = p.Base
	}
	return l, nil
}

// lastOurs returns the pipeline's last revision of the running family whose
// deployment to the service succeeded; the zero Definition where there is none.
// outcome is what is known of any other of its revisions. Where the history cannot
// be read, the revision that runs counts, or else the newest one.
func (d *Deployer) lastOurs(ctx context.Context, library *library, s ServicePlan, newest taskdef.Definition) (last taskdef.Definition, outcome taskdef.Outcome, err error) {
	family := s.Running.Family()
	consider := func(arn string) (taskdef.Definition, bool, error) {
		definition, err := library.definition(ctx, arn)
		if mistake.Absent(err) {
			return taskdef.Definition{}, false, nil
		}
		_, ours := definition.Provenance()
		return definition, ours && definition.Family() == family, err
	}
	if s.Good != "" {
		if definition, ours, err := consider(s.Good); ours || err != nil {
			return definition, taskdef.Unproven, err
		}
	}
	seen := map[string]bool{s.Good: true}
	for arn, err := range s.Controller.Successes(ctx) {
		if err != nil {
			d.View.Show(HistoryUnread{Service: s.Name, Err: err})
			return unread(s, newest), taskdef.Unknown, nil
		}
		if seen[arn] {
			continue
		}
		seen[arn] = true
		if definition, ours, err := consider(arn); ours || err != nil {
			return definition, taskdef.Unproven, err
		}
	}
	return taskdef.Definition{}, taskdef.Unproven, nil
}

// unread is the pipeline's revision to build on where it is not known which of its
// revisions succeeded.
func unread(s ServicePlan, newest taskdef.Definition) taskdef.Definition {
	for _, definition := range []taskdef.Definition{s.Running, newest} {
		if _, ours := definition.Provenance(); ours {
			return definition
		}
	}
	return taskdef.Definition{}
}

// fileOrRevision reads the file or the revision that ref means by its spelling: a
// file that happens to be named like a family is not one.
func (d *Deployer) fileOrRevision(ctx context.Context, library *library, ref string) (Lineage, error) {
	if !looksLikeFile(ref) {
		if strings.Contains(ref, ":") {
			base, err := library.definition(ctx, ref)
			return Lineage{Base: base}, err
		}
		base, err := d.newestOf(ctx, library, ref)
		return Lineage{Base: base}, err
	}
	path := ref
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.Images.WorkingDirectory, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Lineage{}, mistake.New(mistake.TaskDefinition,
			"give a path relative to $(System.DefaultWorkingDirectory), or latest, running, family:revision, an ARN", "%s", err)
	}
	base, err := taskdef.ParseFile(ref, data, d.Variables)
	return Lineage{Base: base, File: ref}, err
}

// namesFamily reports whether ref is the name of a family, by its spelling.
func namesFamily(ref string) bool {
	return ref != "" && ref != "latest" && ref != "running" && !strings.Contains(ref, ":") && !looksLikeFile(ref)
}

// looksLikeFile tells a path from family:revision by its spelling.
func looksLikeFile(ref string) bool {
	switch strings.ToLower(filepath.Ext(ref)) {
	case ".json", ".yaml", ".yml":
		return true
	}
	return strings.ContainsAny(ref, `/\`)
}

// Drift is what infrastructure did to a service behind the pipeline's back.
type Drift struct {
	Runs     string // image
	Deployed string // image
	BuildID  string
	Revision string // the pipeline's
}

// Drift says that infrastructure has set the service to a revision of its own
// after the pipeline's last one: what the pipeline deployed no longer runs.
func (s ServicePlan) Drift() (Drift, bool) {
	ours, ok := s.Lineage.Ours.Provenance()
	if _, mine := s.Running.Provenance(); !ok || mine || s.Running.Family() != s.Lineage.Ours.Family() || s.Running.Revision() <= s.Lineage.Ours.Revision() {
		return Drift{}, false
	}
	runs, deployed := s.Running.Image(s.Container), s.Lineage.Ours.Image(s.Container)
	return Drift{Runs: runs, Deployed: deployed, BuildID: ours.BuildID, Revision: s.Lineage.Ours.String()}, runs != deployed
}
