// Package account is what an account has beside its containers: roles in IAM, parameters in Systems Manager, secrets in Secrets Manager. Each can be
// asked whether something is there. Everything is, until a test says that the account lacks it.
//
// What it does not do: it keeps no values, gives none out, and nothing in it can be created or changed through its API.
package account

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/iam"
)

// Account is what the account has.
type Account struct {
	*awsapi.Server
	lacks   map[string]bool
	renewed map[string]int    // how many versions came after the first, by the name of a parameter or the ARN of a secret
	paths   map[string]string // of roles, by their names; "/" for those that are not here
}

func New(server *awsapi.Server) *Account {
	a := &Account{Server: server, lacks: map[string]bool{}, renewed: map[string]int{}, paths: map[string]string{}}
	server.HandleQuery(a.iam())
	server.Handle("AmazonSSM", a.ssm())
	server.Handle("secretsmanager", a.secretsManager())
	return a
}

// Lack has the account not have what is named: a role or parameter by its name, a secret by the id it is asked for.
func (a *Account) Lack(names ...string) {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	for _, name := range names {
		a.lacks[name] = true
	}
}

// Renew gives parameters, by their names, and secrets, by their ARNs, a new version.
func (a *Account) Renew(names ...string) {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	for _, name := range names {
		a.renewed[name]++
	}
}

