// What a service must have for its deployment strategy: the rules of ECS for deployment configurations and load balancers, in its own words where
// the developer guide quotes them.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshooting-blue-green.html

package ecs

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// maxBake is the longest bake time of a deployment or of a step, in minutes.
const maxBake = 1440

// deploymentConfiguration merges a change into a configuration and fills in the defaults of the controller.
func deploymentConfiguration(old, change awsapi.Object, controller string) (awsapi.Object, error) {
	invalid := func(format string, args ...any) (awsapi.Object, error) {
		return nil, awsapi.Errorf("InvalidParameterException", format, args...)
	}
	out := awsapi.CopyOf(old).With(awsapi.CopyOf(change))
	if controller == "EXTERNAL" {
		return out, nil
	}
	out.Fill("maximumPercent", 200)
	out.Fill("minimumHealthyPercent", 100)
	lower, upper := out.Number("minimumHealthyPercent", 100), out.Number("maximumPercent", 200)
	if lower < 0 || lower > 100 {
		return invalid("minimumHealthyPercent must be between 0 and 100.")
	}
	if upper < 100 || lower == 100 && upper == 100 {
		return invalid("The specified deployment configuration would prevent a deployment: maximumPercent must be greater than 100, or minimumHealthyPercent less than 100.")
	}
	if controller != "ECS" {
		switch {
		case out.Object("deploymentCircuitBreaker").Flag("enable"):
			return invalid("The deployment circuit breaker is only supported for services with the ECS deployment controller.")
		case out.Object("alarms").Flag("enable"):
			return invalid("Deployment alarms are only supported for services with the ECS deployment controller.")
		case out.Has("strategy") && out.Str("strategy") != "ROLLING":
			return invalid("The deployment strategy %s is only supported for services with the ECS deployment controller.", out.Str("strategy"))
		}
		return out, nil
	}
	out.Fill("deploymentCircuitBreaker", awsapi.Object{"enable": false, "rollback": false})
	out.Fill("strategy", "ROLLING")
	strategy := out.Str("strategy")
	if old.Has("strategy") && old.Str("strategy") != strategy { // what belonged to the strategy before goes with it
		for _, m := range []string{"canaryConfiguration", "linearConfiguration", "bakeTimeInMinutes", "lifecycleHooks", "earlySuccessCriteria"} {
			if !change.Has(m) {
				delete(out, m)
			}
		}
	}
	if strategy == "ROLLING" {
		out.Fill("bakeTimeInMinutes", 0)
	} else {
		out.Fill("bakeTimeInMinutes", 15)
	}
	if b := out.Number("bakeTimeInMinutes", 0); b < 0 || b > maxBake {
		return invalid("bakeTimeInMinutes must be between 0 and %d.", maxBake)
	}
	if err := checkEarlySuccess(out); err != nil {
		return nil, err
	}
	if a := out.Object("alarms"); a.Flag("enable") && len(a.List("alarmNames")) == 0 {
		return invalid("alarmNames cannot be empty when alarms are enabled.")
	}
	if err := checkSteps(out); err != nil {
		return nil, err
	}
	return out, checkHooks(out.Objects("lifecycleHooks"))
}

// checkSteps fills in and holds the rules for the traffic steps of a strategy.
func checkSteps(out awsapi.Object) error {
	invalid := func(format string, args ...any) error {
		return awsapi.Errorf("InvalidParameterException", format, args...)
	}
	for _, c := range []struct {
		strategy, member   string
		percent            string
		fewest             float64
		usual              json.Number
		minutes            string
		usualMinutesPerOne int
	}{
		{"CANARY", "canaryConfiguration", "canaryPercent", 0.1, "5.0", "canaryBakeTimeInMinutes", 10},
		{"LINEAR", "linearConfiguration", "stepPercent", 3, "10.0", "stepBakeTimeInMinutes", 6},
	} {
		if out.Str("strategy") != c.strategy {
			if out.Has(c.member) {
				return invalid("%s is only valid when the deployment strategy is %s.", c.member, c.strategy)
			}
			continue
		}
		steps := out.Object(c.member)
		if steps == nil {
			steps = awsapi.Object{}
			out[c.member] = steps
		}
		steps.Fill(c.percent, c.usual)
		steps.Fill(c.minutes, c.usualMinutesPerOne)
		if p := Decimal(steps[c.percent]); p < c.fewest || p > 100 || math.Abs(p*10-math.Round(p*10)) > 1e-6 {
			return invalid("%s must be a multiple of 0.1 between %.1f and 100.0.", c.percent, c.fewest)
		}
		if m := steps.Number(c.minutes, 0); m < 0 || m > maxBake {
			return invalid("%s must be between 0 and %d.", c.minutes, maxBake)
		}
	}
	return nil
}

