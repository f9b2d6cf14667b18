package main

// What the inputs ask for, in the words of the packages that carry it out.

import (
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
	"ecsdeploy/pkg/session"
	"ecsdeploy/pkg/taskdef"
)

// sessionOptions says which AWS identity the inputs and variables mean.
func sessionOptions(config input.Config) session.Options {
	o := session.Options{
		Region: config.Inputs.Region,
		Role:   role(config.Inputs.Role.ARN, config.Inputs.Role.SessionName, config.Inputs.Role.ExternalID),
		Name:   "azure-pipelines-" + config.Pipeline.BuildID,
		Variables: session.Variables{
			Keys:   keys(config.AWS.AccessKeyID, config.AWS.SecretAccessKey, config.AWS.SessionToken),
			Role:   role(config.AWS.AssumeRoleARN, config.AWS.RoleSessionName, config.AWS.ExternalID),
			Region: config.AWS.Region,
		},
	}
	o.Variables.MaxDuration = config.AWS.MaxDuration
	if c := config.Inputs.Connection; c != nil {
		o.Connection = sessionConnection(c)
	}
	return o
}

func sessionConnection(c *input.Connection) *session.Connection {
	return &session.Connection{
		ID:      c.ID,
		Keys:    keys(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
		Role:    role(c.AssumeRoleARN, c.RoleSessionName, c.ExternalID),
		UseOIDC: c.UseOIDC,
	}
}

func keys(id string, secret, token input.Secret) session.Keys {
	return session.Keys{AccessKeyID: id, SecretAccessKey: secret.Reveal(), SessionToken: token.Reveal()}
}

func role(arn, sessionName, externalID string) session.Role {
	return session.Role{ARN: arn, SessionName: sessionName, ExternalID: externalID}
}

// request says what the inputs ask for in the words of package deploy.
func request(config input.Config) deploy.Request {
	in := config.Inputs
	r := deploy.Request{
		Push:             in.Command == input.Deploy || in.Command == input.Push,
		Rollout:          in.Command == input.Deploy || in.Command == input.Rollout,
		Image:            in.Image,
		Repository:       in.Repository,
		Tags:             in.Tags,
		CreateRepository: in.CreateRepository,
		Creation:         ecr.Creation{MutableTags: in.MutableTags, Key: in.KMSKey},
		Compression:      compress.Compression(in.Compression),
		LazyLoading:      in.LazyLoading,
		Referrers:        in.Referrers,
		FailOn:           ecr.Severity(strings.ToUpper(string(in.FailOn))),
		Images:           map[string]string{},
		TaskDefinition:   string(in.TaskDefinition),
		Change: taskdef.Change{
			CPU:     in.CPU,
			Memory:  in.Memory,
			Command: in.ContainerCommand,
		},
		TaskTags:     deploy.TaskTags{Propagate: string(in.PropagateTags), Managed: in.ManagedTags},
		DesiredCount: in.DesiredCount,
		Force:        in.ForceNewDeployment,
		PinDigest:    in.PinDigest,
		Wait:         in.Wait,
		Timeout:      in.Timeout,
		Until:        rollout.Until(in.WaitUntil),
		TimeoutGiven: in.TimeoutGiven,
		Migration:    in.MigrationCommand,
		DryRun:       in.DryRun,

		Containers:        in.Containers,
		Rerun:             config.Pipeline.Rerun(),
		Origin:            origin(config.Build, config.Pipeline),
		WhenBusy:          deploy.Busy(in.WhenBusy),
		IgnoreSecrets:     in.WhenSecretsChange == input.SecretsIgnore,
		AllowOlderBuild:   in.OlderBuild == input.OlderAllow,
		MaxFailedTasks:    in.MaxFailedTasks,
		RollbackOnFailure: in.OnFailure == input.RecoverRollback,
		RollbackOnCancel:  in.OnCancel == input.RecoverRollback,
	}
	if in.Command == input.Verify { // what the inputs would have deploy, push or rollout do
		r.Push = in.Image != "" && in.Repository != ""
		r.Rollout = len(in.Services) > 0 || !in.TaskDefinition.NeedsService()
	}
	for _, b := range config.Pipeline.Artifacts {
		r.Artifacts = append(r.Artifacts, deploy.Artifact{Alias: b.Alias, BuildID: b.ID, InRelease: config.Pipeline.InRelease()})
	}
	for _, s := range in.Services {
		r.Services = append(r.Services, deploy.Service{Cluster: s.Cluster, Name: s.Name})
	}
	r.KeepRevisions, r.AllSchedules = in.KeepRevisions, in.AllSchedules
	for _, s := range in.Schedules {
		kind := schedule.Schedule
		if s.Rule {
			kind = schedule.Rule
		}
		r.Schedules = append(r.Schedules, schedule.Ref{Kind: kind, Group: s.Group, Name: s.Name})
	}
	for _, o := range in.Order {
		r.Order = append(r.Order, deploy.Precedence{First: deploy.Service(o.First), Then: deploy.Service(o.Then)})
	}
	for _, t := range in.SmokeTests {
		check := probe.Check{URL: t.URL, Status: probe.Range{From: t.Status[0], To: t.Status[1]}, Body: t.Body, Retries: t.Retries}
		r.SmokeTests = append(r.SmokeTests, deploy.SmokeTest{Check: check, Command: t.Command})
	}
	for _, i := range in.Images {
		if i.Image == input.SelfReference {
			r.Change.ImageContainers = append(r.Change.ImageContainers, i.Container)
		} else {
			r.Images[i.Container] = i.Image
		}
	}
	for _, v := range in.Environment {
		r.Change.Environment = append(r.Change.Environment, taskdef.Variable(v))
	}
	for _, v := range in.Secrets {
		r.Change.Secrets = append(r.Change.Secrets, taskdef.Variable(v))
	}
	for _, v := range in.RemoveEnvironment {
		r.Change.RemoveEnvironment = append(r.Change.RemoveEnvironment, taskdef.VariableName(v))
	}
	return r
}

// origin says which build of which pipeline the image comes from.
func origin(b input.Build, p input.Pipeline) taskdef.Provenance {
	o := taskdef.Provenance{BuildID: b.ID, Commit: b.Commit, PipelineID: b.Key()}
	if b.Definition != "" {
		o.Pipeline = p.CollectionURI + b.Project + "/" + b.Definition
	}
	return o
}
