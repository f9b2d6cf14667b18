package main

// Managed signing in the small AWS account of the transcripts.

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/emulator"
)

// sign adds a rule to the registry's signing configuration.
func (w *world) sign(t *testing.T, profile string, filters []string) {
	t.Helper()
	rule := types.SigningRule{SigningProfileArn: aws.String("arn:aws:signer:" + region + ":123456789012:/signing-profiles/" + profile)}
	for _, filter := range filters {
		rule.RepositoryFilters = append(rule.RepositoryFilters, types.SigningRepositoryFilter{Filter: aws.String(filter), FilterType: types.SigningRepositoryFilterTypeWildcardMatch})
	}
	w.signingRules = append(w.signingRules, rule)
	if _, err := ecr.NewFromConfig(w.config).PutSigningConfiguration(t.Context(), &ecr.PutSigningConfigurationInput{SigningConfiguration: &types.SigningConfiguration{Rules: w.signingRules}}); err != nil {
		t.Fatal(err)
	}
}

// signingOf reads takes=DURATION, late=DURATION, code=CODE and reason=TEXT, in which _
// stands for a blank.
func signingOf(t *testing.T, words []string) (s emulator.Signing) {
	t.Helper()
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "takes", "late":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			if name == "takes" {
				s.Takes = d
			} else {
				s.Late = d
			}
		case "code":
			s.Code = value
		case "reason":
			s.Reason = strings.ReplaceAll(value, "_", " ")
		default:
			t.Fatalf("signing knows no %s", name)
		}
	}
	return s
}
