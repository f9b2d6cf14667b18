package report

// Pages of the AWS console that a summary links to. The address of a page is made
// of names that AWS checked; where one is not as AWS writes it, there is no link.

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"ecsdeploy/pkg/diagnosis"
)

// consoleHost is the host of a region's console, "" where the partition's is not
// known.
func consoleHost(partition, region string) string {
	suffix := map[string]string{
		"aws":        ".console.aws.amazon.com",
		"aws-cn":     ".console.amazonaws.cn",
		"aws-us-gov": ".console.amazonaws-us-gov.com",
	}[partition]
	if suffix == "" || !regionName.MatchString(region) {
		return ""
	}
	return region + suffix
}

// partitionOf is the partition that a region belongs to.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.Contains(region, "-iso"), strings.HasPrefix(region, "eusc-"):
		return ""
	}
	return "aws"
}

// pathPart makes a name a part of the address of a link.
func pathPart(name string) string { return inLink.Replace(url.PathEscape(name)) }

// revisionURL is the page of a task definition revision.
func revisionURL(revision string) string {
	a, err := arn.Parse(revision)
	if err != nil || a.Service != "ecs" {
		return ""
	}
	name, is := strings.CutPrefix(a.Resource, "task-definition/")
	family, number, numbered := strings.Cut(name, ":")
	host := consoleHost(a.Partition, a.Region)
	if !is || !numbered || host == "" {
		return ""
	}
	return fmt.Sprintf("https://%s/ecs/v2/task-definitions/%s/%s/containers?region=%s", host, pathPart(family), pathPart(number), a.Region)
}

var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9/._-]+?)(?:[:@].*)?$`)

// repositoryURL is the page of the repository in ECR that an image is in.
func repositoryURL(image string) string {
	m := ecrImage.FindStringSubmatch(image)
	if m == nil {
		return ""
	}
	host := consoleHost(partitionOf(m[2]), m[2])
	if host == "" {
		return ""
	}
	return fmt.Sprintf("https://%s/ecr/repositories/private/%s/%s?region=%s", host, m[1], inLink.Replace(m[3]), m[2])
}

// logStreamURL is the page of a stream of a group in CloudWatch Logs.
func logStreamURL(s diagnosis.LogStream) string {
	group := logGroupURL(s.Region, s.Group)
	if group == "" || s.Name == "" {
		return ""
	}
	return group + "/log-events/" + inLink.Replace(strings.ReplaceAll(url.QueryEscape(url.QueryEscape(s.Name)), "%", "$"))
}

// targetGroupURL is the page of a target group.
func targetGroupURL(group string) string {
	a, err := arn.Parse(group)
	if err != nil || a.Service != "elasticloadbalancing" || !strings.HasPrefix(a.Resource, "targetgroup/") {
		return ""
	}
	host := consoleHost(a.Partition, a.Region)
	if host == "" {
		return ""
	}
	return fmt.Sprintf("https://%s/ec2/home?region=%s#TargetGroup:targetGroupArn=%s", host, a.Region, inLink.Replace(withoutControls(group)))
}

// targetGroupName is the name in the ARN of a target group; of another text all of it.
func targetGroupName(group string) string {
	if parts := strings.Split(group, "/"); len(parts) == 3 {
		return parts[1]
	}
	return group
}

// targetGroupLinks are the target groups of a service, linked.
func targetGroupLinks(groups []string) string {
	links := make([]string, len(groups))
	for i, g := range groups {
		links[i] = link(code(targetGroupName(g)), targetGroupURL(g))
	}
	return strings.Join(links, ", ")
}

// taskURL is the page of a task.
func taskURL(task string) string {
	a, err := arn.Parse(task)
	if err != nil || a.Service != "ecs" {
		return ""
	}
	host := consoleHost(a.Partition, a.Region)
	parts := strings.Split(a.Resource, "/")
	if host == "" || len(parts) != 3 || parts[0] != "task" {
		return ""
	}
	return fmt.Sprintf("https://%s/ecs/v2/clusters/%s/tasks/%s/configuration?region=%s", host, pathPart(parts[1]), pathPart(parts[2]), a.Region)
}

// alarmURL is the page of a CloudWatch alarm that watches a service.
func alarmURL(serviceARN, alarm string) string {
	a, err := arn.Parse(serviceARN)
	if err != nil || alarm == "" {
		return ""
	}
	host := consoleHost(a.Partition, a.Region)
	if host == "" {
		return ""
	}
	return fmt.Sprintf("https://%s/cloudwatch/home?region=%s#alarmsV2:alarm/%s", host, a.Region, pathPart(withoutControls(alarm)))
}

// logGroupURL is the page of a group in CloudWatch Logs. What follows the # is
// escaped twice, with $ for the second percent sign.
func logGroupURL(region, group string) string {
	host := consoleHost(partitionOf(region), region)
	if host == "" || group == "" {
		return ""
	}
	escaped := strings.ReplaceAll(url.QueryEscape(url.QueryEscape(group)), "%", "$")
	return fmt.Sprintf("https://%s/cloudwatch/home?region=%s#logsV2:log-groups/log-group/%s", host, region, inLink.Replace(escaped))
}
