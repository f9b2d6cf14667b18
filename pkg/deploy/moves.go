package deploy

// Between which builds a plan moves its services: the pipeline's side of a rollout.

import (
	"strconv"

	"ecsdeploy/pkg/taskdef"
)

// Move is a service that a plan moves from one build to another. Both have a
// BuildID that is a number greater than 0.
type Move struct {
	Service  Service
	From, To taskdef.Provenance
}

// Moves are the services whose running build and coming build are known and
// differ. A paused deployment that is to be rolled back moves nothing.
func (p *Plan) Moves() []Move {
	var all []Move
	for _, s := range p.Services {
		if s.Back || s.Name == (Service{}) {
			continue
		}
		from, to := s.runningBuild(), p.Coming(s)
		if isBuild(from) && isBuild(to) && from.BuildID != to.BuildID {
			all = append(all, Move{s.Name, from, to})
		}
	}
	return all
}

// runningBuild is where the image comes from that a service runs: by the tags of
// its revision, or else by the tag of its image.
func (s ServicePlan) runningBuild() taskdef.Provenance {
	if from, known := s.runs(); known {
		return from
	}
	return taskdef.Provenance{BuildID: tagOf(s.Running.Image(s.Container))}
}

// Coming is where the image comes from that a service is to run. A revision
// that is registered already, as for command rollback, says so itself.
func (p *Plan) Coming(s ServicePlan) taskdef.Provenance {
	if registered := s.Lineage.Base.ARN() == "" && s.Lineage.File == ""; !registered {
		if p.Request.Image == Current || p.imageFor(s).URI == "" {
			return taskdef.Provenance{} // the image stays
		}
		earlier := taskdef.Provenance{BuildID: tagOf(p.imageFor(s).URI)}
		if r := p.Request; !r.Push && len(r.Artifacts) == 0 && isBuild(earlier) && earlier.BuildID != r.Origin.BuildID {
			return earlier // the image of an earlier run, which this one names only by its tag
		}
		return p.origin()
	}
	if to, known := s.Target.Provenance(); known {
		return to
	}
	return taskdef.Provenance{BuildID: tagOf(s.Target.Image(s.Container))}
}

func isBuild(p taskdef.Provenance) bool {
	n, err := strconv.ParseInt(p.BuildID, 10, 32)
	return err == nil && n > 0
}
