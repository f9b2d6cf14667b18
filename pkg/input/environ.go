// The environment as a whole: what in it must be masked, what of it a child
// process may see, and whether it is what the agent gave to this step. The first
// two work on any environment, before and without [Load].

package input

import (
	"encoding/json"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"ecsdeploy/pkg/mistake"
)

// Secrets lists the values that must never be printed, each once: secret
// variables, the secret parameters of service connections, the job's token,
// tickets of secure files, AWS keys, and the passwords in URLs, as in those of
// proxies and of DOCKER_HOST. Names of roles and users, flags and the
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
		default:
			for _, password := range passwords(value) {
				add(password)
			}
			if name == inputPrefix+"SMOKETEST" {
				for _, secret := range querySecrets(value) {
					add(secret)
				}
			}
		}
	}
	slices.Sort(secrets)
	return secrets
}

// urlPassword finds the password of a URL. It goes up to the last @ before the
// next blank or quote, whatever stands before that: a password that should have
// been percent-encoded, and was not, makes the URL unreadable, and an error would
// show it.
var urlPassword = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#"'<>:@]*:([^\s"'<>]+)@`)

// passwords lists the passwords in the URLs of a value, as they stand and decoded.
func passwords(value string) (list []string) {
	for _, m := range urlPassword.FindAllStringSubmatch(value, -1) {
		password := m[1]
		if port, _, _ := strings.Cut(password, "/"); port != "" && strings.Trim(port, "0123456789") == "" && strings.Contains(password, "/") {
			continue // host:443/path@digest
		}
		list = append(list, password)
		if decoded, err := url.PathUnescape(password); err == nil && decoded != password {
			list = append(list, decoded)
		}
	}
	return list
}

// overridden reports the first public variable whose name in the environment is
// one of those by which the agent hands over what belongs to the step alone. An
// agent before 5.277 sets public variables last, so that a variable named
// INPUT_SERVICES would replace the input services, and ENDPOINT_AUTH_… a service
// connection. Which of the two a value came from cannot be seen.
// Source: azure-pipelines-agent, src/Agent.Worker/Handlers/Handler.cs and
// src/Agent.Sdk/Util/VarUtil.cs, ConvertToEnvVariableFormat.
func overridden(lookup envconfig.Lookuper) error {
	list, ok := lookup.Lookup("VSTS_PUBLIC_VARIABLES")
	if !ok {
		return nil
	}
	const hint = "rename the variable: its name is one by which the agent hands over what belongs to a step"
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil {
		return mistake.New("", hint, "the names of the pipeline's variables cannot be read (VSTS_PUBLIC_VARIABLES), so a variable could replace an input: %v", err)
	}
	for _, name := range names {
		in := strings.ToUpper(strings.NewReplacer(".", "_", " ", "_").Replace(name))
		for _, prefix := range reservedPrefixes {
			if strings.HasPrefix(in, prefix) {
				return mistake.New("", hint, "the pipeline has a variable named %s, which can replace what the step was given (%s)", shown(name), shown(in))
			}
		}
	}
	return nil
}

// reservedPrefixes begin the names by which the agent hands over what belongs to
// the step alone, as far as the task reads it: a public variable may well be named
// Endpoint.Url or SECRET_NAME.
var reservedPrefixes = []string{
	inputPrefix, "ENDPOINT_URL_", endpointAuth, "ENDPOINT_DATA_", "SECUREFILE_", "VSTS_TASKVARIABLE_",
	secretPrefix + "AWS_", secretPrefix + "SYSTEM_", secretPrefix + "AGENT_",
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
