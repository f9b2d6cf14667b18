package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// TestNothingComesBack: whatever a run had asked for that did not succeed, and however
// it ended, the next run without it is made from what had succeeded before.
func TestNothingComesBack(t *testing.T) {
	const file = `{"family":"web","containerDefinitions":[{"name":"app","image":"a:1","essential":true,"memory":64}]}`
	asked := map[string]func(*Request){
		"environment":                        func(r *Request) { r.Change.Environment = []taskdef.Variable{{Name: "BAD", Value: "1"}} },
		"secrets":                            func(r *Request) { r.Change.Secrets = []taskdef.Variable{{Name: "BAD", Value: "/bad"}} },
		"cpu":                                func(r *Request) { r.Change.CPU = "2048" },
		"a file without the other container": func(r *Request) { r.TaskDefinition = "web.json" },
	}
	ended := map[string]struct {
		fates  []fate
		cancel bool
	}{
		"it was rolled back":             {fates: []fate{{what: fails, after: time.Minute}}},
		"ECS rolled it back":             {fates: []fate{{what: goesBack, after: time.Minute}}},
		"UpdateService was refused":      {fates: []fate{{refused: errDenied}}},
		"it was cancelled in its course": {fates: []fate{{what: hangs}}, cancel: true},
	}
	for _, what := range slices.Sorted(maps.Keys(asked)) {
		for _, how := range slices.Sorted(maps.Keys(ended)) {
			t.Run(what+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCloud()
					two, err := taskdef.Parse([]byte(`{"family":"web","executionRoleArn":"exec","containerDefinitions":[{"name":"app","image":"a:1","essential":true},{"name":"proxy","image":"p:1","essential":false}]}`))
					if err != nil {
						t.Fatal(err)
					}
					c.store(t, two)
					c.store(t, two, "build=6", "pipeline=p1", "base=web:1")
					s := c.add("a", "web:1", "web:2")
					s.fates = ended[how].fates
					d, view := c.deployer()
					d.Images.WorkingDirectory = t.TempDir()
					if err := os.WriteFile(filepath.Join(d.Images.WorkingDirectory, "web.json"), []byte(file), 0o600); err != nil {
						t.Fatal(err)
					}
					bad := asking("a")
					bad.Change.Environment = nil
					asked[what](&bad)
					ctx, cancel := context.WithCancelCause(t.Context())
					if ended[how].cancel {
						bad.RollbackOnCancel = true
						time.AfterFunc(time.Minute, func() { cancel(errors.New("cancelled")) })
					}
					if result, err := d.Run(ctx, bad); err == nil && result.Outcome().Good() {
						t.Fatalf("the first run ended as %s", outcomes(result))
					}
					cancel(nil)
					if !strings.Contains(c.said(), "register web:3") {
						t.Fatal(c.said())
					}

					next := asking("a")
					next.Origin.BuildID = "8"
					result, err := d.Run(t.Context(), next)
					if err != nil || outcomes(result) != string(rollout.Succeeded) {
						t.Fatal(outcomes(result), err)
					}
					made := string(c.definitions[result.Services[0].Revision].RegisterInput())
					for _, gone := range []string{"BAD", "/bad", "2048"} {
						if strings.Contains(made, gone) {
							t.Errorf("%s has come back: %s", gone, made)
						}
					}
					if !strings.Contains(made, `"proxy"`) || !strings.Contains(made, "LEVEL") {
						t.Errorf("something is lost: %s", made)
					}
					plans := shown[PlanMade](view)
					over := plans[len(plans)-1].Plan.Services[0].Lineage.PassedOver
					if len(over) != 1 || over[0].Definition.String() != "web:3" || over[0].Reason == "" {
						t.Errorf("passed over: %s", fmt.Sprint(over))
					}
				})
			})
		}
	}
}
