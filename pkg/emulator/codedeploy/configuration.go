// Deployment configurations: CodeDeploy's own, and those that somebody made.

package codedeploy

import (
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

// configuration is a deployment configuration that somebody made.
type configuration struct {
	name, id string
	routing  awsapi.Object
	created  time.Time
}

// configuration returns the one of that name; nil where there is none.
func (e *CodeDeploy) configuration(name string) *configuration {
	for _, c := range e.configurations {
		if c.name == name {
			return c
		}
	}
	return nil
}

// routing returns how a deployment configuration shifts traffic, or nil where there is none of that name.
func (e *CodeDeploy) routing(name string) *trafficRouting {
	if c := e.configuration(name); c != nil {
		return c.steps()
	}
	return routing(name)
}

// steps are those of a routing that somebody chose.
func (c *configuration) steps() *trafficRouting {
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	switch canary, linear := c.routing.Object("timeBasedCanary"), c.routing.Object("timeBasedLinear"); {
	case canary != nil:
		return &trafficRouting{[]float64{float64(canary.Number("canaryPercentage", 0)), 100}, minutes(canary.Number("canaryInterval", 0))}
	case linear != nil:
		r := &trafficRouting{every: minutes(linear.Number("linearInterval", 0))}
		for p := linear.Number("linearPercentage", 100); p < 100; p += linear.Number("linearPercentage", 100) {
			r.steps = append(r.steps, float64(p))
		}
		r.steps = append(r.steps, 100)
		return r
	}
	return &trafficRouting{steps: []float64{100}}
}

// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_CreateDeploymentConfig.html
func (e *CodeDeploy) createDeploymentConfig(c *awsapi.Invocation) (awsapi.Object, error) {
	name, traffic := c.In.Str("deploymentConfigName"), c.In.Object("trafficRoutingConfig")
	if e.routing(name) != nil {
		return nil, awsapi.Errorf("DeploymentConfigAlreadyExistsException", "Deployment config already exists with the name: %s", name)
	}
	if c.In.Str("computePlatform") != "ECS" {
		return nil, awsapi.Errorf("InvalidComputePlatformException", "The emulator has deployment configurations of the compute platform ECS only.")
	}
	member, percentage, interval := "timeBasedCanary", "canaryPercentage", "canaryInterval"
	switch traffic.Str("type") {
	case "TimeBasedLinear":
		member, percentage, interval = "timeBasedLinear", "linearPercentage", "linearInterval"
	case "TimeBasedCanary":
	case "AllAtOnce":
		member = ""
	default:
		return nil, awsapi.Errorf("InvalidTrafficRoutingConfigurationException", "The configuration that specifies how traffic is routed during a deployment is invalid.")
	}
	if steps := traffic.Object(member); member != "" && (steps.Number(percentage, 0) < 1 || steps.Number(percentage, 0) > 99 || steps.Number(interval, 0) < 1) {
		return nil, awsapi.Errorf("InvalidTrafficRoutingConfigurationException", "The configuration that specifies how traffic is routed during a deployment is invalid.")
	}
	made := &configuration{name: name, id: e.ID(awsapi.UUID), routing: awsapi.CopyOf(traffic), created: c.Now}
	e.configurations = append(e.configurations, made)
	return awsapi.Object{"deploymentConfigId": made.id}, nil
}

// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_GetDeploymentConfig.html
func (e *CodeDeploy) getDeploymentConfig(c *awsapi.Invocation) (awsapi.Object, error) {
	name := c.In.Str("deploymentConfigName")
	made := e.configuration(name)
	if made == nil {
		return nil, awsapi.Errorf("DeploymentConfigDoesNotExistException", "No deployment configuration found for name: %s", name)
	}
	return awsapi.Object{"deploymentConfigInfo": awsapi.Object{
		"deploymentConfigId": made.id, "deploymentConfigName": made.name, "computePlatform": "ECS", "createTime": awsapi.Epoch(made.created), "trafficRoutingConfig": made.routing,
	}}, nil
}
