package ecr

// Managed signing: which signing profiles ECR signs the images of a repository with, and
// how the signatures of an image stand. ECR signs an image when it is pushed, with the
// identity of whoever pushed it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/managed-signing.html

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Signature is how the signature of an image by one profile stands.
type Signature struct {
	Profile string // ARN of the signing profile
	Status  string // IN_PROGRESS, COMPLETE, FAILED, in ECR's spelling; empty while there is none
	Code    string // why it failed; may be empty
	Reason  string
}

// Complete reports whether the signature is there.
func (s Signature) Complete() bool { return s.Status == string(types.SigningStatusComplete) }

// Failed reports whether there will be none.
func (s Signature) Failed() bool { return s.Status == string(types.SigningStatusFailed) }

// SigningProfiles returns the ARNs of the profiles with which ECR signs images of a
// repository that are pushed, by the signing configuration of this account's registry in
// the repository's region. A registry of another account cannot be asked: then none is
// known. The repository need not exist.
//
// It takes ecr:GetSigningConfiguration.
func (c *Client) SigningProfiles(ctx context.Context, nameOrURI string) ([]string, error) {
	ref, err := ParseRepository(nameOrURI)
	if err != nil {
		return nil, err
	}
	out, err := c.api(c.regionOf(ref)).GetSigningConfiguration(ctx, &ecr.GetSigningConfigurationInput{})
	if _, none := errors.AsType[*types.SigningConfigurationNotFoundException](err); none {
		return nil, nil
	}
	if err != nil {
		return nil, callError("signing configuration of the registry", "ecr:GetSigningConfiguration", "*", err)
	}
	if out.SigningConfiguration == nil || ref.Account != "" && aws.ToString(out.RegistryId) != "" && ref.Account != aws.ToString(out.RegistryId) {
		return nil, nil
	}
	return profilesFor(out.SigningConfiguration.Rules, ref.Name), nil
}

// profilesFor are the profiles of the rules that are for a repository, each once: those
// without filters, and those of which one filter matches its name.
func profilesFor(rules []types.SigningRule, repository string) (all []string) {
	for _, rule := range rules {
		matches := len(rule.RepositoryFilters) == 0
		for _, f := range rule.RepositoryFilters {
			matches = matches || f.FilterType == types.SigningRepositoryFilterTypeWildcardMatch && matchWildcard(aws.ToString(f.Filter), repository)
		}
		if profile := aws.ToString(rule.SigningProfileArn); matches && profile != "" && !slices.Contains(all, profile) {
			all = append(all, profile)
		}
	}
	return all
}

// Signatures returns how the signatures of an image stand, one for each profile that it
// matched when it was pushed; none where ECR has not begun, or signs it not at all.
//
// It takes ecr:DescribeImageSigningStatus on the repository.
func (c *Client) Signatures(ctx context.Context, repo Repository, digest string) ([]Signature, error) {
	out, err := c.api(repo.Region).DescribeImageSigningStatus(ctx, &ecr.DescribeImageSigningStatusInput{
		RegistryId: optional(repo.Account), RepositoryName: &repo.Name, ImageId: &types.ImageIdentifier{ImageDigest: &digest},
	})
	if err != nil {
		return nil, callError("signatures of "+repo.URI+"@"+digest, "ecr:DescribeImageSigningStatus", repo.ARN, err)
	}
	var all []Signature
	for _, s := range out.SigningStatuses {
		all = append(all, Signature{
			Profile: aws.ToString(s.SigningProfileArn), Status: string(s.Status),
			Code: aws.ToString(s.FailureCode), Reason: aws.ToString(s.FailureReason),
		})
	}
	return all, nil
}
