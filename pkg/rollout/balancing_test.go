package rollout

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func TestDelay(t *testing.T) {
	for value, want := range map[string]time.Duration{"300": 5 * time.Minute, "0": 0, "-1": 0, "many": 0, "99999": 0, "": 0} {
		attributes := []types.TargetGroupAttribute{{Key: aws.String("stickiness.enabled"), Value: aws.String("60")}, {Key: aws.String(deregistration), Value: aws.String(value)}}
		if got := delayFrom(attributes); got != want {
			t.Errorf("%q: %s", value, got)
		}
	}
	if got := delayFrom([]types.TargetGroupAttribute{{}}); got != 0 {
		t.Errorf("%s", got)
	}
}
