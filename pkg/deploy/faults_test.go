package deploy_test

// Old faults: mistakes that this task once made, or that others of its kind make,
// each as a change of the sources. The simulation has to find every one of them, or
// it proves nothing. See docs/simulation.md.

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	injectFlag = flag.Bool("inject", false, "put each old fault into a build of its own and simulate it, from -seed on, until a world finds it")
	faultFlag  = flag.String("fault", "", "with -inject: only the faults whose name contains this")
)

// oldFault is a mistake: texts of the sources, and what stood there in their place.
type oldFault struct {
	name  string
	edits []edit
}

type edit struct{ file, now, then string }

const (
	snapshotFile   = "pkg/rollout/snapshot.go"
	judgeFile      = "pkg/rollout/judge.go"
	ecsFile        = "pkg/rollout/ecs.go"
	deploymentFile = "pkg/rollout/ecs_deployment.go"
	rolloutFile    = "pkg/deploy/rollout.go"
	backFile       = "pkg/deploy/back.go"
)

var oldFaults = []oldFault{
	{"any other PRIMARY deployment is taken for a rollback", []edit{
		{snapshotFile, "return slices.Contains(s.Earlier, primary.ID) || s.announced(primary)", "return primary.ID != s.ID && slices.Contains([]string{primary.ID}, primary.ID)"},
	}},
	{"UpdateService is made again after a lost answer, without looking", []edit{
		{"pkg/ecs/service.go", "call(ctx, what, l, c.api.UpdateService, in)", "call(ctx, what, map[bool]limits{true: idempotent, false: l}[true], c.api.UpdateService, in)"},
	}},
	{"the record of a deployment is found by its time, not by its id", []edit{
		{deploymentFile, "if id == d.snapshot.ID {", "if id != \"\" {"},
	}},
	{"missing capacity counts as failed tasks", []edit{
		{"pkg/diagnosis/fault.go", "c.Count >= most && c.Fault == Revision {", "c.Count >= most {"},
	}},
	{"a service that is being deleted is rolled back as if it were there", []edit{
		{judgeFile, `case s.Service.Status == "DRAINING":`, `case s.Service.Status == "NEVER":`},
		{judgeFile, `case s.Gone, s.Service.Status == "INACTIVE":`, `case s.Gone:`},
	}},
	{"a deployment is stopped as it was seen last, without reading it again", []edit{
		{deploymentFile, "	if err := d.look(ctx); err != nil {\n		return err\n	}\n	s := &d.snapshot\n	switch {\n	case s.RollingBack():\n		return nil // it", "	s := &d.snapshot\n	switch {\n	case s.RollingBack():\n		return nil // it"},
	}},
	{"a success is reported although another deployment has replaced it", []edit{
		{judgeFile, "func judgeSuccess(s Snapshot) Verdict {\n	if other, replaced := s.replacement(); replaced {\n		return superseded(other)\n	}", "func judgeSuccess(s Snapshot) Verdict {"},
	}},
	{"a service is moved back without regard to what is deployed there now", []edit{
		{backFile, "		Expect:   primaryOf(now, m.deployment.Snapshot().Service),\n", "		Expect:   strings.Repeat(primaryOf(now, m.deployment.Snapshot().Service), 0),\n"},
		{backFile, "		Replaces: known,\n", "		Supersede: len(known) > 0,\n"},
		{backFile, "	\"iter\"\n", "	\"iter\"\n	\"strings\"\n"},
	}},
	{"other deployments in progress are not looked for", []edit{
		{ecsFile, "	primary := s.Primary()\n	record, err := c.newest(ctx, s)\n	if err != nil && ecs.Classify(err) == ecs.Expired {", "	primary := s.Primary()\n	if s.Name != \"\" {\n		return nil, nil\n	}\n	record, err := c.newest(ctx, s)\n	if err != nil && ecs.Classify(err) == ecs.Expired {"},
	}},
	{"a rollback in progress is followed by the record of the deployment that it revives", []edit{
		{ecsFile, "	if record != nil && !record.Final() {\n		d :=", "	if record != nil && !record.Final() && !record.RollingBack() {\n		d :="},
		{ecsFile, "back && (record == nil ||", "back && s.Name == \"\" && (record == nil ||"},
	}},
	{"where one of several services fails, the others stay", []edit{
		{rolloutFile, "	culprit := \"\"\n	if len(all) > 1 && r.RollbackOnFailure {", "	culprit := \"\"\n	if len(all) > 1000 && r.RollbackOnFailure {"},
	}},
	{"a cancelled run takes longer than the agent waits", []edit{
		{backFile, "const parting = 5 * time.Second", "const parting = 30 * time.Second"},
	}},
	{"a revision is registered although an equal one is", []edit{
		{"pkg/deploy/register.go", `if t.Revision = s.Registered(); t.Revision != "" {`, `if t.Revision = s.Registered(); t.Revision == "never" {`},
	}},
	{"a deployment that could not be stopped is not read again", []edit{
		{deploymentFile, "	asked := s.Asked\n	s.Asked = asked || ecs.Ambiguous(err)\n", "	if err != nil {\n		return err\n	}\n	asked := s.Asked\n	s.Asked = asked || ecs.Ambiguous(err)\n"},
	}},
	{"a record that may not be read any more is believed for ever", []edit{
		{deploymentFile, "if err != nil && ecs.Classify(err).Lasting() || now.Sub(d.unreadable) > recordLimit {", "if now.Sub(d.unreadable) > 1000*recordLimit {"},
	}},
	{"when one service of a rollback fails, the others are not watched any more", []edit{
		{rolloutFile, "	return now.New || !now.Reached && !now.Scaling\n}", "	return now.New || !now.Reached && !now.Scaling\n}\n\n// always is the fault.\nfunc always(moved) bool { return true }"},
		{rolloutFile, "		until := ctx // of what does not go back with the others\n		if m.goesBack() {", "		until := ctx // of what does not go back with the others\n		if always(m) {"},
	}},
	{"a deployment that an earlier run of the step began has no outcome when another service fails", []edit{
		{rolloutFile, "	return now.New || !now.Reached && !now.Scaling\n}", "	return now.New\n}\n\n// always is the fault.\nfunc always(moved) bool { return true }"},
		{rolloutFile, "		until := ctx // of what does not go back with the others\n		if m.goesBack() {", "		until := ctx // of what does not go back with the others\n		if always(m) {"},
	}},
	{"a rollback that ECS has rolled back itself is reported as done", []edit{
		{backFile, "case v.Outcome == rollout.RolledBack && deployment == m.deployment, v.Outcome.Good() && deployment.Snapshot().Revision == to:", "case v.Outcome == rollout.RolledBack, v.Outcome.Good():"},
	}},
}

