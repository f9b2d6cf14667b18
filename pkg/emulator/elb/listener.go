// Load balancers, listeners and rules, as far as services and CodeDeploy's deployment groups name them, and what answers behind them: an
// application whose page is the image of the revision that the traffic is on.

package elb

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecs"
	"ecsdeploy/pkg/emulator/scenario"
)

// The ports of listeners: of production traffic, and of test traffic.
const (
	productionPort = 80
	testPort       = 9000
)

// Listener is a listener, or a rule of one, that somebody has named for the traffic of a service.
type Listener ecs.Listener

// listeners are those of all services, and of whom the deployment groups are.
func (e *ELB) listeners() []Listener {
	var out []Listener
	for _, l := range e.others() {
		out = append(out, Listener(l))
	}
	for _, cl := range e.ecs.Clusters {
		for _, s := range cl.Services {
			for _, lb := range s.Doc.Objects("loadBalancers") {
				a := lb.Object("advancedConfiguration")
				for _, l := range []Listener{{a.Str("productionListenerRule"), s, false}, {a.Str("testListenerRule"), s, true}} {
					if l.ARN != "" {
						out = append(out, l)
					}
				}
			}
		}
	}
	return out
}

// of is the ARN of the listener, of which a rule may be named.
func (l Listener) of() string {
	before, after, is := strings.Cut(l.ARN, ":listener-rule/")
	if !is {
		return l.ARN
	}
	return before + ":listener/" + after[:strings.LastIndexByte(after, '/')]
}

// balancer is the ARN of the listener's load balancer, and the name in it.
func (l Listener) balancer() (arn, name string) {
	before, after, _ := strings.Cut(l.of(), ":listener/")
	after = after[:strings.LastIndexByte(after, '/')]
	parts := strings.Split(after, "/")
	return before + ":loadbalancer/" + after, parts[min(1, len(parts)-1)]
}

func (l Listener) port() int {
	if l.Test {
		return testPort
	}
	return productionPort
}

// dnsName is the name of a load balancer in DNS.
func (e *ELB) dnsName(name string) string {
	return fmt.Sprintf("%s-1234567890.%s%s", name, e.Region(), domain)
}

const domain = ".elb.amazonaws.com"

type elbRule struct {
	RuleArn   string
	Priority  string
	IsDefault bool
}

type elbListener struct {
	ListenerArn     string
	LoadBalancerArn string
	Port            int
	Protocol        string
}

type elbBalancer struct {
	LoadBalancerArn  string
	LoadBalancerName string
	DNSName          string
	Scheme           string
	Type             string
	VpcID            string `xml:"VpcId"`
}

