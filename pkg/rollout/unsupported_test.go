package rollout

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// TestUnsupported: what the controller of a service cannot do, and nothing else, is a
// mistake about the input that asks for it, with a hint.
func TestUnsupported(t *testing.T) {
	count := Change{DesiredCount: aws.Int(0)}
	web := ecs.Service{Name: "web"}
	daemon := ecs.Service{Name: "web", Daemon: true}
	for _, tt := range []struct {
		name       string
		controller Controller
		change     Change
		want       []mistake.Kind
	}{
		{"a service of replicas", &ecsController{first: web}, Change{DesiredCount: aws.Int(3), Force: true}, nil},
		{"a daemon", &ecsController{first: daemon}, count, []mistake.Kind{mistake.DesiredCount}},
		{"a daemon without a count", &ecsController{first: daemon}, Change{Force: true}, nil},
		{"CodeDeploy", &codeDeploy{first: web}, Change{}, nil},
		{"CodeDeploy with a count", &codeDeploy{first: web}, count, []mistake.Kind{mistake.DesiredCount}},
		{"CodeDeploy by force", &codeDeploy{first: web}, Change{Force: true}, []mistake.Kind{mistake.Force}},
		{"CodeDeploy with both", &codeDeploy{first: web}, Change{DesiredCount: aws.Int(3), Force: true}, []mistake.Kind{mistake.DesiredCount, mistake.Force}},
	} {
		got := tt.controller.Unsupported(tt.change)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, got)
			continue
		}
		for i, err := range got {
			if m, is := err.(*mistake.Error); !is || m.Kind != tt.want[i] || m.Hint() == "" {
				t.Errorf("%s: %v, want a mistake about %s", tt.name, err, tt.want[i])
			}
		}
	}
}

// TestExpectedStatus: a service that is being deleted is not changed. What a status means
// that is not known is for ECS to say.
func TestExpectedStatus(t *testing.T) {
	for status, refused := range map[string]bool{"ACTIVE": false, "": false, "RESTING": false, "DRAINING": true, "INACTIVE": true} {
		err := (&ecsController{}).expected(t.Context(), ecs.Service{Name: "web", Status: status}, Change{Supersede: true})
		if (err != nil) != refused {
			t.Errorf("%s: %v", status, err)
		}
	}
}