// sourceRoot is the root of the module, from this package.
const sourceRoot = "../.."

// TestOldFaults holds the list to the sources: each text is there, once. With -inject
// each fault is simulated.
func TestOldFaults(t *testing.T) {
	for _, f := range oldFaults {
		if !strings.Contains(f.name, *faultFlag) {
			continue
		}
		changed := f.apply(t)
		if *injectFlag {
			f.simulate(t, changed)
		}
	}
}

// apply returns the files with the fault, by their path in the module.
func (f oldFault) apply(t *testing.T) map[string]string {
	t.Helper()
	changed := map[string]string{}
	for _, e := range f.edits {
		text, read := changed[e.file]
		if !read {
			data, err := os.ReadFile(filepath.Join(sourceRoot, e.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if n := strings.Count(text, e.now); n != 1 {
			t.Errorf("%s: %s has %d times\n%s", f.name, e.file, n, e.now)
		}
		changed[e.file] = strings.Replace(text, e.now, e.then, 1)
	}
	return changed
}

var (
	foundBy  = regexp.MustCompile(`(?m)^replay: .* -seed (\d+)`)
	whatHeld = regexp.MustCompile(`(?m)^(.*)\nreplay: `)
)

// simulate builds the simulation with the fault and plays worlds until one finds it.
func (f oldFault) simulate(t *testing.T, changed map[string]string) {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range changed {
		original, err := filepath.Abs(filepath.Join(sourceRoot, file))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[original] = at
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	progress, begin := filepath.Join(dir, "progress"), time.Now()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "./pkg/deploy", "-run", "^TestSimulation$", "-count=1", "-timeout=0",
		"-seeds", fmt.Sprint(*seedsFlag), "-seed", fmt.Sprint(*seedFlag), "-violations", "1", "-progress", progress)
	cmd.Dir = sourceRoot
	out, err := cmd.CombinedOutput()
	said, _ := os.ReadFile(progress)
	seed, what := foundBy.FindStringSubmatch(string(said)), whatHeld.FindStringSubmatch(string(said))
	switch {
	case seed != nil:
		t.Logf("| %s | %s | %s |", f.name, seed[1], what[1])
	case err != nil:
		t.Errorf("%s: %v\n%s", f.name, err, out)
	default:
		t.Errorf("%s: %d worlds in %s did not find it", f.name, *seedsFlag, time.Since(begin).Round(time.Second))
	}
}
