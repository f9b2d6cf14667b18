// The service connection: how the agent hands over the one that awsCredentials
// refers to, an id that stands for keys, a role, or both.

package input

import (
	"encoding/json"
	"strings"
)

// Connection is a service connection of type AWS, as AWS's Toolkit for Azure
// DevOps defines it. It has keys, a role, or OIDC; keys are complete.
type Connection struct {
	ID              string // a GUID
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    Secret
	AssumeRoleARN   string
	RoleSessionName string
	ExternalID      string
	UseOIDC         bool // the connection federates: the agent can ask for its token
}

// connection finds what the agent gives for the id of a service connection.
func (l *loader) connection(id string) (*Connection, error) {
	auth, ok := l.lookup.Lookup(endpointAuth + strings.ToLower(id))
	if !ok {
		if auth, ok = l.lookup.Lookup(endpointAuth + id); !ok {
			return nil, wrong("check its name and that this pipeline is authorised to use it", "the agent has no service connection %s", shown(id))
		}
	}
	p, err := parameters(auth)
	if err != nil {
		return nil, wrong("expected a service connection of type AWS", "the service connection %s cannot be read", shown(id))
	}
	c := &Connection{
		ID:              id,
		AccessKeyID:     p["username"],
		SecretAccessKey: NewSecret(p["password"]),
		SessionToken:    NewSecret(p["sessiontoken"]),
		AssumeRoleARN:   p["assumerolearn"],
		RoleSessionName: p["rolesessionname"],
		ExternalID:      p["externalid"],
		UseOIDC:         strings.EqualFold(p["useoidc"], "true"),
	}
	keyed := c.AccessKeyID != ""
	switch {
	case keyed != (p["password"] != ""):
		return nil, wrong("edit the connection: it needs both, or neither", "the service connection has only one of access key id and secret access key")
	case !keyed && c.AssumeRoleARN == "" && !c.UseOIDC:
		return nil, wrong("expected a service connection of type AWS", "the service connection has neither keys nor a role")
	}
	if c.AssumeRoleARN != "" {
		if _, err := parseRoleARN(c.AssumeRoleARN); err != nil {
			return nil, wrong("edit the connection: for instance arn:aws:iam::123456789012:role/deployer", "the role of the service connection is not the ARN of an IAM role")
		}
	}
	return c, nil
}

// endpointAuth, then the id of a service connection in lower case, is the
// variable that has its authorization as JSON.
// Source: azure-pipelines-agent, src/Agent.Worker/Handlers/Handler.cs.
const endpointAuth = "ENDPOINT_AUTH_"

// parameters reads the parameters of an authorization, their keys in lower case.
func parameters(auth string) (map[string]string, error) {
	var authorization struct {
		Parameters map[string]*string `json:"parameters"`
	}
	if err := json.Unmarshal([]byte(auth), &authorization); err != nil {
		return nil, err
	}
	p := make(map[string]string, len(authorization.Parameters))
	for key, value := range authorization.Parameters {
		if value != nil {
			p[strings.ToLower(key)] = strings.TrimSpace(*value)
		}
	}
	return p, nil
}
