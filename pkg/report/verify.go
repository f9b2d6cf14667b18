package report

// What command verify found: a table of the checks, and the issues of those that
// failed.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
)

// Row is a line of the table, and what to do about it, which may be empty.
type Row struct{ Text, Hint string }

// marks are what a row begins with.
var marks = map[deploy.CheckState]string{deploy.Right: "✔", deploy.Wrong: "✘", deploy.Open: "–", deploy.Noted: "⚠"}

// checkWords are the kinds of checks, as the first column has them.
var checkWords = map[deploy.CheckKind]string{
	deploy.IdentityCheck: "identity", deploy.RepositoryCheck: "repository", deploy.LayersCheck: "registry", deploy.SourceCheck: "image to push",
	deploy.ImageCheck: "image", deploy.ServiceCheck: "service", deploy.HistoryCheck: "deployments", deploy.TasksCheck: "tasks", deploy.BaseCheck: "task definition",
	deploy.RevisionCheck: "new revision", deploy.RoleCheck: "role", deploy.SecretCheck: "secret", deploy.LogGroupCheck: "log group", deploy.ScheduleCheck: "schedule", deploy.ScanCheck: "scan", deploy.PermissionCheck: "permissions",
	deploy.NetworkCheck: "network",
}

// Table is what was checked, one row each: right, wrong, or not known.
func Table(checks []deploy.Check, explain Explain) []Row {
	rows := make([]Row, len(checks))
	for i, c := range checks {
		what := checkName(c)
		row := Row{Text: fmt.Sprintf("%s  %-15s  %s", marks[c.State], checkWords[c.Kind], what)}
		if c.Err != nil {
			text, hint := checkText(c, explain)
			separator := ": "
			if what == "" {
				separator = ""
			}
			row.Text, row.Hint = row.Text+separator+text, hint
		}
		rows[i] = row
	}
	return rows
}

// checkName is what was looked at, with the service that it belongs to.
func checkName(c deploy.Check) string {
	switch c.Kind {
	case deploy.HistoryCheck, deploy.TasksCheck:
		return c.Service.Name
	case deploy.NetworkCheck:
		if c.State == deploy.Right {
			return c.Service.Name + " (" + c.Name + ")"
		}
		return c.Service.Name
	case deploy.RoleCheck:
		return ecs.ShortARN(c.Name)
	}
	return c.Name
}

// checkText is why a check failed or was not made, and what to do about it.
func checkText(c deploy.Check, explain Explain) (text, hint string) {
	if p, is := errors.AsType[*deploy.Permission](c.Err); is {
		if p.Missing {
			return "access denied: the identity may not " + strings.Join(p.Actions, ", ") + " on " + strings.Join(p.Resources, ", "), "allow it: " + statement(p)
		}
		return "not known, and not tried, since that would change something", "the run needs " + statement(p)
	}
	if n, is := errors.AsType[*deploy.PathNote](c.Err); is {
		return pathText(n)
	}
	text, hint = explain(Named(c.Err))
	if c.State == deploy.Open {
		text = "not known: " + text
		// What can be done about a call that failed is no advice where the run could
		// do without its answer; a right can be given all the same.
		if _, denied := ecs.DenialOf(c.Err); !denied {
			hint = ""
		}
		if with, own := errors.AsType[interface {
			error
			Hint() string
		}](c.Err); own {
			hint = with.Hint()
		}
	}
	return text, hint
}

// statement is a permission as the statement of an IAM policy.
func statement(p *deploy.Permission) string {
	s := map[string]any{"Effect": "Allow", "Action": p.Actions, "Resource": p.Resources}
	if len(p.Actions) == 1 {
		s["Action"] = p.Actions[0]
	}
	if len(p.Resources) == 1 {
		s["Resource"] = p.Resources[0]
	}
	text, _ := json.Marshal(s) // strings always marshal
	return string(text)
}

// pathText is what the tasks of a service have to reach, and how they can.
func pathText(n *deploy.PathNote) (text, hint string) {
	var endpoints, names, outside []string
	for _, r := range n.Services {
		names = append(names, r.Service)
		endpoints = append(endpoints, "com.amazonaws."+n.Region+"."+r.Service)
	}
	for _, r := range n.Outside {
		name := r.Host
		if name == "" {
			name = r.Service + " in " + r.Region
		}
		outside = append(outside, name)
	}
	text = fmt.Sprintf("routes and VPC endpoints cannot be read with the rights of a deployment; to start, tasks in %s have to reach %s",
		strings.Join(n.Subnets, ", "), strings.Join(slices.Concat(names, outside), ", "))
	if n.Already {
		text += " as well, which the running tasks do not"
	}
	if n.Public {
		return text, "tasks get public addresses (assignPublicIp: ENABLED), so the subnets need a route to an internet gateway, and their security groups must allow HTTPS to leave"
	}
	hint = "tasks get no public addresses (assignPublicIp: DISABLED), so the subnets need a route to a NAT gateway"
	if len(endpoints) > 0 {
		hint += ", or VPC endpoints: " + strings.Join(endpoints, ", ")
	}
	if len(endpoints) > 0 && len(outside) > 0 {
		hint += "; " + strings.Join(outside, ", ") + ": not through a VPC endpoint of AWS"
	}
	return text, hint
}

// checkFailures are the issues of the checks that failed.
func checkFailures(checks []deploy.Check, explain Explain) []Issue {
	var all []Issue
	for _, c := range checks {
		if c.State == deploy.Wrong {
			text, hint := checkText(c, explain)
			all = append(all, Issue{text, hint})
		}
	}
	return all
}

// checkLine is the result of the checks in one line.
func checkLine(checks []deploy.Check) string {
	number := map[deploy.CheckState]int{}
	for _, c := range checks {
		number[c.State]++
	}
	open := ""
	if n := number[deploy.Open]; n > 0 {
		open = fmt.Sprintf("; %d could not be made", n)
	}
	if n := number[deploy.Noted]; n > 0 {
		open += fmt.Sprintf("; %d to look at", n)
	}
	if n := number[deploy.Wrong]; n > 0 {
		return fmt.Sprintf("%s of %d failed%s; nothing was changed", count(n, "check"), len(checks), open)
	}
	return fmt.Sprintf("%d of %d checks passed%s; nothing was changed", number[deploy.Right], len(checks), open)
}
