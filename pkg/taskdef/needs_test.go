package taskdef

import (
	"reflect"
	"testing"
)

// TestNeeds: each thing that a task needs is named once; what ECS creates itself is
// not among them.
func TestNeeds(t *testing.T) {
	d, err := Parse([]byte(`{"family":"web","executionRoleArn":"arn:x","taskRoleArn":"arn:x","containerDefinitions":[
		{"name":"a","secrets":[{"name":"A","valueFrom":"/a"},{"name":"B","valueFrom":"/a"}],"repositoryCredentials":{"credentialsParameter":"/r"},
		 "logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/g","awslogs-region":"eu-west-1"},"secretOptions":[{"name":"S","valueFrom":"/s"}]}},
		{"name":"b","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/created","awslogs-create-group":"true"}}},
		{"name":"c","logConfiguration":{"logDriver":"awsfirelens","options":{"awslogs-group":"/other"}}},
		{"name":"d"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Needs{Roles: []string{"arn:x"}, Secrets: []string{"/a", "/s", "/r"}, LogGroups: []LogGroup{{"/g", "eu-west-1"}}}
	if got := d.Needs(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
