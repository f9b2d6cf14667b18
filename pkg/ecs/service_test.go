package ecs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/mistake"
)

// readAll reads services side by side.
func readAll(ctx context.Context, c *Client, cluster string, names ...string) ([]Service, []error) {
	services, errs := make([]Service, len(names)), make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { services[i], errs[i] = c.Service(ctx, cluster, name) })
	}
	wait.Wait()
	return services, errs
}

func TestServiceMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		if _, err := a.raw.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("old")}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.raw.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("old")}); err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			cluster, service string
			kind             mistake.Kind
			text, hint       string
		}{
			{"prod", "web", mistake.Cluster, `there is no cluster "prod" in eu-west-1`, "dev"},
			{"old", "web", mistake.Cluster, "inactive", "dev"},
			{"dev", "wbe", mistake.Service, `there is no service "wbe" in cluster dev`, "web"},
		}
		for _, tt := range tests {
			_, err := a.Service(t.Context(), tt.cluster, tt.service)
			m, ok := errors.AsType[*mistake.Error](err)
			if !ok || m.Kind != tt.kind || !m.Absent || !strings.Contains(m.Text, tt.text) || !strings.Contains(m.Advice, tt.hint) {
				t.Errorf("Service(%s, %s) = %#v, want a %s that is absent: …%s… with a hint at %s", tt.cluster, tt.service, err, tt.kind, tt.text, tt.hint)
			}
			if Classify(err) != Gone {
				t.Errorf("Service(%s, %s): class %s, want gone", tt.cluster, tt.service, Classify(err))
			}
		}
		a.Fail("ecs:DescribeServices", emulator.Fault{Code: "ServiceNotFoundException", Message: "Service not found.", Times: 1})
		if _, err := a.Service(t.Context(), "dev", "web"); !mistake.Absent(err) {
			t.Errorf("by the code: %v, want it absent", err)
		}
		a.Fail("ecs:ListServices", emulator.Fault{Hang: true})
		begin := time.Now()
		_, err := a.Service(t.Context(), "dev", "wbe")
		if m, ok := errors.AsType[*mistake.Error](err); !ok || m.Advice == "" {
			t.Errorf("%#v, want the mistake with its plain hint", err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("names to suggest were waited for %s", took)
		}
	})
}

// TestServicesShareACall: ten services are as cheap as one, and one that is
// missing does not fail the others.
func TestServicesShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 12 {
			names = append(names, fmt.Sprintf("web%d", i))
		}
		a := newAccount(t, names...)
		services, errs := readAll(t.Context(), a.Client, "dev", append(names, "missing")...)
		for i, name := range names {
			if errs[i] != nil || services[i].Name != name || services[i].Status != "ACTIVE" || services[i].Running != 1 {
				t.Errorf("%s: %+v, %v", name, services[i], errs[i])
			}
		}
		if !mistake.Absent(errs[len(names)]) {
			t.Errorf("the missing one: %v, want it absent", errs[len(names)])
		}
		if n := a.count("DescribeServices"); n != 2 {
			t.Errorf("%d calls, want 2 for 13 names", n)
		}
	})
}

func TestServiceByARN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		byName, err := a.Service(t.Context(), "dev", "web")
		if err != nil {
			t.Fatal(err)
		}
		byARN, err := a.Service(t.Context(), "dev", byName.ARN)
		if err != nil || byARN.Name != "web" {
			t.Errorf("by ARN: %+v, %v", byARN, err)
		}
	})
}

