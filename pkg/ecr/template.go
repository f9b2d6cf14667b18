package ecr

// Repository creation templates: what ECR makes of the first push to a repository
// that does not exist.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates.html

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// rootPrefix is the prefix of the template for whatever no other one is for.
const rootPrefix = "ROOT"

// maxTemplatePages bounds the search to 500 templates.
const maxTemplatePages = 5

// template returns the template by which ECR would create a repository at the
// first push, nil where there is none, or where it must not be asked for
// (ecr:DescribeRepositoryCreationTemplates): the repository is created without it
// then, as before there were any.
func (c *Client) template(ctx context.Context, ref Reference) *types.RepositoryCreationTemplate {
	pages := ecr.NewDescribeRepositoryCreationTemplatesPaginator(c.api(c.regionOf(ref)), &ecr.DescribeRepositoryCreationTemplatesInput{MaxResults: aws.Int32(100)})
	var best *types.RepositoryCreationTemplate
	for range maxTemplatePages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			c.log.DebugContext(ctx, "could not read the repository creation templates", "error", err)
			return nil
		}
		for _, t := range page.RepositoryCreationTemplates {
			if fits(aws.ToString(t.Prefix), ref.Name) && (best == nil || longer(aws.ToString(t.Prefix), aws.ToString(best.Prefix))) {
				best = &t
			}
		}
	}
	// The template with the longest prefix decides, also if it is for other
	// occasions, such as a pull-through cache.
	if best == nil || !slices.Contains(best.AppliedFor, types.RCTAppliedForCreateOnPush) {
		return nil
	}
	return best
}

// fits says whether a template with the prefix is for the repository of that name.
func fits(prefix, name string) bool {
	return prefix == rootPrefix || prefix != "" && strings.HasPrefix(name, strings.TrimSuffix(prefix, "/")+"/")
}

func longer(a, b string) bool { return b == rootPrefix || a != rootPrefix && len(a) > len(b) }

// fromTemplate is the repository that ECR will create by the template.
func (c *Client) fromTemplate(ctx context.Context, ref Reference, t *types.RepositoryCreationTemplate) (Repository, error) {
	host, err := c.host(ctx, ref)
	if err != nil {
		return Repository{}, err
	}
	account := ref.Account
	if m := ecrHost.FindStringSubmatch(host); m != nil {
		account = m[1]
	}
	repo := Repository{
		Account: account, Region: c.regionOf(ref), Name: ref.Name, URI: host + "/" + ref.Name, ARN: c.resource(Reference{Host: host, Account: account, Region: c.regionOf(ref), Name: ref.Name}),
		TagMutability: string(t.ImageTagMutability), TagExclusions: exclusions(t.ImageTagMutabilityExclusionFilters), Template: aws.ToString(t.Prefix),
	}
	return repo, nil
}

// exclusions are the wildcards among the filters.
func exclusions(filters []types.ImageTagMutabilityExclusionFilter) []string {
	var all []string
	for _, f := range filters {
		if f.FilterType == types.ImageTagMutabilityExclusionFilterTypeWildcard {
			all = append(all, aws.ToString(f.Filter))
		}
	}
	return all
}
