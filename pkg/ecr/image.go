package ecr

// Images: manifests by tag or digest, with what ECR knows beside them.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Image is an image, or an index of images, in a repository.
type Image struct {
	Repository Repository
	Digest     string // of the manifest, sha256:…
	MediaType  string // of the manifest
	Manifest   []byte // byte for byte as it was pushed

	// What follows comes from ecr:DescribeImages. Where that is denied, Tags
	// holds only the tag that was asked for, and the rest is zero.
	Tags      []string
	PushedAt  time.Time
	SizeBytes int64 // compressed; of an index, that of its largest image
}

// acceptedTypes are the manifests that ECR may answer with. Without the list it
// turns an OCI manifest or an index down.
var acceptedTypes = []string{
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// Image reads an image by its tag or its digest ("sha256:…").
//
// An image that is not there is an [*ImageNotFoundError], a repository that is
// not there a [*NotFoundError].
func (c *Client) Image(ctx context.Context, repo Repository, tagOrDigest string) (Image, error) {
	id := imageID(tagOrDigest)
	out, err := c.api(repo.Region).BatchGetImage(ctx, &ecr.BatchGetImageInput{
		RegistryId:         optional(repo.Account),
		RepositoryName:     &repo.Name,
		ImageIds:           []types.ImageIdentifier{id},
		AcceptedMediaTypes: acceptedTypes,
	})
	if missing, ok := errors.AsType[*types.RepositoryNotFoundException](err); ok {
		return Image{}, c.notFound(ctx, repo.reference(), missing)
	}
	if err != nil {
		return Image{}, callError("image "+join(repo, tagOrDigest), "ecr:BatchGetImage", repo.ARN, err)
	}
	if len(out.Images) == 0 {
		return Image{}, c.imageError(ctx, repo, tagOrDigest, out.Failures)
	}
	found := out.Images[0]
	image := Image{
		Repository: repo,
		MediaType:  aws.ToString(found.ImageManifestMediaType),
		Manifest:   []byte(aws.ToString(found.ImageManifest)),
	}
	if found.ImageId != nil {
		image.Digest = aws.ToString(found.ImageId.ImageDigest)
		if tag := aws.ToString(found.ImageId.ImageTag); tag != "" {
			image.Tags = []string{tag}
		}
	}
	return c.detailed(ctx, image)
}

// detailed adds what only DescribeImages says. By digest, so that it is about
// the same image even if the tag has moved meanwhile.
func (c *Client) detailed(ctx context.Context, image Image) (Image, error) {
	repo := image.Repository
	out, err := c.api(repo.Region).DescribeImages(ctx, &ecr.DescribeImagesInput{
		RegistryId:     optional(repo.Account),
		RepositoryName: &repo.Name,
		ImageIds:       []types.ImageIdentifier{{ImageDigest: &image.Digest}},
	})
	_, gone := errors.AsType[*types.ImageNotFoundException](err)
	if denied(err) || gone {
		c.log.DebugContext(ctx, "no details of the image", "image", join(repo, image.Digest), "error", err)
		return image, nil
	}
	if err != nil {
		return Image{}, callError("image "+join(repo, image.Digest), "ecr:DescribeImages", repo.ARN, err)
	}
	if len(out.ImageDetails) > 0 {
		d := out.ImageDetails[0]
		image.Tags = d.ImageTags
		image.PushedAt = aws.ToTime(d.ImagePushedAt)
		image.SizeBytes = aws.ToInt64(d.ImageSizeInBytes)
	}
	return image, nil
}

func (c *Client) imageError(ctx context.Context, repo Repository, tagOrDigest string, failures []types.ImageFailure) error {
	var code types.ImageFailureCode
	var reason string
	if len(failures) > 0 {
		code, reason = failures[0].FailureCode, aws.ToString(failures[0].FailureReason)
	}
	switch code {
	case "", types.ImageFailureCodeImageNotFound:
		e := &ImageNotFoundError{Repository: repo, Reference: tagOrDigest}
		e.Newest, e.Partial = c.newest(ctx, repo)
		return e
	case types.ImageFailureCodeImageInaccessible:
		return fmt.Errorf("image %s: it is there but cannot be read (%s): restore it from ECR's archive, or push it again", join(repo, tagOrDigest), reason)
	default:
		return fmt.Errorf("image %s: %s: %s", join(repo, tagOrDigest), code, reason)
	}
}

const (
	maxImagePages = 5 // of 1,000 images each; ECR has no order by date
	maxNewest     = 5
)

// Newest returns the digest of the tagged image that was pushed last, of the
// first 5,000 there are. It serves guesses only, so that an empty repository
// and one that must not be listed (ecr:DescribeImages) both give "".
func (c *Client) Newest(ctx context.Context, repo Repository) (digest string) {
	details, _ := c.byDate(ctx, repo)
	if len(details) == 0 {
		return ""
	}
	return aws.ToString(details[0].ImageDigest)
}

// newest lists the tags pushed last, as far as that is allowed: they only serve
// a hint. partial says that the repository holds more images than were looked at.
func (c *Client) newest(ctx context.Context, repo Repository) (tags []string, partial bool) {
	details, partial := c.byDate(ctx, repo)
	for _, d := range details {
		tags = append(tags, d.ImageTags...)
		if len(tags) >= maxNewest {
			break
		}
	}
	return tags[:min(len(tags), maxNewest)], partial
}

// byDate lists tagged images, last pushed first, as far as that is allowed.
func (c *Client) byDate(ctx context.Context, repo Repository) (details []types.ImageDetail, partial bool) {
	pages := ecr.NewDescribeImagesPaginator(c.api(repo.Region), &ecr.DescribeImagesInput{
		RegistryId:     optional(repo.Account),
		RepositoryName: &repo.Name,
		Filter:         &types.DescribeImagesFilter{TagStatus: types.TagStatusTagged},
		MaxResults:     aws.Int32(1000),
	})
	for range maxImagePages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			c.log.DebugContext(ctx, "no list of the newest images", "repository", repo.URI, "error", err)
			break
		}
		details = append(details, page.ImageDetails...)
	}
	slices.SortStableFunc(details, func(a, b types.ImageDetail) int {
		return aws.ToTime(b.ImagePushedAt).Compare(aws.ToTime(a.ImagePushedAt))
	})
	return details, pages.HasMorePages()
}

