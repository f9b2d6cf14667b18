package ecs

// What the tests share: an emulated account with one service, and transports
// that answer, cut or change what ECS would.

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
)

// account is an emulated ECS with the cluster dev, and our client of it.
type account struct {
	*emulator.Emulator
	*Client
	raw *ecs.Client // the SDK's, to set the stage; its calls are counted too
}

// newAccount returns an account with stable services of a task each.
func newAccount(t *testing.T, services ...string) *account {
	t.Helper()
	e, err := emulator.New(emulator.Options{FutureMembers: []string{"gpuSlices", "quantumMode"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	cfg := configOver(e.Transport())
	a := &account{Emulator: e, Client: New(cfg), raw: ecs.NewFromConfig(cfg)}
	if _, err := a.raw.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("dev")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range services {
		a.register(t, "1.27")
		if _, err := a.raw.CreateService(t.Context(), &ecs.CreateServiceInput{
			Cluster: aws.String("dev"), ServiceName: aws.String(name), DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate,
			TaskDefinition:       aws.String("web"),
			NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Minute) // until they are stable
	return a
}

// register makes the next revision of family web, by the SDK, and returns its ARN.
func (a *account) register(t *testing.T, tag string) string {
	t.Helper()
	out, err := a.raw.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions:    []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("public.ecr.aws/nginx/nginx:" + tag)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.TaskDefinition.TaskDefinitionArn)
}

// count says how often an operation was called since the given number of requests.
func (a *account) count(operation string) int {
	n := 0
	for _, r := range a.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// over is another client of the account, through a transport of ours.
func (a *account) over(t http.RoundTripper) *Client { return New(configOver(t)) }

func configOver(t http.RoundTripper) aws.Config {
	return aws.Config{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient:  &http.Client{Transport: t},
		// As package session sets them; calls have limits of their own.
		RetryMode:        aws.RetryModeStandard,
		RetryMaxAttempts: 8,
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return f(r)
}

// operationOf is the operation that a request asks for.
func operationOf(r *http.Request) string {
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return name
}

func answer(status int, body string) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

// refusal is an answer of ECS that says no.
func refusal(status int, code, message string) *http.Response {
	return answer(status, fmt.Sprintf(`{"__type": %q, "message": %q}`, code, message))
}

// What can happen to a request on the way.
var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
)

// trouble is a transport on which the calls of some operations go wrong, in the
// order of its list, before everything goes well again.
type trouble struct {
	next http.RoundTripper

	mu     sync.Mutex
	faults map[string][]fault // by operation
	asked  []string           // operations, in order
}

// fault is what happens to one call: the answer or the error in place of ECS's,
// after ECS has done what was asked for where acted is set.
type fault struct {
	acted  bool
	err    error
	answer func() *http.Response
}

func (t *trouble) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := operationOf(r)
	t.mu.Lock()
	t.asked = append(t.asked, operation)
	var f *fault
	if pending := t.faults[operation]; len(pending) > 0 {
		f, t.faults[operation] = &pending[0], pending[1:]
	}
	t.mu.Unlock()
	if f == nil {
		return t.next.RoundTrip(r)
	}
	if f.acted {
		done, err := t.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, done.Body); err != nil {
			return nil, err
		}
		done.Body.Close()
	}
	if f.err != nil {
		return nil, f.err
	}
	return f.answer(), nil
}

func (t *trouble) count(operation string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(t.asked), func(s string) bool { return s != operation }))
}

// answers is a fault that answers in place of ECS.
func answers(status int, code, message string) fault {
	return fault{answer: func() *http.Response { return refusal(status, code, message) }}
}

func says(status int, body string) fault {
	return fault{answer: func() *http.Response { return answer(status, body) }}
}

// cutShort is an answer whose connection is cut before its end.
func cutShort(body string) fault {
	return fault{answer: func() *http.Response {
		out := answer(http.StatusOK, body)
		out.ContentLength = -1
		out.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte(body)[:len(body)/2]), &failing{errReset}))
		return out
	}}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func times(n int, f fault) []fault { return slices.Repeat([]fault{f}, n) }

// mentions fails the test unless the text of err holds every word.
func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that mentions %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q\ndoes not mention %q", err, w)
		}
	}
}
