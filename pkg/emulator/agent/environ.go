package agent

// The environment that a Node handler starts with (Agent.Worker/Handlers/Handler.cs, Agent.Worker/TaskRunner.cs).

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Endpoint is a service connection. A task sees it when one of its connectedService inputs names it.
type Endpoint struct {
	ID         string // a GUID
	Name       string // as in the YAML file
	Type       string // "AWS"; must be that of the input
	URL        string
	Scheme     string            // "UsernamePassword" for type AWS
	Parameters map[string]string // authorization parameters; nearly all of them are secrets
	Data       map[string]string
}

// environment is what the process gets, and what the rest of the step has to know about it.
type environment struct {
	values  map[string]string // of the process
	public  map[string]string // those of values that come from public variables
	masks   []string          // values to be masked from the first line on
	system  map[string]bool   // lower-case names of the variables that the agent itself has set
	lookup  string            // VSTS_PROCESS_LOOKUP_ID
	debug   bool              // System.Debug
	locked  bool              // agent.readOnlyVariables: what the agent set cannot be overwritten
	strange []string          // for Result.Warnings
}

// list is the environment in the form of os/exec.
func (e *environment) list() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		list = append(list, name+"="+e.values[name])
	}
	return list
}

// inherited names what the task may see of the surrounding machine. A real agent hands on its whole environment;
// a stand-in on a developer's machine must not hand that developer's credentials to the task.
var inherited = []string{
	"PATH", "HOME", "USER", "LANG", "TMPDIR", "TEMP", "TMP", "USERPROFILE", "SystemRoot", "windir", "ComSpec", "PATHEXT",
}

func (j Job) environment(task definition, dirs directories) (*environment, error) {
	e := &environment{values: map[string]string{}, public: map[string]string{}, system: map[string]bool{}, lookup: "vsts_" + rand.Text()}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			e.values[name] = value
		}
	}
	for _, pair := range j.Environ {
		name, value, _ := strings.Cut(pair, "=")
		e.values[name] = value
	}
	machine := maps.Clone(e.values)

	public := j.predefined(task, dirs)
	public["VSTS_PROCESS_LOOKUP_ID"] = e.lookup
	for name := range public {
		e.system[strings.ToLower(name)] = true
	}
	override(public, j.Variables)
	secret := maps.Clone(j.Secrets)
	if j.HostType == HostBuild { // a classic stage has it only where "allow scripts to access the token" is ticked
		if secret == nil {
			secret = map[string]string{}
		}
		secret["system.accessToken"] = j.Token
	} else if j.PublicToken {
		public["System.AccessToken"] = j.Token
	}
	variables := e.addVariables(public, secret)

	inputs, used, err := j.resolveInputs(task, variables, machine, dirs)
	if err != nil {
		return nil, err
	}
	for name, value := range inputs {
		e.values["INPUT_"+envName(name)] = value
		if _, declared := task.input(name); !declared {
			e.strange = append(e.strange, fmt.Sprintf("input %q is not declared in task.json", name))
		}
	}
	for _, endpoint := range used {
		e.addEndpoint(strings.ToLower(endpoint.ID), endpoint)
	}
	system := Endpoint{URL: j.CollectionURL, Scheme: "OAuth", Parameters: map[string]string{"AccessToken": j.Token}}
	e.addEndpoint("SYSTEMVSSCONNECTION", system)
	for _, endpoint := range append(slices.Clone(j.Endpoints), system) {
		e.maskEndpoint(endpoint) // every connection of the job is masked, used or not
	}
	e.values["TF_BUILD"] = "True"
	if j.PublicLast {
		maps.Copy(e.values, e.public)
	}
	return e, nil
}

// addVariables sets the pipeline variables and returns them all, expanded, by name. Names ignore case.
func (e *environment) addVariables(public, secret map[string]string) map[string]string {
	all := maps.Clone(public)
	override(all, secret)
	isSecret := map[string]bool{}
	for name := range secret {
		isSecret[strings.ToLower(name)] = true
	}
	all, problems := expandVariables(all, isSecret) // what contains a secret becomes one
	e.strange = append(e.strange, problems...)
	publicNames, secretNames := []string{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := all[name]
		if isSecret[strings.ToLower(name)] {
			e.values["SECRET_"+envName(name)] = value
			secretNames = append(secretNames, name)
			e.maskVariable(value)
			continue
		}
		e.public[envName(name)] = value
		publicNames = append(publicNames, name)
		switch strings.ToLower(name) {
		case "agent.jobstatus":
			e.public[name] = value // under both spellings
		case "system.debug":
			e.debug = strings.EqualFold(value, "true")
		case "agent.readonlyvariables":
			e.locked = strings.EqualFold(value, "true")
		}
	}
	maps.Copy(e.values, e.public)
	e.values["VSTS_PUBLIC_VARIABLES"] = toJSON(publicNames)
	e.values["VSTS_SECRET_VARIABLES"] = toJSON(secretNames)
	return all
}

