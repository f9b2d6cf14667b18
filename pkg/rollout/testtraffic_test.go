package rollout

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// TestRoute: under which address a test listener is reached, and where no single
// request is known to reach it.
func TestRoute(t *testing.T) {
	balancer := types.LoadBalancer{DNSName: aws.String("web-1.eu-west-1.elb.amazonaws.com"), Scheme: types.LoadBalancerSchemeEnumInternal}
	listener := func(protocol types.ProtocolEnum, port int32) types.Listener {
		return types.Listener{Protocol: protocol, Port: aws.Int32(port)}
	}
	rule := func(conditions ...types.RuleCondition) *types.Rule { return &types.Rule{Conditions: conditions} }
	host := func(values ...string) types.RuleCondition {
		return types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: values}}
	}
	header := types.RuleCondition{Field: aws.String("http-header"), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: aws.String("X-Test"), Values: []string{"green"}}}
	path := types.RuleCondition{Field: aws.String("path-pattern"), Values: []string{"/api/*"}}
	for _, tt := range []struct {
		name     string
		rule     *types.Rule
		listener types.Listener
		want     string // URL; empty is a mistake
		host     string
	}{
		{"a port of its own", nil, listener(types.ProtocolEnumHttp, 9000), "http://web-1.eu-west-1.elb.amazonaws.com:9000", ""},
		{"the usual port", rule(), listener(types.ProtocolEnumHttp, 80), "http://web-1.eu-west-1.elb.amazonaws.com", ""},
		{"a network load balancer", nil, listener(types.ProtocolEnumTcp, 8080), "http://web-1.eu-west-1.elb.amazonaws.com:8080", ""},
		{"a host", rule(host("*.example", "test.example"), header, path), listener(types.ProtocolEnumHttps, 443), "https://web-1.eu-west-1.elb.amazonaws.com", "test.example"},
		{"TLS for no name", nil, listener(types.ProtocolEnumHttps, 443), "", ""},
		{"hosts of a pattern only", rule(host("*.example")), listener(types.ProtocolEnumHttp, 80), "", ""},
		{"a host by a regular expression", rule(types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{RegexValues: []string{"^a"}}}), listener(types.ProtocolEnumHttp, 80), "", ""},
		{"certain sources", rule(types.RuleCondition{Field: aws.String("source-ip")}), listener(types.ProtocolEnumHttp, 80), "", ""},
		{"another protocol", nil, listener(types.ProtocolEnumUdp, 53), "", ""},
	} {
		got, err := routeFrom(tt.rule, tt.listener, balancer)
		if got.URL != tt.want || got.Host != tt.host || (err == nil) != (tt.want != "") || err != nil && !mistake.Is(err, mistake.SmokeTest) || err == nil && !got.Internal {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if tt.name == "a host" && (got.Headers["X-Test"] != "green" || !got.Fits("/api/health?a=b") || got.Fits("/health")) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"/", "/", true}, {"/*", "/", true}, {"/a/*/c", "/a/b/b/c", true}, {"/a?", "/ab", true}, {"*", "", true}, {"/a*", "/b", false}, {"/a", "/ab", false}, {"/ab", "/a", false}, {"", "", true},
	} {
		if got := matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q, %q: %v", tt.pattern, tt.text, got)
		}
	}
}

// TestUntilTest: the watch for test traffic ends when it has been shifted, and with
// nothing less.
func TestUntilTest(t *testing.T) {
	for i, stage := range Stages() {
		s := Snapshot{ID: "ecs-svc/2", Until: UntilTest, Record: &ecs.ServiceDeployment{Status: "IN_PROGRESS", Stage: stage}}
		want := i >= slices.Index(Stages(), "POST_TEST_TRAFFIC_SHIFT")
		if v := Judge(s); v.Outcome.Good() != want || s.HasTestTraffic() != want {
			t.Errorf("%s: %+v", stage, v)
		}
	}
	for status, want := range map[string]bool{"Pending": false, "InProgress": false, "Succeeded": true, "Failed": false, "Skipped": false} {
		s := Snapshot{ID: "d-2", Until: UntilTest, CodeDeploy: &CodeDeployRecord{Status: "InProgress", Lifecycle: []LifecycleEvent{{Name: "AllowTestTraffic", Status: status}}}}
		if v := Judge(s); v.Outcome.Good() != want || s.HasTestTraffic() != want {
			t.Errorf("%s: %+v", status, v)
		}
	}
}
