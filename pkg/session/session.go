// Package session turns what a pipeline says about its AWS identity into an
// [aws.Config] whose credentials renew themselves: a service connection, AWS.*
// pipeline variables, an OIDC token of Azure DevOps or the SDK's default chain,
// and a role on top of them. It also says who that identity is ([Whoami]) and
// puts AWS errors into plain words ([Explain]).
//
// It is the only home of credentials. It does NOT read inputs, endpoints or
// pipeline variables itself (the SDK reads its own AWS_* variables and files),
// does not speak to Azure DevOps, prints nothing, and hands credentials to nobody
// but the SDK and Options.Mask.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"ecsdeploy/pkg/network"
)

// Options say which identity to use, and where. The zero value means the SDK's
// default chain in its own region.
type Options struct {
	// Region is the input region; empty means the next place in the order
	// AWS.Region, AWS_REGION or AWS_DEFAULT_REGION, the shared config file,
	// the instance's metadata.
	Region string

	// Role holds the inputs roleArn, roleSessionName and externalId. With an
	// ARN it takes the place of the role of the connection or the variables:
	// it is assumed from their keys, not from their role. Without one, its
	// session name and external id are used for their role.
	Role Role

	// Connection is the service connection that the input awsCredentials
	// names, nil for none.
	Connection *Connection

	// Variables are the AWS.* pipeline variables. A connection hides their
	// keys and role; their region and MaxDuration hold for every identity.
	Variables Variables

	// IDToken asks Azure DevOps for an OIDC token: the one of a service
	// connection, by its id, or with an empty id the pipeline's own. It is
	// asked again for every session. Nil means that there is nobody to ask:
	// then a connection with OIDC is a mistake, and a role that is given alone
	// is assumed from the default chain.
	IDToken func(ctx context.Context, connectionID string) (string, error)

	// Mask hears every secret that is obtained (tokens, the keys of sessions)
	// before it is used; nil means that nobody listens.
	Mask func(secret string)

	// Name is the session name of a role that brings none, for example
	// "azure-pipelines-1234". Characters that STS does not take become "-".
	Name string

	// HTTPClient carries every call of the configuration; nil means a client
	// with a limit for each wait that follows Network.
	HTTPClient aws.HTTPClient

	// Network has the proxies and the trusted authorities; nil means those of
	// the process's environment.
	Network *network.Settings

	// Logger hears which identity was chosen, what was ignored, and about
	// renewals; nil means silence.
	Logger *slog.Logger
}

// Connection is a service connection of type AWS: keys, a role, a role that is
// assumed from the keys, or a role that is assumed with an OIDC token. A role
// without any of them is assumed from the identity of the agent (the SDK's
// default chain).
type Connection struct {
	ID   string // a GUID; needed with UseOIDC
	Keys Keys
	Role Role

	// UseOIDC says that the connection's role, or Options.Role, is assumed with
	// the connection's OIDC token. Keys then have no effect.
	UseOIDC bool
}

// Format writes the role's ARN and no keys. The method of [Keys] is not enough:
// a pointer to a struct under a verb that does not fit it, such as %s, is printed
// by fmt without asking the fields.
func (c Connection) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%v role %s}", c.Keys, c.Role.ARN)
}

// Variables are the pipeline variables that AWS's own tasks know: AWS.AccessKeyID,
// AWS.SecretAccessKey, AWS.SessionToken, AWS.AssumeRoleArn, AWS.RoleSessionName,
// AWS.ExternalId, AWS.Region and aws.rolecredential.maxduration.
type Variables struct {
	Keys   Keys
	Role   Role
	Region string

	// MaxDuration is the length of a role's session in seconds, as it was given.
	// A value that is no number from 900 to 43200 is a warning and has no effect.
	MaxDuration string
}

