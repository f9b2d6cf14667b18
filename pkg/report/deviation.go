package report

// Command drift in words.

import (
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
)

// compared shows one service beside what this task deployed to it last.
func (l *Log) compared(d deploy.Deviation) {
	if d.InProgress != "" {
		l.info(d.Name, "deployment %s is in progress", d.InProgress)
	}
	l.info(d.Name, "%s", deviationText(d))
	for _, difference := range d.Differences {
		l.info(d.Name, "  %s", difference)
	}
}

// deviationText says what a service runs, and what it should.
func deviationText(d deploy.Deviation) string {
	running := ecs.ShortARN(d.Running)
	switch {
	case d.Deployed == "":
		return "runs " + running + "; no successful deployment of this task was found, so there is nothing to compare it with"
	case !d.Drifted():
		return "runs " + running + ", as this task deployed it" + ofBuild(d)
	case d.Ours:
		return fmt.Sprintf("runs %s instead of %s%s, which this task deployed last", running, ecs.ShortARN(d.Deployed), ofBuild(d))
	case d.By != "":
		return fmt.Sprintf("runs %s, registered by %s, instead of %s%s, which this task deployed last", running, ecs.ShortARN(d.By), ecs.ShortARN(d.Deployed), ofBuild(d))
	}
	return fmt.Sprintf("runs %s, which another tool registered, instead of %s%s, which this task deployed last", running, ecs.ShortARN(d.Deployed), ofBuild(d))
}

func ofBuild(d deploy.Deviation) string {
	if d.BuildID == "" {
		return ""
	}
	return " (build " + d.BuildID + ")"
}

// driftWarnings are an issue for each service that has drifted.
func driftWarnings(r deploy.Result) (all []Issue) {
	for _, d := range r.Deviations {
		if d.Drifted() {
			text := d.Name + " " + deviationText(d)
			if len(d.Differences) > 0 {
				text += fmt.Sprintf("; %s, first: %s", count(len(d.Differences), "difference"), shorten(d.Differences[0].String(), briefLength))
			}
			all = append(all, Issue{text, "command rollout with image: current brings the last good image back onto the newest infrastructure"})
		}
	}
	return all
}

// driftLine is what the comparison came to, in one line.
func driftLine(r deploy.Result) string {
	drifted := len(driftWarnings(r))
	switch {
	case len(r.Deviations) == 1:
		return r.Deviations[0].Name + " " + deviationText(r.Deviations[0])
	case drifted == 0:
		return fmt.Sprintf("No drift in %d services", len(r.Deviations))
	}
	return fmt.Sprintf("Drift in %d of %d services", drifted, len(r.Deviations))
}

// driftOutputs are what each service runs and what this task deployed, one line each.
func driftOutputs(r deploy.Result) []Output {
	var running, deployed []string
	for _, d := range r.Deviations {
		running, deployed = append(running, d.Running), append(deployed, d.Deployed)
	}
	return []Output{
		{"taskDefinitionArn", strings.Join(running, "\n")},
		{"previousTaskDefinitionArn", strings.TrimRight(strings.Join(deployed, "\n"), "\n")},
	}
}
