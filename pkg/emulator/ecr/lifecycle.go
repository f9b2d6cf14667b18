// Lifecycle policies: kept, checked and given out. They are not carried out: no image expires here.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html

package ecr

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"ecsdeploy/pkg/emulator/awsapi"
)

type lifecycleRule struct {
	RulePriority *int   `json:"rulePriority"`
	Description  string `json:"description"`
	Selection    struct {
		TagStatus      string   `json:"tagStatus"`
		TagPatternList []string `json:"tagPatternList"`
		TagPrefixList  []string `json:"tagPrefixList"`
		StorageClass   string   `json:"storageClass"`
		CountType      string   `json:"countType"`
		CountUnit      string   `json:"countUnit"`
		CountNumber    int      `json:"countNumber"`
	} `json:"selection"`
	Action struct {
		Type               string `json:"type"`
		TargetStorageClass string `json:"targetStorageClass"`
	} `json:"action"`
}

// invalid is why ECR would not take a rule; "" is that it would.
func (r lifecycleRule) invalid() string {
	s := r.Selection
	byAge := slices.Contains([]string{"sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"}, s.CountType)
	switch {
	case r.RulePriority == nil || *r.RulePriority < 1:
		return "rulePriority must be a positive integer"
	case !slices.Contains([]string{"tagged", "untagged", "any"}, s.TagStatus):
		return "tagStatus must be tagged, untagged or any"
	case s.TagStatus == "tagged" && len(s.TagPatternList)+len(s.TagPrefixList) == 0:
		return "tagged needs a tagPatternList or a tagPrefixList"
	case slices.ContainsFunc(s.TagPatternList, func(pattern string) bool { return strings.Count(pattern, "*") > 4 }):
		return "a pattern has more than four wildcards"
	case s.TagStatus != "tagged" && len(s.TagPatternList)+len(s.TagPrefixList) > 0:
		return "a list of tags is for tagged only"
	case !byAge && s.CountType != "imageCountMoreThan":
		return "countType is not known"
	case byAge != (s.CountUnit == "days") || !byAge && s.CountUnit != "":
		return "countUnit must be days, with and only with a countType of days"
	case s.CountNumber < 1:
		return "countNumber must be a positive integer"
	case !slices.Contains([]string{"", "standard", "archive"}, s.StorageClass):
		return "storageClass must be standard or archive"
	case (s.CountType == "sinceImageTransitioned") != (s.StorageClass == "archive"):
		return "storageClass archive is for, and only for, countType sinceImageTransitioned"
	case r.Action.Type != "expire" && r.Action.Type != "transition" || (r.Action.Type == "transition") != (r.Action.TargetStorageClass == "archive"):
		return "action is not known"
	}
	return ""
}

func (e *ECR) putLifecyclePolicy(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	refuse := func(why string) (awsapi.Object, error) {
		return nil, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: %s'", why)
	}
	var policy struct {
		Rules []lifecycleRule `json:"rules"`
	}
	text := c.In.Str("lifecyclePolicyText")
	if err := json.Unmarshal([]byte(text), &policy); err != nil || len(policy.Rules) == 0 || len(policy.Rules) > 50 {
		return refuse("the policy must have 1 to 50 rules")
	}
	for _, rule := range policy.Rules {
		if why := rule.invalid(); why != "" {
			return refuse(why)
		}
	}
	slices.SortFunc(policy.Rules, func(a, b lifecycleRule) int { return cmp.Compare(*a.RulePriority, *b.RulePriority) })
	for i, rule := range policy.Rules[1:] {
		if *rule.RulePriority == *policy.Rules[i].RulePriority {
			return refuse("rulePriority must be unique")
		}
		if policy.Rules[i].Selection.TagStatus == "any" {
			return refuse("a rule with tagStatus any must have the highest rulePriority")
		}
	}
	r.lifecycle = text
	return awsapi.Object{"registryId": e.Account(), "repositoryName": r.name, "lifecyclePolicyText": text}, nil
}

func (e *ECR) getLifecyclePolicy(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	if r.lifecycle == "" {
		return nil, awsapi.Errorf("LifecyclePolicyNotFoundException", "Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.name, e.Account())
	}
	return awsapi.Object{"registryId": e.Account(), "repositoryName": r.name, "lifecyclePolicyText": r.lifecycle}, nil
}
