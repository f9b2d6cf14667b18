package rollout

// The proof: which image the tasks of a deployment run, by digest. A tag can
// be moved between the check and the pull; a digest cannot.

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Proof is what Verify found.
type Proof struct {
	Tasks    int      // running tasks of the deployment
	Verified int      // of them, those whose every expected container runs its digest
	Unknown  int      // of them, those for which ECS tells no digest
	Wrong    []string // one line for each container that runs something else
}

// Verify compares the running tasks of d with the digests that are expected of
// their containers. want holds, by container name, every digest that stands for
// the image: that of the manifest, and for an index those of its platforms, since ECS
// reports one or the other. Containers that are not in want are not looked at.
func (c *Client) Verify(ctx context.Context, d Started, want map[string][]string) (Proof, error) {
	var proof Proof
	// startedBy must be the only filter: ListTasks refuses it beside serviceName.
	pages := ecs.NewListTasksPaginator(c.api, &ecs.ListTasksInput{
		Cluster:   aws.String(d.Service.Cluster),
		StartedBy: aws.String(d.ID),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return proof, during("list tasks of deployment "+d.ID, err)
		}
		for arns := range slices.Chunk(page.TaskArns, 100) { // DescribeTasks' limit
			out, err := c.api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(d.Service.Cluster), Tasks: arns})
			if err != nil {
				return proof, during("describe tasks of deployment "+d.ID, err)
			}
			for _, task := range out.Tasks {
				if aws.ToString(task.LastStatus) == "RUNNING" {
					proof.add(task, want)
				}
			}
		}
	}
	return proof, nil
}

func (p *Proof) add(task types.Task, want map[string][]string) {
	p.Tasks++
	known, right := true, true
	for _, container := range task.Containers {
		name, digest := aws.ToString(container.Name), aws.ToString(container.ImageDigest)
		digests, expected := want[name]
		switch {
		case !expected:
		case digest == "":
			known = false
		case !slices.Contains(digests, digest):
			right = false
			p.Wrong = append(p.Wrong, fmt.Sprintf("task %s, container %s: runs %s, expected %s",
				ShortARN(aws.ToString(task.TaskArn)), name, digest, strings.Join(digests, " or ")))
		}
	}
	switch {
	case !right:
	case !known:
		p.Unknown++
	default:
		p.Verified++
	}
}
