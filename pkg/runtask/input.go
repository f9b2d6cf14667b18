package runtask

// The request to ECS: pure. What a task needs beside its definition is taken from a
// service as ECS describes it.

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/ecs"
)

// input is the request for the task.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
func (t *task) input() *awsecs.RunTaskInput {
	q := t.request
	in := placement(q.Service, q.Definition.NetworkMode())
	// ECS refuses a volume that the definition does not have: it may be of another family.
	known := q.Definition.VolumesAtLaunch()
	in.VolumeConfigurations = slices.DeleteFunc(in.VolumeConfigurations, func(v types.TaskVolumeConfiguration) bool {
		return !slices.Contains(known, aws.ToString(v.Name))
	})
	in.Cluster = aws.String(q.Service.Cluster)
	in.TaskDefinition = aws.String(q.Definition.ARN())
	in.Count = aws.Int32(1)
	in.StartedBy = aws.String(t.startedBy)
	in.Overrides = q.Overrides.request(q.Container)
	return in
}

// placement is the network, the capacity and the volumes of a service's tasks. A
// service that CodeDeploy or somebody else deploys has some of it in its task sets.
func placement(s ecs.Service, networkMode string) *awsecs.RunTaskInput {
	d := s.Described
	in := &awsecs.RunTaskInput{
		LaunchType:               d.LaunchType,
		CapacityProviderStrategy: d.CapacityProviderStrategy,
		NetworkConfiguration:     d.NetworkConfiguration,
		PlatformVersion:          d.PlatformVersion,
	}
	for _, one := range d.Deployments {
		if aws.ToString(one.Status) != "PRIMARY" {
			continue
		}
		in.NetworkConfiguration = cmp.Or(in.NetworkConfiguration, one.NetworkConfiguration)
		for _, v := range one.VolumeConfigurations {
			in.VolumeConfigurations = append(in.VolumeConfigurations, types.TaskVolumeConfiguration{Name: v.Name, ManagedEBSVolume: volume(v.ManagedEBSVolume)})
		}
	}
	for _, set := range d.TaskSets {
		if aws.ToString(set.Status) != "PRIMARY" {
			continue
		}
		in.NetworkConfiguration = cmp.Or(in.NetworkConfiguration, set.NetworkConfiguration)
		in.PlatformVersion = cmp.Or(in.PlatformVersion, set.PlatformVersion)
		if in.LaunchType == "" && len(in.CapacityProviderStrategy) == 0 {
			in.LaunchType, in.CapacityProviderStrategy = set.LaunchType, set.CapacityProviderStrategy
		}
	}
	if networkMode != string(types.NetworkModeAwsvpc) {
		in.NetworkConfiguration = nil // ECS refuses one
	}
	if len(in.CapacityProviderStrategy) > 0 {
		in.LaunchType = "" // ECS takes one of the two
	}
	if !s.Fargate && in.LaunchType != types.LaunchTypeFargate {
		in.PlatformVersion = nil
		in.PlacementConstraints, in.PlacementStrategy = d.PlacementConstraints, d.PlacementStrategy
	}
	return in
}

// volume is the volume of a service's task as one of a task by itself. ECS deletes
// it with the task.
func volume(v *types.ServiceManagedEBSVolumeConfiguration) *types.TaskManagedEBSVolumeConfiguration {
	if v == nil {
		return nil
	}
	return &types.TaskManagedEBSVolumeConfiguration{
		RoleArn: v.RoleArn, Encrypted: v.Encrypted, FilesystemType: v.FilesystemType, Iops: v.Iops, KmsKeyId: v.KmsKeyId, SizeInGiB: v.SizeInGiB,
		SnapshotId: v.SnapshotId, TagSpecifications: v.TagSpecifications, Throughput: v.Throughput, VolumeType: v.VolumeType,
		VolumeInitializationRate: v.VolumeInitializationRate,
	}
}

// request is the overrides as ECS takes them; nil where there is none. container is
// the one that gets the command.
func (o Overrides) request(container string) *types.TaskOverride {
	byName := map[string]*types.ContainerOverride{}
	of := func(name string) *types.ContainerOverride {
		if byName[name] == nil {
			byName[name] = &types.ContainerOverride{Name: aws.String(name)}
		}
		return byName[name]
	}
	if o.Command != nil {
		of(container).Command = o.Command
	}
	for _, v := range o.Environment {
		c := of(v.Container)
		c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String(v.Name), Value: aws.String(v.Value)})
	}
	if len(byName) == 0 && o.CPU == "" && o.Memory == "" {
		return nil
	}
	out := &types.TaskOverride{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out.ContainerOverrides = append(out.ContainerOverrides, *byName[name])
	}
	if o.CPU != "" {
		out.Cpu = aws.String(o.CPU)
	}
	if o.Memory != "" {
		out.Memory = aws.String(o.Memory)
	}
	return out
}

// longestName is how much of a name is kept in startedBy.
const longestName = 64

// name makes a text fit into startedBy, which takes letters, digits, -, _ and /.
func name(text string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '/', r == '_':
			return r
		}
		return '-'
	}, text)
	if kept == "" {
		return "task"
	}
	return kept[:min(len(kept), longestName)]
}

// failureText is what a failure in an answer says.
func failureText(f types.Failure) string {
	text := cmp.Or(aws.ToString(f.Reason), "ECS started no task and gives no reason")
	if detail := aws.ToString(f.Detail); detail != "" {
		text += ": " + detail
	}
	return text
}

// reasonOf is an error in AWS's own words.
func reasonOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorMessage() != "" {
		return api.ErrorMessage()
	}
	return err.Error()
}
