// Parsers of single values and of list items. Each knows one grammar and says,
// when it is not met, what was expected; none corrects what it is given.
//
// Lengths are compared, not counted by regular expressions: {1,255} is a
// program of hundreds of steps, which each start of the task would compile.

package input

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func parseCommand(text string) (Command, error) {
	return oneOf(Commands()...)(text)
}

// parseBuildID takes what may stand as a tag: the tag of an image is its build id.
func parseBuildID(text string) (string, error) {
	if _, err := parseTag(text); err != nil {
		return "", wrong("for instance 1234, the number at the end of the run's address", "%s is not a build id", shown(text))
	}
	return text, nil
}

func parseFailedTasks(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1000 {
		return 0, wrong("0 leaves it to the circuit breaker and the timeout", "%s is not a number of tasks from 0 to 1000", shown(text))
	}
	return n, nil
}

func parseKeep(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1000 {
		return 0, wrong("0 keeps all", "%s is not a number of revisions from 0 to 1000", shown(text))
	}
	return n, nil
}

func parseHookID(text string) (string, error) {
	if strings.ContainsAny(text, " \t\r\n") {
		return "", wrong("it is the output hookId of the step that paused", "%s is not the id of a lifecycle hook: it has a blank", shown(text))
	}
	return text, nil
}

// parseBool takes true and false in any case, as the agent's own tasks do, and
// nothing else: "yes" must not quietly mean no.
func parseBool(text string) (bool, error) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, nil
	case strings.EqualFold(text, "false"):
		return false, nil
	}
	return false, wrong("write true or false", "%s is neither true nor false", shown(text))
}

var region = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$`)

// parseRegion takes a region in any case: EU-WEST-1 is no other than eu-west-1.
func parseRegion(text string) (string, error) {
	code := strings.ToLower(text)
	if zone := strings.TrimRight(code, "abcdefghij"); zone != code && region.MatchString(zone) {
		return "", wrong("write "+zone, "%s is an availability zone; expected the code of an AWS region", shown(text))
	}
	if !region.MatchString(code) {
		return "", wrong("for instance eu-west-1", "%s is not the code of an AWS region", shown(text))
	}
	return code, nil
}

var roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$`)

func parseRoleARN(text string) (string, error) {
	if !roleARN.MatchString(text) {
		return "", wrong("for instance arn:aws:iam::123456789012:role/deployer", "%s is not the ARN of an IAM role", shown(text))
	}
	return text, nil
}

