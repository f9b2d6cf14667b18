package ecs

// What a cluster or service that does not exist may have been meant to be.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/mistake"
)

func (c *Client) noCluster(ctx context.Context, cluster string, err error) error {
	m := mistake.New(mistake.Cluster, "check cluster and region", "there is no cluster %q in %s", cluster, c.Region())
	m.Absent = true
	if containsFold(err.Error(), "inactive") {
		m.Text = fmt.Sprintf("cluster %q in %s is inactive: it was deleted", cluster, c.Region())
	}
	c.offer(ctx, m, "clusters in "+c.Region(), cluster, func(ctx context.Context, token string) (page[string], error) {
		out, err := call(ctx, "list clusters", courtesy, c.api.ListClusters, &ecs.ListClustersInput{NextToken: optionalToken(token)})
		if err != nil {
			return page[string]{}, err
		}
		return page[string]{out.ClusterArns, aws.ToString(out.NextToken)}, nil
	})
	return m
}

func (c *Client) noService(ctx context.Context, cluster, name string) error {
	m := mistake.New(mistake.Service, "check service, cluster and region", "there is no service %q in cluster %s (%s)", name, ShortARN(cluster), c.Region())
	m.Absent = true
	c.offer(ctx, m, "services in cluster "+ShortARN(cluster), name, func(ctx context.Context, token string) (page[string], error) {
		out, err := call(ctx, "list services", courtesy, c.api.ListServices, &ecs.ListServicesInput{
			Cluster: aws.String(cluster), MaxResults: aws.Int32(100), NextToken: optionalToken(token),
		})
		if err != nil {
			return page[string]{}, err
		}
		return page[string]{out.ServiceArns, aws.ToString(out.NextToken)}, nil
	})
	return m
}

// offer makes the names of a list the mistake's hint. Where the list cannot be
// read, the hint stays: a courtesy must not hide the mistake.
func (c *Client) offer(ctx context.Context, m *mistake.Error, what, wanted string, read func(context.Context, string) (page[string], error)) {
	ctx, cancel := context.WithTimeout(ctx, courtesy.budget)
	defer cancel()
	failed := false
	found := names(ctx, pages(what, "", func(token string) (page[string], error) {
		p, err := read(ctx, token)
		failed = failed || err != nil
		return p, err
	}))
	if !failed && ctx.Err() == nil {
		m.Advice = similar(what, ShortARN(wanted), found)
	}
}

// offered is how many names an error suggests: enough to notice a misspelled
// one, few enough for one line.
const offered = 8

// similar lists the names behind arns, those that resemble wanted first.
func similar(what, wanted string, arns []string) string {
	if len(arns) == 0 {
		return "there are no " + what
	}
	names := make([]string, len(arns))
	for i, arn := range arns {
		names[i] = ShortARN(arn)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(sharedPrefix(b, wanted)-sharedPrefix(a, wanted), strings.Compare(a, b))
	})
	if more := len(names) - offered; more > 0 {
		names = append(names[:offered], fmt.Sprintf("and %d more", more))
	}
	return what + ": " + strings.Join(names, ", ")
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n]|0x20 == b[n]|0x20 {
		n++
	}
	return n
}
