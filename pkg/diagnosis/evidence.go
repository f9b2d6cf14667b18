package diagnosis

// What a diagnosis was made from, for whoever keeps a record of a run: with the
// same evidence, [Conclude] comes to the same diagnosis again.

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Observer hears what an [Examiner] read, and what it made of it. It may be called
// by several goroutines, and must not keep or change what it is given.
type Observer interface {
	// Stopped hears of the tasks that had stopped so far, and of their causes.
	Stopped(s Subject, tasks []types.Task, causes []Cause)
	// Examined hears of a whole diagnosis.
	Examined(e Evidence, d Diagnosis)
}

// Evidence is everything that decides a diagnosis.
type Evidence struct {
	Subject          Subject
	Stopped, Running []types.Task
	Complete         bool            // these are all of the subject's tasks
	Essential        map[string]bool // by container; nil where the task definition was not read
	Targets          []Target
	Logs             [][]string // last lines, by cause in the order of the diagnosis
	Notes            []Note
}

// Target is one registered target of a target group.
type Target struct {
	Group       string // name of the target group
	ID          string // address or instance
	Port        int    // 0 where it is not known
	State       string
	Reason      string // code
	Description string
}

// Conclude is the diagnosis of the evidence: pure.
func Conclude(e Evidence) Diagnosis {
	x := &examination{
		subject: e.Subject, complete: e.Complete, stopped: e.Stopped, running: e.Running, notes: e.Notes,
	}
	if e.Essential != nil {
		x.definitions = map[string]containerDefinition{}
	}
	for name, essential := range e.Essential {
		x.definitions[name] = containerDefinition{Name: name, Essential: aws.Bool(essential)}
	}
	x.findCauses()
	for i, lines := range e.Logs {
		if i < len(x.causes) {
			x.causes[i].Log = lines
		}
	}
	for _, t := range e.Targets {
		described := elbtypes.TargetHealthDescription{
			Target:       &elbtypes.TargetDescription{Id: aws.String(t.ID)},
			TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnum(t.State), Reason: elbtypes.TargetHealthReasonEnum(t.Reason), Description: aws.String(t.Description)},
		}
		if t.Port > 0 {
			described.Target.Port = aws.Int32(int32(t.Port))
		}
		x.targets = append(x.targets, target{group: t.Group, TargetHealthDescription: described})
	}
	return x.diagnosis()
}

// evidence is what the examination has read.
func (x *examination) evidence() Evidence {
	e := Evidence{Subject: x.subject, Stopped: x.stopped, Running: x.running, Complete: x.complete, Notes: x.notes}
	if x.definitions != nil {
		e.Essential = map[string]bool{}
	}
	for name, c := range x.definitions {
		e.Essential[name] = c.Essential == nil || *c.Essential
	}
	for _, c := range x.causes[:min(len(x.causes), maxCauses)] {
		e.Logs = append(e.Logs, c.Log)
	}
	for _, t := range x.targets {
		e.Targets = append(e.Targets, Target{
			Group: t.group, ID: aws.ToString(t.Target.Id), Port: int(aws.ToInt32(t.Target.Port)),
			State: string(t.TargetHealth.State), Reason: string(t.TargetHealth.Reason), Description: aws.ToString(t.TargetHealth.Description),
		})
	}
	return e
}

// Normalise is a text of AWS without what differs from task to task, as causes are
// grouped by it. Done twice, it changes nothing more.
func Normalise(text string) string { return normalise(text) }

// logPhrases are what hints look for in the log of a container, with the phrase
// that stands for it.
var logPhrases = []struct {
	pattern *regexp.Regexp
	phrase  string
}{
	{regexp.MustCompile(`(?i)exec format error`), "exec format error"},
	{regexp.MustCompile(`(?i)exec:? .*no such file or directory`), "exec: no such file or directory"},
	{regexp.MustCompile(`(?i)executable file not found`), "executable file not found"},
}

// WithoutText is the last lines of a log as far as hints depend on them: phrases of
// operating systems that they look for, and "…" for each other line. What an
// application wrote is not in it.
func WithoutText(log []string) []string {
	var out []string
	for _, line := range log {
		instead := "…"
		for _, p := range logPhrases {
			if p.pattern.MatchString(line) {
				instead = p.phrase
			}
		}
		if strings.TrimSpace(line) != "" {
			out = append(out, instead)
		}
	}
	return out
}
