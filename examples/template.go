package examples

// CloudFormation templates: a resource's properties with their functions
// worked out. The names of properties are those of the API's members but for
// case, to which encoding/json is blind, so that they decode into requests.

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

type template struct {
	account, region string
	resources       map[string]resource
}

type resource struct {
	Type       string
	Properties map[string]any
}

func parseTemplate(text []byte, account, region string) (*template, error) {
	var document struct{ Resources map[string]resource }
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return &template{account, region, document.Resources}, nil
}

// decode finds the one resource of a type and writes its properties to into. A
// property that into does not know is an error.
func (t *template) decode(typ string, into any) error {
	var found []string
	for name, r := range t.resources {
		if r.Type == typ {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("template: %d resources of type %s, want one", len(found), typ)
	}
	properties, err := t.value(t.resources[found[0]].Properties)
	if err != nil {
		return fmt.Errorf("template: %s: %w", found[0], err)
	}
	text, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("template: %s: %w", found[0], err)
	}
	return nil
}

// value works out the functions in v:
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
func (t *template) value(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			var err error
			if list[i], err = t.value(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					result, err := t.call(name, argument)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", name, err)
					}
					return result, nil
				}
			}
		}
		object := make(map[string]any, len(v))
		for name, member := range v {
			var err error
			if object[name], err = t.value(member); err != nil {
				return nil, err
			}
		}
		return object, nil
	default:
		return v, nil
	}
}

var errArgument = errors.New("its argument has another form than this package knows")

func (t *template) call(function string, argument any) (any, error) {
	switch function {
	case "Ref":
		name, ok := argument.(string)
		if !ok {
			return nil, errArgument
		}
		return t.ref(name)
	case "Fn::GetAtt":
		list, ok := argument.([]any)
		if !ok || len(list) != 2 {
			return nil, errArgument
		}
		name, isName := list[0].(string)
		attribute, isAttribute := list[1].(string)
		if !isName || !isAttribute {
			return nil, errArgument
		}
		return t.attribute(name, attribute)
	case "Fn::Join":
		list, ok := argument.([]any)
		if !ok || len(list) != 2 {
			return nil, errArgument
		}
		separator, isText := list[0].(string)
		items, err := t.value(list[1])
		if err != nil {
			return nil, err
		}
		parts, isList := items.([]any)
		if !isText || !isList {
			return nil, errArgument
		}
		texts := make([]string, len(parts))
		for i, part := range parts {
			texts[i] = fmt.Sprint(part)
		}
		return strings.Join(texts, separator), nil
	default:
		return nil, errors.New("this package does not know the function")
	}
}

// ref is the value of a pseudo parameter, or what identifies a resource: its
// name where it has one, else an id that is made from its name in the template.
func (t *template) ref(name string) (string, error) {
	switch name {
	case "AWS::AccountId":
		return t.account, nil
	case "AWS::Region":
		return t.region, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	}
	r := t.resources[name]
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	switch r.Type {
	case "AWS::ECS::Cluster":
		return t.name(r, "ClusterName")
	case "AWS::ECS::TaskDefinition":
		return t.name(r, "Family")
	case "AWS::IAM::Role":
		return t.name(r, "RoleName")
	case "AWS::Logs::LogGroup":
		return t.name(r, "LogGroupName")
	case "AWS::EC2::Subnet":
		return "subnet-" + id[:17], nil
	case "AWS::EC2::SecurityGroup":
		return "sg-" + id[:17], nil
	case "AWS::ElasticLoadBalancingV2::TargetGroup":
		return t.arn("elasticloadbalancing", t.region, "targetgroup/"+id[:10]+"/"+id[:16]), nil
	}
	return "", fmt.Errorf("this package does not know how %s, of type %q, is identified", name, r.Type)
}

func (t *template) attribute(name, attribute string) (string, error) {
	id, err := t.ref(name)
	if err != nil {
		return "", err
	}
	switch typ := t.resources[name].Type; typ + "." + attribute {
	case "AWS::EC2::SecurityGroup.GroupId":
		return id, nil
	case "AWS::ECS::Cluster.Arn":
		return t.arn("ecs", t.region, "cluster/"+id), nil
	case "AWS::IAM::Role.Arn":
		return t.arn("iam", "", "role/"+id), nil
	default:
		return "", fmt.Errorf("this package does not know the attribute %s of %s", attribute, typ)
	}
}

func (t *template) name(r resource, property string) (string, error) {
	value, err := t.value(r.Properties[property])
	if err != nil {
		return "", err
	}
	name, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("a resource of type %s has no %s", r.Type, property)
	}
	return name, nil
}

func (t *template) arn(service, region, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + t.account + ":" + resource
}
