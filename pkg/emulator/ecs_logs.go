// Container logs: the awslogs driver, as far as it decides whether a task starts and where its lines go.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html

package emulator

import "time"

// awslogs returns the options of a container's awslogs driver, or nil.
func (t *task) awslogs(c *container) object {
	for _, d := range t.definition.doc.objects("containerDefinitions") {
		if l := d.object("logConfiguration"); d.str("name") == c.name && l.str("logDriver") == "awslogs" {
			return l.object("options")
		}
	}
	return nil
}

// openLogs prepares the streams of a task, and says why it cannot start where a log group is missing.
func (e *ECS) openLogs(t *task, now time.Time) (problem string) {
	for _, c := range t.containers {
		options := t.awslogs(c)
		if options == nil || options.str("awslogs-region") != "" && options.str("awslogs-region") != e.Region() {
			continue
		}
		group := options.str("awslogs-group")
		g := e.logs.logGroup(group)
		if g == nil && options.str("awslogs-create-group") == "true" {
			g = e.logs.addLogGroup(group, now)
		}
		if g == nil {
			return noLogGroup
		}
		if name := t.streamName(c, options); g.stream(name) == nil {
			g.addStream(name, now)
		}
	}
	return ""
}

// streamName is prefix/container/task, or the container's runtime id where there is no prefix.
func (t *task) streamName(c *container, options object) string {
	if p := options.str("awslogs-stream-prefix"); p != "" {
		return p + "/" + c.name + "/" + t.id
	}
	return c.runtime
}

// write is a line that a container writes.
func (e *ECS) write(t *task, c *container, now time.Time, line string) {
	options := t.awslogs(c)
	if options == nil {
		return
	}
	g := e.logs.logGroup(options.str("awslogs-group"))
	if g == nil {
		return
	}
	if s := g.stream(t.streamName(c, options)); s != nil && line != "" { // the driver leaves out empty lines
		s.events = append(s.events, logEvent{now.UnixMilli(), now.UnixMilli() + 200, line})
	}
}
