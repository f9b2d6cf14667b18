package session

// Which identity the options mean: pure, so that every combination of
// connection, variables and inputs can be read off one table in the tests.

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// The order of the sources is that of AWS's own tasks, without OIDC and without
// falling through when the source that was named does not work.
const (
	connectionInput = "input awsCredentials"
	keyVariables    = "variables AWS.AccessKeyID, AWS.SecretAccessKey"
	defaultChain    = "default credential chain"
)

// Limits of DurationSeconds:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	minDuration     = 900 * time.Second
	maxDuration     = 43200 * time.Second
	defaultDuration = time.Hour // the least that a role's own limit can be
)

// identity is what [choose] decided: keys (none: the default chain), then a
// role (none: an empty ARN), each with the name of where it came from.
type identity struct {
	source string
	keys   Keys

	roleSource string
	role       Role
}

func choose(o Options) (identity, error) {
	id := identity{source: defaultChain}
	var mistakes []error
	mistake := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }

	switch c := o.Connection; {
	case c != nil:
		id.source, id.keys = connectionInput, c.Keys
		id.roleSource, id.role = connectionInput, c.Role
		switch {
		case c.UseOIDC:
			mistake("%s: the service connection uses OIDC; this version of the task needs one with access keys or a role", connectionInput)
		case !c.Keys.empty() && !c.Keys.complete():
			mistake("%s: the service connection holds only %s of an access key", connectionInput, c.Keys.held())
		case c.Keys.empty() && c.Role.ARN == "":
			mistake("%s: the service connection holds neither access keys nor a role", connectionInput)
		}
	default:
		if k := o.Variables.Keys; !k.empty() {
			id.source, id.keys = keyVariables, k
			if !k.complete() {
				mistake("%s: the pipeline has only %s of an access key", keyVariables, k.held())
			}
		}
		id.roleSource, id.role = "variable AWS.AssumeRoleArn", o.Variables.Role
	}

	switch in := o.Role; {
	case in.ARN != "":
		id.roleSource, id.role = "input roleArn", in
	case id.role.ARN == "" && in.ExternalID != "":
		mistake("input externalId: there is no role to assume with it; give roleArn")
	case id.role.ARN == "" && in.SessionName != "":
		mistake("input roleSessionName: there is no role to assume under it; give roleArn")
	default:
		id.role.SessionName = firstNonEmpty(in.SessionName, id.role.SessionName)
		id.role.ExternalID = firstNonEmpty(in.ExternalID, id.role.ExternalID)
		if in.Duration != 0 {
			id.role.Duration = in.Duration
		}
	}
	if id.role.ARN == "" {
		id.roleSource, id.role = "", Role{}
		return id, errors.Join(mistakes...)
	}

	if err := checkRoleARN(id.role.ARN); err != nil {
		mistake("%s: %w", id.roleSource, err)
	}
	switch name := id.role.SessionName; {
	case name == "":
		id.role.SessionName = sessionName(o.Name)
	case !isSessionName(name):
		from := id.roleSource
		if o.Role.SessionName != "" {
			from = "input roleSessionName"
		}
		mistake("%s: session name %q: expected 2 to 64 letters, digits or characters of _+=,.@-", from, name)
	}
	if id.role.Duration == 0 {
		id.role.Duration = o.Variables.Role.Duration
	}
	if id.role.Duration == 0 {
		id.role.Duration = defaultDuration
	}
	if d := id.role.Duration; d < minDuration || d > maxDuration {
		mistake("variable aws.rolecredential.maxduration: %d seconds: expected 900 to 43200", int64(d/time.Second))
	}
	return id, errors.Join(mistakes...)
}

func checkRoleARN(s string) error {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return fmt.Errorf("%q is not the ARN of a role: expected arn:aws:iam::123456789012:role/NAME", s)
	}
	return nil
}

const defaultSessionName = "ecsdeploy"

var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// isSessionName reports whether STS takes s as RoleSessionName:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func isSessionName(s string) bool {
	return len(s) >= 2 && len(s) <= 64 && !notInSessionName.MatchString(s)
}

// sessionName makes a session name of whatever the run is called.
func sessionName(s string) string {
	s = notInSessionName.ReplaceAllString(s, "-")
	if len(s) < 2 {
		return defaultSessionName
	}
	return s[:min(len(s), 64)]
}
