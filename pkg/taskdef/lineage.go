package taskdef

// Lineage: what the next revision is made from. Infrastructure and pipeline both
// register revisions of one family, and not all of them count: what a rollout
// that failed had set must not come back with the next one.

import "fmt"

// Outcome is how the deployment of a revision ended, as far as ECS still knows.
type Outcome int

// The outcomes of a revision's deployment.
const (
	Unknown    Outcome = iota // ECS keeps no record of it, or it may not be read
	Succeeded                 // a deployment of it completed
	Failed                    // it was deployed, and every deployment failed or was rolled back
	NeverRan                  // it was registered, and no deployment used it
	Running                   // a deployment of it is in progress
	Unproven                  // no deployment of it has succeeded, be it that one failed or that there was none
	LeftBehind                // a deployment of it succeeded, and the service has gone back from it since
)

// A Candidate is a revision and how its deployment ended.
type Candidate struct {
	Definition
	Outcome Outcome
}

// Deployed reports whether a build was deployed with success before: one of the
// revisions is of the same build of the same pipeline, and its deployment
// succeeded. To deploy it again is to go back to it.
func Deployed(revisions []Candidate, build Provenance) bool {
	for _, c := range revisions {
		p, ok := c.Provenance()
		if ok && c.Outcome == Succeeded && build.BuildID != "" && p.BuildID == build.BuildID && p.SamePipeline(build) {
			return true
		}
	}
	return false
}

// A Skipped is a revision that is no base, and why.
type Skipped struct {
	Definition
	Reason string // "its deployment failed", …
}

// String is the revision and the reason: "web:7 (its deployment failed)".
func (s Skipped) String() string { return fmt.Sprintf("%s (%s)", s.Definition, s.Reason) }

// A Lineage is what a new revision is made from.
type Lineage struct {
	// Infrastructure is the newest revision that infrastructure registered; the
	// zero Definition where there is none.
	Infrastructure Definition
	// Ours is the last revision of a pipeline whose deployment succeeded, or is not
	// known to have ended otherwise; the zero Definition where there is none.
	Ours Definition
	// Skipped are the newer revisions that were passed over, newest first.
	Skipped []Skipped
}

// Trace finds what the next revision of a family is made from. The revisions are
// given newest first.
//
// A revision of infrastructure that was deregistered counts only where no other
// does: CloudFormation deregisters what it takes back. A revision of a pipeline
// counts when its deployment succeeded or when that is not known, be it
// registered still or not.
func Trace(revisions []Candidate) Lineage {
	var l Lineage
	var inactive Definition
	found := func(d Definition) bool { return d.doc.kind != missing }
	for _, c := range revisions {
		_, ours := c.Provenance()
		switch {
		case ours && found(l.Ours), !ours && found(l.Infrastructure):
		case ours && c.Outcome != Succeeded && c.Outcome != Unknown:
			l.Skipped = append(l.Skipped, Skipped{c.Definition, reasons[c.Outcome]})
		case ours:
			l.Ours = c.Definition
		case !c.Deregistered():
			l.Infrastructure = c.Definition
		default:
			if !found(inactive) {
				inactive = c.Definition
			}
			l.Skipped = append(l.Skipped, Skipped{c.Definition, "it is " + c.Status()})
		}
		if found(l.Ours) && found(l.Infrastructure) {
			break
		}
	}
	if !found(l.Infrastructure) && found(inactive) {
		l.Infrastructure = inactive
		l.Skipped = filter(l.Skipped, func(s Skipped) bool { return s.ARN() != inactive.ARN() })
	}
	if !found(l.Infrastructure) && !found(l.Ours) && len(l.Skipped) > 0 {
		// Only revisions of a pipeline, and none that succeeded: there is nothing
		// older to go back to, so the newest has to serve.
		l.Ours, l.Skipped = l.Skipped[0].Definition, l.Skipped[1:]
	}
	return l
}

var reasons = map[Outcome]string{
	Failed:     "its deployment failed",
	NeverRan:   "it was never deployed",
	Running:    "its deployment is still in progress",
	Unproven:   "no deployment of it has succeeded",
	LeftBehind: "the service has gone back from it since its deployment succeeded",
}

// MadeFrom is the revision of infrastructure that the pipeline's last one was
// made from, family:revision: [Lineage.Base] needs it. It is empty where the
// revision does not tell, and where nothing has to be merged.
func (l Lineage) MadeFrom() string {
	p, _ := l.Ours.Provenance()
	if l.Infrastructure.doc.kind == missing || p.Base == l.Infrastructure.String() {
		return ""
	}
	return p.Base
}

// Base is the definition that the next revision is made from: the newest revision
// of infrastructure with what the pipeline's last successful one changed since
// madeFrom, the revision that [Lineage.MadeFrom] names. Where that does not exist
// any more, the zero Definition stands for it; then only the images are kept, and
// the note says so.
func (l Lineage) Base(madeFrom Definition) (base Definition, conflicts []Conflict, note string) {
	p, _ := l.Ours.Provenance()
	switch {
	case l.Ours.doc.kind == missing:
		return l.Infrastructure, nil, ""
	case l.Infrastructure.doc.kind == missing, p.Base == l.Infrastructure.String():
		return l.Ours, nil, ""
	case madeFrom.doc.kind == missing:
		return l.Infrastructure.withImagesOf(l.Ours), nil,
			fmt.Sprintf("%s does not tell what it was made from: only its images are kept, everything else is as in %s", l.Ours, l.Infrastructure)
	}
	base, conflicts = Merge(madeFrom, l.Infrastructure, l.Ours)
	return base, conflicts, ""
}

// withImagesOf returns the definition with the images of another one, in the
// containers that both have.
func (d Definition) withImagesOf(other Definition) Definition {
	doc := d.doc.edit("containerDefinitions", func(c value) value {
		if image := other.Image(c.get("name").str()); image != "" {
			return c.withText("image", image)
		}
		return c
	})
	return Definition{doc}
}
