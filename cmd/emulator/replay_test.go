package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplay(t *testing.T) {
	const crash = "../../pkg/recording/testdata/crash.json"
	var out strings.Builder
	if err := run(t.Context(), []string{"replay", crash}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"command rollout", "✓ verdict: failed tasksFail\n", "✓ give up: tasksFail 4\n", "ECS StopServiceDeployment\n", "✓ verdict: rolledBack rolledBackByTask\n", "of which 0 differ"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}

	// A task that ended otherwise is judged otherwise, and that is said.
	data, err := os.ReadFile(crash)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed.json")
	if err := os.WriteFile(changed, []byte(strings.ReplaceAll(string(data), `"stopCode":"EssentialContainerExited","reason"`, `"stopCode":"SpotInterruption","reason"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := run(t.Context(), []string{"replay", changed}, &out, io.Discard); err == nil || !strings.Contains(err.Error(), "decisions are not those of the run") || !strings.Contains(out.String(), "✗ give up: recorded tasksFail 4; now none\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
	for args, want := range map[string]string{
		"replay":                      "replay takes the file of one recording, 0 were given",
		"replay no-such.json":         "open no-such.json",
		"replay ../../task/task.json": "this is no recording",
		"replay replay_test.go":       "this is no recording",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("emulator %s: %v", args, err)
		}
	}
}
