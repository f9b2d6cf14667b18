package session

// Which identity the options mean: pure, so that every combination of
// connection, variables, inputs and agent can be read off one table in the tests.

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// The order of the sources is that of AWS's own tasks, without falling through
// when the source that was named does not work.
const (
	connectionInput = "input awsCredentials"
	keyVariables    = "variables AWS.AccessKeyID, AWS.SecretAccessKey"
	pipelineOIDC    = "OIDC identity of the pipeline"
	defaultChain    = "default credential chain"

	roleInput           = "input roleArn"
	roleVariable        = "variable AWS.AssumeRoleArn"
	maxDurationVariable = "variable aws.rolecredential.maxduration"
)

// Limits of DurationSeconds:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	minDuration     = 900 * time.Second
	maxDuration     = 43200 * time.Second
	defaultDuration = time.Hour // the least that a role's own limit can be
)

// identity is what [choose] decided: keys or an OIDC token (neither: the default
// chain), then a role (none: an empty ARN), each with the name of where it came from.
type identity struct {
	source       string
	keys         Keys
	oidc         bool
	connectionID string // of the OIDC token; empty: the pipeline's own

	roleSource string
	role       Role
}

// chooser collects what is wrong, and what is merely odd, while it decides.
type chooser struct {
	identity
	mistakes []error
	warnings []string
}

func (c *chooser) mistake(format string, args ...any) {
	c.mistakes = append(c.mistakes, fmt.Errorf(format, args...))
}

func (c *chooser) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

// choose decides. agent says what in the agent's own environment names an
// identity (AWS_PROFILE, say); empty is nothing. The warnings are for what is
// ignored; the error joins all mistakes.
func choose(o Options, agent string) (identity, []string, error) {
	c := &chooser{identity: identity{source: defaultChain}}
	c.base(o)
	c.assumed(o, agent)
	if c.role.ARN == "" {
		c.roleSource, c.role = "", Role{}
	} else {
		c.complete(o)
	}
	return c.identity, c.warnings, errors.Join(c.mistakes...)
}

// base decides on the keys or the token, and on the role that comes with them.
func (c *chooser) base(o Options) {
	if o.Connection == nil {
		c.roleSource, c.role = roleVariable, o.Variables.Role
		switch k := c.leftover(o.Variables.Keys, "variable AWS.SessionToken"); {
		case k.empty():
		default:
			c.source, c.keys = keyVariables, k
			if !k.complete() {
				c.mistake("%s: the pipeline has only %s of an access key", keyVariables, k.held())
			}
		}
		return
	}
	connection := o.Connection
	c.source, c.roleSource, c.role = connectionInput, connectionInput, connection.Role
	if connection.UseOIDC { // before its keys, as in AWS's own tasks
		c.oidc, c.connectionID = true, connection.ID
		switch {
		case o.IDToken == nil:
			c.mistake("%s: the service connection uses OIDC, and this run has no token of Azure Pipelines to ask for one with", connectionInput)
		case connection.Role.ARN == "" && o.Role.ARN == "":
			c.mistake("%s: the service connection uses OIDC and names no role to assume: enter one there, or give roleArn", connectionInput)
		}
		return
	}
	c.keys = c.leftover(connection.Keys, connectionInput)
	switch {
	case !c.keys.empty() && !c.keys.complete():
		c.mistake("%s: the service connection holds only %s of an access key", connectionInput, c.keys.held())
	case c.keys.empty() && connection.Role.ARN == "":
		c.mistake("%s: the service connection holds neither access keys nor a role", connectionInput)
	}
}

// leftover drops a session token that stands alone: AWS's own tasks ignore what
// an earlier step has left behind.
func (c *chooser) leftover(k Keys, source string) Keys {
	if k.SessionToken == "" || k.AccessKeyID != "" || k.SecretAccessKey != "" {
		return k
	}
	c.warn("%s: a session token without an access key is ignored", source)
	return Keys{}
}

// assumed decides on the role. A role that only the input names, with nothing
// beside it, is assumed with the pipeline's own OIDC token.
func (c *chooser) assumed(o Options, agent string) {
	switch in := o.Role; {
	case in.ARN != "":
		c.roleSource, c.role = roleInput, in
		if o.Connection == nil && c.keys.empty() && agent == "" && o.IDToken != nil {
			c.source, c.oidc = pipelineOIDC, true
		}
	case c.role.ARN == "" && in.ExternalID != "":
		c.mistake("input externalId: there is no role to assume with it; give roleArn")
	case c.role.ARN == "" && in.SessionName != "":
		c.mistake("input roleSessionName: there is no role to assume under it; give roleArn")
	default:
		c.role.SessionName = firstNonEmpty(in.SessionName, c.role.SessionName)
		c.role.ExternalID = firstNonEmpty(in.ExternalID, c.role.ExternalID)
		if in.Duration != 0 {
			c.role.Duration = in.Duration
		}
	}
}

// complete checks the role and fills in what it does not say.
func (c *chooser) complete(o Options) {
	if err := checkRoleARN(c.role.ARN); err != nil {
		c.mistake("%s: %w", c.roleSource, err)
	}
	if c.oidc && c.role.ExternalID != "" {
		c.warn("an external id has no effect with OIDC and is ignored: STS takes none with a token; the trust policy's condition on the subject takes its place")
		c.role.ExternalID = ""
	}
	switch name := c.role.SessionName; {
	case name == "":
		c.role.SessionName = sessionName(o.Name)
	case !isSessionName(name):
		from := c.roleSource
		if o.Role.SessionName != "" {
			from = "input roleSessionName"
		}
		c.mistake("%s: session name %q: expected 2 to 64 letters, digits or characters of _+=,.@-", from, name)
	}
	if c.role.Duration == 0 {
		c.role.Duration = defaultDuration
		if text := o.Variables.MaxDuration; text != "" {
			seconds, err := strconv.ParseInt(text, 10, 32)
			d := time.Duration(seconds) * time.Second
			if err != nil || d < minDuration || d > maxDuration {
				c.warn("%s: %q is ignored: expected 900 to 43200 seconds; sessions last %d seconds and are renewed", maxDurationVariable, text, int(defaultDuration/time.Second))
			} else {
				c.role.Duration = d
			}
		}
	}
	if d := c.role.Duration; d < minDuration || d > maxDuration {
		c.mistake("session of role %s: %d seconds: expected 900 to 43200", c.role.ARN, int64(d/time.Second))
	}
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
