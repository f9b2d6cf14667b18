// What a repository is created with: inputs that have no effect on one that exists.

package input

import (
	"regexp"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// creation parses the settings of a repository that is to be created.
func (l *loader) creation(in *Inputs, f *fields) {
	if !in.CreateRepository {
		for _, given := range []struct{ name, text string }{
			{"imageTagMutabilityExclusions", f.MutableTags}, {"kmsKey", f.KMSKey}, {"lifecyclePolicy", f.LifecyclePolicy},
		} {
			if given.text != "" {
				in.Warnings = append(in.Warnings, &mistake.Error{Input: given.name, Kind: mistake.Creation,
					Text: "has no effect: createRepository is false", Advice: "set createRepository: true, or leave it empty"})
			}
		}
		return
	}
	in.MutableTags = list(l, "imageTagMutabilityExclusions", f.MutableTags, parseTagFilter, itself)
	if n := len(in.MutableTags); n > filtersMost {
		l.fail("imageTagMutabilityExclusions", 0, wrong("a filter may have wildcards: dev-*", "has %d filters; ECR takes %d at most", n, filtersMost))
	}
	in.KMSKey = one(l, "kmsKey", f.KMSKey, parseKMSKey)
	in.LifecyclePolicy = one(l, "lifecyclePolicy", f.LifecyclePolicy, parsePath)
}

// Source: Amazon ECR API, CreateRepository, imageTagMutabilityExclusionFilters.
const filtersMost = 5

var tagFilter = regexp.MustCompile(`^[0-9a-zA-Z._*-]+$`)

func parseTagFilter(text string) (string, error) {
	if len(text) > 128 || !tagFilter.MatchString(text) {
		return "", wrong("for instance latest or dev-*", "%s is not a filter of tags: expected up to 128 letters, digits, and . _ - *", shown(text))
	}
	return text, nil
}

// Source: AWS KMS API, DescribeKey, KeyId: the ID of a key, its ARN, or an alias by its
// name or its ARN.
var kmsKey = regexp.MustCompile(`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)?(key/|alias/)?[a-zA-Z0-9/_-]+$`)

func parseKMSKey(text string) (string, error) {
	const hint = "its ID, its ARN, or an alias: alias/aws/ecr is the key that AWS manages"
	id := kmsKey.FindStringSubmatch(text)
	switch {
	case id == nil || len(text) > 2048,
		id[1] != "" && id[2] == "",     // an ARN names a key or an alias
		id[1] == "" && id[2] == "key/", // which only an ARN has
		id[1] == "" && id[2] == "" && !kmsKeyID.MatchString(text):
		return "", wrong(hint, "%s is not a KMS key", shown(text))
	}
	return text, nil
}

var kmsKeyID = regexp.MustCompile(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

func parsePath(text string) (string, error) {
	if strings.ContainsAny(text, "\n\r\x00") {
		return "", wrong("for instance lifecycle.json", "%s is not the path of a file", shown(text))
	}
	return text, nil
}
