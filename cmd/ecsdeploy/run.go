package main

// The whole run as one function: environment in, log out.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-containerregistry/pkg/authn"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/network"
	"ecsdeploy/pkg/placeholder"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/recording"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/resource"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/runtask"
	"ecsdeploy/pkg/schedule"
	"ecsdeploy/pkg/session"
	"ecsdeploy/pkg/vso"
)

// job is one run: what it was given, and where it prints.
type job struct {
	config    input.Config
	variables map[string]string // the environment
	network   *network.Settings
	transport http.RoundTripper // of all requests; nil is the network
	console   *vso.Console
	log       *slog.Logger
	devops    *azdo.Client // nil where the agent does not say how it is reached
	contents  *contents
	recording *recording.Recorder // nil where none is wanted

	lifecyclePolicy string // of a repository that is created, its JSON
}

// runOn is [run] on a console. Requests to AWS, to registries and to Azure DevOps
// go through transport; nil is the network.
func runOn(ctx context.Context, environ []string, console *vso.Console, transport http.RoundTripper) int {
	// Before anything else is printed: what is masked now stays masked.
	console.Mask(input.Secrets(environ)...)
	level := new(slog.LevelVar)
	j := job{variables: lookup(environ), transport: transport, console: console, log: slog.New(console.Handler(level))}
	settings, unusable := network.Read(func(name string) (string, bool) { v, ok := j.variables[name]; return v, ok })
	if settings != nil {
		console.Mask(settings.Secrets...)
	}
	begin := time.Now()
	config, err := input.Load(ctx, j.variables)
	j.config, j.network = config, settings
	var unfit error
	j.lifecyclePolicy, unfit = lifecyclePolicy(config)
	if err = errors.Join(err, unfit, unusable); err != nil {
		return j.refuse(ctx, begin, err)
	}
	if config.Pipeline.Debug {
		level.Set(slog.LevelDebug)
	}
	j.remark()
	j.recording = j.recorder()
	if j.devops, err = j.azureDevOps(); err != nil {
		j.log.Debug("Azure DevOps is not asked for anything: " + err.Error())
	}
	j.contents = &contents{View: report.NewLog(console, j.log), job: j, ctx: ctx, timeline: new(report.Timeline)}
	ctx, stop := j.cancellable(ctx)
	result, err := j.execute(ctx, begin)
	stop()
	err = j.socketHint(err)
	found := j.contents.end(ctx)
	outputs, dropped, unfit := report.FitOutputs(result)
	err = errors.Join(err, unfit)
	for _, warning := range dropped {
		j.log.Warn(warning)
	}
	for _, o := range outputs {
		console.Send(vso.SetVariable(o.Name, o.Value))
	}
	j.tagBuilds(ctx, result)
	j.mark(ctx, result, err)
	j.record(ctx, result, report.Run{Command: string(config.Inputs.Command), Began: begin, Contents: found, Err: err})
	j.keepRecording(ctx, result, err)
	if !config.Inputs.DryRun || err != nil {
		j.summarise(ctx, result, found, err)
	}
	j.trace(err, result)
	if err != nil {
		return j.fail(ctx, err)
	}
	return j.conclude(result)
}

// remark says what is noteworthy about the inputs and the network.
func (j job) remark() {
	for _, warning := range j.network.Warnings {
		j.log.Warn(warning)
	}
	for _, line := range j.network.Describe() {
		j.log.Debug(line)
	}
	for _, warning := range j.config.Inputs.Warnings {
		j.issue(slog.LevelWarn, warning.Error(), warning.Hint())
	}
	if ignored := j.config.Inputs.Ignored; len(ignored) > 0 {
		j.log.Info(fmt.Sprintf("command %s does not use: %s", j.config.Inputs.Command, strings.Join(ignored, ", ")))
	}
}

// execute connects the parts and runs the command, all of it within its time limit.
func (j job) execute(ctx context.Context, began time.Time) (result deploy.Result, err error) {
	r := request(j.config)
	r.Parting, r.Began, r.Creation.LifecyclePolicy = j.parting(), began, j.lifecyclePolicy
	var cfg aws.Config
	var who session.Identity
	var sources authn.Keychain // of the input sourceCredentials
	err = deploy.Within(ctx, r, func(ctx context.Context) (err error) {
		if cfg, who, err = j.connect(ctx); err == nil {
			sources, err = j.sourceKeychain(ctx)
		}
		return err
	})
	if err != nil {
		return deploy.Result{}, err
	}
	deployer := j.deployer(cfg, sources)
	deployer.Identity = &deploy.Identity{ARN: who.ARN, Region: cfg.Region, Rights: resource.New(cfg)}
	switch j.config.Inputs.Command {
	case input.Placeholder, input.Verify, input.CurrentImage, input.Drift:
		err = deploy.Within(ctx, r, func(ctx context.Context) (err error) {
			result, err = j.look(ctx, deployer, cfg, r)
			return err
		})
		return result, err
	case input.Rollback:
		return deployer.RollBack(ctx, r, j.config.Inputs.BuildID)
	case input.RunTask:
		return deployer.RunTask(ctx, r)
	case input.Resume:
		return deployer.Resume(ctx, r, j.config.Inputs.HookID, rollout.Action(j.config.Inputs.Action))
	default:
		return deployer.Run(ctx, r)
	}
}

