// Identifiers: names of AWS resources that also say where these are. An ARN that
// names another region or account than the run works in is a mistake that is
// known before any call; taking its last part for a name would find another thing.

package input

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"ecsdeploy/pkg/mistake"
)

// Identifier is an ARN in an input.
type Identifier struct {
	Input string
	Line  int // of a multi-line input, from 1; 0 for the whole input
	Kind  mistake.Kind
	ARN   arn.ARN
}

// identifiers are the ARNs in the inputs that name what a run works on. Images
// and roles may belong to other accounts.
func identifiers(f *fields) (all []Identifier) {
	add := func(name, text string, kind mistake.Kind, part func(line string) string) {
		for i, line := range strings.Split(newlines.Replace(text), "\n") {
			parsed, err := arn.Parse(strings.TrimSpace(part(line)))
			if err != nil {
				continue
			}
			id := Identifier{Input: name, Line: i + 1, Kind: kind, ARN: parsed}
			if kind != mistake.Service && kind != mistake.Secret && kind != mistake.Schedule {
				id.Line = 0
			}
			all = append(all, id)
		}
	}
	value := func(line string) string {
		_, value, _ := strings.Cut(line, "=")
		return value
	}
	add("repository", f.Repository, mistake.Repository, itself)
	add("cluster", f.Cluster, mistake.Cluster, itself)
	add("services", f.Services, mistake.Service, itself)
	add("schedules", f.Schedules, mistake.Schedule, itself)
	add("taskDefinition", f.TaskDefinition, mistake.TaskDefinition, itself)
	add("secrets", f.Secrets, mistake.Secret, value)
	add("kmsKey", f.KMSKey, mistake.Key, itself)
	return all
}

// Identifiers lists the ARNs in the inputs, in the order of the inputs.
func (in Inputs) Identifiers() []Identifier { return in.identifiers }

// Conflicts reports the ARNs in the inputs that name another region or account
// than the run's, each as a [*mistake.Error]. What is empty is not known yet, and
// not compared.
func (in Inputs) Conflicts(region, account string) error {
	var errs []error
	for _, id := range in.identifiers {
		errs = append(errs, id.conflict(region, account))
	}
	return errors.Join(errs...)
}

func (id Identifier) conflict(region, account string) error {
	hint := "name a " + string(id.Kind) + " of this region and account, or run the step with the credentials and the region of the other one"
	if id.Kind == mistake.Repository {
		hint = "if the repository of another account or region is meant, write its URI"
	}
	m := mistake.New(id.Kind, hint, "")
	m.Input, m.Line = id.Input, id.Line
	if id.Kind == mistake.Key { // a key may belong to another account, and is in the region of the repository
		return id.keyConflict(region)
	}
	switch {
	case region != "" && id.ARN.Region != region:
		m.Text = "the " + string(id.Kind) + " is in region " + id.ARN.Region + ", this run works in " + region
	case account != "" && id.ARN.AccountID != account:
		m.Text = "the " + string(id.Kind) + " belongs to account " + id.ARN.AccountID + ", this run works in account " + account
	case region != "" && partitions[id.ARN.Partition] && id.ARN.Partition != partition(region):
		m.Text = "the " + string(id.Kind) + " is in partition " + id.ARN.Partition + ", region " + region + " is in " + partition(region)
	default:
		return nil
	}
	return m
}

// keyConflict reports a KMS key of another region than the run's, in which a repository
// that is created is.
//
// Source: Amazon ECR API, EncryptionConfiguration, kmsKey.
func (id Identifier) keyConflict(region string) error {
	if region == "" || id.ARN.Region == region {
		return nil
	}
	m := mistake.New(id.Kind, "name a key of the repository's region", "the key is in region %s, this run works in %s", id.ARN.Region, region)
	m.Input = id.Input
	return m
}

// partitions are those that the beginning of a region tells. Others pass.
var partitions = map[string]bool{"aws": true, "aws-cn": true, "aws-us-gov": true}

// partition is the partition of a region, as far as [partitions] go.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
