// Package sts is AWS STS: who the caller is, and temporary credentials of roles, for callers with keys and for callers with a token of an OIDC
// identity provider.
//
// What it does not do: it knows no federation through SAML and no session tokens of users, and any role of the account exists.
// https://docs.aws.amazon.com/STS/latest/APIReference/
package sts

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

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

// STS is AWS STS.
type STS struct {
	*awsapi.Server
	federation federation
}

func New(server *awsapi.Server) *STS {
	e := &STS{Server: server}
	server.HandleQuery(e.service())
	return e
}

func (e *STS) service() *awsapi.QueryService {
	return &awsapi.QueryService{
		Name: "sts", Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Resource: func(form url.Values) string { return cmp.Or(form.Get("RoleArn"), "*") },
		Operations: map[string]func(*http.Request, url.Values) (any, error){
			"GetCallerIdentity":         e.getCallerIdentity,
			"AssumeRole":                e.assumeRole,
			"AssumeRoleWithWebIdentity": e.assumeRoleWithWebIdentity,
		},
		Unsigned: map[string]bool{"AssumeRoleWithWebIdentity": true},
	}
}

func (e *STS) getCallerIdentity(r *http.Request, _ url.Values) (any, error) {
	principal, err := e.Authenticate(r, "sts")
	if err != nil {
		return nil, err
	}
	return stsIdentity{Arn: principal, UserID: e.userID(r, principal), Account: e.Account()}, nil
}

// userID is the unique id of who signed r.
func (e *STS) userID(r *http.Request, principal string) string {
	m := awsapi.AuthorizationHeader.FindStringSubmatch(r.Header.Get("Authorization"))
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if s := e.Sessions[m[1]]; s != nil {
		return s.UserID
	}
	return "AIDAEMULATOREMULATOR1"
}

func (e *STS) assumeRole(_ *http.Request, form url.Values) (any, error) {
	invalid := func(value, at, constraint string) (any, error) {
		shown := "null"
		if value != "" {
			shown = "'" + value + "'"
		}
		return nil, awsapi.Errorf("ValidationError", "1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", shown, at, constraint)
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
		return nil, awsapi.Errorf("ValidationError", "%s is invalid", arn)
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
	user, credentials := e.startSession(m[1], m[2], name, seconds)
	return stsAssumedRole{user, credentials}, nil
}

// startSession hands out credentials of a role of an account.
func (e *STS) startSession(account, role, name string, seconds int) (stsUser, stsCredentials) {
	expires := time.Now().Add(time.Duration(seconds) * time.Second)
	e.Mu.Lock()
	defer e.Mu.Unlock()
	id := strings.ToUpper(e.ID(awsapi.TaskID))
	s := &awsapi.Session{
		ARN:     fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", account, role, name),
		UserID:  "AROA" + id[:17] + ":" + name,
		Token:   "emulator/" + e.ID(awsapi.TaskID) + e.ID(awsapi.TaskID),
		Expires: expires,
	}
	key := "ASIA" + id[17:32] + "X"
	e.Sessions[key] = s
	return stsUser{Arn: s.ARN, AssumedRoleID: s.UserID},
		stsCredentials{key, e.ID(awsapi.TaskID) + "emulator", s.Token, expires.UTC().Format(time.RFC3339)}
}