// resolveInputs merges defaults and given inputs, trims and expands them, and finds the service connections they name.
func (j Job) resolveInputs(task definition, variables, machine map[string]string, dirs directories) (map[string]string, []Endpoint, error) {
	inputs := map[string]string{}
	for _, in := range task.Inputs {
		inputs[in.Name] = strings.TrimSpace(in.DefaultValue)
	}
	// Which of two names of one input counts is not documented: no step should depend on it.
	given := map[string]string{} // under which name
	for _, name := range slices.Sorted(maps.Keys(j.Inputs)) {
		own := name
		if in, ok := task.input(name); ok {
			own = in.Name
		}
		if other, twice := given[own]; twice {
			return nil, nil, fmt.Errorf("the step has input %s twice, as %s and as %s", own, other, name)
		}
		given[own], inputs[own] = name, strings.TrimSpace(j.Inputs[name])
	}
	var used []Endpoint
	for name, value := range inputs {
		value = expandMachine(expand(value, variables), machine)
		in, _ := task.input(name)
		if kind, ok := strings.CutPrefix(in.Type, "connectedService:"); ok && value != "" {
			endpoint, err := j.endpoint(value, kind)
			if err != nil {
				return nil, nil, fmt.Errorf("input %s: %w", name, err)
			}
			value = strings.ToLower(endpoint.ID)
			used = append(used, endpoint)
		}
		if in.Type == "filePath" && !filepath.IsAbs(value) {
			value = filepath.Join(dirs.working, value) // so that an empty path cannot be told from the root
		}
		inputs[name] = value
	}
	return inputs, used, nil
}

// endpoint finds a connection by name or id, as the server does when it compiles the pipeline.
func (j Job) endpoint(nameOrID, kind string) (Endpoint, error) {
	var names []string
	for _, endpoint := range j.Endpoints {
		if endpoint.Type == kind && (endpoint.Name == nameOrID || strings.EqualFold(endpoint.ID, nameOrID)) {
			return endpoint, nil
		}
		names = append(names, fmt.Sprintf("%s (%s)", endpoint.Name, endpoint.Type))
	}
	return Endpoint{}, fmt.Errorf("the pipeline has no service connection %q of type %s, only %q", nameOrID, kind, names)
}

func (e *environment) addEndpoint(key string, endpoint Endpoint) {
	type authorization struct {
		Parameters map[string]string `json:"parameters"`
		Scheme     string            `json:"scheme"`
	}
	e.values["ENDPOINT_URL_"+key] = endpoint.URL
	e.values["ENDPOINT_AUTH_"+key] = toJSON(authorization{endpoint.Parameters, endpoint.Scheme})
	e.values["ENDPOINT_AUTH_SCHEME_"+key] = endpoint.Scheme
	for name, value := range endpoint.Parameters {
		e.values["ENDPOINT_AUTH_PARAMETER_"+key+"_"+envName(name)] = value
	}
	if endpoint.ID == "" {
		return
	}
	e.values["ENDPOINT_DATA_"+key] = toJSON(endpoint.Data)
	for name, value := range endpoint.Data {
		e.values["ENDPOINT_DATA_"+key+"_"+envName(name)] = value
	}
}

// maskVariable registers a secret variable in the spellings that Agent.Worker/Worker.cs masks.
func (e *environment) maskVariable(value string) {
	if strings.TrimSpace(value) == "" {
		return
	}
	escape := strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A")
	lines := strings.NewReplacer("\r", "%0D", "\n", "%0A")
	encoded := base64.StdEncoding.EncodeToString([]byte(value))
	e.masks = append(e.masks, value, escape.Replace(value), lines.Replace(value), encoded, strings.Trim(value, "\r\n "))
}

// openParameters are the only authorization parameters that are not masked (Agent.Sdk/Util/MaskingUtil.cs). So a role's
// ARN, an external id, and even the word "true" of useOIDC become *** wherever they stand in the log.
var openParameters = []string{
	"role", "scope", "tenantid", "issuedat", "expiresat", "audience", "authenticationtype", "authorizationtype",
	"accesstokentype", "accesstokenfetchingmethod", "usewindowssecurity", "unsecured", "oauthaccesstokenissupplied",
	"completecallbackpayload", "acceptuntrustedcerts",
}

func (e *environment) maskEndpoint(endpoint Endpoint) {
	for name, value := range endpoint.Parameters {
		if value != "" && !slices.Contains(openParameters, strings.ToLower(name)) {
			e.masks = append(e.masks, value)
		}
	}
}

// envName is VarUtil.ConvertToEnvVariableFormat: dots and spaces become underscores, dashes stay.
func envName(name string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", " ", "_").Replace(name))
}

// override sets values in a map whose names ignore case.
func override(all, values map[string]string) {
	for name, value := range values {
		maps.DeleteFunc(all, func(old, _ string) bool { return strings.EqualFold(old, name) })
		all[name] = value
	}
}

func toJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings in maps and slices always encode
	}
	return string(data)
}
