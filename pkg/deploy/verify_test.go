package deploy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/resource"
)

// things are an account in which everything exists.
type things struct{ policy }

func (things) Role(_ context.Context, role string) (string, error) { return role, nil }
func (things) Secret(context.Context, string) error                { return nil }
func (things) LogGroup(context.Context, string, string) error      { return nil }

// TestVerifyImages: the image of the run and those of further containers are looked
// for where they are pulled from, each on its own, and nothing is changed.
func TestVerifyImages(t *testing.T) {
	for _, tt := range []struct {
		image, further string
		wrong          string // the checks that failed
	}{
		{"registry.example/web:1", "registry.example/proxy:1", ""},
		{"registry.example/web:9", "registry.example/proxy:1", "image registry.example/web:9"},
		{"registry.example/web:1", "registry.example/proxy:9", "further image registry.example/proxy:9"},
		{"registry.example/web:9", "registry.example/proxy:9", "image registry.example/web:9, further image registry.example/proxy:9"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.store(t, path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"registry.example/web:1","memory":64},{"name":"proxy","image":"registry.example/proxy:1","memory":64}]}`))
			c.add("a", "web:1")
			d, _ := c.withRegistry(t)
			r := rolling(tt.image, "a")
			r.Containers, r.Images = []string{"app"}, map[string]string{"proxy": tt.further}
			result, err := d.Verify(t.Context(), r, &things{}, "arn:aws:iam::123456789012:user/a", "eu-west-1")
			if err != nil {
				t.Fatal(err)
			}
			var wrong []string
			images := 0
			for _, check := range result.Checks {
				if check.Kind == ImageCheck {
					images++
				}
				if check.State == Wrong {
					kind := mistake.Image
					if check.Name == tt.further {
						kind = mistake.FurtherImage
					}
					if about, is := check.Err.(*AboutError); !is || about.Kind != kind {
						t.Errorf("%s is about another thing: %v", check.Name, check.Err)
					}
					wrong = append(wrong, string(kind)+" "+check.Name)
				}
			}
			if got := strings.Join(wrong, ", "); got != tt.wrong || images != 2 || c.said() != "" {
				t.Errorf("%d images, wrong are %s, want %s; changed %s", images, got, tt.wrong, c.said())
			}
		})
	}
}

// only are things of which some rights are allowed on some resources alone.
type only struct {
	things
	action, resource string // of the resources that the action may be used on
}

func (o only) Denied(_ context.Context, q resource.Question) (denied, unclear []resource.Right, err error) {
	for _, r := range q.Resources {
		if slices.Contains(q.Actions, o.action) && !strings.Contains(r, o.resource) {
			denied = append(denied, resource.Right{Action: o.action, Resource: r})
		}
	}
	return denied, nil, nil
}

// TestVerifyMigration: what the migration needs is checked, of the first service alone,
// in whose network it runs: a container, and the right to run a task.
func TestVerifyMigration(t *testing.T) {
	for name, tt := range map[string]struct {
		containers string
		services   []string
		want       string
	}{
		"one container":                   {`{"name":"app","image":"a"}`, []string{"web", "worker"}, ""},
		"two containers":                  {`{"name":"app","image":"a"},{"name":"proxy","image":"p"}`, []string{"web", "worker"}, "revision web"},
		"the second has two containers":   {`{"name":"app","image":"a"},{"name":"proxy","image":"p"}`, []string{"worker", "web"}, "permission ecs:RunTask"},
		"the right is for another family": {`{"name":"app","image":"a"}`, []string{"worker"}, "permission ecs:RunTask"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.store(t, path(t, `{"family":"web","containerDefinitions":[`+tt.containers+`]}`))
				c.store(t, path(t, `{"family":"worker","containerDefinitions":[{"name":"app","image":"a"}]}`))
				c.add("web", "web:1")
				c.add("worker", "worker:1")
				d, _ := c.deployer()
				r := asking(tt.services...)
				r.Change.Environment, r.Migration = nil, []string{"migrate"}
				result, err := d.Verify(t.Context(), r, only{things{}, "ecs:RunTask", ":task-definition/web:"}, "arn:aws:iam::123456789012:user/a", "eu-west-1")
				if err != nil {
					t.Fatal(err)
				}
				var wrong []string
				for _, check := range result.Checks {
					if check.State == Wrong {
						wrong = append(wrong, string(check.Kind)+" "+check.Name)
					}
				}
				if got := strings.Join(wrong, ", "); got != tt.want {
					t.Errorf("wrong are %q, want %q", got, tt.want)
				}
			})
		})
	}
}