// TestServiceThatEnds: whether a service that is being deleted will do is for
// the caller to say.
func TestServiceThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		if _, err := a.raw.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: aws.String("dev"), Service: aws.String("web"), Force: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"DRAINING", "INACTIVE"} {
			if s, err := a.Service(t.Context(), "dev", "web"); err != nil || s.Status != want {
				t.Errorf("status %q, %v; want %s", s.Status, err, want)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// TestServicesOneByOne: an identity that may read some services of a cluster
// only is refused a call for several. What it may read is read all the same, and
// calls that will be refused are not made again.
func TestServicesOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web", "api")
		var mu sync.Mutex
		calls := 0
		c := a.over(roundTrip(func(r *http.Request) (*http.Response, error) {
			if operationOf(r) == "DescribeServices" {
				mu.Lock()
				calls++
				mu.Unlock()
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
				if bytes.Contains(body, []byte(`"secret"`)) {
					return refusal(400, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecs:DescribeServices on resource: arn:aws:ecs:eu-west-1:123456789012:service/dev/secret because no identity-based policy allows the ecs:DescribeServices action"), nil
				}
			}
			return a.Transport().RoundTrip(r)
		}))
		for round, want := range []int{4, 7} {
			services, errs := readAll(t.Context(), c, "dev", "web", "secret", "api")
			if errs[0] != nil || errs[2] != nil || services[0].Name != "web" || services[2].Name != "api" {
				t.Errorf("round %d: %v", round, errs)
			}
			if d, ok := DenialOf(errs[1]); !ok || !strings.HasSuffix(d.Resource, "/secret") {
				t.Errorf("round %d: %v, want the denial", round, errs[1])
			}
			if calls != want {
				t.Errorf("round %d: %d calls so far, want %d", round, calls, want)
			}
		}
	})
}

// TestServicesFailTogether: what concerns the call as a whole is told to
// everyone who waits for it, and is not asked for one by one.
func TestServicesFailTogether(t *testing.T) {
	tests := []struct {
		fault emulator.Fault
		class Class
		most  int // calls
	}{
		{emulator.Throttled(0), Throttled, 6},
		{emulator.Broken(0), Broken, 6},
		{emulator.Reset(0), Broken, 6},
		{emulator.Fault{Hang: true}, Broken, 1},
		{emulator.Fault{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}, Expired, 1},
		{emulator.Fault{Code: "UnknownOperationException", Message: "no"}, Unsupported, 1},
	}
	for _, tt := range tests {
		t.Run(tt.fault.Code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, "web", "api")
				a.Fail("ecs:DescribeServices", tt.fault)
				begin := time.Now()
				_, errs := readAll(t.Context(), a.Client, "dev", "web", "api")
				for _, err := range errs {
					mentions(t, err, "describe 2 services in cluster dev: ")
					if Classify(err) != tt.class {
						t.Errorf("%v: class %s, want %s", err, Classify(err), tt.class)
					}
				}
				if n := a.count("DescribeServices"); n > tt.most {
					t.Errorf("%d calls, want %d at most", n, tt.most)
				}
				if took := time.Since(begin); took > 10*time.Second+window {
					t.Errorf("took %s, want 10 s at most", took)
				}
			})
		})
	}
}

