package ecr

// Lifecycle policies: which images of a repository one expires or archives, and when.
// The evaluation is pure; it follows the rules that the user guide lists.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/mistake"
)

// LifecyclePolicy is the policy of a repository; the zero value has no rules.
type LifecyclePolicy struct{ Rules []LifecycleRule }

// LifecycleRule is one rule, its members as the policy's JSON has them.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
type LifecycleRule struct {
	RulePriority int
	Description  string
	Selection    struct {
		TagStatus      string // tagged, untagged, any
		TagPatternList []string
		TagPrefixList  []string
		StorageClass   string // standard, archive; empty is standard
		CountType      string
		CountUnit      string // days, with a count type of days only
		CountNumber    int
	}
	Action struct {
		Type               string // expire, transition: to the archive
		TargetStorageClass string
	}
}

// ListedImage is an image as a lifecycle policy sees it.
type ListedImage struct {
	Digest   string
	Tags     []string
	Pushed   time.Time
	Pulled   time.Time // zero where that is not known
	Archived bool
}

// Ending is what a lifecycle policy does to an image.
type Ending struct {
	Rule LifecycleRule
	At   time.Time // when the image meets the rule's criteria; ECR acts within 24 hours
}

// Archives reports whether the image is archived, and not deleted. An archived image
// cannot be pulled either.
func (e Ending) Archives() bool { return e.Rule.Action.Type == "transition" }

// ParseLifecyclePolicy reads the JSON of a policy.
func ParseLifecyclePolicy(text string) (LifecyclePolicy, error) {
	var p LifecyclePolicy
	err := json.Unmarshal([]byte(text), &p)
	slices.SortStableFunc(p.Rules, func(a, b LifecycleRule) int { return cmp.Compare(a.RulePriority, b.RulePriority) })
	return p, err
}

// What ECR takes as the text of a policy.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
const (
	policyLeast = 100 // characters
	policyMost  = 30720
	rulesMost   = 50
	wildcards   = 4 // of a tag pattern
)

// CheckLifecyclePolicy says what ECR would refuse about the JSON of a policy, as far as
// its documentation tells: all of it, each a mistake of the kind LifecyclePolicy.
func CheckLifecyclePolicy(text string) error {
	var errs []error
	fail := func(hint, format string, args ...any) {
		errs = append(errs, mistake.New(mistake.LifecyclePolicy, hint, format, args...))
	}
	policy, err := ParseLifecyclePolicy(text)
	if err != nil {
		fail("see the examples in the ECR user guide", "is not the JSON of a lifecycle policy: %v", err)
		return errors.Join(errs...)
	}
	if n := utf8.RuneCountInString(text); n < policyLeast || n > policyMost {
		fail("", "has %d characters; ECR takes %d to %d", n, policyLeast, policyMost)
	}
	if len(policy.Rules) == 0 || len(policy.Rules) > rulesMost {
		fail(`its form is {"rules": […]}`, "has %d rules; 1 to %d were expected", len(policy.Rules), rulesMost)
	}
	all := map[string]int{}             // by storage class: the priority of the rule for any tag, until another follows
	for i, rule := range policy.Rules { // by their priorities
		if why, hint := rule.wrong(); why != "" {
			fail(hint, "rule with rulePriority %d: %s", rule.RulePriority, why)
		}
		priority, follows := all[rule.class()]
		switch {
		case i > 0 && policy.Rules[i-1].RulePriority == rule.RulePriority:
			fail("give each rule another one", "two rules have the rulePriority %d", rule.RulePriority)
		case follows:
			fail("give it the highest one", "rule with rulePriority %d: a rule whose tagStatus is any must have the highest rulePriority", priority)
			delete(all, rule.class())
		}
		if rule.Selection.TagStatus == "any" {
			all[rule.class()] = rule.RulePriority
		}
	}
	return errors.Join(errs...)
}

