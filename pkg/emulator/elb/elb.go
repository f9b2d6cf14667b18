// Package elb is Elastic Load Balancing: the target groups that services name, the health of their tasks as targets, and the listeners that services
// and deployment groups name for their traffic. Each of them exists as long as somebody names it. Behind the listeners an application answers, so that
// it can be seen which revision the traffic is on.
//
// What it does not do: it balances nothing (the revision with most of the traffic gets all of the requests), its rules have no conditions, and it
// cannot be changed through its API.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
package elb

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecs"
)

// The pace of a new target, from when its task runs; it is healthy when the task is (healthyAfter).
const (
	registering  = 3 * time.Second
	firstChecked = 15 * time.Second // has failed often enough to be called unhealthy
)

// ELB is Elastic Load Balancing, as far as the target groups of ECS services go.
type ELB struct {
	*awsapi.Server
	ecs    *ecs.ECS
	others func() []ecs.Listener // that CodeDeploy's deployment groups name
}

// New is Elastic Load Balancing for the services of ecs. others are listeners that no service names.
func New(server *awsapi.Server, ecs *ecs.ECS, others func() []ecs.Listener) *ELB {
	e := &ELB{server, ecs, others}
	server.HandleQuery(e.service())
	return e
}

func (e *ELB) service() *awsapi.QueryService {
	return &awsapi.QueryService{
		Name: "elasticloadbalancing", Version: "2015-12-01", Namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
		Resource: func(url.Values) string { return "*" }, // none of these takes a resource in IAM
		Operations: map[string]func(*http.Request, url.Values) (any, error){
			"DescribeTargetHealth":          e.describeTargetHealth,
			"DescribeTargetGroups":          e.describeTargetGroups,
			"DescribeTargetGroupAttributes": e.describeTargetGroupAttributes,
			"DescribeRules":                 e.describeRules,
			"DescribeListeners":             e.describeListeners,
			"DescribeLoadBalancers":         e.describeLoadBalancers,
		},
	}
}

// elbParameters refuses parameters that an operation does not have.
func elbParameters(form url.Values, names ...string) error {
	for key := range form {
		name, _, _ := strings.Cut(key, ".")
		if name != "Action" && name != "Version" && !slices.Contains(names, name) {
			return awsapi.Errorf("ValidationError", "Unknown parameter %s", key)
		}
	}
	return nil
}

var targetGroupNotFound = awsapi.Errorf("TargetGroupNotFound", "One or more target groups not found")

// targetGroup is a target group with the port that its first service has behind it.
type targetGroup struct {
	arn  string
	port int
	kind string // ip, instance
	// delay is how long a target that leaves keeps its connections.
	delay time.Duration
}

