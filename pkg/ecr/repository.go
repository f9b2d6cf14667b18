package ecr

// Repositories: looking one up, and which of its tags can move.

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/mistake"
)

// Repository is a repository that exists.
type Repository struct {
	Account string // 12 digits
	Region  string
	Name    string
	URI     string // host/name, without a tag
	ARN     string

	// TagMutability is MUTABLE, IMMUTABLE, or one of them with _WITH_EXCLUSION,
	// where the opposite holds for the tags that match one of TagExclusions.
	TagMutability string

	// TagExclusions are wildcard filters: "*" stands for any run of characters.
	TagExclusions []string

	Encryption  string // AES256, KMS, KMS_DSSE; empty where ECR did not say
	Key         string // ARN of the KMS key; empty for AES256
	ScansOnPush bool   // by the repository's own setting

	// Template is the prefix of the creation template by which ECR creates the
	// repository at the first push: it does not exist yet. Empty for one that does.
	Template string
}

// String returns the URI.
func (r Repository) String() string { return r.URI }

// Host returns the registry part of the URI, with its port if it has one.
func (r Repository) Host() string {
	host, _, _ := strings.Cut(r.URI, "/")
	return host
}

// Immutable reports whether the repository refuses to move the tag to another
// image once it is there:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r Repository) Immutable(tag string) bool {
	switch types.ImageTagMutability(r.TagMutability) {
	case types.ImageTagMutabilityImmutable:
		return true
	case types.ImageTagMutabilityImmutableWithExclusion:
		return !r.excluded(tag)
	case types.ImageTagMutabilityMutableWithExclusion:
		return r.excluded(tag)
	default:
		return false
	}
}

func (r Repository) excluded(tag string) bool {
	for _, filter := range r.TagExclusions {
		if matchWildcard(filter, tag) {
			return true
		}
	}
	return false
}

// matchWildcard matches the whole of s; only "*" is special.
func matchWildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, middle, last := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	for _, part := range middle {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, last)
}

// Repository looks up a repository given by name or URI, in the account and
// region that a URI names, else in those of the client's configuration.
//
// A repository that is not there is a [*NotFoundError]; one on a host that is not
// ECR's is a mistake of the kind Repository.
func (c *Client) Repository(ctx context.Context, nameOrURI string) (Repository, error) {
	ref, err := ParseRepository(nameOrURI)
	if err != nil {
		return Repository{}, err
	}
	return c.describe(ctx, ref)
}

func (c *Client) describe(ctx context.Context, ref Reference) (Repository, error) {
	if err := known(ref); err != nil {
		return Repository{}, err
	}
	region := c.regionOf(ref)
	out, err := c.api(region).DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{
		RegistryId:      optional(ref.Account),
		RepositoryNames: []string{ref.Name},
	})
	if missing, ok := errors.AsType[*types.RepositoryNotFoundException](err); ok {
		if err := c.ours(ctx, ref); err != nil {
			return Repository{}, err
		}
		return Repository{}, c.notFound(ctx, ref, missing)
	}
	if err != nil {
		return Repository{}, callError("repository "+ref.String(), "ecr:DescribeRepositories", c.resource(ref), err)
	}
	if len(out.Repositories) == 0 {
		return Repository{}, c.notFound(ctx, ref, nil)
	}
	return c.found(ref, out.Repositories[0])
}

func (c *Client) regionOf(ref Reference) string {
	if ref.Region != "" {
		return ref.Region
	}
	return c.cfg.Region
}

// found turns ECR's answer into a repository. The host that was written down is
// kept where it is another of ECR's names for the same registry (dual-stack,
// FIPS). Any other host has to be the one that ECR itself names, for it will be
// sent a token.
func (c *Client) found(ref Reference, r types.Repository) (Repository, error) {
	repo := Repository{
		Account:       aws.ToString(r.RegistryId),
		Region:        c.regionOf(ref),
		Name:          aws.ToString(r.RepositoryName),
		URI:           aws.ToString(r.RepositoryUri),
		ARN:           aws.ToString(r.RepositoryArn),
		TagMutability: string(r.ImageTagMutability),
	}
	repo.TagExclusions = exclusions(r.ImageTagMutabilityExclusionFilters)
	if e := r.EncryptionConfiguration; e != nil {
		repo.Encryption, repo.Key = string(e.EncryptionType), aws.ToString(e.KmsKey)
	}
	repo.ScansOnPush = r.ImageScanningConfiguration != nil && r.ImageScanningConfiguration.ScanOnPush
	if a, err := arn.Parse(repo.ARN); err == nil && a.Region != "" {
		repo.Region = a.Region
	}
	switch given, named := ref.Host, repo.Host(); {
	case given == "" || given == named:
	case ref.Account == "":
		return Repository{}, mistake.New(mistake.Repository, "give "+repo.URI, "repository %s: %s is not a registry of ECR, whose own name for this repository is %s", ref, given, repo.URI)
	case ecrHost.MatchString(named):
		repo.URI = ref.String()
	}
	return repo, nil
}