// checkEarlySuccess holds the rules for the early success of rolling updates.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentEarlySuccessCriteria.html
func checkEarlySuccess(configuration awsapi.Object) error {
	criteria := configuration.Object("earlySuccessCriteria")
	if !criteria.Flag("enable") {
		return nil
	}
	invalid := func(format string, args ...any) error {
		return awsapi.Errorf("InvalidParameterException", format, args...)
	}
	percent := criteria.Number("healthyPercent", -1)
	switch {
	case configuration.Str("strategy") != "ROLLING":
		return invalid("earlySuccessCriteria is only valid when the deployment strategy is ROLLING.")
	case !criteria.Has("healthyPercent") || criteria.Str("sourceServiceRevisionCleanup") == "":
		return invalid("healthyPercent and sourceServiceRevisionCleanup are required when earlySuccessCriteria is enabled.")
	case percent < 0 || percent > 100:
		return invalid("healthyPercent must be between 0 and 100.")
	case percent < configuration.Number("minimumHealthyPercent", 100):
		return invalid("healthyPercent must be greater than or equal to minimumHealthyPercent.")
	}
	return nil
}

// maxHooks is how many hooks of a type a service may have.
const maxHooks = 10

func checkHooks(hooks []awsapi.Object) error {
	invalid := func(format string, args ...any) error {
		return awsapi.Errorf("InvalidParameterException", format, args...)
	}
	count := map[string]int{}
	for _, h := range hooks {
		kind := cmp.Or(h.Str("targetType"), "AWS_LAMBDA")
		if count[kind]++; count[kind] > maxHooks {
			return invalid("A service can have at most %d lifecycle hooks of the type %s.", maxHooks, kind)
		}
		if len(h.List("lifecycleStages")) == 0 {
			return invalid("lifecycleStages cannot be empty.")
		}
		switch {
		case kind == "PAUSE" && (h.Has("hookTargetArn") || h.Has("roleArn")):
			return invalid("hookTargetArn and roleArn are not allowed for Pause Hook")
		case kind == "PAUSE" && slices.ContainsFunc(h.Strings("lifecycleStages"), func(s string) bool { return s == scenario.TestShift || s == scenario.Shift }):
			return invalid("Invalid lifecycle stage provided for Pause Hook")
		case kind == "AWS_LAMBDA" && !strings.HasPrefix(h.Str("hookTargetArn"), "arn:"):
			return invalid("hookTargetArn is required for lifecycle hooks of the type AWS_LAMBDA")
		case kind == "AWS_LAMBDA" && !strings.HasPrefix(h.Str("roleArn"), "arn:"):
			return invalid("roleArn is required for lifecycle hooks of the type AWS_LAMBDA")
		}
	}
	return nil
}

// checkTraffic refuses load balancers with which a service's strategy cannot shift traffic. A service without any may have every strategy: its
// traffic is not managed then.
func checkTraffic(doc awsapi.Object) error {
	invalid := func(format string, args ...any) error {
		return awsapi.Errorf("InvalidParameterException", format, args...)
	}
	balancers := doc.Objects("loadBalancers")
	groups := map[string]bool{}
	advanced := 0
	for _, lb := range balancers {
		a := lb.Object("advancedConfiguration")
		if a != nil {
			advanced++
			if lb.Has("loadBalancerName") {
				return invalid("advancedConfiguration field is not allowed with ELBv1 loadBalancers")
			}
			for _, m := range []string{"alternateTargetGroupArn", "productionListenerRule", "roleArn"} {
				if a.Str(m) == "" {
					return invalid("%s is required in advancedConfiguration", m)
				}
			}
			for _, m := range []string{"productionListenerRule", "testListenerRule"} {
				if rule := a.Str(m); rule != "" && !strings.Contains(rule, ":listener-rule/") && !strings.Contains(rule, ":listener/net/") {
					return invalid("%s has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: %s", m, rule)
				}
			}
			if rule := a.Str("testListenerRule"); rule != "" && rule == a.Str("productionListenerRule") {
				return invalid("The following rules cannot be used as both production and test listener rules: %s", rule)
			}
		}
		for _, g := range []string{lb.Str("targetGroupArn"), a.Str("alternateTargetGroupArn")} {
			if g == "" {
				continue
			}
			if groups[g] && a != nil {
				return invalid("Duplicate targetGroupArn found: %s", g)
			}
			groups[g] = true
		}
	}
	if advanced > 0 && advanced < len(balancers) {
		return invalid("Either all or none of the provided loadBalancers must have advancedConfiguration defined")
	}
	if strategy := doc.Object("deploymentConfiguration").Str("strategy"); strategy != "" && strategy != "ROLLING" && advanced < len(balancers) {
		return invalid("advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy")
	}
	return nil
}

// Decimal reads a number with digits behind the point; 0 where it is none.
func Decimal(v any) float64 {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return 0
		}
		return f
	case float64:
		return v
	case int:
		return float64(v)
	}
	return 0
}
