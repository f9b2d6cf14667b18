package input

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
)

func TestParseWaitUntil(t *testing.T) {
	for text, want := range map[string]WaitUntil{
		"completed": UntilCompleted, "Traffic": UntilTraffic,
		"POST_TEST_TRAFFIC_SHIFT": "POST_TEST_TRAFFIC_SHIFT", "post test traffic shift": "POST_TEST_TRAFFIC_SHIFT",
		"Post-Test-Traffic-Shift": "POST_TEST_TRAFFIC_SHIFT", "bake_time": "BAKE_TIME", "Bake  time": "BAKE_TIME",
	} {
		if got, err := parseWaitUntil(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, hint := range map[string]string{
		"post test trafic shift": "did you mean POST_TEST_TRAFFIC_SHIFT?", "complete": "did you mean completed?", "baketime": "did you mean BAKE_TIME?",
		"for ever and a day": "write completed, traffic, or a lifecycle stage",
	} {
		_, err := parseWaitUntil(text)
		m, ok := errors.AsType[*mistake.Error](err)
		if !ok || !strings.HasPrefix(m.Advice, hint) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseWaitUntil(f *testing.F) {
	f.Add("post-test traffic_shift")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseWaitUntil(text)
		if err == nil && got != UntilCompleted && got != UntilTraffic && !slices.Contains(Stages(), string(got)) {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}

// TestWaitUntilOptions: the pick list has every stage, and its text may be edited.
func TestWaitUntilOptions(t *testing.T) {
	in, ok := readManifest(t).input("waitUntil")
	if !ok || len(in.Options) != 2+len(Stages()) {
		t.Errorf("options %v", in.Options)
	}
	for option := range in.Options {
		if got, err := parseWaitUntil(option); string(got) != option || err != nil {
			t.Errorf("option %q is read as %q, %v", option, got, err)
		}
	}
}
