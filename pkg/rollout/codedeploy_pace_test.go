package rollout

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
)

func TestPace(t *testing.T) {
	for name, want := range map[string]time.Duration{
		"CodeDeployDefault.ECSLinear10PercentEvery1Minutes": 9 * time.Minute,
		"CodeDeployDefault.ECSLinear10PercentEvery3Minutes": 27 * time.Minute,
		"CodeDeployDefault.ECSCanary10Percent5Minutes":      5 * time.Minute,
		"CodeDeployDefault.ECSCanary10Percent15Minutes":     15 * time.Minute,
		"CodeDeployDefault.ECSAllAtOnce":                    0,
		"Custom.ECSLinear10PercentEvery1Minutes":            0,
		"CodeDeployDefault.ECSLinear0PercentEvery1Minutes":  time.Minute,
		"": 0,
	} {
		if got := stepsOf(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, tt := range []struct {
		config *types.TrafficRoutingConfig
		want   time.Duration
	}{
		{nil, 0},
		{&types.TrafficRoutingConfig{Type: types.TrafficRoutingTypeAllAtOnce}, 0},
		{&types.TrafficRoutingConfig{TimeBasedCanary: &types.TimeBasedCanary{CanaryPercentage: 20, CanaryInterval: 45}}, 45 * time.Minute},
		{&types.TrafficRoutingConfig{TimeBasedLinear: &types.TimeBasedLinear{LinearPercentage: 30, LinearInterval: 10}}, 30 * time.Minute},
		{&types.TrafficRoutingConfig{TimeBasedLinear: &types.TimeBasedLinear{LinearInterval: 10}}, 0},
		{&types.TrafficRoutingConfig{TimeBasedCanary: &types.TimeBasedCanary{CanaryInterval: -1}}, 0},
	} {
		if got := ownSteps(tt.config); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.config, got, tt.want)
		}
	}
	info := types.DeploymentGroupInfo{BlueGreenDeploymentConfiguration: &types.BlueGreenDeploymentConfiguration{
		TerminateBlueInstancesOnDeploymentSuccess: &types.BlueInstanceTerminationOption{Action: types.InstanceActionTerminate, TerminationWaitTimeInMinutes: 60},
	}}
	if got := paceFrom(info); got.Keep != time.Hour {
		t.Errorf("keeps %v", got.Keep)
	}
	info.BlueGreenDeploymentConfiguration.TerminateBlueInstancesOnDeploymentSuccess.Action = types.InstanceActionKeepAlive
	info.DeploymentConfigName = aws.String("CodeDeployDefault.ECSCanary10Percent5Minutes")
	if got := paceFrom(info); got.Keep != 0 || got.Steps != 5*time.Minute {
		t.Errorf("%+v", got)
	}
}
