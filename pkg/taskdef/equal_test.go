package taskdef_test

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/taskdef"
)

// definition is a task definition of one container with members added to the
// task and to the container.
func definition(task, container string) string {
	return `{"family":"f","containerDefinitions":[{"name":"c","image":"i"` + container + `}]` + task + `}`
}

func TestEqual(t *testing.T) {
	container := func(members string) string { return definition("", ","+members) }
	task := func(members string) string { return definition(","+members, "") }
	plain := definition("", "")
	for _, test := range []struct {
		name string
		a, b string
		want bool
	}{
		{"itself", plain, plain, true},
		{"another image", plain, strings.Replace(plain, `"i"`, `"j"`, 1), false},
		{"another family", plain, strings.Replace(plain, `"f"`, `"g"`, 1), false},
		{"the order of members", plain, `{"containerDefinitions":[{"image":"i","name":"c"}],"family":"f"}`, true},
		{"a described answer and the bare definition", plain, `{"taskDefinition":` + plain + `,"tags":[]}`, true},
		{"read-only members", plain, task(`"revision":3,"status":"INACTIVE","taskDefinitionArn":"arn","registeredAt":1.5,"registeredBy":"me","deregisteredAt":2,"deleteRequestedAt":3,"compatibilities":["EC2"],"requiresAttributes":[{"name":"x"}]`), true},
		{"null is no member", plain, task(`"pidMode":null,"unknown":null`), true},

		// Defaults that ECS fills in.
		{"container cpu 0", plain, container(`"cpu":0`), true},
		{"container cpu 0.0", plain, container(`"cpu":0.0`), true},
		{"container cpu 1", plain, container(`"cpu":1`), false},
		{"essential true", plain, container(`"essential":true`), true},
		{"essential false", plain, container(`"essential":false`), false},
		{"empty lists of a container", plain, container(`"environment":[],"secrets":[],"mountPoints":[],"volumesFrom":[],"portMappings":[],"systemControls":[],"links":[],"command":[],"entryPoint":[],"environmentFiles":[],"dependsOn":[],"ulimits":[],"dnsServers":[],"dnsSearchDomains":[],"extraHosts":[],"dockerSecurityOptions":[],"resourceRequirements":[],"credentialSpecs":[]`), true},
		{"empty maps of a container", plain, container(`"dockerLabels":{},"linuxParameters":{"capabilities":{"add":[],"drop":[]},"devices":[],"tmpfs":[]}`), true},
		{"empty lists of the task", plain, task(`"volumes":[],"placementConstraints":[],"requiresCompatibilities":[],"inferenceAccelerators":[],"tags":[]`), true},
		{"network mode bridge", plain, task(`"networkMode":"bridge"`), true},
		{"no fault injection", plain, task(`"enableFaultInjection":false`), true},
		{"fault injection", plain, task(`"enableFaultInjection":true`), false},
		{"health check defaults", container(`"healthCheck":{"command":["CMD","x"]}`), container(`"healthCheck":{"command":["CMD","x"],"interval":30,"timeout":5,"retries":3}`), true},
		{"another health check interval", container(`"healthCheck":{"command":["CMD","x"]}`), container(`"healthCheck":{"command":["CMD","x"],"interval":31}`), false},
		{"a read-only mount", container(`"mountPoints":[{"sourceVolume":"v"}]`), container(`"mountPoints":[{"sourceVolume":"v","readOnly":true}]`), false},
		{"a mount that is not read-only", container(`"mountPoints":[{"sourceVolume":"v"}]`), container(`"mountPoints":[{"sourceVolume":"v","readOnly":false}]`), true},
		{"volume on any host path", task(`"volumes":[{"name":"v"}]`), task(`"volumes":[{"name":"v","host":{}}]`), true},
		{"volume of Docker, without options", task(`"volumes":[{"name":"v"}]`), task(`"volumes":[{"name":"v","dockerVolumeConfiguration":{}}]`), false},
		{"EFS defaults", task(`"volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"fs"}}]`), task(`"volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"fs","rootDirectory":"/","transitEncryption":"DISABLED","authorizationConfig":{"iam":"DISABLED"}}}]`), true},

		// Ports.
		{"protocol tcp", container(`"portMappings":[{"containerPort":80}]`), container(`"portMappings":[{"containerPort":80,"protocol":"tcp"}]`), true},
		{"protocol udp", container(`"portMappings":[{"containerPort":80}]`), container(`"portMappings":[{"containerPort":80,"protocol":"udp"}]`), false},
		{"bridge: any host port", container(`"portMappings":[{"containerPort":80}]`), container(`"portMappings":[{"containerPort":80,"hostPort":0}]`), true},
		{"bridge: one host port", container(`"portMappings":[{"containerPort":80}]`), container(`"portMappings":[{"containerPort":80,"hostPort":80}]`), false},
		{"awsvpc: the host port is the container port", definition(`,"networkMode":"awsvpc"`, `,"portMappings":[{"containerPort":80}]`), definition(`,"networkMode":"awsvpc"`, `,"portMappings":[{"containerPort":80,"hostPort":80}]`), true},
		{"host: likewise", definition(`,"networkMode":"host"`, `,"portMappings":[{"containerPort":80,"hostPort":0}]`), definition(`,"networkMode":"host"`, `,"portMappings":[{"containerPort":80,"hostPort":80.0}]`), true},
		{"awsvpc: a range has no host port", definition(`,"networkMode":"awsvpc"`, `,"portMappings":[{"containerPortRange":"80-90"}]`), definition(`,"networkMode":"awsvpc"`, `,"portMappings":[{"containerPortRange":"80-90","hostPort":0}]`), true},

		// Sizes.
		{"cpu in vCPUs", task(`"cpu":"256"`), task(`"cpu":".25 vcpu"`), true},
		{"memory in GB", task(`"memory":"2048"`), task(`"memory":"2GB"`), true},
		{"memory in GB, of another size", task(`"memory":"2"`), task(`"memory":"2 GB"`), false},
		{"memory in some GB", task(`"memory":"x GB"`), task(`"memory":"x gb"`), false},
		{"memory that is no size", task(`"memory":"GB"`), task(`"memory":"gb"`), false},

		// Empty values that mean something.
		{"an empty variable", plain, container(`"environment":[{"name":"A","value":""}]`), false},
		{"an empty and no value", container(`"environment":[{"name":"A"}]`), container(`"environment":[{"name":"A","value":""}]`), false},
		{"an empty log option (Splunk's tag)", container(`"logConfiguration":{"logDriver":"splunk"}`), container(`"logConfiguration":{"logDriver":"splunk","options":{"tag":""}}`), false},
		{"an empty member that is not known", plain, container(`"unknown":[]`), false},
		{"an unknown member of the value 0", plain, task(`"unknown":0`), false},

		// Sets.
		{"the order of environment", container(`"environment":[{"name":"A","value":"1"},{"name":"B","value":"2"}]`), container(`"environment":[{"value":"2","name":"B"},{"name":"A","value":"1"}]`), true},
		{"the order of secrets", container(`"secrets":[{"name":"A","valueFrom":"1"},{"name":"B","valueFrom":"2"}]`), container(`"secrets":[{"name":"B","valueFrom":"2"},{"name":"A","valueFrom":"1"}]`), true},
		{"the order of equal names: the last one counts", container(`"environment":[{"name":"A","value":"1"},{"name":"A","value":"2"}]`), container(`"environment":[{"name":"A","value":"2"},{"name":"A","value":"1"}]`), false},
		{"the order of containers", `{"family":"f","containerDefinitions":[{"name":"a"},{"name":"b"}]}`, `{"family":"f","containerDefinitions":[{"name":"b"},{"name":"a"}]}`, true},
		{"the order of compatibilities", task(`"requiresCompatibilities":["EC2","FARGATE"]`), task(`"requiresCompatibilities":["FARGATE","EC2"]`), true},
		{"the order of environment files: the first one counts", container(`"environmentFiles":[{"type":"s3","value":"a"},{"type":"s3","value":"b"}]`), container(`"environmentFiles":[{"type":"s3","value":"b"},{"type":"s3","value":"a"}]`), false},
		{"the order of a command", container(`"command":["a","b"]`), container(`"command":["b","a"]`), false},
		{"the order of an unknown list", container(`"unknown":["a","b"]`), container(`"unknown":["b","a"]`), false},

		// Spelling.
		{"escapes in a string", plain, strings.Replace(plain, `"i"`, `"\u0069"`, 1), true},
		{"escapes in a name", plain, strings.Replace(plain, `"image"`, `"im\u0061ge"`, 1), true},
		{"two halves of surrogate pairs", container(`"user":"\ud800"`), container(`"user":"\ud801"`), false},
		{"an exponent", container(`"memory":1024`), container(`"memory":1.024E+3`), true},
		{"a fraction of zeros", task(`"unknown":1`), task(`"unknown":1.0`), true},
		{"minus zero", task(`"unknown":0`), task(`"unknown":-0.0e9`), true},
		{"a sign", task(`"unknown":1`), task(`"unknown":-1`), false},
		{"numbers beyond a float", task(`"unknown":12345678901234567890`), task(`"unknown":12345678901234567891`), false},
		{"numbers beyond a float, spelled differently", task(`"unknown":12345678901234567890`), task(`"unknown":1.2345678901234567890e19`), true},
		{"very small numbers", task(`"unknown":0.001`), task(`"unknown":1e-3`), true},
		{"absurd exponents", task(`"unknown":1e99999999999`), task(`"unknown":1e99999999998`), false},
		{"a number and a string", task(`"unknown":1`), task(`"unknown":"1"`), false},

		// Tags.
		{"tags", plain, task(`"tags":[{"key":"a","value":"1"}]`), false},
		{"the order of tags", task(`"tags":[{"key":"a","value":"1"},{"key":"b","value":"2"}]`), task(`"tags":[{"key":"b","value":"2"},{"key":"a","value":"1"}]`), true},
		{"tags of AWS", plain, task(`"tags":[{"key":"aws:x","value":"1"}]`), true},
		{"where it came from", plain, task(`"tags":[{"key":"ecs-deploy:build-id","value":"1"},{"key":"ecs-deploy:base","value":"f:1"}]`), true},
		{"a tag that only looks like it", plain, task(`"tags":[{"key":"ecs-deploy:team","value":"1"}]`), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := parse(t, test.a), parse(t, test.b)
			if got := taskdef.Equal(a, b); got != test.want {
				t.Errorf("Equal = %t, want %t\n%s\n%s", got, test.want, test.a, test.b)
			}
			if got := taskdef.Equal(b, a); got != test.want {
				t.Errorf("Equal is not symmetric")
			}
			if diff := taskdef.Diff(a, b); (len(diff) == 0) != test.want {
				t.Errorf("Diff = %v, but Equal = %t", diff, test.want)
			}
		})
	}
}

