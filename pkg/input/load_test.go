package input_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/mistake"
)

// env is an environment as the agent makes it: the inputs by their YAML names,
// everything else by the name of the variable.
func env(pairs ...string) map[string]string {
	m := map[string]string{"BUILD_BUILDID": "1234"}
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i]
		if !strings.Contains(name, "_") {
			name = "INPUT_" + strings.ToUpper(name)
		}
		m[name] = pairs[i+1]
	}
	return m
}

func load(t *testing.T, pairs ...string) (input.Config, error) {
	t.Helper()
	return input.Load(context.Background(), env(pairs...))
}

// mistakes are the errors that Load joins, as text.
func mistakes(t *testing.T, err error) (list []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not a joined error", err)
	}
	for _, e := range joined.Unwrap() {
		one, ok := errors.AsType[*mistake.Error](e)
		if !ok {
			t.Fatalf("%v is a %T", e, e)
		}
		if one.Hint() == "" {
			t.Errorf("%v has no hint", one)
		}
		list = append(list, one.Error())
	}
	return list
}

// exported is a copy of what other packages see.
func exported(in input.Inputs) (out input.Inputs) {
	from, to := reflect.ValueOf(in), reflect.ValueOf(&out).Elem()
	for i := range from.NumField() {
		if to.Field(i).CanSet() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return out
}

func TestDeployWithItsDefaults(t *testing.T) {
	got, err := load(t, "image", "chat-app:1234", "repository", "chat-app", "cluster", "dev", "services", "web")
	if err != nil {
		t.Fatal(err)
	}
	want := input.Inputs{
		Command:        input.Deploy,
		Image:          "chat-app:1234",
		Repository:     "chat-app",
		Tags:           []string{"1234"},
		Services:       []input.Service{{Cluster: "dev", Name: "web"}},
		Compression:    input.Gzip,
		TaskDefinition: input.LatestRevision,
		Wait:           true,
		Timeout:        30 * time.Minute,
		Summary:        true,
		Recording:      input.RecordOnFailure,

		WhenSecretsChange: input.SecretsDeploy,
		WhenBusy:          input.BusyWait,
		OlderBuild:        input.OlderRefuse,
		MaxFailedTasks:    3,
		OnFailure:         input.RecoverRollback,
		OnCancel:          input.RecoverRollback,
		WaitUntil:         input.UntilCompleted,
	}
	if !reflect.DeepEqual(got.Inputs, want) {
		t.Errorf("got  %+v\nwant %+v", got.Inputs, want)
	}
}

func TestEveryInput(t *testing.T) {
	got, err := load(t,
		"command", "deploy", "region", "eu-west-1",
		"roleArn", "arn:aws:iam::123456789012:role/team/deployer", "roleSessionName", "azure@pipelines", "externalId", "a:b/c",
		"image", "docker://ghcr.io/chat/app:1", "platform", "linux/arm64", "compression", "zstd", "repository", "chat/app",
		"tags", "1234\r\n\r\n  stable \r\n", "createRepository", "True",
		"cluster", "dev", "services", "web\narn:aws:ecs:eu-west-1:123456789012:service/dev/worker\nprod/web",
		"container", "app", "images", "proxy=docker.io/library/nginx:1\nlog=self", "taskDefinition", "web:7",
		"environment", "A=1\nEMPTY=\nproxy:URL=http://x:80/?a=b#c\n# = not a comment? no: a blank in the name",
	)
	if list := mistakes(t, err); len(list) != 1 || !strings.HasPrefix(list[0], "input environment, line 4: ") {
		t.Fatalf("mistakes %q", list)
	}
	got, err = load(t,
		"command", "deploy", "region", "eu-west-1",
		"roleArn", "arn:aws:iam::123456789012:role/team/deployer", "roleSessionName", "azure@pipelines", "externalId", "a:b/c",
		"image", "docker://ghcr.io/chat/app:1", "platform", "linux/arm64", "compression", "zstd", "repository", "chat/app", "referrers", "true", "insecureRegistries", "registry.test:5000\n10.0.0.5",
		"tags", "1234\r\n\r\n  stable \r\n", "createRepository", "True",
		"cluster", "dev", "services", "web\narn:aws:ecs:eu-west-1:123456789012:service/dev/worker\nprod/web",
		"container", "app\nmigrate", "images", "proxy=docker.io/library/nginx:1\nlog=self", "taskDefinition", "web:7", "artifactAlias", "_my app",
		"RELEASE_ARTIFACTS__MY_APP_BUILDID", "77",
		"environment", "A=1\nEMPTY=\nproxy:URL=http://x:80/?a=b#c\nKEY<<EOF\n a\nb\nEOF",
		"removeEnvironment", "OLD\nproxy:OLD", "secrets", "DB=arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:key::",
		"cpu", "1 vCPU", "memory", "2048", "containerCommand", `["sh", "-c", "a=b"]`,
		"desiredCount", "0", "forceNewDeployment", "true", "pinDigest", "TRUE", "wait", "false", "timeoutMinutes", "5",
		"dryRun", "true", "summary", "False",
		"whenBusy", "supersede", "olderBuild", "allow", "maxFailedTasks", "0", "onFailure", "leave", "onCancel", "leave", "waitUntil", "traffic", "whenSecretsChange", "ignore", "failOnVulnerabilities", "medium",
	)
	if err != nil {
		t.Fatal(err)
	}
	want := input.Inputs{
		Command: input.Deploy, Region: "eu-west-1",
		Role:  input.Role{ARN: "arn:aws:iam::123456789012:role/team/deployer", SessionName: "azure@pipelines", ExternalID: "a:b/c"},
		Image: "docker://ghcr.io/chat/app:1", Platform: "linux/arm64", Compression: "zstd", Repository: "chat/app",
		Referrers: true, InsecureRegistries: []string{"registry.test:5000", "10.0.0.5"},
		Tags: []string{"1234", "stable"}, CreateRepository: true,
		Services:   []input.Service{{"dev", "web"}, {"arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "worker"}, {"prod", "web"}},
		Containers: []string{"app", "migrate"}, ArtifactAlias: "_my app", Images: []input.ContainerImage{{"proxy", "docker.io/library/nginx:1"}, {"log", input.SelfReference}}, TaskDefinition: "web:7",
		Environment:       []input.Variable{{"", "A", "1"}, {"", "EMPTY", ""}, {"proxy", "URL", "http://x:80/?a=b#c"}, {"", "KEY", " a\nb"}},
		RemoveEnvironment: []input.VariableName{{"", "OLD"}, {"proxy", "OLD"}},
		Secrets:           []input.Variable{{"", "DB", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:key::"}},
		CPU:               "1 vCPU", Memory: "2048", ContainerCommand: []string{"sh", "-c", "a=b"},
		DesiredCount: new(0), ForceNewDeployment: true, PinDigest: true, Wait: false, Timeout: 5 * time.Minute, TimeoutGiven: true, DryRun: true, Summary: false, Recording: "onFailure",
		WhenSecretsChange: "ignore", FailOn: "medium",
		WhenBusy: "supersede", OlderBuild: "allow", WaitUntil: "traffic", OnFailure: "leave", OnCancel: "leave",
	}
	if ids := got.Inputs.Identifiers(); len(ids) != 2 || ids[0].Input != "services" || ids[0].Line != 2 || ids[1].ARN.Service != "secretsmanager" {
		t.Errorf("identifiers %+v", ids)
	}
	if got.Build.ID != "77" {
		t.Errorf("build %+v", got.Build)
	}
	// What is not exported is compared by the tests of what it is for.
	got.Inputs = exported(got.Inputs)
	if !reflect.DeepEqual(got.Inputs, want) {
		t.Errorf("got  %+v\nwant %+v", got.Inputs, want)
	}
	if s := got.Inputs.Services[1]; s.ClusterName() != "dev" || s.String() != "dev/worker" {
		t.Errorf("a service by ARN shows as %s in cluster %s", s, s.ClusterName())
	}
}

// What the operations' commands take.
func TestRollbackAndResume(t *testing.T) {
	got, err := load(t, "command", "rollback", "cluster", "dev", "services", "web", "buildId", "1234", "timeoutMinutes", "5")
	if err != nil || got.Inputs.BuildID != "1234" || got.Inputs.Timeout != 5*time.Minute || !got.Inputs.Wait {
		t.Errorf("rollback: %+v, %v", got.Inputs, err)
	}
	got, err = load(t, "command", "resume", "cluster", "dev", "services", "web", "action", "rollback", "hookId", "h-1")
	if err != nil || got.Inputs.Action != input.ActionRollback || got.Inputs.HookID != "h-1" {
		t.Errorf("resume: %+v, %v", got.Inputs, err)
	}
	got, err = load(t, "command", "currentImage", "cluster", "dev", "services", "web", "defaultImage", "public.ecr.aws/nginx/nginx:1.27")
	if err != nil || got.Inputs.DefaultImage != "public.ecr.aws/nginx/nginx:1.27" {
		t.Errorf("currentImage: %+v, %v", got.Inputs, err)
	}
	for _, wrong := range [][]string{
		{"command", "resume", "cluster", "dev", "services", "web", "action", "Continue"},
		{"command", "rollback", "cluster", "dev", "services", "web", "buildId", "the last one"},
		{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web", "whenBusy", "hope"},
		{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web", "maxFailedTasks", "-1"},
		{"command", "resume", "cluster", "dev", "services", "web", "hookId", "a b"},
	} {
		_, err := load(t, wrong...)
		if list := mistakes(t, err); len(list) != 1 {
			t.Errorf("%q: mistakes %q, want one", wrong, list)
		}
	}
}

// What each command needs, and that it can do with that alone.
func TestRequiredInputs(t *testing.T) {
	for name, test := range map[string]struct {
		given []string
		want  []string
	}{
		"push":                                             {[]string{"command", "push", "image", "i", "repository", "repo"}, nil},
		"push, nothing":                                    {[]string{"command", "push"}, []string{"image", "repository"}},
		"deploy, nothing":                                  {nil, []string{"image", "repository", "services"}},
		"deploy, no cluster":                               {[]string{"image", "i", "repository", "repo", "services", "dev/a\nb\nc"}, []string{"services, line 2", "services, line 3"}},
		"deploy, clusters in lines":                        {[]string{"image", "i", "repository", "repo", "services", "dev/a\nprod/b"}, nil},
		"old ARN has no cluster":                           {[]string{"image", "i", "repository", "repo", "services", "arn:aws:ecs:eu-west-1:123456789012:service/web"}, []string{"services, line 1"}},
		"rollout of an image":                              {[]string{"command", "rollout", "image", "h.io/i:1", "cluster", "dev", "services", "web"}, nil},
		"rollout of a repository":                          {[]string{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web"}, nil},
		"rollout of a revision as it is":                   {[]string{"command", "rollout", "taskDefinition", "web:7", "cluster", "dev", "services", "web"}, nil},
		"register only":                                    {[]string{"command", "rollout", "repository", "repo", "taskDefinition", "task.json"}, nil},
		"register only, by deploy":                         {[]string{"image", "i", "repository", "repo", "taskDefinition", "web"}, nil},
		"a current image of no service":                    {[]string{"command", "rollout", "image", "current", "taskDefinition", "web"}, []string{"services"}},
		"nothing to register on":                           {[]string{"command", "rollout", "repository", "repo", "taskDefinition", "running"}, []string{"services"}},
		"rollout again":                                    {[]string{"command", "rollout", "forceNewDeployment", "true", "cluster", "dev", "services", "web"}, nil},
		"verify a deployment":                              {[]string{"command", "verify", "image", "i", "repository", "repo", "cluster", "dev", "services", "web"}, nil},
		"verify a rollout":                                 {[]string{"command", "verify", "image", "h.io/i:1", "cluster", "dev", "services", "web"}, nil},
		"verify a service as it is":                        {[]string{"command", "verify", "cluster", "dev", "services", "web"}, nil},
		"verify a repository":                              {[]string{"command", "verify", "repository", "repo"}, nil},
		"verify what is registered only":                   {[]string{"command", "verify", "repository", "repo", "taskDefinition", "task.json"}, nil},
		"verify an image that no task definition can have": {[]string{"command", "verify", "image", "i.tar", "cluster", "dev", "services", "web"}, []string{"image"}},
		"verify without tags":                              {[]string{"command", "verify", "repository", "repo", "BUILD_BUILDID", ""}, []string{"tags"}},
		"verify, nothing":                                  {[]string{"command", "verify"}, []string{"services"}},
		"placeholder":                                      {[]string{"command", "placeholder", "repository", "repo"}, nil},
		"placeholder, nothing":                             {[]string{"command", "placeholder"}, []string{"repository"}},
		"currentImage, nothing":                            {[]string{"command", "currentImage"}, []string{"repository", "services"}},
		"rollback, nothing":                                {[]string{"command", "rollback"}, []string{"services"}},
		"resume, nothing":                                  {[]string{"command", "resume"}, []string{"services"}},
		"runTask, nothing":                                 {[]string{"command", "runTask"}, []string{"services"}},
		"runTask":                                          {[]string{"command", "runTask", "services", "dev/web"}, nil},
		"runTask of two":                                   {[]string{"command", "runTask", "services", "dev/web\ndev/worker", "container", "a\nb"}, []string{"services", "container"}},
		"a migration of no service":                        {[]string{"command", "rollout", "repository", "repo", "taskDefinition", "web", "migrationCommand", `["a"]`}, []string{"migrationCommand"}},
		"an empty migration":                               {[]string{"command", "rollout", "repository", "repo", "services", "dev/web", "migrationCommand", `[]`}, []string{"migrationCommand"}},
		"rollout, nothing":                                 {[]string{"command", "rollout"}, []string{"image", "services"}},
		"blank is empty":                                   {[]string{"command", "push", "image", "  ", "repository", "repo"}, []string{"image"}},
		"no build id": {[]string{"command", "push", "image", "i", "repository", "repo", "BUILD_BUILDID", ""},
			[]string{"tags"}},
		"no build id, tags given": {[]string{"command", "push", "image", "i", "repository", "repo", "BUILD_BUILDID", "", "tags", "v1"}, nil},
		"no build id, image given": {[]string{"command", "rollout", "image", "h.io/i:1", "cluster", "dev", "services", "web",
			"BUILD_BUILDID", "", "tags", "$(Build.BuildId)"}, nil},
	} {
		_, err := load(t, test.given...)
		got := mistakes(t, err)
		if len(got) != len(test.want) {
			t.Errorf("%s: mistakes %q, want %q", name, got, test.want)
			continue
		}
		for i, want := range test.want {
			if !strings.HasPrefix(got[i], "input "+want+": ") {
				t.Errorf("%s: mistake %q, want one of input %s", name, got[i], want)
			}
		}
	}
}

func TestEveryMistakeAtOnce(t *testing.T) {
	_, err := load(t, "command", "deploy", "region", "Ireland", "repository", "Chat App", "tags", "ok\nnot ok\n-x", "wait", "yes", "services", "web", "timeoutMinutes", "0")
	want := []string{
		"input image: is empty; command deploy needs the image to push",
		`input region: "Ireland" is not the code of an AWS region`,
		`input repository: "Chat App" is not an ECR repository: expected 2 to 256 lower-case letters, digits, and single . _ - or / between them`,
		`input tags, line 2: "not ok" is not a tag: it contains the character " "; expected up to 128 letters, digits, _ . or -, not starting with . or -`,
		`input tags, line 3: "-x" is not a tag: it begins with "-"; expected up to 128 letters, digits, _ . or -, not starting with . or -`,
		"input services, line 1: web has no cluster",
		`input wait: "yes" is neither true nor false`,
		`input timeoutMinutes: "0" is not a whole number of minutes from 1 to 10080`,
	}
	if got := mistakes(t, err); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// With an unknown command, what is written is still checked, but nothing is
// asked for.
func TestUnknownCommand(t *testing.T) {
	_, err := load(t, "command", "Deploy", "wait", "no")
	if got := mistakes(t, err); len(got) != 2 || !strings.HasPrefix(got[0], "input command: ") || !strings.HasPrefix(got[1], "input wait: ") {
		t.Errorf("mistakes %q", got)
	}
}

func TestRulesBetweenInputs(t *testing.T) {
	base := []string{"image", "i", "repository", "repo", "cluster", "dev", "services", "web"}
	for name, test := range map[string]struct {
		given []string
		want  string
	}{
		"service twice":             {[]string{"services", "web\ndev/web"}, "input services, line 2: dev/web is there already, in line 1"},
		"service twice, by ARN":     {[]string{"services", "web\n\narn:aws:ecs:eu-west-1:123456789012:service/dev/web"}, "input services, line 3: dev/web is there already, in line 1"},
		"tag twice":                 {[]string{"tags", "a\nb\na"}, "input tags, line 3: a is there already, in line 1"},
		"container twice":           {[]string{"images", "a=h.io/x\na=h.io/y"}, "input images, line 2: a is there already, in line 1"},
		"container twice, chosen":   {[]string{"container", "app\napp"}, "input container, line 2: app is there already, in line 1"},
		"ARN of another cluster":    {[]string{"services", "arn:aws:ecs:eu-west-1:123456789012:service/prod/web"}, "input services, line 1: the ARN of service web names the cluster prod, the input cluster names dev"},
		"no such alias":             {[]string{"artifactAlias", "_web"}, `input artifactAlias: "_web" is not the alias of a build artifact or pipeline resource of this run`},
		"container of image":        {[]string{"container", "app", "images", "app=h.io/x"}, "input images, line 1: app gets its image from the inputs container and image"},
		"variable twice":            {[]string{"environment", "A=1\nA=2"}, "input environment, line 2: A is there already, in line 1"},
		"variable twice, container": {[]string{"container", "app", "environment", "A=1\napp:A=2"}, "input environment, line 2: A is there already, in line 1"},
		"set and removed":           {[]string{"environment", "A=1", "removeEnvironment", "A"}, "input removeEnvironment: A is in environment, too"},
		"variable and secret":       {[]string{"environment", "w:A=1", "secrets", "w:A=/p"}, "input secrets: w:A is in environment, too"},
	} {
		_, err := load(t, append(slices.Clone(base), test.given...)...)
		if got := mistakes(t, err); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
	for name, given := range map[string][]string{
		"same service, two clusters":     {"services", "web\nprod/web"},
		"ARN of the same cluster":        {"cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "services", "arn:aws:ecs:eu-west-1:123456789012:service/dev/web"},
		"same variable, two containers":  {"environment", "A=1\nproxy:A=2"},
		"a variable becomes a secret":    {"removeEnvironment", "A", "secrets", "A=/p"},
		"only line breaks are no values": {"tags", "\r\n\r\n"},
	} {
		if _, err := load(t, append(slices.Clone(base), given...)...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIgnoredInputs(t *testing.T) {
	for name, test := range map[string]struct {
		given []string
		want  []string
	}{
		"what a designer kept, even if wrong": {
			[]string{"command", "push", "image", "i", "repository", "repo", "cluster", "$(Cluster)", "services", "no such/thing/here", "desiredCount", "x", "wait", "perhaps"},
			[]string{"cluster", "services", "desiredCount", "wait"}},
		"defaults are not given": {
			[]string{"command", "push", "image", "i", "repository", "repo", "wait", "True", "timeoutMinutes", "30", "taskDefinition", "latest", "summary", "true", "forceNewDeployment", "FALSE"}, nil},
		"rollout does not push": {
			[]string{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web", "platform", "linux/amd64", "createRepository", "true"},
			[]string{"createRepository", "platform"}},
		"tags beside an image": {
			[]string{"command", "rollout", "image", "h.io/i:1", "cluster", "dev", "services", "web", "tags", "v1"}, []string{"tags"}},
		"the default tag beside an image": {
			[]string{"command", "rollout", "image", "h.io/i:1", "cluster", "dev", "services", "web", "tags", "1234"}, nil},
	} {
		got, err := load(t, test.given...)
		if err != nil || !slices.Equal(got.Inputs.Ignored, test.want) {
			t.Errorf("%s: ignored %q, %v; want %q", name, got.Inputs.Ignored, err, test.want)
		}
	}
	got, _ := load(t, "command", "push", "image", "i", "repository", "repo", "services", "web", "desiredCount", "2")
	if got.Inputs.Services != nil || got.Inputs.DesiredCount != nil || got.Inputs.Wait || got.Inputs.Timeout != 30*time.Minute {
		t.Errorf("inputs without effect are not zero: %+v", got.Inputs)
	}
}

func TestUnexpandedMacros(t *testing.T) {
	base := []string{"image", "i", "repository", "repo", "cluster", "dev", "services", "web"}
	for name, test := range map[string]struct {
		given []string
		want  string
	}{
		"whole value":         {[]string{"region", "$(AwsRegion)"}, "input region: holds the unexpanded variable $(AwsRegion)"},
		"part of a value":     {[]string{"image", "app:$(Tag)-x"}, "input image: holds the unexpanded variable $(Tag)"},
		"in a line":           {[]string{"services", "web\n$(Env)-worker"}, "input services, line 2: holds the unexpanded variable $(Env)"},
		"two":                 {[]string{"repository", "$(b.c)/$(A)/$(A)"}, "input repository: holds the unexpanded variables $(A), $(b.c)"},
		"a boolean":           {[]string{"wait", "$(Wait)"}, "input wait: holds the unexpanded variable $(Wait)"},
		"release artifact":    {[]string{"tags", "$(Release.Artifacts._my app.BuildId)"}, "input tags, line 1: holds the unexpanded variable $(Release.Artifacts._my app.BuildId)"},
		"no primary build":    {[]string{"tags", "$(Build.BuildId)"}, "input tags, line 1: holds the unexpanded variable $(Build.BuildId)"},
		"runtime expression":  {[]string{"cluster", "$[ variables['c'] ]"}, "input cluster: holds the unexpanded variable $[ variables['c'] ]"},
		"a container command": {[]string{"containerCommand", `["sh","-c","echo $(hostname)"]`}, "input containerCommand: holds the unexpanded variable $(hostname)"},
		"the connection":      {[]string{"awsCredentials", "$(Connection)"}, "input awsCredentials: holds the unexpanded variable $(Connection)"},
	} {
		_, err := load(t, append(slices.Clone(base), test.given...)...)
		if got := mistakes(t, err); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
	for _, value := range []string{"A=$(date +%s)", "A=$HOME", "A=$()", "A=$(1)", "A=${x}", "A=100$"} {
		if _, err := load(t, append(slices.Clone(base), "environment", value)...); err != nil {
			t.Errorf("%s is not a macro: %v", value, err)
		}
	}
}

func TestHintsForMacros(t *testing.T) {
	for value, want := range map[string]string{
		"$(Build.BuildId)":   "primary artifact",
		"$[ variables.x ]":   "runtime expressions",
		"A=$(whoami)":        "backquotes",
		"A=$(Some.Variable)": "define it",
	} {
		_, err := load(t, "image", "i", "repository", "repo", "services", "dev/web", "environment", value)
		one, ok := errors.AsType[*mistake.Error](err)
		if !ok || !strings.Contains(one.Hint(), want) {
			t.Errorf("%s: %v, want a hint about %s", value, err, want)
		}
	}
}

// A value that may be a secret in the wrong place is not repeated.
func TestMistakesKeepSecretsToThemselves(t *testing.T) {
	for _, given := range [][]string{
		{"secrets", "DB_PASSWORD=hunter2"},
		{"secrets", "hunter2"},
		{"environment", "hunter2"},
		{"environment", "A b=hunter2"},
		{"removeEnvironment", "A=hunter2"},
		{"externalId", "hunter2 !"},
		{"containerCommand", "hunter2"},
	} {
		_, err := load(t, append([]string{"image", "i", "repository", "repo", "services", "dev/web"}, given...)...)
		if list := mistakes(t, err); len(list) != 1 || strings.Contains(list[0], "hunter2") {
			t.Errorf("%q: %q", given, list)
		}
	}
}
