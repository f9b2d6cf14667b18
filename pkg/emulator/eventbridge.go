// Amazon EventBridge as far as rules go that run ECS tasks on a schedule: rules and their targets. Nothing is ever triggered.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/

package emulator

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// EventBridge is the state of EventBridge: the rules of each event bus.
type EventBridge struct {
	*Server
	rules []*rule
}

func newEventBridge(server *Server) *EventBridge {
	b := &EventBridge{Server: server}
	server.handle("AWSEvents", b.service())
	return b
}

type rule struct {
	bus, name string
	doc       object
	targets   []object
}

// maxTargets is how many targets a rule can have.
const maxTargets = 5

func (b *EventBridge) service() *awsService {
	target := structureShape("Target", map[*smithy.Schema][]string{
		textShape: {"Id", "Arn", "RoleArn", "Input", "InputPath"}, ecsParametersShape(): {"EcsParameters"},
		documentShape: {"InputTransformer", "KinesisParameters", "RunCommandParameters", "BatchParameters", "SqsParameters", "HttpParameters", "RedshiftDataParameters",
			"SageMakerPipelineParameters", "DeadLetterConfig", "RetryPolicy", "AppSyncParameters"},
	})
	targets := listShape("TargetList", target)
	failed := listShape("FailedEntries", structureShape("FailedEntry", map[*smithy.Schema][]string{textShape: {"TargetId", "ErrorCode", "ErrorMessage"}}))
	member := []string{"Name", "Arn", "EventPattern", "State", "Description", "ScheduleExpression", "RoleArn", "ManagedBy", "EventBusName"}
	ruleShape := structureShape("Rule", map[*smithy.Schema][]string{textShape: member})
	shape := func(name string, of map[*smithy.Schema][]string) *smithy.Schema { return structureShape(name, of) }
	return &awsService{
		name: "events", unknown: "UnknownOperationException",
		rules: rules{
			required: map[string][]string{
				"PutRuleRequest": {"Name"}, "DescribeRuleRequest": {"Name"}, "ListTargetsByRuleRequest": {"Rule"}, "ListRuleNamesByTargetRequest": {"TargetArn"},
				"PutTargetsRequest": {"Rule", "Targets"}, "RemoveTargetsRequest": {"Rule", "Ids"}, "Target": {"Id", "Arn"}, "EcsParameters": {"TaskDefinitionArn"},
				"AwsVpcConfiguration": {"Subnets"},
			},
			limits: map[string]limit{"TargetList": {min: 1, max: 100}},
		},
		refuse: func(_ string, v violation) error { return apiErrorf("ValidationException", "%s", v.Error()) },
		passed: func(operation string, in object) (roles []string, to string) {
			if operation == "PutTargets" {
				for _, t := range in.objects("Targets") {
					if role := t.str("RoleArn"); role != "" {
						roles = append(roles, role)
					}
				}
			}
			return roles, "events.amazonaws.com"
		},
		resource: func(operation string, in object) string {
			name := cmp.Or(in.str("Rule"), in.str("Name"))
			if name == "" {
				return b.arn("events", "rule/*")
			}
			return b.arn("events", "rule/"+busPath(in)+name)
		},
		operations: map[string]operation{
			"PutRule": {shape("PutRuleRequest", map[*smithy.Schema][]string{textShape: {"Name", "ScheduleExpression", "EventPattern", "State", "Description", "RoleArn", "EventBusName"}, documentShape: {"Tags"}}),
				shape("PutRuleResponse", map[*smithy.Schema][]string{textShape: {"RuleArn"}}), b.putRule},
			"ListRules": {shape("ListRulesRequest", map[*smithy.Schema][]string{textShape: {"NamePrefix", "EventBusName", "NextToken"}, numberShape: {"Limit"}}),
				shape("ListRulesResponse", map[*smithy.Schema][]string{listShape("RuleResponseList", ruleShape): {"Rules"}, textShape: {"NextToken"}}), b.listRules},
			"DescribeRule": {shape("DescribeRuleRequest", map[*smithy.Schema][]string{textShape: {"Name", "EventBusName"}}),
				shape("DescribeRuleResponse", map[*smithy.Schema][]string{textShape: append(member, "CreatedBy")}), b.describeRule},
			"ListTargetsByRule": {shape("ListTargetsByRuleRequest", map[*smithy.Schema][]string{textShape: {"Rule", "EventBusName", "NextToken"}, numberShape: {"Limit"}}),
				shape("ListTargetsByRuleResponse", map[*smithy.Schema][]string{targets: {"Targets"}, textShape: {"NextToken"}}), b.listTargets},
			"ListRuleNamesByTarget": {shape("ListRuleNamesByTargetRequest", map[*smithy.Schema][]string{textShape: {"TargetArn", "EventBusName", "NextToken"}, numberShape: {"Limit"}}),
				shape("ListRuleNamesByTargetResponse", map[*smithy.Schema][]string{textsShape: {"RuleNames"}, textShape: {"NextToken"}}), b.listRuleNames},
			"PutTargets": {shape("PutTargetsRequest", map[*smithy.Schema][]string{textShape: {"Rule", "EventBusName"}, targets: {"Targets"}}),
				shape("PutTargetsResponse", map[*smithy.Schema][]string{numberShape: {"FailedEntryCount"}, failed: {"FailedEntries"}}), b.putTargets},
			"RemoveTargets": {shape("RemoveTargetsRequest", map[*smithy.Schema][]string{textShape: {"Rule", "EventBusName"}, textsShape: {"Ids"}, flagShape: {"Force"}}),
				shape("RemoveTargetsResponse", map[*smithy.Schema][]string{numberShape: {"FailedEntryCount"}, failed: {"FailedEntries"}}), b.removeTargets},
		},
	}
}

