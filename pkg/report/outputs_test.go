package report

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/deploy"
)

// TestFitOutputs: what other steps would print or execute is not handed on.
func TestFitOutputs(t *testing.T) {
	for _, value := range []string{"x y", "x\n##vso[task.complete]", "##[error]", "a\u200bb", "a\rb", "a\x1b[2K"} {
		fit, _, err := FitOutputs(deploy.Result{Image: deploy.Image{URI: value, Digest: "sha256:1"}})
		if err == nil || !strings.Contains(err.Error(), "output imageUri is not set") || len(fit) != 1 || fit[0].Name != "imageDigest" {
			t.Errorf("%q: %v, %v", value, fit, err)
		}
	}
	services := deploy.Result{Services: []deploy.ServiceResult{{Revision: "arn:aws:ecs:eu-west-1:1:task-definition/a:1"}, {Revision: "arn:aws:ecs:eu-west-1:1:task-definition/b:1"}}}
	if fit, warnings, err := FitOutputs(services); err != nil || len(fit) != 1 || len(warnings) > 0 {
		t.Errorf("%v, %v, %v", fit, warnings, err)
	}
	for _, image := range []string{"x$(touch_evil)", "x`id`", "x;id", "x|id", "x&id", `x"id`, "x'id", "x>f", "<IMAGE1_NAME>", `x\id`, "x*", "${x}", "$(secret)", "!x", "(x)", "a\nb;c"} {
		s := services
		s.Services = []deploy.ServiceResult{{Revision: "arn:aws:ecs:eu-west-1:1:task-definition/a:1", PreviousImage: image}}
		fit, warnings, err := FitOutputs(s)
		if err != nil || len(fit) != 1 || fit[0].Name != "taskDefinitionArn" || len(warnings) != 1 || !strings.Contains(warnings[0], "output previousImage is not set") {
			t.Errorf("%q: %v, %v, %v", image, fit, warnings, err)
		}
		if fit, _, err := FitOutputs(deploy.Result{Current: []deploy.CurrentImage{{URI: image}}}); err == nil || len(fit) > 0 {
			t.Errorf("%q is handed on to infrastructure: %v, %v", image, fit, err)
		}
	}
	for _, value := range []string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/a_b-c.d:1.0_x", "h:5000/a@sha256:0a", "https://a.example:8443/x?y", "d-ABC123", "arn:aws:iam::1:role/a+b=c,d.@e-f_g"} {
		fit, warnings, err := FitOutputs(deploy.Result{Image: deploy.Image{URI: value}})
		if want := !strings.Contains(value, "?"); err != nil || (len(fit) == 1) != want || (len(warnings) == 0) != want {
			t.Errorf("%q: %v, %v, %v", value, fit, warnings, err)
		}
	}
}
