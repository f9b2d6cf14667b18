package deploy

// Command drift: whether services run what this task deployed last, and if not, what
// they run instead. It only reads.

import (
	"context"
	"time"

	"ecsdeploy/pkg/taskdef"
)

// Deviation is a service beside what this task deployed to it last.
type Deviation struct {
	Service
	Running     string               // ARN of the revision that it is set to
	Deployed    string               // ARN of the last revision of this task whose deployment succeeded; empty where there is none
	BuildID     string               // of Deployed; empty where it is not known
	By          string               // ARN of who registered Running; empty where ECS does not say
	Ours        bool                 // this task registered Running
	InProgress  string               // id of a deployment in progress; empty where there is none
	Differences []taskdef.Difference // from Deployed to Running
}

// Drifted reports whether the service is set to another revision than the one that
// this task deployed last.
func (d Deviation) Drifted() bool { return d.Deployed != "" && d.Running != d.Deployed }

// Deviations compares each service of the request with what this task deployed to it
// last.
func (d *Deployer) Deviations(ctx context.Context, r Request) (Result, error) {
	begin := time.Now()
	library := newLibrary(d.ECS)
	result := Result{Deviations: make([]Deviation, len(r.Services))}
	err := each(r.Services, func(i int, name Service) error {
		s, err := d.readService(ctx, library, name, "latest")
		if err == nil {
			result.Deviations[i] = s.deviation()
		}
		return err
	})
	result.Took = time.Since(begin)
	if err != nil {
		return Result{}, err
	}
	defer d.View.Section(Section{Kind: DriftSection})()
	for _, one := range result.Deviations {
		d.View.Show(Compared{one})
	}
	return result, nil
}

// deviation compares what the service is set to with the last revision of this task.
func (s ServicePlan) deviation() Deviation {
	ours := s.Lineage.Ours
	one := Deviation{Service: s.Name, Running: s.Running.ARN(), Deployed: ours.ARN(), By: s.Running.RegisteredBy()}
	_, one.Ours = s.Running.Provenance()
	if p, made := ours.Provenance(); made {
		one.BuildID = p.BuildID
	}
	if s.Other != nil {
		one.InProgress = s.Other.Snapshot().ID
	}
	if one.Drifted() {
		one.Differences = taskdef.Diff(ours, s.Running)
	}
	return one
}
