package main

// The input sourceCredentials: a second connection, which only reads the image that is
// copied from another account's ECR. Everything else is done by the run's own identity.

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/session"
)

// sourceInput is the name of the input.
const sourceInput = "sourceCredentials"

// sourceKeychain has the credentials by which the source image is read; nil where no
// connection is given for it.
func (j job) sourceKeychain(ctx context.Context) (authn.Keychain, error) {
	connection := j.config.Inputs.SourceConnection
	if connection == nil {
		return nil, nil
	}
	region, err := sourceRegion(j.config.Inputs)
	if err != nil {
		return nil, err
	}
	options := sessionOptions(j.config)
	options.Connection, options.Role = sessionConnection(connection), session.Role{}
	options.Region = region
	options.Variables = session.Variables{MaxDuration: options.Variables.MaxDuration}
	j.equip(&options)
	source, err := session.New(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", sourceInput, err)
	}
	source.APIOptions = append(source.APIOptions, ecs.Survive)
	who, err := session.Whoami(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", sourceInput, err)
	}
	j.log.Info(fmt.Sprintf("%s reads the source image in %s (%s)", who.ARN, region, sourceInput))
	return ecr.New(source, ecr.Options{Logger: j.log, Mask: j.console.Mask}).Keychain(), nil
}

// sourceRegion is the region of the registry that the image is copied from, which is
// one of ECR: a connection of type AWS is of no use for any other.
func sourceRegion(in input.Inputs) (string, error) {
	repository, _, _ := strings.Cut(strings.TrimPrefix(in.Image, "docker://"), "@")
	if slash, colon := strings.LastIndexByte(repository, '/'), strings.LastIndexByte(repository, ':'); colon > slash {
		repository = repository[:colon]
	}
	ref, err := ecr.ParseRepository(repository)
	if err != nil || ref.Account == "" {
		m := mistake.New(mistake.Image, "for another registry log in on the agent, with Docker@2 for example, and leave sourceCredentials empty",
			"%s is not in a private registry of ECR, which a connection of type AWS is for", in.Image)
		return "", m.In(sourceInput)
	}
	return ref.Region, nil
}

// equip gives options what every session of the run shares.
func (j job) equip(options *session.Options) {
	options.Logger, options.Network = j.log, j.network
	options.Mask = func(secret string) { j.console.Mask(secret) }
	if j.devops != nil && j.devops.HasOIDC() {
		options.IDToken = j.devops.IDToken
	}
	if j.transport != nil {
		options.HTTPClient = &http.Client{Transport: j.transport}
	}
}
