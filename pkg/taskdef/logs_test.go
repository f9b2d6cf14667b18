package taskdef

import "testing"

func TestLogGroup(t *testing.T) {
	d, err := Parse([]byte(`{"family": "web", "containerDefinitions": [
		{"name": "app", "image": "a", "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1"}}},
		{"name": "proxy", "image": "a", "logConfiguration": {"logDriver": "awsfirelens", "options": {"awslogs-group": "x"}}},
		{"name": "plain", "image": "a"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for container, want := range map[string][2]string{"app": {"/ecs/web", "eu-west-1"}, "proxy": {}, "plain": {}, "none": {}} {
		if group, region := d.LogGroup(container); group != want[0] || region != want[1] {
			t.Errorf("%s: %s in %s", container, group, region)
		}
	}
}