// TestServiceOutlastsTrouble: a passing failure is not told.
func TestServiceOutlastsTrouble(t *testing.T) {
	for name, f := range map[string]fault{
		"throttled":     answers(400, "ThrottlingException", "Rate exceeded"),
		"broken":        answers(500, "ServerException", "Service Unavailable."),
		"bad gateway":   says(502, "<html>502 Bad Gateway</html>"),
		"reset":         {err: errReset},
		"refused":       {err: errRefused},
		"not an answer": says(200, "<html>"),
		"cut short":     cutShort(`{"services": [{"serviceName": "web", "status": "DRAINING", "taskDefinition": "old", "serviceArn": "arn:aws:ecs:x"}], "failures": []}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, "web")
				c := a.over(&trouble{next: a.Transport(), faults: map[string][]fault{"DescribeServices": times(2, f)}})
				if s, err := c.Service(t.Context(), "dev", "web"); err != nil || s.Status != "ACTIVE" || len(s.Deployments) != 1 {
					t.Errorf("%+v, %v", s, err)
				}
			})
		})
	}
}

// TestServiceHonoursItsContext: a caller that is cancelled returns at once, and
// says what it was doing.
func TestServiceHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		a.Fail("ecs:DescribeServices", emulator.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := a.Service(ctx, "dev", "web")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %s, want the deadline after 1 s", err, time.Since(begin))
		}
		mentions(t, err, "describe service web in cluster dev")
	})
}

// TestServiceAnswers reads what ECS may answer: only what is needed has to be
// there, and what is not there is never made up.
func TestServiceAnswers(t *testing.T) {
	const (
		deployment = `{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "arn:aws:ecs:eu-west-1:1:task-definition/web:3", "desiredCount": 2, "runningCount": 1}`
		common     = `"serviceName": "web", "serviceArn": "arn:aws:ecs:eu-west-1:1:service/dev/web", "status": "ACTIVE"`
	)
	tests := []struct {
		name, service string
		want          func(Service) bool
	}{
		{"the controller is left out", common + `, "deployments": [` + deployment + `]`, func(s Service) bool {
			return s.Controller == "ECS" && !s.Express && !s.Daemon && s.Primary().Running == 1
		}},
		{"Express", common + `, "resourceManagementType": "ECS", "currentServiceDeployment": "arn:aws:ecs:eu-west-1:1:service-deployment/dev/web/x", "deployments": [` + deployment + `]`, func(s Service) bool {
			return s.Express && s.TaskDefinition == "arn:aws:ecs:eu-west-1:1:task-definition/web:3" && strings.HasSuffix(s.Current, "/x")
		}},
		{"CodeDeploy", common + `, "deploymentController": {"type": "CODE_DEPLOY"}, "taskSets": [{"id": "ecs-svc/9", "status": "PRIMARY", "taskDefinition": "web:3", "externalId": "d-1", "computedDesiredCount": 4}]`, func(s Service) bool {
			d, ok := s.Deployment("d-1")
			return s.Controller == "CODE_DEPLOY" && ok && d.Desired == 4 && s.Primary().ID == "ecs-svc/9"
		}},
		{"daemon on a capacity provider", common + `, "schedulingStrategy": "DAEMON", "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}], "deployments": [` + deployment + `]`, func(s Service) bool {
			return s.Daemon && s.Fargate
		}},
		{"inactive, with nothing left", `"serviceName": "web", "serviceArn": "arn:aws:ecs:eu-west-1:1:service/dev/web", "status": "INACTIVE"`, func(s Service) bool {
			return s.Status == "INACTIVE" && s.Primary() == Deployment{}
		}},
		{"target groups", common + `, "deployments": [` + deployment + `], "loadBalancers": [{"loadBalancerName": "classic"}, {"targetGroupArn": "a", "advancedConfiguration": {"alternateTargetGroupArn": "b"}}]`, func(s Service) bool {
			return slices.Equal(s.TargetGroups, []string{"a", "b"})
		}},
		{"linear", common + `, "deployments": [` + deployment + `], "deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 5, "linearConfiguration": {"stepPercent": 30, "stepBakeTimeInMinutes": 6}}`, func(s Service) bool {
			return s.Strategy.Name == "LINEAR" && s.Strategy.Steps == 4 && s.Strategy.Wait() == 23*time.Minute
		}},
		{"canary with pauses", common + `, "deployments": [` + deployment + `], "deploymentConfiguration": {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 5, "canaryBakeTimeInMinutes": 10},
			"lifecycleHooks": [{"targetType": "AWS_LAMBDA", "lifecycleStages": ["PRE_SCALE_UP"]}, {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"], "timeoutConfiguration": {"timeoutInMinutes": 60, "action": "CONTINUE"}}]}`, func(s Service) bool {
			return s.Strategy.Steps == 2 && s.Strategy.Wait() == 10*time.Minute && len(s.Strategy.Pauses) == 1 && s.Strategy.Pauses[0].Limit == time.Hour && s.Strategy.Pauses[0].Action == "CONTINUE"
		}},
		{"impossible numbers of the strategy", common + `, "deployments": [` + deployment + `], "deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": -5, "linearConfiguration": {"stepPercent": 0, "stepBakeTimeInMinutes": -6}}`, func(s Service) bool {
			return s.Strategy.Steps == 0 && s.Strategy.Wait() == 0
		}},
		{"early success", common + `, "deployments": [` + deployment + `], "deploymentConfiguration": {"strategy": "ROLLING", "earlySuccessCriteria": {"enable": true, "healthyPercent": 50}}`, func(s Service) bool {
			return s.Strategy.EarlySuccess && s.Strategy.Steps == 0
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := canned("{\"services\": [{"+tt.service+"}]}").Service(t.Context(), "dev", "web")
				if err != nil || !tt.want(s) {
					t.Errorf("%+v, %v", s, err)
				}
			})
		})
	}
}

