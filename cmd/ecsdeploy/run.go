package main

// The whole run as one function: inputs in, log out.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sethvargo/go-envconfig"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/network"
	"ecsdeploy/pkg/placeholder"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/session"
	"ecsdeploy/pkg/taskdef"
	"ecsdeploy/pkg/vso"
)

// run does what environ asks for and returns the exit code. Requests to AWS and
// to registries go through transport; nil is the network.
func run(ctx context.Context, environ []string, stdout io.Writer, transport http.RoundTripper) int {
	console := vso.NewConsole(stdout)
	// Before anything else is printed: what is masked now stays masked.
	secrets := input.Secrets(environ)
	for _, secret := range secrets {
		console.Send(vso.SetSecret(secret)...)
	}
	mask := masker(console, secrets)
	variables := lookup(environ)
	settings, unusable := network.Read(func(name string) (string, bool) { v, ok := variables[name]; return v, ok })
	if settings != nil {
		for _, secret := range settings.Secrets {
			mask(secret)
		}
	}
	level := new(slog.LevelVar)
	log := slog.New(console.Handler(level))

	config, err := input.Load(ctx, envconfig.MapLookuper(variables))
	if err = errors.Join(err, unusable); err != nil {
		return fail(ctx, console, log, err)
	}
	if config.Pipeline.Debug {
		level.Set(slog.LevelDebug)
	}
	for _, warning := range settings.Warnings {
		log.Warn(warning)
	}
	for _, line := range settings.Describe() {
		log.Debug(line)
	}
	if len(config.Inputs.Ignored) > 0 {
		log.Info(fmt.Sprintf("command %s does not use: %s", config.Inputs.Command, strings.Join(config.Inputs.Ignored, ", ")))
	}

	result, err := execute(ctx, config, variables, settings, mask, transport, console, log)
	for _, o := range report.Outputs(result) {
		console.Send(vso.SetVariable(o.Name, o.Value))
	}
	if err != nil {
		return fail(ctx, console, log, err)
	}
	if config.Inputs.Summary && !config.Inputs.DryRun {
		if err := summarise(console, config.Pipeline.TempDirectory, result); err != nil {
			log.Warn("the summary could not be written: " + err.Error())
		}
	}
	return conclude(console, log, result)
}

// taskFolder is the variable by which task/index.js says where the task lies:
// the executable itself may have been unpacked elsewhere.
const taskFolder = "ECSDEPLOY_TASK_FOLDER"

// execute connects the parts and runs the command.
func execute(ctx context.Context, config input.Config, variables map[string]string, settings *network.Settings, mask func(string), transport http.RoundTripper, console *vso.Console, log *slog.Logger) (deploy.Result, error) {
	options := sessionOptions(config)
	options.Logger = log
	options.Network = settings
	options.Mask = mask
	if devops, err := azureDevOps(config, settings, transport, mask); err == nil && devops.HasOIDC() {
		options.IDToken = devops.IDToken
	}
	if transport != nil {
		options.HTTPClient = &http.Client{Transport: transport}
	}
	cfg, err := session.New(ctx, options)
	if err != nil {
		return deploy.Result{}, err
	}
	if transport == nil {
		registries := image.NewTransport(nil)
		settings.Apply(registries.Transport)
		transport = registries
	}
	who, err := session.Whoami(ctx, cfg)
	if err != nil {
		return deploy.Result{}, err
	}
	log.Info(fmt.Sprintf("%s in %s (times are UTC)", who.ARN, cfg.Region))

	environ := func(key string) (string, bool) { v, ok := variables[key]; return v, ok }
	repositories := ecr.New(cfg, ecr.Options{Logger: log})
	client := ecs.New(cfg)
	deployer := &deploy.Deployer{
		ECR:      repositories,
		ECS:      client,
		Rollouts: rollout.NewAWS(client),
		Images: image.Options{
			Platform:         config.Inputs.Platform,
			WorkingDirectory: config.Pipeline.WorkingDirectory,
			Environ:          environ,
			Keychain:         authn.NewMultiKeychain(repositories.Keychain(), authn.DefaultKeychain),
			Transport:        transport,
			TempDirectory:    config.Pipeline.TempDirectory,
			Logger:           log,
		},
		View: report.NewLog(console, log),
	}
	in, r := config.Inputs, request(config)
	switch in.Command {
	case input.Placeholder:
		path, err := placeholder.Layout(variables[taskFolder])
		if err != nil {
			return deploy.Result{}, err
		}
		return deployer.PushPlaceholder(ctx, r, path)
	case input.CurrentImage:
		images, err := deployer.CurrentImages(ctx, r, in.DefaultImage)
		if err != nil {
			return deploy.Result{}, err
		}
		return deploy.Result{Current: images}, handOver(log, config.Pipeline.TempDirectory, images)
	case input.Rollback:
		return deployer.RollBack(ctx, r, in.BuildID)
	case input.Resume:
		action := rollout.Continue
		if in.RollbackAction {
			action = rollout.RollBack
		}
		return deployer.Resume(ctx, r, in.HookID, action)
	default:
		return deployer.Run(ctx, r)
	}
}

