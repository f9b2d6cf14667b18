// Package events is Amazon EventBridge as far as rules go that run ECS tasks on a schedule: rules and their targets.
//
// What it does not do: it triggers nothing, and knows no event patterns, archives, pipes or permissions of buses.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/
package events

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/emulator/awsapi"
)

// EventBridge is the state of EventBridge: the rules of each event bus.
type EventBridge struct {
	*awsapi.Server
	buses  []string // beside the default one
	rules  []*rule
	failed []failedEntry
}

// failedEntry is a target that is not taken, although the request for it is.
type failedEntry struct {
	rule, code, message string
	times               int
}

func New(server *awsapi.Server) *EventBridge {
	b := &EventBridge{Server: server}
	server.Handle("AWSEvents", b.service())
	return b
}

type rule struct {
	bus, name string
	doc       awsapi.Object
	targets   []awsapi.Object
}

// maxTargets is how many targets a rule can have.
const maxTargets = 5

func (b *EventBridge) service() *awsapi.Service {
	target := awsapi.StructureShape("Target", map[*smithy.Schema][]string{
		awsapi.TextShape: {"Id", "Arn", "RoleArn", "Input", "InputPath"}, awsapi.ECSParametersShape(): {"EcsParameters"},
		awsapi.DocumentShape: {"InputTransformer", "KinesisParameters", "RunCommandParameters", "BatchParameters", "SqsParameters", "HttpParameters", "RedshiftDataParameters",
			"SageMakerPipelineParameters", "DeadLetterConfig", "RetryPolicy", "AppSyncParameters"},
	})
	targets := awsapi.ListShape("TargetList", target)
	failed := awsapi.ListShape("FailedEntries", awsapi.StructureShape("FailedEntry", map[*smithy.Schema][]string{awsapi.TextShape: {"TargetId", "ErrorCode", "ErrorMessage"}}))
	busShape := awsapi.StructureShape("EventBus", map[*smithy.Schema][]string{awsapi.TextShape: {"Name", "Arn"}})
	member := []string{"Name", "Arn", "EventPattern", "State", "Description", "ScheduleExpression", "RoleArn", "ManagedBy", "EventBusName"}
	ruleShape := awsapi.StructureShape("Rule", map[*smithy.Schema][]string{awsapi.TextShape: member})
	shape := func(name string, of map[*smithy.Schema][]string) *smithy.Schema {
		return awsapi.StructureShape(name, of)
	}
	return &awsapi.Service{
		Name: "events", Unknown: "UnknownOperationException",
		Rules: awsapi.Rules{
			Required: map[string][]string{
				"CreateEventBusRequest": {"Name"}, "PutRuleRequest": {"Name"}, "DescribeRuleRequest": {"Name"}, "ListTargetsByRuleRequest": {"Rule"}, "ListRuleNamesByTargetRequest": {"TargetArn"},
				"PutTargetsRequest": {"Rule", "Targets"}, "RemoveTargetsRequest": {"Rule", "Ids"}, "Target": {"Id", "Arn"}, "EcsParameters": {"TaskDefinitionArn"},
				"AwsVpcConfiguration": {"Subnets"},
			},
			Limits: map[string]awsapi.Limit{"TargetList": {Min: 1, Max: 100}},
		},
		Refuse: func(_ string, v awsapi.Violation) error { return awsapi.Errorf("ValidationException", "%s", v.Error()) },
		Passed: func(operation string, in awsapi.Object) (roles []string, to string) {
			if operation == "PutTargets" {
				for _, t := range in.Objects("Targets") {
					if role := t.Str("RoleArn"); role != "" {
						roles = append(roles, role)
					}
				}
			}
			return roles, "events.amazonaws.com"
		},
		// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
		Resource: func(operation string, in awsapi.Object) string {
			switch operation { // actions that have no resource
			case "ListEventBuses", "ListRules", "ListRuleNamesByTarget":
				return "*"
			case "CreateEventBus":
				return b.ARN("events", "event-bus/"+in.Str("Name"))
			}
			name := cmp.Or(in.Str("Rule"), in.Str("Name"))
			return b.ARN("events", "rule/"+busPath(in)+name)
		},
		Operations: map[string]awsapi.Operation{
			"PutRule": awsapi.Op(shape("PutRuleRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"Name", "ScheduleExpression", "EventPattern", "State", "Description", "RoleArn", "EventBusName"}, awsapi.DocumentShape: {"Tags"}}),
				shape("PutRuleResponse", map[*smithy.Schema][]string{awsapi.TextShape: {"RuleArn"}}), b.putRule),
			"CreateEventBus": awsapi.Op(shape("CreateEventBusRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"Name", "Description"}, awsapi.DocumentShape: {"Tags"}}),
				shape("CreateEventBusResponse", map[*smithy.Schema][]string{awsapi.TextShape: {"EventBusArn"}}), b.createBus),
			"ListEventBuses": awsapi.Op(shape("ListEventBusesRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"NamePrefix", "NextToken"}, awsapi.NumberShape: {"Limit"}}),
				shape("ListEventBusesResponse", map[*smithy.Schema][]string{awsapi.ListShape("EventBusList", busShape): {"EventBuses"}, awsapi.TextShape: {"NextToken"}}), b.listBuses),
			"ListRules": awsapi.Op(shape("ListRulesRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"NamePrefix", "EventBusName", "NextToken"}, awsapi.NumberShape: {"Limit"}}),
				shape("ListRulesResponse", map[*smithy.Schema][]string{awsapi.ListShape("RuleResponseList", ruleShape): {"Rules"}, awsapi.TextShape: {"NextToken"}}), b.listRules),
			"DescribeRule": awsapi.Op(shape("DescribeRuleRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"Name", "EventBusName"}}),
				shape("DescribeRuleResponse", map[*smithy.Schema][]string{awsapi.TextShape: append(member, "CreatedBy")}), b.describeRule),
			"ListTargetsByRule": awsapi.Op(shape("ListTargetsByRuleRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"Rule", "EventBusName", "NextToken"}, awsapi.NumberShape: {"Limit"}}),
				shape("ListTargetsByRuleResponse", map[*smithy.Schema][]string{targets: {"Targets"}, awsapi.TextShape: {"NextToken"}}), b.listTargets),
			"ListRuleNamesByTarget": awsapi.Op(shape("ListRuleNamesByTargetRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"TargetArn", "EventBusName", "NextToken"}, awsapi.NumberShape: {"Limit"}}),
				shape("ListRuleNamesByTargetResponse", map[*smithy.Schema][]string{awsapi.TextsShape: {"RuleNames"}, awsapi.TextShape: {"NextToken"}}), b.listRuleNames),
			"PutTargets": awsapi.Op(shape("PutTargetsRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"Rule", "EventBusName"}, targets: {"Targets"}}),
				shape("PutTargetsResponse", map[*smithy.Schema][]string{awsapi.NumberShape: {"FailedEntryCount"}, failed: {"FailedEntries"}}), b.putTargets),
			"RemoveTargets": awsapi.Op(shape("RemoveTargetsRequest", map[*smithy.Schema][]string{awsapi.TextShape: {"Rule", "EventBusName"}, awsapi.TextsShape: {"Ids"}, awsapi.FlagShape: {"Force"}}),
				shape("RemoveTargetsResponse", map[*smithy.Schema][]string{awsapi.NumberShape: {"FailedEntryCount"}, failed: {"FailedEntries"}}), b.removeTargets),
		},
	}
}

// bus is the event bus of a request, by name; its ARN is taken, too.
func bus(in awsapi.Object) string { return awsapi.NameOf(cmp.Or(in.Str("EventBusName"), "default")) }

// busPath is the bus in the ARN of a rule: the default one is not in it.
func busPath(in awsapi.Object) string {
	if b := bus(in); b != "default" {
		return b + "/"
	}
	return ""
}

func (b *EventBridge) find(in awsapi.Object, member string) (*rule, error) {
	for _, r := range b.rules {
		if r.name == in.Str(member) && r.bus == bus(in) {
			return r, nil
		}
	}
	return nil, awsapi.Errorf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", in.Str(member), bus(in))
}

func (b *EventBridge) createBus(c *awsapi.Invocation) (awsapi.Object, error) {
	name := c.In.Str("Name")
	if name == "default" || slices.Contains(b.buses, name) {
		return nil, awsapi.Errorf("ResourceAlreadyExistsException", "Event bus %s already exists.", name)
	}
	b.buses = append(b.buses, name)
	c.Change.Effect = "put"
	return awsapi.Object{"EventBusArn": b.ARN("events", "event-bus/"+name)}, nil
}

func (b *EventBridge) listBuses(c *awsapi.Invocation) (awsapi.Object, error) {
	var found []awsapi.Object
	for _, name := range append([]string{"default"}, b.buses...) {
		if strings.HasPrefix(name, c.In.Str("NamePrefix")) {
			found = append(found, awsapi.Object{"Name": name, "Arn": b.ARN("events", "event-bus/"+name)})
		}
	}
	return paged(c, "EventBuses", found)
}

// FailEntry has EventBridge take the next requests for targets of a rule and not the targets themselves.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargetsResultEntry.html
func (b *EventBridge) FailEntry(rule, code, message string, times int) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.failed = append(b.failed, failedEntry{rule, code, message, times})
}

func (b *EventBridge) putRule(c *awsapi.Invocation) (awsapi.Object, error) {
	schedule := c.In.Str("ScheduleExpression")
	if name := bus(c.In); name != "default" && !slices.Contains(b.buses, name) {
		return nil, awsapi.Errorf("ResourceNotFoundException", "Event bus %s does not exist.", name)
	}
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
	if schedule != "" && bus(c.In) != "default" {
		return nil, awsapi.Errorf("ValidationException", "ScheduleExpression is supported only on the default event bus.")
	}
	if schedule == "" && !c.In.Has("EventPattern") {
		return nil, awsapi.Errorf("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if schedule != "" && !strings.HasPrefix(schedule, "rate(") && !strings.HasPrefix(schedule, "cron(") {
		return nil, awsapi.Errorf("ValidationException", "Parameter ScheduleExpression is not valid.")
	}
	r, err := b.find(c.In, "Name")
	if err != nil {
		r = &rule{bus: bus(c.In), name: c.In.Str("Name")}
		b.rules = append(b.rules, r)
	}
	r.doc = awsapi.CopyOf(c.In)
	delete(r.doc, "Tags")
	r.doc.Fill("State", "ENABLED")
	r.doc["EventBusName"], r.doc["Arn"] = r.bus, b.ARN("events", "rule/"+busPath(c.In)+r.name)
	c.Change.Effect = "put"
	return awsapi.Object{"RuleArn": r.doc.Str("Arn")}, nil
}

func (b *EventBridge) listRules(c *awsapi.Invocation) (awsapi.Object, error) {
	var found []awsapi.Object
	for _, r := range b.rules {
		if r.bus == bus(c.In) && strings.HasPrefix(r.name, c.In.Str("NamePrefix")) {
			found = append(found, awsapi.CopyOf(r.doc))
		}
	}
	return paged(c, "Rules", found)
}

// paged answers one page of a list, with the names that EventBridge has for that.
func paged[T any](c *awsapi.Invocation, member string, all []T) (awsapi.Object, error) {
	if n := c.In.Number("Limit", 100); n < 1 || n > 100 {
		return nil, awsapi.Errorf("ValidationException", "Limit must be between 1 and 100.")
	}
	in := awsapi.Object{}
	in.Put("nextToken", c.In.Str("NextToken"))
	in.Put("limit", c.In["Limit"])
	page, next, err := awsapi.Paginate(in, all, "limit", 100)
	if err != nil {
		return nil, awsapi.Errorf("ValidationException", "The token is not valid.")
	}
	out := awsapi.Object{member: awsapi.Anys(page)}
	out.Put("NextToken", next)
	return out, nil
}

func (b *EventBridge) describeRule(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := b.find(c.In, "Name")
	if err != nil {
		return nil, err
	}
	return awsapi.CopyOf(r.doc), nil
}

func (b *EventBridge) listTargets(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := b.find(c.In, "Rule")
	if err != nil {
		return nil, err
	}
	return paged(c, "Targets", copiesOf(r.targets))
}

func copiesOf(in []awsapi.Object) []awsapi.Object {
	var out []awsapi.Object
	for _, o := range in {
		out = append(out, awsapi.CopyOf(o))
	}
	return out
}

func (b *EventBridge) listRuleNames(c *awsapi.Invocation) (awsapi.Object, error) {
	var names []string
	for _, r := range b.rules {
		if r.bus == bus(c.In) && slices.ContainsFunc(r.targets, func(t awsapi.Object) bool { return t.Str("Arn") == c.In.Str("TargetArn") }) {
			names = append(names, r.name)
		}
	}
	return paged(c, "RuleNames", names)
}

// putTargets adds targets, and replaces those whose id is there already as a whole: what is not sent again is gone.
func (b *EventBridge) putTargets(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := b.find(c.In, "Rule")
	if err != nil {
		return nil, err
	}
	if r.doc.Has("ManagedBy") {
		return nil, awsapi.Errorf("ManagedRuleException", "This rule was created by an AWS service on behalf of your account.")
	}
	for i := range b.failed {
		f := &b.failed[i]
		if f.rule != r.name || f.times == 0 {
			continue
		}
		f.times--
		entries := []any{}
		for _, t := range c.In.Objects("Targets") {
			entries = append(entries, awsapi.Object{"TargetId": t.Str("Id"), "ErrorCode": f.code, "ErrorMessage": f.message})
		}
		return awsapi.Object{"FailedEntryCount": len(entries), "FailedEntries": entries}, nil
	}
	targets := slices.Clone(r.targets)
	for _, t := range c.In.Objects("Targets") {
		if t.Has("EcsParameters") {
			if !strings.Contains(t.Str("Arn"), ":cluster/") {
				return nil, awsapi.Errorf("ValidationException", "Parameter EcsParameters is not valid for the target %s.", t.Str("Arn"))
			}
			if t.Str("RoleArn") == "" {
				return nil, awsapi.Errorf("ValidationException", "RoleArn is required for target %s.", t.Str("Arn"))
			}
			if !strings.Contains(t.Object("EcsParameters").Str("TaskDefinitionArn"), ":task-definition/") {
				return nil, awsapi.Errorf("ValidationException", "Parameter TaskDefinitionArn is not valid. Reason: Provided Arn is not in correct format.")
			}
		}
		if i := slices.IndexFunc(targets, func(had awsapi.Object) bool { return had.Str("Id") == t.Str("Id") }); i >= 0 {
			targets[i] = awsapi.CopyOf(t)
		} else {
			targets = append(targets, awsapi.CopyOf(t))
		}
	}
	if len(targets) > maxTargets {
		return nil, awsapi.Errorf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	r.targets = targets
	c.Change.Effect = "put"
	return awsapi.Object{"FailedEntryCount": 0, "FailedEntries": []any{}}, nil
}

func (b *EventBridge) removeTargets(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := b.find(c.In, "Rule")
	if err != nil {
		return nil, err
	}
	failed := []any{}
	for _, id := range c.In.Strings("Ids") {
		before := len(r.targets)
		r.targets = slices.DeleteFunc(r.targets, func(t awsapi.Object) bool { return t.Str("Id") == id })
		if len(r.targets) == before {
			failed = append(failed, awsapi.Object{"TargetId": id, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "The target does not exist."})
		}
	}
	return awsapi.Object{"FailedEntryCount": len(failed), "FailedEntries": failed}, nil
}
