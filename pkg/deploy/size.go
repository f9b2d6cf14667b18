package deploy

// Task sizes: pairs of CPU and memory that no task can have are refused before
// anything is pushed. ECS says so only when the revision is registered.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// fargateMemory is what Fargate's tasks may have beside an amount of CPU: MiB,
// by CPU units.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
var fargateMemory = map[float64][]float64{
	256:    {512, 1024, 2048},
	512:    steps(1024, 4096, 1024),
	1024:   steps(2048, 8192, 1024),
	2048:   steps(4096, 16_384, 1024),
	4096:   steps(8192, 30_720, 1024),
	8192:   steps(16_384, 61_440, 4096),
	16_384: steps(32_768, 122_880, 8192),
}

const (
	// largestCPU is the end of the table: whatever is larger may have come after it.
	largestCPU = 16_384
	// smallestCPU is the least that ECS takes on EC2, where any memory will do:
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
	smallestCPU = 128
)

func steps(from, to, step float64) (all []float64) {
	for n := from; n <= to; n += step {
		all = append(all, n)
	}
	return all
}

// wrongSize says why no task can have so many CPU units and MiB of memory, and
// what one can have; "" where one can, and where that is not known.
func wrongSize(fargate bool, cpu, memory float64) string {
	allowed, known := fargateMemory[cpu]
	switch {
	case !fargate && cpu > 0 && cpu < smallestCPU:
		return fmt.Sprintf("a task has %d CPU units at least, not %g", smallestCPU, cpu)
	case !fargate, cpu > largestCPU:
		return ""
	case cpu == 0 || memory == 0:
		return "Fargate needs cpu and memory of the task"
	case !known:
		return fmt.Sprintf("Fargate has no task of %g CPU units; expected 256, 512, 1024, 2048, 4096, 8192 or 16384", cpu)
	case slices.Contains(allowed, memory):
		return ""
	case cpu == 256:
		return fmt.Sprintf("Fargate has no task of %g CPU units with %g MiB; expected 512, 1024 or 2048 MiB", cpu, memory)
	}
	return fmt.Sprintf("Fargate has no task of %g CPU units with %g MiB; expected %g to %g MiB in steps of %g",
		cpu, memory, allowed[0], allowed[len(allowed)-1], allowed[1]-allowed[0])
}

// checkSize refuses a size that no task can have, where it is a new one: what
// ECS has registered it took.
func (p *Plan) checkSize(s ServicePlan) error {
	base, change := s.Lineage.Base, p.Request.Change
	// Alone, so that what else is wrong with the change hides nothing.
	sized, err := base.Revise(taskdef.Change{CPU: change.CPU, Memory: change.Memory})
	if err != nil {
		return nil // too large a document, which is told of the whole change
	}
	cpu, memory := sized.Size()
	if was, had := base.Size(); s.Lineage.registered() && cpu == was && memory == had {
		return nil
	}
	fargate := s.Service.Fargate || slices.Contains(base.RequiresCompatibilities(), "FARGATE")
	problem := wrongSize(fargate, cpu, memory)
	if problem == "" {
		return nil
	}
	kind, advice := mistake.TaskDefinition, "correct cpu and memory in it, or set the inputs cpu and memory"
	if cmp.Or(change.CPU, change.Memory) != "" {
		kind, advice = mistake.Memory, "1024 units are 1 vCPU, 1024 MiB are 1 GB; set the inputs cpu and memory together"
		if change.CPU != "" {
			kind = mistake.CPU
		}
	}
	return errors.Join(s.Name.mistakes(mistake.New(kind, advice, "%s", problem))...)
}
