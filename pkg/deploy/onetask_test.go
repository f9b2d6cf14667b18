package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/runtask"
	"ecsdeploy/pkg/taskdef"
)

// oneTask runs tasks that all end in the same way.
type oneTask struct {
	result runtask.Result
	err    error
	asked  []runtask.Request
}

func (o *oneTask) Run(_ context.Context, q runtask.Request, show func(any)) (runtask.Result, error) {
	o.asked = append(o.asked, q)
	show(runtask.Launched{Task: "a/b"})
	o.result.Container = q.Container
	return o.result, o.err
}

// TestMigration: it runs once for all services of the step, and where it does not
// succeed none of them is changed.
func TestMigration(t *testing.T) {
	lost := errors.New("lost")
	for _, tt := range []struct {
		name     string
		result   runtask.Result
		err      error
		outcomes string
	}{
		{"succeeds", runtask.Result{Outcome: runtask.Succeeded, ExitCode: aws.Int(0)}, nil, "succeeded succeeded"},
		{"fails", runtask.Result{Outcome: runtask.Failed, ExitCode: aws.Int(1)}, nil, "failed failed"},
		{"times out", runtask.Result{Outcome: runtask.TimedOut}, nil, "timedOut timedOut"},
		{"gets no capacity", runtask.Result{Outcome: runtask.NoCapacity}, nil, "timedOut timedOut"},
		{"cannot be followed", runtask.Result{}, lost, " "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "web", "worker")
				d, v := c.deployer()
				one := &oneTask{result: tt.result, err: tt.err}
				d.Tasks = one
				r := asking("web", "worker")
				r.Migration = []string{"migrate"}
				got, err := d.Run(t.Context(), r)
				if !errors.Is(err, tt.err) || len(one.asked) != 1 || !slices.Equal(one.asked[0].Overrides.Command, r.Migration) || one.asked[0].Service.Name != "web" || !one.asked[0].Wait {
					t.Fatalf("%v, asked %+v", err, one.asked)
				}
				if one.asked[0].Definition.ARN() == revisionARN(c.runs("web")) && tt.err == nil && tt.name != "succeeds" {
					t.Error("the migration ran the old revision")
				}
				var all []string
				for _, s := range got.Services {
					all = append(all, string(s.Outcome))
				}
				if strings.Join(all, " ") != tt.outcomes {
					t.Errorf("outcomes %q, want %q", all, tt.outcomes)
				}
				changed := strings.Contains(c.said(), "start")
				untouched := len(shown[Untouched](v)) == 1
				if good := tt.name == "succeeds"; changed != good || untouched == good || got.Task.Failed() == good {
					t.Errorf("the cloud said %q, untouched %v", c.said(), untouched)
				}
			})
		})
	}
}

// TestTaskOfAFamily: a task of a family by its name runs of the newest revision, be it one
// that was registered for it and never deployed. A rollout is made from what succeeded.
func TestTaskOfAFamily(t *testing.T) {
	for ref, want := range map[string]string{"web": "web:2", "latest": "web:1"} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.define(t, "web:2", "registry.example/web:9", "build=9", "pipeline=p1", "base=web:1")
			d, _ := c.deployer()
			one := &oneTask{result: runtask.Result{Outcome: runtask.Succeeded, ExitCode: aws.Int(0)}}
			d.Tasks = one
			r := asking("a")
			r.Rollout, r.TaskDefinition, r.Change.Environment = false, ref, nil
			if _, err := d.RunTask(t.Context(), r); err != nil || len(one.asked) != 1 || one.asked[0].Definition.String() != want || c.said() != "" {
				t.Errorf("%s: asked %+v, changed %q, %v", ref, one.asked, c.said(), err)
			}
		})
	}
}

// TestRolloutOfAFamily: a rollout without an image is of the newest revision of a family by
// its name, deployed before or not; with an image it is made from what succeeded.
func TestRolloutOfAFamily(t *testing.T) {
	for image, want := range map[string]string{"": "web:2", "registry.example/web:10": "web:1"} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.define(t, "web:2", "registry.example/web:9", "build=9", "pipeline=p1", "base=web:1")
			d, _ := c.deployer()
			r := asking("a")
			r.TaskDefinition, r.Image, r.Repository, r.Change.Environment = "web", image, "", nil
			library := newLibrary(c)
			s, err := d.readService(t.Context(), library, r.Services[0], d.baseOf(t.Context(), library, r))
			if err != nil || s.Lineage.Base.String() != want {
				t.Errorf("image %q: based on %s, %v, want %s", image, s.Lineage.Base, err, want)
			}
		})
	}
}

// taggable is a cloud that keeps tags which are put on revisions later.
type taggable struct {
	*cloud
	tags map[string]string // by ARN: the value of MigratedTag
	kept map[string]string // the tags as they were when the revisions were read first
	err  error
}

func (c taggable) Tag(_ context.Context, revision, key, value string) error {
	if c.err == nil && key == taskdef.MigratedTag {
		c.tags[revision] = value
	}
	return c.err
}

func (c taggable) Untag(context.Context, string, string) error { return nil }

