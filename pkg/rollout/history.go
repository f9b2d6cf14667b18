package rollout

// What ran before: revisions whose deployment succeeded, and the revisions of a
// family. Both are read newest first and no further than needed.

import (
	"context"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Successes yields the ARNs of the task definition revisions that deployments
// of the service brought successfully, newest first; one may come up again. ECS
// remembers the deployments of the last 90 days.
func (c *Client) Successes(ctx context.Context, s Service) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		in := &ecs.ListServiceDeploymentsInput{
			Cluster: aws.String(s.Cluster),
			Service: aws.String(s.Name),
			Status:  []types.ServiceDeploymentStatus{types.ServiceDeploymentStatusSuccessful},
		}
		for {
			page, err := c.api.ListServiceDeployments(ctx, in)
			if err != nil {
				yield("", during("list deployments of service "+s.Name, err))
				return
			}
			slices.SortStableFunc(page.ServiceDeployments, newestFirst)
			for _, brief := range page.ServiceDeployments {
				revision, err := c.taskDefinitionOf(ctx, aws.ToString(brief.TargetServiceRevisionArn))
				if err == nil && revision == "" {
					continue
				}
				if !yield(revision, err) || err != nil {
					return
				}
			}
			if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
				return
			}
		}
	}
}

func newestFirst(a, b types.ServiceDeploymentBrief) int {
	return aws.ToTime(b.CreatedAt).Compare(aws.ToTime(a.CreatedAt))
}

// taskDefinitionOf returns the ARN of a service revision's task definition,
// empty where ECS does not know the service revision.
func (c *Client) taskDefinitionOf(ctx context.Context, serviceRevision string) (string, error) {
	out, err := c.api.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{serviceRevision}})
	if err != nil || len(out.ServiceRevisions) == 0 {
		return "", during("describe service revision "+ShortARN(serviceRevision), err)
	}
	return aws.ToString(out.ServiceRevisions[0].TaskDefinition), nil
}

// Revisions yields the ARNs of a family's active revisions, newest first.
func (c *Client) Revisions(ctx context.Context, family string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := ecs.NewListTaskDefinitionsPaginator(c.api, &ecs.ListTaskDefinitionsInput{
			FamilyPrefix: aws.String(family), // matches whole families only, in spite of its name
			Sort:         types.SortOrderDesc,
			Status:       types.TaskDefinitionStatusActive,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", during("list revisions of "+family, err))
				return
			}
			for _, arn := range page.TaskDefinitionArns {
				if !yield(arn, nil) {
					return
				}
			}
		}
	}
}
