package main

// The whole run as one function: inputs in, log out.

import (
	"cmp"
	"context"
	"crypto/x509"
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
	"ecsdeploy/pkg/placeholder"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/session"
	"ecsdeploy/pkg/taskdef"
	"ecsdeploy/pkg/vso"
)

// run does what environ asks for, prints to stdout, and returns the exit code.
func run(ctx context.Context, environ []string, stdout io.Writer, transport http.RoundTripper) int {
	return runOn(ctx, environ, vso.NewConsole(stdout), transport)
}

// runOn is [run] on a console. Requests to AWS and to registries go through
// transport; nil is the network.
func runOn(ctx context.Context, environ []string, console *vso.Console, transport http.RoundTripper) int {
	// Before anything else is printed: what is masked now stays masked.
	console.Mask(input.Secrets(environ)...)
	variables := lookup(environ)
	level := new(slog.LevelVar)
	log := slog.New(console.Handler(level))

	config, err := input.Load(ctx, envconfig.MapLookuper(variables))
	if err != nil {
		return fail(ctx, console, log, err)
	}
	if config.Pipeline.Debug {
		level.Set(slog.LevelDebug)
	}
	if len(config.Inputs.Ignored) > 0 {
		log.Info(fmt.Sprintf("command %s does not use: %s", config.Inputs.Command, strings.Join(config.Inputs.Ignored, ", ")))
	}

	result, err := execute(ctx, config, variables, transport, console, log)
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
func execute(ctx context.Context, config input.Config, variables map[string]string, transport http.RoundTripper, console *vso.Console, log *slog.Logger) (deploy.Result, error) {
	options := sessionOptions(config)
	options.Logger = log
	if transport != nil {
		options.HTTPClient = &http.Client{Transport: transport}
	}
	cfg, err := session.New(ctx, options)
	if err != nil {
		return deploy.Result{}, err
	}
	if transport == nil {
		if transport, err = registryTransport(variables["AWS_CA_BUNDLE"]); err != nil {
			return deploy.Result{}, err
		}
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

// registryTransport trusts whom the system trusts and, behind a proxy that
// inspects TLS, whom the AWS SDK is told to trust by AWS_CA_BUNDLE.
func registryTransport(bundle string) (http.RoundTripper, error) {
	if bundle == "" {
		return image.NewTransport(nil), nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the system has none
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %s has no certificate in PEM form", bundle)
	}
	return image.NewTransport(roots), nil
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
	o.Variables.Role.Duration = config.AWS.MaxDuration
	if c := config.Inputs.Connection; c != nil {
		o.Connection = &session.Connection{
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
	_, err = file.WriteString(console.Redact(report.Markdown(result, session.Explain)))
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
