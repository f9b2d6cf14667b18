package main

// Whole runs over a wire on which a test meddles with single answers, and what must
// be true of such a run however it ends.

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/vso"
)

// drama is a transcript that is played again and again on a meddled wire.
type drama struct {
	name   string
	tag    string // of the image that runs where the run is green; empty where it changes no service
	before string // tag of the image that runs where it failed and was rolled back
	back   bool   // undisturbed, it ends with a rollback
}

// dramas hold every command, a failure with a rollback, and services that ECS
// deploys beside services that CodeDeploy deploys.
var dramas = []drama{
	{name: "deploy", tag: "17", before: "placeholder"},
	{name: "rollout", tag: "17", before: "16"},
	{name: "crash", tag: "17", before: "16", back: true},
	{name: "back", tag: "15", before: "16"},
	{name: "resume", tag: "17", before: "16"},
	{name: "schedules", tag: "17", before: "16"},
	{name: "current-image"},
	{name: "placeholder-again"},
	{name: "push"},
	{name: "codedeploy", tag: "17", before: "16"},
	{name: "codedeploy-hook-failed", tag: "17", before: "16", back: true},
	{name: "codedeploy-resume", tag: "17", before: "placeholder"},
	{name: "codedeploy-back", tag: "16", before: "17"},
}

// exchange is one request on the wire, as a test may meddle with it.
type exchange struct {
	operation string // ecs:DescribeServices, registry:PutManifest
	number    int    // of those of the operation, from 1
	request   *http.Request
	send      func() (*http.Response, error) // lets the emulator act and answer
}

// wire carries the requests of a run.
type wire struct {
	inner  http.RoundTripper
	meddle func(exchange) (*http.Response, error) // nil lets everything pass

	mu    sync.Mutex
	calls map[string]int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := operationOf(r)
	w.mu.Lock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[operation]++
	e := exchange{operation, w.calls[operation], r, func() (*http.Response, error) { return w.inner.RoundTrip(r) }}
	w.mu.Unlock()
	if w.meddle == nil {
		return e.send()
	}
	return w.meddle(e)
}

// targets are the services by the prefix of X-Amz-Target.
var targets = map[string]string{
	"AWSEvents": "events", "AmazonEC2ContainerServiceV20141113": "ecs", "AmazonEC2ContainerRegistry_V20150921": "ecr", "Logs_20140328": "logs", "CodeDeploy_20141006": "codedeploy",
	"AmazonSSM": "ssm", "secretsmanager": "secretsmanager",
}

// operationOf names a request as policies and faults do.
func operationOf(r *http.Request) string {
	if prefix, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return targets[prefix] + ":" + operation
	}
	if name, is := strings.CutPrefix(r.URL.Path, "/schedules"); is {
		switch {
		case name == "":
			return "scheduler:ListSchedules"
		case r.Method == http.MethodGet:
			return "scheduler:GetSchedule"
		}
		return "scheduler:UpdateSchedule"
	}
	if path, is := strings.CutPrefix(r.URL.Path, "/v2/"); is {
		switch kind := r.Method; {
		case path == "":
			return "registry:Ping"
		case strings.Contains(path, "/manifests/"):
			return "registry:" + title(kind) + "Manifest"
		case strings.Contains(path, "/uploads/") && kind == http.MethodPost:
			return "registry:StartUpload"
		case strings.Contains(path, "/uploads/") && kind == http.MethodPatch:
			return "registry:UploadChunk"
		case strings.Contains(path, "/uploads/") && kind == http.MethodPut:
			return "registry:FinishUpload"
		case strings.Contains(path, "/uploads/"):
			return "registry:" + title(kind) + "Upload"
		}
		return "registry:" + title(r.Method) + "Blob"
	}
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
			service := "sts"
			switch action := form.Get("Action"); {
			case strings.HasPrefix(action, "Describe"):
				service = "elasticloadbalancing"
			case action == "GetRole", action == "SimulatePrincipalPolicy":
				service = "iam"
			}
			return service + ":" + form.Get("Action")
		}
	}
	return r.Method + " " + r.URL.Path
}

func title(method string) string { return method[:1] + strings.ToLower(method[1:]) }

