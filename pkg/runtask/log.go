package runtask

// The logs of a running task, line by line, from CloudWatch Logs. They are polled:
// each reading goes on where the one before ended.

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

const (
	maxLines  = 5000            // of a container that are shown; of all further ones only the last
	keptLines = 20              // the last lines of a container, for what follows from them
	maxLength = 4000            // bytes of a line
	maxPages  = 10              // of one reading: CloudWatch gives 1 MB or 10,000 events each
	readLimit = 5 * time.Second // for one reading

	drainPause = time.Second // between two readings of a task that has stopped
	drainEmpty = 2           // readings without a line after which a log has ended
	drainFirst = 5           // the same for a log that has shown no line yet
	draining   = 15 * time.Second
	// settling is how long after the end of the containers CloudWatch may not have their
	// last lines. On EC2 a task has stopped as soon as they have ended.
	settling = 5 * time.Second
)

// follower reads the log of one container.
type follower struct {
	stream  diagnosis.LogStream
	api     *cloudwatchlogs.Client
	token   *string
	shown   int
	omitted int
	last    []Line
	broken  bool  // it cannot be read
	err     error // of the last reading
	more    bool  // the last reading did not come to its end
}

// readLogs shows what the containers have logged since the last reading, and returns
// how many lines those were.
func (t *task) readLogs(ctx context.Context, now ecs.Task) (lines int) {
	t.findLogs(now)
	for _, f := range t.logs {
		if f.broken || ctx.Err() != nil {
			continue
		}
		lines += t.readLog(ctx, f)
	}
	return lines
}

// findLogs finds the log streams that are known by now.
func (t *task) findLogs(now ecs.Task) {
	streams, unread := diagnosis.LogStreams(now, t.request.Definition, t.config.Region)
	for _, s := range streams {
		if t.follower(s.Container) == nil {
			api := cloudwatchlogs.NewFromConfig(t.config, func(o *cloudwatchlogs.Options) { o.Region = s.Region })
			t.logs = append(t.logs, &follower{stream: s, api: api})
		}
	}
	for _, note := range unread {
		if t.follower(note.Name) == nil {
			t.logs = append(t.logs, &follower{stream: diagnosis.LogStream{Container: note.Name}, broken: true})
			t.show(Unread{note})
		}
	}
}

// follower returns that of a container; nil where there is none.
func (t *task) follower(container string) *follower {
	for _, f := range t.logs {
		if f.stream.Container == container {
			return f
		}
	}
	return nil
}

// readLog shows the new lines of one log.
func (t *task) readLog(ctx context.Context, f *follower) (lines int) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	for range maxPages {
		out, err := f.api.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(f.stream.Group), LogStreamName: aws.String(f.stream.Name),
			StartFromHead: aws.Bool(true), NextToken: f.token,
		})
		if f.err = err; err != nil {
			if ecs.Classify(err) == ecs.Denied {
				f.broken = true
				t.show(Unread{diagnosis.LogUnread(f.stream, err)})
			}
			return lines // the stream may not exist yet, or the next reading succeed
		}
		for _, e := range out.Events {
			for _, line := range textLines(e, f.stream.Container) {
				lines++
				t.take(f, line)
			}
		}
		same := aws.ToString(f.token) == aws.ToString(out.NextForwardToken)
		f.more = !same && out.NextForwardToken != nil
		if out.NextForwardToken != nil {
			f.token = out.NextForwardToken
		}
		if same || out.NextForwardToken == nil {
			return lines
		}
	}
	return lines
}

// take shows a line, or only keeps it where there were too many.
func (t *task) take(f *follower, line Line) {
	if f.last = append(f.last, line); len(f.last) > keptLines {
		f.last = slices.Delete(f.last, 0, 1)
	}
	if f.shown == maxLines {
		f.omitted++
		return
	}
	f.shown++
	t.show(line)
}

// drain reads the rest of the logs of a task that has stopped: CloudWatch has the last
// lines some seconds later.
func (t *task) drain(ctx context.Context, stopped ecs.Task) {
	ended := time.Now()
	if at := aws.ToTime(stopped.ExecutionStoppedAt); !at.IsZero() && at.Before(ended) {
		ended = at
	}
	for empty := 0; !neverRan(stopped) && t.open(); {
		need := drainEmpty
		if slices.ContainsFunc(t.logs, func(f *follower) bool { return !f.broken && f.shown == 0 }) {
			need = drainFirst
		}
		if empty >= need && time.Since(ended) >= settling || pause(ctx, drainPause) != nil {
			break
		}
		if empty++; t.readLogs(ctx, stopped) > 0 {
			empty = 0
		}
	}
	for _, f := range t.logs {
		if f.omitted > 0 {
			t.show(Omitted{f.stream, max(f.omitted-keptLines, 0)})
			for _, line := range f.last[max(0, len(f.last)-f.omitted):] {
				t.show(line)
			}
		}
		if f.more && ctx.Err() != nil { // there was no time for the rest
			f.err = cmp.Or(f.err, context.Cause(ctx))
		}
		if f.err != nil && !f.broken && !neverRan(stopped) {
			t.show(Unread{diagnosis.LogUnread(f.stream, f.err)})
		}
	}
}

// open reports whether a log can still be read.
func (t *task) open() bool {
	return slices.ContainsFunc(t.logs, func(f *follower) bool { return !f.broken })
}

// lastLines are the last lines of a container that were read.
func (t *task) lastLines(container string) []string {
	var lines []string
	if f := t.follower(container); f != nil {
		for _, line := range f.last {
			lines = append(lines, line.Text)
		}
	}
	return lines
}

// textLines splits a log event into lines, without those that are empty.
func textLines(e types.OutputLogEvent, container string) (lines []Line) {
	at := time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC()
	for text := range strings.Lines(aws.ToString(e.Message)) {
		text = strings.TrimRight(strings.ToValidUTF8(text, "�"), " \t\r\n")
		if text == "" {
			continue
		}
		if len(text) > maxLength {
			end := maxLength
			for !utf8.RuneStart(text[end]) {
				end--
			}
			text = text[:end] + "…"
		}
		lines = append(lines, Line{container, at, text})
	}
	return lines
}
