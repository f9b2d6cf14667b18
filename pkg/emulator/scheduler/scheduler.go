// Package scheduler is Amazon EventBridge Scheduler: schedules in groups, read, created, replaced and deleted. It speaks restJson1: the operation is
// in method and path.
//
// What it does not do: it triggers nothing, and groups are names that need not be created.
// https://docs.aws.amazon.com/scheduler/latest/APIReference/
package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/iam"
)

// Scheduler is the state of EventBridge Scheduler.
type Scheduler struct {
	*awsapi.Server
	schedules []*schedule
}

func New(server *awsapi.Server) *Scheduler { return &Scheduler{Server: server} }

type schedule struct {
	group, name       string
	doc               awsapi.Object
	created, modified time.Time
}

// scheduleShape is the body of CreateSchedule and UpdateSchedule.
func scheduleShape(name string) *smithy.Schema {
	target := awsapi.StructureShape("Target", map[*smithy.Schema][]string{
		awsapi.TextShape: {"Arn", "RoleArn", "Input"}, awsapi.ECSParametersShape(): {"EcsParameters"},
		awsapi.DocumentShape: {"DeadLetterConfig", "RetryPolicy", "EventBridgeParameters", "KinesisParameters", "SageMakerPipelineParameters", "SqsParameters"},
	})
	window := awsapi.StructureShape("FlexibleTimeWindow", map[*smithy.Schema][]string{awsapi.TextShape: {"Mode"}, awsapi.NumberShape: {"MaximumWindowInMinutes"}})
	return awsapi.StructureShape(name, map[*smithy.Schema][]string{
		awsapi.TextShape:   {"ActionAfterCompletion", "ClientToken", "Description", "GroupName", "KmsKeyArn", "ScheduleExpression", "ScheduleExpressionTimezone", "State"},
		awsapi.MomentShape: {"StartDate", "EndDate"}, window: {"FlexibleTimeWindow"}, target: {"Target"},
	})
}

func schedulerRules() awsapi.Rules {
	required := []string{"FlexibleTimeWindow", "ScheduleExpression", "Target"}
	return awsapi.Rules{Required: map[string][]string{
		"CreateScheduleRequest": required, "UpdateScheduleRequest": required, "FlexibleTimeWindow": {"Mode"}, "Target": {"Arn", "RoleArn"},
		"EcsParameters": {"TaskDefinitionArn"}, "AwsVpcConfiguration": {"Subnets"},
	}}
}

// schedulerRoute is the operation that a request asks for, and the schedule's name.
func schedulerRoute(r *http.Request) (operation, name string) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/schedules")
	if !ok {
		return "", ""
	}
	name = strings.TrimPrefix(rest, "/")
	switch {
	case name == "" && r.Method == http.MethodGet:
		return "ListSchedules", ""
	case name == "":
		return "", ""
	}
	return map[string]string{http.MethodGet: "GetSchedule", http.MethodPost: "CreateSchedule", http.MethodPut: "UpdateSchedule", http.MethodDelete: "DeleteSchedule"}[r.Method], name
}

// Serve answers one request.
func (e *Scheduler) Serve(w http.ResponseWriter, r *http.Request) {
	operation, name := schedulerRoute(r)
	req := awsapi.Request{Time: time.Now(), Service: "scheduler", Operation: operation, Method: r.Method, Path: r.URL.Path, Host: r.Host}
	defer func() { e.Record(req) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, awsapi.MaxBody))
	if err != nil {
		return
	}
	req.Body, req.Received = body, int64(len(body))
	out, err := e.answerRequest(r, operation, name, body)
	if err == awsapi.ErrReset {
		panic(http.ErrAbortHandler)
	}
	req.Status = http.StatusOK
	if err != nil {
		fail, ok := err.(*awsapi.Error)
		if !ok {
			fail = awsapi.Answer(http.StatusInternalServerError, "InternalServerException", err.Error())
		}
		if req.Status, req.Error = fail.Status, fail.Code; req.Status == 0 {
			req.Status = map[string]int{"ResourceNotFoundException": http.StatusNotFound, "ConflictException": http.StatusConflict, "AccessDeniedException": http.StatusForbidden, "ThrottlingException": http.StatusTooManyRequests}[fail.Code]
		}
		if req.Status == 0 {
			req.Status = http.StatusBadRequest
		}
		w.Header().Set("X-Amzn-Errortype", fail.Code)
		out = awsapi.Object{"Message": fail.Message}
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // documents are made of JSON values only
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Requestid", e.NewID(awsapi.UUID))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(req.Status)
	w.Write(data)
}

