// Elastic Load Balancing: the target groups that services name, and the health of their tasks as targets. A target group exists as long as a
// service names it; load balancers and listeners are not there.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html

package emulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The pace of a new target, from when its task runs; it is healthy when the task is (healthyAfter).
const (
	registering  = 3 * time.Second
	firstChecked = 15 * time.Second // has failed often enough to be called unhealthy
)

// ELB is Elastic Load Balancing, as far as the target groups of ECS services go.
type ELB struct {
	*Server
	ecs *ECS
}

func newELB(server *Server, ecs *ECS) *ELB {
	e := &ELB{server, ecs}
	server.handleQuery(e.service())
	return e
}

func (e *ELB) service() *queryService {
	return &queryService{
		name: "elasticloadbalancing", version: "2015-12-01", namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
		resource: func(url.Values) string { return "*" }, // these two take no resource in IAM
		operations: map[string]func(*http.Request, url.Values) (any, error){
			"DescribeTargetHealth": e.describeTargetHealth,
			"DescribeTargetGroups": e.describeTargetGroups,
		},
	}
}

// elbParameters refuses parameters that an operation does not have.
func elbParameters(form url.Values, names ...string) error {
	for key := range form {
		name, _, _ := strings.Cut(key, ".")
		if name != "Action" && name != "Version" && !slices.Contains(names, name) {
			return apiErrorf("ValidationError", "Unknown parameter %s", key)
		}
	}
	return nil
}

var targetGroupNotFound = apiErrorf("TargetGroupNotFound", "One or more target groups not found")

// targetGroup is a target group with the port that its first service has behind it.
type targetGroup struct {
	arn  string
	port int
	kind string // ip, instance
}

// targetGroups lists the target groups of all services, in the order of their ARNs.
func (e *ELB) targetGroups() []targetGroup {
	var out []targetGroup
	add := func(arn string, lb object, s *service) {
		if arn == "" || slices.ContainsFunc(out, func(g targetGroup) bool { return g.arn == arn }) {
			return
		}
		kind := "instance"
		if s.doc.has("networkConfiguration") {
			kind = "ip"
		}
		out = append(out, targetGroup{arn, lb.number("containerPort", 80), kind})
	}
	for _, cl := range e.ecs.clusters {
		for _, s := range cl.services {
			for _, lb := range s.doc.objects("loadBalancers") {
				add(lb.str("targetGroupArn"), lb, s)
				add(lb.object("advancedConfiguration").str("alternateTargetGroupArn"), lb, s)
			}
			for _, d := range s.deployments { // those of CodeDeploy's pairs
				for i, lb := range d.revision.settings.objects("loadBalancers") {
					if i < len(d.revision.groups) {
						add(d.revision.groups[i], lb, s)
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
		return nil, apiErrorf("ValidationError", "1 validation error detected: Value null at 'targetGroupArn' failed to satisfy constraint: Member must not be null")
	}
	if !strings.HasPrefix(arn, "arn:aws:elasticloadbalancing:") || !strings.Contains(arn, ":targetgroup/") {
		return nil, apiErrorf("ValidationError", "'%s' is not a valid target group ARN", arn)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.advance(now)
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
	for _, cl := range e.ecs.clusters {
		for _, t := range cl.tasks {
			if !t.targeted || !slices.Contains(t.revision.groups, group) || t.status != "RUNNING" && t.status != "DEACTIVATING" {
				continue
			}
			target := elbTarget{ID: t.address(), Port: t.revision.port(group), AvailabilityZone: e.Region() + "a"}
			if !t.awsvpc() {
				target = elbTarget{ID: "i-0a1b2c3d4e5f60718", Port: 32_768 + t.number%28_000}
			}
			out = append(out, elbTargetHealth{target, strconv.Itoa(target.Port), e.health(t, now)})
		}
	}
	return out
}

// health is what the load balancer says of a task.
func (e *ELB) health(t *task, now time.Time) elbHealth {
	age := now.Sub(t.started)
	switch {
	case t.status == "DEACTIVATING":
		return elbHealth{"draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"}
	case t.ready || age >= e.scaled(healthyAfter) && t.fate.containerCheck():
		return elbHealth{State: "healthy"}
	case age < e.scaled(registering):
		return elbHealth{"initial", "Elb.RegistrationInProgress", "Target registration is in progress"}
	case t.fate.Unhealthy && age >= e.scaled(firstChecked):
		f := t.fate.failing()
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
	arns, names := members(form, "TargetGroupArns"), members(form, "Names")
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(time.Now())
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
