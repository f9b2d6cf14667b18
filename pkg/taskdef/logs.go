package taskdef

// Where containers write their logs.

// LogGroup is the group and the region in CloudWatch Logs to which a container
// writes by the log driver awslogs; "" for both where it does not. The region may
// be empty: it is then that of the task.
func (d Definition) LogGroup(container string) (group, region string) {
	log := d.doc.get("containerDefinitions").find("name", container).get("logConfiguration")
	if log.get("logDriver").str() != "awslogs" {
		return "", ""
	}
	options := log.get("options")
	return options.get("awslogs-group").str(), options.get("awslogs-region").str()
}
