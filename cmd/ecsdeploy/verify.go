package main

// The command verify: the table of what was checked.

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/resource"
	"ecsdeploy/pkg/session"
)

// verify makes the checks and prints them. What is wrong among them becomes the
// result of the step as any failure does.
func (j job) verify(ctx context.Context, deployer *deploy.Deployer, cfg aws.Config, r deploy.Request) (deploy.Result, error) {
	who, err := session.Whoami(ctx, cfg)
	if err != nil {
		return deploy.Result{}, err
	}
	result, err := deployer.Verify(ctx, r, resource.New(cfg), who.ARN, cfg.Region)
	if err != nil {
		return result, err
	}
	defer j.console.Group("Verify (nothing is changed)")()
	for _, row := range report.Table(result.Checks, session.Explain) {
		j.console.Print(row.Text)
		if row.Hint != "" {
			j.console.Print("     hint: " + row.Hint)
		}
	}
	return result, nil
}
