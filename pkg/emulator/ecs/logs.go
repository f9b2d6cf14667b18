// Container logs: the awslogs driver, as far as it decides whether a task starts and where its lines go.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html

package ecs

import (
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// awslogs returns the options of a container's awslogs driver, or nil.
func (t *Task) awslogs(c *container) awsapi.Object {
	for _, d := range t.definition.doc.Objects("containerDefinitions") {
		if l := d.Object("logConfiguration"); d.Str("name") == c.name && l.Str("logDriver") == "awslogs" {
			return l.Object("options")
		}
	}
	return nil
}

// openLogs prepares the streams of a task, and says why it cannot start where a log group is missing.
func (e *ECS) openLogs(t *Task, now time.Time) (problem string) {
	for _, c := range t.containers {
		options := t.awslogs(c)
		if options == nil || options.Str("awslogs-region") != "" && options.Str("awslogs-region") != e.Region() {
			continue
		}
		group := options.Str("awslogs-group")
		g := e.logs.LogGroup(group)
		if g == nil && options.Str("awslogs-create-group") == "true" {
			g = e.logs.AddLogGroup(group, now)
		}
		if g == nil {
			return scenario.NoLogGroup
		}
		if name := t.streamName(c, options); g.Stream(name) == nil {
			g.AddStream(name, now)
		}
	}
	return ""
}

// streamName is prefix/container/task, or the container's runtime id where there is no prefix.
func (t *Task) streamName(c *container, options awsapi.Object) string {
	if p := options.Str("awslogs-stream-prefix"); p != "" {
		return p + "/" + c.name + "/" + t.id
	}
	return c.runtime
}

// write is a line that a container writes.
func (e *ECS) write(t *Task, c *container, now time.Time, line string) {
	options := t.awslogs(c)
	if options == nil {
		return
	}
	g := e.logs.LogGroup(options.Str("awslogs-group"))
	if g == nil {
		return
	}
	if s := g.Stream(t.streamName(c, options)); s != nil && line != "" { // the driver leaves out empty lines
		s.Write(now, line)
	}
}