// handOver writes the current images as files for the tools of infrastructure.
func handOver(log *slog.Logger, directory string, images []deploy.CurrentImage) error {
	directory = filepath.Join(directory, "ecs-deploy")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, file := range report.Files(images) {
		path := filepath.Join(directory, file.Name)
		if err := os.WriteFile(path, file.Content, 0o644); err != nil {
			return err
		}
		log.Info("wrote " + path)
	}
	return nil
}

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
		o.Connection = &session.Connection{
			ID:      c.ID,
			Keys:    keys(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
			Role:    role(c.AssumeRoleARN, c.RoleSessionName, c.ExternalID),
			UseOIDC: c.UseOIDC,
		}
	}
	return o
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
		Compression:      image.Compression(in.Compression),
		Container:        in.Container,
		Images:           map[string]string{},
		TaskDefinition:   in.TaskDefinition,
		Change: taskdef.Change{
			CPU:     in.CPU,
			Memory:  in.Memory,
			Command: in.ContainerCommand,
		},
		DesiredCount: in.DesiredCount,
		Force:        in.ForceNewDeployment,
		PinDigest:    in.PinDigest,
		Wait:         in.Wait,
		Timeout:      in.Timeout,
		Until:        until(in.UntilTraffic),
		TimeoutGiven: in.TimeoutGiven,
		DryRun:       in.DryRun,

		Origin:            origin(config.Pipeline),
		WhenBusy:          deploy.Busy(in.WhenBusy),
		AllowOlderBuild:   in.AllowOlderBuild,
		MaxFailedTasks:    in.MaxFailedTasks,
		RollbackOnFailure: in.RollbackOnFailure,
		RollbackOnCancel:  in.RollbackOnCancel,
	}
	for _, s := range in.Services {
		r.Services = append(r.Services, deploy.Service{Cluster: s.Cluster, Name: s.Name})
	}
	for _, i := range in.Images {
		r.Images[i.Container] = i.Image
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

func until(traffic bool) rollout.Until {
	if traffic {
		return rollout.UntilTraffic
	}
	return rollout.UntilCompleted
}

// origin says which run of which pipeline this is. A classic release counts as
// a run of the pipeline that built its primary artifact.
func origin(p input.Pipeline) taskdef.Provenance {
	o := taskdef.Provenance{BuildID: p.BuildID, Commit: p.SourceVersion}
	if p.DefinitionName != "" {
		o.Pipeline = p.CollectionURI + p.Project + "/" + p.DefinitionName
	}
	return o
}

// summarise writes the summary where the agent can upload it from after the
// step has ended.
func summarise(console *vso.Console, directory string, result deploy.Result) error {
	file, err := os.CreateTemp(directory, "ecsdeploy-*.md")
	if err != nil {
		return err
	}
	_, err = file.WriteString(report.Markdown(result, session.Explain))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	console.Send(vso.UploadSummary(file.Name()))
	return nil
}

// conclude ends a run that came to an outcome.
func conclude(console *vso.Console, log *slog.Logger, result deploy.Result) int {
	failures, warnings := report.Failures(result, session.Explain), report.Warnings(result)
	line := report.Line(result, session.Explain)
	for _, w := range warnings {
		issue(log, slog.LevelWarn, w.Text, w.Hint)
	}
	for _, f := range failures {
		issue(log, slog.LevelError, f.Text, f.Hint)
	}
	end := vso.Succeeded
	switch {
	case len(failures) > 0:
		end = vso.Failed
	case len(warnings) > 0:
		end = vso.SucceededWithIssues
	}
	if end != vso.Failed {
		console.Print(line)
	}
	console.Send(vso.Complete(end, line))
	return 0
}

// fail ends a run that could not be carried out, with one issue for each thing
// that is wrong.
func fail(ctx context.Context, console *vso.Console, log *slog.Logger, err error) int {
	var first string
	told := map[string]bool{} // services may share a mistake, as in a file
	for _, one := range mistake.Each(err) {
		message, hint := explain(ctx, one)
		if told[message] {
			continue
		}
		told[message] = true
		first = cmp.Or(first, message)
		issue(log, slog.LevelError, message, hint)
	}
	console.Send(vso.Complete(vso.Failed, first))
	return 0
}

// issue reports what is wrong, and what to do about it where that is known.
func issue(log *slog.Logger, level slog.Level, message, hint string) {
	if hint != "" {
		log = log.With("hint", hint)
	}
	log.Log(context.Background(), level, message)
}

// explain says what went wrong in plain words, and what to do about it. Only
// the run's own context says that it was the run which was cancelled.
func explain(ctx context.Context, err error) (message, hint string) {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return "the run was cancelled", ""
	}
	err = report.Named(err)
	if with, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return err.Error(), with.Hint()
	}
	return session.Explain(err)
}

// lookup turns the environment into a map; of a name given twice the last counts.
func lookup(environ []string) map[string]string {
	variables := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			variables[name] = value
		}
	}
	return variables
}
