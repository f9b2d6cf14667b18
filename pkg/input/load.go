// Loading: each input through its parser, then the rules between inputs.

package input

import (
	"context"
	"errors"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"ecsdeploy/pkg/mistake"
)

// Load reads and checks everything. The error joins one [*mistake.Error] for each
// thing that is wrong. The Config that comes with an error holds what could be read: it may
// be used to tell in which run the mistakes were made, and for nothing else.
func Load(ctx context.Context, lookup envconfig.Lookuper) (Config, error) {
	set := onlySet(lookup)
	decode := func(target any, from envconfig.Lookuper) error {
		return envconfig.ProcessWith(ctx, &envconfig.Config{Target: target, Lookuper: from})
	}
	var (
		given, defaults fields
		cfg             Config
	)
	if err := errors.Join(
		decode(&given, set),
		decode(&defaults, noInputs(set)),
		decode(&cfg.Pipeline, set),
		decode(&cfg.AWS, orSecret(set)),
		decode(&cfg.Server, set),
	); err != nil {
		return cfg, err
	}

	cfg.Server.Token = jobToken(set)
	debug, _ := set.Lookup("SYSTEM_DEBUG")
	cfg.Pipeline.Debug = strings.EqualFold(debug, "true")

	l := &loader{lookup: orSecret(set)}
	l.inputs(&cfg.Inputs, &given, &defaults)
	l.variables(&cfg.AWS, &given)
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
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	for i, line := range strings.Split(text, "\n") {
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

	in.Image = one(l, "image", f.Image, parseImageFor(in.Command))
	in.Platform = one(l, "platform", f.Platform, parsePlatform)
	in.Compression = one(l, "compression", f.Compression, parseChoice("gzip", "zstd"))
	in.Repository = one(l, "repository", f.Repository, parseRepository)
	in.Tags = list(l, "tags", f.Tags, parseTag, itself)
	in.CreateRepository = one(l, "createRepository", f.CreateRepository, parseBool)

	cluster := one(l, "cluster", f.Cluster, parseCluster)
	in.Services = list(l, "services", f.Services, func(text string) (Service, error) {
		s, err := parseService(text)
		if err == nil && s.Cluster == "" {
			if f.Cluster == "" {
				return s, wrong("write cluster/"+s.Name+", or set the input cluster", "%s has no cluster", s.Name)
			}
			s.Cluster = cluster
		}
		return s, err
	}, Service.String)
	in.Container = one(l, "container", f.Container, parseContainer)
	in.Images = list(l, "images", f.Images, func(text string) (ContainerImage, error) {
		i, err := parseContainerImage(text)
		if err == nil && i.Container == in.Container {
			err = wrong("images is for the other containers", "%s gets its image from the inputs container and image", i.Container)
		}
		return i, err
	}, func(i ContainerImage) string { return i.Container })

	in.TaskDefinition = one(l, "taskDefinition", f.TaskDefinition, parseTaskDefinition)
	key := func(v VariableName) string { return v.key(in.Container) }
	ofVariable := func(v Variable) string { return key(VariableName{v.Container, v.Name}) }
	in.Environment = list(l, "environment", f.Environment, parseVariable, ofVariable)
	in.RemoveEnvironment = list(l, "removeEnvironment", f.RemoveEnvironment, parseVariableName, key)
	in.Secrets = list(l, "secrets", f.Secrets, parseSecret, ofVariable)
	l.disjoint("removeEnvironment", keys(in.RemoveEnvironment, key), "environment", keys(in.Environment, ofVariable))
	l.disjoint("secrets", keys(in.Secrets, ofVariable), "environment", keys(in.Environment, ofVariable))
	in.CPU = one(l, "cpu", f.CPU, parseCPU)
	in.Memory = one(l, "memory", f.Memory, parseMemory)
	in.ContainerCommand = one(l, "containerCommand", f.ContainerCommand, parseContainerCommand)

	in.PinDigest = one(l, "pinDigest", f.PinDigest, parseBool)
	in.DesiredCount = one(l, "desiredCount", f.DesiredCount, parseCount)
	in.ForceNewDeployment = one(l, "forceNewDeployment", f.ForceNewDeployment, parseBool)
	in.Wait = one(l, "wait", f.Wait, parseBool)
	in.Timeout = one(l, "timeoutMinutes", f.TimeoutMinutes, parseMinutes)
	in.TimeoutGiven = f.TimeoutMinutes != defaults.TimeoutMinutes
	in.Summary = one(l, "summary", f.Summary, parseBool)
	in.DryRun = one(l, "dryRun", f.DryRun, parseBool)

	in.WhenBusy = one(l, "whenBusy", f.WhenBusy, parseChoice("wait", "supersede", "fail"))
	in.AllowOlderBuild = one(l, "olderBuild", f.OlderBuild, parseChoice("refuse", "allow")) == "allow"
	in.MaxFailedTasks = one(l, "maxFailedTasks", f.MaxFailedTasks, parseFailedTasks)
	in.RollbackOnFailure = one(l, "onFailure", f.OnFailure, parseChoice("rollback", "leave")) == "rollback"
	in.RollbackOnCancel = one(l, "onCancel", f.OnCancel, parseChoice("rollback", "leave")) == "rollback"
	in.UntilTraffic = one(l, "waitUntil", f.WaitUntil, parseChoice("completed", "traffic")) == "traffic"
	in.BuildID = one(l, "buildId", f.BuildID, parseBuildID)
	in.RollbackAction = one(l, "action", f.Action, parseChoice("continue", "rollback")) == "rollback"
	in.HookID = one(l, "hookId", f.HookID, parseHookID)
	in.DefaultImage = one(l, "defaultImage", f.DefaultImage, parseReference)
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
	case Rollout:
		// A revision that is named, or the one that runs, may be deployed as it is.
		asItIs := f.TaskDefinition != LatestRevision || strings.EqualFold(f.ForceNewDeployment, "true")
		if f.Image == "" && f.Repository == "" && !asItIs {
			missing("image", "image or repository", "set repository to roll out the image that has the first of tags, or image to a full reference")
		}
	case Placeholder:
		if f.Repository == "" {
			missing("repository", "the ECR repository to push the placeholder to", "its name, chat-app, or its URI")
		}
	case CurrentImage:
		if f.Repository == "" && f.DefaultImage == "" {
			missing("repository", "repository or defaultImage, for services that do not exist yet", "set repository to the one that the placeholder was pushed to")
		}
	}
	if command != Push && command != Placeholder && f.Services == "" {
		missing("services", "at least one service", "the service's name, or cluster/service, one a line")
	}
	tagged := command == Deploy || command == Push || command == Rollout && f.Image == "" && f.Repository != ""
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

func itself(s string) string { return s }

// variables checks those AWS variables of the pipeline that no input replaces.
func (l *loader) variables(v *Variables, f *fields) {
	if v.Region != "" && f.Region == "" {
		if _, err := parseRegion(v.Region); err != nil {
			l.fail("", 0, wrong("for instance eu-west-1", "variable AWS.Region: %v", err))
		}
	}
	if f.AWSCredentials == "" && (v.AccessKeyID == "") != (v.SecretAccessKey.Reveal() == "") {
		l.fail("", 0, wrong("set both, or use a service connection in the input awsCredentials",
			"only one of the variables AWS.AccessKeyID and AWS.SecretAccessKey has a value"))
	}
}
