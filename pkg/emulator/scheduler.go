// Amazon EventBridge Scheduler: schedules in groups, read, created and replaced. Nothing is ever triggered. It speaks restJson1: the operation is
// in method and path.
// https://docs.aws.amazon.com/scheduler/latest/APIReference/

package emulator

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

	"ecsdeploy/pkg/emulator/iam"
)

// Scheduler is the state of EventBridge Scheduler.
type Scheduler struct {
	*Server
	schedules []*schedule
}

func newScheduler(server *Server) *Scheduler { return &Scheduler{Server: server} }

type schedule struct {
	group, name       string
	doc               object
	created, modified time.Time
}

// scheduleShape is the body of CreateSchedule and UpdateSchedule.
func scheduleShape(name string) *smithy.Schema {
	target := structureShape("Target", map[*smithy.Schema][]string{
		textShape: {"Arn", "RoleArn", "Input"}, ecsParametersShape(): {"EcsParameters"},
		documentShape: {"DeadLetterConfig", "RetryPolicy", "EventBridgeParameters", "KinesisParameters", "SageMakerPipelineParameters", "SqsParameters"},
	})
	window := structureShape("FlexibleTimeWindow", map[*smithy.Schema][]string{textShape: {"Mode"}, numberShape: {"MaximumWindowInMinutes"}})
	return structureShape(name, map[*smithy.Schema][]string{
		textShape:   {"ActionAfterCompletion", "ClientToken", "Description", "GroupName", "KmsKeyArn", "ScheduleExpression", "ScheduleExpressionTimezone", "State"},
		momentShape: {"StartDate", "EndDate"}, window: {"FlexibleTimeWindow"}, target: {"Target"},
	})
}