// versionID is the id of a secret's version: each secret has its own.
func versionID(arn string, number int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", arn, number))
	text := hex.EncodeToString(sum[:16])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// Path has a role be under a path, such as /service-role/.
func (a *Account) Path(role, path string) {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	a.paths[role] = path
}

type role struct {
	Path                     string
	RoleName                 string
	Arn                      string
	AssumeRolePolicyDocument string
}

// trust is the policy by which tasks may assume a role.
const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// roleARN is called with the lock held.
func (a *Account) roleARN(name string) string {
	return "arn:aws:iam::" + a.Server.Account() + ":role" + cmp.Or(a.paths[name], "/") + name
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func (a *Account) iam() *awsapi.QueryService {
	return &awsapi.QueryService{
		Name: "iam", Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		Resource: func(form url.Values) string {
			a.Mu.Lock()
			defer a.Mu.Unlock()
			return cmp.Or(form.Get("PolicySourceArn"), a.roleARN(form.Get("RoleName")))
		},
		Operations: map[string]func(*http.Request, url.Values) (any, error){
			"GetRole": func(_ *http.Request, form url.Values) (any, error) {
				name := form.Get("RoleName")
				a.Mu.Lock()
				defer a.Mu.Unlock()
				if a.lacks[name] {
					return nil, awsapi.Answer(http.StatusNotFound, "NoSuchEntity", "The role with name "+name+" cannot be found.")
				}
				return struct{ Role role }{role{cmp.Or(a.paths[name], "/"), name, a.roleARN(name), url.QueryEscape(trust)}}, nil
			},
			"SimulatePrincipalPolicy": func(_ *http.Request, form url.Values) (any, error) { return a.simulate(form) },
		},
	}
}

// evaluation is about one action: the strictest decision, and that on each resource.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
type evaluation struct {
	EvalActionName, EvalResourceName, EvalDecision string
	Missing                                        []string       `xml:"MissingContextValues>member,omitempty"`
	Each                                           []resourceOnly `xml:"ResourceSpecificResults>member,omitempty"`
}

type resourceOnly struct {
	EvalResourceName, EvalResourceDecision string
	Missing                                []string `xml:"MissingContextValues>member,omitempty"`
}

type simulation struct {
	Results []evaluation `xml:"EvaluationResults>member"`
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (a *Account) simulate(form url.Values) (any, error) {
	source := form.Get("PolicySourceArn")
	if _, path, is := strings.Cut(source, ":role"); is {
		name := path[strings.LastIndex(path, "/")+1:]
		a.Mu.Lock()
		known := a.roleARN(name) == source && !a.lacks[name]
		a.Mu.Unlock()
		if !known {
			return nil, awsapi.Answer(http.StatusNotFound, "NoSuchEntity", "Entity "+source+" does not exist.")
		}
		source = "arn:aws:iam::" + a.Server.Account() + ":role/" + name // policies belong to the name
	}
	context := map[string][]string{}
	for i := 1; ; i++ {
		entry := fmt.Sprintf("ContextEntries.member.%d.", i)
		name := form.Get(entry + "ContextKeyName")
		if name == "" {
			break
		}
		context[name] = awsapi.Members(form, entry+"ContextKeyValues")
	}
	var out simulation
	for _, action := range awsapi.Members(form, "ActionNames") {
		all := evaluation{EvalActionName: action, EvalResourceName: "*", EvalDecision: "allowed"}
		for _, resource := range awsapi.Members(form, "ResourceArns") {
			one := resourceOnly{EvalResourceName: resource, EvalResourceDecision: "allowed"}
			request := iam.Request{Action: action, Resource: resource, Context: context}
			if a.Authorize(source, []iam.Request{request}) != nil {
				one.EvalResourceDecision, all.EvalDecision = "implicitDeny", "implicitDeny"
			}
			one.Missing = a.Lacking(source, request)
			all.Missing = append(all.Missing, one.Missing...)
			all.Each = append(all.Each, one)
		}
		out.Results = append(out.Results, all)
	}
	return out, nil
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html
func (a *Account) ssm() *awsapi.Service {
	filter := awsapi.StructureShape("ParameterStringFilter", map[*smithy.Schema][]string{awsapi.TextShape: {"Key", "Option"}, awsapi.TextsShape: {"Values"}})
	in := awsapi.StructureShape("DescribeParametersRequest", map[*smithy.Schema][]string{awsapi.ListShape("ParameterStringFilterList", filter): {"ParameterFilters"}, awsapi.NumberShape: {"MaxResults"}, awsapi.TextShape: {"NextToken"}})
	found := awsapi.ListShape("ParameterMetadataList", awsapi.StructureShape("ParameterMetadata", map[*smithy.Schema][]string{awsapi.TextShape: {"Name", "Type"}, awsapi.NumberShape: {"Version"}}))
	return &awsapi.Service{
		Name: "ssm", Unknown: "UnknownOperationException", Refuse: refuse,
		Resource: func(string, awsapi.Object) string { return "*" }, // takes no resource in IAM
		Operations: map[string]awsapi.Operation{"DescribeParameters": awsapi.Op(in, awsapi.StructureShape("DescribeParametersResult", map[*smithy.Schema][]string{found: {"Parameters"}}),
			func(c *awsapi.Invocation) (awsapi.Object, error) {
				if n := c.In.Number("MaxResults", 10); n < 1 || n > 50 {
					return nil, awsapi.Errorf("ValidationException", "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 50", n)
				}
				parameters := []any{}
				for _, f := range c.In.Objects("ParameterFilters") {
					for _, v := range f["Values"].([]any) {
						// The shorter name of one level is the one that exists.
						if name := v.(string); !a.lacks[name] && (!strings.HasPrefix(name, "/") || strings.Count(name, "/") > 1) {
							parameters = append(parameters, awsapi.Object{"Name": name, "Type": "SecureString", "Version": 1 + a.renewed[name]})
						}
					}
				}
				return awsapi.Object{"Parameters": parameters}, nil
			})},
	}
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func (a *Account) secretsManager() *awsapi.Service {
	in := awsapi.StructureShape("DescribeSecretRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"SecretId"}})
	out := awsapi.StructureShape("DescribeSecretResponse", map[*smithy.Schema][]string{awsapi.TextShape: {"ARN", "Name"}, awsapi.DocumentShape: {"VersionIdsToStages"}})
	return &awsapi.Service{
		Name: "secretsmanager", Unknown: "UnknownOperationException", Refuse: refuse,
		Rules:    awsapi.Rules{Required: map[string][]string{"DescribeSecretRequest": {"SecretId"}}},
		Resource: func(_ string, in awsapi.Object) string { return in.Str("SecretId") },
		Operations: map[string]awsapi.Operation{"DescribeSecret": awsapi.Op(in, out, func(c *awsapi.Invocation) (awsapi.Object, error) {
			id := c.In.Str("SecretId")
			if a.lacks[id] {
				return nil, awsapi.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
			}
			versions, now := awsapi.Object{}, a.renewed[id]
			if versions[versionID(id, now)] = []any{"AWSCURRENT"}; now > 0 {
				versions[versionID(id, now-1)] = []any{"AWSPREVIOUS"}
			}
			return awsapi.Object{"ARN": id, "Name": id[strings.LastIndex(id, ":")+1:], "VersionIdsToStages": versions}, nil
		})},
	}
}

func refuse(_ string, v awsapi.Violation) error {
	return awsapi.Errorf("ValidationException", "%s", v.Error())
}
