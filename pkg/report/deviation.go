package report

// Command drift in words.

import (
	"cmp"
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
	if text := imagesText(d); text != "" {
		l.info(d.Name, "%s", text)
	}
}

// deviationText says what a service runs, and what it should.
func deviationText(d deploy.Deviation) string {
	running := ecs.ShortARN(d.Running)
	instead := fmt.Sprintf(" instead of %s%s, which this task deployed last", ecs.ShortARN(d.Deployed), ofBuild(d.BuildID))
	switch {
	case d.Deployed == "":
		return "runs " + running + "; no successful deployment of this task was found, so there is nothing to compare it with"
	case d.Deploying():
		return "is being moved to " + running + ofBuild(d.Build) + " by this task; deployed last was " + ecs.ShortARN(d.Deployed) + ofBuild(d.BuildID)
	case d.OtherImage():
		return "runs " + running + ", as this task deployed it" + ofBuild(d.BuildID) + ", with another image: its tag was moved since"
	case !d.Drifted():
		return "runs " + running + ", as this task deployed it" + ofBuild(d.BuildID)
	case d.Ours:
		text := "runs " + running + ofBuild(d.Build)
		if d.Pipeline != "" {
			text += ", registered by pipeline " + d.Pipeline + ","
		}
		return text + instead
	case d.By != "":
		return "runs " + running + ", registered by " + ecs.ShortARN(d.By) + "," + instead
	}
	return "runs " + running + ", which another tool registered," + instead
}

// imagesText says which image the tasks run, or why that was not compared.
func imagesText(d deploy.Deviation) string {
	p := d.Proof
	switch {
	case d.OtherImage():
		return fmt.Sprintf("the image that was deployed is %s, and container %s", d.Digest, otherDigests(p.Contradicted()))
	case d.Uncompared != nil:
		return "image not compared: " + d.Uncompared.Error()
	case p.Tasks > 0:
		return fmt.Sprintf("%d of %s run %s", p.Verified, count(p.Tasks, "running task"), shortDigest([]string{d.Digest}))
	}
	return ""
}

func ofBuild(id string) string {
	if id == "" {
		return ""
	}
	return " (build " + id + ")"
}

// driftWarnings are an issue for each service that has drifted.
func driftWarnings(r deploy.Result) (all []Issue) {
	for _, d := range r.Deviations {
		if d.Deviates() {
			text := d.Name + " " + deviationText(d)
			if d.OtherImage() {
				text += "; " + imagesText(d)
			}
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
		{"outcome", string(r.Outcome())},
		{"taskDefinitionArn", strings.Join(running, "\n")},
		{"previousTaskDefinitionArn", strings.TrimRight(strings.Join(deployed, "\n"), "\n")},
	}
}

// driftSummary is the summary of command drift: a table of the services, and what
// differs.
func driftSummary(b *strings.Builder, r deploy.Result) {
	mark := "✅"
	if r.Outcome() == deploy.Drifted {
		mark = "⚠️"
	}
	fmt.Fprintf(b, "### %s %s\n\n| service | | runs | deployed last | registered by |\n|---|---|---|---|---|\n", mark, text(driftLine(r)))
	for _, d := range r.Deviations {
		mark := "✅"
		if d.Deviates() {
			mark = "⚠️"
		}
		by := cmp.Or(d.Pipeline, ecs.ShortARN(d.By))
		fmt.Fprintf(b, "| %s | %s | %s%s | %s%s | %s |\n", text(d.Service.String()), mark, revisionLink(d.Running), inline(ofBuild(d.Build)), revisionLink(d.Deployed), inline(ofBuild(d.BuildID)), text(by))
	}
	for _, d := range r.Deviations {
		words := imagesText(d)
		if len(d.Differences) == 0 && words == "" {
			continue
		}
		fmt.Fprintf(b, "\n**%s**\n\n", text(d.Service.String()))
		for _, difference := range d.Differences {
			fmt.Fprintf(b, "- %s\n", code(difference.String()))
		}
		if words != "" {
			fmt.Fprintf(b, "- %s\n", text(words))
		}
	}
	b.WriteString("\n")
}

type driftRecord struct {
	Cluster    string         `json:"cluster"`
	Service    string         `json:"service"`
	Drifted    bool           `json:"drifted"`
	Running    string         `json:"taskDefinition"`
	Deployed   string         `json:"deployedTaskDefinition,omitempty"`
	BuildID    string         `json:"deployedBuildId,omitempty"`
	Digest     string         `json:"deployedDigest,omitempty"`
	By         string         `json:"registeredBy,omitempty"`
	Pipeline   string         `json:"pipeline,omitempty"`
	InProgress string         `json:"inProgress,omitempty"`
	Changes    []changeRecord `json:"changes,omitempty"`
	Wrong      []wrongRecord  `json:"wrongDigests,omitempty"`
}

// driftRecords are the services of command drift in the result file.
func driftRecords(r deploy.Result) (all []driftRecord) {
	for _, d := range r.Deviations {
		one := driftRecord{Cluster: d.Cluster, Service: d.Name, Drifted: d.Deviates(), Running: d.Running, Deployed: d.Deployed, BuildID: d.BuildID, Digest: d.Digest, By: d.By, Pipeline: d.Pipeline, InProgress: d.InProgress}
		for _, c := range d.Differences {
			one.Changes = append(one.Changes, changeRecord(c))
		}
		for _, w := range d.Proof.Contradicted() {
			one.Wrong = append(one.Wrong, wrongRecord(w))
		}
		all = append(all, one)
	}
	return all
}
