package taskdef

// What a task needs beside its images, to start: roles, secrets, log groups.

import "slices"

// Needs are the things outside of ECS that a definition names.
type Needs struct {
	Roles     []string   // ARNs or names
	Secrets   []string   // sources of secrets, as the definition has them
	LogGroups []LogGroup // that ECS does not create
}

// LogGroup is a log group of CloudWatch. An empty region is that of the task.
type LogGroup struct{ Name, Region string }

// Needs returns what the definition needs, each thing once, in the order in which
// it comes up.
func (d Definition) Needs() Needs {
	var n Needs
	for _, role := range []string{d.ExecutionRoleARN(), d.TaskRoleARN()} {
		n.Roles = appendNew(n.Roles, role)
	}
	for _, c := range d.doc.get("containerDefinitions").items {
		log := c.get("logConfiguration")
		for _, secrets := range []value{c.get("secrets"), log.get("secretOptions")} {
			for _, s := range secrets.items {
				n.Secrets = appendNew(n.Secrets, s.get("valueFrom").str())
			}
		}
		n.Secrets = appendNew(n.Secrets, c.get("repositoryCredentials").get("credentialsParameter").str())
		options := log.get("options")
		if group := options.get("awslogs-group").str(); log.get("logDriver").str() == "awslogs" && options.get("awslogs-create-group").str() != "true" {
			n.LogGroups = appendNew(n.LogGroups, LogGroup{group, options.get("awslogs-region").str()})
		}
	}
	return n
}

// appendNew appends what is neither zero nor there already.
func appendNew[T comparable](all []T, one T) []T {
	var zero T
	if one == zero || slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}
