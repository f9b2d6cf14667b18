package rollout

// How long CodeDeploy takes because it is configured to: the steps of a deployment
// configuration and how long the previous task set is kept.

import (
	"regexp"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
)

// Pace is how long a controller takes because it is configured to.
type Pace struct {
	Steps time.Duration // until all traffic is shifted
	Keep  time.Duration // of the previous tasks after that
}

// Pace is the group's. Steps of a configuration that people made are not known.
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

// paceFrom reads the waits of a group.
func paceFrom(info types.DeploymentGroupInfo) Pace {
	p := Pace{Steps: stepsOf(aws.ToString(info.DeploymentConfigName))}
	if b := info.BlueGreenDeploymentConfiguration; b != nil && b.TerminateBlueInstancesOnDeploymentSuccess != nil {
		if t := b.TerminateBlueInstancesOnDeploymentSuccess; t.Action != types.InstanceActionKeepAlive {
			p.Keep = time.Duration(max(t.TerminationWaitTimeInMinutes, 0)) * time.Minute
		}
	}
	return p
}
