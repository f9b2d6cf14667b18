package deploy_test

// The world that a seed draws for a simulated run: an emulated account with a few
// services at rest, and the one line over which the run talks to AWS. The line
// brings every call into an order of its own, so that the same seed is the same
// history call for call, however the goroutines of the run are scheduled.

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	gcrtypes "github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/rollout"
)

const (
	simCluster    = "main"
	simRepository = "app"
)

// account is an emulated AWS account, and the line of the run under test to it.
type account struct {
	*testing.T
	*emulator.Emulator
	*line
	*imageSet
	config     aws.Config // of infrastructure, which nothing disturbs
	ecs        *awsecs.Client
	codeDeploy *codedeploy.Client
	repository ecr.Repository
}

// newAccount makes an account with a cluster, and a repository with some images.
func newAccount(t *testing.T, imageSet *imageSet, r *rand.Rand, tags ...string) *account {
	t.Helper()
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := &account{T: t, Emulator: e, line: &line{aws: e.Transport(), random: r}, imageSet: imageSet}
	e.Interpose(func(emulator.Call) *emulator.Fault { return a.line.fault.Load() })
	a.config = configOver(e.Region(), e.Transport())
	a.ecs, a.codeDeploy = awsecs.NewFromConfig(a.config), codedeploy.NewFromConfig(a.config)
	ctx := t.Context()
	_, err = awsecr.NewFromConfig(a.config).CreateRepository(ctx, &awsecr.CreateRepositoryInput{RepositoryName: aws.String(simRepository)})
	a.must(err)
	a.repository, err = ecr.New(a.config, ecr.Options{}).Repository(ctx, simRepository)
	a.must(err)
	for _, tag := range tags {
		a.push(tag)
	}
	_, err = a.ecs.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String(simCluster)})
	a.must(err)
	return a
}

func (a *account) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// configOver is the configuration of clients over a transport. Their pauses before
// another attempt repeat with the clock.
func configOver(region string, transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region: region, HTTPClient: &http.Client{Transport: transport}, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.Backoff = ecs.Backoff{} })
		},
	}
}

// imageSet has the images of all builds, made once for all worlds.
type imageSet struct {
	images  map[string]v1.Image // by tag
	digests map[string]string
	layout  string // an OCI layout with the image of the build that is released
}

// released is the tag of the build that is rolled out.
const released = "3"

func newImageSet(t *testing.T) *imageSet {
	t.Helper()
	s := &imageSet{images: map[string]v1.Image{}, digests: map[string]string{}, layout: filepath.Join(t.TempDir(), "image")}
	for _, tag := range []string{"1", "2", released, "4"} {
		img, err := application(tag)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		s.images[tag], s.digests[tag] = img, digest.String()
	}
	at, err := layout.Write(s.layout, empty.Index)
	if err == nil {
		err = at.AppendImage(s.images[released])
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// application is an image whose content depends on its tag only: one file.
func application(tag string) (v1.Image, error) {
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	w, content := tar.NewWriter(compressed), "build "+tag
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), compressed.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }, tarball.WithMediaType(gcrtypes.OCILayer))
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, gcrtypes.OCIManifestSchema1), gcrtypes.OCIConfigJSON), layer)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	return mutate.ConfigFile(img, config)
}

// push brings the image of a tag into ECR, as another pipeline does.
func (a *account) push(tag string) {
	a.Helper()
	reference, err := name.ParseReference(a.repository.URI + ":" + tag)
	a.must(err)
	login := ecr.New(a.config, ecr.Options{}).Authenticator(a.Context(), a.repository)
	a.must(remote.Write(reference, a.images[tag], remote.WithAuth(login), remote.WithTransport(a.Transport()), remote.WithContext(a.Context())))
}

