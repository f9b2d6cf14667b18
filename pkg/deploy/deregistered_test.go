package deploy

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// TestBackToADeregisteredRevision: a service whose deployment failed goes back to a
// copy of the revision that was deregistered meanwhile, and that is said.
func TestBackToADeregisteredRevision(t *testing.T) {
	for _, meanwhile := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			s := c.add("a", "web:1")
			s.fates = []fate{{what: fails, after: time.Minute}}
			d, view := c.deployer()
			if meanwhile { // the plan has read it as ACTIVE
				time.AfterFunc(30*time.Second, func() { c.mu.Lock(); defer c.mu.Unlock(); c.deregister("web:1") })
			} else {
				c.deregister("web:1")
			}
			result, err := d.Run(t.Context(), asking("a"))
			r := result.Services[0]
			if err != nil || r.Outcome != rollout.RolledBack || r.Rollback.To != revisionARN("web:3") {
				t.Errorf("%s, %+v, %v", r.Outcome, r.Rollback, err)
			}
			if want := "register web:2; start a web:2; register web:3; start a web:3"; c.said() != want {
				t.Errorf("changed %s", c.said())
			}
			if copied := shown[Copied](view); len(copied) != 1 || copied[0].From != revisionARN("web:1") {
				t.Errorf("%+v", copied)
			}
		})
	}
}

// TestCopyOnce: services that go back to one deregistered revision share its copy,
// and running the command again registers no second one.
func TestCopyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := history(t)
		c.add("b", "web:1", "web:3", "web:4")
		c.deregister("web:3")
		d, _ := c.withRegistry(t)
		result, err := d.RollBack(t.Context(), operating("a", "b"), "12")
		if err != nil || outcomes(result) != "succeeded succeeded" || c.runs("a") != c.runs("b") {
			t.Fatal(outcomes(result), c.said(), err)
		}
		before := len(c.definitions)
		if _, err := d.RollBack(t.Context(), operating("a", "b"), "12"); err != nil || len(c.definitions) != before {
			t.Error(c.said(), err)
		}
	})
}

// TestPassedOver: command rollback names the revisions to which it does not go back.
func TestPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		for i, image := range []string{"1", "2", "placeholder", "4", "5", "6"} {
			c.define(t, "web:"+string(rune('1'+i)), "registry.example/web:"+image)
		}
		c.add("a", "web:1", "web:2", "web:3", "web:4", "web:6") // web:5 never ran
		delete(c.definitions, revisionARN("web:4"))
		d, view := c.withRegistry(t)
		r := operating("a")
		r.DryRun = true
		if _, err := d.RollBack(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		s := shown[PlanMade](view)[0].Plan.Services[0]
		want := []PassedOver{{"web:4", wasDeleted}, {"web:3", runsNothing}, {"web:5", neverWell}}
		if s.Target.String() != "web:2" || !reflect.DeepEqual(s.PassedOver, want) {
			t.Errorf("%s, %+v", s.Target, s.PassedOver)
		}
	})
}

// TestInactiveBase: a revision that was deregistered can be what the next one is
// made from.
func TestInactiveBase(t *testing.T) {
	for _, ref := range []string{"running", "latest", "web:1", revisionARN("web:1"), "web"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			c.add("a", "web:1")
			c.deregister("web:1")
			delete(c.newest, "web")
			c.first = 2
			d, _ := c.deployer()
			r := asking("a")
			r.TaskDefinition = ref
			result, err := d.Run(t.Context(), r)
			if err != nil || outcomes(result) != "succeeded" || c.said() != "register web:2; start a web:2" {
				t.Errorf("%s: %s, %s, %v", ref, outcomes(result), c.said(), err)
			}
		})
	}
}

// TestInactiveIsNotKept: a service that runs a deregistered revision, with nothing to
// change in it, gets a copy that can be deployed, and not the revision itself.
func TestInactiveIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.define(t, "web:1", "registry.example/web:1")
		c.add("a", "web:1")
		c.deregister("web:1")
		delete(c.newest, "web")
		c.first = 2
		d, _ := c.deployer()
		r := asking("a")
		r.TaskDefinition, r.Change.Environment = "running", nil
		result, err := d.Run(t.Context(), r)
		if err != nil || outcomes(result) != "succeeded" || c.said() != "register web:2; start a web:2" {
			t.Errorf("%s, %s, %v", outcomes(result), c.said(), err)
		}
	})
}

// TestFamilyWithoutARevision: a family that has none at all is distinguished from a
// revision that does not exist.
func TestFamilyWithoutARevision(t *testing.T) {
	c := newCloud()
	c.define(t, "web:1", "registry.example/web:1")
	d, _ := c.deployer()
	_, err := d.fileOrRevision(t.Context(), newLibrary(c), "job")
	if !mistake.Is(err, mistake.TaskDefinition) || err.Error() != "family job has no revision" {
		t.Error(err)
	}
}
