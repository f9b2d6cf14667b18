package deploy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

// tagged is a cloud that keeps which tags tasks get.
type tagged struct {
	*cloud
	tags    map[string]ecs.TaskTags // by service
	refuse  string                  // the service whose setting cannot be changed
	changes []string
	meddle  bool // somebody else changes the settings once they are ours
}

func (c *tagged) Service(ctx context.Context, cluster, name string) (ecs.Service, error) {
	s, err := c.cloud.Service(ctx, cluster, name)
	s.Described.PropagateTags, s.Described.EnableECSManagedTags = types.PropagateTags(c.tags[name].Propagate), c.tags[name].Managed
	return s, err
}

func (c *tagged) Update(_ context.Context, s ecs.Service, u ecs.Update) (ecs.Service, error) {
	if s.Name == c.refuse {
		return s, errDenied
	}
	if u.TaskDefinition != "" || u.Force || u.DesiredCount != nil || u.Tags == nil {
		return s, errors.New("more than the tags is changed")
	}
	c.tags[s.Name] = *u.Tags
	c.changes = append(c.changes, s.Name+" "+u.Tags.Propagate)
	if c.meddle {
		c.tags[s.Name] = ecs.TaskTags{Propagate: "TASK_DEFINITION"}
	}
	return s, nil
}

// TestTaskTags: the setting is changed before the services are, and a service that does
// not stay on its revision gets its own back.
func TestTaskTags(t *testing.T) {
	crash := []fate{{what: fails, after: time.Minute}}
	for _, tt := range []struct {
		name    string
		fates   []fate // of web
		change  func(*Request)
		refuse  string
		meddle  bool
		has     string // what worker has already; web has NONE
		changes string
		started bool
	}{
		{"changed", nil, nil, "", false, "NONE", "web SERVICE, worker SERVICE", true},
		{"one has it already", nil, nil, "", false, "SERVICE", "web SERVICE", true},
		{"not asked for", nil, func(r *Request) { r.TaskTags = TaskTags{} }, "", false, "NONE", "", true},
		{"only those of ECS, which are off", nil, func(r *Request) { r.TaskTags = TaskTags{Managed: aws.Bool(false)} }, "", false, "NONE", "", true},
		{"refused for the second", nil, nil, "worker", false, "NONE", "web SERVICE, web NONE", false},
		{"all are rolled back", crash, nil, "", false, "NONE", "web SERVICE, worker SERVICE, worker NONE, web NONE", true},
		{"somebody else has changed it since", crash, nil, "", true, "NONE", "web SERVICE, worker SERVICE", true},
		{"failed and left", crash, func(r *Request) { r.RollbackOnFailure = false }, "", false, "NONE", "web SERVICE, worker SERVICE", true},
		{"not waited for", crash, func(r *Request) { r.Wait = false }, "", false, "NONE", "web SERVICE, worker SERVICE", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &tagged{cloud: world(t, "web", "worker"), refuse: tt.refuse, meddle: tt.meddle, tags: map[string]ecs.TaskTags{"web": {Propagate: "NONE"}, "worker": {Propagate: tt.has}}}
				c.services["web"].fates = tt.fates
				d, v := c.deployer()
				d.ECS = c
				r := asking("web", "worker")
				r.TaskTags.Propagate = "SERVICE"
				if tt.change != nil {
					tt.change(&r)
				}
				got, err := d.Run(t.Context(), r)
				if (err != nil) != (tt.refuse != "") || strings.Contains(c.said(), "start") != tt.started {
					t.Fatalf("%s, %v: %q", outcomes(got), err, c.said())
				}
				if changes := strings.Join(c.changes, ", "); changes != tt.changes {
					t.Errorf("%s: changed %q, want %q", outcomes(got), changes, tt.changes)
				}
				planned := shown[PlanMade](v)[0].Plan.Services[0].TagChanges
				if wants := slices.Contains(c.changes, "web SERVICE"); (len(planned) == 1) != wants {
					t.Errorf("the plan says %v", planned)
				}
			})
		})
	}
}
