package report

// Which tags the tasks of a service get, in words.

import (
	"fmt"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
)

// tagChanges says what is going to change about the tags of a service's tasks.
func (l *Log) tagChanges(name string, s deploy.ServicePlan) {
	for _, difference := range s.TagChanges {
		l.info(name, "  service: %s", difference)
	}
}

func (l *Log) taskTagsChanged(e deploy.TaskTagsChanged) {
	name, to := e.Service.Name, taskTagsText(e.To)
	switch {
	case e.Err != nil:
		l.warn(name, "could not give the service its own setting of task tags back (%s): %s", to, shorten(e.Err.Error(), partLength))
	case e.Back:
		l.info(name, "the service has its own setting of task tags again: %s", to)
	default:
		l.info(name, "tasks that start from now on get other tags: %s", to)
	}
}

func taskTagsText(t ecs.TaskTags) string {
	return fmt.Sprintf("propagateTags %s, enableECSManagedTags %t", t.Propagate, t.Managed)
}
