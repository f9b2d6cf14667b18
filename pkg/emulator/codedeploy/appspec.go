// AppSpec files for Amazon ECS: what a deployment of CodeDeploy is to bring, in YAML or JSON.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html#reference-appspec-file-structure-resources-ecs
// https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html#appspec-hooks-ecs

package codedeploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecs"
)

// lifecycleEvents are the events of a deployment to ECS, in their order; those that begin or end with a word of time are hooks.
var lifecycleEvents = []string{"BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"}

var lifecycleHooks = []string{"BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"}

// appSpec is what an AppSpec file says.
type appSpec struct {
	TaskDefinition, Container string
	Port                      int
	settings                  awsapi.Object     // of the service, where it has some of its own
	hooks                     map[string]string // event → function
}

// readRevision reads the AppSpec file that a revision holds.
func readRevision(revision awsapi.Object) (appSpec, error) {
	invalid := func(format string, args ...any) (appSpec, error) {
		return appSpec{}, awsapi.Errorf("InvalidRevisionException", format, args...)
	}
	typ, holder := held(revision)
	content := holder.Str("content")
	switch {
	case typ == "":
		return invalid("Revision type must be specified")
	case revisionMember(typ) == "":
		return invalid("The emulator reads revisions of the types AppSpecContent and String, not %s", typ)
	case content == "":
		return invalid("The revision's content must not be empty")
	case digestIn(holder) != Sha256Of(content):
		return invalid("The SHA256 of the revision's content does not match the one specified")
	}
	spec, problem := ParseAppSpec(content)
	if problem != "" {
		return invalid("The AppSpec file is not valid: %s", problem)
	}
	return spec, nil
}

var errNoRevision = awsapi.Errorf("RevisionRequiredException", "RevisionLocation must be specified")

// revisionMember is the member of a revision that holds an AppSpec file; "" for a type that holds none.
func revisionMember(typ string) string {
	switch typ {
	case "AppSpecContent":
		return "appSpecContent"
	case "String":
		return "string"
	}
	return ""
}

// held is the type of a revision, and the member with its AppSpec file or that file's digest.
func held(revision awsapi.Object) (typ string, holder awsapi.Object) {
	typ = revision.Str("revisionType")
	if member := revisionMember(typ); member != "" {
		holder = revision.Object(member)
	}
	return typ, holder
}

// digestIn is the digest that a revision's member gives, or that of its content.
func digestIn(holder awsapi.Object) string {
	if holder.Has("sha256") {
		return holder.Str("sha256")
	}
	return Sha256Of(holder.Str("content"))
}

// Sha256Of is the digest of a content as CodeDeploy writes it: in hexadecimal, and nothing else.
func Sha256Of(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// location is a revision as deployments and their groups show it: its content is asked for by its digest, with GetApplicationRevision.
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_GetDeployment.html
func location(revision awsapi.Object) awsapi.Object {
	typ, holder := held(revision)
	if holder == nil {
		return nil
	}
	return awsapi.Object{"revisionType": typ, revisionMember(typ): awsapi.Object{"sha256": digestIn(holder)}}
}

// keep stores the AppSpec file of a deployment with the application.
func (a *application) keep(revision awsapi.Object, now time.Time) {
	typ, holder := held(revision)
	digest := digestIn(holder)
	for _, r := range a.revisions {
		if r.typ == typ && r.digest == digest {
			r.used = now
			return
		}
	}
	a.revisions = append(a.revisions, &storedRevision{typ, digest, holder.Str("content"), now, now})
}

// ParseAppSpec reads an AppSpec file, and says what is wrong with it.
func ParseAppSpec(content string) (spec appSpec, problem string) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(content), &root); err != nil {
		return spec, err.Error()
	}
	var plain any
	if err := root.Decode(&plain); err != nil {
		return spec, err.Error()
	}
	data, err := json.Marshal(plain)
	if err != nil {
		return spec, err.Error()
	}
	doc, err := awsapi.ParseObject(data)
	if err != nil {
		return spec, "it is " + err.Error()
	}
	members := awsapi.Object{}
	for k, v := range doc { // "Resources" in YAML files, "resources" in older JSON ones
		members[strings.ToLower(k)] = v
	}
	if p := unknownIn(members, "the file", "version", "resources", "hooks"); p != "" {
		return spec, p
	}
	if !isVersion(members["version"]) {
		return spec, "the version must be 0.0"
	}
	resources := members.Objects("resources")
	if len(resources) != 1 || resources[0].Object("TargetService") == nil {
		return spec, "Resources must be a list of one TargetService"
	}
	target := resources[0].Object("TargetService")
	if target.Str("Type") != "AWS::ECS::Service" {
		return spec, "the TargetService's Type must be AWS::ECS::Service"
	}
	properties := target.Object("Properties")
	if p := unknownIn(properties, "Properties", "TaskDefinition", "LoadBalancerInfo", "PlatformVersion", "NetworkConfiguration", "CapacityProviderStrategy"); p != "" {
		return spec, p
	}
	balancer := properties.Object("LoadBalancerInfo")
	if p := unknownIn(balancer, "LoadBalancerInfo", "ContainerName", "ContainerPort"); p != "" {
		return spec, p
	}
	spec = appSpec{TaskDefinition: properties.Str("TaskDefinition"), Container: balancer.Str("ContainerName"), Port: balancer.Number("ContainerPort", 0), settings: awsapi.Object{}, hooks: map[string]string{}}
	switch {
	case spec.TaskDefinition == "":
		return spec, "TaskDefinition is missing"
	case spec.Container == "" || spec.Port == 0:
		return spec, "LoadBalancerInfo must have ContainerName and ContainerPort"
	}
	spec.settings.Put("platformVersion", properties.Str("PlatformVersion"))
	if n := properties.Object("NetworkConfiguration").Object("AwsvpcConfiguration"); n != nil {
		spec.settings["networkConfiguration"] = awsapi.Object{"awsvpcConfiguration": lowered(n)}
	}
	if strategy := properties.Objects("CapacityProviderStrategy"); strategy != nil {
		var items []any
		for _, item := range strategy {
			items = append(items, lowered(item))
		}
		spec.settings["capacityProviderStrategy"] = items
	}
	for _, h := range members.Objects("hooks") {
		for event, function := range h {
			name, ok := function.(string)
			if !slices.Contains(lifecycleHooks, event) || !ok {
				return spec, "there is no hook " + event + " of the name of a function"
			}
			spec.hooks[event] = name
		}
	}
	return spec, ""
}

func isVersion(v any) bool {
	if n, ok := v.(json.Number); ok {
		return ecs.Decimal(n) == 0
	}
	return v == "0.0"
}

func unknownIn(o awsapi.Object, where string, known ...string) string {
	for k := range o {
		if !slices.Contains(known, k) {
			return where + " has the unknown member " + k
		}
	}
	return ""
}

// lowered gives members the spelling of the ECS API: Subnets → subnets.
func lowered(o awsapi.Object) awsapi.Object {
	out := awsapi.Object{}
	for k, v := range o {
		out[strings.ToLower(k[:1])+k[1:]] = v
	}
	return out
}