// answer is a reply made by a test.
func answer(r *http.Request, status int, kind string, body []byte, header ...string) *http.Response {
	h := http.Header{"Content-Type": {kind}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

// performance is what a run did, by the log and by the emulator's record.
type performance struct {
	log        string
	took       time.Duration
	registered int      // revisions
	started    []string // deployments of the new revision, by whatever call
	acted      bool     // the service was changed
	runs       string   // tag of the image that the service's PRIMARY deployment runs, half an hour later
	rests      bool     // that deployment has completed
	scheduled  int      // targets of rules and schedules that start tasks of the new revision
	pushed     string   // digest under the tag of the build
}

// playOn plays a drama on a wire, until half an hour after the run has ended.
func (d drama) playOn(t *testing.T, archive *txtar.Archive, meddle func(exchange) (*http.Response, error)) (p performance) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(10 * time.Minute)
		for line := range strings.Lines(section(archive, "script")) {
			if fields := strings.Fields(line); len(fields) > 0 {
				w.perform(t, fields)
			}
		}
		begin := time.Now()
		var log bytes.Buffer
		console, environ := vso.NewConsole(&log), environment(t, w, t.TempDir(), section(archive, "inputs"))
		start{}.conclude(console, func() { runOn(t.Context(), environ, console, &wire{inner: w.Transport(), meddle: meddle}) })
		p.log, p.took = log.String(), time.Since(begin)
		time.Sleep(30 * time.Minute)
		for _, change := range w.History().Changes {
			if change.Time.Before(begin) || change.Error != "" {
				continue
			}
			switch change.Operation {
			case "ecs:RegisterTaskDefinition":
				p.registered++
			case "ecs:UpdateService", "codedeploy:CreateDeployment", "ecs:StopServiceDeployment", "codedeploy:StopDeployment", "ecs:ContinueServiceDeployment", "codedeploy:ContinueDeployment":
				p.acted = p.acted || change.Effect != ""
			}
		}
		p.look(t, w, begin)
	})
	return p
}

// look reads the truth about the service and the repository.
func (p *performance) look(t *testing.T, w *world, begin time.Time) {
	t.Helper()
	image := func(definition string) string {
		described, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &definition})
		if err != nil {
			t.Fatal(err)
		}
		uri := aws.ToString(described.TaskDefinition.ContainerDefinitions[0].Image)
		return uri[strings.LastIndex(uri, ":")+1:]
	}
	for _, d := range w.History().Deployments {
		if d.Service == service && !d.Created.Before(begin) {
			p.started = append(p.started, image(d.TaskDefinition))
		}
	}
	described, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
	if err != nil {
		t.Fatal(err)
	}
	s := described.Services[0]
	for _, set := range s.TaskSets {
		if aws.ToString(set.Status) == "PRIMARY" {
			p.runs, p.rests = image(aws.ToString(set.TaskDefinition)), len(s.TaskSets) == 1 && set.StabilityStatus == "STEADY_STATE"
		}
	}
	for _, d := range s.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" && len(s.TaskSets) == 0 {
			p.runs, p.rests = image(aws.ToString(d.TaskDefinition)), d.RolloutState == "COMPLETED"
		}
	}
	for _, m := range regexp.MustCompile(`"TaskDefinitionArn":"([^"]+)"`).FindAllStringSubmatch(w.started(t), -1) {
		if strings.Contains(m[1], "/chat-app:") && image(m[1]) == "17" {
			p.scheduled++
		}
	}
	images, err := awsecr.NewFromConfig(w.config).DescribeImages(t.Context(), &awsecr.DescribeImagesInput{
		RepositoryName: aws.String("chat-app"), ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: aws.String("17")}},
	})
	if err == nil {
		p.pushed = aws.ToString(images.ImageDetails[0].ImageDigest)
	}
}

var (
	completion = regexp.MustCompile(`(?m)^##vso\[task\.complete result=(\w+)\]`)
	outputOf   = regexp.MustCompile(`(?m)^##vso\[task\.setvariable variable=(\w+);isoutput=true\](.*)$`)
)

// result is how the run told the agent that it ended.
func (p performance) result() string {
	if m := completion.FindStringSubmatch(p.log); m != nil {
		return m[1]
	}
	return ""
}

func (p performance) green() bool {
	return p.result() == "Succeeded" || p.result() == "SucceededWithIssues"
}