// New returns a configuration for the chosen identity. What comes first wins:
// the connection, the keys of the variables, an identity that the agent's
// environment names (AWS_ACCESS_KEY_ID, AWS_PROFILE and the like), the pipeline's
// OIDC identity where Options.Role names a role, the SDK's default chain; then the
// role, if there is one, is assumed on top.
//
// The credentials have been retrieved once when New returns, so that a wrong
// role or an agent without any identity is known before anything else happens;
// plain keys are only proven by a first call such as [Whoami]. A named source
// that does not work is an error: New never tries the next one.
//
// Errors name the input or variable at fault. All mistakes that can be seen
// without a call are reported together.
func New(ctx context.Context, o Options) (aws.Config, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	mask := once(o.Mask)
	agent := readAgent()
	id, warnings, err := choose(o, agent.names)
	for _, w := range warnings {
		log.WarnContext(ctx, w)
	}
	if err != nil {
		return aws.Config{}, err
	}
	cfg, err := load(ctx, o, id, agent, log)
	if err != nil {
		return aws.Config{}, err
	}
	log.DebugContext(ctx, "AWS identity", "source", id.source, "region", cfg.Region)

	base := cfg.Credentials
	if id.source == defaultChain { // other keys were given to us, and are known to whoever gave them
		cfg.Credentials = masked{base, mask}
	}
	if id.role.ARN != "" {
		log.DebugContext(ctx, "assuming a role", "role", id.role.ARN, "session", id.role.SessionName, "from", id.roleSource)
		client := sts.NewFromConfig(withSource(cfg, id.source)) // cfg still has the base credentials here
		keep := keeper{log: log, mask: mask}
		if id.oidc {
			cfg.Credentials = renewing(&oidcProvider{
				keeper: keep,
				token:  func(ctx context.Context) (string, error) { return o.IDToken(ctx, id.connectionID) },
				client: client,
				role:   id.role,
				source: id.roleSource,
				own:    id.source == pipelineOIDC,
			})
		} else {
			cfg.Credentials = renewing(&roleProvider{
				keeper: keep,
				base:   cfg.Credentials,
				client: client,
				role:   id.role,
				source: id.roleSource,
			})
		}
		cfg = withSource(cfg, "role "+id.role.ARN+" ("+id.roleSource+")")
	} else {
		cfg = withSource(cfg, id.source)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return aws.Config{}, retrieveError(id, base, err)
	}
	return cfg, nil
}

// load reads the SDK's own configuration (environment, shared files, metadata)
// under what the options have decided already.
func load(ctx context.Context, o Options, id identity, agent agentIdentity, log *slog.Logger) (aws.Config, error) {
	client := o.HTTPClient
	if client == nil {
		settings := o.Network
		if settings == nil {
			var err error
			if settings, err = network.Read(os.LookupEnv); err != nil {
				return aws.Config{}, err
			}
		}
		client = newHTTPClient(settings)
	}
	options := func(region string) []func(*config.LoadOptions) error {
		fns := []func(*config.LoadOptions) error{
			config.WithHTTPClient(client),
			// Without a logger of ours the SDK writes to stderr by itself,
			// past everything that makes text harmless there.
			config.WithLogger(sdkLogger{ctx, log}),
			config.WithClientLogMode(aws.LogRetries),
			config.WithAPIOptions([]func(*middleware.Stack) error{whole}),
		}
		if region != "" {
			fns = append(fns, config.WithRegion(region))
		}
		switch k := id.keys; {
		case id.oidc: // the call that exchanges the token is not signed
			fns = append(fns, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
		case !k.empty():
			fns = append(fns, config.WithCredentialsProvider(
				credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, k.SessionToken)))
		case agent.profileFirst(ctx, log):
			fns = append(fns, config.WithSharedConfigProfile(agent.profile))
		}
		return fns
	}
	read := func(region string) (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(ctx, options(region)...)
		if err != nil {
			return aws.Config{}, fmt.Errorf("AWS settings of this agent: %w", err)
		}
		return cfg, nil
	}

	cfg, err := read(firstNonEmpty(o.Region, o.Variables.Region))
	if err != nil {
		return aws.Config{}, err
	}
	source := regionSource(o, agent)
	if cfg.Region == "" {
		region, err := instanceRegion(ctx, cfg)
		if err != nil {
			return aws.Config{}, err
		}
		source = "instance metadata"
		// Read again: a role of a shared profile has already taken the region it found.
		if cfg, err = read(region); err != nil {
			return aws.Config{}, err
		}
	}
	level := slog.LevelInfo
	if o.Region != "" {
		level = slog.LevelDebug // what stands in the step itself surprises nobody
	}
	log.Log(ctx, level, fmt.Sprintf("region %s (%s)", cfg.Region, source))
	if err := checkRegion(cfg.Region); err != nil {
		return aws.Config{}, err
	}
	setRetries(&cfg)
	return cfg, nil
}

// retrieveError takes off the SDK's wrapping of its credentials cache, and tells
// "there are no credentials anywhere" from "these did not work".
func retrieveError(id identity, base aws.CredentialsProvider, err error) error {
	if refused, ok := errors.AsType[*refusedTokenError](err); ok {
		return refused
	}
	var role *roleError
	if errors.As(err, &role) {
		if role.base == nil {
			return role
		}
		err = role.base
	}
	if _, cached := base.(*aws.CredentialsCache); cached {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
	}
	// The metadata service is the last link of the default chain, and is only
	// asked when nothing else was configured.
	if aws.IsCredentialsProvider(base, (*ec2rolecreds.Provider)(nil)) {
		err = &NoCredentialsError{Err: err}
	}
	return fmt.Errorf("%s: %w", id.source, err)
}

// NoCredentialsError says that no source was named and that the SDK's default
// chain found nothing either.
type NoCredentialsError struct {
	Err error // what the last link of the chain, the metadata service, answered
}

func (e *NoCredentialsError) Error() string { return "no AWS credentials found" }

func (e *NoCredentialsError) Unwrap() error { return e.Err }

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
