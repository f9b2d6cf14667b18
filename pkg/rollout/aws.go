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
}

// NewAWS returns what carries out rollouts through the client.
func NewAWS(client *ecs.Client) AWS {
	return AWS{client, diagnosis.New(client, client.Config())}
}

// Controller returns the controller of a service as it was just read.
func (a AWS) Controller(ctx context.Context, s ecs.Service) (Controller, error) {
	return New(ctx, a.client, a.examiner, s)
}

// Diagnose finds out why the tasks of a deployment do not stay up.
func (a AWS) Diagnose(ctx context.Context, s diagnosis.Subject) diagnosis.Diagnosis {
	return a.examiner.Diagnose(ctx, s)
}

// Prove compares what a deployment runs with the expected digests; see [Prove].
func (a AWS) Prove(ctx context.Context, s Snapshot, want map[string][]string) Proof {
	return Prove(ctx, a.client, s, want)
}
