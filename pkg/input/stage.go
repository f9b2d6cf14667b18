// Lifecycle stages: the names that ECS gives to the parts of a deployment, and how
// people write them.

package input

import (
	"strings"

	"ecsdeploy/pkg/mistake"
)

// Stages are the lifecycle stages of a deployment in their order.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
func Stages() []string {
	return []string{
		"RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT",
		"PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP",
	}
}

// parseWaitUntil reads completed, traffic, or a stage in any case and with blanks or
// dashes for underscores, as the console writes them.
func parseWaitUntil(text string) (WaitUntil, error) {
	words := append([]string{string(UntilCompleted), string(UntilTraffic)}, Stages()...)
	plain := func(s string) string {
		return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ' ' || r == '-' || r == '_' || r == '\t' }), "_")
	}
	var plains []string
	for _, w := range words {
		if plain(w) == plain(text) {
			return WaitUntil(w), nil
		}
		plains = append(plains, plain(w))
	}
	hint := "write completed, traffic, or a lifecycle stage such as POST_TEST_TRAFFIC_SHIFT"
	if near := mistake.Nearest(plain(text), plains); near != "" {
		for i, p := range plains {
			if p == near {
				hint = "did you mean " + words[i] + "?"
			}
		}
	}
	return "", wrong(hint, "%s is none of %s", shown(text), strings.Join(words, ", "))
}
