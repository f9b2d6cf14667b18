// The environment as a whole: what in it must be masked, and what of it a child
// process may see. Both work on any environment, before and without [Load].

package input

import (
	"iter"
	"slices"
	"strings"
)

// Secrets lists the values that must never be printed, each once: secret
// variables, the secret parameters of service connections, the job's token,
// tickets of secure files, and AWS keys. Names of roles and users, flags and the
// like stay readable, though they come in the same places: masking "true" or an
// ARN makes a log useless.
func Secrets(environ []string) []string {
	var secrets []string
	add := func(value string) {
		if strings.TrimSpace(value) != "" && !slices.Contains(secrets, value) {
			secrets = append(secrets, value)
		}
	}
	for name, value := range pairs(environ) {
		switch {
		case strings.HasPrefix(name, endpointParameter):
			// Behind the prefix: the connection's id, which has no underscore, and the key.
			if _, key, _ := strings.Cut(name[len(endpointParameter):], "_"); secretParameter(key) {
				add(value)
			}
		case strings.HasPrefix(name, endpointAuth):
			p, _ := parameters(value) // what is not JSON, as the name of a scheme, has none
			for key, value := range p {
				if secretParameter(key) {
					add(value)
				}
			}
		case strings.HasPrefix(name, secretPrefix), strings.HasPrefix(name, "SECUREFILE_TICKET_"),
			slices.Contains(secretVariables, name):
			add(value)
		}
	}
	slices.Sort(secrets)
	return secrets
}

// Private lists the names of the variables that belong to the task alone and
// that no child process (a credential helper of Docker, say) may see: inputs,
// service connections, secrets, secure files, variables of the task, what its
// start script says, and AWS's secret variables of the pipeline.
// VSTS_PROCESS_LOOKUP_ID, by which the agent
// finds orphans, and the environment that the agent itself was started with stay.
func Private(environ []string) []string {
	var names []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		upper := strings.ToUpper(name)
		if slices.Contains(pipelineKeys, upper) || slices.ContainsFunc(privatePrefixes, func(p string) bool { return strings.HasPrefix(upper, p) }) {
			names = append(names, name)
		}
	}
	return names
}

const endpointParameter = endpointAuth + "PARAMETER_"

var privatePrefixes = []string{inputPrefix, "ENDPOINT_", secretPrefix, "SECUREFILE_", "VSTS_TASKVARIABLE_", "ECSDEPLOY_"}

// secretVariables hold secrets under names of their own: pipeline variables that
// should have been secret, and those of the AWS SDK.
var secretVariables = []string{
	"AWS_SECRETACCESSKEY", "AWS_SESSIONTOKEN",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"SYSTEM_ACCESSTOKEN",
}

// pipelineKeys are the AWS variables of a pipeline that are, or lead to,
// credentials. The SDK reads other names.
var pipelineKeys = []string{"AWS_ACCESSKEYID", "AWS_SECRETACCESSKEY", "AWS_SESSIONTOKEN", "SYSTEM_ACCESSTOKEN"}

// openParameters are the parameters of a service connection that are no secret,
// in lower case: those of type AWS, and those the agent itself leaves readable.
// Every other is taken for a secret.
// Source: azure-pipelines-agent, src/Agent.Sdk/Util/MaskingUtil.cs.
var openParameters = []string{
	"username", "assumerolearn", "rolesessionname", "externalid", "useoidc",
	"role", "scope", "tenantid", "issuedat", "expiresat", "audience", "authenticationtype", "authorizationtype",
	"accesstokentype", "accesstokenfetchingmethod", "usewindowssecurity", "unsecured", "oauthaccesstokenissupplied",
	"completecallbackpayload", "acceptuntrustedcerts",
}

func secretParameter(key string) bool {
	return !slices.Contains(openParameters, strings.ToLower(key))
}

// pairs walks through an environment, the names in upper case: Windows does not
// tell case apart.
func pairs(environ []string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, entry := range environ {
			if name, value, ok := strings.Cut(entry, "="); ok && !yield(strings.ToUpper(name), value) {
				return
			}
		}
	}
}
