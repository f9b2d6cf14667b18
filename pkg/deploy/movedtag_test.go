package deploy

import (
	"testing"
	"testing/synctest"

	"ecsdeploy/pkg/rollout"
)

// TestWrongDigestOfSeveral: where the tasks of one service turn out to run another
// image, all services go back; a single service stays, since its deployment completed.
func TestWrongDigestOfSeveral(t *testing.T) {
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a", "b")
			d, _ := c.withRegistry(t)
			c.push(t, d, "registry.example/web:2", "new")
			c.digests["registry.example/web:2"] = "sha256:other"
			r := asking("a", "b")
			r.Image = "registry.example/web:2"
			r.RollbackOnFailure = !leave
			result, err := d.Run(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			want := rollout.RolledBack
			if leave {
				want = rollout.Failed
			}
			for _, s := range result.Services {
				if s.Outcome != want {
					t.Errorf("leave %v: %s: %s, %+v", leave, s.Name, s.Outcome, s.Reason)
				}
			}
		})
	}
}
