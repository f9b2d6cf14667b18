package emulator

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/emulator/awsapi"
)

// TestAWSCLI drives the emulator with a client that is not ours: the script that people write for lack of a tool.
func TestAWSCLI(t *testing.T) {
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not on PATH, so it cannot be a witness here")
	}
	if testing.Short() {
		t.Skip("the AWS CLI takes some ten seconds")
	}
	t.Parallel()
	e, err := New(Options{Directory: t.TempDir(), Speed: 300}) // fast enough for "wait" to find it done at its first look
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Demo(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	home := t.TempDir()
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	run := func(args ...string) (out awsapi.Object, stderr string) {
		cmd := exec.Command(path, append(args, "--output", "json")...)
		cmd.Env = append(slices.Clip(environment), "AWS_ENDPOINT_URL="+server.URL, "AWS_DEFAULT_REGION="+e.Region(), "AWS_REGION="+e.Region(), "AWS_ACCESS_KEY_ID=AKIACLI",
			"AWS_SECRET_ACCESS_KEY=x", "AWS_PAGER=", "AWS_CONFIG_FILE="+filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(home, "credentials"))
		var errs bytes.Buffer
		cmd.Stderr = &errs
		data, err := cmd.Output()
		if err != nil {
			return nil, errs.String()
		}
		if len(bytes.TrimSpace(data)) == 0 {
			return awsapi.Object{}, ""
		}
		if out, err = awsapi.ParseObject(data); err != nil {
			return nil, err.Error() + ": " + string(data)
		}
		return out, ""
	}
	ok := func(args ...string) awsapi.Object {
		t.Helper()
		out, stderr := run(args...)
		if out == nil {
			t.Fatalf("aws %s: %s", strings.Join(args, " "), stderr)
		}
		return out
	}

	service := []string{"--cluster", DemoCluster, "--service", DemoService}
	base := ok("ecs", "describe-task-definition", "--task-definition", DemoFamily, "--include", "TAGS")
	td := base.Object("taskDefinition")
	for _, m := range []string{"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy"} {
		delete(td, m)
	}
	td["tags"] = base["tags"]
	td.Objects("containerDefinitions")[0]["image"] = "public.ecr.aws/nginx/nginx:2"
	data, err := json.Marshal(td)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, "td.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	arn := ok("ecs", "register-task-definition", "--cli-input-json", "file://"+file).Object("taskDefinition").Str("taskDefinitionArn")
	ok(append([]string{"ecs", "update-service", "--task-definition", arn}, service...)...)
	ok("ecs", "wait", "services-stable", "--cluster", DemoCluster, "--services", DemoService)
	releases := ok(append([]string{"ecs", "list-service-deployments"}, service...)...).Objects("serviceDeployments")
	if len(releases) != 2 || releases[0].Str("status") != "SUCCESSFUL" {
		t.Fatalf("%v", releases)
	}

	// Reads, side by side: most of the time is the CLI's own.
	group := ok(append([]string{"ecs", "describe-services", "--services", DemoService}, "--cluster", DemoCluster)...).Objects("services")[0].Objects("loadBalancers")[0].Str("targetGroupArn")
	for _, c := range []struct {
		args  string
		found func(out awsapi.Object) bool
	}{
		{"ecs describe-service-deployments --service-deployment-arns " + releases[0].Str("serviceDeploymentArn"), func(out awsapi.Object) bool {
			return out.Objects("serviceDeployments")[0].Object("targetServiceRevision").Number("runningTaskCount", 0) == 2
		}},
		{"ecs describe-service-revisions --service-revision-arns " + releases[0].Str("targetServiceRevisionArn"), func(out awsapi.Object) bool {
			revision := out.Objects("serviceRevisions")[0]
			return revision.Str("taskDefinition") == arn && revision.Objects("containerImages")[0].Str("imageDigest") != ""
		}},
		{"ecs run-task --cluster " + DemoCluster + " --task-definition " + arn + " --launch-type FARGATE --network-configuration awsvpcConfiguration={subnets=[subnet-1]}", func(out awsapi.Object) bool {
			return len(out.Objects("tasks")) == 1 && out.Objects("tasks")[0].Str("lastStatus") == "PROVISIONING"
		}},
		{"elbv2 describe-target-health --target-group-arn " + group, func(out awsapi.Object) bool {
			return out.Objects("TargetHealthDescriptions")[0].Object("TargetHealth").Str("State") != ""
		}},
		{"deploy list-applications", func(out awsapi.Object) bool { return len(out.List("applications")) == 0 }},
		{"sts get-caller-identity", func(out awsapi.Object) bool { return out.Str("Account") == e.Account() }},
	} {
		t.Run(c.args[:strings.LastIndex(c.args[:min(len(c.args), 40)], " ")], func(t *testing.T) {
			t.Parallel()
			out, stderr := run(strings.Fields(c.args)...)
			if out == nil || !c.found(out) {
				t.Errorf("aws %s: %v %s", c.args, out, stderr)
			}
		})
	}
	for _, c := range []struct{ args, want string }{
		{"ecr describe-images --repository-name nope", "An error occurred (RepositoryNotFoundException) when calling the DescribeImages operation: The repository with name 'nope' does not exist in the registry with id '123456789012'"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			if _, stderr := run(strings.Fields(c.args)...); !strings.Contains(stderr, c.want) {
				t.Errorf("aws %s: %s", c.args, stderr)
			}
		})
	}
}
