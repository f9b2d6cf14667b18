// The Query protocol, in which STS and Elastic Load Balancing speak: a form in, XML out.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html

package awsapi

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/iam"
)

// QueryService is one of the services that speak the Query protocol.
type QueryService struct {
	Name       string // sts: the signing name, and the prefix of IAM actions
	Version    string
	Namespace  string // of the XML
	Operations map[string]func(*http.Request, url.Values) (any, error)
	Resource   func(form url.Values) string
	Unsigned   map[string]bool // operations that take no signature
}

// ServeQuery answers as the service that the request is signed for; one that is not signed for any is taken to be for STS.
func (e *Server) ServeQuery(w http.ResponseWriter, r *http.Request) {
	svc := e.queries["sts"]
	if m := AuthorizationHeader.FindStringSubmatch(r.Header.Get("Authorization")); m != nil && e.queries[m[4]] != nil {
		svc = e.queries[m[4]]
	}
	req := Request{Time: time.Now(), Service: svc.Name, Method: r.Method, Path: r.URL.Path, Host: r.Host}
	defer func() { e.Record(req) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return
	}
	req.Body, req.Received = body, int64(len(body))
	var result any
	form, err := url.ParseQuery(string(body))
	if err == nil {
		req.Operation = form.Get("Action")
		result, err = e.answerQuery(svc, r, form)
	}
	if err == ErrReset {
		panic(http.ErrAbortHandler)
	}
	id := e.NewID(UUID)
	req.Status = http.StatusOK
	var out bytes.Buffer
	if err != nil {
		fail, ok := err.(*Error)
		if !ok {
			fail = &Error{Code: "MalformedQueryString", Message: err.Error()}
		}
		if req.Status = fail.Status; req.Status == 0 {
			req.Status = http.StatusBadRequest
		}
		req.Error = fail.Code
		side := "Sender"
		if req.Status >= 500 {
			side = "Receiver"
		}
		writeXML(&out, svc.Namespace, "ErrorResponse", []xmlPart{
			{"Error", struct{ Type, Code, Message string }{side, fail.Code, fail.Message}},
			{"RequestId", id},
		})
	} else {
		writeXML(&out, svc.Namespace, req.Operation+"Response", []xmlPart{
			{req.Operation + "Result", result},
			{"ResponseMetadata", struct{ RequestId string }{id}},
		})
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(req.Status)
	w.Write(out.Bytes())
}

// xmlPart is an element with a name of its own.
type xmlPart struct {
	name  string
	value any
}

// writeXML writes an element with parts in a service's namespace.
func writeXML(out *bytes.Buffer, namespace, name string, parts []xmlPart) {
	enc := xml.NewEncoder(out)
	start := xml.StartElement{Name: xml.Name{Local: name}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}}
	err := enc.EncodeToken(start)
	for _, p := range parts {
		if err == nil {
			err = enc.EncodeElement(p.value, xml.StartElement{Name: xml.Name{Local: p.name}})
		}
	}
	if err == nil {
		err = enc.EncodeToken(start.End())
	}
	if err == nil {
		err = enc.Flush()
	}
	if err != nil {
		panic(err) // answers are structures that can be written
	}
}

func (e *Server) answerQuery(svc *QueryService, r *http.Request, form url.Values) (any, error) {
	name := form.Get("Action")
	do := svc.Operations[name]
	if form.Get("Version") != svc.Version || do == nil {
		return nil, Errorf("InvalidAction", "Could not find operation %s for version %s", name, cmp.Or(form.Get("Version"), "NO_VERSION_SPECIFIED"))
	}
	principal, err := "anonymous", error(nil)
	if !svc.Unsigned[name] {
		principal, err = e.Authenticate(r, svc.Name)
	}
	if err != nil {
		if api := err.(*Error); strings.HasSuffix(api.Code, "TokenException") || strings.HasPrefix(api.Code, "Unrecognized") {
			return nil, &Error{http.StatusForbidden, map[string]string{
				"MissingAuthenticationTokenException": "MissingAuthenticationToken", "ExpiredTokenException": "ExpiredToken", "UnrecognizedClientException": "InvalidClientTokenId",
			}[api.Code], api.Message}
		}
		return nil, err
	}
	fault, err := e.Injected(r.Context(), Call{time.Now(), svc.Name, name, principal, svc.Resource(form), nil})
	if api, ok := err.(*Error); ok { // the Query protocol has older names
		switch api.Code {
		case "AccessDeniedException":
			api.Code, api.Status = "AccessDenied", http.StatusForbidden
			api.Message = fmt.Sprintf("User: %s is not authorized to perform: %s:%s on resource: %s", principal, svc.Name, name, svc.Resource(form))
		case "ThrottlingException":
			api.Code = "Throttling"
		}
	}
	if err == nil && name != "GetCallerIdentity" { // which nobody can be denied
		err = e.authorizeQuery(principal, svc.Name+":"+name, svc.Resource(form))
	}
	if err != nil {
		return nil, err
	}
	out, err := do(r, form)
	if lost := fault.Answered(r.Context()); lost != nil {
		return nil, lost
	}
	return out, err
}

// authorizeQuery is authorize in the words of the services that speak the Query protocol: only an explicit denial is told.
func (e *Server) authorizeQuery(principal, action, resource string) error {
	err := e.Authorize(principal, []iam.Request{{Action: action, Resource: resource, Context: map[string][]string{"aws:RequestedRegion": {e.Region()}}}})
	if api, ok := err.(*Error); ok {
		message, _, _ := strings.Cut(api.Message, " because no ")
		return &Error{http.StatusForbidden, "AccessDenied", message}
	}
	return err
}

// Members reads a list of the Query protocol: Name.member.1, Name.member.2 …
func Members(form url.Values, name string) []string {
	var out []string
	for i := 1; ; i++ {
		key := fmt.Sprintf("%s.member.%d", name, i)
		if !form.Has(key) {
			return out
		}
		out = append(out, form.Get(key))
	}
}
