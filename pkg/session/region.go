package session

// The region, where neither an input nor a variable nor the SDK's own settings
// name one, and a check of what was named.

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// metadataWait bounds the question to the instance's metadata service, which
// outside EC2 may be a black hole.
const metadataWait = 2 * time.Second

var errNoRegion = errors.New("input region: none given, and none found in the variable AWS.Region, or on this agent in AWS_REGION, AWS_DEFAULT_REGION, the shared AWS config file or instance metadata")

func instanceRegion(ctx context.Context, cfg aws.Config) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, metadataWait)
	defer cancel()
	out, err := imds.NewFromConfig(cfg).GetRegion(bounded, nil)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil || out.Region == "" {
		return "", errNoRegion
	}
	return out.Region, nil
}

// regionCode is the form that all region codes share, isolated and sovereign
// partitions included: eu-west-1, us-gov-west-1, us-isob-east-1, eusc-de-east-1.
// It becomes part of a host name, so nothing else may pass.
var regionCode = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-\d{1,2}$`)

func checkRegion(region string) error {
	if !regionCode.MatchString(region) {
		return fmt.Errorf("region: %q is not a region code: expected one such as eu-west-1", region)
	}
	return nil
}
