// Loading: each input through its parser, then the rules between inputs.

package input

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"ecsdeploy/pkg/mistake"
)

// Load reads and checks everything from an environment. The error joins one
// [*mistake.Error] for each mistake; where a variable of the pipeline can have
// replaced an input, that is the only one, since nothing else is certain. The
// Config that comes with an error holds what could be read: it may be used to tell
// in which run the mistakes were made, and for nothing else.
func Load(ctx context.Context, variables map[string]string) (Config, error) {
	set := onlySet(envconfig.MapLookuper(variables))
	decode := func(target any, from envconfig.Lookuper) error {
		return envconfig.ProcessWith(ctx, &envconfig.Config{Target: target, Lookuper: from})
	}
	var (
		given, defaults fields
		cfg             Config
	)
	if err := overridden(set); err != nil {
		cfg.Inputs.Summary = true // the default: nothing that the step was given is certain
		return cfg, errors.Join(err, decode(&cfg.Pipeline, set))
	}
	if err := errors.Join(
		decode(&given, set),
		decode(&defaults, noInputs(set)),
		decode(&cfg.Pipeline, set),
		decode(&cfg.AWS, orSecret(set)),
		decode(&cfg.Server, set),
	); err != nil {
		return cfg, err
	}

	cfg.Pipeline.CollectionURI = withoutUserinfo(cfg.Pipeline.CollectionURI)
	cfg.Server.Token = jobToken(set)
	debug, _ := set.Lookup("SYSTEM_DEBUG")
	cfg.Pipeline.Debug = strings.EqualFold(debug, "true")

	l := &loader{lookup: orSecret(set)}
	cfg.Pipeline.builds(upper(variables))
	l.inputs(&cfg.Inputs, &given, &defaults)
	strangers(variables, &cfg.Inputs)
	l.variables(&cfg.AWS, &given)
	l.olderBuild(&cfg.Inputs)
	l.identifiers(&cfg.Inputs, &given, cfg.AWS.Region)
	build, err := cfg.Pipeline.Source(cfg.Inputs.ArtifactAlias, cfg.Inputs.imageTags()...)
	if err != nil {
		l.fail("artifactAlias", 0, err)
	}
	cfg.Build = build
	return cfg, errors.Join(l.mistakes...)
}

// onlySet is the one place that says: an empty variable is an unset one. The
// agent sets every input, to the empty string where it was left out.
func onlySet(lookup envconfig.Lookuper) envconfig.Lookuper {
	return envconfig.LookuperFunc(func(key string) (string, bool) {
		value, ok := lookup.Lookup(key)
		value = strings.TrimSpace(value)
		return value, ok && value != ""
	})
}

// noInputs hides the inputs, so that what is decoded are the defaults.
func noInputs(lookup envconfig.Lookuper) envconfig.Lookuper {
	return envconfig.LookuperFunc(func(key string) (string, bool) {
		if strings.HasPrefix(key, inputPrefix) {
			return "", false
		}
		return lookup.Lookup(key)
	})
}

// orSecret also finds a pipeline variable that is secret: a task gets it under
// another name.
func orSecret(lookup envconfig.Lookuper) envconfig.Lookuper {
	return envconfig.MultiLookuper(lookup, envconfig.PrefixLookuper(secretPrefix, lookup))
}

// loader collects mistakes, so that one look at the log is enough to mend all.
type loader struct {
	lookup   envconfig.Lookuper
	mistakes []error
}

func (l *loader) fail(name string, line int, err error) {
	m, ok := errors.AsType[*mistake.Error](err)
	if !ok {
		m = &mistake.Error{Text: err.Error()}
	}
	placed := *m
	placed.Input, placed.Line = name, line
	l.mistakes = append(l.mistakes, &placed)
}

// one parses an input of one value. An unset or a wrong one is zero.
func one[T any](l *loader, name, text string, parse func(string) (T, error)) (value T) {
	if text == "" {
		return value
	}
	parsed, err := item(name, text, parse)
	if err != nil {
		l.fail(name, 0, err)
		return value
	}
	return parsed
}