// targetGroups lists the target groups of all services, in the order of their ARNs.
func (e *ELB) targetGroups() []targetGroup {
	var out []targetGroup
	add := func(arn string, lb awsapi.Object, s *ecs.Service) {
		if arn == "" || slices.ContainsFunc(out, func(g targetGroup) bool { return g.arn == arn }) {
			return
		}
		kind := "instance"
		if s.Doc.Has("networkConfiguration") {
			kind = "ip"
		}
		out = append(out, targetGroup{arn, lb.Number("containerPort", 80), kind, s.Drain()})
	}
	for _, cl := range e.ecs.Clusters {
		for _, s := range cl.Services {
			for _, lb := range s.Doc.Objects("loadBalancers") {
				add(lb.Str("targetGroupArn"), lb, s)
				add(lb.Object("advancedConfiguration").Str("alternateTargetGroupArn"), lb, s)
			}
			for _, d := range s.Deployments { // those of CodeDeploy's pairs
				for i, lb := range d.Revision.Settings.Objects("loadBalancers") {
					if i < len(d.Revision.Groups) {
						add(d.Revision.Groups[i], lb, s)
					}
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b targetGroup) int { return strings.Compare(a.arn, b.arn) })
	return out
}

type elbTarget struct {
	ID               string `xml:"Id"`
	Port             int    `xml:",omitempty"`
	AvailabilityZone string `xml:",omitempty"`
}

type elbHealth struct {
	State       string
	Reason      string `xml:",omitempty"`
	Description string `xml:",omitempty"`
}

type elbTargetHealth struct {
	Target          elbTarget
	HealthCheckPort string `xml:",omitempty"`
	TargetHealth    elbHealth
}

func (e *ELB) describeTargetHealth(_ *http.Request, form url.Values) (any, error) {
	if err := elbParameters(form, "TargetGroupArn", "Targets", "Include"); err != nil {
		return nil, err
	}
	arn := form.Get("TargetGroupArn")
	if arn == "" {
		return nil, awsapi.Errorf("ValidationError", "1 validation error detected: Value null at 'targetGroupArn' failed to satisfy constraint: Member must not be null")
	}
	if !strings.HasPrefix(arn, "arn:aws:elasticloadbalancing:") || !strings.Contains(arn, ":targetgroup/") {
		return nil, awsapi.Errorf("ValidationError", "'%s' is not a valid target group ARN", arn)
	}
	e.Mu.Lock()
	defer e.Mu.Unlock()
	now := time.Now()
	e.Advance(now)
	if !slices.ContainsFunc(e.targetGroups(), func(g targetGroup) bool { return g.arn == arn }) {
		return nil, targetGroupNotFound
	}
	all := e.targets(arn, now)
	if form.Has("Targets.member.1.Id") {
		all = chosen(all, form)
	}
	return struct {
		Targets []elbTargetHealth `xml:"TargetHealthDescriptions>member"`
	}{all}, nil
}

// chosen answers for the targets that the request names.
func chosen(all []elbTargetHealth, form url.Values) []elbTargetHealth {
	var out []elbTargetHealth
	for i := 1; form.Has(fmt.Sprintf("Targets.member.%d.Id", i)); i++ {
		id := form.Get(fmt.Sprintf("Targets.member.%d.Id", i))
		port, _ := strconv.Atoi(form.Get(fmt.Sprintf("Targets.member.%d.Port", i)))
		j := slices.IndexFunc(all, func(t elbTargetHealth) bool { return t.Target.ID == id && (port == 0 || t.Target.Port == port) })
		if j < 0 {
			out = append(out, elbTargetHealth{Target: elbTarget{ID: id, Port: port}, TargetHealth: elbHealth{"unused", "Target.NotRegistered", "Target is not registered to the target group"}})
			continue
		}
		out = append(out, all[j])
	}
	return out
}

// targets lists what is registered in a target group.
func (e *ELB) targets(group string, now time.Time) []elbTargetHealth {
	var out []elbTargetHealth
	for _, cl := range e.ecs.Clusters {
		for _, t := range cl.Tasks {
			if !t.Targeted || !slices.Contains(t.Revision.Groups, group) || t.Status != "RUNNING" && t.Status != "DEACTIVATING" {
				continue
			}
			target := elbTarget{ID: t.Address(), Port: t.Revision.Port(group), AvailabilityZone: e.Region() + "a"}
			if !t.AWSVPC() {
				target = elbTarget{ID: "i-0a1b2c3d4e5f60718", Port: 32_768 + t.Number%28_000}
			}
			out = append(out, elbTargetHealth{target, strconv.Itoa(target.Port), e.health(t, now)})
		}
	}
	return out
}

// health is what the load balancer says of a task.
func (e *ELB) health(t *ecs.Task, now time.Time) elbHealth {
	age := now.Sub(t.Started)
	switch {
	case t.Status == "DEACTIVATING":
		return elbHealth{"draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"}
	case t.Ready || age >= e.Scaled(ecs.HealthyAfter) && t.Fate.FailsOwnCheck():
		return elbHealth{State: "healthy"}
	case age < e.Scaled(registering):
		return elbHealth{"initial", "Elb.RegistrationInProgress", "Target registration is in progress"}
	case t.Fate.Unhealthy && age >= e.Scaled(firstChecked):
		f := t.Fate.Failing()
		return elbHealth{"unhealthy", f.Reason, f.Description}
	}
	return elbHealth{"initial", "Elb.InitialHealthChecking", "Initial health checks in progress"}
}

type elbGroup struct {
	TargetGroupArn             string
	TargetGroupName            string
	Protocol                   string
	Port                       int
	TargetType                 string
	VpcID                      string `xml:"VpcId"`
	HealthCheckEnabled         bool
	HealthCheckProtocol        string
	HealthCheckPort            string
	HealthCheckPath            string
	HealthCheckIntervalSeconds int
	HealthCheckTimeoutSeconds  int
	HealthyThresholdCount      int
	UnhealthyThresholdCount    int
	Codes                      string `xml:"Matcher>HttpCode"`
	ProtocolVersion            string
	IPAddressType              string `xml:"IpAddressType"`
}

func (e *ELB) describeTargetGroups(_ *http.Request, form url.Values) (any, error) {
	if err := elbParameters(form, "LoadBalancerArn", "TargetGroupArns", "Names", "Marker", "PageSize"); err != nil {
		return nil, err
	}
	arns, names := awsapi.Members(form, "TargetGroupArns"), awsapi.Members(form, "Names")
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Advance(time.Now())
	var out []elbGroup
	for _, g := range e.targetGroups() {
		name := ""
		if parts := strings.Split(g.arn, "/"); len(parts) == 3 {
			name = parts[1]
		}
		if len(arns) > 0 && !slices.Contains(arns, g.arn) || len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		out = append(out, elbGroup{
			TargetGroupArn: g.arn, TargetGroupName: name, Protocol: "HTTP", Port: g.port, TargetType: g.kind, VpcID: "vpc-0a1b2c3d",
			HealthCheckEnabled: true, HealthCheckProtocol: "HTTP", HealthCheckPort: "traffic-port", HealthCheckPath: "/health",
			HealthCheckIntervalSeconds: 10, HealthCheckTimeoutSeconds: 5, HealthyThresholdCount: 2, UnhealthyThresholdCount: 2,
			Codes: "200", ProtocolVersion: "HTTP1", IPAddressType: "ipv4",
		})
	}
	if len(out) < max(len(arns), len(names)) {
		return nil, targetGroupNotFound
	}
	return struct {
		Groups []elbGroup `xml:"TargetGroups>member"`
	}{out}, nil
}

type elbAttribute struct{ Key, Value string }

// describeTargetGroupAttributes answers with the attribute that decides how long a deployment takes.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroupAttributes.html
func (e *ELB) describeTargetGroupAttributes(_ *http.Request, form url.Values) (any, error) {
	if err := elbParameters(form, "TargetGroupArn"); err != nil {
		return nil, err
	}
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Advance(time.Now())
	for _, g := range e.targetGroups() {
		if g.arn == form.Get("TargetGroupArn") {
			return struct {
				Attributes []elbAttribute `xml:"Attributes>member"`
			}{[]elbAttribute{{"stickiness.enabled", "false"}, {"deregistration_delay.timeout_seconds", strconv.Itoa(int(g.delay.Seconds()))}}}, nil
		}
	}
	return nil, targetGroupNotFound
}
