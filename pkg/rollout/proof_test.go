package rollout

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

// TestCompareResolved: the first witness is the service revision, in which ECS
// wrote down to which digests it resolved the images.
func TestCompareResolved(t *testing.T) {
	want := map[string][]string{"app": {"sha256:index", "sha256:amd64"}}
	tests := []struct {
		name   string
		images []ecs.ResolvedImage
		want   Witness
	}{
		{"the digest of the index", []ecs.ResolvedImage{{Container: "app", Digest: "sha256:index"}}, Witness{Known: true}},
		{"the digest of the platform's image, beside a container that does not matter",
			[]ecs.ResolvedImage{{Container: "sidecar", Digest: "sha256:other"}, {Container: "app", Digest: "sha256:amd64"}}, Witness{Known: true}},
		{"another digest", []ecs.ResolvedImage{{Container: "app", Digest: "sha256:other"}}, Witness{Known: true, Wrong: []Wrong{{Container: "app", Digest: "sha256:other"}}}},
		{"no digest", []ecs.ResolvedImage{{Container: "app"}}, Witness{}},
		{"not listed", nil, Witness{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compareResolved(tt.images, want); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("= %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestProofOfTasks: the second witness are the running tasks. One that shows no
// digest is not known, one that shows another is wrong.
func TestProofOfTasks(t *testing.T) {
	task := func(digests map[string]string) types.Task {
		out := types.Task{TaskArn: aws.String("arn:aws:ecs:eu-west-1:123456789012:task/dev/0123")}
		for name, digest := range digests {
			out.Containers = append(out.Containers, types.Container{Name: aws.String(name), ImageDigest: aws.String(digest)})
		}
		return out
	}
	want := map[string][]string{"app": {"sha256:a"}, "proxy": {"sha256:p"}}
	right := map[string]string{"app": "sha256:a", "proxy": "sha256:p", "sidecar": "sha256:s"}
	tests := []struct {
		name              string
		tasks             []map[string]string
		verified, unknown int
		wrong             int
		complete          bool
	}{
		{"every task", []map[string]string{right, right}, 2, 0, 0, true},
		{"a container without a digest", []map[string]string{right, {"app": "sha256:a", "proxy": ""}}, 1, 1, 0, false},
		{"a container that is missing", []map[string]string{{"app": "sha256:a"}}, 0, 1, 0, false},
		{"another digest", []map[string]string{right, {"app": "sha256:b", "proxy": "sha256:p"}}, 1, 0, 1, false},
		{"another digest and one that is not known", []map[string]string{{"app": "sha256:b"}}, 0, 0, 1, false},
		{"both wrong", []map[string]string{{"app": "sha256:b", "proxy": "sha256:b"}}, 0, 0, 2, false},
		{"no tasks", nil, 0, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Proof{Wanted: want}
			for _, digests := range tt.tasks {
				p.add(task(digests))
			}
			if p.Tasks != len(tt.tasks) || p.Verified != tt.verified || p.Unknown != tt.unknown || len(p.Contradicted()) != tt.wrong || p.Complete() != tt.complete {
				t.Errorf("%d tasks, %d verified, %d unknown, wrong %v, complete %v; want %d, %d, %d, %d wrong, %v",
					p.Tasks, p.Verified, p.Unknown, p.Contradicted(), p.Complete(), len(tt.tasks), tt.verified, tt.unknown, tt.wrong, tt.complete)
			}
			for _, w := range p.Contradicted() {
				if w.Task != "0123" {
					t.Errorf("the wrong container is of task %q", w.Task)
				}
			}
		})
	}
}
