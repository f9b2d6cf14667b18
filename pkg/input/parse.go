// Parsers of single values and of list items. Each knows one grammar and says,
// when it is not met, what was expected; none corrects what it is given.
//
// Lengths are compared, not counted by regular expressions: {1,255} is a
// program of hundreds of steps, which each start of the task would compile.

package input

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func parseCommand(text string) (Command, error) {
	if slices.Contains(Commands(), Command(text)) {
		return Command(text), nil
	}
	names := make([]string, len(Commands()))
	for i, c := range Commands() {
		names[i] = string(c)
	}
	return "", wrong("commands are told apart by case", "%s is none of %s", shown(text), strings.Join(names, ", "))
}

// parseChoice gives the parser for one of a few words. A pick list keeps
// nobody from writing something else in YAML.
func parseChoice(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", wrong("write one of them as it stands here", "%s is none of %s", shown(text), strings.Join(words, ", "))
		}
		return text, nil
	}
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

func parseRegion(text string) (string, error) {
	if !region.MatchString(text) {
		return "", wrong("for instance eu-west-1", "%s is not the code of an AWS region", shown(text))
	}
	return text, nil
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

// parseImageFor gives the parser for the image of a command: what is pushed may
// be a path and have blanks, what is rolled out is a full reference.
func parseImageFor(command Command) func(string) (string, error) {
	return func(text string) (string, error) {
		switch {
		case strings.ContainsAny(text, "\r\n"):
			return "", wrong("further containers get theirs by the input images", "expected one image, not several lines")
		case command != Rollout, text == CurrentReference:
			return text, nil
		}
		return parseReference(text)
	}
}

// parseReference takes a reference that names its registry: a short one is easily
// meant for ECR, where ECS would look on Docker Hub. As in all references, the
// part before the first slash is a host when it has a dot or a colon in it or is
// localhost: https://pkg.go.dev/github.com/distribution/reference#ParseNormalizedNamed
func parseReference(text string) (string, error) {
	if strings.ContainsAny(text, " \t\r\n") {
		return "", wrong("for instance 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:1234", "%s is not an image reference: it has a blank", shown(text))
	}
	host, name, ok := strings.Cut(text, "/")
	if ok && name != "" && (host == "localhost" || strings.ContainsAny(host, ".:")) {
		return text, nil
	}
	hub := "docker.io/" + text
	if !ok {
		hub = "docker.io/library/" + text
	}
	return "", wrong("of ECR write 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:1234, of Docker Hub "+hub,
		"%s names no registry; expected a full image reference", shown(text))
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
	registry       = regexp.MustCompile(`^([0-9]{12}\.dkr[.-]ecr[a-z-]*\.[a-z0-9-]+\.[a-z0-9.-]+|[A-Za-z0-9.-]+:[0-9]+)/`)
)

func parseRepository(text string) (string, error) {
	const hint = "its name, chat-app, or its URI, 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app"
	name := text[len(registry.FindString(text)):]
	switch {
	case strings.Contains(text, "://"):
		return "", wrong("leave out the scheme", "%s is a URL; expected an ECR repository", shown(text))
	case strings.ContainsAny(name, ":@"):
		return "", wrong("tags go into the input tags", "%s has a tag or a digest; expected an ECR repository", shown(text))
	case !repositoryName.MatchString(name), len(name) < 2, len(name) > 256:
		return "", wrong(hint, "%s is not an ECR repository: expected 2 to 256 lower-case letters, digits, and single . _ - or / between them", shown(text))
	}
	return text, nil
}

// Source: OCI distribution specification, "Pulling manifests", the grammar of a tag.
var tag = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

func parseTag(text string) (string, error) {
	if !tag.MatchString(text) || len(text) > 128 {
		return "", wrong("one tag a line", "%s is not a tag: expected up to 128 letters, digits, _ . or -, not starting with . or -", shown(text))
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
		return "", wrong("spell it as ECS does", "%s is not the name of a %s: expected up to 255 letters, digits, _ or -", shown(text), what)
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
		return ContainerImage{}, wrong("for instance sidecar=public.ecr.aws/nginx/nginx:1.29", "%s is not container=image", shown(text))
	}
	container, err := parseContainer(container)
	if err != nil {
		return ContainerImage{}, err
	}
	image, err = parseReference(image)
	return ContainerImage{container, image}, err
}

var (
	revisionNumber = regexp.MustCompile(`^[1-9][0-9]*$`)
	documentFile   = regexp.MustCompile(`(?i)[/\\]|\.(json|ya?ml)$`)
)

// isRevision reports whether text is family:revision.
func isRevision(text string) bool {
	family, number, _ := strings.Cut(text, ":")
	return isName(family) && revisionNumber.MatchString(number)
}

// parseTaskDefinition tells the forms apart by their look alone; whether a file
// is there is found out when it is read.
func parseTaskDefinition(text string) (string, error) {
	switch {
	case strings.HasPrefix(text, "arn:"):
		if _, name, ok := cutARN(text, "task-definition"); !ok || !isRevision(name) {
			return "", wrong("for instance arn:aws:ecs:eu-west-1:123456789012:task-definition/web:12", "%s is not the ARN of a revision of a task definition", shown(text))
		}
	case text == LatestRevision, text == RunningRevision, isRevision(text), documentFile.MatchString(text):
	default:
		return "", wrong("a revision is written web:12, a file task.json or deploy/task.yaml", "%s is none of latest, running, family:revision, an ARN, the path of a JSON or YAML file", shown(text))
	}
	return text, nil
}

// parseVariable takes NAME=value and container:NAME=value. Everything behind the
// first = is the value. Errors do not repeat the value: it may be a secret that
// was put into the wrong place.
func parseVariable(text string) (Variable, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return Variable{}, wrong("NAME= sets the empty value", "expected NAME=value or container:NAME=value, but there is no =")
	}
	v, err := parseVariableName(name)
	return Variable{v.Container, v.Name, value}, err
}