func (c taggable) Definition(ctx context.Context, ref string) (taskdef.Definition, error) {
	return c.tagged(ctx, ref, c.kept)
}

func (c taggable) Fresh(ctx context.Context, ref string) (taskdef.Definition, error) {
	return c.tagged(ctx, ref, c.tags)
}

func (c taggable) tagged(ctx context.Context, ref string, tags map[string]string) (taskdef.Definition, error) {
	d, err := c.cloud.Fresh(ctx, ref)
	if value := tags[d.ARN()]; err == nil && value != "" {
		document := bytes.Replace(d.RegisterInput(), []byte(`"tags":[`), []byte(`"tags":[{"key":"`+taskdef.MigratedTag+`","value":"`+value+`"},`), 1)
		return taskdef.Parse(fmt.Appendf(nil, `%s,"taskDefinitionArn":%q,"revision":%d,"status":"ACTIVE"}`, bytes.TrimSuffix(document, []byte("}")), d.ARN(), d.Revision()))
	}
	return d, err
}

// TestMigrationAgain: a further run of the step migrates unless the same migration has
// succeeded for the same revision, whatever the services run by then.
func TestMigrationAgain(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fates   []fate
		first   runtask.Outcome
		change  func(*Request)
		denied  error
		ran     int
		skipped int
	}{
		{"after a success", nil, runtask.Succeeded, nil, nil, 1, 1},
		{"after a rollout that failed", []fate{{what: fails, after: time.Second}}, runtask.Succeeded, nil, nil, 1, 1},
		{"after a migration that failed", nil, runtask.Failed, nil, nil, 2, 0},
		{"with another command", nil, runtask.Succeeded, func(r *Request) { r.Migration = []string{"migrate", "all"} }, nil, 2, 0},
		{"of another revision", nil, runtask.Succeeded, func(r *Request) { r.Change.Environment[0].Value = "other" }, nil, 2, 0},
		{"when the first run had none, and the services run the revision", nil, "", func(r *Request) { r.Migration = []string{"migrate"} }, nil, 1, 0},
		{"without the right to tag", nil, runtask.Succeeded, nil, errDenied, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "web", "worker")
				c.services["web"].fates = tt.fates
				d, v := c.deployer()
				cloud := taggable{c, map[string]string{}, nil, tt.denied}
				d.ECS = cloud
				one := &oneTask{result: runtask.Result{Outcome: tt.first}}
				d.Tasks = one
				r := asking("web", "worker")
				r.RollbackOnFailure, r.Origin = true, taskdef.Provenance{BuildID: "7", Pipeline: "p"}
				if r.Migration = []string{"migrate"}; tt.first == "" {
					r.Migration = nil
				}
				if _, err := d.Run(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				c.services["web"].fates, one.result.Outcome = nil, runtask.Succeeded
				if tt.change != nil {
					tt.change(&r)
				}
				cloud.kept = maps.Clone(cloud.tags) // a further run reads anew
				d.ECS = cloud
				checkMigrationPlanned(t, d, r, tt.skipped > 0)
				got, err := d.Run(t.Context(), r)
				if err != nil || !got.Outcome().Good() || len(one.asked) != tt.ran || len(shown[MigrationSkipped](v)) != tt.skipped {
					t.Errorf("%s: ran %d times, skipped %d times, %v", outcomes(got), len(one.asked), len(shown[MigrationSkipped](v)), err)
				}
				if told := len(shown[MigrationUnnoted](v)) > 0; told != (tt.denied != nil) {
					t.Errorf("told of the tag: %v", told)
				}
			})
		})
	}
}

// strictTags is a taggable cloud that tags nothing once the context has ended.
type strictTags struct{ taggable }

func (c strictTags) Tag(ctx context.Context, revision, key, value string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.taggable.Tag(ctx, revision, key, value)
}

// tasksThen calls something after each task.
type tasksThen struct {
	*oneTask
	then func()
}

func (t tasksThen) Run(ctx context.Context, q runtask.Request, show func(any)) (runtask.Result, error) {
	defer t.then()
	return t.oneTask.Run(ctx, q, show)
}

// TestMigrationOfACancelledRun: the run is cancelled when the migration has just
// succeeded. The next run does not repeat it.
func TestMigrationOfACancelledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "web")
		d, v := c.deployer()
		cloud := strictTags{taggable{c, map[string]string{}, nil, nil}}
		d.ECS = cloud
		one := &oneTask{result: runtask.Result{Outcome: runtask.Succeeded}}
		ctx, cancel := context.WithCancelCause(t.Context())
		d.Tasks = tasksThen{one, func() { cancel(errors.New("cancelled")) }}
		r := asking("web")
		r.Origin, r.Migration = taskdef.Provenance{BuildID: "7", Pipeline: "p"}, []string{"migrate"}
		if _, err := d.Run(ctx, r); err == nil || strings.Contains(c.said(), "start") {
			t.Fatalf("%v, %s", err, c.said())
		}
		time.Sleep(time.Hour)
		got, err := d.Run(t.Context(), r)
		if err != nil || got.Outcome() != rollout.Succeeded || len(one.asked) != 1 || len(shown[MigrationSkipped](v)) != 1 {
			t.Errorf("%s: ran %d times, %v", outcomes(got), len(one.asked), err)
		}
	})
}