// define registers a revision of infrastructure's.
func (a *account) define(family, tag string) string {
	a.Helper()
	out, err := a.ecs.RegisterTaskDefinition(a.Context(), &awsecs.RegisterTaskDefinitionInput{
		Family: aws.String(family), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, ExecutionRoleArn: aws.String("arn:aws:iam::" + a.Account() + ":role/execution"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String(a.repository.URI + ":" + tag), Essential: aws.Bool(true),
			PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
		}},
	})
	a.must(err)
	return aws.ToString(out.TaskDefinition.TaskDefinitionArn)
}

// serve creates a service, with its deployment group where CodeDeploy deploys to it.
// It is at rest once settle returns.
func (a *account) serve(service, revision string, g *group) {
	a.Helper()
	in := &awsecs.CreateServiceInput{
		Cluster: aws.String(simCluster), ServiceName: aws.String(service), DesiredCount: aws.Int32(2), TaskDefinition: aws.String(revision), LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
		LoadBalancers: []types.LoadBalancer{{
			TargetGroupArn: aws.String("arn:aws:elasticloadbalancing:" + a.Region() + ":" + a.Account() + ":targetgroup/" + service + "/0123456789abcdef"),
			ContainerName:  aws.String("app"), ContainerPort: aws.Int32(8080),
		}},
		DeploymentConfiguration: &types.DeploymentConfiguration{
			MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200),
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
	}
	if g != nil {
		in.DeploymentController, in.DeploymentConfiguration = &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy}, nil
	}
	_, err := a.ecs.CreateService(a.Context(), in)
	a.must(err)
	if g != nil {
		a.hand(service, g)
	}
}

// move has infrastructure set a service to a revision.
func (a *account) move(service, revision string, g *group) {
	a.Helper()
	if g != nil {
		a.moveByCodeDeploy(service, revision, g)
		return
	}
	_, err := a.ecs.UpdateService(a.Context(), &awsecs.UpdateServiceInput{Cluster: aws.String(simCluster), Service: aws.String(service), TaskDefinition: aws.String(revision)})
	a.must(err)
}

// settle waits until no deployment is in progress any more.
func (a *account) settle() {
	a.Helper()
	for begin := time.Now(); ; time.Sleep(15 * time.Second) {
		busy := false
		for _, d := range a.History().Deployments {
			busy = busy || !d.Final()
			if !d.Final() && d.ARN == "" {
				a.hurry(d.ID)
			}
		}
		if !busy {
			return
		}
		if time.Since(begin) > time.Hour {
			a.Fatal("the services are still not at rest after an hour")
		}
	}
}

// play sets how the next deployments of a service go.
func (a *account) play(service, scenario string) {
	a.Helper()
	s, err := emulator.ParseScenario(scenario)
	a.must(err)
	a.Script(simCluster, service, s)
}

// deployer connects the run under test: the packages of the product, over the line.
func (a *account) deployer(view deploy.View) *deploy.Deployer {
	config := configOver(a.Region(), a.line)
	client, repositories := ecs.New(config), ecr.New(config, ecr.Options{})
	return &deploy.Deployer{
		ECR: repositories, ECS: client, Rollouts: rollout.NewAWS(client), View: view,
		Images: source.Options{Keychain: authn.NewMultiKeychain(repositories.Keychain()), Transport: a.line},
	}
}

// line is the connection of the run under test to AWS. One call after the other is
// acted on, each at a moment of its own: only when everything in the world waits is
// the next one chosen, by what it asks and not by who came first.
type line struct {
	aws    http.RoundTripper
	random *rand.Rand
	act    func(c *seenCall) (fate fate) // before a call is acted on; nil leaves it alone
	acted  func(c *seenCall)             // after it was acted on and before it is answered

	fault atomic.Pointer[emulator.Fault] // of the call that is on its way
	past  past

	mu     sync.Mutex
	queue  []*seenCall
	timer  bool // the next call is about to be chosen
	counts map[string]int
}

// seenCall is one call on the line.
type seenCall struct {
	operation string // UpdateService, or GET at the registry
	number    int    // of the calls of this operation, from 1
	key       string // see order
	body      []byte
	request   *http.Request
	answer    chan func() (*http.Response, error)
	delayed   bool
	failed    bool    // it was answered with an error
	late      bool    // its answer is held back
	past      *answer // what it is answered where views are late; nil where they are not
}

