package session

// What the agent's own environment says of AWS. The SDK reads it; this looks at
// the same variables to say which of them decide.

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/config"
)

// agentIdentity is what the environment of the agent names.
type agentIdentity struct {
	names   string // the variables that name an identity; empty: none does
	profile string // AWS_PROFILE
	keys    bool   // AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
	web     bool   // AWS_WEB_IDENTITY_TOKEN_FILE
	region  string // AWS_REGION or AWS_DEFAULT_REGION

	configFile, credentialsFile string // AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE
}

// readAgent reads the variables as the SDK does. What is malformed in them is
// reported when the SDK loads its configuration.
func readAgent() agentIdentity {
	env, _ := config.NewEnvConfig()
	a := agentIdentity{
		profile: env.SharedConfigProfile,
		keys:    env.Credentials.HasKeys(),
		web:     env.WebIdentityTokenFilePath != "",
		region:  env.Region,

		configFile:      env.SharedConfigFile,
		credentialsFile: env.SharedCredentialsFile,
	}
	switch {
	case a.keys:
		a.names = "AWS_ACCESS_KEY_ID"
	case a.profile != "":
		a.names = "AWS_PROFILE"
	case a.web:
		a.names = "AWS_WEB_IDENTITY_TOKEN_FILE"
	case env.ContainerCredentialsEndpoint != "" || env.ContainerCredentialsRelativePath != "":
		a.names = "AWS_CONTAINER_CREDENTIALS_…"
	}
	return a
}

// profileFirst reports whether the profile has to be named to the SDK for Go.
// AWS's own tasks use the SDK for JavaScript, which takes AWS_PROFILE before
// AWS_WEB_IDENTITY_TOKEN_FILE; the one for Go takes them the other way round.
// A profile that has only settings and no credentials decides nothing.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
func (a agentIdentity) profileFirst(ctx context.Context, log *slog.Logger) bool {
	if a.profile == "" || !a.web || a.keys {
		return false
	}
	p, err := config.LoadSharedConfigProfile(ctx, a.profile, func(o *config.LoadSharedConfigOptions) {
		if a.configFile != "" {
			o.ConfigFiles = []string{a.configFile}
		}
		if a.credentialsFile != "" {
			o.CredentialsFiles = []string{a.credentialsFile}
		}
	})
	if err != nil {
		return true // naming it lets the SDK say what is wrong with it
	}
	if !p.Credentials.HasKeys() && p.CredentialProcess == "" && p.SourceProfileName == "" && p.CredentialSource == "" &&
		p.WebIdentityTokenFile == "" && p.SSOSessionName == "" && p.SSOAccountID == "" {
		return false
	}
	log.DebugContext(ctx, "both AWS_PROFILE and AWS_WEB_IDENTITY_TOKEN_FILE are set: the profile is used, as by AWS's own tasks", "profile", a.profile)
	return true
}

// regionSource says where the region comes from, unless it is the instance.
func regionSource(o Options, agent agentIdentity) string {
	switch {
	case o.Region != "":
		return "input region"
	case o.Variables.Region != "":
		return "variable AWS.Region or AWS_REGION"
	case agent.region != "":
		return "AWS_REGION or AWS_DEFAULT_REGION of this agent"
	default:
		return "shared AWS config file of this agent"
	}
}
