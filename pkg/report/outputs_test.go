package report

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/deploy"
)

// TestFitOutputs: what other steps would print or execute is not handed on.
func TestFitOutputs(t *testing.T) {
	for _, value := range []string{"x y", "x\n##vso[task.complete]", "##[error]", "a\u200bb", "a\rb", "a\x1b[2K"} {
		fit, err := FitOutputs(deploy.Result{Image: deploy.Image{URI: value, Digest: "sha256:1"}})
		if err == nil || !strings.Contains(err.Error(), "output imageUri is not set") || len(fit) != 1 || fit[0].Name != "imageDigest" {
			t.Errorf("%q: %v, %v", value, fit, err)
		}
	}
	services := deploy.Result{Services: []deploy.ServiceResult{{Revision: "arn:aws:ecs:eu-west-1:1:task-definition/a:1"}, {Revision: "arn:aws:ecs:eu-west-1:1:task-definition/b:1"}}}
	if fit, err := FitOutputs(services); err != nil || len(fit) != 1 {
		t.Errorf("%v, %v", fit, err)
	}
}
