package main

// What each command needs: the policies of docs/permissions.md against the calls that the transcripts make.

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/emulator"
)

// policy is an IAM policy document, as far as it is used here.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Action    texts
	Resource  texts
	Condition map[string]map[string]texts `json:",omitempty"`
}

// texts is a string, or a list of them: IAM takes both.
type texts []string

func (l *texts) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*l = make(texts, 1)
		return json.Unmarshal(text, &(*l)[0])
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// checkPolicies: each policy of docs/permissions.md allows what its command calls in any transcript, and nothing else.
func checkPolicies(t *testing.T, archives map[string]*txtar.Archive, calls map[string][]string) {
	called := map[string]map[string]string{} // a transcript by action, by the policies' names
	for transcript, archive := range archives {
		name := policyName(archive)
		if called[name] == nil {
			called[name] = map[string]string{}
		}
		for _, action := range calls[transcript] {
			called[name][action] = transcript
		}
	}
	policies := policies(t)
	anybody := maps.Clone(unmeasured)
	for name, actions := range called {
		command, additions := policyNames(name)
		granted := policies[command]
		if granted == nil {
			t.Errorf("docs/permissions.md has no policy for %s", command)
			continue
		}
		for action, file := range actions {
			anybody[action] = true
			added := slices.ContainsFunc(additions, func(addition string) bool { return policies[addition][action] })
			if !granted[action] && !added && !withoutPolicy[action] {
				t.Errorf("the policy of %s does not allow %s, which %s calls", name, action, file)
			}
		}
	}
	for name, granted := range policies {
		for action := range granted {
			if !anybody[action] {
				t.Errorf("the policy of %s allows %s, which nothing calls", name, action)
			}
		}
	}
	for _, both := range []string{"push", "rollout"} {
		for action := range policies[both] {
			if !policies["deploy"][action] {
				t.Errorf("the policy of deploy does not allow %s, that of %s does", action, both)
			}
		}
	}
}

// withoutPolicy need no permission, or are called to suggest a name and denied without harm.
var withoutPolicy = map[string]bool{"sts:GetCallerIdentity": true, "ecs:ListClusters": true, "ecs:ListServices": true, "ecr:DescribeRepositoryCreationTemplates": true,
	"ecr:GetSigningConfiguration": true,
	"iam:SimulatePrincipalPolicy": true}

// unmeasured are checked by AWS as part of other calls, and by the emulator not at all.
var unmeasured = map[string]bool{
	"iam:PassRole": true, "ecs:TagResource": true, "sts:AssumeRole": true,
	"codedeploy:RegisterApplicationRevision": true, "kms:DescribeKey": true, "kms:CreateGrant": true,
	"signer:SignPayload": true,
}

// policies returns what each policy in docs/permissions.md allows, by the heading it stands under.
func policies(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "permissions.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]bool{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		_, document, found := strings.Cut(body, "```json\n")
		if !found {
			continue
		}
		document, _, _ = strings.Cut(document, "```")
		var p policy
		d := json.NewDecoder(strings.NewReader(document))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			t.Fatalf("the policy of %s: %v", name, err)
		}
		if p.Version != "2012-10-17" || len(document) > 6144 {
			t.Errorf("the policy of %s has version %q and %d characters", name, p.Version, len(document))
		}
		all[name] = map[string]bool{}
		for _, statement := range p.Statement {
			if statement.Effect != "Allow" || len(statement.Resource) == 0 || statement.Sid == "" {
				t.Errorf("the policy of %s has the statement %+v", name, statement)
			}
			for _, action := range statement.Action {
				if all[name][action] || strings.Contains(action, "*") {
					t.Errorf("the policy of %s names %s twice, or with a wildcard", name, action)
				}
				all[name][action] = true
			}
		}
	}
	return all
}

var (
	commandInput = regexp.MustCompile(`(?m)^command: *(\w+)`)
	byCodeDeploy = regexp.MustCompile(`(?m)^(codedeploy|ungrouped)\b`)
)

