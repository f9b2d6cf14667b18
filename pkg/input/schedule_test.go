package input

import (
	"strings"
	"testing"
)

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"rule:nightly":                                                      "rule:default/nightly",
		"rule:orders/placed":                                                "rule:orders/placed",
		"rule:aws.partner/x.com/1/late":                                     "rule:aws.partner/x.com/1/late",
		"schedule:hourly":                                                   "schedule:default/hourly",
		"schedule:jobs/hourly.v2_x-1":                                       "schedule:jobs/hourly.v2_x-1",
		"arn:aws:events:eu-west-1:123456789012:rule/nightly":                "rule:default/nightly",
		"arn:aws:events:eu-west-1:123456789012:rule/orders/placed":          "rule:orders/placed",
		"arn:aws-cn:scheduler:cn-north-1:123456789012:schedule/jobs/hourly": "schedule:jobs/hourly",
		"arn:aws:scheduler:eu-west-1:123456789012:rule/nightly":             "",
		"arn:aws:scheduler:eu-west-1:123456789012:schedule-group/jobs":      "",
		"nightly":                             "",
		"rules:nightly":                       "",
		"rule:":                               "",
		"rule:/x":                             "",
		"rule:a b":                            "",
		"schedule:a/b/c":                      "",
		"rule:nightly*":                       "",
		"All":                                 "",
		"rule:" + strings.Repeat("x", 65):     "",
		"schedule:" + strings.Repeat("x", 64): "schedule:default/" + strings.Repeat("x", 64),
	} {
		got, err := parseSchedule(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// TestSchedulesUntil: a step that ends before the services run the new revision has
// nothing for schedules to follow.
func TestSchedulesUntil(t *testing.T) {
	for until, taken := range map[string]bool{
		"": true, "completed": true, "traffic": true, "PRE_SCALE_UP": false, "POST_TEST_TRAFFIC_SHIFT": false, "PRODUCTION_TRAFFIC_SHIFT": false,
		"POST_PRODUCTION_TRAFFIC_SHIFT": true, "BAKE_TIME": true, "CLEAN_UP": true,
	} {
		_, err := Load(t.Context(), map[string]string{
			"INPUT_COMMAND": "rollout", "INPUT_SCHEDULES": "rule:a", "INPUT_WAIT": "true", "INPUT_WAITUNTIL": until, "INPUT_CLUSTER": "dev", "INPUT_SERVICES": "web", "INPUT_REPOSITORY": "web", "INPUT_TAGS": "1",
		})
		if (err == nil) != taken {
			t.Errorf("%q: %v", until, err)
		}
	}
}

// TestSchedules: what is named twice, beside all, or without waiting.
func TestSchedules(t *testing.T) {
	for _, tt := range []struct {
		text, command, wait string
		all                 bool
		n, mistakes         int
	}{
		{"", "rollout", "true", false, 0, 0},
		{"all", "rollout", "true", true, 0, 0},
		{"rule:a\nschedule:a", "rollout", "true", false, 2, 0},
		{"rule:a\nrule:default/a", "rollout", "true", false, 1, 1},
		{"rule:a\nall", "rollout", "true", true, 0, 1},
		{"rule:a", "rollout", "false", false, 0, 1},
		{"rule:a", "rollback", "true", false, 1, 0},
		{"rule:a", "verify", "false", false, 1, 0},
		{"rule:a", "runTask", "true", false, 0, 0}, // it has no effect there
	} {
		variables := map[string]string{
			"INPUT_COMMAND": tt.command, "INPUT_SCHEDULES": tt.text, "INPUT_WAIT": tt.wait, "INPUT_CLUSTER": "dev", "INPUT_SERVICES": "web", "INPUT_REPOSITORY": "web", "INPUT_TAGS": "1",
			"INPUT_CONTAINERCOMMAND": `["x"]`,
		}
		cfg, err := Load(t.Context(), variables)
		n := 0
		if err != nil {
			n = strings.Count(err.Error(), "\n") + 1
		}
		if in := cfg.Inputs; in.AllSchedules != tt.all || len(in.Schedules) != tt.n || n != tt.mistakes {
			t.Errorf("%q of %s: %v %v, %v", tt.text, tt.command, in.AllSchedules, in.Schedules, err)
		}
	}
}
