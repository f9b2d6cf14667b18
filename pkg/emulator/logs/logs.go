// Package logs is CloudWatch Logs: groups, streams and events.
//
// What it does not do: it has no retention, no metric filters, no queries and no live tail, and of the filter patterns it knows the terms only.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/
package logs

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/schemas"

	"ecsdeploy/pkg/emulator/awsapi"
)

// Logs is CloudWatch Logs.
type Logs struct {
	*awsapi.Server
	groups []*logGroup
}

func New(server *awsapi.Server) *Logs {
	e := &Logs{Server: server}
	server.Handle("Logs_20140328", e.Service())
	return e
}

type logGroup struct {
	name    string
	created time.Time
	streams []*logStream
	byName  map[string]*logStream
}

type logStream struct {
	name    string
	created time.Time
	events  []logEvent
}

type logEvent struct {
	at, ingested int64 // milliseconds since 1970
	message      string
}

func (e *Logs) Service() *awsapi.Service {
	return &awsapi.Service{
		Name:    "logs",
		Rules:   logsRules(),
		Unknown: "UnknownOperationException",
		Refuse: func(_ string, v awsapi.Violation) error {
			return awsapi.Errorf("InvalidParameterException", "%s", v.Error())
		},
		Resource: func(_ string, in awsapi.Object) string {
			arn := e.ARN("logs", "log-group:"+in.Str("logGroupName")+":log-stream:"+in.Str("logStreamName"))
			return arn
		},
		Operations: map[string]awsapi.Operation{
			"CreateLogGroup":     awsapi.Op(schemas.CreateLogGroupRequest, awsapi.Unit, e.createLogGroup),
			"CreateLogStream":    awsapi.Op(schemas.CreateLogStreamRequest, awsapi.Unit, e.createLogStream),
			"DeleteLogGroup":     awsapi.Op(schemas.DeleteLogGroupRequest, awsapi.Unit, e.deleteLogGroup),
			"PutLogEvents":       awsapi.Op(schemas.PutLogEventsRequest, schemas.PutLogEventsResponse, e.putLogEvents),
			"GetLogEvents":       awsapi.Op(schemas.GetLogEventsRequest, schemas.GetLogEventsResponse, e.getLogEvents),
			"DescribeLogGroups":  awsapi.Op(schemas.DescribeLogGroupsRequest, schemas.DescribeLogGroupsResponse, e.describeLogGroups),
			"DescribeLogStreams": awsapi.Op(schemas.DescribeLogStreamsRequest, schemas.DescribeLogStreamsResponse, e.describeLogStreams),
			"FilterLogEvents":    awsapi.Op(schemas.FilterLogEventsRequest, schemas.FilterLogEventsResponse, e.filterLogEvents),
		},
	}
}

