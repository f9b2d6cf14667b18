package rollout

// What a target group is set to that makes a rollout take longer.

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Balancing are the settings of a target group. What is not known is zero.
type Balancing struct {
	Group string // ARN
	// Delay is how long a target that leaves keeps its connections.
	Delay time.Duration
	// Interval is the time between two health checks, Healthy how many have to pass.
	Interval time.Duration
	Healthy  int
}

// balancingLimit is how long the settings may take to be read: they only explain.
const balancingLimit = time.Second

// deregistration is the attribute that has the delay, in seconds.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
const deregistration = "deregistration_delay.timeout_seconds"

// Balancing reads the settings of a target group. What cannot be read is left out.
func (a AWS) Balancing(ctx context.Context, group string) Balancing {
	ctx, cancel := context.WithTimeout(ctx, balancingLimit)
	defer cancel()
	api := elasticloadbalancingv2.NewFromConfig(a.client.Config())
	b := Balancing{Group: group}
	var wait sync.WaitGroup
	wait.Go(func() {
		out, err := api.DescribeTargetGroupAttributes(ctx, &elasticloadbalancingv2.DescribeTargetGroupAttributesInput{TargetGroupArn: aws.String(group)})
		if err == nil {
			b.Delay = delayFrom(out.Attributes)
		}
	})
	var interval time.Duration
	var healthy int
	wait.Go(func() {
		out, err := api.DescribeTargetGroups(ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{TargetGroupArns: []string{group}})
		if err == nil && len(out.TargetGroups) == 1 {
			interval = time.Duration(max(aws.ToInt32(out.TargetGroups[0].HealthCheckIntervalSeconds), 0)) * time.Second
			healthy = int(max(aws.ToInt32(out.TargetGroups[0].HealthyThresholdCount), 0))
		}
	})
	wait.Wait()
	b.Interval, b.Healthy = interval, healthy
	return b
}

// delayFrom is the deregistration delay among the attributes of a target group.
func delayFrom(attributes []types.TargetGroupAttribute) time.Duration {
	for _, attribute := range attributes {
		if aws.ToString(attribute.Key) != deregistration {
			continue
		}
		if n, err := strconv.Atoi(aws.ToString(attribute.Value)); err == nil && n > 0 && n <= 3600 {
			return time.Duration(n) * time.Second
		}
	}
	return 0
}
