// The awsjson 1.1 protocol: which operation a request asks for, whether it may be answered at all (signature, faults, validation), and how
// answers and errors look on the wire.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html

package awsapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// Service is one of the JSON services: its operations and how it words a refusal.
type Service struct {
	Name       string // ecs: the signing name, and the prefix of IAM actions
	Rules      Rules
	Operations map[string]Operation
	Refuse     func(operation string, v Violation) error
	Unknown    string                                   // error code for an operation that does not exist
	Resource   func(operation string, in Object) string // that IAM would name

	// For authorization, where a service needs more than its action on its one resource: all resources of a call, its condition keys, the resource
	// that a call creates and tags, the roles that it passes with the service that they are passed to, and actions that it takes beside its own.
	Resources func(operation string, in Object) []string
	Context   func(operation string, in Object, context map[string][]string)
	Created   func(operation string, in Object) string
	Passed    func(operation string, in Object) (roles []string, to string)
	Implied   func(operation string, in Object) []Need // further actions that a call takes
}

// Need is an action on a resource.
type Need struct{ Action, Resource string }

// Operation is one API call.
type Operation struct {
	Input, Output *smithy.Schema
	do            func(*Invocation) (Object, error) // called with the server's lock held
}

// Op is an operation with the schemas of its input and output, and what it does; it is called with the server's lock held.
func Op(input, output *smithy.Schema, do func(*Invocation) (Object, error)) Operation {
	return Operation{input, output, do}
}

// Invocation is one request to an operation, valid by the service's model.
type Invocation struct {
	Now       time.Time
	In        Object
	Host      string // the registry's host, as the caller reaches this server
	Scheme    string
	Principal string // ARN of who signed
	Change    Change // what the record says of it
}

// Error is an error answer of a service.
type Error struct {
	Status        int // 0 means 400
	Code, Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Answer is an error answer with a status of its own.
func Answer(status int, code, message string) *Error { return &Error{status, code, message} }

func Errorf(code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// MaxBody is more than any request of these services may have.
const MaxBody = 8 << 20

func (e *Server) ServeJSON(w http.ResponseWriter, r *http.Request) {
	prefix, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	req := Request{Time: time.Now(), Operation: name, Method: r.Method, Path: r.URL.Path, Host: r.Host}
	defer func() { e.Record(req) }()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return // the client went away, or sent what no client sends
	}
	req.Body, req.Received = body, int64(len(body))

	svc := e.Services[prefix]
	var out Object
	if svc == nil {
		err = Errorf("UnknownOperationException", "")
	} else {
		req.Service = svc.Name
		out, err = e.answer(svc, name, r, body)
	}
	if err == ErrReset {
		panic(http.ErrAbortHandler)
	}
	req.Status = http.StatusOK
	if err != nil {
		fail, ok := err.(*Error)
		if !ok {
			fail = &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
		}
		req.Status, req.Error = fail.Status, fail.Code
		if req.Status == 0 {
			req.Status = http.StatusBadRequest
		}
		out = Object{"__type": fail.Code}
		out.Put("message", fail.Message)
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // documents are made of JSON values only
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", e.NewID(UUID))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(req.Status)
	w.Write(data)
}

// answer runs one operation: every reason to refuse comes before any effect.
func (e *Server) answer(svc *Service, name string, r *http.Request, body []byte) (Object, error) {
	if r.Method != http.MethodPost {
		return nil, &Error{Status: http.StatusMethodNotAllowed, Code: "UnknownOperationException"}
	}
	if got := r.Header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
		return nil, &Error{Status: http.StatusNotFound, Code: "UnknownOperationException"}
	}
	op, ok := svc.Operations[name]
	if !ok {
		return nil, Errorf(svc.Unknown, "The requested operation is not recognized by the service.")
	}
	principal, err := e.Authenticate(r, svc.Name)
	if err != nil {
		return nil, err
	}
	in, err := ParseObject(body)
	if err != nil {
		return nil, Errorf("SerializationException", "%v", err)
	}
	resource := svc.Resource(name, in)
	fault, err := e.Injected(r.Context(), Call{time.Now(), svc.Name, name, principal, resource, body})
	if err != nil {
		return nil, err
	}
	if err := svc.Rules.Check(op.Input, in, e.Future); err != nil {
		if v, ok := err.(Violation); ok {
			return nil, svc.Refuse(name, v)
		}
		return nil, err
	}
	if err := e.Authorize(principal, e.needs(svc, name, in)); err != nil {
		return nil, err
	}
	host, scheme := e.Reached(r)
	c := &Invocation{Now: time.Now(), In: in, Host: host, Scheme: scheme, Principal: principal}
	c.Change.Lost = fault != nil && fault.Lost
	out, err := e.performNow(svc, name, c)
	if lost := fault.Answered(r.Context()); lost != nil {
		return nil, lost
	}
	return out, err
}

func (e *Server) performNow(svc *Service, name string, c *Invocation) (Object, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Advance(c.Now)
	return e.Perform(svc, name, c)
}

// Perform acts on a call that is valid, and puts it on record. It must be called with e.mu held, the state being that of the call's time.
func (e *Server) Perform(svc *Service, name string, c *Invocation) (Object, error) {
	op, action := svc.Operations[name], svc.Name+":"+name
	if changes(name) {
		c.Change.Time, c.Change.Caller, c.Change.Operation, c.Change.Resource = c.Now, c.Principal, action, svc.Resource(name, c.In)
		defer func() { e.NoteChange(c.Change) }()
	}
	out, err := op.do(c)
	e.Acted(c.Now)
	if api, ok := err.(*Error); ok {
		c.Change.Error = api.Code
	}
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = Object{}
	}
	// The emulator holds itself to the model too: a member that the service cannot answer with would be dropped unseen by every client.
	if err := (Rules{}).Check(op.Output, out, e.Future); err != nil {
		return nil, fmt.Errorf("emulator: answer of %s does not fit the service's model: %w", action, err)
	}
	return out, nil
}

// Unit is the output of operations that have none.
var Unit = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Unit"}, smithy.ShapeTypeStructure, 0)
