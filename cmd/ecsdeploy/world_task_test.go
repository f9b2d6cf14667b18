package main

// One-off tasks in the transcripts: what becomes of the next of them.

import (
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/scenario"
)

// task says what becomes of the next one-off tasks of the family, one after the
// other: "exit CODE AFTER [LINE…]" with lines that are divided by a bar and logged
// ten seconds apart, "runs" for one that never ends, "fails REASON", and
// "no-capacity" for one that is not placed.
func (w *world) task(t *testing.T, args []string) {
	t.Helper()
	var fate scenario.Fate
	switch args[0] {
	case "exit":
		after, err := time.ParseDuration(args[2])
		if err != nil {
			t.Fatal(err)
		}
		fate = scenario.Fate{Exit: scenario.Exit(number(t, args[1])), ExitAfter: after, LogEvery: 10 * time.Second}
		for line := range strings.SplitSeq(strings.Join(args[3:], " "), "|") {
			fate.Log = append(fate.Log, strings.TrimSpace(line))
		}
	case "runs":
		fate = scenario.Fate{Starting: true, Log: []string{"migrating"}}
	case "fails":
		fate = scenario.Fate{Reason: strings.Join(args[1:], " ")}
	case "no-capacity":
		fate = scenario.Fate{Unplaced: scenario.UnplacedFargate.Unplaced}
	default:
		t.Fatalf("a task cannot be told to %q", args[0])
	}
	w.fates = append(w.fates, fate)
	w.ScriptTasks(cluster, "", emulator.Scenario{Fates: w.fates})
}
