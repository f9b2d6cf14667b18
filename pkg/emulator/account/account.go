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
	renewed map[string]int // how many versions came after the first, by the name of a parameter or the ARN of a secret
}

func New(server *awsapi.Server) *Account {
	a := &Account{Server: server, lacks: map[string]bool{}, renewed: map[string]int{}}
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

type role struct {
	Path                     string
	RoleName                 string
	Arn                      string
	AssumeRolePolicyDocument string
}

// trust is the policy by which tasks may assume a role.
const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func (a *Account) roleARN(name string) string {
	return "arn:aws:iam::" + a.Server.Account() + ":role/" + name
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func (a *Account) iam() *awsapi.QueryService {
	return &awsapi.QueryService{
		Name: "iam", Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		Resource: func(form url.Values) string {
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
				return struct{ Role role }{role{"/", name, a.roleARN(name), url.QueryEscape(trust)}}, nil
			},
			"SimulatePrincipalPolicy": func(_ *http.Request, form url.Values) (any, error) { return a.simulate(form), nil },
		},
	}
}

type evaluation struct{ EvalActionName, EvalResourceName, EvalDecision string }

type simulation struct {
	Results []evaluation `xml:"EvaluationResults>member"`
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (a *Account) simulate(form url.Values) simulation {
	context := map[string][]string{"aws:RequestedRegion": {a.Region()}}
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
		for _, resource := range awsapi.Members(form, "ResourceArns") {
			decision := "allowed"
			if a.Authorize(form.Get("PolicySourceArn"), []iam.Request{{Action: action, Resource: resource, Context: context}}) != nil {
				decision = "implicitDeny"
			}
			out.Results = append(out.Results, evaluation{action, resource, decision})
		}
	}
	return out
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