// fate is what becomes of a call beside its ordinary answer.
type fate struct {
	delay time.Duration   // before it is acted on
	late  time.Duration   // after it
	fault *emulator.Fault // what the emulator makes of it
}

// callGap is the time between two calls at least. A part is drawn, so that no two
// things ever happen at the same moment and in an order that nobody decides.
const callGap = time.Millisecond

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	c := &seenCall{request: r, answer: make(chan func() (*http.Response, error), 1)}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		c.body = body
	}
	c.operation = r.Method
	if _, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		c.operation = operation
	}
	l.enqueue(c)
	select {
	case answer := <-c.answer:
		return answer()
	case <-r.Context().Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		l.queue = slices.DeleteFunc(l.queue, func(other *seenCall) bool { return other == c })
		return nil, r.Context().Err()
	}
}

// forget has the calls counted anew.
func (l *line) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts = nil
}

func (l *line) enqueue(c *seenCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
	l.arm()
}

func (l *line) arm() {
	if !l.timer && len(l.queue) > 0 {
		l.timer = true
		time.AfterFunc(callGap+time.Duration(l.random.IntN(int(callGap))), l.next)
	}
}

// next acts on the first of the calls that wait.
func (l *line) next() {
	l.mu.Lock()
	l.timer = false
	if len(l.queue) == 0 {
		l.mu.Unlock()
		return
	}
	c := l.queue[0]
	if len(l.queue) > 1 {
		c = slices.MinFunc(l.queue, func(a, b *seenCall) int { return cmp.Compare(a.order(), b.order()) })
	}
	l.queue = slices.DeleteFunc(l.queue, func(other *seenCall) bool { return other == c })
	if !c.delayed {
		if l.counts == nil {
			l.counts = map[string]int{}
		}
		l.counts[c.operation]++
		c.number = l.counts[c.operation]
	}
	l.mu.Unlock()
	c.past = l.past.of(c)
	var what fate
	if l.act != nil && !c.delayed {
		what = l.act(c)
	}
	switch {
	case what.delay > 0:
		c.delayed = true
		time.AfterFunc(what.delay, func() { l.enqueue(c) })
	case c.request.Context().Err() == nil:
		l.send(c, what)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arm()
}

// send has a call acted on and answers it.
func (l *line) send(c *seenCall, what fate) {
	r := c.request.Clone(context.WithoutCancel(c.request.Context()))
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	if slices.Contains(lateChanges, c.operation) && (what.fault == nil || what.fault.Lost) {
		l.past.keep(l.aws, c.order())
	}
	l.fault.Store(what.fault)
	response, err := l.aws.RoundTrip(r)
	l.fault.Store(nil)
	if c.past != nil && what.fault == nil && err == nil {
		response.Body.Close()
		response = c.past.response()
	}
	if err == nil {
		var body []byte
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(body))
		c.failed = response.StatusCode >= http.StatusBadRequest
	}
	c.failed = c.failed || err != nil
	c.late = what.late > 0
	if l.acted != nil {
		l.acted(c)
	}
	answer := func() { c.answer <- func() (*http.Response, error) { return response, err } }
	if what.late > 0 {
		time.AfterFunc(what.late, answer)
		return
	}
	answer()
}

// order is what a call asks, by which those that wait at the same time are put into
// an order.
func (c *seenCall) order() string {
	if c.key == "" {
		c.key = c.operation + " " + c.request.URL.String() + " " + ordered(c.body)
	}
	return c.key
}

// ordered is a body whose lists are sorted: readings that share a call are in no
// order.
func ordered(body []byte) string {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return string(body)
	}
	var sort func(any)
	sort = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, member := range value {
				sort(member)
			}
		case []any:
			slices.SortFunc(value, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	sort(value)
	out, err := json.Marshal(value)
	if err != nil {
		return string(body)
	}
	return string(out)
}
