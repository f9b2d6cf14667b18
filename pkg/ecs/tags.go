package ecs

// Tags of task definition revisions, which may change after a revision was
// registered, unlike everything else of it.

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Tag puts a tag on a revision, by its ARN. A tag of that key is replaced.
func (c *Client) Tag(ctx context.Context, revision, key, value string) error {
	c.forget(revision)
	_, err := call(ctx, "tag "+ShortARN(revision), needed, c.api.TagResource, &ecs.TagResourceInput{
		ResourceArn: aws.String(revision),
		Tags:        []types.Tag{{Key: aws.String(key), Value: aws.String(value)}},
	})
	return err
}

// Untag removes a tag from a revision, by its ARN. One that is not there is no
// error.
func (c *Client) Untag(ctx context.Context, revision, key string) error {
	c.forget(revision)
	_, err := call(ctx, "remove a tag of "+ShortARN(revision), needed, c.api.UntagResource, &ecs.UntagResourceInput{
		ResourceArn: aws.String(revision), TagKeys: []string{key},
	})
	return err
}

// forget has a revision read again when it is asked for next.
func (c *Client) forget(revision string) {
	c.mu.Lock()
	delete(c.definitions, revision)
	c.mu.Unlock()
}
