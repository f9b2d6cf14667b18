package rollout

// The proof: which image a deployment runs, by digest. A tag can be moved between
// the check and the pull; a digest cannot. Two witnesses are asked, each on its
// own: the service revision, in which ECS wrote down what it resolved the image to,
// and the running tasks.

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

// Proof is what the witnesses say of a deployment's images.
type Proof struct {
	Wanted map[string][]string // by container: the digests that stand for its image

	Resolved    Witness // what ECS resolved the images to
	ResolvedErr error   // why that could not be read; may be nil

	Tasks    int     // running tasks of the deployment
	Verified int     // of them, those whose every expected container runs its digest
	Unknown  int     // of them, those for which ECS reports no digest
	Running  Witness // what the tasks run
	TasksErr error   // why the tasks could not be read; may be nil

	Endpoints []string // public addresses of an Express service
}

// Witness is what one point of the proof says.
type Witness struct {
	Known bool    // there is a digest for every expected container
	Wrong []Wrong // containers with another digest than the expected ones
}

// Wrong is a container that runs another image than the expected one.
type Wrong struct {
	Task      string // id; empty where the service revision says it
	Container string
	Digest    string
}

// Contradicted returns the containers that run something else.
func (p Proof) Contradicted() []Wrong { return slices.Concat(p.Resolved.Wrong, p.Running.Wrong) }

// Complete reports whether every running task was found to run its digests.
func (p Proof) Complete() bool {
	return p.TasksErr == nil && p.Tasks > 0 && p.Verified == p.Tasks && len(p.Contradicted()) == 0
}

// tasksRead is how many tasks of a deployment are compared at most.
const tasksRead = 1000

// Prove compares what the deployment in s runs with the digests that are expected
// of its containers. want holds, by container name, every digest that stands for
// the image: that of the manifest, and for an index those of its platforms, since
// ECS reports one or the other. Containers that are not in want are not looked at.
func Prove(ctx context.Context, client *ecs.Client, s Snapshot, want map[string][]string) Proof {
	p := Proof{Wanted: want}
	if s.Record != nil && s.CodeDeploy == nil && s.Record.Target.ARN != "" {
		revision, err := client.ServiceRevision(ctx, s.Record.Target.ARN)
		p.ResolvedErr = err
		if err == nil {
			p.Resolved = compareResolved(revision.Images, want)
			p.Endpoints = revision.Endpoints
		}
	}
	if s.TaskID() == "" {
		return p
	}
	tasks, _, err := client.Tasks(ctx, s.Service.Cluster, s.TaskID(), string(types.DesiredStatusRunning), tasksRead)
	if p.TasksErr = err; err != nil {
		return p
	}
	for _, task := range tasks {
		if aws.ToString(task.LastStatus) == "RUNNING" {
			p.add(task)
		}
	}
	p.Running.Known = p.Tasks > 0 && p.Unknown == 0
	return p
}

// compareResolved compares what ECS resolved images to with what is expected.
func compareResolved(images []ecs.ResolvedImage, want map[string][]string) Witness {
	w := Witness{Known: true}
	for container, digests := range want {
		i := slices.IndexFunc(images, func(r ecs.ResolvedImage) bool { return r.Container == container })
		switch {
		case i < 0 || images[i].Digest == "":
			w.Known = false
		case !slices.Contains(digests, images[i].Digest):
			w.Wrong = append(w.Wrong, Wrong{Container: container, Digest: images[i].Digest})
		}
	}
	return w
}

// add compares one running task. A container that the task does not show counts as
// one without a digest.
func (p *Proof) add(task types.Task) {
	p.Tasks++
	known, right := true, true
	for name, digests := range p.Wanted {
		i := slices.IndexFunc(task.Containers, func(c types.Container) bool { return aws.ToString(c.Name) == name })
		switch digest := ""; {
		case i < 0:
			known = false
		default:
			if digest = aws.ToString(task.Containers[i].ImageDigest); digest == "" {
				known = false
			} else if !slices.Contains(digests, digest) {
				right = false
				p.Running.Wrong = append(p.Running.Wrong, Wrong{ecs.ShortARN(aws.ToString(task.TaskArn)), name, digest})
			}
		}
	}
	switch {
	case !right:
	case !known:
		p.Unknown++
	default:
		p.Verified++
	}
}