// list parses an input of one item a line. Blanks around an item and blank
// lines do not count; a # is a character like any other. Two items with the
// same key are a mistake.
func list[T any](l *loader, name, text string, parse func(string) (T, error), key func(T) string) (items []T) {
	first := make(map[string]int) // key → line
	for i, line := range strings.Split(newlines.Replace(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		parsed, err := item(name, line, parse)
		if err == nil {
			k := key(parsed)
			if before, ok := first[k]; ok {
				err = wrong("remove one of the two lines", "%s is there already, in line %d", k, before)
			} else {
				first[k] = i + 1
			}
		}
		if err != nil {
			l.fail(name, i+1, err)
			continue
		}
		items = append(items, parsed)
	}
	return items
}

func item[T any](name, text string, parse func(string) (T, error)) (value T, err error) {
	if err := expanded(name, text); err != nil {
		return value, err
	}
	return parse(text)
}

func (l *loader) inputs(in *Inputs, f, defaults *fields) {
	in.Command = one(l, "command", f.Command, parseCommand)
	if in.Command != "" {
		in.Ignored = f.ignore(in.Command, defaults)
		l.require(in.Command, f)
	}

	in.Connection = one(l, "awsCredentials", f.AWSCredentials, l.connection)
	in.Region = one(l, "region", f.Region, parseRegion)
	in.Role = Role{
		ARN:         one(l, "roleArn", f.RoleARN, parseRoleARN),
		SessionName: one(l, "roleSessionName", f.RoleSessionName, parseSessionName),
		ExternalID:  one(l, "externalId", f.ExternalID, parseExternalID),
	}

	l.taggedImage(f)
	in.Image = one(l, "image", f.Image, parseImageFor(imageOf(in.Command, f)))
	in.SourceConnection = one(l, "sourceCredentials", f.SourceCredentials, l.connection)
	if f.SourceCredentials != "" && in.Image != "" && !strings.HasPrefix(in.Image, registryScheme) {
		l.fail("sourceCredentials", 0, wrong("leave it empty, or set image to docker://host/repository:tag", "is for an image of another registry, and %s is none", shown(in.Image)))
	}
	in.Platform = one(l, "platform", f.Platform, parsePlatform)
	in.Compression = one(l, "compression", f.Compression, oneOf(Gzip, Zstd))
	in.LazyLoading = one(l, "lazyLoading", f.LazyLoading, parseBool)
	if in.LazyLoading && in.Compression == Zstd {
		l.fail("lazyLoading", 0, wrong("set one of the two", "takes layers of gzip, and compression is %s", Zstd))
	}
	in.Referrers = one(l, "referrers", f.Referrers, parseBool)
	in.FailOn = one(l, "failOnVulnerabilities", f.FailOn, oneOf(SeverityCritical, SeverityHigh, SeverityMedium, SeverityLow))
	in.InsecureRegistries = list(l, "insecureRegistries", f.InsecureRegistries, parseHost, itself)
	in.Repository = one(l, "repository", f.Repository, parseRepository)
	in.Tags = list(l, "tags", f.Tags, parseTag, itself)
	l.movingTag(in)
	in.CreateRepository = one(l, "createRepository", f.CreateRepository, parseBool)
	l.creation(in, f)

	cluster := one(l, "cluster", f.Cluster, parseCluster)
	in.Services = list(l, "services", f.Services, func(text string) (Service, error) {
		return serviceIn(cluster, f.Cluster != "", text)
	}, Service.String)
	in.Containers = list(l, "container", f.Container, parseContainer, itself)
	in.Images = list(l, "images", f.Images, func(text string) (ContainerImage, error) {
		i, err := parseContainerImage(text)
		if err == nil && slices.Contains(in.Containers, i.Container) {
			err = wrong("images is for the other containers", "%s gets its image from the inputs container and image", i.Container)
		}
		return i, err
	}, func(i ContainerImage) string { return i.Container })

	in.TaskDefinition = one(l, "taskDefinition", f.TaskDefinition, parseTaskDefinition)
	key := func(v VariableName) string { return v.key(in.Containers) }
	ofVariable := func(v Variable) string { return key(VariableName{v.Container, v.Name}) }
	in.Environment = l.environment("environment", f.Environment, ofVariable)
	in.RemoveEnvironment = list(l, "removeEnvironment", f.RemoveEnvironment, parseRemoval, key)
	in.Secrets = list(l, "secrets", f.Secrets, parseSecret, ofVariable)
	l.disjoint("removeEnvironment", keys(in.RemoveEnvironment, key), "environment", keys(in.Environment, ofVariable))
	l.disjoint("secrets", keys(in.Secrets, ofVariable), "environment", keys(in.Environment, ofVariable))
	in.CPU = one(l, "cpu", f.CPU, parseCPU)
	in.Memory = one(l, "memory", f.Memory, parseMemory)
	in.ContainerCommand = one(l, "containerCommand", f.ContainerCommand, parseContainerCommand)

	in.MigrationCommand = one(l, "migrationCommand", f.MigrationCommand, parseMigrationCommand)

	in.PinDigest = one(l, "pinDigest", f.PinDigest, parseBool)
	in.PropagateTags = one(l, "propagateTags", f.PropagateTags, oneOf(PropagateNone, PropagateService, PropagateTaskDefinition))
	if f.ManagedTags != "" {
		managed := one(l, "enableECSManagedTags", f.ManagedTags, parseBool)
		in.ManagedTags = &managed
	}
	in.DesiredCount = one(l, "desiredCount", f.DesiredCount, parseCount)
	in.ForceNewDeployment = one(l, "forceNewDeployment", f.ForceNewDeployment, parseBool)
	in.Wait = one(l, "wait", f.Wait, parseBool)
	in.Timeout = one(l, "timeoutMinutes", f.TimeoutMinutes, parseMinutes)
	in.TimeoutGiven = f.TimeoutMinutes != defaults.TimeoutMinutes
	in.Summary = one(l, "summary", f.Summary, parseBool)
	in.TagBuild = one(l, "tagBuild", f.TagBuild, parseBool)
	in.Marks = list(l, "marks", f.Marks, oneOf(MarkProperties, MarkRetain, MarkCommitStatus, MarkPullRequestStatus, MarkReleaseName), func(m Mark) string { return string(m) })
	in.Recording = one(l, "recording", f.Recording, oneOf(RecordOnFailure, RecordAlways, RecordNever))
	in.DryRun = one(l, "dryRun", f.DryRun, parseBool)

	l.order(in, f.Order)
	in.KeepRevisions = one(l, "keepRevisions", f.KeepRevisions, parseKeep)
	in.WhenBusy = one(l, "whenBusy", f.WhenBusy, oneOf(BusyWait, BusySupersede, BusyFail))
	in.WhenSecretsChange = one(l, "whenSecretsChange", f.WhenSecretsChange, oneOf(SecretsDeploy, SecretsIgnore))
	in.OlderBuild = one(l, "olderBuild", f.OlderBuild, oneOf(OlderRefuse, OlderAllow))
	in.MaxFailedTasks = one(l, "maxFailedTasks", f.MaxFailedTasks, parseFailedTasks)
	in.OnFailure = one(l, "onFailure", f.OnFailure, oneOf(RecoverRollback, RecoverLeave))
	in.OnCancel = one(l, "onCancel", f.OnCancel, oneOf(RecoverRollback, RecoverLeave))
	in.WaitUntil = one(l, "waitUntil", f.WaitUntil, parseWaitUntil)
	l.schedules(in, f.Schedules)
	in.BuildID = one(l, "buildId", f.BuildID, parseBuildID)
	in.Action = one(l, "action", f.Action, oneOf(ActionContinue, ActionRollback))
	l.smoke(in, f)
	in.HookID = one(l, "hookId", f.HookID, parseHookID)
	in.ArtifactAlias = one(l, "artifactAlias", f.ArtifactAlias, parseAlias)
	in.DefaultImage = one(l, "defaultImage", f.DefaultImage, parseReference)
}

// imageOf is the command whose image is meant: verify has that of deploy where there
// is a repository to push to.
func imageOf(command Command, f *fields) Command {
	switch {
	case command == Verify && f.Repository != "":
		return Deploy
	case command == Verify:
		return Rollout
	}
	return command
}

// require reports the inputs without which the command has nothing to do.
func (l *loader) require(command Command, f *fields) {
	missing := func(name, what, hint string) {
		l.fail(name, 0, wrong(hint, "is empty; command %s needs %s", command, what))
	}
	switch command {
	case Deploy, Push:
		if f.Image == "" {
			missing("image", "the image to push", "for instance chat-app:$(Build.BuildId), as docker build tagged it")
		}
		if f.Repository == "" {
			missing("repository", "the ECR repository to push to", "its name, chat-app, or its URI")
		}
		l.migrates(f)
	case Rollout:
		// A revision that is named, or the one that runs, may be deployed as it is.
		asItIs := TaskDefinition(f.TaskDefinition) != LatestRevision || strings.EqualFold(f.ForceNewDeployment, "true")
		if f.Image == "" && f.Repository == "" && !asItIs {
			missing("image", "image or repository", "set repository to roll out the image that has the first of tags, or image to a full reference")
		}
		l.migrates(f)
	case RunTask:
		l.requireTask(f)
	case Placeholder:
		if f.Repository == "" {
			missing("repository", "the ECR repository to push the placeholder to", "its name, chat-app, or its URI")
		}
	case CurrentImage:
		if f.Repository == "" && f.DefaultImage == "" {
			missing("repository", "repository or defaultImage, for services that do not exist yet", "set repository to the one that the placeholder was pushed to")
		}
	}
	alone := command == Verify && f.Repository != "" // which can be verified by itself
	registers := (command == Deploy || command == Rollout || command == Verify) && !TaskDefinition(f.TaskDefinition).NeedsService() && f.Image != CurrentReference
	if command != Push && command != Placeholder && f.Services == "" && !registers && !alone {
		hint := "the service's name, or cluster/service, one per line"
		if command == Deploy {
			hint += "; to push only, set command to push"
		}
		missing("services", "at least one service", hint)
	}
	tagged := command == Deploy || command == Push || alone || (command == Rollout || command == RunTask) && f.Image == "" && f.Repository != ""
	if f.Tags == "" && tagged {
		missing("tags", "a tag", "the default, Build.BuildId, has no value in this run: set tags")
	}
}

// disjoint reports what is in both of two inputs.
func (l *loader) disjoint(name string, names []string, other string, others []string) {
	for _, both := range others {
		for _, n := range names {
			if n == both {
				l.fail(name, 0, wrong("name it in one of the two", "%s is in %s, too", both, other))
			}
		}
	}
}

func keys[T any](items []T, key func(T) string) (list []string) {
	for _, i := range items {
		list = append(list, key(i))
	}
	return list
}

// serviceIn parses a service, of the cluster where it names none itself.
func serviceIn(cluster string, given bool, text string) (Service, error) {
	s, err := parseService(text)
	switch {
	case err != nil:
		return s, err
	case s.Cluster == "" && !given:
		return s, wrong("write cluster/"+s.Name+", or set the input cluster", "%s has no cluster", s.Name)
	case s.Cluster == "":
		s.Cluster = cluster
	case strings.HasPrefix(text, "arn:") && cluster != "" && s.ClusterName() != (Service{Cluster: cluster}).ClusterName():
		return s, wrong("correct one of the two; for services of several clusters leave the input cluster empty",
			"the ARN of service %s names the cluster %s, the input cluster names %s", s.Name, s.ClusterName(), Service{Cluster: cluster}.ClusterName())
	}
	return s, nil
}

// movingTag warns of a tag that every build moves.
func (l *loader) movingTag(in *Inputs) {
	for i, t := range in.Tags {
		if i == 0 && strings.EqualFold(t, "latest") && (in.Command == Deploy || in.Command == Rollout) {
			in.Warnings = append(in.Warnings, &mistake.Error{Input: "tags", Line: 1, Kind: mistake.Tag,
				Text:   "the tag " + t + " is rolled out, which the next push moves to another image: tasks that start later may run another build",
				Advice: "name $(Build.BuildId) first, and " + t + " in the second line"})
		}
	}
}

// olderBuildVariable can be set when a run is queued or a release is deployed,
// where inputs cannot be changed.
const olderBuildVariable = "EcsDeploy.OlderBuild"

// olderBuild lets the pipeline's variable have its say over the input.
func (l *loader) olderBuild(in *Inputs) {
	text, ok := l.lookup.Lookup(variableKey(olderBuildVariable))
	if !ok || in.OlderBuild == "" {
		return
	}
	choice, err := oneOf(OlderRefuse, OlderAllow)(strings.ToLower(text))
	if err != nil {
		l.fail("", 0, wrong("set it to allow or refuse", "variable %s: %v", olderBuildVariable, err))
		return
	}
	in.OlderBuild = choice
}

// identifiers collects the ARNs, and compares them with the region where that is
// known already.
func (l *loader) identifiers(in *Inputs, f *fields, fallback string) {
	in.identifiers = identifiers(f)
	known := in.Region
	if f.Region == "" {
		known, _ = parseRegion(fallback)
	}
	l.mistakes = append(l.mistakes, mistake.Each(in.Conflicts(known, ""))...)
}

// imageTags are the tags that tell which build the image of the run comes from.
func (in Inputs) imageTags() []string {
	if (in.Command == Rollout || in.Command == RunTask) && in.Image != "" {
		name, _, _ := strings.Cut(in.Image, "@")
		_, tag, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
		return []string{tag}
	}
	return in.Tags
}

func itself(s string) string { return s }

// variables checks those AWS variables of the pipeline that no input replaces.
func (l *loader) variables(v *Variables, f *fields) {
	if v.Region != "" && f.Region == "" {
		region, err := parseRegion(v.Region)
		if err != nil {
			l.fail("", 0, wrong("for instance eu-west-1", "variable AWS.Region: %v", err))
		}
		v.Region = region
	}
	if f.AWSCredentials == "" && (v.AccessKeyID == "") != (v.SecretAccessKey.Reveal() == "") {
		l.fail("", 0, wrong("set both, or use a service connection in the input awsCredentials",
			"only one of the variables AWS.AccessKeyID and AWS.SecretAccessKey has a value"))
	}
}
