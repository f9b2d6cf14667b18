// The input taskDefinition: what a new revision is made from.

package input

import (
	"regexp"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// TaskDefinition says what a new revision is made from: one of the words below,
// family, family:revision, the ARN of a revision, or the path of a file.
type TaskDefinition string

// The words among the values of TaskDefinition.
const (
	LatestRevision  TaskDefinition = "latest"  // the newest revision of the family of the service
	RunningRevision TaskDefinition = "running" // the revision the service runs
)

// Form is what a TaskDefinition is.
type Form int

// The forms of a TaskDefinition.
const (
	FormLatest   Form = iota // LatestRevision, or empty
	FormRunning              // RunningRevision
	FormFamily               // the newest active revision of a family
	FormRevision             // family:revision, or an ARN
	FormFile                 // the path of a JSON or YAML file
)

// Form tells the forms apart by their spelling alone.
func (t TaskDefinition) Form() Form {
	switch {
	case t == "" || t == LatestRevision:
		return FormLatest
	case t == RunningRevision:
		return FormRunning
	case strings.HasPrefix(string(t), "arn:") || isRevision(string(t)):
		return FormRevision
	case isName(string(t)):
		return FormFamily
	}
	return FormFile
}

// NeedsService reports whether a service has to say which family is meant.
func (t TaskDefinition) NeedsService() bool {
	return t.Form() == FormLatest || t.Form() == FormRunning
}

var (
	revisionNumber = regexp.MustCompile(`^[1-9][0-9]*$`)
	documentFile   = regexp.MustCompile(`(?i)[/\\]|\.(json|ya?ml)$`)
)

// isRevision reports whether text is family:revision.
func isRevision(text string) bool {
	family, number, _ := strings.Cut(text, ":")
	return isName(family) && revisionNumber.MatchString(number)
}

// parseTaskDefinition tells the forms apart by their spelling alone; whether a
// file exists is found out when it is read.
func parseTaskDefinition(text string) (TaskDefinition, error) {
	const hint = "a revision is written web:12, a file task.json or deploy/task.yaml"
	t := TaskDefinition(text)
	switch {
	case strings.HasPrefix(text, "arn:"):
		if _, name, ok := cutARN(text, "task-definition"); !ok || !isRevision(name) {
			return "", wrong("for instance arn:aws:ecs:eu-west-1:123456789012:task-definition/web:12", "%s is not the ARN of a revision of a task definition", shown(text))
		}
	case t == LatestRevision, t == RunningRevision, isRevision(text), documentFile.MatchString(text):
	case isName(text):
		if near := mistake.Nearest(text, []string{string(LatestRevision), string(RunningRevision)}); near != "" {
			return "", wrong("did you mean "+near+"? Values are case-sensitive", "%s is none of latest, running, family, family:revision, an ARN, the path of a JSON or YAML file", shown(text))
		}
	default:
		return "", wrong(hint, "%s is none of latest, running, family, family:revision, an ARN, the path of a JSON or YAML file", shown(text))
	}
	return t, nil
}