// canned is a client whose every call is answered 200 with body.
func canned(body string) *Client {
	return New(configOver(roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, body), nil })))
}

// TestServiceRepliesAreChecked: a reply that says nothing of the service is an
// error that names the call, and never a service that is gone.
func TestServiceRepliesAreChecked(t *testing.T) {
	const rest = `"serviceArn": "arn:aws:ecs:eu-west-1:1:service/dev/web", "serviceName": "web"`
	tests := []struct{ body, lacks string }{
		{``, "says nothing of the service"},
		{`{}`, "says nothing of the service"},
		{`{"services": null, "failures": null}`, "says nothing of the service"},
		{`{"services": [], "failures": []}`, "says nothing of the service"},
		{`{"services": [{}]}`, "says nothing of the service"},
		{`{"services": [null]}`, "says nothing of the service"},
		{`{"__type": "AccessDeniedException", "message": "no"}`, "says nothing of the service"},
		{`{"services": [{"serviceName": "other", "status": "ACTIVE"}]}`, "says nothing of the service"},
		{`{"failures": [{"arn": "arn:aws:ecs:eu-west-1:1:service/dev/other", "reason": "MISSING"}]}`, "says nothing of the service"},
		{`{"failures": [{"reason": "THROTTLED", "detail": "later"}]}`, "THROTTLED: later"},
		{`{"services": [{` + rest + `}]}`, "no status"},
		{`{"services": [{"serviceName": "web", "status": "ACTIVE"}]}`, "no serviceArn"},
		{`{"services": [{` + rest + `, "status": "ACTIVE"}]}`, "no primary deployment"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [null]}]}`, "a deployment without id"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1"}]}]}`, "ecs-svc/1 has no status"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY"}]}]}`, "ecs-svc/1 has no taskDefinition"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1\n", "status": "PRIMARY", "taskDefinition": "web:3"}]}]}`, `"ecs-svc/1\n" is no id`},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "web"}]}]}`, `"web", is no revision`},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "arn:aws:ecs:x:1:service/web:3"}]}]}`, "is no revision"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "##vso[task.complete]:3"}]}]}`, "is no revision"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "##vso[task.complete]/web:3"}]}]}`, "is no revision"},
		{`{"services": [{` + rest + `, "status": "ACTIVE", "runningCount": -1}]}`, "negative"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			_, err := canned(tt.body).Service(t.Context(), "dev", "web")
			if Classify(err) != Broken || mistake.Absent(err) {
				t.Errorf("%s: %v, want it broken", tt.body, err)
			}
			mentions(t, err, "describe service web in cluster dev", "DescribeServices", tt.lacks)
		})
	}
	for _, body := range []string{`[]`, `{"services": {}}`, `{"services": "x"}`, `{"services": [{"serviceName": 7}]}`, `{`, `<html>`, "\x00", `{"services": [{"desiredCount": 1e99}]}`} {
		synctest.Test(t, func(t *testing.T) {
			_, err := canned(body).Service(t.Context(), "dev", "web")
			if Classify(err) != Broken {
				t.Errorf("%s: %v, want it broken", body, err)
			}
			mentions(t, err, "describe service web in cluster dev")
		})
	}
}

// TestUpdateSendsNothingElse: what is not to change is not in the request.
func TestUpdateSendsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		s, err := a.Service(t.Context(), "dev", "web")
		if err != nil {
			t.Fatal(err)
		}
		second := a.register(t, "1.28")
		two, before := 2, len(a.Requests())
		tests := []struct {
			update Update
			want   string
		}{
			{Update{TaskDefinition: second}, fmt.Sprintf(`{"cluster":"dev","service":"web","taskDefinition":%q}`, second)},
			{Update{DesiredCount: &two}, `{"cluster":"dev","desiredCount":2,"service":"web"}`},
			{Update{TaskDefinition: second, Force: true}, fmt.Sprintf(`{"cluster":"dev","forceNewDeployment":true,"service":"web","taskDefinition":%q}`, second)},
		}
		for i, tt := range tests {
			updated, err := a.Update(t.Context(), s, tt.update)
			if err != nil || updated.TaskDefinition != second || updated.Cluster != "dev" {
				t.Errorf("%+v: %+v, %v", tt.update, updated, err)
			}
			var sent any
			if err := json.Unmarshal(a.Requests()[before+i].Body, &sent); err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(sent); string(got) != tt.want && string(got) != strings.Replace(tt.want, `,"service"`, `,"forceNewDeployment":false,"service"`, 1) {
				t.Errorf("sent %s\nwant %s", got, tt.want)
			}
		}
		counts := []int{-1}
		if strconv.IntSize == 64 {
			counts = append(counts, math.MaxInt)
		}
		for _, n := range counts {
			if _, err := a.Update(t.Context(), s, Update{DesiredCount: &n}); err == nil || Ambiguous(err) {
				t.Errorf("desired count %d: %v, want a plain error", n, err)
			}
		}
	})
}

// TestUpdateFailures: there is one attempt, since the service has to be read before
// another. It is told whether the call may have changed something, and whether another
// attempt may succeed.
func TestUpdateFailures(t *testing.T) {
	const incompleteService = `{"service": {"serviceName": "web", "status": "ACTIVE"}}`
	tests := []struct {
		name      string
		faults    []fault
		ambiguous bool
		class     Class
		unmade    bool
	}{
		{name: "throttled", faults: times(1, answers(400, "ThrottlingException", "Rate exceeded")), class: Throttled, unmade: true},
		{name: "429", faults: times(1, says(429, "")), class: Throttled, unmade: true},
		{name: "refused connection", faults: times(1, fault{err: errRefused}), class: Broken, unmade: true},
		{name: "no such host", faults: times(1, fault{err: &net.DNSError{Err: "no such host", Name: "ecs.eu-nowhere-1.amazonaws.com", IsNotFound: true}}), class: Broken},
		{name: "certificate", faults: times(1, fault{err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}), class: Broken},
		{name: "denied", faults: times(1, answers(400, "AccessDeniedException", "no")), class: Denied},
		{name: "not active", faults: times(1, answers(400, "ServiceNotActiveException", "Service was not ACTIVE.")), class: Gone},
		{name: "invalid", faults: times(1, answers(400, "InvalidParameterException", "no")), class: Invalid},
		{name: "conflict", faults: times(1, answers(400, "UpdateInProgressException", "no")), class: Other},
		{name: "a page of a proxy", faults: times(1, says(403, "<html>blocked</html>")), class: Denied},
		{name: "500 after it acted", faults: times(1, fault{acted: true, answer: func() *http.Response { return refusal(500, "ServerException", "oops") }}), ambiguous: true, class: Broken},
		{name: "500 before it acted", faults: times(1, answers(500, "ServerException", "oops")), ambiguous: true, class: Broken},
		{name: "ServerException with status 400", faults: times(1, answers(400, "ServerException", "oops")), ambiguous: true, class: Broken},
		{name: "502", faults: times(1, says(502, "<html>")), ambiguous: true, class: Broken},
		{name: "503", faults: times(1, says(503, "")), ambiguous: true, class: Broken},
		{name: "reset", faults: times(1, fault{acted: true, err: errReset}), ambiguous: true, class: Broken},
		{name: "timeout", faults: times(1, fault{acted: true, err: context.DeadlineExceeded}), ambiguous: true, class: Broken},
		{name: "unparsable", faults: times(1, says(200, "<html>")), ambiguous: true, class: Broken},
		{name: "cut short", faults: times(1, cutShort(incompleteService)), ambiguous: true, class: Broken},
		{name: "empty", faults: times(1, says(200, "")), ambiguous: true, class: Broken},
		{name: "{}", faults: times(1, says(200, "{}")), ambiguous: true, class: Broken},
		{name: "a time that is no number", faults: times(1, says(200, `{"service": {"createdAt": "NaN"}}`)), ambiguous: true, class: Broken},
		{name: "null", faults: times(1, says(200, `{"service": null}`)), ambiguous: true, class: Broken},
		{name: "incomplete", faults: times(1, says(200, incompleteService)), ambiguous: true, class: Broken},
		{name: "an error with status 200", faults: times(1, answers(200, "AccessDeniedException", "no")), ambiguous: true, class: Broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, "web")
				s, err := a.Service(t.Context(), "dev", "web")
				if err != nil {
					t.Fatal(err)
				}
				way := &trouble{next: a.Transport(), faults: map[string][]fault{"UpdateService": tt.faults}}
				_, err = a.over(way).Update(t.Context(), s, Update{Force: true})
				if n := way.count("UpdateService"); n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
				if Ambiguous(err) != tt.ambiguous || Unmade(err) != tt.unmade || Classify(err) != tt.class {
					t.Errorf("%v: ambiguous %t, unmade %t, class %s; want %t, %t, %s", err, Ambiguous(err), Unmade(err), Classify(err), tt.ambiguous, tt.unmade, tt.class)
				}
				mentions(t, err, "update service web in cluster dev: ")
			})
		})
	}
}

// TestUpdateOfTags: what starts no deployment is tried again while it is throttled.
func TestUpdateOfTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		s, err := a.Service(t.Context(), "dev", "web")
		if err != nil {
			t.Fatal(err)
		}
		way := &trouble{next: a.Transport(), faults: map[string][]fault{"UpdateService": times(4, answers(400, "ThrottlingException", "Rate exceeded"))}}
		after, err := a.over(way).Update(t.Context(), s, Update{Tags: &TaskTags{Propagate: "SERVICE", Managed: true}})
		if err != nil || way.count("UpdateService") != 5 || after.TaskTags() != (TaskTags{Propagate: "SERVICE", Managed: true}) {
			t.Errorf("%+v, %v after %d calls", after.TaskTags(), err, way.count("UpdateService"))
		}
	})
}

// TestUpdateIsCancelled: before anything was sent, it certainly did nothing;
// while an answer is outstanding, it is unknown.
func TestUpdateIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		s, err := a.Service(t.Context(), "dev", "web")
		if err != nil {
			t.Fatal(err)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Update(done, s, Update{Force: true}); !errors.Is(err, context.Canceled) || Ambiguous(err) {
			t.Errorf("before the call: %v, ambiguous %t", err, Ambiguous(err))
		}
		a.Fail("ecs:UpdateService", emulator.Fault{Hang: true})
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err = a.Update(short, s, Update{Force: true}); !errors.Is(err, context.DeadlineExceeded) || !Ambiguous(err) {
			t.Errorf("without an answer: %v, ambiguous %t", err, Ambiguous(err))
		}
	})
}

// TestErrorsSpeakPlainly: an error says during which call, on what, and what AWS
// or the connection said, without the SDK's wrapping.
func TestErrorsSpeakPlainly(t *testing.T) {
	tests := []struct {
		fault fault
		want  string
	}{
		{answers(400, "InvalidParameterException", "Services cannot be empty."), "describe service web in cluster dev: Services cannot be empty."},
		{answers(400, "InvalidParameterException", ""), "describe service web in cluster dev: InvalidParameterException"},
		{says(400, "<html>"), "describe service web in cluster dev: the answer could not be read (HTTP status 400): "},
		{fault{err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, `describe service web in cluster dev: Post "https://ecs.eu-west-1.amazonaws.com/": lookup x: no such host`},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			c := New(configOver(&trouble{faults: map[string][]fault{"DescribeServices": times(9, tt.fault)}}))
			_, err := c.Service(t.Context(), "arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "web")
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "operation error") {
				t.Errorf("%v\nwant %s", err, tt.want)
			}
		})
	}
}
