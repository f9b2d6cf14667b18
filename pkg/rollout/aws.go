package rollout

import (
	"context"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

// AWS carries out rollouts in one region with one identity.
type AWS struct {
	client   *ecs.Client
	examiner *diagnosis.Examiner
	observer Observer // nil for none
}

// Observer hears what rollouts read and how that is judged. It may be called by
// several goroutines, and must not keep or change what it is given.
type Observer interface {
	diagnosis.Observer
	// Judged hears of each reading of a deployment, with the verdict on it.
	Judged(s Snapshot, v Verdict)
}

// NewAWS returns what carries out rollouts through the client.
func NewAWS(client *ecs.Client) AWS {
	return AWS{client: client, examiner: diagnosis.New(client, client.Config())}
}

// Observed is the same with an observer of all that is read from now on.
func (a AWS) Observed(o Observer) AWS {
	a.observer = o
	a.examiner.Observe(o)
	return a
}

// Controller returns the controller of a service as it was just read.
func (a AWS) Controller(ctx context.Context, s ecs.Service) (Controller, error) {
	c, err := New(ctx, a.client, a.examiner, s)
	switch c := c.(type) {
	case *ecsController:
		c.observer = a.observer
	case *codeDeploy:
		c.observer = a.observer
	}
	return c, err
}

// Diagnose finds out why the tasks of a deployment do not stay up.
func (a AWS) Diagnose(ctx context.Context, s diagnosis.Subject) diagnosis.Diagnosis {
	return a.examiner.Diagnose(ctx, s)
}

// Prove compares what a deployment runs with the expected digests; see [Prove].
func (a AWS) Prove(ctx context.Context, s Snapshot, want map[string][]string) Proof {
	return Prove(ctx, a.client, s, want)
}
