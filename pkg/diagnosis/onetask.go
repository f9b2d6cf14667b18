package diagnosis

// One task by itself, which no service started: how it ended, where its containers
// write their log, and whose fault it is that it cannot be started.

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

// OfTask is why a stopped task ended, with how each of its containers did. d is the
// task definition that it ran; the zero Definition where that is not known.
func OfTask(t types.Task, d taskdef.Definition) Cause {
	essential := map[string]bool{}
	for _, c := range d.Containers() {
		essential[c.Name] = c.Essential
	}
	causes := grouped([]types.Task{t}, essential, func(t types.Task) (Cause, bool) {
		return Cause{StopCode: string(t.StopCode), Reason: normalise(aws.ToString(t.StoppedReason))}, true
	})
	return causes[0].Cause
}

// WithLog returns the cause with the last lines of the container that failed, from
// which the hint may say more.
func (c Cause) WithLog(task string, lines []string) Cause {
	c.Log, c.LogTask = lines[max(0, len(lines)-logLines):], task
	return c.withHint()
}

// Refusal is why ECS could not start a task that was asked for, in ECS's words.
func Refusal(reason string) Cause { return eventCause(reason) }

// LogStream is where a container of a task writes its log in CloudWatch Logs.
type LogStream struct{ Container, Group, Region, Name string }

// LogStreams returns where the containers of a task write; for those whose log
// cannot be read there is a note. Streams whose name is not known yet, since the
// container does not run yet, are left out. region is that of the task.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
func LogStreams(t types.Task, d taskdef.Definition, region string) (streams []LogStream, unread []Note) {
	definitions, err := containerDefinitions(d)
	if err != nil {
		return nil, []Note{{What: TaskDefinition, Name: d.String(), Why: Unexpected, Text: err.Error()}}
	}
	x := &examination{definitions: definitions, config: aws.Config{Region: region}}
	id := ecs.ShortARN(aws.ToString(t.TaskArn))
	for _, c := range t.Containers {
		name := aws.ToString(c.Name)
		if _, defined := definitions[name]; !defined {
			continue // such as the proxy that ECS itself adds
		}
		source, notes := x.logSource(name)
		unread = append(unread, notes...)
		if len(notes) > 0 {
			continue
		}
		if stream := source.stream(name, id, aws.ToString(c.RuntimeId)); stream != "" {
			streams = append(streams, LogStream{name, source.group, cmp.Or(source.region, region), stream})
		}
	}
	return streams, unread
}

// LogUnread is the note of a log that could not be read because of err.
func LogUnread(s LogStream, err error) Note {
	return Note{What: ContainerLog, Name: s.Container, Detail: s.Group}.because(err, "logs:GetLogEvents")
}