// answerRequest runs one operation: every reason to refuse comes before any effect.
func (e *Scheduler) answerRequest(r *http.Request, operation, name string, body []byte) (awsapi.Object, error) {
	if operation == "" {
		return nil, awsapi.Answer(http.StatusNotFound, "UnknownOperationException", "")
	}
	principal, err := e.Authenticate(r, "scheduler")
	if err != nil {
		return nil, err
	}
	in := awsapi.Object{}
	if len(body) > 0 {
		if in, err = awsapi.ParseObject(body); err != nil {
			return nil, awsapi.Errorf("SerializationException", "%v", err)
		}
	}
	query := r.URL.Query()
	group := cmp.Or(cmp.Or(in.Str("GroupName"), query.Get("groupName")), "default")
	resource := e.ARN("scheduler", "schedule/"+group+"/"+name)
	if operation == "ListSchedules" {
		group, resource = query.Get("ScheduleGroup"), "*"
	}
	fault, err := e.Injected(r.Context(), awsapi.Call{Time: time.Now(), Service: "scheduler", Operation: operation, Principal: principal, Resource: resource, Body: body})
	if err != nil {
		return nil, err
	}
	if operation == "CreateSchedule" || operation == "UpdateSchedule" {
		if err := schedulerRules().Check(scheduleShape(operation+"Request"), in, e.Future); err != nil {
			if v, ok := err.(awsapi.Violation); ok {
				return nil, awsapi.Errorf("ValidationException", "%s", v.Error())
			}
			return nil, err
		}
	}
	needs := []iam.Request{{Action: "scheduler:" + operation, Resource: resource}}
	if role := in.Object("Target").Str("RoleArn"); role != "" {
		needs = append(needs, iam.Request{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {"scheduler.amazonaws.com"}}})
	}
	if err := e.Authorize(principal, needs); err != nil {
		return nil, err
	}
	if operation == "ListSchedules" {
		in = awsapi.Object{"NamePrefix": query.Get("NamePrefix"), "NextToken": query.Get("NextToken"), "MaxResults": json.Number(cmp.Or(query.Get("MaxResults"), "100"))}
	}
	out, err := e.actOnSchedule(operation, group, name, in, awsapi.Change{Time: time.Now(), Caller: principal, Operation: "scheduler:" + operation, Resource: resource, Lost: fault != nil && fault.Lost})
	if lost := fault.Answered(r.Context()); lost != nil {
		return nil, lost
	}
	return out, err
}

func (e *Scheduler) actOnSchedule(operation, group, name string, in awsapi.Object, change awsapi.Change) (out awsapi.Object, err error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	s := e
	if operation == "ListSchedules" {
		return s.list(group, in.Str("NamePrefix"), in.Str("NextToken"), in.Number("MaxResults", 0))
	}
	if operation == "GetSchedule" {
		return s.get(group, name)
	}
	defer func() {
		if api, ok := err.(*awsapi.Error); ok {
			change.Error = api.Code
		} else {
			change.Effect = "put"
		}
		e.NoteChange(change)
	}()
	switch operation {
	case "DeleteSchedule":
		i := s.index(group, name)
		if i < 0 {
			return nil, noSchedule(name)
		}
		s.schedules = slices.Delete(s.schedules, i, i+1)
		return awsapi.Object{}, nil
	case "CreateSchedule":
		return s.create(group, name, in, change.Time)
	}
	return s.update(group, name, in, change.Time)
}

func (s *Scheduler) index(group, name string) int {
	return slices.IndexFunc(s.schedules, func(o *schedule) bool { return o.group == group && o.name == name })
}

func noSchedule(name string) error {
	return awsapi.Errorf("ResourceNotFoundException", "Schedule %s does not exist.", name)
}