func (e *Logs) LogGroup(name string) *logGroup {
	for _, g := range e.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (g *logGroup) Stream(name string) *logStream { return g.byName[name] }

// Write adds a line that a container wrote; CloudWatch has it a moment later.
func (s *logStream) Write(now time.Time, line string) {
	s.events = append(s.events, logEvent{now.UnixMilli(), now.UnixMilli() + 200, line})
}

func (g *logGroup) AddStream(name string, now time.Time) {
	s := &logStream{name: name, created: now}
	g.streams, g.byName[name] = append(g.streams, s), s
}

// group finds the log group of a request, by name or by identifier.
func (e *Logs) group(c *awsapi.Invocation) (*logGroup, error) {
	name := c.In.Str("logGroupName")
	if id := c.In.Str("logGroupIdentifier"); id != "" {
		if name != "" {
			return nil, awsapi.Errorf("InvalidParameterException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
		}
		name = strings.TrimSuffix(strings.TrimPrefix(id, e.ARN("logs", "log-group:")), ":*")
	}
	if name == "" {
		return nil, awsapi.Errorf("InvalidParameterException", "Missing required parameter: logGroupName or logGroupIdentifier.")
	}
	if g := e.LogGroup(name); g != nil {
		return g, nil
	}
	return nil, awsapi.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
}

// groupAndStream finds the stream of a request.
func (e *Logs) groupAndStream(c *awsapi.Invocation) (*logGroup, *logStream, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, nil, err
	}
	if s := g.Stream(c.In.Str("logStreamName")); s != nil {
		return g, s, nil
	}
	return nil, nil, awsapi.Errorf("ResourceNotFoundException", "The specified log stream does not exist.")
}

func (e *Logs) createLogGroup(c *awsapi.Invocation) (awsapi.Object, error) {
	name := c.In.Str("logGroupName")
	if e.LogGroup(name) != nil {
		return nil, awsapi.Errorf("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	e.AddLogGroup(name, c.Now)
	return nil, nil
}

func (e *Logs) AddLogGroup(name string, now time.Time) *logGroup {
	g := &logGroup{name: name, created: now, byName: map[string]*logStream{}}
	e.groups = append(e.groups, g)
	slices.SortFunc(e.groups, func(a, b *logGroup) int { return cmp.Compare(a.name, b.name) })
	return g
}

func (e *Logs) deleteLogGroup(c *awsapi.Invocation) (awsapi.Object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	e.groups = slices.DeleteFunc(e.groups, func(o *logGroup) bool { return o == g })
	return nil, nil
}

func (e *Logs) createLogStream(c *awsapi.Invocation) (awsapi.Object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	name := c.In.Str("logStreamName")
	if g.Stream(name) != nil {
		return nil, awsapi.Errorf("ResourceAlreadyExistsException", "The specified log stream already exists")
	}
	g.AddStream(name, c.Now)
	return nil, nil
}

func (e *Logs) putLogEvents(c *awsapi.Invocation) (awsapi.Object, error) {
	_, s, err := e.groupAndStream(c)
	if err != nil {
		return nil, err
	}
	last := 0
	for _, ev := range c.In.Objects("logEvents") {
		at := ev.Number("timestamp", 0)
		if at < last {
			return nil, awsapi.Errorf("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
		}
		last = at
		s.events = append(s.events, logEvent{int64(at), c.Now.UnixMilli(), ev.Str("message")})
	}
	slices.SortStableFunc(s.events, func(a, b logEvent) int { return cmp.Compare(a.at, b.at) })
	return awsapi.Object{"nextSequenceToken": e.ID(awsapi.TaskID)}, nil
}

// within says whether an event lies between startTime (inclusive) and endTime (exclusive).
func (ev logEvent) within(in awsapi.Object) bool {
	return ev.at >= int64(in.Number("startTime", 0)) && (!in.Has("endTime") || ev.at < int64(in.Number("endTime", 0)))
}

// getLogEvents answers a window of the stream. A token is a direction and a place: "f/3" reads on from the third event, "b/3" back from it. At
// either end the same token comes back, which is how the service says that there is no more.
func (e *Logs) getLogEvents(c *awsapi.Invocation) (awsapi.Object, error) {
	_, s, err := e.groupAndStream(c)
	if err != nil {
		return nil, err
	}
	var events []logEvent
	for _, ev := range s.events {
		if ev.within(c.In) {
			events = append(events, ev)
		}
	}
	limit := c.In.Number("limit", 10_000)
	var from, to int
	var direction string
	if token := c.In.Str("nextToken"); token != "" {
		place := 0
		if n, err := fmt.Sscanf(token, "%1s/%d", &direction, &place); n != 2 || err != nil || direction != "f" && direction != "b" || place < 0 || place > len(events) {
			return nil, awsapi.Errorf("InvalidParameterException", "The specified nextToken is invalid.")
		}
		from, to = place, min(place+limit, len(events))
		if direction == "b" {
			from, to = max(place-limit, 0), place
		}
	} else if c.In.Flag("startFromHead") {
		from, to = 0, min(limit, len(events))
	} else {
		from, to = max(len(events)-limit, 0), len(events)
	}
	out := []any{}
	for _, ev := range events[from:to] {
		out = append(out, awsapi.Object{"timestamp": ev.at, "message": ev.message, "ingestionTime": ev.ingested})
	}
	return awsapi.Object{"events": out, "nextForwardToken": fmt.Sprintf("f/%d", to), "nextBackwardToken": fmt.Sprintf("b/%d", from)}, nil
}

func (e *Logs) describeLogGroups(c *awsapi.Invocation) (awsapi.Object, error) {
	var groups []*logGroup
	for _, g := range e.groups {
		if strings.HasPrefix(g.name, c.In.Str("logGroupNamePrefix")) && strings.Contains(g.name, c.In.Str("logGroupNamePattern")) {
			groups = append(groups, g)
		}
	}
	page, next, err := awsapi.Paginate(c.In, groups, "limit", 50)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, g := range page {
		arn := e.ARN("logs", "log-group:"+g.name)
		out = append(out, awsapi.Object{"logGroupName": g.name, "arn": arn + ":*", "logGroupArn": arn, "creationTime": g.created.UnixMilli(), "metricFilterCount": 0, "storedBytes": 0, "logGroupClass": "STANDARD"})
	}
	answer := awsapi.Object{"logGroups": out}
	answer.Put("nextToken", next)
	return answer, nil
}

func (e *Logs) describeLogStreams(c *awsapi.Invocation) (awsapi.Object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	prefix := c.In.Str("logStreamNamePrefix")
	byTime := c.In.Str("orderBy") == "LastEventTime"
	if byTime && prefix != "" {
		return nil, awsapi.Errorf("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	var streams []*logStream
	for _, s := range g.streams {
		if strings.HasPrefix(s.name, prefix) {
			streams = append(streams, s)
		}
	}
	slices.SortStableFunc(streams, func(a, b *logStream) int {
		if byTime {
			return cmp.Compare(a.lastEvent(), b.lastEvent())
		}
		return cmp.Compare(a.name, b.name)
	})
	if c.In.Flag("descending") {
		slices.Reverse(streams)
	}
	page, next, err := awsapi.Paginate(c.In, streams, "limit", 50)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, s := range page {
		o := awsapi.Object{"logStreamName": s.name, "arn": e.ARN("logs", "log-group:"+g.name+":log-stream:"+s.name), "creationTime": s.created.UnixMilli(), "storedBytes": 0}
		if len(s.events) > 0 {
			o["firstEventTimestamp"], o["lastEventTimestamp"], o["lastIngestionTime"] = s.events[0].at, s.lastEvent(), s.events[len(s.events)-1].ingested
		}
		out = append(out, o)
	}
	answer := awsapi.Object{"logStreams": out}
	answer.Put("nextToken", next)
	return answer, nil
}

func (s *logStream) lastEvent() int64 {
	if len(s.events) == 0 {
		return 0
	}
	return s.events[len(s.events)-1].at
}

// filterLogEvents understands the filter patterns that are a list of terms: every one must occur; quotes keep words together, - excludes.
func (e *Logs) filterLogEvents(c *awsapi.Invocation) (awsapi.Object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	names, prefix := c.In.Strings("logStreamNames"), c.In.Str("logStreamNamePrefix")
	if names != nil && prefix != "" {
		return nil, awsapi.Errorf("InvalidParameterException", "logStreamNames and logStreamNamePrefix cannot be given together.")
	}
	pattern := c.In.Str("filterPattern")
	if strings.ContainsAny(pattern, "{[%?") {
		return nil, awsapi.Errorf("InvalidParameterException", "The emulator understands filter patterns that are a list of terms.")
	}
	type hit struct {
		stream string
		event  logEvent
	}
	var hits []hit
	for _, s := range g.streams {
		if names != nil && !slices.Contains(names, s.name) || !strings.HasPrefix(s.name, prefix) {
			continue
		}
		for _, ev := range s.events {
			if ev.within(c.In) && matches(pattern, ev.message) {
				hits = append(hits, hit{s.name, ev})
			}
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.event.at, b.event.at) })
	page, next, err := awsapi.Paginate(c.In, hits, "limit", 10_000)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, h := range page {
		out = append(out, awsapi.Object{"logStreamName": h.stream, "timestamp": h.event.at, "message": h.event.message, "ingestionTime": h.event.ingested, "eventId": fmt.Sprintf("%020d", h.event.at)})
	}
	answer := awsapi.Object{"events": out, "searchedLogStreams": []any{}}
	answer.Put("nextToken", next)
	return answer, nil
}

// term matches one term of a filter pattern: a minus sign or not, and a word or words in quotes.
var term = regexp.MustCompile(`(-?)(?:"([^"]*)"|(\S+))`)

// matches says whether a message holds every term of a pattern, and none of the excluded ones.
func matches(pattern, message string) bool {
	for _, m := range term.FindAllStringSubmatch(pattern, -1) {
		if strings.Contains(message, m[2]+m[3]) == (m[1] == "-") {
			return false
		}
	}
	return true
}