// TestMovedDuringTheMigration: a service that somebody moves during the migration is not
// moved to a revision for which that has not run.
func TestMovedDuringTheMigration(t *testing.T) {
	for _, another := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "web")
			d, _ := c.deployer()
			one := &oneTask{result: runtask.Result{Outcome: runtask.Succeeded}}
			d.Tasks = tasksThen{one, func() {
				revision := "web:1" // once more, which changes nothing about the next
				if another {
					c.store(t, path(t, `{"family":"web","cpu":"512","containerDefinitions":[{"name":"app","image":"registry.example/web:1","essential":true}],"tags":[{"key":"team","value":"a"}]}`))
					revision = "web:3"
				}
				c.services["web"].deploy(c, revisionARN(revision), 2, fate{})
			}}
			r := asking("web")
			r.Migration = []string{"migrate"}
			got, err := d.Run(t.Context(), r)
			if err != nil || len(one.asked) != 1 || got.Outcome().Good() == another || strings.Contains(c.said(), "start") == another {
				t.Errorf("another revision %v: %s, %v, %s", another, outcomes(got), err, c.said())
			}
			if another && !mistake.Is(got.Services[0].Err, mistake.Service) {
				t.Errorf("%v", got.Services[0].Err)
			}
		})
	}
}

// checkMigrationPlanned holds the plan of a dry run against what the run is going to do.
func checkMigrationPlanned(t *testing.T, d *Deployer, r Request, done bool) {
	t.Helper()
	dry, view := *d, &screen{}
	dry.View, r.DryRun = view, true
	if _, err := dry.Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if plan, revision := shown[PlanMade](view)[0].Plan.Migration(); (plan == MigrationDone) != done || done != (revision != "") || !done && plan != MigrationRuns {
		t.Errorf("the plan says %q of %s", plan, revision)
	}
}

// TestMigrationUncertain: whether a migration has succeeded for an image that is still
// to be pushed is known once it is.
func TestMigrationUncertain(t *testing.T) {
	known, err := taskdef.Parse([]byte(`{"family":"web","taskDefinitionArn":"` + revisionARN("web:2") + `","containerDefinitions":[{"name":"app","image":"r/web:7"}],"tags":[{"key":"` + taskdef.MigratedTag + `","value":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Request: Request{Migration: []string{"migrate"}, Push: true}, Source: new(source.Image), Services: []ServicePlan{{Known: []taskdef.Definition{known}, Target: known}}}
	if plan, revision := p.Migration(); plan != MigrationUncertain || revision != known.ARN() {
		t.Errorf("%q of %q", plan, revision)
	}
	p.Image.Digests = []string{"sha256:1"} // the tag has the image already
	if plan, _ := p.Migration(); plan != MigrationRuns {
		t.Errorf("with another digest: %q", plan)
	}
}

// TestRunTask: image and secrets are registered, everything else is an override.
func TestRunTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "web")
		d, _ := c.deployer()
		one := &oneTask{result: runtask.Result{Outcome: runtask.Succeeded, ExitCode: aws.Int(0)}}
		d.Tasks = one
		r := asking("web")
		r.Rollout, r.Image, r.Timeout = false, "", time.Hour
		r.Change = taskdef.Change{Command: []string{"migrate"}, CPU: "0.5 vCPU", Memory: "1 GB", Environment: []taskdef.Variable{{Name: "A", Value: "1"}, {Container: "Logging", Name: "Level", Value: "x"}}}
		before := c.said()
		got, err := d.RunTask(t.Context(), r)
		if err != nil || got.Outcome() != rollout.Succeeded || got.Task.Revision != revisionARN(c.runs("web")) || c.said() != before {
			t.Fatalf("%+v, %v, %q", got, err, c.said())
		}
		q := one.asked[0]
		want := []taskdef.Variable{{Container: "app", Name: "A", Value: "1"}, {Container: "app", Name: "Logging:Level", Value: "x"}}
		if q.Container != "app" || q.Overrides.CPU != "512" || q.Overrides.Memory != "1024" || !slices.Equal(q.Overrides.Environment, want) || q.Timeout != time.Hour {
			t.Errorf("asked %+v", q)
		}
		r.Change.Secrets = []taskdef.Variable{{Name: "TOKEN", Value: "/token"}}
		if got, err = d.RunTask(t.Context(), r); err != nil || got.Task.Revision == revisionARN(c.runs("web")) {
			t.Errorf("%+v, %v", got, err)
		}
		r.Containers = []string{"nope"}
		if _, err = d.RunTask(t.Context(), r); !mistake.Is(err, mistake.Container) {
			t.Errorf("a container that does not exist: %v", err)
		}
		r.Containers, r.DryRun = nil, true
		asked := len(one.asked)
		if got, err = d.RunTask(t.Context(), r); err != nil || !got.DryRun || len(one.asked) != asked {
			t.Errorf("dry run: %+v, %v", got, err)
		}
	})
}
