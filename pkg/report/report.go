// Package report has every sentence that a person reads of a run: the lines of the
// log, the issues on the run's page, the summary, and the output variables.
//
// How it writes. The reason comes first, then the consequence, then what to do. It
// is said who did something: this task, ECS, CodeDeploy, another deployment, a
// user. Things have the names that the AWS console gives them; an ARN is shortened
// to what a person recognises. A number has its unit and its plural; durations are
// written 1m 9s; times are UTC. What is cut keeps its beginning and its end, clause
// by clause. A hint belongs to its error.
//
// The package decides nothing and calls nothing: it turns the values of package
// deploy into text.
package report

import (
	"strings"

	"ecsdeploy/pkg/deploy"
)

// Output is an output variable of the task.
type Output struct{ Name, Value string }

// Outputs lists the output variables that r gives a value to. Where several
// services were rolled out, the variables that belong to a service hold one line
// each, in the order of the input services; outcome is the worst of them.
func Outputs(r deploy.Result) []Output {
	each := func(value func(deploy.ServiceResult) string) string {
		lines := make([]string, len(r.Services))
		for i, s := range r.Services {
			lines[i] = value(s)
		}
		if strings.Join(lines, "") == "" {
			return ""
		}
		return strings.Join(lines, "\n")
	}
	all := []Output{
		{"imageUri", r.Image.URI},
		{"imageDigest", r.Image.Digest},
		{"taskDefinitionArn", each(func(s deploy.ServiceResult) string { return s.Revision })},
		{"previousTaskDefinitionArn", each(func(s deploy.ServiceResult) string { return s.Previous })},
		{"previousImage", each(func(s deploy.ServiceResult) string { return s.PreviousImage })},
		{"serviceDeploymentArn", each(func(s deploy.ServiceResult) string { return s.Deployment })},
		{"codeDeployDeploymentId", each(func(s deploy.ServiceResult) string { return s.CodeDeploy })},
		{"outcome", string(r.Outcome())},
		{"hookId", each(func(s deploy.ServiceResult) string { return s.HookID })},
		{"serviceUrl", each(func(s deploy.ServiceResult) string { return s.URL })},
		{"exitCode", exitCode(r.Task)},
	}
	if len(r.Current) > 0 {
		all = current(r.Current)
	}
	if len(r.Deviations) > 0 {
		all = driftOutputs(r)
	}
	if r.Task != nil && len(r.Services) == 0 {
		all = append(all, Output{"taskDefinitionArn", r.Task.Revision})
	}
	var set []Output
	for _, o := range all {
		if o.Value != "" {
			set = append(set, o)
		}
	}
	return set
}
