// CloudWatch Logs: groups, streams and events, and the lines that containers write through the awslogs driver.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/

package emulator

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/schemas"
)

// Logs is CloudWatch Logs.
type Logs struct {
	*Server
	groups []*logGroup
}

func newLogs(server *Server) *Logs {
	e := &Logs{Server: server}
	server.handle("Logs_20140328", e.service())
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

func (e *Logs) service() *awsService {
	return &awsService{
		name:    "logs",
		rules:   logsRules(),
		unknown: "UnknownOperationException",
		refuse:  func(_ string, v violation) error { return apiErrorf("InvalidParameterException", "%s", v.Error()) },
		resource: func(_ string, in object) string {
			arn := e.arn("logs", "log-group:"+in.str("logGroupName")+":log-stream:"+in.str("logStreamName"))
			return arn
		},
		operations: map[string]operation{
			"CreateLogGroup":     {schemas.CreateLogGroupRequest, unit, e.createLogGroup},
			"CreateLogStream":    {schemas.CreateLogStreamRequest, unit, e.createLogStream},
			"DeleteLogGroup":     {schemas.DeleteLogGroupRequest, unit, e.deleteLogGroup},
			"PutLogEvents":       {schemas.PutLogEventsRequest, schemas.PutLogEventsResponse, e.putLogEvents},
			"GetLogEvents":       {schemas.GetLogEventsRequest, schemas.GetLogEventsResponse, e.getLogEvents},
			"DescribeLogGroups":  {schemas.DescribeLogGroupsRequest, schemas.DescribeLogGroupsResponse, e.describeLogGroups},
			"DescribeLogStreams": {schemas.DescribeLogStreamsRequest, schemas.DescribeLogStreamsResponse, e.describeLogStreams},
			"FilterLogEvents":    {schemas.FilterLogEventsRequest, schemas.FilterLogEventsResponse, e.filterLogEvents},
		},
	}
}

func (e *Logs) logGroup(name string) *logGroup {
	for _, g := range e.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (g *logGroup) stream(name string) *logStream { return g.byName[name] }

func (g *logGroup) addStream(name string, now time.Time) {
	s := &logStream{name: name, created: now}
	g.streams, g.byName[name] = append(g.streams, s), s
}

// group finds the log group of a request, by name or by identifier.
func (e *Logs) group(c *call) (*logGroup, error) {
	name := c.in.str("logGroupName")
	if id := c.in.str("logGroupIdentifier"); id != "" {
		if name != "" {
			return nil, apiErrorf("InvalidParameterException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
		}
		name = strings.TrimSuffix(strings.TrimPrefix(id, e.arn("logs", "log-group:")), ":*")
	}
	if name == "" {
		return nil, apiErrorf("InvalidParameterException", "Missing required parameter: logGroupName or logGroupIdentifier.")
	}
	if g := e.logGroup(name); g != nil {
		return g, nil
	}
	return nil, apiErrorf("ResourceNotFoundException", "The specified log group does not exist.")
}

// groupAndStream finds the stream of a request.
func (e *Logs) groupAndStream(c *call) (*logGroup, *logStream, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, nil, err
	}
	if s := g.stream(c.in.str("logStreamName")); s != nil {
		return g, s, nil
	}
	return nil, nil, apiErrorf("ResourceNotFoundException", "The specified log stream does not exist.")
}

func (e *Logs) createLogGroup(c *call) (object, error) {
	name := c.in.str("logGroupName")
	if e.logGroup(name) != nil {
		return nil, apiErrorf("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	e.addLogGroup(name, c.now)
	return nil, nil
}

func (e *Logs) addLogGroup(name string, now time.Time) *logGroup {
	g := &logGroup{name: name, created: now, byName: map[string]*logStream{}}
	e.groups = append(e.groups, g)
	slices.SortFunc(e.groups, func(a, b *logGroup) int { return cmp.Compare(a.name, b.name) })
	return g
}

func (e *Logs) deleteLogGroup(c *call) (object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	e.groups = slices.DeleteFunc(e.groups, func(o *logGroup) bool { return o == g })
	return nil, nil
}

func (e *Logs) createLogStream(c *call) (object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	name := c.in.str("logStreamName")
	if g.stream(name) != nil {
		return nil, apiErrorf("ResourceAlreadyExistsException", "The specified log stream already exists")
	}
	g.addStream(name, c.now)
	return nil, nil
}

func (e *Logs) putLogEvents(c *call) (object, error) {
	_, s, err := e.groupAndStream(c)
	if err != nil {
		return nil, err
	}
	last := 0
	for _, ev := range c.in.objects("logEvents") {
		at := ev.number("timestamp", 0)
		if at < last {
			return nil, apiErrorf("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
		}
		last = at
		s.events = append(s.events, logEvent{int64(at), c.now.UnixMilli(), ev.str("message")})
	}
	slices.SortStableFunc(s.events, func(a, b logEvent) int { return cmp.Compare(a.at, b.at) })
	return object{"nextSequenceToken": e.id(taskID)}, nil
}

// within says whether an event lies between startTime (inclusive) and endTime (exclusive).
func (ev logEvent) within(in object) bool {
	return ev.at >= int64(in.number("startTime", 0)) && (!in.has("endTime") || ev.at < int64(in.number("endTime", 0)))
}

// getLogEvents answers a window of the stream. A token is a direction and a place: "f/3" reads on from the third event, "b/3" back from it. At
// either end the same token comes back, which is how the service says that there is no more.
func (e *Logs) getLogEvents(c *call) (object, error) {
	_, s, err := e.groupAndStream(c)
	if err != nil {
		return nil, err
	}
	var events []logEvent
	for _, ev := range s.events {
		if ev.within(c.in) {
			events = append(events, ev)
		}
	}
	limit := c.in.number("limit", 10_000)
	var from, to int
	var direction string
	if token := c.in.str("nextToken"); token != "" {
		place := 0
		if n, err := fmt.Sscanf(token, "%1s/%d", &direction, &place); n != 2 || err != nil || direction != "f" && direction != "b" || place < 0 || place > len(events) {
			return nil, apiErrorf("InvalidParameterException", "The specified nextToken is invalid.")
		}
		from, to = place, min(place+limit, len(events))
		if direction == "b" {
			from, to = max(place-limit, 0), place
		}
	} else if c.in.flag("startFromHead") {
		from, to = 0, min(limit, len(events))
	} else {
		from, to = max(len(events)-limit, 0), len(events)
	}
	out := []any{}
	for _, ev := range events[from:to] {
		out = append(out, object{"timestamp": ev.at, "message": ev.message, "ingestionTime": ev.ingested})
	}
	return object{"events": out, "nextForwardToken": fmt.Sprintf("f/%d", to), "nextBackwardToken": fmt.Sprintf("b/%d", from)}, nil
}

func (e *Logs) describeLogGroups(c *call) (object, error) {
	var groups []*logGroup
	for _, g := range e.groups {
		if strings.HasPrefix(g.name, c.in.str("logGroupNamePrefix")) && strings.Contains(g.name, c.in.str("logGroupNamePattern")) {
			groups = append(groups, g)
		}
	}
	page, next, err := paginate(c.in, groups, "limit", 50)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, g := range page {
		arn := e.arn("logs", "log-group:"+g.name)
		out = append(out, object{"logGroupName": g.name, "arn": arn + ":*", "logGroupArn": arn, "creationTime": g.created.UnixMilli(), "metricFilterCount": 0, "storedBytes": 0, "logGroupClass": "STANDARD"})
	}
	answer := object{"logGroups": out}
	answer.put("nextToken", next)
	return answer, nil
}

func (e *Logs) describeLogStreams(c *call) (object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	prefix := c.in.str("logStreamNamePrefix")
	byTime := c.in.str("orderBy") == "LastEventTime"
	if byTime && prefix != "" {
		return nil, apiErrorf("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
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
	if c.in.flag("descending") {
		slices.Reverse(streams)
	}
	page, next, err := paginate(c.in, streams, "limit", 50)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, s := range page {
		o := object{"logStreamName": s.name, "arn": e.arn("logs", "log-group:"+g.name+":log-stream:"+s.name), "creationTime": s.created.UnixMilli(), "storedBytes": 0}
		if len(s.events) > 0 {
			o["firstEventTimestamp"], o["lastEventTimestamp"], o["lastIngestionTime"] = s.events[0].at, s.lastEvent(), s.events[len(s.events)-1].ingested
		}
		out = append(out, o)
	}
	answer := object{"logStreams": out}
	answer.put("nextToken", next)
	return answer, nil
}

func (s *logStream) lastEvent() int64 {
	if len(s.events) == 0 {
		return 0
	}
	return s.events[len(s.events)-1].at
}

// filterLogEvents understands the filter patterns that are a list of terms: every one must occur; quotes keep words together, - excludes.
func (e *Logs) filterLogEvents(c *call) (object, error) {
	g, err := e.group(c)
	if err != nil {
		return nil, err
	}
	names, prefix := c.in.strings("logStreamNames"), c.in.str("logStreamNamePrefix")
	if names != nil && prefix != "" {
		return nil, apiErrorf("InvalidParameterException", "logStreamNames and logStreamNamePrefix cannot be given together.")
	}
	pattern := c.in.str("filterPattern")
	if strings.ContainsAny(pattern, "{[%?") {
		return nil, apiErrorf("InvalidParameterException", "The emulator understands filter patterns that are a list of terms.")
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
			if ev.within(c.in) && matches(pattern, ev.message) {
				hits = append(hits, hit{s.name, ev})
			}
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.event.at, b.event.at) })
	page, next, err := paginate(c.in, hits, "limit", 10_000)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, h := range page {
		out = append(out, object{"logStreamName": h.stream, "timestamp": h.event.at, "message": h.event.message, "ingestionTime": h.event.ingested, "eventId": fmt.Sprintf("%020d", h.event.at)})
	}
	answer := object{"events": out, "searchedLogStreams": []any{}}
	answer.put("nextToken", next)
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
