package diagnosis

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestHints: texts as AWS words them, and what is said of them. Every row of
// the tables is reached by one of them, so that none stands in the shadow of
// another.
func TestHints(t *testing.T) {
	const (
		started = "TaskFailedToStart"
		exited  = "EssentialContainerExited"
		ecs     = "ServiceSchedulerInitiated"
	)
	said := map[string]bool{}
	for _, tt := range []struct {
		name     string
		symptoms symptoms
		want     string // in the hint; "" is no hint at all
	}{
		// Pulling.
		{"no such tag", symptoms{started, "CannotPullContainerError: pull image manifest has been retried: failed to resolve ref 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17: not found", nil, nil, 0}, "there is no such image"},
		{"no such repository", symptoms{started, "CannotPullContainerError: API error (404): repository 111122223333.dkr.ecr.us-east-1.amazonaws.com/app/web not found", nil, nil, 0}, "there is no such image"},
		{"docker's wording", symptoms{started, "CannotPullContainerError: Error response from daemon: manifest for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:9 not found: manifest unknown: Requested image not found", nil, nil, 0}, "there is no such image"},
		{"pull refused", symptoms{started, "CannotPullContainerError: pull image manifest has been retried: failed to resolve ref: unexpected status from HEAD request: 403 Forbidden", nil, nil, 0}, "ecr:BatchGetImage"},
		{"pull refused by Docker", symptoms{started, "CannotPullContainerError: Error response from daemon: pull access denied for web, repository does not exist or may require 'docker login'", nil, nil, 0}, "ecr:BatchGetImage"},
		{"no route to the registry", symptoms{started, "CannotPullContainerError: pull image manifest has been retried: failed to resolve ref docker.io/library/nginx:1.27: failed to do request: Head \"https://registry-1.docker.io/v2/library/nginx/manifests/1.27\": dial tcp …:443: i/o timeout", nil, nil, 0}, "NAT gateway"},
		{"no route, older wording", symptoms{started, "CannotPullContainerError: API error (500): Get https://111122223333.dkr.ecr.us-east-1.amazonaws.com/v2/: net/http: request canceled while waiting for connection", nil, nil, 0}, "NAT gateway"},
		{"Docker Hub's limit", symptoms{started, "CannotPullContainerError: inspect image has been retried: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/nginx/manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.", nil, nil, 0}, "Docker Hub limits"},
		{"disk full", symptoms{started, "CannotPullContainerError: write /var/lib/docker/tmp/GetImageBlob111111111: no space left on device", nil, nil, 0}, "ephemeralStorage"},
		{"another pull error", symptoms{started, "CannotPullContainerError: ref pull has been retried: failed to copy: httpReadSeeker: failed open: unexpected status code", nil, nil, 0}, "could not be pulled"},

		// Architecture.
		{"wrong architecture, seen when pulled", symptoms{started, "CannotPullContainerError: pull image manifest has been retried: image Manifest does not contain descriptor matching platform 'linux/amd64'", nil, nil, 0}, "another platform"},
		{"wrong architecture, seen in the log", symptoms{exited, "Essential container in task exited", aws.Int(255), []string{"exec /app: exec format error"}, 0}, "another architecture"},
		{"wrong architecture, older wording", symptoms{exited, "Essential container in task exited", aws.Int(1), []string{"standard_init_linux.go:228: exec user process caused: exec format error"}, 0}, "another architecture"},
		{"wrong architecture, in the reason", symptoms{started, "CannotStartContainerError: failed to create shim task: OCI runtime create failed: exec /app: exec format error", nil, nil, 0}, "another architecture"},

		// Secrets, roles, logs.
		{"secret denied", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web-execution/… is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:123456789012:secret:web/db-AbCdEf", nil, nil, 0}, "secretsmanager:GetSecretValue"},
		{"parameter denied", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web-execution/… is not authorized to perform: ssm:GetParameters on resource: arn:aws:ssm:eu-west-1:123456789012:parameter/web/db", nil, nil, 0}, "ssm:GetParameters"},
		{"key denied", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: AccessDeniedException: Access to KMS is not allowed", nil, nil, 0}, "kms:Decrypt for the key"},
		{"registry token denied", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web-execution/… is not authorized to perform: ecr:GetAuthorizationToken on resource: *", nil, nil, 0}, "needs ecr:GetAuthorizationToken"},
		{"no such secret", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried: fetching secret data from AWS Secrets Manager in region eu-west-1: secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:web/db: ResourceNotFoundException: Secrets Manager can't find the specified secret.", nil, nil, 0}, "does not exist, or lacks"},
		{"no such parameter", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried: invalid ssm parameters: /web/db", nil, nil, 0}, "does not exist, or lacks"},
		{"no route to Secrets Manager", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried: RequestCanceled: request context canceled caused by: context deadline exceeded. Please check your task network configuration.", nil, nil, 0}, "could not be reached from the task's subnet"},
		{"no route to Parameter Store, newer wording", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets from ssm: The task cannot pull secrets from AWS Systems Manager. There is a connection issue between the task and AWS Systems Manager Parameter Store. Check your task network configuration.", nil, nil, 0}, "could not be reached from the task's subnet"},
		{"secrets, otherwise", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource missing or inaccessible", nil, nil, 0}, "could not be fetched"},
		{"role not passable", symptoms{"", "failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web-task' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.).", nil, nil, 0}, "iam:PassRole"},
		{"no log group", symptoms{started, "ResourceInitializationError: failed to validate logger args: create stream has been retried: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1", nil, nil, 0}, "log group does not exist"},
		{"log denied", symptoms{started, "ResourceInitializationError: failed to validate logger args: create stream has been retried: failed to create Cloudwatch log stream: AccessDeniedException: User is not authorized to perform: logs:CreateLogStream : exit status 1", nil, nil, 0}, "logs:PutLogEvents"},
		{"no route to CloudWatch", symptoms{started, "ResourceInitializationError: failed to validate logger args: : signal: killed", nil, nil, 0}, "endpoint for logs"},
		{"log driver, otherwise", symptoms{started, "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: unknown log opt 'tag'", nil, nil, 0}, "logConfiguration"},

		// Volumes.
		{"EFS name", symptoms{started, `ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to resolve "fs-0e4a39a0b7bb8b885.efs.us-east-1.amazonaws.com" - check that your file system ID is correct, and ensure that the VPC has an EFS mount target for this file system ID.`, nil, nil, 0}, "DNS"},
		{"EFS refuses", symptoms{started, "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: access denied by server while mounting …:/' : unsuccessful EFS utils command execution; code: 32", nil, nil, 0}, "ClientMount"},
		{"EFS directory", symptoms{started, "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: mounting fs-0e4a39a0.efs.eu-west-1.amazonaws.com:/grafana failed, reason given by server: No such file or directory' : unsuccessful EFS utils command execution; code: 32", nil, nil, 0}, "rootDirectory"},
		{"EFS does not answer", symptoms{started, "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Mount attempt failed due to timeout after 15 sec, wait 0 sec before next attempt. b'mount.nfs4: mount system call failed'", nil, nil, 0}, "2049"},
		{"a volume", symptoms{started, "CannotCreateVolumeError: Error response from daemon: create efs-data: error", nil, nil, 0}, "a volume could not be created"},

		// Capacity and network.
		{"no capacity", symptoms{"", "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.", nil, nil, 0}, "no capacity for the task"},
		{"no addresses", symptoms{started, "Unexpected EC2 error while attempting to create network interface in subnet 'subnet-0a1b2c3d': InsufficientFreeAddressesInSubnet", nil, nil, 0}, "no free addresses"},
		{"no network interface was available", symptoms{started, "Timeout waiting for network interface provisioning to complete.", nil, nil, 0}, "no network interface was available"},
		{"no ENI on the instance", symptoms{"", "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) encountered error \"RESOURCE:ENI\".", nil, nil, 0}, "awsvpcTrunking"},
		{"no instances", symptoms{"", "was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster.", nil, nil, 0}, "has no EC2 instances at the moment"},
		{"no memory on the instances", symptoms{"", "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) has insufficient memory available.", nil, nil, 0}, "room for one more task"},
		{"no CPU on the instances", symptoms{"", "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) has insufficient CPU units available.", nil, nil, 0}, "room for one more task"},
		{"port taken", symptoms{"", "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) is already using a port required by your task.", nil, nil, 0}, "dynamic ports"},
		{"attribute missing", symptoms{"", "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) is missing an attribute required by your task.", nil, nil, 0}, "placement constraints"},
		{"agent gone", symptoms{"", "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) encountered error \"AGENT\".", nil, nil, 0}, "ECS agent"},
		{"no instance, otherwise", symptoms{"", "was unable to place a task because no container instance met all of its requirements.", nil, nil, 0}, "no instance of the cluster"},
		{"quota", symptoms{"", "was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently", nil, nil, 0}, "Service Quotas"},
		{"percentages", symptoms{"", "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.", nil, nil, 0}, "minimumHealthyPercent and maximumPercent leave"},
		{"throttled", symptoms{"", "operations are being throttled. Will try again later.", nil, nil, 0}, "API limits and retries"},
		{"target group in another VPC", symptoms{"", "failed to register targets in (target-group demo) with (error The following targets are not in the target group VPC 'vpc-11111111': 'i-…')", nil, nil, 0}, "another VPC"},
		{"target type", symptoms{"", "failed to register targets in (target-group demo) with (error The IP address '…' is not valid for a target group of target type instance)", nil, nil, 0}, "awsvpc needs type ip"},
		{"no target group", symptoms{"", "failed to register targets in (target-group demo) with (error Target groups 'demo' not found)", nil, nil, 0}, "could not register"},
		{"no memory, capacity provider", symptoms{started, "TaskFailedToStart: RESOURCE:MEMORY", nil, nil, 0}, "room for one more task"},
		{"no GPU", symptoms{started, "RESOURCE:GPU", nil, nil, 0}, "room for one more task"},
		{"no port, capacity provider", symptoms{started, "TaskFailedToStart: RESOURCE:PORTS", nil, nil, 0}, "dynamic ports"},
		{"no ENI, capacity provider", symptoms{started, "TaskFailedToStart: RESOURCE:ENI", nil, nil, 0}, "awsvpcTrunking"},
		{"no instance in the capacity provider", symptoms{started, "TaskFailedToStart: EMPTY CAPACITY PROVIDER", nil, nil, 0}, "has no EC2 instances"},
		{"no active instance in the capacity provider", symptoms{started, "TaskFailedToStart: NO ACTIVE INSTANCES", nil, nil, 0}, "has no EC2 instances"},
		{"agent gone, capacity provider", symptoms{started, "TaskFailedToStart: AGENT", nil, nil, 0}, "ECS agent"},
		{"attribute missing, capacity provider", symptoms{started, "TaskFailedToStart: ATTRIBUTE", nil, nil, 0}, "placement constraints"},
		{"placement constraint", symptoms{started, "TaskFailedToStart: MemberOf placement constraint unsatisfied", nil, nil, 0}, "placement constraints"},
		{"managed instances, no capacity", symptoms{"", "was unable to place a task. Reason: ResourceInitializationError: Unable to launch instance(s) for capacity provider gpu. UnfulfillableCapacity: Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.", nil, nil, 0}, "more instance types"},
		{"managed instances, quota", symptoms{started, "ResourceInitializationError: Unable to launch instance(s) for capacity provider gpu. MaxSpotInstanceCountExceeded: Max spot instance count exceeded. RequestId: …", nil, nil, 0}, "quota of EC2"},
		{"managed instances, no right", symptoms{started, "ResourceInitializationError: Unable to launch instance(s) for capacity provider web. UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/ecsInfrastructureRole/ECSManagedInstances is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/instance because no identity-based policy allows the iam:PassRole action.", nil, nil, 0}, "infrastructure role"},
		{"a denial that no permission cures", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web-execution/… is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:123456789012:secret:web/db with an explicit deny in a service control policy: arn:aws:organizations::123456789012:policy/o-1/service_control_policy/p-1", nil, nil, 0}, "change the policy"},
		{"parameters, too many calls", symptoms{started, "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets from ssm: operation error SSM: GetParameters, api error ThrottlingException: Rate exceeded", nil, nil, 0}, "throttled"},
		{"the host's maintenance", symptoms{ecs, "ECS is performing maintenance on the underlying infrastructure hosting the task.", nil, nil, time.Hour}, "host that it ran on"},
		{"Spot", symptoms{"SpotInterruption", "Your Spot Task was interrupted.", nil, nil, time.Hour}, "Spot reclaimed"},
		{"Spot, by its code", symptoms{"SpotInterruption", "", nil, nil, time.Hour}, "Spot reclaimed"},
		{"instance taken back", symptoms{"TerminationNotice", "", nil, nil, time.Hour}, "Spot reclaimed"},
		{"AWS's machine", symptoms{"InfrastructureHealth", "Task stopped due to an unhealthy host", nil, nil, time.Hour}, "host that it ran on"},

		// Health.
		{"ELB, soon", symptoms{ecs, "Task failed ELB health checks in (target-group web)", aws.Int(143), nil, 45 * time.Second}, "healthCheckGracePeriodSeconds"},
		{"ELB, late", symptoms{ecs, "Task failed ELB health checks in (target-group web)", aws.Int(143), nil, time.Hour}, "expected codes"},
		{"container's own check", symptoms{ecs, "Task failed container health checks", aws.Int(137), nil, time.Minute}, "startPeriod"},

		// Ends.
		{"out of memory", symptoms{exited, "Essential container in task exited; OutOfMemoryError: Container killed due to memory usage", aws.Int(137), nil, time.Minute}, "out of memory"},
		{"killed, and not said why", symptoms{exited, "Essential container in task exited", aws.Int(137), nil, time.Minute}, "does not report a lack of memory"},
		{"ended well", symptoms{exited, "Essential container in task exited", aws.Int(0), []string{"done"}, time.Second}, "has to keep running"},
		{"ended badly, with a log", symptoms{exited, "Essential container in task exited", aws.Int(1), []string{"panic: no DATABASE_URL"}, time.Second}, "see its log"},
		{"ended badly, without", symptoms{exited, "Essential container in task exited", aws.Int(1), nil, time.Second}, "its log could not be read"},
		{"segmentation fault", symptoms{exited, "Essential container in task exited", aws.Int(139), nil, time.Second}, "segmentation fault"},
		{"SIGTERM", symptoms{exited, "Essential container in task exited", aws.Int(143), nil, time.Second}, "stopped by SIGTERM"},
		{"not executable", symptoms{exited, "Essential container in task exited", aws.Int(126), nil, time.Second}, "could not be executed"},
		{"not found", symptoms{exited, "Essential container in task exited", aws.Int(127), nil, time.Second}, "was not found"},
		{"a script with CRLF", symptoms{exited, "Essential container in task exited", aws.Int(1), []string{"exec /entrypoint.sh: no such file or directory"}, 0}, "CRLF"},
		{"no such command", symptoms{started, `CannotStartContainerError: failed to create task for container: OCI runtime create failed: exec: "serve": executable file not found in $PATH`, nil, nil, 0}, "was not found"},
		{"no x bit", symptoms{started, `CannotStartContainerError: OCI runtime create failed: exec: "/start.sh": permission denied`, nil, nil, 0}, "x bit"},
		{"not started", symptoms{started, "CannotStartContainerError: failed to get container status", nil, nil, 0}, "could not be started"},
		{"not created", symptoms{started, "CannotCreateContainerError: API error (400): Duplicate bind mount /data", nil, nil, 0}, "could not be created"},
		{"not in time", symptoms{started, "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m", nil, nil, 0}, "not up in time"},
		{"waits for another", symptoms{started, "Task failed to start; dependency graph: failed to resolve container ordering dependency [migrate] for target [app] as dependency did not exit successfully", nil, nil, 0}, "dependsOn"},
		{"by a user", symptoms{"UserInitiated", "Task stopped by user", aws.Int(143), nil, time.Hour}, "a user or another tool"},

		// CodeDeploy's.
		{"an alarm", symptoms{"", "One or more alarms have been activated, and the deployment has been stopped (ALARM_ACTIVE)", nil, nil, 0}, "alarm of the deployment group"},
		{"a hook", symptoms{"", "One or more of the lifecycle events validation functions failed (HOOK_EXECUTION_FAILURE); AfterAllowTestTraffic failed: check returned Failed", nil, nil, 0}, "Lambda function"},
		{"stopped by hand, which says it all", symptoms{"", "The deployment d-0A1B2C3D4 was stopped by a user (MANUAL_STOP)", nil, nil, 0}, ""},

		// Not ended.
		{"no interface yet", symptoms{"", "still PROVISIONING", nil, nil, 0}, "waits for a network interface"},
		{"pulling", symptoms{"", "still PENDING", nil, nil, 0}, "being pulled"},
		{"registering", symptoms{"", "still ACTIVATING", nil, nil, 0}, "being registered"},
		{"running", symptoms{"", "running, health not known", nil, nil, 0}, "counts a task when"},

		{"an unknown reason has no hint", symptoms{started, "FluxCapacitorError: 1.21 GW", nil, nil, 0}, ""},
		{"no reason has no hint", symptoms{}, ""},
	} {
		got := hintFor(taskHints, tt.symptoms)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: hint %q, want …%s…", tt.name, got, tt.want)
		}
		for _, h := range taskHints() {
			if h.fits(tt.symptoms) {
				said[h.reason+"/"+h.stopCode+"/"+h.exit+"/"+h.log+"/"+h.under.String()] = true
				break
			}
		}
	}
	for _, h := range taskHints() {
		if !said[h.reason+"/"+h.stopCode+"/"+h.exit+"/"+h.log+"/"+h.under.String()] {
			t.Errorf("no text above leads to the row %q %q %q %q: %s", h.stopCode, h.reason, h.exit, h.log, h.text)
		}
	}
}

func TestTargetHints(t *testing.T) {
	said := map[string]bool{}
	for reason, want := range map[string]string{
		"Target.Timeout: Request timed out": "security group",
		"Request timed out":                 "security group",
		"Target.ResponseCodeMismatch: Health checks failed with these codes: [404]":                 "path and success codes",
		"Health checks failed with these codes: [503]":                                              "path and success codes",
		"Health checks failed with these codes: [401]":                                              "authentication",
		"Target.FailedHealthChecks: Health checks failed":                                           "refused or the answer malformed",
		"Health checks failed":                                                                      "refused or the answer malformed",
		"Target is in an Availability Zone that is not enabled for the load balancer":               "no subnet in the task's availability zone",
		"Target.NotInUse: Target group is not configured to receive traffic from the load balancer": "no listener",
		"Elb.InitialHealthChecking: Initial health checks in progress":                              "not checked the target often enough",
		"Elb.InternalError":          "of the load balancer itself",
		"Target.IpUnusable":          "belongs to a load balancer",
		"Target.InvalidState":        "stopped or terminated",
		"Target.HealthCheckDisabled": "are disabled",
		"Target.Novelty":             "",
	} {
		got := hintFor(targetHints, symptoms{reason: reason})
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: hint %q, want …%s…", reason, got, want)
		}
		said[got] = true
	}
	for _, h := range targetHints() {
		if !said[h.text] {
			t.Errorf("no text above leads to the row %q: %s", h.reason, h.text)
		}
	}
}

func TestHintRows(t *testing.T) {
	for _, table := range [][]hint{taskHints(), targetHints()} {
		for _, h := range table {
			if h.text == "" || h.reason+h.stopCode+h.exit+h.log == "" {
				t.Errorf("a row without a text, or one that fits everything: %+v", h)
			}
		}
	}
}