// list has only what ListSchedules answers: the target's ARN, but nothing of what it runs.
func (s *Scheduler) list(group, prefix, token string, most int) (awsapi.Object, error) {
	if most < 1 || most > 100 {
		return nil, awsapi.Errorf("ValidationException", "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 100", most)
	}
	from, err := strconv.Atoi(cmp.Or(token, "0"))
	if err != nil || from < 0 || from > len(s.schedules) {
		return nil, awsapi.Errorf("ValidationException", "The token is not valid.")
	}
	out := awsapi.Object{"Schedules": []any{}}
	for i, o := range s.schedules[from:] {
		if group != "" && o.group != group || !strings.HasPrefix(o.name, prefix) {
			continue
		}
		if len(out.List("Schedules")) == most {
			out["NextToken"] = strconv.Itoa(from + i)
			break
		}
		out["Schedules"] = append(out.List("Schedules"), awsapi.Object{
			"Arn": o.doc["Arn"], "GroupName": o.group, "Name": o.name, "State": o.doc["State"], "Target": awsapi.Object{"Arn": o.doc.Object("Target").Str("Arn")},
			"CreationDate": awsapi.Epoch(o.created), "LastModificationDate": awsapi.Epoch(o.modified),
		})
	}
	return out, nil
}

func (s *Scheduler) get(group, name string) (awsapi.Object, error) {
	i := s.index(group, name)
	if i < 0 {
		return nil, noSchedule(name)
	}
	o := s.schedules[i]
	return awsapi.CopyOf(o.doc.With(awsapi.Object{"CreationDate": awsapi.Epoch(o.created), "LastModificationDate": awsapi.Epoch(o.modified)})), nil
}

func (s *Scheduler) create(group, name string, in awsapi.Object, now time.Time) (awsapi.Object, error) {
	if s.index(group, name) >= 0 {
		return nil, awsapi.Errorf("ConflictException", "Schedule %s already exists.", name)
	}
	o := &schedule{group: group, name: name, created: now}
	if err := o.set(s, in, now); err != nil {
		return nil, err
	}
	s.schedules = append(s.schedules, o)
	return awsapi.Object{"ScheduleArn": o.doc.Str("Arn")}, nil
}

// update replaces a schedule as a whole: what is not sent again goes back to its default.
func (s *Scheduler) update(group, name string, in awsapi.Object, now time.Time) (awsapi.Object, error) {
	i := s.index(group, name)
	if i < 0 {
		return nil, noSchedule(name)
	}
	if err := s.schedules[i].set(s, in, now); err != nil {
		return nil, err
	}
	return awsapi.Object{"ScheduleArn": s.schedules[i].doc.Str("Arn")}, nil
}

func (o *schedule) set(e *Scheduler, in awsapi.Object, now time.Time) error {
	expression := in.Str("ScheduleExpression")
	if !slices.ContainsFunc([]string{"rate(", "cron(", "at("}, func(p string) bool { return strings.HasPrefix(expression, p) }) {
		return awsapi.Errorf("ValidationException", "Invalid Schedule Expression %s.", expression)
	}
	// No page of AWS says so, but whoever creates a schedule with an earlier date is answered this, and whoever sends one back unchanged, too:
	// https://github.com/getmoto/moto/pull/8172
	if start := awsapi.TimeOf(in["StartDate"]); !start.IsZero() && start.Before(now.Add(-5*time.Minute)) {
		return awsapi.Errorf("ValidationException", "The StartDate you specify cannot be earlier than 5 minutes ago.")
	}
	if p := in.Object("Target").Object("EcsParameters"); p != nil && !strings.Contains(p.Str("TaskDefinitionArn"), ":task-definition/") {
		return awsapi.Errorf("ValidationException", "Provided TaskDefinitionArn is not in correct format.")
	}
	o.doc, o.modified = awsapi.CopyOf(in), now
	delete(o.doc, "ClientToken")
	o.doc.Fill("State", "ENABLED")
	o.doc.Fill("ScheduleExpressionTimezone", "UTC")
	o.doc.Fill("ActionAfterCompletion", "NONE")
	o.doc["GroupName"], o.doc["Name"], o.doc["Arn"] = o.group, o.name, e.ARN("scheduler", "schedule/"+o.group+"/"+o.name)
	return nil
}