// resource is the ARN that a policy for the repository names; "*" stands for
// what is not known before ECR has answered.
func (c *Client) resource(ref Reference) string {
	account := ref.Account
	if account == "" {
		account = "*"
	}
	return arn.ARN{
		Partition: partitionOf(c.regionOf(ref)), Service: "ecr", Region: c.regionOf(ref), AccountID: account,
		Resource: "repository/" + ref.Name,
	}.String()
}

// partitionOf is by the region's prefix:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func partitionOf(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"},
		{"us-gov-", "aws-us-gov"},
		{"us-isob-", "aws-iso-b"},
		{"us-isof-", "aws-iso-f"},
		{"us-iso-", "aws-iso"},
		{"eu-isoe-", "aws-iso-e"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

// registryID finds the account in ECR's text, "The repository with name 'app'
// does not exist in the registry with id '123456789012'".
var registryID = regexp.MustCompile(`registry with id '([0-9]{12})'`)

func (c *Client) notFound(ctx context.Context, ref Reference, cause *types.RepositoryNotFoundException) error {
	e := &NotFoundError{Name: ref.Name, Account: ref.Account, Region: c.regionOf(ref)}
	if cause != nil {
		if m := registryID.FindStringSubmatch(cause.ErrorMessage()); m != nil && e.Account == "" {
			e.Account = m[1]
		}
	}
	var names []string
	for _, uri := range c.uris(ctx, ref) {
		_, name, _ := strings.Cut(uri, "/")
		names = append(names, name)
	}
	e.Similar = similar(ref.Name, names)
	if t := c.template(ctx, ref); t != nil {
		e.Template = aws.ToString(t.Prefix)
	}
	return e
}

// maxNamePages bounds the search for similar names to 2,000 repositories.
const maxNamePages = 2

// uris lists the registry's repositories, as far as that is allowed and quick:
// they only serve a hint.
func (c *Client) uris(ctx context.Context, ref Reference) []string {
	var uris []string
	pages := ecr.NewDescribeRepositoriesPaginator(c.api(c.regionOf(ref)), &ecr.DescribeRepositoriesInput{
		RegistryId: optional(ref.Account),
		MaxResults: aws.Int32(1000),
	})
	for range maxNamePages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			c.log.DebugContext(ctx, "no list of similar repositories", "error", err)
			break
		}
		for _, r := range page.Repositories {
			uris = append(uris, aws.ToString(r.RepositoryUri))
		}
	}
	return uris
}

// NotFoundError says that a repository does not exist where it was looked for.
type NotFoundError struct {
	Name    string
	Account string // empty where ECR did not say
	Region  string
	Similar []string // repositories there with names like it
	// Template is the prefix of the creation template by which ECR would create the
	// repository at the first push; empty where there is none.
	Template string
}

func (e *NotFoundError) Error() string {
	where := "region " + e.Region
	if e.Account != "" {
		where = "account " + e.Account + ", " + where
	}
	return fmt.Sprintf("repository %s: not found in ECR (%s)", e.Name, where)
}

// Hint says what may be wrong, and how to have the repository created. It may
// be shown by a command that has no input createRepository.
func (e *NotFoundError) Hint() string {
	hint := "check repository and region; with createRepository: true the commands that push create it"
	if e.Template != "" {
		hint = fmt.Sprintf("check repository and region; with createRepository: true the commands that push have ECR create it by the creation template %s", e.Template)
	}
	if len(e.Similar) > 0 {
		hint = fmt.Sprintf("there is %s; %s", strings.Join(e.Similar, ", "), hint)
	}
	return hint
}
