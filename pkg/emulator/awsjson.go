// The awsjson 1.1 protocol: which operation a request asks for, whether it may be answered at all (signature, faults, validation), and how
// answers and errors look on the wire.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html

package emulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// awsService is one of the JSON services: its operations and how it words a refusal.
type awsService struct {
	name       string // ecs: the signing name, and the prefix of IAM actions
	rules      rules
	operations map[string]operation
	refuse     func(operation string, v violation) error
	unknown    string                                   // error code for an operation that does not exist
	resource   func(operation string, in object) string // that IAM would name

	// For authorization, where a service needs more than its action on its one resource: all resources of a call, its condition keys, the resource
	// that a call creates and tags, and the roles that it passes with the service that they are passed to.
	resources func(operation string, in object) []string
	context   func(operation string, in object, context map[string][]string)
	created   func(operation string, in object) string
	passed    func(operation string, in object) (roles []string, to string)
}

// operation is one API call.
type operation struct {
	input, output *smithy.Schema
	do            func(*call) (object, error) // called with the server's lock held
}

// call is one request to an operation, valid by the service's model.
type call struct {
	now       time.Time
	in        object
	host      string // the registry's host, as the caller reaches this server
	scheme    string
	principal string // ARN of who signed
	change    Change // what the record says of it
}

// apiError is an error answer of a service.
type apiError struct {
	status        int // 0 means 400
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func apiErrorf(code, format string, args ...any) error {
	return &apiError{code: code, message: fmt.Sprintf(format, args...)}
}

// maxBody is more than any request of these services may have.
const maxBody = 8 << 20

func (e *Server) serveJSON(w http.ResponseWriter, r *http.Request) {
	prefix, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	req := Request{Time: time.Now(), Operation: name, Method: r.Method, Path: r.URL.Path, Host: r.Host}
	defer func() { e.record(req) }()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return // the client went away, or sent what no client sends
	}
	req.Body, req.Received = body, int64(len(body))

	svc := e.services[prefix]
	var out object
	if svc == nil {
		err = apiErrorf("UnknownOperationException", "")
	} else {
		req.Service = svc.name
		out, err = e.answer(svc, name, r, body)
	}
	if err == errReset {
		panic(http.ErrAbortHandler)
	}
	req.Status = http.StatusOK
	if err != nil {
		fail, ok := err.(*apiError)
		if !ok {
			fail = &apiError{status: http.StatusInternalServerError, code: "InternalFailure", message: err.Error()}
		}
		req.Status, req.Error = fail.status, fail.code
		if req.Status == 0 {
			req.Status = http.StatusBadRequest
		}
		out = object{"__type": fail.code}
		out.put("message", fail.message)
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // documents are made of JSON values only
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", e.newID(uuidID))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(req.Status)
	w.Write(data)
}

// answer runs one operation: every reason to refuse comes before any effect.
func (e *Server) answer(svc *awsService, name string, r *http.Request, body []byte) (object, error) {
	if r.Method != http.MethodPost {
		return nil, &apiError{status: http.StatusMethodNotAllowed, code: "UnknownOperationException"}
	}
	if got := r.Header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
		return nil, &apiError{status: http.StatusNotFound, code: "UnknownOperationException"}
	}
	op, ok := svc.operations[name]
	if !ok {
		return nil, apiErrorf(svc.unknown, "The requested operation is not recognized by the service.")
	}
	principal, err := e.authenticate(r, svc.name)
	if err != nil {
		return nil, err
	}
	in, err := parseObject(body)
	if err != nil {
		return nil, apiErrorf("SerializationException", "%v", err)
	}
	resource := svc.resource(name, in)
	fault, err := e.injected(r.Context(), Call{time.Now(), svc.name, name, principal, resource, body})
	if err != nil {
		return nil, err
	}
	if err := svc.rules.check(op.input, in, e.future); err != nil {
		if v, ok := err.(violation); ok {
			return nil, svc.refuse(name, v)
		}
		return nil, err
	}
	if err := e.authorize(principal, e.needs(svc, name, in)); err != nil {
		return nil, err
	}
	host, scheme := e.reached(r)
	c := &call{now: time.Now(), in: in, host: host, scheme: scheme, principal: principal}
	c.change.Lost = fault != nil && fault.Lost
	out, err := e.performNow(svc, name, c)
	if lost := fault.answered(r.Context()); lost != nil {
		return nil, lost
	}
	return out, err
}

func (e *Server) performNow(svc *awsService, name string, c *call) (object, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(c.now)
	return e.perform(svc, name, c)
}

// perform acts on a call that is valid, and puts it on record. It must be called with e.mu held, the state being that of the call's time.
func (e *Server) perform(svc *awsService, name string, c *call) (object, error) {
	op, action := svc.operations[name], svc.name+":"+name
	if changes(name) {
		c.change.Time, c.change.Caller, c.change.Operation, c.change.Resource = c.now, c.principal, action, svc.resource(name, c.in)
		defer func() { e.noteChange(c.change) }()
	}
	out, err := op.do(c)
	e.acted(c.now)
	if api, ok := err.(*apiError); ok {
		c.change.Error = api.code
	}
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = object{}
	}
	// The emulator holds itself to the model too: a member that the service cannot answer with would be dropped unseen by every client.
	if err := (rules{}).check(op.output, out, e.future); err != nil {
		return nil, fmt.Errorf("emulator: answer of %s does not fit the service's model: %w", action, err)
	}
	return out, nil
}

// unit is the output of operations that have none.
var unit = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Unit"}, smithy.ShapeTypeStructure, 0)
