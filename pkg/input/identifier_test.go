package input_test

import (
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
)

// What an ARN says about where a thing is, is compared and never dropped.
func TestConflicts(t *testing.T) {
	base := []string{"image", "i", "repository", "repo", "cluster", "dev", "services", "web"}
	for name, test := range map[string]struct {
		given           []string
		region, account string
		want            string
	}{
		"the same":                {[]string{"cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/dev"}, "eu-west-1", "123456789012", ""},
		"cluster, region":         {[]string{"cluster", "arn:aws:ecs:us-east-1:123456789012:cluster/dev"}, "eu-west-1", "", "input cluster: the cluster is in region us-east-1, this run works in eu-west-1"},
		"cluster, account":        {[]string{"cluster", "arn:aws:ecs:eu-west-1:999999999999:cluster/dev"}, "eu-west-1", "123456789012", "input cluster: the cluster belongs to account 999999999999, this run works in account 123456789012"},
		"cluster, partition":      {[]string{"cluster", "arn:aws-cn:ecs:eu-west-1:123456789012:cluster/dev"}, "eu-west-1", "123456789012", "input cluster: the cluster is in partition aws-cn, region eu-west-1 is in aws"},
		"a region of China":       {[]string{"cluster", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/dev"}, "cn-north-1", "123456789012", ""},
		"service, old form":       {[]string{"services", "web2\narn:aws:ecs:us-east-1:123456789012:service/web"}, "eu-west-1", "", "input services, line 2: the service is in region us-east-1, this run works in eu-west-1"},
		"service, account":        {[]string{"services", "arn:aws:ecs:eu-west-1:999999999999:service/dev/web"}, "eu-west-1", "123456789012", "input services, line 1: the service belongs to account 999999999999, this run works in account 123456789012"},
		"task definition":         {[]string{"taskDefinition", "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1"}, "eu-west-1", "", "input taskDefinition: the task definition is in region us-east-1, this run works in eu-west-1"},
		"repository":              {[]string{"repository", "arn:aws:ecr:us-east-1:123456789012:repository/team/chat-app"}, "eu-west-1", "", "input repository: the repository is in region us-east-1, this run works in eu-west-1"},
		"secret":                  {[]string{"secrets", "A=/p\nB=arn:aws:ssm:us-east-1:123456789012:parameter/p"}, "eu-west-1", "", "input secrets, line 2: the secret is in region us-east-1, this run works in eu-west-1"},
		"secret, account":         {[]string{"secrets", "B=arn:aws:secretsmanager:eu-west-1:999999999999:secret:db-AbCdEf"}, "eu-west-1", "123456789012", "input secrets, line 1: the secret belongs to account 999999999999, this run works in account 123456789012"},
		"account not known yet":   {[]string{"cluster", "arn:aws:ecs:eu-west-1:999999999999:cluster/dev"}, "eu-west-1", "", ""},
		"region not known at all": {[]string{"cluster", "arn:aws:ecs:us-east-1:999999999999:cluster/dev"}, "", "", ""},
	} {
		got, err := load(t, append(slices.Clone(base), test.given...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		said := ""
		for _, e := range mistake.Each(got.Inputs.Conflicts(test.region, test.account)) {
			said += e.Error()
			if !strings.Contains(e.Error(), "input ") || e.(*mistake.Error).Hint() == "" {
				t.Errorf("%s: %v names no input or has no hint", name, e)
			}
		}
		if said != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, said, test.want)
		}
	}
}

// A region that the inputs give is compared before anything else happens.
func TestConflictsWithTheRegionOfTheInputs(t *testing.T) {
	for _, region := range [][]string{{"region", "EU-WEST-1"}, {"AWS_REGION", "eu-west-1"}} {
		_, err := load(t, append([]string{"image", "i", "repository", "arn:aws:ecr:us-east-1:123456789012:repository/chat-app", "services", "dev/web"}, region...)...)
		want := []string{"input repository: the repository is in region us-east-1, this run works in eu-west-1"}
		if got := mistakes(t, err); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", region, got, want)
		}
	}
	got, err := load(t, "image", "i", "repository", "arn:aws:ecr:eu-west-1:123456789012:repository/team/chat-app", "services", "dev/web", "region", "Eu-West-1")
	if err != nil || got.Inputs.Repository != "team/chat-app" || got.Inputs.Region != "eu-west-1" {
		t.Errorf("got %q in %q, %v", got.Inputs.Repository, got.Inputs.Region, err)
	}
}

// Each hint is about what was most likely meant.
func TestHints(t *testing.T) {
	base := []string{"image", "i", "repository", "repo", "services", "dev/web"}
	for name, test := range map[string]struct {
		given []string
		want  string
	}{
		"services with commas":  {[]string{"services", "web,worker"}, "one per line"},
		"services as YAML":      {[]string{"services", "- web"}, "without dashes"},
		"tags with commas":      {[]string{"tags", "a,b"}, "one tag per line"},
		"a branch":              {[]string{"tags", "feature/login-42"}, "for instance feature-login-42"},
		"command by case":       {[]string{"command", "Deploy"}, "did you mean deploy?"},
		"command, a letter off": {[]string{"command", "rolout"}, "did you mean rollout?"},
		"choice by case":        {[]string{"whenBusy", "Supersede"}, "did you mean supersede?"},
		"choice, exchanged":     {[]string{"onFailure", "levae"}, "did you mean leave?"},
		"no such choice":        {[]string{"whenBusy", "hope"}, "one of the words"},
		"base by case":          {[]string{"taskDefinition", "Latest"}, "did you mean latest?"},
		"an empty tag":          {[]string{"images", "a=h.io/web:"}, "probably empty"},
		"an empty image":        {[]string{"images", "a="}, "probably empty"},
		"an empty digest":       {[]string{"images", "a=h.io/web:7@"}, "probably empty"},
		"a short digest":        {[]string{"images", "a=h.io/web@sha256:abc"}, "imageDigest"},
		"upper case":            {[]string{"images", "a=h.io/Web:1"}, "lower case"},
		"several clusters":      {[]string{"cluster", "a, b"}, "cluster/service"},
		"an availability zone":  {[]string{"region", "EU-west-1b"}, "write eu-west-1"},
		"repository by ARN":     {[]string{"repository", "arn:aws:ecs:eu-west-1:123456789012:cluster/x"}, "arn:aws:ecr:"},
	} {
		_, err := load(t, append(slices.Clone(base), test.given...)...)
		errs := mistake.Each(err)
		if len(errs) != 1 || !strings.Contains(errs[0].(*mistake.Error).Hint(), test.want) {
			t.Errorf("%s: %v %q, want a hint about %s", name, err, errs, test.want)
		}
	}
	_, err := load(t, append(slices.Clone(base), "tags", "feature/login-42")...)
	if err == nil || !strings.Contains(err.Error(), `contains the character "/"`) {
		t.Errorf("the character is not named: %v", err)
	}
	_, err = load(t, append(slices.Clone(base), "platform", `C:\out\x`)...)
	if err == nil || !strings.Contains(err.Error(), `"C:\out\x"`) {
		t.Errorf("a path is not shown as typed: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	for tags, want := range map[string]int{"latest": 1, "Latest\n7": 1, "7\nlatest": 0, "7": 0} {
		got, err := load(t, "image", "i", "repository", "repo", "services", "dev/web", "tags", tags)
		if err != nil || len(got.Inputs.Warnings) != want {
			t.Errorf("tags %q: warnings %v, %v", tags, got.Inputs.Warnings, err)
		}
	}
}

// A malformed reference is refused before any call, whichever input it is in, and
// names that input.
func TestMalformedReferencesEverywhere(t *testing.T) {
	inputs := map[string][]string{
		"image":        {"command", "rollout", "services", "dev/web", "image", "%"},
		"image, task":  {"command", "runTask", "services", "dev/web", "containerCommand", `["x"]`, "image", "%"},
		"images":       {"command", "rollout", "services", "dev/web", "repository", "repo", "images", "proxy=%"},
		"defaultImage": {"command", "currentImage", "services", "dev/web", "defaultImage", "%"},
		"image, push":  {"command", "deploy", "services", "dev/web", "repository", "repo", "image", "docker://%"},
	}
	for _, reference := range []string{"h.io/web:", "h.io/web:7@", "h.io/web@", "h.io/web@sha256:0a1b", "h.io/web:a*b", "h.io/web:-x", "h.io/Web:1", "h.io/web:7@sha256:" + strings.Repeat("g", 64)} {
		for what, given := range inputs {
			name, _, _ := strings.Cut(what, ",")
			with := slices.Clone(given)
			with[len(with)-1] = strings.Replace(with[len(with)-1], "%", reference, 1)
			_, err := load(t, with...)
			all := mistake.Each(err)
			if len(all) != 1 || !strings.HasPrefix(all[0].Error(), "input "+name) || all[0].(*mistake.Error).Hint() == "" {
				t.Errorf("%s: %s: %v", what, reference, err)
			}
		}
	}
	for what, given := range inputs {
		with := slices.Clone(given)
		with[len(with)-1] = strings.Replace(with[len(with)-1], "%", "h.io/web:7", 1)
		if _, err := load(t, with...); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
