package session

// The snippets of docs/oidc.md are what people paste: each is parsed, and each
// trust policy is evaluated for the token that it is meant for.

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"go.yaml.in/yaml/v3"

	devops "ecsdeploy/pkg/emulator/azdo"
)

const organizationID = "6b1f3c52-2b36-4d6e-8f0c-0c8d1c2b7a01"

type snippet struct{ language, about, text string }

func snippets(t *testing.T) []snippet {
	t.Helper()
	text, err := os.ReadFile("../../docs/oidc.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []snippet
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+) ?([^\n]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		list = append(list, snippet{m[1], m[2], strings.ReplaceAll(m[3], "ORGANIZATION_ID", organizationID)})
	}
	return list
}

// accepts checks that a role with the policy can be assumed with a token of the
// subject, and not with one of another.
func accepts(t *testing.T, policy, subject string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newClouds(t)
		if c.devops.Issuer() != "https://vstoken.dev.azure.com/"+organizationID {
			t.Fatalf("issuer %s", c.devops.Issuer())
		}
		if err := c.aws.TrustRole(deployRole, policy); err != nil {
			t.Fatal(err)
		}
		for _, other := range []bool{false, true} {
			s := devops.New(devops.Options{URL: "https://dev.azure.com/" + part(subject, 0), Project: part(subject, 1), Pipeline: part(subject, 2)})
			s.AddConnection(connectionID, part(subject, 2))
			if other {
				s = devops.New(devops.Options{URL: "https://dev.azure.com/" + part(subject, 0), Project: part(subject, 1), Pipeline: "other"})
				s.AddConnection(connectionID, "other")
			}
			c.devops = s
			c.addProvider(devops.Audience)
			o := c.options(func(o *Options) { o.Role = Role{ARN: deployRole} })
			o.IDToken = newAzureDevOps(t, c).IDToken
			if strings.HasPrefix(subject, "sc:") {
				o.Connection = &Connection{ID: connectionID, UseOIDC: true}
			}
			if _, err := New(t.Context(), o); (err != nil) != other {
				t.Errorf("token of another subject: %v: %v", other, err)
			}
		}
	})
}

func part(subject string, i int) string {
	_, rest, _ := strings.Cut(subject, "://")
	return strings.Split(rest, "/")[i]
}

func TestTrustPoliciesOfTheDocumentation(t *testing.T) {
	isolate(t)
	n := 0
	for _, s := range snippets(t) {
		if subject, ok := strings.CutPrefix(s.about, "trust "); ok {
			n++
			accepts(t, s.text, subject)
		}
	}
	if n != 2 {
		t.Errorf("%d trust policies, want 2", n)
	}
}

func TestTemplatesOfTheDocumentation(t *testing.T) {
	isolate(t)
	found := map[string]int{}
	for _, s := range snippets(t) {
		found[s.language]++
		switch s.language {
		case "yaml":
			var document yaml.Node
			if err := yaml.Unmarshal([]byte(s.text), &document); err != nil {
				t.Errorf("%v in\n%s", err, s.text)
				continue
			}
			if strings.HasPrefix(s.text, "AWSTemplateFormatVersion") {
				accepts(t, cloudFormationPolicy(t, &document), "sc://example/Shop/aws-production")
			}
		case "js":
			checkCDK(t, s.text)
		case "hcl":
			if problem := unbalanced(s.text); problem != "" {
				t.Errorf("%s in\n%s", problem, s.text)
			}
		}
	}
	for language, want := range map[string]int{"json": 2, "yaml": 3, "js": 1, "hcl": 1, "sh": 1} {
		if found[language] != want {
			t.Errorf("%d snippets of %s, want %d", found[language], language, want)
		}
	}
}

// cloudFormationPolicy is the role's trust policy with the reference resolved.
func cloudFormationPolicy(t *testing.T, document *yaml.Node) string {
	t.Helper()
	var resolve func(*yaml.Node)
	resolve = func(n *yaml.Node) {
		if n.Tag == "!Ref" {
			n.SetString("arn:aws:iam::123456789012:oidc-provider/vstoken.dev.azure.com/" + organizationID)
		}
		for _, child := range n.Content {
			resolve(child)
		}
	}
	resolve(document)
	var template struct {
		Resources map[string]struct {
			Properties struct {
				Document map[string]any `yaml:"AssumeRolePolicyDocument"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := document.Decode(&template); err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(template.Resources["Deploy"].Properties.Document)
	if err != nil {
		t.Fatal(err)
	}
	return string(policy)
}

// checkCDK has Node parse the stack, and where the packages are there, synthesize it.
func checkCDK(t *testing.T, text string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the CDK snippet is not parsed")
	}
	file := filepath.Join(t.TempDir(), "access.js")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(node, "--check", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	modules := os.Getenv("ECSDEPLOY_TEST_CDK")
	if modules == "" {
		return // TestSynth of examples says that it was skipped
	}
	cmd := exec.Command(node, "-e", `
		const { App } = require('aws-cdk-lib'); const { PipelineAccess } = require(process.argv[1]);
		const stack = new PipelineAccess(new App(), 'access', { env: { account: '123456789012', region: 'eu-west-1' } });
		const template = require('aws-cdk-lib/assertions').Template.fromStack(stack).toJSON();
		const role = Object.values(template.Resources).find(r => r.Type === 'AWS::IAM::Role' && r.Properties.RoleName === 'deploy');
		console.log(JSON.stringify(role.Properties.AssumeRolePolicyDocument, (k, v) =>
			v && v.Ref ? 'arn:aws:iam::123456789012:oidc-provider/vstoken.dev.azure.com/`+organizationID+`' : v));`, file)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	policy, err := cmd.Output()
	if err != nil {
		t.Fatalf("synthesize: %v", err)
	}
	accepts(t, string(policy), "sc://example/Shop/aws-production")
}

// unbalanced reports a bracket or a quotation mark without its partner.
func unbalanced(text string) string {
	var open []rune
	quoted := false
	pairs := map[rune]rune{')': '(', ']': '[', '}': '{'}
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted && r == '\n':
			return "a string does not end in its line"
		case quoted:
		case strings.ContainsRune("([{", r):
			open = append(open, r)
		case pairs[r] != 0:
			if len(open) == 0 || open[len(open)-1] != pairs[r] {
				return "brackets do not match"
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 || quoted {
		return "something is not closed"
	}
	return ""
}