// class is the storage class of the images that the rule selects.
func (r LifecycleRule) class() string { return cmp.Or(r.Selection.StorageClass, "standard") }

// wrong is why ECR would not take the rule by itself, and what to write.
func (r LifecycleRule) wrong() (why, hint string) {
	s := r.Selection
	byAge := slices.Contains([]string{"sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"}, s.CountType)
	lists := len(s.TagPatternList) + len(s.TagPrefixList)
	switch {
	case r.RulePriority < 1:
		return "rulePriority must be a whole number from 1", ""
	case !slices.Contains([]string{"tagged", "untagged", "any"}, s.TagStatus):
		return "tagStatus " + strconv.Quote(s.TagStatus) + " is not known", "tagged, untagged or any"
	case s.TagStatus == "tagged" && lists == 0:
		return "tagStatus tagged needs a tagPatternList or a tagPrefixList", `for instance "tagPatternList": ["*"]`
	case s.TagStatus != "tagged" && lists > 0:
		return "a tagPatternList or tagPrefixList is for tagStatus tagged only", ""
	case slices.ContainsFunc(s.TagPatternList, func(p string) bool { return strings.Count(p, "*") > wildcards }):
		return fmt.Sprintf("a pattern of tagPatternList has more than %d wildcards", wildcards), ""
	case !byAge && s.CountType != "imageCountMoreThan":
		return "countType " + strconv.Quote(s.CountType) + " is not known", "imageCountMoreThan, sinceImagePushed, sinceImagePulled or sinceImageTransitioned"
	case byAge && s.CountUnit != "days":
		return "countType " + s.CountType + " needs the countUnit days", ""
	case !byAge && s.CountUnit != "":
		return "countType imageCountMoreThan has no countUnit", ""
	case s.CountNumber < 1:
		return "countNumber must be a whole number from 1", ""
	case s.StorageClass != "" && s.StorageClass != "standard" && s.StorageClass != "archive":
		return "storageClass " + strconv.Quote(s.StorageClass) + " is not known", "standard or archive"
	case (s.CountType == "sinceImageTransitioned") != (s.StorageClass == "archive"):
		return "countType sinceImageTransitioned and storageClass archive go together only", ""
	case r.Action.Type != "expire" && r.Action.Type != "transition":
		return "action.type " + strconv.Quote(r.Action.Type) + " is not known", "expire or transition"
	case (r.Action.Type == "transition") != (r.Action.TargetStorageClass == "archive"):
		return "action.type transition and targetStorageClass archive go together only", ""
	}
	return "", ""
}

// Endings are the images that the policy expires or archives until a time, by their
// digests. Of images that an index consists of only the index counts: ECR keeps them
// as long as that is there.
func (p LifecyclePolicy) Endings(images []ListedImage, until time.Time) map[string]Ending {
	endings := map[string]Ending{}
	claimed := map[string]bool{} // by the tagging requirements of a rule of a higher priority
	for _, rule := range p.Rules {
		var selected []ListedImage
		for _, image := range images {
			if rule.selects(image) {
				selected = append(selected, image)
			}
		}
		for digest, at := range rule.met(selected) {
			known := rule.Action.Type == "expire" || rule.Action.Type == "transition"
			if known && !claimed[digest] && !at.After(until) {
				endings[digest] = Ending{rule, at}
			}
		}
		for _, image := range selected {
			claimed[image.Digest] = true
		}
	}
	return endings
}

// selects reports whether an image has the tags and the storage class of the rule. Of
// several prefixes or patterns, each must match one of the image's tags.
func (r LifecycleRule) selects(image ListedImage) bool {
	s := r.Selection
	if (s.StorageClass == "archive") != image.Archived {
		return false
	}
	matches := func(match func(tag string) bool) bool { return slices.ContainsFunc(image.Tags, match) }
	switch s.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(image.Tags) == 0
	case "tagged":
		for _, prefix := range s.TagPrefixList {
			if !matches(func(tag string) bool { return strings.HasPrefix(tag, prefix) }) {
				return false
			}
		}
		for _, pattern := range s.TagPatternList {
			if !matches(func(tag string) bool { return matchWildcard(pattern, tag) }) {
				return false
			}
		}
		return len(s.TagPrefixList)+len(s.TagPatternList) > 0
	}
	return false
}

