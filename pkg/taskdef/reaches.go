package taskdef

// What the platform has to reach over the network before the containers of a task
// run: registries, logs, secrets.

import "strings"

// Reach is something that a task has to reach to start: an AWS service in a region,
// by the name that its VPC endpoint has (ecr.api, logs), or a host.
type Reach struct {
	Service string
	Region  string // empty is that of the task
	Host    string // of a registry that is not ECR's; then there is no service
}

// Reaches lists what a task on Fargate has to reach to start, each once.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
func (d Definition) Reaches() (all []Reach) {
	service := func(name, region string) { all = appendNew(all, Reach{Service: name, Region: region}) }
	for _, c := range d.doc.get("containerDefinitions").items {
		if image := c.get("image").str(); isPrivateECR(image) {
			region := ecrRegion(image)
			service("ecr.api", region)
			service("ecr.dkr", region)
			service("s3", region)
		} else if image != "" {
			all = appendNew(all, Reach{Host: registryOf(image)})
		}
		log := c.get("logConfiguration")
		if log.get("logDriver").str() == "awslogs" {
			service("logs", log.get("options").get("awslogs-region").str())
		}
		for _, secrets := range []value{c.get("secrets"), log.get("secretOptions")} {
			for _, s := range secrets.items {
				service(secretService(s.get("valueFrom").str()))
			}
		}
		if from := c.get("repositoryCredentials").get("credentialsParameter").str(); from != "" {
			service("secretsmanager", arnRegion(from))
		}
		if len(c.get("environmentFiles").items) > 0 {
			service("s3", "")
		}
	}
	return all
}

// secretService is the service that has a secret, and its region.
func secretService(valueFrom string) (name, region string) {
	if strings.Contains(valueFrom, ":secretsmanager:") {
		return "secretsmanager", arnRegion(valueFrom)
	}
	return "ssm", arnRegion(valueFrom)
}

// arnRegion is the region of an ARN; empty for what is none.
func arnRegion(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// ecrRegion is the region of an image in ECR: 123456789012.dkr.ecr.REGION.amazonaws.com.
func ecrRegion(image string) string {
	host, _, _ := strings.Cut(image, "/")
	for _, mark := range []string{".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."} {
		if _, rest, ok := strings.Cut(host, mark); ok {
			region, _, _ := strings.Cut(rest, ".")
			return region
		}
	}
	return ""
}

// registryOf is the host that an image is pulled from. The rule for the first part
// of a reference is that of the distribution project; without a host it is Docker Hub.
func registryOf(image string) string {
	first, _, more := strings.Cut(image, "/")
	if more && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "docker.io"
}
