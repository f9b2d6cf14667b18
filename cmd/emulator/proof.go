// The proof: what the service runs, read back with plain SDK calls by somebody who does not know the task.

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/agent"
)

// sight is what a witness sees.
type sight struct {
	taskDefinition string         // ARN, of the service
	image          string         // of its first container
	pushed         string         // digest of the build's tag in ECR; empty where there is none
	running        map[string]int // tasks by digest of that container; no digest counts as "none yet"
}

// runs reports whether there are tasks and all of them run digest.
func (s sight) runs(digest string) bool {
	return len(s.running) == 1 && s.running[digest] > 0
}

type witness struct {
	ecs *ecs.Client
	ecr *ecr.Client
}

func newWitness(endpoint, region string) witness {
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAWITNESS000000000", "witness", ""),
	}
	return witness{ecs.NewFromConfig(config), ecr.NewFromConfig(config)}
}

// look reads the demo service and the image that ECR has under tag.
func (w witness) look(ctx context.Context, tag string) (sight, error) {
	seen := sight{running: map[string]int{}}
	cluster := aws.String(emulator.DemoCluster)
	services, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: cluster, Services: []string{emulator.DemoService}})
	if err != nil {
		return seen, err
	}
	if len(services.Services) != 1 {
		return seen, fmt.Errorf("service %s is gone", emulator.DemoService)
	}
	seen.taskDefinition = aws.ToString(services.Services[0].TaskDefinition)
	definition, err := w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &seen.taskDefinition})
	if err != nil {
		return seen, err
	}
	container := definition.TaskDefinition.ContainerDefinitions[0]
	seen.image = aws.ToString(container.Image)

	list, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: cluster, ServiceName: aws.String(emulator.DemoService)})
	if err != nil {
		return seen, err
	}
	if len(list.TaskArns) > 0 {
		tasks, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: cluster, Tasks: list.TaskArns})
		if err != nil {
			return seen, err
		}
		for _, task := range tasks.Tasks {
			for _, c := range task.Containers {
				if aws.ToString(c.Name) == aws.ToString(container.Name) && aws.ToString(task.LastStatus) == "RUNNING" {
					seen.running[aws.ToString(c.ImageDigest)]++
				}
			}
		}
	}
	images, err := w.ecr.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RepositoryName: aws.String(emulator.DemoRepository), ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: &tag}},
	})
	if missing := new(ecrtypes.ImageNotFoundException); errors.As(err, &missing) {
		return seen, nil
	}
	if err != nil {
		return seen, err
	}
	seen.pushed = aws.ToString(images.ImageDetails[0].ImageDigest)
	return seen, nil
}

// printResult says what the agent has made of the step.
func (a attempt) printResult(result agent.Result, took time.Duration) {
	after := "after"
	if a.cancel {
		after = "from Cancel to the end"
	}
	a.heading("What Azure Pipelines knows")
	a.row("result", fmt.Sprintf("%v %s %.1f s", result.Status, after, took.Seconds()))
	for _, name := range slices.Sorted(maps.Keys(result.Outputs)) {
		a.row(name, result.Outputs[name])
	}
	for _, issue := range result.Issues {
		a.row(issue.Type, strings.ReplaceAll(issue.Message, "\n", "\n"+strings.Repeat(" ", 30)))
	}
	a.row("summaries", fmt.Sprint(len(result.Summaries)))
	a.row("processes left", fmt.Sprint(len(result.Orphans)))
}

// printProof says what AWS, here the emulator, answers to somebody who asks independently.
func (a attempt) printProof(before, after sight) {
	a.heading("What the service runs, read back with the AWS SDK")
	a.row("task definition", fmt.Sprintf("%s, before %s", revision(after.taskDefinition), revision(before.taskDefinition)))
	a.row("image", after.image)
	a.row("pushed digest", after.pushed)
	for _, digest := range slices.Sorted(maps.Keys(after.running)) {
		note := "another image's"
		if digest == after.pushed {
			note = "the pushed one"
		}
		a.row("running digest", fmt.Sprintf("%s, %d tasks, %s", digest, after.running[digest], note))
	}
	fmt.Fprintln(a.out)
}

// revision is the part of a task definition's ARN that people read.
func revision(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

func (a attempt) heading(text string) {
	if a.color {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(a.out, "\n%s\n", text)
}

func (a attempt) row(name, value string) { fmt.Fprintf(a.out, "  %-26s  %s\n", name, value) }
