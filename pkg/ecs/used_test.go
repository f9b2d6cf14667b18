package ecs

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestUsedRevisions: services and tasks of all clusters count; what cannot be read is
// an error, and never "not in use".
func TestUsedRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, "web")
		second := a.register(t, "1.28")
		a.register(t, "1.29")
		if _, _, err := a.RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: aws.String("dev"), TaskDefinition: aws.String(second), LaunchType: types.LaunchTypeFargate,
			NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
		}); err != nil {
			t.Fatal(err)
		}
		used, err := a.UsedRevisions(t.Context(), "web")
		var names []string
		for _, arn := range slices.Sorted(maps.Keys(used)) {
			names = append(names, ShortARN(arn))
		}
		if err != nil || !slices.Equal(names, []string{"web:1", "web:2"}) {
			t.Errorf("%q, %v", names, err)
		}
		for _, operation := range []string{"ListClusters", "ListServices", "DescribeServices", "ListTasks", "DescribeTasks"} {
			way := &trouble{next: a.Transport(), faults: map[string][]fault{operation: {answers(400, "AccessDeniedException", "no")}}}
			if used, err := a.over(way).UsedRevisions(t.Context(), "web"); err == nil || used != nil {
				t.Errorf("%s is denied: %v, %v", operation, used, err)
			}
		}
	})
	for body, lacks := range map[string]string{
		`{"clusterArns": ["dev"], "serviceArns": ["web"], "services": []}`: "0 of 1 services",
		`{"clusterArns": ["dev"], "nextToken": "again"}`:                   "its list does not end",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := canned(body).UsedRevisions(t.Context(), "web")
			mentions(t, err, lacks)
		})
	}
}