// Source of both: AWS STS API, AssumeRole, RoleSessionName and ExternalId.
var (
	sessionName = regexp.MustCompile(`^[\w+=,.@-]+$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
)

func parseSessionName(text string) (string, error) {
	if !sessionName.MatchString(text) || len(text) < 2 || len(text) > 64 {
		return "", wrong("for instance azure-pipelines", "%s is not 2 to 64 letters, digits, or any of _+=,.@-", shown(text))
	}
	return text, nil
}

func parseExternalID(text string) (string, error) {
	if !externalID.MatchString(text) || len(text) < 2 || len(text) > 1224 {
		return "", wrong("it is the value of sts:ExternalId in the role's trust policy", "expected 2 to 1224 letters, digits, or any of _+=,.@:/-")
	}
	return text, nil
}

// ECS runs Linux and Windows. Source: OCI image index, platform.
var platform = regexp.MustCompile(`^(linux|windows(\([0-9.]+\))?)/[a-z0-9_]+(/[a-z0-9.]+)?$`)

var registryHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)

func parseHost(text string) (string, error) {
	if !registryHost.MatchString(text) {
		return "", wrong("for instance registry.example.com:5000", "%s is not the host of a registry", shown(text))
	}
	return text, nil
}

func parsePlatform(text string) (string, error) {
	if !platform.MatchString(text) {
		return "", wrong("for instance linux/arm64", "%s is not a platform of ECS: expected linux/ or windows/, then an architecture", shown(text))
	}
	return text, nil
}

// Source: Amazon ECR API, CreateRepository, repositoryName. A registry is only
// told from the first part of a name by what no name can hold or no name should:
// an ECR host, or a port.
var (
	repositoryName = regexp.MustCompile(`^([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*$`)
	repositoryARN  = regexp.MustCompile(`^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/(.+)$`)
	registry       = regexp.MustCompile(`^([0-9]{12}\.dkr[.-]ecr[a-z-]*\.[a-z0-9-]+\.[a-z0-9.-]+|[A-Za-z0-9.-]+:[0-9]+)/`)
)

// parseRepository takes the name of a repository, its URI, or its ARN, which it
// reduces to the name.
func parseRepository(text string) (string, error) {
	const hint = "its name, chat-app, its URI, 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app, or its ARN"
	if m := repositoryARN.FindStringSubmatch(text); m != nil {
		text = m[1] // its region and account are compared with those of the run
	}
	name := text[len(registry.FindString(text)):]
	switch {
	case strings.HasPrefix(text, "arn:"):
		return "", wrong("for instance arn:aws:ecr:eu-west-1:123456789012:repository/chat-app", "%s is not the ARN of an ECR repository", shown(text))
	case strings.Contains(text, "://"):
		return "", wrong("leave out the scheme", "%s is a URL; expected an ECR repository", shown(text))
	case strings.ContainsAny(name, ":@"):
		return "", wrong("tags go into the input tags", "%s has a tag or a digest; expected an ECR repository", shown(text))
	case !repositoryName.MatchString(name), len(name) < 2, len(name) > 256:
		return "", wrong(hint, "%s is not an ECR repository: expected 2 to 256 lower-case letters, digits, and single . _ - or / between them", shown(text))
	}
	return text, nil
}

var ecsName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// isName reports whether text can name a cluster, service, family or container.
// Source: Amazon ECS API, CreateCluster, CreateService, RegisterTaskDefinition.
func isName(text string) bool {
	return ecsName.MatchString(text) && len(text) <= 255
}

func parseName(what, text string) (string, error) {
	if !isName(text) {
		hint := "copy the name from the ECS console"
		switch {
		case what == "cluster" && strings.ContainsAny(text, ",; \n"):
			hint = "name one cluster; write services of others as cluster/service in the input services"
		case strings.HasPrefix(text, "- "):
			hint = "write one per line, without dashes"
		case strings.ContainsAny(text, ",; "):
			hint = "write one per line"
		}
		return "", wrong(hint, "%s is not the name of a %s: expected up to 255 letters, digits, _ or -", shown(text), what)
	}
	return text, nil
}

func parseContainer(text string) (string, error) {
	return parseName("container", text)
}

var ecsARN = regexp.MustCompile(`^(arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}):([a-z-]+)/(.+)$`)

// cutARN cuts the ARN of an ECS resource of that kind into what is before the
// kind and the name behind it, which it does not check.
func cutARN(text, kind string) (account, name string, ok bool) {
	m := ecsARN.FindStringSubmatch(text)
	if m == nil || m[2] != kind {
		return "", "", false
	}
	return m[1], m[3], true
}

func parseCluster(text string) (string, error) {
	if strings.HasPrefix(text, "arn:") {
		if _, name, ok := cutARN(text, "cluster"); !ok || !isName(name) {
			return "", wrong("for instance arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "%s is not the ARN of an ECS cluster", shown(text))
		}
		return text, nil
	}
	return parseName("cluster", text)
}

// parseService takes service, cluster/service, and ARNs of services: the old
// form, without the cluster, and the new one.
func parseService(text string) (s Service, err error) {
	if strings.HasPrefix(text, "arn:") {
		account, path, ok := cutARN(text, "service")
		cluster, name, inCluster := strings.Cut(path, "/")
		switch {
		case ok && !inCluster && isName(path):
			return Service{Name: path}, nil
		case ok && isName(cluster) && isName(name):
			return Service{account + ":cluster/" + cluster, name}, nil
		}
		return s, wrong("for instance arn:aws:ecs:eu-west-1:123456789012:service/dev/web", "%s is not the ARN of an ECS service", shown(text))
	}
	cluster, name, ok := strings.Cut(text, "/")
	if !ok {
		cluster, name = "", text
	} else if cluster, err = parseName("cluster", cluster); err != nil {
		return Service{}, err
	}
	if name, err = parseName("service", name); err != nil {
		return Service{}, err
	}
	return Service{cluster, name}, nil
}

func parseContainerImage(text string) (ContainerImage, error) {
	container, image, ok := strings.Cut(text, "=")
	if !ok || image == "" || strings.ContainsAny(image, " \t") {
		hint := "for instance sidecar=public.ecr.aws/nginx/nginx:1.29, or migrate=self for the image of this run"
		if ok && image == "" {
			hint = "a variable behind the = is probably empty: check that it is set in this stage"
		}
		return ContainerImage{}, wrong(hint, "%s is not container=image", shown(text))
	}
	container, err := parseContainer(container)
	if err != nil {
		return ContainerImage{}, err
	}
	if image != SelfReference {
		image, err = parseReference(image)
	}
	return ContainerImage{container, image}, err
}

// Source of both: Amazon ECS API, RegisterTaskDefinition, cpu and memory.
var (
	cpu    = regexp.MustCompile(`^([0-9]+|[0-9]*\.?[0-9]+ ?(?i:vcpu))$`)
	memory = regexp.MustCompile(`^([0-9]+|[0-9]*\.?[0-9]+ ?(?i:gb))$`)
)

func parseCPU(text string) (string, error) {
	if !cpu.MatchString(text) || !strings.ContainsAny(text, "123456789") {
		return "", wrong("1024 units are 1 vCPU", "%s is not an amount of CPU: expected units, 512, or vCPUs, 0.5 vCPU", shown(text))
	}
	return text, nil
}

func parseMemory(text string) (string, error) {
	if !memory.MatchString(text) || !strings.ContainsAny(text, "123456789") {
		return "", wrong("1024 MiB are 1 GB", "%s is not an amount of memory: expected MiB, 2048, or GB, 2 GB", shown(text))
	}
	return text, nil
}

func parseContainerCommand(text string) ([]string, error) {
	var words []*string
	err := json.Unmarshal([]byte(text), &words)
	command := make([]string, 0, len(words))
	for _, w := range words {
		if w != nil {
			command = append(command, *w)
		}
	}
	if err != nil || words == nil || len(command) != len(words) {
		return nil, wrong(`for instance ["npm", "run", "start"]`, "expected a JSON array of strings")
	}
	return command, nil
}

func parseCount(text string) (*int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return nil, wrong("leave it empty to keep the service's own", "%s is not a number of tasks: expected 0 or more", shown(text))
	}
	count := int(n)
	return &count, nil
}

// maxMinutes is a week; a service connection's session ends long before.
const maxMinutes = 7 * 24 * 60

func parseMinutes(text string) (time.Duration, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxMinutes {
		return 0, wrong("for instance 30", "%s is not a whole number of minutes from 1 to %d", shown(text), maxMinutes)
	}
	return time.Duration(n) * time.Minute, nil
}
