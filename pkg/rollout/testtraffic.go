package rollout

// Test traffic: when it is on the new revision, and under which address it goes
// there.

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// testable is the first lifecycle stage at which test traffic is on the new
// revision.
const testable = "POST_TEST_TRAFFIC_SHIFT"

// Tested reports whether the new revision has test traffic at a lifecycle stage, or
// has had it. A stage that is not known is none.
func Tested(stage string) bool { return reached(stage, testable) }

// HasTestTraffic reports whether test traffic is on the new revision, where the
// service has any.
func (s Snapshot) HasTestTraffic() bool {
	if s.CodeDeploy != nil {
		return s.CodeDeploy.tested() || s.CodeDeploy.waits()
	}
	return s.Record != nil && Tested(s.Record.Stage)
}

// tested reports whether CodeDeploy has shifted the test traffic.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html
func (d CodeDeployRecord) tested() bool {
	return slices.ContainsFunc(d.Lifecycle, func(e LifecycleEvent) bool { return e.Name == "AllowTestTraffic" && e.Status == "Succeeded" })
}

// TestListener is the ARN of the listener rule, or of the listener of a Network Load
// Balancer, that takes the service's test traffic; empty where there is none.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AdvancedConfiguration.html
func (c *ecsController) TestListener() string {
	for _, lb := range c.first.Described.LoadBalancers {
		if a := lb.AdvancedConfiguration; a != nil && aws.ToString(a.TestListenerRule) != "" {
			return *a.TestListenerRule
		}
	}
	return ""
}

// Holds reports whether a deployment waits for an answer while test traffic is on
// the new revision, or later.
func (c *ecsController) Holds() bool {
	return slices.ContainsFunc(c.first.Strategy.Pauses, func(p ecs.Pause) bool { return slices.ContainsFunc(p.Stages, Tested) })
}

// TestListener is the ARN of the listener that takes the service's test traffic;
// empty where there is none.
func (c *codeDeploy) TestListener() string { return c.group.testListener }

// Holds reports whether a deployment waits to be told to shift the traffic.
func (c *codeDeploy) Holds() bool { return c.group.holds }

// Route is the address under which a listener is reached.
type Route struct {
	URL     string            // scheme, host and port
	Host    string            // that requests have to name; empty is the URL's
	Headers map[string]string // that requests have to have
	Paths   []string          // patterns of which one has to fit; none is any path
	// Internal is set where the load balancer can be reached from its own network only.
	Internal bool
}

// Fits reports whether a path leads to the route.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#path-conditions
func (r Route) Fits(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(pattern string) bool { return matches(pattern, path) })
}

