package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// TestConsolePages: the console of each partition, and no link where it is not known.
func TestConsolePages(t *testing.T) {
	const image = "123456789012.dkr.ecr.%s/team/chat-app:17"
	for got, want := range map[string]string{
		revisionURL("arn:aws:ecs:eu-west-1:123456789012:task-definition/chat_app:42"):                                  "https://eu-west-1.console.aws.amazon.com/ecs/v2/task-definitions/chat%5Fapp/42/containers?region=eu-west-1",
		revisionURL("arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/chat:42"):                                  "https://cn-north-1.console.amazonaws.cn/ecs/v2/task-definitions/chat/42/containers?region=cn-north-1",
		revisionURL("arn:aws-us-gov:ecs:us-gov-west-1:123456789012:task-definition/chat:4"):                            "https://us-gov-west-1.console.amazonaws-us-gov.com/ecs/v2/task-definitions/chat/4/containers?region=us-gov-west-1",
		repositoryURL(fmt.Sprintf(image, "eu-west-1.amazonaws.com")):                                                   "https://eu-west-1.console.aws.amazon.com/ecr/repositories/private/123456789012/team/chat-app?region=eu-west-1",
		repositoryURL(fmt.Sprintf(image, "cn-north-1.amazonaws.com.cn")):                                               "https://cn-north-1.console.amazonaws.cn/ecr/repositories/private/123456789012/team/chat-app?region=cn-north-1",
		logGroupURL("us-gov-east-1", "/ecs/chat-app"):                                                                  "https://us-gov-east-1.console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-east-1#logsV2:log-groups/log-group/$252Fecs$252Fchat-app",
		logStreamURL(diagnosis.LogStream{Group: "/ecs/chat", Region: "eu-west-1", Name: "app/app/0a1b"}):               "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Fecs$252Fchat/log-events/app$252Fapp$252F0a1b",
		logStreamURL(diagnosis.LogStream{Group: "a", Region: "cn-north-1", Name: "b"}):                                 "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#logsV2:log-groups/log-group/a/log-events/b",
		targetGroupURL("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/chat/0123456789abcdef"):        "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#TargetGroup:targetGroupArn=arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/chat/0123456789abcdef",
		targetGroupURL("arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:targetgroup/chat/0123456789ab"): "https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#TargetGroup:targetGroupArn=arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:targetgroup/chat/0123456789ab",
		taskURL("arn:aws:ecs:eu-west-1:123456789012:task/a/0a1b"):                                                      "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/a/tasks/0a1b/configuration?region=eu-west-1",
		taskURL("arn:aws-cn:ecs:cn-north-1:123456789012:task/a/0a1b"):                                                  "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/a/tasks/0a1b/configuration?region=cn-north-1",
		alarmURL("arn:aws:ecs:eu-west-1:123456789012:service/a/b", "5xx of chat"):                                      "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#alarmsV2:alarm/5xx%20of%20chat",
		alarmURL("arn:aws-cn:ecs:cn-north-1:123456789012:service/a/b", "5xx"):                                          "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#alarmsV2:alarm/5xx",
		repositoryURL("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a@sha256:0"):                                       "https://eu-west-1.console.aws.amazon.com/ecr/repositories/private/123456789012/a?region=eu-west-1",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, none := range []string{
		revisionURL("chat:42"), revisionURL("arn:aws-iso:ecs:us-iso-east-1:123456789012:task-definition/chat:42"), revisionURL("arn:aws:ecs:eu-west-1:1:service/a/b"),
		repositoryURL("docker.io/library/nginx:1"), repositoryURL("123456789012.dkr.ecr.us-iso-east-1.amazonaws.com/a:1"), logGroupURL("", "a"), logGroupURL("eu-west-1", ""),
		logStreamURL(diagnosis.LogStream{Group: "a", Region: "eu-west-1"}), logStreamURL(diagnosis.LogStream{Group: "a", Region: "us-iso-east-1", Name: "b"}), targetGroupURL("chat"), targetGroupURL("arn:aws:ecs:eu-west-1:1:targetgroup/a/b"),
		targetGroupURL("arn:aws-iso:elasticloadbalancing:us-iso-east-1:1:targetgroup/a/b"), alarmURL("", "a"), taskURL("0a1b"), taskURL("arn:aws:ecs:eu-west-1:1:task/a"), alarmURL("arn:aws:ecs:eu-west-1:123456789012:service/a/b", ""),
	} {
		if none != "" {
			t.Errorf("a link: %s", none)
		}
	}
}

// TestSectionName: a name that is a file's name on every system.
func TestSectionName(t *testing.T) {
	push := deploy.Result{Image: deploy.Image{URI: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/chat-app:17"}}
	for _, tt := range []struct {
		result deploy.Result
		want   string
	}{
		{result(to("chat-app", rollout.Succeeded)), "product-dev-cluster - chat-app"},
		{result(to("chat-app", rollout.Succeeded), to("worker", rollout.Failed)), "product-dev-cluster - 2 services"},
		{push, "team - chat-app - 17"},
		{deploy.Result{}, "Amazon ECS"},
		{deploy.Result{Task: &deploy.TaskResult{Service: deploy.Service{Cluster: "main", Name: "web"}}}, "main - web - task"},
		{result(to("<*?>", rollout.Succeeded)), "product-dev-cluster -"},
	} {
		if got := SectionName(tt.result, func(name string) string { return name }); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	for secret, want := range map[string]string{"chat-app": "product-dev-cluster -", "dev": "product--cluster - chat-app", "product-dev-cluster/chat-app": "Amazon ECS"} {
		got := SectionName(result(to("chat-app", rollout.Succeeded)), strings.NewReplacer(secret, "***").Replace)
		if got != want { // Windows has no files with * in their names, and its agent fails the step
			t.Errorf("with the secret %s: %q, want %q", secret, got, want)
		}
	}
	for _, text := range hostile {
		if got := sectionName(text); got == "" || strings.ContainsAny(got, "\\/:*?\"<>|\r\n\t") || len(got) > 100 {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// TestSummaryOfMistakes: what a run did not come to is not told as if it had.
func TestSummaryOfMistakes(t *testing.T) {
	outline := to("chat-app", "")
	outline.Revision = ""
	r := result(outline)
	got := Summary(r, Page{Issues: []Issue{{"input services: none", "name one"}, {"no image", ""}}}, explain)
	want := "### ❌ input services: none\n\n- 💡 name one\n- no image\n\n"
	if !strings.HasPrefix(got, want) || strings.Contains(got, "not waited for") || !strings.Contains(got, "sha256:abc") {
		t.Error(got)
	}
	if got := Summary(result(to("chat-app", rollout.Failed)), Page{Issues: []Issue{{"another service", ""}}}, explain); !strings.Contains(got, "### ❌ chat-app: failed") {
		t.Error(got)
	}
}

// TestSummaryLeadsToTroubleshooting: a step that failed leads to the page on errors, one
// that did not does not.
func TestSummaryLeadsToTroubleshooting(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    deploy.Result
		p    Page
		want bool
	}{
		{"a mistake", deploy.Result{}, Page{Issues: []Issue{{"no image", ""}}}, true},
		{"a rollout that failed", result(to("chat-app", rollout.RolledBack)), Page{}, true},
		{"a success", result(to("chat-app", rollout.Succeeded)), Page{}, false},
		{"a pause", result(to("chat-app", rollout.Paused)), Page{}, false},
	} {
		if got := Summary(tt.r, tt.p, explain); strings.HasSuffix(got, "\n\n[Every error with its reasons and what to do]("+troubleshooting+")\n") != tt.want {
			t.Errorf("%s:\n%s", tt.name, got)
		}
	}
}

// TestSummaryOfPause: whoever reads it knows how to answer.
func TestSummaryOfPause(t *testing.T) {
	s := to("chat-app", rollout.Paused)
	s.Reason = rollout.Reason{Code: rollout.HookWaits, Hook: ecs.Hook{ID: "pause-1"}, Stage: "POST_TEST_TRAFFIC_SHIFT"}
	got := Summary(result(s), Page{}, explain)
	for _, want := range []string{"command: resume\n", "cluster: product-dev-cluster\n", "services: chat-app\n", "hookId: pause-1\n", "action: continue\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

// TestIssuesAreHarmless: neither mistakes nor what a timeline names become elements.
func TestIssuesAreHarmless(t *testing.T) {
	page := func(outside string) []string {
		now := time.Now()
		line := &Timeline{services: []*serviceTime{
			{name: outside, ended: true, phases: []phase{{outside, "", now, now.Add(time.Minute)}}},
			{name: "b", ended: true, phases: []phase{{outside, "BAKE_TIME", now, now.Add(time.Hour)}}},
		}}
		paused := to(outside, rollout.Paused)
		paused.HookID, paused.LogGroup, paused.LogRegion = outside, outside, "eu-west-1"
		return withoutLinks(elements(t, Summary(result(paused), Page{Issues: []Issue{{outside, outside}, {outside, outside}}, Timeline: line}, explain)))
	}
	want := page("harmless")
	for _, text := range hostile {
		if got := page(text); !slices.Equal(got, want) {
			t.Errorf("%q becomes an element:\n%v\nwant\n%v", text, got, want)
		}
	}
}

func TestTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := deploy.Service{Cluster: "main", Name: "web"}
		line := new(Timeline)
		counts := func(running, others int) {
			line.Show(deploy.Happened{Service: web, Event: rollout.Event{Time: time.Now(), What: rollout.Counts{Running: running, Desired: 2, Others: others}}})
		}
		end := line.Begin(deploy.Section{Kind: deploy.PushSection})
		time.Sleep(12 * time.Second)
		end()
		line.Show(deploy.BusyWith{Service: web, Do: deploy.Wait})
		time.Sleep(20 * time.Second)
		line.Show(deploy.Started{Service: web, Now: rollout.Snapshot{New: true}})
		counts(0, 2)
		time.Sleep(30 * time.Second)
		counts(1, 2)
		time.Sleep(10 * time.Second)
		counts(2, 2)
		line.Show(deploy.Happened{Service: web, Event: rollout.Event{Time: time.Now(), What: rollout.Said{Text: "(service web) has begun draining connections on 2 tasks."}}})
		time.Sleep(5 * time.Minute)
		counts(2, 0)
		line.Show(deploy.Verified{Service: web})
		time.Sleep(time.Hour)
		want := `#### Timeline

| phase | time | |
|---|---|---|
| push | 12s | █ |
| wait for another deployment | 20s | █ |
| start the first task | 30s | ██ |
| start the other tasks | 10s | █ |
| until the deployment is complete | 5m | ████████████████████ |

5m of 6m: until the deployment is complete. In that time ECS waits for health checks, and for the previous tasks to stop: a target group's deregistration delay (300 s by default) and the container's stopTimeout.

`
		if got := line.Markdown(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		known := deploy.ServiceResult{Service: web, Balancing: rollout.Balancing{Group: "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1", Delay: 5 * time.Minute, Interval: 30 * time.Second, Healthy: 5}}
		const settings = "5m of it were deregistration delay, which target group web sets to 300 s; the health check of target group web needs 5 × 30 s."
		if got := line.Markdown(known); !strings.Contains(got, settings) {
			t.Errorf("got\n%s\nwant\n%s", got, settings)
		}
		known.Balancing.Delay = 30 * time.Second
		if got := line.Markdown(known); !strings.Contains(got, "30s of it were deregistration delay, which target group web sets to 30 s") {
			t.Error(got)
		}
	})
}

// TestTimelineOfStages: the stages of a strategy are the phases of its rollout.
func TestTimelineOfStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := deploy.Service{Cluster: "main", Name: "web"}
		line := new(Timeline)
		line.Show(deploy.Started{Service: web, Now: rollout.Snapshot{New: true}})
		for _, stage := range []string{"SCALE_UP", "BAKE_TIME"} {
			time.Sleep(30 * time.Second)
			line.Show(deploy.Happened{Service: web, Event: rollout.Event{Time: time.Now(), What: rollout.Stage{Name: stage}}})
		}
		time.Sleep(10 * time.Minute)
		line.Show(deploy.Verified{Service: web})
		got := line.Markdown()
		if !strings.Contains(got, "10m of 11m: ") || !strings.Contains(got, "In that time both revisions run, as long as the service's configuration says.") {
			t.Error(got)
		}
		if got := new(Timeline).Markdown(); got != "" {
			t.Error(got)
		}
	})
}