func (p performance) output(name string) string {
	for _, m := range outputOf.FindAllStringSubmatch(p.log, -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

// limitOf is the time limit of a run, and what it may take to say how it ended.
const limitOf = 30*time.Minute + 10*time.Second

// judge reports what must not be true of a run, compared with the undisturbed one.
func (d drama) judge(p, undisturbed performance) (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	problems = append(problems, injected(p.log)...)
	if p.result() == "" || len(completion.FindAllString(p.log, -1)) != 1 {
		say("the agent was told %d results", len(completion.FindAllString(p.log, -1)))
	}
	if strings.Contains(p.log, "internal error") {
		say("internal error")
	}
	if p.took > limitOf {
		say("took %s", p.took)
	}
	if p.registered > undisturbed.registered {
		say("%d revisions registered", p.registered)
	}
	if n := count(p.started, d.tag); n > max(1, count(undisturbed.started, d.tag)) {
		say("%d deployments of image %s: %v", n, d.tag, p.started)
	}
	if p.green() {
		switch outcome := p.output("outcome"); {
		case d.tag != "" && (p.runs != d.tag || !p.rests) && outcome != "paused":
			say("green with outcome %q, and the service runs %s (completed: %t)", outcome, p.runs, p.rests)
		case p.scheduled < undisturbed.scheduled && p.output("outcome") != "paused":
			say("green, and %d of %d rules and schedules start the new revision", p.scheduled, undisturbed.scheduled)
		case undisturbed.pushed != "" && p.pushed != undisturbed.pushed:
			say("green, and the image under the tag is %q", p.pushed)
		}
	} else if p.scheduled > 0 && p.runs == d.before && !strings.Contains(p.log, "could not be moved") {
		say("rolled back, and %d rules and schedules start the new revision", p.scheduled)
	} else if p.acted && p.output("outcome") == "" && !strings.Contains(p.log, "the service is set to") && !strings.Contains(p.log, "could not read the service") {
		say("failed without a word about the service")
	}
	return problems
}

func count(all []string, one string) (n int) {
	for _, a := range all {
		if a == one && one != "" {
			n++
		}
	}
	return n
}

var (
	commands  = []string{"task.setsecret", "task.setvariable", "task.logissue", "task.complete", "task.uploadsummary", "task.addattachment", "task.uploadfile", "task.setprogress", "task.debug"}
	variables = []string{"imageUri", "imageDigest", "taskDefinitionArn", "previousTaskDefinitionArn", "previousImage", "serviceDeploymentArn", "codeDeployDeploymentId", "outcome", "hookId", "url", "serviceUrl", "images", "resultFile", "exitCode"}
	variable  = regexp.MustCompile(`^variable=(\w+);isoutput=true$`)
)

// injected reports the lines that an agent would execute and that are not ours. It
// skips the characters that the agent's search skips.
func injected(log string) (problems []string) {
	for line := range strings.Lines(log) {
		visible := strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cc, r) && r != '\n' {
				return -1
			}
			return r
		}, line)
		lower := strings.ToLower(visible)
		if i := strings.LastIndex(lower, "##vso["); i > 0 || i < 0 && strings.Contains(lower, "##vso") {
			problems = append(problems, "injected: "+line)
			continue
		} else if i < 0 {
			if group, is := strings.CutPrefix(lower, "##["); is && !strings.HasPrefix(group, "group]") && !strings.HasPrefix(group, "endgroup]") && !strings.HasPrefix(group, "debug]") {
				problems = append(problems, "formatted: "+line)
			}
			continue
		}
		command, _, _ := strings.Cut(visible[len("##vso["):], "]")
		name, properties, _ := strings.Cut(command, " ")
		m := variable.FindStringSubmatch(properties)
		if !slices.Contains(commands, name) || name == "task.setvariable" && (m == nil || !slices.Contains(variables, m[1])) {
			problems = append(problems, "not ours: "+line)
		}
	}
	return problems
}

// read returns the transcript of a drama.
func (d drama) read(t *testing.T) *txtar.Archive {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", d.name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// undisturbed plays a drama with nothing going wrong, and returns the answers of
// every operation, in order.
func (d drama) undisturbed(t *testing.T, archive *txtar.Archive) (performance, map[string][]reply) {
	t.Helper()
	var mu sync.Mutex
	replies := map[string][]reply{}
	p := d.playOn(t, archive, func(e exchange) (*http.Response, error) {
		response, err := e.send()
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(body))
		mu.Lock()
		defer mu.Unlock()
		replies[e.operation] = append(replies[e.operation], reply{response.StatusCode, response.Header.Clone(), body})
		return response, err
	})
	if problems := d.judge(p, p); len(problems) > 0 || p.green() == d.back {
		t.Fatalf("the undisturbed run: %v\n%s", problems, p.log)
	}
	if d.back && p.runs != d.before {
		t.Fatalf("the undisturbed run left the service on %s", p.runs)
	}
	return p, replies
}

// reply is an answer of the emulator.
type reply struct {
	status int
	header http.Header
	body   []byte
}