// bus is the event bus of a request, by name; its ARN is taken, too.
func bus(in object) string { return nameOf(cmp.Or(in.str("EventBusName"), "default")) }

// busPath is the bus in the ARN of a rule: the default one is not in it.
func busPath(in object) string {
	if b := bus(in); b != "default" {
		return b + "/"
	}
	return ""
}

func (b *EventBridge) find(in object, member string) (*rule, error) {
	for _, r := range b.rules {
		if r.name == in.str(member) && r.bus == bus(in) {
			return r, nil
		}
	}
	return nil, apiErrorf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", in.str(member), bus(in))
}

func (b *EventBridge) putRule(c *call) (object, error) {
	schedule := c.in.str("ScheduleExpression")
	if schedule == "" && !c.in.has("EventPattern") {
		return nil, apiErrorf("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if schedule != "" && !strings.HasPrefix(schedule, "rate(") && !strings.HasPrefix(schedule, "cron(") {
		return nil, apiErrorf("ValidationException", "Parameter ScheduleExpression is not valid.")
	}
	r, err := b.find(c.in, "Name")
	if err != nil {
		r = &rule{bus: bus(c.in), name: c.in.str("Name")}
		b.rules = append(b.rules, r)
	}
	r.doc = copyOf(c.in)
	delete(r.doc, "Tags")
	r.doc.fill("State", "ENABLED")
	r.doc["EventBusName"], r.doc["Arn"] = r.bus, b.arn("events", "rule/"+busPath(c.in)+r.name)
	c.change.Effect = "put"
	return object{"RuleArn": r.doc.str("Arn")}, nil
}

func (b *EventBridge) listRules(c *call) (object, error) {
	var found []object
	for _, r := range b.rules {
		if r.bus == bus(c.in) && strings.HasPrefix(r.name, c.in.str("NamePrefix")) {
			found = append(found, copyOf(r.doc))
		}
	}
	return paged(c, "Rules", found)
}

// paged answers one page of a list, with the names that EventBridge has for that.
func paged[T any](c *call, member string, all []T) (object, error) {
	if n := c.in.number("Limit", 100); n < 1 || n > 100 {
		return nil, apiErrorf("ValidationException", "Limit must be between 1 and 100.")
	}
	in := object{}
	in.put("nextToken", c.in.str("NextToken"))
	in.put("limit", c.in["Limit"])
	page, next, err := paginate(in, all, "limit", 100)
	if err != nil {
		return nil, apiErrorf("ValidationException", "The token is not valid.")
	}
	out := object{member: anys(page)}
	out.put("NextToken", next)
	return out, nil
}

func (b *EventBridge) describeRule(c *call) (object, error) {
	r, err := b.find(c.in, "Name")
	if err != nil {
		return nil, err
	}
	return copyOf(r.doc), nil
}

func (b *EventBridge) listTargets(c *call) (object, error) {
	r, err := b.find(c.in, "Rule")
	if err != nil {
		return nil, err
	}
	return paged(c, "Targets", copiesOf(r.targets))
}

func copiesOf(in []object) []object {
	var out []object
	for _, o := range in {
		out = append(out, copyOf(o))
	}
	return out
}

func (b *EventBridge) listRuleNames(c *call) (object, error) {
	var names []string
	for _, r := range b.rules {
		if r.bus == bus(c.in) && slices.ContainsFunc(r.targets, func(t object) bool { return t.str("Arn") == c.in.str("TargetArn") }) {
			names = append(names, r.name)
		}
	}
	return paged(c, "RuleNames", names)
}

// putTargets adds targets, and replaces those whose id is there already as a whole: what is not sent again is gone.
func (b *EventBridge) putTargets(c *call) (object, error) {
	r, err := b.find(c.in, "Rule")
	if err != nil {
		return nil, err
	}
	if r.doc.has("ManagedBy") {
		return nil, apiErrorf("ManagedRuleException", "This rule was created by an AWS service on behalf of your account.")
	}
	targets := slices.Clone(r.targets)
	for _, t := range c.in.objects("Targets") {
		if t.has("EcsParameters") {
			if !strings.Contains(t.str("Arn"), ":cluster/") {
				return nil, apiErrorf("ValidationException", "Parameter EcsParameters is not valid for the target %s.", t.str("Arn"))
			}
			if t.str("RoleArn") == "" {
				return nil, apiErrorf("ValidationException", "RoleArn is required for target %s.", t.str("Arn"))
			}
			if !strings.Contains(t.object("EcsParameters").str("TaskDefinitionArn"), ":task-definition/") {
				return nil, apiErrorf("ValidationException", "Parameter TaskDefinitionArn is not valid. Reason: Provided Arn is not in correct format.")
			}
		}
		if i := slices.IndexFunc(targets, func(had object) bool { return had.str("Id") == t.str("Id") }); i >= 0 {
			targets[i] = copyOf(t)
		} else {
			targets = append(targets, copyOf(t))
		}
	}
	if len(targets) > maxTargets {
		return nil, apiErrorf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	r.targets = targets
	c.change.Effect = "put"
	return object{"FailedEntryCount": 0, "FailedEntries": []any{}}, nil
}

func (b *EventBridge) removeTargets(c *call) (object, error) {
	r, err := b.find(c.in, "Rule")
	if err != nil {
		return nil, err
	}
	failed := []any{}
	for _, id := range c.in.strings("Ids") {
		before := len(r.targets)
		r.targets = slices.DeleteFunc(r.targets, func(t object) bool { return t.str("Id") == id })
		if len(r.targets) == before {
			failed = append(failed, object{"TargetId": id, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "The target does not exist."})
		}
	}
	return object{"FailedEntryCount": len(failed), "FailedEntries": failed}, nil
}