// newRepository is a run that no transcript shows: it creates the repository.
const newRepository = `
-- inputs --
command: push
repository: another
createRepository: true
image: app.tar
-- script --
archive app.tar 17
`

// policyName is the heading in docs/permissions.md of the policy for a transcript, with those of the additional ones.
func policyName(archive *txtar.Archive) string {
	name := "deploy"
	inputs := section(archive, "inputs")
	if m := commandInput.FindStringSubmatch(inputs); m != nil {
		name = m[1]
	}
	var additions []string
	for _, addition := range []struct {
		name string
		used bool
	}{
		{"CodeDeploy", byCodeDeploy.MatchString(section(archive, "script"))},
		{"createRepository", strings.Contains(inputs, "createRepository: true")},
		{"managed signing", strings.Contains(section(archive, "script"), "signed ")},
		{"lifecyclePolicy", strings.Contains(inputs, "lifecyclePolicy:")},
		{"kmsKey", strings.Contains(inputs, "kmsKey:")},
		{"failOnVulnerabilities", strings.Contains(inputs, "failOnVulnerabilities:")},
		{"whenSecretsChange", strings.Contains(inputs, "whenSecretsChange:")},
		{"keepRevisions", strings.Contains(inputs, "keepRevisions:")},
		{"schedules", strings.Contains(inputs, "schedules:")},
		{"migrationCommand", strings.Contains(inputs, "migrationCommand:")},
		{"smokeTest", strings.Contains(inputs, "smokeTest:")},
	} {
		if addition.used {
			additions = append(additions, addition.name)
		}
	}
	return strings.TrimSuffix(name+" with "+strings.Join(additions, " and "), " with ")
}

// policyNames are the command's policy of such a name, and the additional ones.
func policyNames(name string) (command string, additions []string) {
	command, with, _ := strings.Cut(name, " with ")
	if with != "" {
		additions = strings.Split(with, " and ")
	}
	return command, additions
}

// actions plays a transcript and returns the IAM actions of the calls that the task made.
func actions(t *testing.T, archive *txtar.Archive) []string {
	w := newWorld(t)
	time.Sleep(10 * time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs := 1
	for line := range strings.Lines(section(archive, "script")) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] == "untimed" || fields[0] == "interleaved":
		case fields[0] == "runs":
			runs = number(t, fields[1])
		case fields[0] == "cancel":
			after, err := time.ParseDuration(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(after, cancel)
		default:
			w.perform(t, fields)
		}
	}
	synctest.Wait() // a request is noted after it was answered
	before := len(w.Requests())
	for range runs {
		run(ctx, environment(t, w, t.TempDir(), section(archive, "inputs")), io.Discard, w.Transport())
	}
	return w.actions(before)
}

// actions are the IAM actions of the calls since as many requests as there were before.
func (w *world) actions(before int) []string {
	synctest.Wait() // a request is noted after it was answered
	all := map[string]bool{}
	for _, request := range w.Requests()[before:] {
		for _, action := range actionsOf(request) {
			all[action] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// actionsOf are the IAM actions that AWS checks for a request.
func actionsOf(r emulator.Request) []string {
	if r.Service != "registry" {
		return []string{r.Service + ":" + r.Operation}
	}
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
	switch r.Operation {
	case "HeadManifest", "GetManifest":
		return []string{"ecr:BatchGetImage"}
	case "HeadBlob":
		return []string{"ecr:BatchCheckLayerAvailability"}
	case "GetBlob":
		return []string{"ecr:GetDownloadUrlForLayer"}
	case "StartUpload":
		return []string{"ecr:InitiateLayerUpload"}
	case "UploadChunk":
		return []string{"ecr:UploadLayerPart"}
	case "FinishUpload":
		return []string{"ecr:UploadLayerPart", "ecr:CompleteLayerUpload"}
	case "PutManifest":
		return []string{"ecr:PutImage"}
	case "Ping":
		return nil
	default:
		return []string{"registry:" + r.Operation}
	}
}