// met is when images that the rule selects meet its count, by their digests; those
// that never do for what is known are not in it.
func (r LifecycleRule) met(selected []ListedImage) map[string]time.Time {
	at := map[string]time.Time{}
	age := time.Duration(r.Selection.CountNumber) * 24 * time.Hour
	switch r.Selection.CountType {
	case "imageCountMoreThan":
		youngest := slices.Clone(selected)
		slices.SortStableFunc(youngest, func(a, b ListedImage) int { return b.Pushed.Compare(a.Pushed) })
		for _, image := range youngest[min(len(youngest), r.Selection.CountNumber):] {
			at[image.Digest] = time.Time{} // already
		}
	case "sinceImagePushed":
		for _, image := range selected {
			at[image.Digest] = image.Pushed.Add(age)
		}
	case "sinceImagePulled": // of an image that was never pulled, since it was pushed
		for _, image := range selected {
			last := image.Pulled
			if last.IsZero() {
				last = image.Pushed
			}
			at[image.Digest] = last.Add(age)
		}
	}
	return at
}

// Lifecycle reads the lifecycle policy of a repository and, where it has one, its
// images. A policy that is not there, or that cannot be read, has no rules: it serves
// warnings only. So has one of a repository with more than 5,000 images.
//
// It takes ecr:GetLifecyclePolicy and ecr:DescribeImages on the repository.
func (c *Client) Lifecycle(ctx context.Context, repo Repository) (LifecyclePolicy, []ListedImage) {
	out, err := c.api(repo.Region).GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{RegistryId: optional(repo.Account), RepositoryName: &repo.Name})
	if _, none := errors.AsType[*types.LifecyclePolicyNotFoundException](err); none {
		return LifecyclePolicy{}, nil
	}
	var policy LifecyclePolicy
	if err == nil {
		policy, err = ParseLifecyclePolicy(aws.ToString(out.LifecyclePolicyText))
	}
	if err != nil {
		c.log.DebugContext(ctx, "the lifecycle policy is not known", "repository", repo.URI, "error", callError("repository "+repo.URI, "ecr:GetLifecyclePolicy", repo.ARN, err))
		return LifecyclePolicy{}, nil
	}
	images, err := c.list(ctx, repo)
	if err != nil {
		c.log.DebugContext(ctx, "the images that a lifecycle policy is about are not known", "repository", repo.URI, "error", err)
		return LifecyclePolicy{}, nil
	}
	return policy, images
}

// errManyImages is why a repository's images are not listed.
var errManyImages = errors.New("the repository has more images than are looked at")

// list lists all images of a repository.
func (c *Client) list(ctx context.Context, repo Repository) ([]ListedImage, error) {
	var all []ListedImage
	pages := ecr.NewDescribeImagesPaginator(c.api(repo.Region), &ecr.DescribeImagesInput{
		RegistryId: optional(repo.Account), RepositoryName: &repo.Name, MaxResults: aws.Int32(1000),
	})
	for range maxImagePages {
		if !pages.HasMorePages() {
			return all, nil
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("images of "+repo.URI, "ecr:DescribeImages", repo.ARN, err)
		}
		for _, d := range page.ImageDetails {
			all = append(all, ListedImage{
				Digest: aws.ToString(d.ImageDigest), Tags: d.ImageTags, Pushed: aws.ToTime(d.ImagePushedAt), Pulled: aws.ToTime(d.LastRecordedPullTime),
				Archived: d.ImageStatus == types.ImageStatusArchived,
			})
		}
	}
	if pages.HasMorePages() {
		return nil, errManyImages
	}
	return all, nil
}
