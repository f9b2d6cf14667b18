// AWS STS: who the caller is, and temporary credentials. It speaks the Query protocol: a form in, XML out.
// https://docs.aws.amazon.com/STS/latest/APIReference/

package emulator

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

type stsUser struct {
	Arn           string
	AssumedRoleID string `xml:"AssumedRoleId"`
}

type stsCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type stsIdentity struct {
	Arn     string
	UserID  string `xml:"UserId"`
	Account string
}

type stsAssumedRole struct {
	AssumedRoleUser stsUser
	Credentials     stsCredentials
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]{1,64})$`)
	sessionForm = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
)

func (e *Emulator) serveSTS(w http.ResponseWriter, r *http.Request) {
	req := Request{Time: time.Now(), Service: "sts", Method: r.Method, Path: r.URL.Path, Host: r.Host}
	defer func() { e.record(req) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	req.Body, req.Received = body, int64(len(body))
	var result any
	form, err := url.ParseQuery(string(body))
	if err == nil {
		req.Operation = form.Get("Action")
		result, err = e.answerSTS(r, form)
	}
	if err == errReset {
		panic(http.ErrAbortHandler)
	}
	id := e.newID(uuidID)
	req.Status = http.StatusOK
	var out bytes.Buffer
	if err != nil {
		fail, ok := err.(*apiError)
		if !ok {
			fail = &apiError{code: "MalformedQueryString", message: err.Error()}
		}
		if req.Status = fail.status; req.Status == 0 {
			req.Status = http.StatusBadRequest
		}
		req.Error = fail.code
		side := "Sender"
		if req.Status >= 500 {
			side = "Receiver"
		}
		writeXML(&out, "ErrorResponse", struct {
			Error struct{ Type, Code, Message string }
			ID    string `xml:"RequestId"`
		}{struct{ Type, Code, Message string }{side, fail.code, fail.message}, id})
	} else {
		type metadata struct {
			ID string `xml:"RequestId"`
		}
		type answer struct {
			Identity *stsIdentity    `xml:"GetCallerIdentityResult"`
			Role     *stsAssumedRole `xml:"AssumeRoleResult"`
			Metadata metadata        `xml:"ResponseMetadata"`
		}
		a := answer{Metadata: metadata{id}}
		switch v := result.(type) {
		case *stsIdentity:
			a.Identity = v
		case *stsAssumedRole:
			a.Role = v
		}
		writeXML(&out, req.Operation+"Response", a)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(req.Status)
	w.Write(out.Bytes())
}

// writeXML writes a value under a name in the namespace of STS.
func writeXML(out *bytes.Buffer, name string, v any) {
	if err := xml.NewEncoder(out).EncodeElement(v, xml.StartElement{Name: xml.Name{Space: stsNamespace, Local: name}}); err != nil {
		panic(err) // the types above can be written
	}
}

func (e *Emulator) answerSTS(r *http.Request, form url.Values) (any, error) {
	op := form.Get("Action")
	if form.Get("Version") != "2011-06-15" || op != "GetCallerIdentity" && op != "AssumeRole" {
		return nil, apiErrorf("InvalidAction", "Could not find operation %s for version %s", op, orDefault(form.Get("Version"), "NO_VERSION_SPECIFIED"))
	}
	principal, err := e.authenticate(r, "sts")
	if err != nil {
		if api := err.(*apiError); strings.HasSuffix(api.code, "TokenException") || strings.HasPrefix(api.code, "Unrecognized") {
			return nil, &apiError{http.StatusForbidden, map[string]string{
				"MissingAuthenticationTokenException": "MissingAuthenticationToken", "ExpiredTokenException": "ExpiredToken", "UnrecognizedClientException": "InvalidClientTokenId",
			}[api.code], api.message}
		}
		return nil, err
	}
	err = e.injected(r.Context(), "sts:"+op, principal, func() string { return orDefault(form.Get("RoleArn"), "*") })
	if api, ok := err.(*apiError); ok { // the Query protocol has older names
		switch api.code {
		case "AccessDeniedException":
			api.code, api.status = "AccessDenied", http.StatusForbidden
			api.message = fmt.Sprintf("User: %s is not authorized to perform: sts:%s on resource: %s", principal, op, orDefault(form.Get("RoleArn"), "*"))
		case "ThrottlingException":
			api.code = "Throttling"
		}
	}
	if err != nil {
		return nil, err
	}
	if op == "GetCallerIdentity" {
		return &stsIdentity{Arn: principal, UserID: e.userID(r, principal), Account: e.account}, nil
	}
	return e.assumeRole(form)
}

// userID is the unique id of who signed r.
func (e *Emulator) userID(r *http.Request, principal string) string {
	m := authorizationHeader.FindStringSubmatch(r.Header.Get("Authorization"))
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sessions[m[1]]; s != nil {
		return s.userID
	}
	return "AIDAEMULATOREMULATOR1"
}

func (e *Emulator) assumeRole(form url.Values) (*stsAssumedRole, error) {
	invalid := func(value, at, constraint string) (*stsAssumedRole, error) {
		shown := "null"
		if value != "" {
			shown = "'" + value + "'"
		}
		return nil, apiErrorf("ValidationError", "1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", shown, at, constraint)
	}
	arn, name := form.Get("RoleArn"), form.Get("RoleSessionName")
	if arn == "" {
		return invalid("", "roleArn", "Member must not be null")
	}
	if name == "" {
		return invalid("", "roleSessionName", "Member must not be null")
	}
	m := roleARN.FindStringSubmatch(arn)
	if m == nil {
		return nil, apiErrorf("ValidationError", "%s is invalid", arn)
	}
	if !sessionForm.MatchString(name) {
		return invalid(name, "roleSessionName", `Member must satisfy regular expression pattern: [\w+=,.@-]*`)
	}
	if id := form.Get("ExternalId"); form.Has("ExternalId") && (len(id) > 1224 || !externalID.MatchString(id)) {
		return invalid(id, "externalId", `Member must satisfy regular expression pattern: [\w+=,.@:\/-]*`)
	}
	seconds := 3600
	if d := form.Get("DurationSeconds"); d != "" {
		n, err := strconv.Atoi(d)
		if err != nil || n < 900 || n > 43_200 {
			return invalid(d, "durationSeconds", "Member must have value between 900 and 43200")
		}
		seconds = n
	}
	expires := time.Now().Add(time.Duration(seconds) * time.Second)
	e.mu.Lock()
	defer e.mu.Unlock()
	id := strings.ToUpper(e.id(taskID))
	s := &session{
		arn:     fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", m[1], m[2], name),
		userID:  "AROA" + id[:17] + ":" + name,
		token:   "emulator/" + e.id(taskID) + e.id(taskID),
		expires: expires,
	}
	key := "ASIA" + id[17:32] + "X"
	e.sessions[key] = s
	return &stsAssumedRole{
		AssumedRoleUser: stsUser{Arn: s.arn, AssumedRoleID: s.userID},
		Credentials:     stsCredentials{key, e.id(taskID) + "emulator", s.token, expires.UTC().Format(time.RFC3339)},
	}, nil
}