// matches reports whether text fits a pattern in which * stands for any characters
// and ? for exactly one.
func matches(pattern, text string) bool {
	star, mark := -1, 0
	p := 0
	for i := 0; i < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Route reads the address under which a listener is reached, or the listener of a
// rule. What cannot be reached by one address is a mistake.
func (a AWS) Route(ctx context.Context, arn string) (Route, error) {
	api := elasticloadbalancingv2.NewFromConfig(a.client.Config())
	var rule *types.Rule
	listenerARN := arn
	if before, after, is := strings.Cut(arn, ":listener-rule/"); is {
		out, err := api.DescribeRules(ctx, &elasticloadbalancingv2.DescribeRulesInput{RuleArns: []string{arn}})
		if err != nil {
			return Route{}, ecs.During("read the test listener's rule", err)
		}
		if len(out.Rules) == 0 {
			return Route{}, unlisted("rule " + arn)
		}
		rule = &out.Rules[0]
		listenerARN = before + ":listener/" + after[:max(strings.LastIndexByte(after, '/'), 0)]
	}
	listeners, err := api.DescribeListeners(ctx, &elasticloadbalancingv2.DescribeListenersInput{ListenerArns: []string{listenerARN}})
	if err != nil {
		return Route{}, ecs.During("read the test listener", err)
	}
	if len(listeners.Listeners) == 0 {
		return Route{}, unlisted("listener " + listenerARN)
	}
	listener := listeners.Listeners[0]
	balancers, err := api.DescribeLoadBalancers(ctx, &elasticloadbalancingv2.DescribeLoadBalancersInput{LoadBalancerArns: []string{aws.ToString(listener.LoadBalancerArn)}})
	if err != nil {
		return Route{}, ecs.During("read the load balancer of the test listener", err)
	}
	if len(balancers.LoadBalancers) == 0 || aws.ToString(balancers.LoadBalancers[0].DNSName) == "" {
		return Route{}, unlisted("load balancer " + aws.ToString(listener.LoadBalancerArn))
	}
	return routeFrom(rule, listener, balancers.LoadBalancers[0])
}

const writeOut = "write the whole URL in smokeTest"

func unlisted(what string) error {
	return mistake.New(mistake.SmokeTest, writeOut, "the %s of the test traffic does not exist", what)
}

// routeFrom is the address that a listener and the rule in it, which may be nil,
// come to.
func routeFrom(rule *types.Rule, listener types.Listener, balancer types.LoadBalancer) (Route, error) {
	r := Route{Internal: balancer.Scheme == types.LoadBalancerSchemeEnumInternal, Headers: map[string]string{}}
	if rule != nil {
		if err := r.follow(rule.Conditions); err != nil {
			return Route{}, err
		}
	}
	scheme := "http"
	switch listener.Protocol {
	case types.ProtocolEnumHttps, types.ProtocolEnumTls:
		scheme = "https"
		if r.Host == "" {
			return Route{}, mistake.New(mistake.SmokeTest, writeOut+", with the name that the certificate is for",
				"the test listener speaks TLS, and no certificate is for the load balancer's own name %s", aws.ToString(balancer.DNSName))
		}
	case types.ProtocolEnumHttp, types.ProtocolEnumTcp:
	default:
		return Route{}, mistake.New(mistake.SmokeTest, writeOut+", or run a command instead", "the test listener speaks %s, and no HTTP", listener.Protocol)
	}
	r.URL = scheme + "://" + aws.ToString(balancer.DNSName)
	if port := int(aws.ToInt32(listener.Port)); port != map[string]int{"http": 80, "https": 443}[scheme] {
		r.URL = scheme + "://" + net.JoinHostPort(aws.ToString(balancer.DNSName), strconv.Itoa(port))
	}
	return r, nil
}

// follow makes a request fit the conditions of a rule, where one request can.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
func (r *Route) follow(conditions []types.RuleCondition) error {
	for _, c := range conditions {
		values, fits := c.Values, len(c.RegexValues) == 0
		switch aws.ToString(c.Field) {
		case "host-header":
			if c.HostHeaderConfig != nil {
				values, fits = c.HostHeaderConfig.Values, fits && len(c.HostHeaderConfig.RegexValues) == 0
			}
			if r.Host, fits = literal(values, fits); fits {
				continue
			}
		case "http-header":
			if h := c.HttpHeaderConfig; h != nil {
				var value string
				if value, fits = literal(h.Values, fits && len(h.RegexValues) == 0); fits {
					r.Headers[aws.ToString(h.HttpHeaderName)] = value
					continue
				}
			}
		case "path-pattern":
			if c.PathPatternConfig != nil {
				values, fits = c.PathPatternConfig.Values, fits && len(c.PathPatternConfig.RegexValues) == 0
			}
			if fits && len(values) > 0 {
				r.Paths = values
				continue
			}
		case "http-request-method":
			if m := c.HttpRequestMethodConfig; m != nil && slices.Contains(m.Values, "GET") {
				continue
			}
		}
		return mistake.New(mistake.SmokeTest, writeOut+", or run a command instead",
			"the rule of the test listener has a condition (%s) that no request of a path alone is known to fit", aws.ToString(c.Field))
	}
	return nil
}

// literal is the first value that stands for itself.
func literal(values []string, may bool) (string, bool) {
	for _, v := range values {
		if may && v != "" && !strings.ContainsAny(v, "*?") {
			return v, true
		}
	}
	return "", false
}

// testListenerOf is the listener of a deployment group's test traffic.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_TargetGroupPairInfo.html
func testListenerOf(listeners []string) string {
	if len(listeners) == 0 {
		return ""
	}
	return listeners[0]
}

// String is the route as people read it.
func (r Route) String() string {
	if r.Host == "" {
		return r.URL
	}
	return fmt.Sprintf("%s (host %s)", r.URL, r.Host)
}
