package ecr

// Creating a repository: its settings, which ECR takes only then or which belong to
// its beginning, and its lifecycle policy, which is a call of its own.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/mistake"
)

// Creation is how a repository is created that does not exist: always with immutable
// tags and scan on push. The zero value chooses no more.
type Creation struct {
	// MutableTags are wildcard filters of tags that may move all the same; "*" stands
	// for any run of characters.
	MutableTags []string
	// Key is the KMS key that encrypts the images: its ID, its ARN or an alias, such as
	// alias/aws/ecr for the one that AWS manages. Empty is AES256 with keys of S3.
	Key string
	// LifecyclePolicy is the JSON of the repository's lifecycle policy; empty is none.
	LifecyclePolicy string
}

// Chosen reports whether the settings are others than those that every repository is
// created with.
func (c Creation) Chosen() bool {
	return len(c.MutableTags) > 0 || c.Key != "" || c.LifecyclePolicy != ""
}

func (c Creation) input(ref Reference) *ecr.CreateRepositoryInput {
	in := &ecr.CreateRepositoryInput{
		RegistryId:                 optional(ref.Account),
		RepositoryName:             &ref.Name,
		ImageTagMutability:         types.ImageTagMutabilityImmutable,
		ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: true},
	}
	for _, filter := range c.MutableTags {
		in.ImageTagMutability = types.ImageTagMutabilityImmutableWithExclusion
		in.ImageTagMutabilityExclusionFilters = append(in.ImageTagMutabilityExclusionFilters, types.ImageTagMutabilityExclusionFilter{
			FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard, Filter: aws.String(filter),
		})
	}
	if c.Key != "" {
		in.EncryptionConfiguration = &types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeKms, KmsKey: aws.String(c.Key)}
	}
	return in
}

// Differences are the settings in which a repository that exists is not as the creation
// would have made it, for people. Which key encrypts it is compared where both name one
// in the same way; its lifecycle policy is not known here.
func (c Creation) Differences(r Repository) (all []string) {
	if len(c.MutableTags) > 0 {
		wanted := string(types.ImageTagMutabilityImmutableWithExclusion) + " " + strings.Join(c.MutableTags, ", ")
		if has := strings.TrimSpace(r.TagMutability + " " + strings.Join(r.TagExclusions, ", ")); has != wanted {
			all = append(all, fmt.Sprintf("its tag mutability is %s instead of %s", has, wanted))
		}
	}
	switch {
	case c.Key == "" || r.Encryption == "":
	case r.Encryption != string(types.EncryptionTypeKms) && r.Encryption != string(types.EncryptionTypeKmsDsse):
		all = append(all, "it is encrypted with "+r.Encryption+" instead of the KMS key "+c.Key)
	case strings.HasPrefix(c.Key, "arn:") && strings.Contains(c.Key, ":key/") && strings.HasPrefix(r.Key, "arn:") && r.Key != c.Key:
		all = append(all, "it is encrypted with the KMS key "+r.Key+" instead of "+c.Key)
	}
	return all
}

// IncompleteError says that a repository was created and its lifecycle policy could not
// be set. A further run does not set it: the repository exists then.
type IncompleteError struct {
	Repository string // URI
	Err        error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%s; the repository was created and is empty, and nothing was pushed; a further run does not set the policy of a repository that exists: set it yourself, or delete the repository first", e.Err)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// CreateRepository creates a repository with immutable tags that scans images when they
// are pushed, with the settings that were chosen beside that, and returns it. One that
// somebody else creates at the same moment is returned as it is, and created is false.
// One that comes into being with just these settings while it is being created is taken
// for our own: the answer to a first attempt may have been lost.
//
// Where a creation template with create-on-push applies and no settings were chosen,
// nothing is created: ECR does so at the first push, by the template's rules. The
// repository that is returned has Template set then. A host that is not this account's
// ECR is a mistake of the kind Repository, and nothing is created either. An error of
// type [*IncompleteError] is returned with the repository.
//
// It takes ecr:CreateRepository, with a lifecycle policy ecr:PutLifecyclePolicy, and for
// a key of one's own kms:DescribeKey and kms:CreateGrant on that.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
func (c *Client) CreateRepository(ctx context.Context, nameOrURI string, how Creation) (repo Repository, created bool, err error) {
	ref, err := ParseRepository(nameOrURI)
	if err != nil {
		return Repository{}, false, err
	}
	if err := c.ours(ctx, ref); err != nil {
		return Repository{}, false, err
	}
	if !how.Chosen() {
		if t := c.template(ctx, ref); t != nil {
			repo, err = c.fromTemplate(ctx, ref, t)
			return repo, err == nil, err
		}
	}
	repo, created, err = c.create(ctx, ref, how)
	if err != nil || !created || how.LifecyclePolicy == "" {
		return repo, created, err
	}
	_, err = c.api(repo.Region).PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{
		RegistryId: optional(repo.Account), RepositoryName: &repo.Name, LifecyclePolicyText: &how.LifecyclePolicy,
	})
	if err != nil {
		err = &IncompleteError{repo.URI, callError("lifecycle policy of "+repo.URI, "ecr:PutLifecyclePolicy", repo.ARN, err)}
	}
	return repo, true, err
}

// create creates the repository itself. Where the answer was lost, what is there decides:
// a repository with just these settings is the one that was asked for.
func (c *Client) create(ctx context.Context, ref Reference, how Creation) (repo Repository, created bool, err error) {
	out, err := c.api(c.regionOf(ref)).CreateRepository(ctx, how.input(ref))
	if err == nil && out.Repository != nil {
		repo, err = c.found(ref, *out.Repository)
		return repo, err == nil, err
	}
	if refused, is := errors.AsType[*types.KmsException](err); is {
		return Repository{}, false, mistake.New(mistake.Key, "an enabled, symmetric key of the repository's region, whose policy lets ECR be asked for it", "KMS refuses %s: %s", how.Key, refused.ErrorMessage())
	}
	_, exists := errors.AsType[*types.RepositoryAlreadyExistsException](err)
	if err == nil || exists || !denied(err) && how.Chosen() {
		there, unread := c.describe(ctx, ref)
		alike := there.ScansOnPush && there.TagMutability == string(how.input(ref).ImageTagMutability) && len(how.Differences(there)) == 0
		switch {
		case unread == nil && (err == nil || exists || alike):
			return there, err == nil || alike && how.Chosen(), nil
		case err == nil || exists:
			return there, unread == nil, unread
		}
	}
	return Repository{}, false, callError("repository "+ref.String(), "ecr:CreateRepository", c.resource(ref), err)
}
