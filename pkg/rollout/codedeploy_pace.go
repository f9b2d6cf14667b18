package rollout

// How long CodeDeploy takes because it is configured to: the steps of a deployment
// configuration and how long the previous task set is kept.

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"

	"ecsdeploy/pkg/ecs"
)

// Pace is how long a controller takes because it is configured to.
type Pace struct {
	Steps time.Duration // until all traffic is shifted
	Keep  time.Duration // of the previous tasks after that
	// Unread is why the steps are not known, of the configuration of that name; nil
	// where they are.
	Unread        error
	Configuration string
}

// Pace is the group's.
func (c *codeDeploy) Pace() Pace { return c.group.pace }

// predefined is the name of a deployment configuration of CodeDeploy's own:
// CodeDeployDefault.ECSLinear10PercentEvery3Minutes, …ECSCanary10Percent15Minutes.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
var predefined = regexp.MustCompile(`^CodeDeployDefault\.ECS(Linear|Canary)(\d{1,3})Percent(?:Every)?(\d{1,4})Minutes?$`)

// stepsOf is how long the steps of a predefined configuration take; 0 for others.
func stepsOf(configuration string) time.Duration {
	m := predefined.FindStringSubmatch(configuration)
	if m == nil {
		return 0
	}
	percent, _ := strconv.Atoi(m[2])
	minutes, _ := strconv.Atoi(m[3])
	every := time.Duration(minutes) * time.Minute
	if m[1] == "Canary" || percent == 0 {
		return every
	}
	return time.Duration((100+percent-1)/percent-1) * every
}

// ownSteps is how long the steps of a configuration take that somebody made.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_TrafficRoutingConfig.html
func ownSteps(c *types.TrafficRoutingConfig) time.Duration {
	minutes := func(n int32) time.Duration { return time.Duration(max(n, 0)) * time.Minute }
	switch {
	case c == nil:
		return 0
	case c.TimeBasedCanary != nil:
		return minutes(c.TimeBasedCanary.CanaryInterval)
	case c.TimeBasedLinear != nil && c.TimeBasedLinear.LinearPercentage > 0 && c.TimeBasedLinear.LinearPercentage <= 100:
		percent := int(c.TimeBasedLinear.LinearPercentage)
		return time.Duration((100+percent-1)/percent-1) * minutes(c.TimeBasedLinear.LinearInterval)
	}
	return 0
}

// readPace reads the steps of a group's configuration where that is none of
// CodeDeploy's own, whose names tell. That they cannot be read is no reason not to
// deploy.
func readPace(ctx context.Context, api *codedeploy.Client, p Pace) Pace {
	if p.Configuration == "" || strings.HasPrefix(p.Configuration, "CodeDeployDefault.") {
		return p
	}
	out, err := api.GetDeploymentConfig(ctx, &codedeploy.GetDeploymentConfigInput{DeploymentConfigName: aws.String(p.Configuration)}, patiently)
	switch {
	case err != nil:
		p.Unread = ecs.During("read the CodeDeploy configuration "+p.Configuration, err)
	case out.DeploymentConfigInfo != nil:
		p.Steps = ownSteps(out.DeploymentConfigInfo.TrafficRoutingConfig)
	}
	return p
}

// paceFrom reads the waits of a group.
func paceFrom(info types.DeploymentGroupInfo) Pace {
	p := Pace{Configuration: aws.ToString(info.DeploymentConfigName)}
	p.Steps = stepsOf(p.Configuration)
	if b := info.BlueGreenDeploymentConfiguration; b != nil && b.TerminateBlueInstancesOnDeploymentSuccess != nil {
		if t := b.TerminateBlueInstancesOnDeploymentSuccess; t.Action != types.InstanceActionKeepAlive {
			p.Keep = time.Duration(max(t.TerminationWaitTimeInMinutes, 0)) * time.Minute
		}
	}
	return p
}