// ImageNotFoundError says that a repository has no image of that tag or digest.
type ImageNotFoundError struct {
	Repository Repository
	Reference  string   // the tag or digest
	Newest     []string // tags that are there, last pushed first; at most five
	Partial    bool     // Newest is of the first images only, not of all
}

func (e *ImageNotFoundError) Error() string {
	return fmt.Sprintf("image %s: not in the repository", join(e.Repository, e.Reference))
}

// Hint says what to push, and which tags are there instead.
func (e *ImageNotFoundError) Hint() string {
	hint := "push it first, with command push or deploy"
	switch {
	case len(e.Newest) == 0:
		return hint
	case e.Partial:
		return fmt.Sprintf("%s; among the tags there: %s", hint, strings.Join(e.Newest, ", "))
	default:
		return fmt.Sprintf("%s; newest tags there: %s", hint, strings.Join(e.Newest, ", "))
	}
}

func imageID(tagOrDigest string) types.ImageIdentifier {
	if isDigest(tagOrDigest) {
		return types.ImageIdentifier{ImageDigest: &tagOrDigest}
	}
	return types.ImageIdentifier{ImageTag: &tagOrDigest}
}

// isDigest: a tag cannot hold a colon, a digest always does.
func isDigest(s string) bool { return strings.Contains(s, ":") }

func join(repo Repository, tagOrDigest string) string {
	if isDigest(tagOrDigest) {
		return repo.URI + "@" + tagOrDigest
	}
	return repo.URI + ":" + tagOrDigest
}

func (r Repository) reference() Reference {
	return Reference{Host: r.Host(), Account: r.Account, Region: r.Region, Name: r.Name}
}
