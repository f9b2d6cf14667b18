package diagnosis

// Hints: what a text of AWS about a task, an event or a target means, and what to
// check. Pure, and data: a hint is a row of a table, the first row that fits wins,
// and where none fits there is no hint, because a wrong one misleads. The texts to
// recognise are those of
//
//   - https://docs.aws.amazon.com/AmazonECS/latest/userguide/stopped-task-error-codes.html
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
//   - https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
//   - https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
//
// and, for exit codes, https://repost.aws/knowledge-center/ecs-task-stopped.

import (
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// symptoms are what a hint is chosen by.
type symptoms struct {
	stopCode string        // types.TaskStopCode; empty for events and tasks that go on
	reason   string        // what ECS says of the task and of the container that failed
	exit     *int          // of the container that failed
	log      []string      // its last lines
	ran      time.Duration // how long the longest-lived of the tasks ran; 0: none did
}

// hint is a row: it fits where everything fits that it names.
type hint struct {
	stopCode string        // one stop code
	reason   string        // a regular expression, in any case of letters
	exit     string        // an exit code; "≠0" is every failure
	log      string        // a regular expression, in any case, for one line
	under    time.Duration // no task ran longer
	text     string

	reasonPattern, logPattern *regexp.Regexp // compiled; nil where there is none
}

// compiled returns a table whose patterns are compiled when it is first asked for:
// most runs have nothing to explain, and should not pay for it.
func compiled(table []hint) func() []hint {
	return sync.OnceValue(func() []hint {
		for i := range table {
			if h := &table[i]; h.reason != "" {
				h.reasonPattern = regexp.MustCompile("(?i)" + h.reason)
			}
			if h := &table[i]; h.log != "" {
				h.logPattern = regexp.MustCompile("(?i)" + h.log)
			}
		}
		return table
	})
}

// noRoute is how a connection fails that a missing route, NAT gateway, VPC
// endpoint or security group rule swallows.
const noRoute = `i/o timeout|context deadline exceeded|context canceled|request canceled|connection issue between|no such host|network is unreachable|connection timed out|check your task network configuration`

// young is how long a task may have run for a health check to have ended it
// perhaps before the application was up.
const young = 3 * time.Minute

const (
	routeHint = "in a public subnet set assignPublicIp to ENABLED, in a private one check the NAT gateway or the VPC endpoints; the security group must allow HTTPS out"
	passHint  = "the role must exist, trust ecs-tasks.amazonaws.com, and whoever deploys needs iam:PassRole for it"
)

var taskHints = compiled([]hint{
	// What a policy denies cannot be allowed by another one.
	{reason: `explicit(ly)? den(y|ied)`,
		text: "a policy denies the call explicitly, and no further permission overrides that: change the policy that the reason names"},

	// Wrong architecture: refused when pulled, or only when started.
	{reason: `descriptor matching platform|no match(ing manifest)? for (platform|linux|windows)|image operating system .* cannot be used`,
		text: "the image is for another platform than the task: build it with --platform for the architecture in the task definition's runtimePlatform (absent means linux/amd64 on Fargate)"},
	{reason: `exec format error`, text: wrongArchitecture},
	{log: `exec format error`, text: wrongArchitecture},

	// Pulling the image.
	{reason: `cannotpull.*(` + noRoute + `)`,
		text: "the registry could not be reached from the task's subnet; for ECR a private subnet needs a NAT gateway, or endpoints for ecr.api, ecr.dkr and S3: " + routeHint},
	{reason: `cannotpull.*(toomanyrequests|pull rate limit|429 too many)`,
		text: "Docker Hub limits how often it may be pulled from: copy the image to ECR, use a pull-through cache, or give repositoryCredentials"},
	{reason: `cannotpull.*(403 forbidden|401 unauthorized|access ?denied|no basic auth|not authorized|authorization failed|denied:)`,
		text: "the registry refused the pull: the execution role needs ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer, and in another account the repository's policy must allow them; ECR also refuses so when the repository does not exist"},
	{reason: `cannotpull.*(no space left|disk)`,
		text: "the disk is full: on EC2 free space on the instance, on Fargate raise ephemeralStorage"},
	{reason: `cannotpull.*(not found|does not exist|manifest unknown|404|invalid reference)`,
		text: "there is no such image: check repository, tag and region, and whether a lifecycle policy has expired it"},
	{reason: `cannotpull`, text: "the image could not be pulled: check its name, the execution role's rights in ECR, and the task's route to the registry"},

	// Secrets and the registry's token, before anything is pulled.
	{reason: `throttlingexception|rate exceeded`,
		text: "AWS throttled the calls that a task makes when it starts: ECS retries; many tasks that start at once need a higher quota of the service that the reason names"},
	{reason: `ecs was unable to assume the role|unable to assume (the )?(task |execution )*role|failed to assume role`,
		text: "ECS cannot assume the task role or execution role: " + passHint},
	{reason: `accessdenied.*\bkms\b|\bkms\b.*accessdenied`,
		text: "the execution role may not decrypt the secret: it needs kms:Decrypt for the key"},
	{reason: `ecr registry auth.*(accessdenied|not authorized)`,
		text: "the execution role needs ecr:GetAuthorizationToken"},
	{reason: `(secrets?|\bssm|\basm)\b.*(accessdenied|not authorized)`,
		text: "the execution role may not read a secret: it needs secretsmanager:GetSecretValue or ssm:GetParameters for it (and kms:Decrypt with a key of your own)"},
	{reason: `invalid (ssm )?parameters|secret.*(resourcenotfound|can't find the specified secret|could not be found)|(ssm|asm).*(resourcenotfound|parameternotfound)|did not contain json key|json key`,
		text: "a secret or parameter that the task definition names does not exist, or lacks that JSON key: check its valueFrom, name and region"},
	{reason: `(pull secrets or registry auth|unable to retrieve (secret|ecr)).*(` + noRoute + `)`,
		text: "Secrets Manager, Parameter Store or ECR could not be reached from the task's subnet: " + routeHint},
	{reason: `pull secrets or registry auth|unable to retrieve secret|fetching secret data`,
		text: "the task definition's secrets could not be fetched: check their valueFrom and the execution role"},

	// Logs.
	{reason: `log group does not exist`,
		text: "the task definition's log group does not exist in that region: create it, or set awslogs-create-group to true and give the execution role logs:CreateLogGroup"},
	{reason: `(log stream|log group|logger|logging driver|awslogs).*(accessdenied|not authorized)`,
		text: "the execution role may not write the log: it needs logs:CreateLogStream and logs:PutLogEvents, and logs:CreateLogGroup with awslogs-create-group"},
	{reason: `(logger args|logging driver|log stream).*(signal: killed|` + noRoute + `)`,
		text: "CloudWatch Logs could not be reached from the task's subnet; a private one needs a NAT gateway or an endpoint for logs: " + routeHint},
	{reason: `logger args|logging driver`,
		text: "the log driver could not be set up: check the container's logConfiguration"},

	// Volumes.
	{reason: `efs.*(failed to resolve|check that your file system id)`,
		text: "the EFS file system's name did not resolve: it needs a mount target in the task's availability zone, and the VPC DNS resolution and hostnames"},
	{reason: `efs.*(access ?denied|permission denied)`,
		text: "EFS refused the mount: check the file system policy, the task role's elasticfilesystem:ClientMount and ClientWrite, and the access point"},
	{reason: `efs.*no such file or directory`,
		text: "the directory to mount does not exist on the EFS file system: check rootDirectory or the access point"},
	{reason: `efs utils|mount\.nfs4|efs volumes`,
		text: "the EFS volume could not be mounted: its security group must allow the task's on port 2049, and it needs a mount target in the task's availability zone"},
	{reason: `cannotcreatevolume|failed to create volume`, text: "a volume could not be created: check the task definition's volumes"},

	// Network and capacity.
	{reason: `insufficientfreeaddresses|(not|insufficient|no).*(free|available) (ip )?address`,
		text: "the subnet has no free addresses, and each task takes one: give the service more or larger subnets, or lower maximumPercent"},
	{reason: `network interface (provisioning|limit)|networkinterfacelimit|resource:eni|unused device index|\benis?\b.*(limit|attachment|available)`,
		text: "no network interface was available for the task: check the quota of interfaces in the region, on EC2 the instance type's limit (awsvpcTrunking raises it), and the subnet's free addresses"},
	{reason: `unable to launch instance.*(unauthorizedoperation|not authorized)`,
		text: "ECS may not launch instances for the capacity provider: its infrastructure role needs the action that the reason names, such as iam:PassRole for the role of the instance profile"},
	{reason: `\w+(count|limit)exceeded`,
		text: "a quota of EC2 in the account is reached: see Service Quotas (vCPUs of on-demand or Spot instances), or end other instances"},
	{reason: `unfulfillablecapacity|insufficient\w*capacity|unable to launch instance`,
		text: "EC2 has no capacity for the capacity provider's instance types at the moment; ECS retries: allow more instance types and availability zones, or on-demand instances beside Spot"},
	{reason: `capacity is unavailable|insufficient capacity`,
		text: "AWS has no capacity for the task there at the moment; ECS retries: add subnets in other availability zones, or use FARGATE beside FARGATE_SPOT"},
	{reason: `spot task was interrupted|spot interruption`, text: spotHint},
	{stopCode: "SpotInterruption", text: spotHint},
	{stopCode: "TerminationNotice", text: spotHint},
	{stopCode: "InfrastructureHealth", text: hostHint},
	{reason: `maintenance|unhealthy host|host ec2`, text: hostHint},
	{reason: `no container instances were found|no active instances|empty capacity provider`,
		text: "the cluster has no EC2 instances at the moment: a capacity provider with managed scaling adds some; otherwise add instances, or use Fargate"},
	{reason: `no container instance met.*insufficient (cpu|memory)|\bresource:(cpu|memory|gpu)`,
		text: "no instance has room for one more task: add instances, lower the task's cpu or memory, or lower minimumHealthyPercent so that old tasks make room first"},
	{reason: `no container instance met.*(port|registered)|\bresource:ports?`,
		text: "the task's host port is taken on every instance: use dynamic ports (hostPort 0) or awsvpc, add instances, or lower minimumHealthyPercent"},
	{reason: `no container instance met.*attribute|placement constraint|(^|taskfailedtostart: )(attribute|location)\b`,
		text: "no instance has an attribute that the task needs: check placement constraints, the log driver, runtimePlatform and the subnets' availability zones"},
	{reason: `no container instance met.*agent|(^|taskfailedtostart: )agent\b`,
		text: "the ECS agent on the instance is not connected: check the instance"},
	{reason: `no container instance met`, text: "no instance of the cluster can take the task: compare the task's cpu, memory, ports and constraints with the instances"},
	{reason: `limit on the number of|above your limit|quota`,
		text: "a quota of the account is reached: see Service Quotas for Fargate (vCPUs), or stop other tasks"},
	{reason: `minimumhealthypercent or maximumpercent|service deployment configuration`,
		text: "minimumHealthyPercent and maximumPercent leave ECS no room to start or stop a task: lower the one or raise the other"},
	{reason: `operations are being throttled`, text: "ECS is throttled by the account's API limits and retries"},
	{reason: `register targets.*(vpc|not in the target group)`,
		text: "the target group belongs to another VPC than the tasks: create it in the service's VPC"},
	{reason: `register targets.*(target type|instance id|ip address|not valid|must be)`,
		text: "the target group's type does not fit the network mode: awsvpc needs type ip, bridge and host need type instance"},
	{reason: `register targets|target group.*(not found|does not exist)`,
		text: "ECS could not register the task with the load balancer: check that the target group exists and that ECS's service-linked role may use it"},

	// Health checks.
	{reason: `failed elb health checks`, under: young,
		text: "the load balancer's health check failed: if the application needs longer to come up, raise the service's healthCheckGracePeriodSeconds; otherwise check that it listens on the container port on 0.0.0.0, the health check's path and expected codes, and that the security group allows the load balancer"},
	{reason: `failed elb health checks`,
		text: "the load balancer's health check failed: check that the application listens on the container port on 0.0.0.0, the health check's path and expected codes, and that the security group allows the load balancer"},
	{reason: `container health check`,
		text: "the health check in the task definition failed: check that its command works in the image (curl or wget must be installed there), and raise startPeriod for a slow start"},

	// How the container ended.
	{reason: `outofmemory`,
		text: "out of memory: the container used more than its limit; raise memory, or limit what the process uses (a runtime has a limit of its own for its heap)"},
	{reason: `executable file not found|exec:? .*no such file`, text: notFound},
	{log: `exec:? .*no such file or directory|executable file not found`, text: notFound},
	{reason: `permission denied`, text: "the container's command may not be executed: set its x bit, or check the user it runs as"},
	{reason: `dependen(cy|t).*(resolve|successfully|start|exit)`,
		text: "a container that another one depends on (dependsOn) did not start or end as expected: see that one first"},
	{reason: `containerruntimetimeout|dockertimeout`,
		text: "the container was not up in time: check the task's network, the image's size and, on EC2, the load of the instance"},
	{reason: `cannotstartcontainer`, text: "the container could not be started: check its command, entry point, working directory, user and mounts"},
	{reason: `cannotcreatecontainer`, text: "the container could not be created: check its mounts, links, devices and name"},
	{stopCode: "UserInitiated", text: "a user or another tool stopped the task"},
	{stopCode: "EssentialContainerExited", exit: "0", text: "the process exited without an error, but a service's container has to keep running: check that the command is the right one"},
	{exit: "126", text: "the command was found but could not be executed: check its x bit and its interpreter"},
	{exit: "127", text: notFound},
	{exit: "137", text: "killed by SIGKILL, and ECS does not report a lack of memory: check the memory in use, and whether the process ignores SIGTERM when it is stopped"},
	{exit: "139", text: "segmentation fault: the process crashed in native code; check the architecture, native libraries and the base image"},
	{exit: "143", text: "the process was stopped by SIGTERM: check what stopped it"},
	{exit: "≠0", log: `.`, text: "the process exited with an error: see its log"},
	{exit: "≠0", text: "the process exited with an error, and its log could not be read: check its output, configuration and secrets"},

	// What ends a deployment of CodeDeploy's whose tasks are up: the error codes
	// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ErrorInformation.html
	{reason: `alarm_active`,
		text: "an alarm of the deployment group went off while the traffic was shifted or after it: see its metric since then, and the application's log"},
	{reason: `hook_execution_failure`, text: "a Lambda function that the AppSpec names as a hook rejected the new tasks or failed itself: see its log"},

	// Tasks that have not ended. The states:
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
	{reason: `^still provisioning`, text: "ECS waits for a network interface or for capacity: see the service's events"},
	{reason: `^still pending`, text: "the image is being pulled, or containers wait for one another (dependsOn)"},
	{reason: `^still activating`, text: "the task is being registered with the load balancer or service discovery, or containers wait for one another to become healthy"},
	{reason: `^running`, text: "ECS counts a task when its container health check passes and its load balancer target is healthy: check both, and what the application waits for"},
})

const (
	wrongArchitecture = "the program is built for another architecture: build the image with --platform for the one in the task definition's runtimePlatform (absent means linux/amd64 on Fargate)"
	notFound          = "the container's command was not found: check command and entryPoint, the path, and that a script's first line names an interpreter that the image has (and does not end in CRLF)"
	hostHint          = "AWS ended the task because of the host that it ran on, which is not caused by the revision: ECS replaces it"
	spotHint          = "Spot reclaimed the capacity, which is not caused by the revision: keep a base of FARGATE or on-demand instances if it happens often"
)

// targetHints are about a target of a load balancer: reason codes of
// DescribeTargetHealth, and their wording in ECS's events.
var targetHints = compiled([]hint{
	{reason: `not enabled for the load balancer|availability zone`,
		text: "the load balancer has no subnet in the task's availability zone: enable that zone, or keep the service out of it"},
	{reason: `not configured to receive traffic|notinuse`,
		text: "no listener of a load balancer sends traffic to the target group: add it to a listener's rule"},
	{reason: `with these codes: \[(401|403)\]`,
		text: "the health check's path asks for authentication: use one that answers without, or expect that code"},
	{reason: `responsecodemismatch|with these codes`,
		text: "the application answers the health check, but not with the expected code: check the target group's health check path and success codes"},
	{reason: `target\.timeout|timed out`,
		text: "no answer in time: check that the security group allows the load balancer, that the application listens on that port on 0.0.0.0, and that it answers fast enough"},
	{reason: `failedhealthchecks|health checks failed|unhealthythreshold`,
		text: "the connection was refused or the answer malformed: check that the application listens on that port on 0.0.0.0, and that the protocol (HTTP or HTTPS) is the same"},
	{reason: `healthcheckdisabled`, text: "health checks of the target group are disabled"},
	{reason: `ipunusable`, text: "the target's address belongs to a load balancer: check the subnets"},
	{reason: `invalidstate`, text: "the instance is stopped or terminated"},
	{reason: `elb\.(registrationinprogress|initialhealthchecking)`,
		text: "the load balancer has not checked the target often enough yet: interval × healthy threshold is how long that takes"},
	{reason: `internalerror`, text: "an error of the load balancer itself"},
})

// hintFor returns the text of the first row of table that fits, or "".
func hintFor(table func() []hint, c symptoms) string {
	for _, h := range table() {
		if h.fits(c) {
			return h.text
		}
	}
	return ""
}

func (h hint) fits(c symptoms) bool {
	switch {
	case h.stopCode != "" && h.stopCode != c.stopCode,
		h.reasonPattern != nil && !h.reasonPattern.MatchString(c.reason),
		h.exit != "" && !h.fitsExit(c.exit),
		h.logPattern != nil && !slices.ContainsFunc(c.log, h.logPattern.MatchString),
		h.under != 0 && (c.ran == 0 || c.ran >= h.under):
		return false
	}
	return true
}

func (h hint) fitsExit(code *int) bool {
	if code == nil {
		return false
	}
	return h.exit == "≠0" && *code != 0 || h.exit == strconv.Itoa(*code)
}