// described is what a request asks for of all listeners: by the ARNs that it names, or all; each once.
func (e *ELB) described(form url.Values, parameter string, arnOf func(Listener) string, code, message string) ([]Listener, error) {
	arns := awsapi.Members(form, parameter)
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Advance(time.Now())
	var out []Listener
	for _, l := range e.listeners() {
		known := slices.ContainsFunc(out, func(o Listener) bool { return arnOf(o) == arnOf(l) })
		if !known && (len(arns) == 0 || slices.Contains(arns, arnOf(l))) {
			out = append(out, l)
		}
	}
	if len(out) < len(arns) {
		return nil, awsapi.Errorf(code, "%s", message)
	}
	return out, nil
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeRules.html
func (e *ELB) describeRules(_ *http.Request, form url.Values) (any, error) {
	if err := elbParameters(form, "ListenerArn", "RuleArns", "Marker", "PageSize"); err != nil {
		return nil, err
	}
	if (form.Get("ListenerArn") == "") == (len(awsapi.Members(form, "RuleArns")) == 0) {
		return nil, awsapi.Errorf("ValidationError", "You must specify either listener ARN or rule ARNs")
	}
	found, err := e.described(form, "RuleArns", func(l Listener) string { return l.ARN }, "RuleNotFound", "One or more rules not found")
	if err != nil {
		return nil, err
	}
	var rules []elbRule
	for _, l := range found {
		if listener := form.Get("ListenerArn"); strings.Contains(l.ARN, ":listener-rule/") && (listener == "" || l.of() == listener) {
			rules = append(rules, elbRule{RuleArn: l.ARN, Priority: "default", IsDefault: true})
		}
	}
	return struct {
		Rules []elbRule `xml:"Rules>member"`
	}{rules}, nil
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeListeners.html
func (e *ELB) describeListeners(_ *http.Request, form url.Values) (any, error) {
	if err := elbParameters(form, "LoadBalancerArn", "ListenerArns", "Marker", "PageSize"); err != nil {
		return nil, err
	}
	if (form.Get("LoadBalancerArn") == "") == (len(awsapi.Members(form, "ListenerArns")) == 0) {
		return nil, awsapi.Errorf("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
	}
	found, err := e.described(form, "ListenerArns", Listener.of, "ListenerNotFound", "One or more listeners not found")
	if err != nil {
		return nil, err
	}
	var listeners []elbListener
	for _, l := range found {
		if balancer, _ := l.balancer(); form.Get("LoadBalancerArn") == "" || balancer == form.Get("LoadBalancerArn") {
			listeners = append(listeners, elbListener{l.of(), balancer, l.port(), "HTTP"})
		}
	}
	return struct {
		Listeners []elbListener `xml:"Listeners>member"`
	}{listeners}, nil
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html
func (e *ELB) describeLoadBalancers(_ *http.Request, form url.Values) (any, error) {
	if err := elbParameters(form, "LoadBalancerArns", "Names", "Marker", "PageSize"); err != nil {
		return nil, err
	}
	arnOf := func(l Listener) string { arn, _ := l.balancer(); return arn }
	found, err := e.described(form, "LoadBalancerArns", arnOf, "LoadBalancerNotFound", "One or more load balancers not found")
	if err != nil {
		return nil, err
	}
	var balancers []elbBalancer
	for _, l := range found {
		arn, name := l.balancer()
		if names := awsapi.Members(form, "Names"); len(names) == 0 || slices.Contains(names, name) {
			balancers = append(balancers, elbBalancer{arn, name, e.dnsName(name), "internet-facing", "application", "vpc-0a1b2c3d"})
		}
	}
	return struct {
		Balancers []elbBalancer `xml:"LoadBalancers>member"`
	}{balancers}, nil
}

// IsApplication says whether a request is one to an application behind a load balancer.
func IsApplication(r *http.Request) bool {
	host, _, _ := strings.Cut(r.Host, ":")
	return strings.HasSuffix(host, domain)
}

// answer is how the application behind a listener answers, by host and port: that of the revision with most of its traffic.
func (e *ELB) answer(host string) (answer scenario.Answer, image string, ready bool) {
	name, port, _ := strings.Cut(host, ":")
	test := port == fmt.Sprint(testPort)
	var service *ecs.Service
	for _, l := range e.listeners() {
		if _, balancer := l.balancer(); e.dnsName(balancer) == name && l.Test == test {
			service = l.Service
		}
	}
	for _, cl := range e.ecs.Clusters { // a listener that nobody has named: one of production traffic
		for _, s := range cl.Services {
			for _, lb := range s.Doc.Objects("loadBalancers") {
				if service == nil && !test && e.dnsName(ecs.TargetGroupName(lb.Str("targetGroupArn"))) == name {
					service = s
				}
			}
		}
	}
	if service == nil {
		return answer, "", false
	}
	share := 0.0
	for _, d := range service.Deployments {
		has := d.Revision.Production
		if test {
			has = d.Revision.Test
		}
		if has > share && service.Ready(d) > 0 {
			share, ready = has, true
			image = d.Revision.Definition.MainImage()
			answer = scenario.Answer{}
			if given := d.Revision.Scenario.Answer; given != nil {
				answer = *given
			}
		}
	}
	return answer, image, ready
}

// ServeApplication answers as the application behind a load balancer: with the image of the revision that the listener's traffic is on, or as the
// scenario of that revision says.
func (e *ELB) ServeApplication(w http.ResponseWriter, r *http.Request) {
	e.Mu.Lock()
	e.Advance(time.Now())
	answer, image, ready := e.answer(r.Host)
	e.Mu.Unlock()
	select {
	case <-time.After(e.Scaled(answer.After)):
	case <-r.Context().Done():
		return
	}
	switch {
	case !ready:
		http.Error(w, "503 Service Temporarily Unavailable", http.StatusServiceUnavailable)
		return
	case answer.Reset:
		panic(http.ErrAbortHandler)
	case answer.Location != "":
		http.Redirect(w, r, answer.Location, http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(cmp.Or(answer.Status, http.StatusOK))
	fmt.Fprintln(w, cmp.Or(answer.Body, image))
}
