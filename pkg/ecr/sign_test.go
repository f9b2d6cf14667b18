package ecr

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func TestSigningRules(t *testing.T) {
	rule := func(profile string, filters ...string) types.SigningRule {
		r := types.SigningRule{SigningProfileArn: aws.String(profile)}
		for _, f := range filters {
			r.RepositoryFilters = append(r.RepositoryFilters, types.SigningRepositoryFilter{Filter: aws.String(f), FilterType: types.SigningRepositoryFilterTypeWildcardMatch})
		}
		return r
	}
	rules := []types.SigningRule{rule("all"), rule("apps", "team/*", "*/prod"), rule("prod", "*prod*"), rule("exact", "team/app"), rule("apps", "*app")}
	unknown := rule("unknown", "*")
	unknown.RepositoryFilters[0].FilterType = "PREFIX_MATCH"
	rules = append(rules, unknown)
	for repository, want := range map[string][]string{
		"team/app":       {"all", "apps", "exact"},
		"other":          {"all"},
		"x/prod":         {"all", "apps", "prod"},
		"team/app/extra": {"all", "apps"},
		"chat-app":       {"all", "apps"},
	} {
		if got := profilesFor(rules, repository); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", repository, got, want)
		}
	}
}