// look runs a command that changes no service.
func (j job) look(ctx context.Context, deployer *deploy.Deployer, cfg aws.Config, r deploy.Request) (deploy.Result, error) {
	switch j.config.Inputs.Command {
	case input.Placeholder:
		path, err := placeholder.Layout(j.variables[taskFolder])
		if err != nil {
			return deploy.Result{}, err
		}
		return deployer.PushPlaceholder(ctx, r, path)
	case input.Verify:
		return j.verify(ctx, deployer, cfg, r)
	case input.CurrentImage:
		images, err := deployer.CurrentImages(ctx, r, j.config.Inputs.DefaultImage)
		if err != nil {
			return deploy.Result{}, err
		}
		return deploy.Result{Current: images}, j.handOver(images)
	default:
		return deployer.Deviations(ctx, r)
	}
}

// connect finds the AWS identity of the run, and refuses inputs that name another
// account or region.
func (j job) connect(ctx context.Context) (aws.Config, session.Identity, error) {
	options := sessionOptions(j.config)
	j.equip(&options)
	cfg, err := session.New(ctx, options)
	if err != nil {
		return cfg, session.Identity{}, err
	}
	cfg.APIOptions = append(cfg.APIOptions, ecs.Survive, j.recording.Calls)
	if err := j.config.Inputs.Conflicts(cfg.Region, ""); err != nil {
		return cfg, session.Identity{}, err
	}
	who, err := session.Whoami(ctx, cfg)
	if err != nil {
		return cfg, session.Identity{}, err
	}
	j.log.Info(fmt.Sprintf("%s in %s (times are UTC)", who.ARN, cfg.Region))
	return cfg, who, j.config.Inputs.Conflicts(cfg.Region, who.Account)
}

// taskFolder is the variable by which task/index.js says where the task lies: the
// executable itself may have been unpacked elsewhere.
const taskFolder = "ECSDEPLOY_TASK_FOLDER"

// deployer connects the packages that do the work. source has the credentials for the
// image to push where these are not the run's own, or is nil.
func (j job) deployer(cfg aws.Config, sources authn.Keychain) *deploy.Deployer {
	transport := j.transport
	if transport == nil {
		registries := registry.NewTransport(nil)
		j.network.Apply(registries.Transport)
		registries.Mask = j.console.Mask
		transport = registries
	}
	repositories := ecr.New(cfg, ecr.Options{Logger: j.log, Mask: j.console.Mask})
	client := ecs.New(cfg)
	keychains := []authn.Keychain{repositories.Keychain(), maskedKeychain{authn.DefaultKeychain, j.console.Mask}}
	if sources != nil {
		keychains = append([]authn.Keychain{sources}, keychains...)
	}
	rollouts := j.rollouts(client)
	return &deploy.Deployer{
		ECR:       repositories,
		ECS:       client,
		Rollouts:  rollouts,
		Registry:  client,
		Schedules: schedule.New(client),
		Tasks:     runtask.New(client, client.Config()),
		Probes:    j.prober(),
		Secrets:   resource.New(cfg),
		Balancers: rollouts,
		Images: source.Options{
			Platform:         j.config.Inputs.Platform,
			WorkingDirectory: j.config.Pipeline.WorkingDirectory,
			Environ:          func(key string) (string, bool) { v, ok := j.variables[key]; return v, ok },
			Keychain:         authn.NewMultiKeychain(keychains...),
			Transport:        transport,
			Insecure:         j.config.Inputs.InsecureRegistries,
			TempDirectory:    j.config.Pipeline.TempDirectory,
			Logger:           j.log,
		},
		View:      j.contents,
		Variables: input.VariableLookup(j.variables),
	}
}

// prober asks the URLs of smoke tests, through the proxy and with the certificate
// authorities of the agent.
func (j job) prober() *probe.Prober {
	if j.transport != nil {
		return probe.New(j.transport)
	}
	return probe.New(probe.NewTransport(j.network.Apply))
}

// rollouts is who carries rollouts out, and has them recorded.
func (j job) rollouts(client *ecs.Client) rollout.AWS {
	if j.recording == nil {
		return rollout.NewAWS(client)
	}
	return rollout.NewAWS(client).Observed(j.recording)
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