func parseVariableName(text string) (VariableName, error) {
	container, name, ok := strings.Cut(text, ":")
	if !ok {
		container, name = "", text
	} else if _, err := parseContainer(container); err != nil {
		return VariableName{}, err
	}
	switch {
	case strings.Contains(name, "="):
		return VariableName{}, wrong("values are set in the input environment", "expected NAME or container:NAME, without a value")
	case name == "":
		return VariableName{}, wrong("for instance LOG_LEVEL=debug", "the name of the variable is missing")
	case strings.ContainsAny(name, " \t"):
		return VariableName{}, wrong("no blanks around the =", "the name %s has a blank", shown(name))
	}
	return VariableName{container, name}, nil
}

// key names the variable for comparisons. Without a container it belongs to the
// one that the input container names.
func (v VariableName) key(container string) string {
	if v.Container == "" || v.Container == container {
		return v.Name
	}
	return v.Container + ":" + v.Name
}

// A bare name of a parameter, which ECS would take as well, cannot be told from
// a secret that was pasted here by mistake.
// Source: Amazon ECS API, Secret, valueFrom.
var valueFrom = regexp.MustCompile(`^(arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|ssm:[a-z0-9-]+:[0-9]{12}:parameter/)\S+|/[A-Za-z0-9_./-]+)$`)

func parseSecret(text string) (Variable, error) {
	v, err := parseVariable(text)
	if err != nil {
		return Variable{}, err
	}
	if !valueFrom.MatchString(v.Value) {
		return Variable{}, wrong("for instance DB_PASSWORD=arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
			"the value of %s is not the ARN of a secret or parameter, nor the /name of a parameter", v.Name)
	}
	return v, nil
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

// Source: AWS STS API, AssumeRole, DurationSeconds.
func parseSeconds(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 900 || n > 43200 {
		return 0, wrong("for instance 3600", "%s is not a whole number of seconds from 900 to 43200", shown(text))
	}
	return n, nil
}
