package main

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestAnswerStep takes the step that the summary of a paused deployment shows, word
// for word, and runs it: the deployment continues, also where CodeDeploy waits.
func TestAnswerStep(t *testing.T) {
	clearAWS(t)
	for name, script := range map[string][]string{"ECS": {"running 16", "image 17", "scenario paused"}, "CodeDeploy": {"codedeploy 1 60", "image 17"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				time.Sleep(10 * time.Minute)
				for _, line := range script {
					w.perform(t, strings.Fields(line))
				}
				temp := t.TempDir()
				var log bytes.Buffer
				run(t.Context(), environment(t, w, temp, "{command: rollout, repository: chat-app, cluster: "+cluster+", services: "+service+"}"), &log, w.Transport())
				summaries := markdownIn(t, temp)
				if len(summaries) != 1 {
					t.Fatalf("%d summaries:\n%s", len(summaries), log.String())
				}
				block := regexp.MustCompile(`(?s)\*\*To answer\*\*.*?<pre>\n(.*?)</pre>`).FindStringSubmatch(summaries[0])
				if block == nil {
					t.Fatalf("no step to answer with:\n%s", summaries[0])
				}
				var steps []struct {
					Task   string
					Inputs map[string]string
				}
				if err := yaml.Unmarshal([]byte(html.UnescapeString(block[1])), &steps); err != nil || len(steps) != 1 || steps[0].Task != "EcsDeploy@1" {
					t.Fatalf("%v: %+v", err, steps)
				}
				inputs, err := yaml.Marshal(steps[0].Inputs)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				log.Reset()
				run(t.Context(), environment(t, w, t.TempDir(), string(inputs)), &log, w.Transport())
				if !strings.Contains(log.String(), "outcome;isoutput=true]succeeded") || !strings.Contains(log.String(), "told the paused deployment to continue") {
					t.Errorf("%s\n%s", inputs, log.String())
				}
			})
		})
	}
}
