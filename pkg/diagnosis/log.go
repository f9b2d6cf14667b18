package diagnosis

// The last lines of the containers that failed, from CloudWatch Logs.

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

// readLogs gives every cause that will be shown the last lines of the container
// that failed. The logs are read side by side.
func (x *examination) readLogs(ctx context.Context) {
	shown := x.causes[:min(len(x.causes), maxCauses)]
	notes := make([][]Note, len(shown))
	var wait sync.WaitGroup
	for i := range shown {
		wait.Go(func() {
			failed := guard(func() { notes[i] = x.readLog(ctx, &shown[i]) })
			notes[i] = append(notes[i], failed...)
		})
	}
	wait.Wait()
	for _, n := range slices.Concat(notes...) {
		x.note(n)
	}
}

// readLog gives one cause the last lines of the container that failed, from one of
// the tasks in which it ran.
func (x *examination) readLog(ctx context.Context, cause *group) (notes []Note) {
	failed := cause.Failed()
	if failed == nil || x.definitions == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	for _, t := range cause.tasks[:min(len(cause.tasks), logTries)] {
		i := slices.IndexFunc(t.Containers, func(c types.Container) bool { return aws.ToString(c.Name) == failed.Name })
		if i < 0 || t.Containers[i].ExitCode == nil && aws.ToString(t.LastStatus) != "RUNNING" {
			continue // it never ran, and so wrote nothing
		}
		source, unread := x.logSource(failed.Name)
		if unread != nil {
			return unread
		}
		id := ecs.ShortARN(aws.ToString(t.TaskArn))
		stream := source.stream(failed.Name, id, aws.ToString(t.Containers[i].RuntimeId))
		lines, err := x.lastLines(ctx, source, stream)
		if len(lines) > 0 {
			cause.Log, cause.LogTask, cause.LogStream = lines, id, LogStream{failed.Name, source.group, source.region, stream}
			return nil
		}
		note := Note{What: ContainerLog, Name: failed.Name, Detail: source.group, Why: Empty}
		if err != nil {
			note = note.because(err, "logs:GetLogEvents")
		}
		notes = []Note{note}
	}
	return notes
}

// logSource is where a container's awslogs driver writes.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
type logSource struct{ group, region, prefix string }

// logSource returns where a container logs; a note where that cannot be read.
func (x *examination) logSource(container string) (logSource, []Note) {
	c := x.definitions[container]
	switch {
	case c.LogConfiguration == nil:
		return logSource{}, []Note{{What: ContainerLog, Name: container, Why: Unlogged}}
	case c.LogConfiguration.LogDriver != string(types.LogDriverAwslogs):
		return logSource{}, []Note{{What: ContainerLog, Name: container, Why: OtherDriver, Detail: c.LogConfiguration.LogDriver}}
	}
	return logSource{
		group:  c.option("awslogs-group"),
		region: cmp.Or(c.option("awslogs-region"), x.config.Region),
		prefix: c.option("awslogs-stream-prefix"),
	}, nil
}

// stream names a container's log stream. Without a prefix, which EC2 permits,
// it is the id that the container runtime gave.
func (s logSource) stream(container, task, runtime string) string {
	if s.prefix == "" {
		return runtime
	}
	return s.prefix + "/" + container + "/" + task
}

// lastLines reads the end of a log stream.
func (x *examination) lastLines(ctx context.Context, source logSource, stream string) ([]string, error) {
	logs := cloudwatchlogs.NewFromConfig(x.config, func(o *cloudwatchlogs.Options) { o.Region = source.region })
	in := &cloudwatchlogs.GetLogEventsInput{
		LogGroupName:  aws.String(source.group),
		LogStreamName: aws.String(stream),
		Limit:         aws.Int32(logLines),
	}
	// An empty page is not yet the end: the events may be on an earlier one.
	for range 3 {
		out, err := logs.GetLogEvents(ctx, in)
		if err != nil {
			return nil, err
		}
		var lines []string
		for _, e := range out.Events {
			lines = append(lines, textLines(aws.ToString(e.Message))...)
		}
		if len(lines) > 0 {
			return lines[max(0, len(lines)-logLines):], nil
		}
		if aws.ToString(out.NextBackwardToken) == aws.ToString(in.NextToken) {
			break
		}
		in.NextToken = out.NextBackwardToken
	}
	return nil, nil
}

// textLines splits a log event into lines of a readable length, without those
// that are empty.
func textLines(message string) []string {
	var lines []string
	for line := range strings.Lines(message) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" {
			lines = append(lines, clip(strings.ToValidUTF8(line, "�"), logRunes))
		}
	}
	return lines
}
