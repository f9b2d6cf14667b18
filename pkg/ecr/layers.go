package ecr

// Which layers a repository has already, in few calls.

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// layersPerCall is the API's limit:
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchCheckLayerAvailability.html
const layersPerCall = 100

// CheckLayers says for each digest whether an image in the repository may use
// the layer as it is. A layer that ECR does not know, keeps in its archive, or
// does not answer about, is false: to be uploaded.
func (c *Client) CheckLayers(ctx context.Context, repo Repository, digests []string) (map[string]bool, error) {
	available := make(map[string]bool, len(digests))
	for _, d := range digests {
		available[d] = false
	}
	unique := slices.Compact(slices.Sorted(slices.Values(digests)))
	for batch := range slices.Chunk(unique, layersPerCall) {
		out, err := c.api(repo.Region).BatchCheckLayerAvailability(ctx, &ecr.BatchCheckLayerAvailabilityInput{
			RegistryId:     optional(repo.Account),
			RepositoryName: &repo.Name,
			LayerDigests:   batch,
		})
		if missing, ok := errors.AsType[*types.RepositoryNotFoundException](err); ok {
			return nil, c.notFound(ctx, repo.reference(), missing)
		}
		if err != nil {
			return nil, callError("repository "+repo.URI, "ecr:BatchCheckLayerAvailability", repo.ARN, err)
		}
		for _, l := range out.Layers {
			if d := aws.ToString(l.LayerDigest); l.LayerAvailability == types.LayerAvailabilityAvailable {
				available[d] = true
			}
		}
	}
	return available, nil
}
