//go:build linux

package task_test

// A step that was written for ECRPushImage@1 of AWS's Toolkit, under the stand-in agent: the task's name and the command
// are all that is changed.

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/emulator/agent"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

func TestStepOfECRPushImage(t *testing.T) {
	sample := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	var diffIDs []string
	for _, layer := range sample.Layers {
		diffIDs = append(diffIDs, image.DigestOf(layer).String())
	}
	engine := &imagetest.Engine{Api: "1.41", Archive: imagetest.Docker20(t, sample), Inspect: map[string]any{
		"Id": sample.ID(), "Os": "linux", "Architecture": "amd64", "Size": 1000, "RepoTags": []string{"app:1"}, "RootFS": map[string]any{"Layers": diffIDs},
	}}
	docker, _ := engine.Listen(t)("DOCKER_HOST")
	for name, inputs := range map[string]map[string]string{
		"by its name and tag":   {"imageSource": "imagename", "sourceImageName": "app", "sourceImageTag": "1"},
		"with the tag in both":  {"sourceImageName": "app:1"},
		"by its id":             {"imageSource": "imageid", "sourceImageId": sample.ID()},
		"with our names beside": {"image": "app:1", "logRequest": "false"},
	} {
		t.Run(name, func(t *testing.T) {
			job := packaged(t, map[string]string{"credentials": `echo '{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI"}'`})
			job.Environ = append(slices.DeleteFunc(job.Environ, func(e string) bool { return strings.HasPrefix(e, "DOCKER_HOST=") }), "DOCKER_HOST="+docker)
			job.Inputs = map[string]string{
				"command": "push", "regionName": "eu-west-1", "repositoryName": "chat-app", "pushTag": "17", "autoCreateRepository": "true",
			}
			maps.Copy(job.Inputs, inputs)
			result, err := job.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17"
			if got := result.Outputs["imageUri"]; result.Status != agent.Succeeded || !strings.HasSuffix(got, want[strings.Index(want, "/"):]) || result.Outputs["imageDigest"] == "" {
				t.Errorf("%v, imageUri %q, want %q; the log:\n%s", result.Status, got, want, result.Raw)
			}
			if len(result.Issues) > 0 {
				t.Errorf("issues: %v", result.Issues)
			}
		})
	}
}