// What ECS registers of an input, and describes with all defaults filled in, is
// Equal to the input: nothing needs to be registered again.
func TestEqualAfterRegistration(t *testing.T) {
	input := parse(t, `{
		"family": "chat-app", "networkMode": "awsvpc", "cpu": ".25 vCPU", "memory": "0.5 GB",
		"requiresCompatibilities": ["FARGATE"],
		"runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
		"executionRoleArn": "arn:aws:iam::123456789012:role/chat-app-execution",
		"taskRoleArn": "arn:aws:iam::123456789012:role/chat-app-task",
		"tags": [{"key": "team", "value": "chat"}],
		"containerDefinitions": [{
			"name": "app", "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:4711",
			"command": ["serve", "--port", "8080"],
			"portMappings": [{"name": "http", "containerPort": 8080, "appProtocol": "http"}],
			"environment": [{"name": "FEATURES", "value": ""}, {"name": "LOG_LEVEL", "value": "info"}],
			"secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-AbCdEf"}],
			"healthCheck": {"command": ["CMD-SHELL", "wget -q -O- http://localhost:8080/health || exit 1"]},
			"logConfiguration": {"logDriver": "awslogs", "options": {
				"awslogs-group": "/ecs/chat-app", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "app"}}
		}]}`)
	if diff := taskdef.Diff(input, load(t, "fargate")); len(diff) > 0 {
		t.Errorf("differences:\n%s", strings.Join(lines(diff), "\n"))
	}
}
