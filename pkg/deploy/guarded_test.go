package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/rollout"
)

// broken is a cloud of which one part panics.
type broken struct {
	*cloud
	part string
}

func (b *broken) panics(part string) {
	if b.part == part {
		panic("a fault in " + part)
	}
}

func (b *broken) Service(ctx context.Context, cluster, name string) (ecs.Service, error) {
	b.panics("Service")
	return b.cloud.Service(ctx, cluster, name)
}

func (b *broken) Controller(ctx context.Context, s ecs.Service) (rollout.Controller, error) {
	b.panics("Controller")
	c, err := b.cloud.Controller(ctx, s)
	return &brokenController{c, b}, err
}

func (b *broken) Diagnose(ctx context.Context, s diagnosis.Subject) diagnosis.Diagnosis {
	b.panics("Diagnose")
	return b.cloud.Diagnose(ctx, s)
}

func (b *broken) Prove(ctx context.Context, s rollout.Snapshot, want map[string][]string) rollout.Proof {
	b.panics("Prove")
	return b.cloud.Prove(ctx, s, want)
}

type brokenController struct {
	rollout.Controller
	broken *broken
}

func (c *brokenController) Start(ctx context.Context, change rollout.Change) (rollout.Deployment, error) {
	c.broken.panics("Start")
	d, err := c.Controller.Start(ctx, change)
	c.broken.panics("Start's answer")
	if err != nil {
		return nil, err
	}
	return &brokenDeployment{d, c.broken}, nil
}

type brokenDeployment struct {
	rollout.Deployment
	broken *broken
}

func (d *brokenDeployment) Verdict() rollout.Verdict {
	d.broken.panics("Verdict")
	return d.Deployment.Verdict()
}

func (d *brokenDeployment) Stop(ctx context.Context) error {
	d.broken.panics("Stop")
	return d.Deployment.Stop(ctx)
}

// TestPanics: a panic in any part of a run ends as one error or one outcome, and
// leaves no service unreported. What only explains a failure changes nothing.
func TestPanics(t *testing.T) {
	const moved = "register web:2; start a web:2"
	for _, tt := range []struct {
		part     string
		fate     fate
		outcomes string
		changes  string
		err      string // in the error of the run, or of the service
		reported bool   // the service's state is shown
	}{
		{"Service", fate{}, "", "", "internal error: a fault in Service", false},
		{"Controller", fate{}, "", "", "internal error: a fault in Controller", false},
		{"Diagnose", fate{what: crashes, after: time.Minute}, "rolledBack", moved + "; stop a web:2", "", false},
		{"Prove", fate{after: time.Minute}, "succeeded", moved, "", false},
		{"Start", fate{}, "failed", "register web:2", "start the deployment of service a: internal error: a fault in Start", false},
		{"Start's answer", fate{after: time.Minute}, "succeeded", moved, "", false},
		{"Start's answer", fate{what: crashes, after: time.Minute}, "rolledBack", moved + "; stop a web:2", "", false},
		{"Verdict", fate{after: time.Minute}, "", moved, "follow the deployment of service a: internal error: a fault in Verdict", true},
		{"Stop", fate{what: crashes, after: time.Minute}, "failed", moved, "end the rollout to service a: internal error: a fault in Stop", true},
	} {
		t.Run(tt.part, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.services["a"].fates = []fate{tt.fate}
				view := &screen{}
				b := &broken{c, tt.part}
				d := &Deployer{ECS: b, Rollouts: b, View: view}
				result, err := d.Run(t.Context(), asking("a"))
				if len(result.Services) > 0 && err == nil {
					err = result.Services[0].Err
				}
				if got := outcomes(result); got != tt.outcomes {
					t.Errorf("outcomes %q, want %q; error %v", got, tt.outcomes, err)
				}
				if c.said() != tt.changes {
					t.Errorf("changed %q, want %q", c.said(), tt.changes)
				}
				switch {
				case tt.err == "" && err != nil, tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
					t.Errorf("error %v, want %q", err, tt.err)
				case err != nil:
					if p, is := errors.AsType[*guard.Panic](err); !is || !strings.Contains(string(p.Stack), "guarded_test.go") {
						t.Errorf("the error has no stack: %v", err)
					}
				}
				if got := len(shown[Interrupted](view)) > 0; got != tt.reported {
					t.Errorf("the state of the service was shown: %t", got)
				}
			})
		})
	}
}