func schedulerRules() rules {
	required := []string{"FlexibleTimeWindow", "ScheduleExpression", "Target"}
	return rules{required: map[string][]string{
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

// serve answers one request.
func (e *Scheduler) serve(w http.ResponseWriter, r *http.Request) {
	operation, name := schedulerRoute(r)
	req := Request{Time: time.Now(), Service: "scheduler", Operation: operation, Method: r.Method, Path: r.URL.Path, Host: r.Host}
	defer func() { e.record(req) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	req.Body, req.Received = body, int64(len(body))
	out, err := e.answerRequest(r, operation, name, body)
	if err == errReset {
		panic(http.ErrAbortHandler)
	}
	req.Status = http.StatusOK
	if err != nil {
		fail, ok := err.(*apiError)
		if !ok {
			fail = &apiError{http.StatusInternalServerError, "InternalServerException", err.Error()}
		}
		if req.Status, req.Error = fail.status, fail.code; req.Status == 0 {
			req.Status = map[string]int{"ResourceNotFoundException": http.StatusNotFound, "ConflictException": http.StatusConflict, "AccessDeniedException": http.StatusForbidden, "ThrottlingException": http.StatusTooManyRequests}[fail.code]
		}
		if req.Status == 0 {
			req.Status = http.StatusBadRequest
		}
		w.Header().Set("X-Amzn-Errortype", fail.code)
		out = object{"Message": fail.message}
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // documents are made of JSON values only
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Requestid", e.newID(uuidID))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(req.Status)
	w.Write(data)
}

// answerRequest runs one operation: every reason to refuse comes before any effect.
func (e *Scheduler) answerRequest(r *http.Request, operation, name string, body []byte) (object, error) {
	if operation == "" {
		return nil, &apiError{http.StatusNotFound, "UnknownOperationException", ""}
	}
	principal, err := e.authenticate(r, "scheduler")
	if err != nil {
		return nil, err
	}
	in := object{}
	if len(body) > 0 {
		if in, err = parseObject(body); err != nil {
			return nil, apiErrorf("SerializationException", "%v", err)
		}
	}
	query := r.URL.Query()
	group := cmp.Or(cmp.Or(in.str("GroupName"), query.Get("groupName")), "default")
	resource := e.arn("scheduler", "schedule/"+group+"/"+name)
	if operation == "ListSchedules" {
		group, resource = query.Get("ScheduleGroup"), "*"
	}
	fault, err := e.injected(r.Context(), Call{time.Now(), "scheduler", operation, principal, resource, body})
	if err != nil {
		return nil, err
	}
	if operation == "CreateSchedule" || operation == "UpdateSchedule" {
		if err := schedulerRules().check(scheduleShape(operation+"Request"), in, e.future); err != nil {
			if v, ok := err.(violation); ok {
				return nil, apiErrorf("ValidationException", "%s", v.Error())
			}
			return nil, err
		}
	}
	needs := []iam.Request{{Action: "scheduler:" + operation, Resource: resource}}
	if role := in.object("Target").str("RoleArn"); role != "" {
		needs = append(needs, iam.Request{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {"scheduler.amazonaws.com"}}})
	}
	if err := e.authorize(principal, needs); err != nil {
		return nil, err
	}
	out, err := e.actOnSchedule(operation, group, name, in, query.Get("NamePrefix"), query.Get("NextToken"), Change{Time: time.Now(), Caller: principal, Operation: "scheduler:" + operation, Resource: resource, Lost: fault != nil && fault.Lost})
	if lost := fault.answered(r.Context()); lost != nil {
		return nil, lost
	}
	return out, err
}

func (e *Scheduler) actOnSchedule(operation, group, name string, in object, prefix, token string, change Change) (out object, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e
	if operation == "ListSchedules" {
		return s.list(group, prefix, token)
	}
	if operation == "GetSchedule" {
		return s.get(group, name)
	}
	defer func() {
		if api, ok := err.(*apiError); ok {
			change.Error = api.code
		} else {
			change.Effect = "put"
		}
		e.noteChange(change)
	}()
	switch operation {
	case "DeleteSchedule":
		i := s.index(group, name)
		if i < 0 {
			return nil, noSchedule(name)
		}
		s.schedules = slices.Delete(s.schedules, i, i+1)
		return object{}, nil
	case "CreateSchedule":
		return s.create(group, name, in, change.Time)
	}
	return s.update(group, name, in, change.Time)
}

func (s *Scheduler) index(group, name string) int {
	return slices.IndexFunc(s.schedules, func(o *schedule) bool { return o.group == group && o.name == name })
}

func noSchedule(name string) error {
	return apiErrorf("ResourceNotFoundException", "Schedule %s does not exist.", name)
}

// list has only what ListSchedules answers: the target's ARN, but nothing of what it runs.
func (s *Scheduler) list(group, prefix, token string) (object, error) {
	const most = 100
	from, err := strconv.Atoi(cmp.Or(token, "0"))
	if err != nil || from < 0 || from > len(s.schedules) {
		return nil, apiErrorf("ValidationException", "The token is not valid.")
	}
	out := object{"Schedules": []any{}}
	for i, o := range s.schedules[from:] {
		if group != "" && o.group != group || !strings.HasPrefix(o.name, prefix) {
			continue
		}
		if len(out.list("Schedules")) == most {
			out["NextToken"] = strconv.Itoa(from + i)
			break
		}
		out["Schedules"] = append(out.list("Schedules"), object{
			"Arn": o.doc["Arn"], "GroupName": o.group, "Name": o.name, "State": o.doc["State"], "Target": object{"Arn": o.doc.object("Target").str("Arn")},
			"CreationDate": epoch(o.created), "LastModificationDate": epoch(o.modified),
		})
	}
	return out, nil
}

func (s *Scheduler) get(group, name string) (object, error) {
	i := s.index(group, name)
	if i < 0 {
		return nil, noSchedule(name)
	}
	o := s.schedules[i]
	return copyOf(o.doc.with(object{"CreationDate": epoch(o.created), "LastModificationDate": epoch(o.modified)})), nil
}

func (s *Scheduler) create(group, name string, in object, now time.Time) (object, error) {
	if s.index(group, name) >= 0 {
		return nil, apiErrorf("ConflictException", "Schedule %s already exists.", name)
	}
	o := &schedule{group: group, name: name, created: now}
	if err := o.set(s, in, now); err != nil {
		return nil, err
	}
	s.schedules = append(s.schedules, o)
	return object{"ScheduleArn": o.doc.str("Arn")}, nil
}

// update replaces a schedule as a whole: what is not sent again goes back to its default.
func (s *Scheduler) update(group, name string, in object, now time.Time) (object, error) {
	i := s.index(group, name)
	if i < 0 {
		return nil, noSchedule(name)
	}
	if err := s.schedules[i].set(s, in, now); err != nil {
		return nil, err
	}
	return object{"ScheduleArn": s.schedules[i].doc.str("Arn")}, nil
}

func (o *schedule) set(e *Scheduler, in object, now time.Time) error {
	expression := in.str("ScheduleExpression")
	if !slices.ContainsFunc([]string{"rate(", "cron(", "at("}, func(p string) bool { return strings.HasPrefix(expression, p) }) {
		return apiErrorf("ValidationException", "Invalid Schedule Expression %s.", expression)
	}
	if p := in.object("Target").object("EcsParameters"); p != nil && !strings.Contains(p.str("TaskDefinitionArn"), ":task-definition/") {
		return apiErrorf("ValidationException", "Provided TaskDefinitionArn is not in correct format.")
	}
	o.doc, o.modified = copyOf(in), now
	delete(o.doc, "ClientToken")
	o.doc.fill("State", "ENABLED")
	o.doc.fill("ScheduleExpressionTimezone", "UTC")
	o.doc.fill("ActionAfterCompletion", "NONE")
	o.doc["GroupName"], o.doc["Name"], o.doc["Arn"] = o.group, o.name, e.arn("scheduler", "schedule/"+o.group+"/"+o.name)
	return nil
}
