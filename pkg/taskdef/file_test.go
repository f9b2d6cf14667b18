package taskdef_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

func TestParseFile(t *testing.T) {
	const want = `{"family":"f","cpu":"256","containerDefinitions":[{"name":"c","image":"i:1","environment":[{"name":"A","value":""}],"essential":true}]}`
	const yaml = `
# the web application
family: f
cpu: "256"
containerDefinitions:
  - name: c
    image: i:1
    environment:
      - {name: A, value: ""}
    essential: true
`
	for _, test := range []struct{ name, file, data, want string }{
		{"JSON", "task.json", want, want},
		{"JSON from a Windows editor", "task.json", "\ufeff" + strings.ReplaceAll(want, ",", ",\r\n"), want},
		{"JSON by its content", "task.tmpl", " \n" + want, want},
		{"YAML", "task.yml", yaml, want},
		{"YAML by its content", "task", yaml, want},
		{"JSON is YAML", "task.YAML", want, want},
		{"YAML with a document that is empty, and comments", "task.yaml", "# $(Name) and #{Name}# are expanded\n#{Name}# is set by the release\n---" + yaml + "    #image: #{Other}#\n---\n# the end\n", want},
		{"an answer of DescribeTaskDefinition", "task.json", `{"taskDefinition":` + strings.Replace(want, "{", `{"revision":3,`, 1) + `,"tags":[]}`, want},
		{"nulls of a skeleton are left out, what is empty stays", "task.json",
			`{"family":"f","taskRoleArn":null,"containerDefinitions":[{"name":"c","cpu":null,"links":[],"user":""}],"tags":null}`,
			`{"family":"f","containerDefinitions":[{"name":"c","links":[],"user":""}]}`},
		{"so is what YAML leaves empty", "task.yaml",
			"family: f\ntaskRoleArn:\nvolumes: ~\ncontainerDefinitions: [{name: c, command: []}]\n",
			`{"family":"f","containerDefinitions":[{"name":"c","command":[]}]}`},
		{"numbers stay as written", "task.yaml",
			"family: f\nunknown: [1.0, 1e3, 12345678901234567890, -0, 2024-11-01, 0x50, 1_000, yes, True, 08:30]\ncontainerDefinitions: [{name: c}]\n",
			`{"family":"f","unknown":[1.0,1e3,12345678901234567890,-0,"2024-11-01",80,1000,"yes",true,"08:30"],"containerDefinitions":[{"name":"c"}]}`},
		{"aliases and merge keys", "task.yaml", `
x-defaults: &defaults {essential: false, user: "1"}
x-more: &more {user: "2", hostname: h}
family: f
containerDefinitions:
  - {<<: *defaults, name: a, user: "0", essential: true}
  - {name: b, <<: [*defaults, *more]}
`,
			`{"family":"f","containerDefinitions":[` +
				`{"name":"a","user":"0","essential":true},{"name":"b","essential":false,"user":"1","hostname":"h"}]}`},
		{"a size is a number or a string", "task.yaml", "family: f\ncpu: 256\nmemory: 0.5 GB\ncontainerDefinitions: [{name: c, cpu: 10}]\n",
			`{"family":"f","cpu":"256","memory":"0.5 GB","containerDefinitions":[{"name":"c","cpu":10}]}`},
		{"anchors in containers, and a label of that kind", "task.yaml",
			"family: f\ncontainerDefinitions:\n  - {name: c, x-env: &e [{name: A, value: b}], environment: *e, dockerLabels: {x-team: web}}\n",
			`{"family":"f","containerDefinitions":[{"name":"c","environment":[{"name":"A","value":"b"}],"dockerLabels":{"x-team":"web"}}]}`},
		{"an answer as YAML", "task.yaml", `
taskDefinition:
  taskDefinitionArn: arn:aws:ecs:eu-west-1:123456789012:task-definition/f:3
  containerDefinitions:
  - cpu: 0
    environment: []
    essential: true
    image: i:1
    name: c
  family: f
  revision: 3
  status: INACTIVE
  requiresAttributes:
  - name: com.amazonaws.ecs.capability.docker-remote-api.1.18
  compatibilities: [EC2, FARGATE]
  registeredAt: '2026-01-05T10:00:00.000000+00:00'
  registeredBy: arn:aws:iam::123456789012:user/x
  deregisteredAt: 2026-02-05T10:00:00+00:00
tags:
- {key: team, value: web}
`,
			`{"containerDefinitions":[{"cpu":0,"environment":[],"essential":true,"image":"i:1","name":"c"}],"family":"f","tags":[{"key":"team","value":"web"}]}`},
		{"a resource of CloudFormation", "task.yaml", `
Type: AWS::ECS::TaskDefinition
Properties:
  Family: app
  Cpu: 256
  RequiresCompatibilities: [FARGATE]
  RuntimePlatform: {CpuArchitecture: ARM64}
  ProxyConfiguration: {ContainerName: app, ProxyConfigurationProperties: [{Name: AppPorts, Value: 80}]}
  Volumes:
    - Name: data
      EFSVolumeConfiguration: {FilesystemId: fs-1, AuthorizationConfig: {IAM: ENABLED}}
  ContainerDefinitions:
    - Name: app
      Essential: "true"
      PortMappings: [{ContainerPort: "8080"}]
      DockerLabels: {Team: Web, version: 1}
      LogConfiguration: {LogDriver: awslogs, Options: {awslogs-group: /app, awslogs-region: eu-west-1, awslogs-stream-prefix: app}}
      NewMember: 1
  Tags: [{Key: team, Value: web}]
`,
			`{"family":"app","cpu":"256","requiresCompatibilities":["FARGATE"],"runtimePlatform":{"cpuArchitecture":"ARM64"},` +
				`"proxyConfiguration":{"containerName":"app","properties":[{"name":"AppPorts","value":"80"}]},` +
				`"volumes":[{"name":"data","efsVolumeConfiguration":{"fileSystemId":"fs-1","authorizationConfig":{"iam":"ENABLED"}}}],` +
				`"containerDefinitions":[{"name":"app","essential":true,"portMappings":[{"containerPort":8080}],"dockerLabels":{"Team":"Web","version":"1"},` +
				`"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/app","awslogs-region":"eu-west-1","awslogs-stream-prefix":"app"}},"newMember":1}],"tags":[{"key":"team","value":"web"}]}`},
		{"one of a template with functions elsewhere", "template.yaml", `
AWSTemplateFormatVersion: 2010-09-09
Parameters: {Env: {Type: String}}
Conditions: {Prod: !Equals [!Ref Env, prod]}
Resources:
  Task: {Type: "AWS::ECS::TaskDefinition", Properties: {Family: f, ContainerDefinitions: [{Name: c}]}}
  Service:
    Type: AWS::ECS::Service
    Condition: Prod
    Properties: {TaskDefinition: !Ref Task, ServiceName: !Sub "${Env}-web", Cluster: !If [Prod, !ImportValue a, b]}
Outputs: {Name: {Value: !GetAtt Service.Name}}
`, `{"family":"f","containerDefinitions":[{"name":"c"}]}`},
		{"the only one of a template", "template.json",
			`{"Resources":{"Bucket":{"Type":"AWS::S3::Bucket"},"Task":{"Type":"AWS::ECS::TaskDefinition","Properties":{"Family":"f","ContainerDefinitions":[{"Name":"c"}]}}}}`,
			`{"family":"f","containerDefinitions":[{"name":"c"}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := taskdef.ParseFile(test.file, []byte(test.data), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.RegisterInput()); got != test.want {
				t.Errorf("RegisterInput:\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseFileErrors(t *testing.T) {
	for _, test := range []struct{ name, file, data, want string }{
		{"nothing", "task.yaml", "# nothing\n", "task.yaml: empty; expected a task definition"},
		{"too much", "task.yaml", strings.Repeat("#", 2<<20), "task.yaml: 2097152 bytes; expected at most 1048576"},
		{"JSON that is not", "task.json", "{\n\"family\" \"f\"}", "task.json: line 2: not valid JSON: invalid character '\"' after object key"},
		{"YAML that is not", "task.yaml", "family: f\n  cpu: x\n", "task.yaml: line 2: mapping values are not allowed in this context"},
		{"not an object", "task.yaml", "- a\n", "task.yaml: line 1: expected an object with containerDefinitions, found a list"},
		{"two documents", "task.yaml", "family: f\n---\nfamily: g\n", "task.yaml: line 2: expected one document, found another"},
		{"a member twice", "task.yaml", "family: f\ncpu: '1'\nfamily: g\n", `task.yaml: line 3: member "family" is given twice`},
		{"a merge of nothing", "task.yaml", "family: f\n<<: 3\n", "task.yaml: line 2: << expects a mapping or a list of them, found a number"},
		{"a variable that YAML takes for a comment", "task.yaml", "family: f\ncontainerDefinitions:\n  - name: c\n    image: repo:1 #{Tag}#\n",
			"task.yaml: line 4: the variable #{Tag}# is a comment in YAML; write it in quotes; where ECS wants a number or a boolean, that is made of its value"},
		{"a whole value of that kind", "task.yaml", "family: f\ncontainerDefinitions:\n  - name: c\n    environment:\n      - name: A\n        value: #{ Db.Host }#\n",
			"task.yaml: line 6: the variable #{ Db.Host }# is a comment in YAML; write it in quotes; where ECS wants a number or a boolean, that is made of its value"},
		{"an item of that kind", "task.yaml", "family: f\ncontainerDefinitions:\n  - name: c\n    command:\n      - #{Command}#\n",
			"task.yaml: line 5: the variable #{Command}# is a comment in YAML; write it in quotes; where ECS wants a number or a boolean, that is made of its value"},
		{"a variable outside of a string", "task.json", "{\"family\":\"f\",\n\"containerDefinitions\":[{\"name\":\"c\",\"memory\":$(Memory)}]}",
			"task.json: line 2: the variable $(Memory) stands outside of a string; write it in quotes; where ECS wants a number or a boolean, that is made of its value"},
		{"another one", "task.json", "{\"family\":#{Family}#}",
			"task.json: line 1: the variable #{Family}# stands outside of a string; write it in quotes; where ECS wants a number or a boolean, that is made of its value"},
		{"a template", "task.yaml", "family: f\ncontainerDefinitions:\n  - name: c\n    image: !Sub '${Repo}:1'\n", "task.yaml: line 4: the tag !Sub means nothing in a task definition"},
		{"a function of a template", "task.yaml", "family: f\ntaskRoleArn: !GetAtt [Role, Arn]\n", "task.yaml: line 2: the tag !GetAtt means nothing in a task definition"},
		{"a member that is not a name", "task.yaml", "? [a]\n: b\n", "task.yaml: line 1: the name of a member is not a string"},
		{"not a number", "task.yaml", "family: f\ncpu: .inf\n", "task.yaml: line 2: .inf is not a number that JSON has"},
		{"not a boolean", "task.yaml", "family: f\ncpu: !!bool maybe\n", "task.yaml: line 2: maybe is neither true nor false"},
		{"an alias of itself", "task.yaml", "family: &a [*a]\n", "task.yaml: line 1: nested deeper than 64 levels"},
		{"numbers and booleans where ECS wants strings, all at once", "task.yaml", `
family: f
cpu: 256
containerDefinitions:
  - name: c
    memory: "512"
    environment:
      - name: PORT
        value: 8080
      - name: DEBUG
        value: true
    dockerLabels:
      version: 1.10
    command: serve
`,
			`task.yaml: line 6: containerDefinitions[0].memory is a string, ECS wants a number; write it without quotes
task.yaml: line 9: containerDefinitions[0].environment[0].value is a number, ECS wants a string; write it in quotes
task.yaml: line 11: containerDefinitions[0].environment[1].value is a boolean, ECS wants a string; write it in quotes
task.yaml: line 13: containerDefinitions[0].dockerLabels.version is a number, ECS wants a string; write it in quotes
task.yaml: line 14: containerDefinitions[0].command is a string, ECS wants a list; write a list of strings`},
		{"misspelt members", "task.json", `{"family": "f", "TaskRoleArn": "r",
"containerDefinitions": [{"name": "c", "enviroment": [{"Name": "LEVEL", "Value": "info"}],
"portMapping": [], "environment": [{"Name": "A", "value": "b"}], "logconfiguration": {}, "futureMember": {"Name": 1}}]}`,
			`task.json: line 1: TaskRoleArn is not a member that ECS knows; write taskRoleArn; the names of members are case-sensitive
task.json: line 2: containerDefinitions[0].enviroment is not a member that ECS knows; write environment; the names of members are case-sensitive
task.json: line 2: containerDefinitions[0].enviroment[0].Name is not a member that ECS knows; write name; the names of members are case-sensitive
task.json: line 2: containerDefinitions[0].enviroment[0].Value is not a member that ECS knows; write value; the names of members are case-sensitive
task.json: line 3: containerDefinitions[0].portMapping is not a member that ECS knows; write portMappings; the names of members are case-sensitive
task.json: line 3: containerDefinitions[0].logconfiguration is not a member that ECS knows; write logConfiguration; the names of members are case-sensitive
task.json: line 3: containerDefinitions[0].environment[0].Name is not a member that ECS knows; write name; the names of members are case-sensitive`},
		{"what an edit left empty", "task.json", `{"family": "f", "pidMode": "", "cpu": "", "volumes": [], "placementConstraints": null,
"ephemeralStorage": {}, "containerDefinitions": [{"name": "c", "image": "", "logConfiguration": {}, "linuxParameters": {},
"healthCheck": {"interval": 5}, "environment": [{"name": "EMPTY", "value": ""}], "dependsOn": null, "user": ""}]}`,
			`task.json: line 1: pidMode is empty; remove the member, or give it a value
task.json: line 1: cpu is empty; remove the member, or give it a value
task.json: line 2: ephemeralStorage is empty; ECS requires sizeInGiB in it; remove the member, or give it a value
task.json: line 2: containerDefinitions[0].image is empty; remove the member, or give it a value
task.json: line 2: containerDefinitions[0].logConfiguration is empty; ECS requires logDriver in it; remove the member, or give it a value
task.json: line 3: containerDefinitions[0].healthCheck has no command, which ECS requires; add command, or remove the member`},
		{"as other tools write it", "task.yaml", `
family: f
containerDefinitions:
  - name: c
    essential: yes
    environment: {A: b}
    portMappings: ["80:80"]
    command: [serve, 1]
  - name: d
    secrets: {A: /a}
    environment:
      - A=b
    memory: on
`,
			`task.yaml: line 5: containerDefinitions[0].essential is a string, ECS wants a boolean; write true or false, without quotes
task.yaml: line 6: containerDefinitions[0].environment is an object, ECS wants a list; write a list of objects that have name and value
task.yaml: line 7: containerDefinitions[0].portMappings[0] is a string, ECS wants an object; types are those of the API's RegisterTaskDefinition
task.yaml: line 8: containerDefinitions[0].command[1] is a number, ECS wants a string; write it in quotes
task.yaml: line 10: containerDefinitions[1].secrets is an object, ECS wants a list; write a list of objects that have name and valueFrom
task.yaml: line 12: containerDefinitions[1].environment[0] is a string, ECS wants an object; write an object that has name and value
task.yaml: line 13: containerDefinitions[1].memory is a string, ECS wants a number; write it without quotes`},
		{"items without what ECS requires", "task.json", `{"family":"f","containerDefinitions":[{"name":"c","secrets":[{"name":"A"},{"name":"B","valueFrom":""}],
"ulimits":[{"name":"nofile","softLimit":1}],"dependsOn":[{"containerName":"c"}],"environment":[{"name":"A","value":null}]}]}`,
			`task.json: line 1: containerDefinitions[0].secrets[0] has no valueFrom, which ECS requires; add valueFrom, or remove the member
task.json: line 1: containerDefinitions[0].secrets[1].valueFrom is empty; remove the member, or give it a value
task.json: line 2: containerDefinitions[0].ulimits[0] has no hardLimit, which ECS requires; add hardLimit, or remove the member
task.json: line 2: containerDefinitions[0].dependsOn[0] has no condition, which ECS requires; add condition, or remove the member`},
		{"the containers alone", "containers.json", `[{"name":"c","image":"i"}]`,
			"containers.json: line 1: expected an object with containerDefinitions, found a list; this looks like the containers alone: put them into containerDefinitions of an object that has family"},
		{"JSON of an older PowerShell", "task.json", "\xff\xfe{\x00}\x00",
			"task.json: encoded as UTF-16; expected UTF-8; save the file as UTF-8; in Windows PowerShell with Out-File -Encoding utf8"},
		{"what CloudFormation works out", "task.json", `{"Type":"AWS::ECS::TaskDefinition","Properties":{"Family":{"Ref":"Name"},
"TaskRoleArn":{"Fn::GetAtt":["Role","Arn"]},"ContainerDefinitions":[{"Name":"c"}]}}`,
			"task.json: line 1: Ref is worked out by CloudFormation alone; expected a plain value; give the file of one task definition, with plain values\ntask.json: line 2: Fn::GetAtt is worked out by CloudFormation alone; expected a plain value; give the file of one task definition, with plain values"},
		{"what CloudFormation works out, in short", "task.yaml", "Type: AWS::ECS::TaskDefinition\nProperties:\n  Family: !Ref Name\n  TaskRoleArn: !GetAtt [Role, Arn]\n  ContainerDefinitions: [{Name: c, Image: !Sub '${Repo}:1'}]\n",
			"task.yaml: line 3: Ref is worked out by CloudFormation alone; expected a plain value; give the file of one task definition, with plain values\n" +
				"task.yaml: line 4: Fn::GetAtt is worked out by CloudFormation alone; expected a plain value; give the file of one task definition, with plain values\n" +
				"task.yaml: line 5: Fn::Sub is worked out by CloudFormation alone; expected a plain value; give the file of one task definition, with plain values"},
		{"several in a template", "task.json", `{"Resources":{"A":{"Type":"AWS::ECS::TaskDefinition"},"B":{"Type":"AWS::ECS::TaskDefinition"}}}`,
			"task.json: line 1: a CloudFormation template with several task definitions: A, B; give the file of one task definition, with plain values"},
		{"none in a template", "task.json", `{"Resources":{}}`,
			"task.json: line 1: a CloudFormation template without an AWS::ECS::TaskDefinition; give the file of one task definition, with plain values"},
		{"a resource without properties", "task.json", `{"Type":"AWS::ECS::TaskDefinition"}`,
			"task.json: line 1: the AWS::ECS::TaskDefinition has no Properties; give the file of one task definition, with plain values"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := taskdef.ParseFile(test.file, []byte(test.data), nil)
			const form = "; the file holds what aws ecs register-task-definition takes with --cli-input-json or --cli-input-yaml"
			if got := strings.TrimSuffix(said(err), form); got != test.want {
				t.Errorf("error:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// said is what is wrong with a file and what to do about it, one mistake a line.
func said(err error) string {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var lines []string
	for _, err := range all {
		m, ok := errors.AsType[*mistake.Error](err)
		if !ok || m.Kind != mistake.TaskDefinition {
			return fmt.Sprintf("%v is no mistake about a task definition", err)
		}
		lines = append(lines, m.Text+"; "+m.Hint())
	}
	return strings.Join(lines, "\n")
}

// Aliases of aliases grow without bound; reading them does not.
func TestParseFileAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		b.WriteString("a" + string(rune('1'+i)) + ": &a" + string(rune('1'+i)) + " [" + strings.TrimSuffix(strings.Repeat("*a"+string(rune('0'+i))+", ", 10), ", ") + "]\n")
	}
	_, err := taskdef.ParseFile("bomb.yaml", []byte(b.String()), nil)
	if err == nil || !strings.Contains(err.Error(), "aliases make the document larger than 100000 values") {
		t.Errorf("error %v", err)
	}
}

func lookup(name string) (string, bool, bool) {
	value, ok := map[string]string{"Family": "web", "Build.BuildId": "7", "DB_HOST": "db", "Memory": "512", "Quote": "a\"b\nc", "On": "true", "Blanks": " 512 ", "Image": "$(Registry)/web"}[name]
	return value, name == "DB_PASSWORD", ok || name == "DB_PASSWORD"
}

// Variables of the pipeline are put into strings, whatever they hold.
func TestParseFileWithVariables(t *testing.T) {
	d, err := taskdef.ParseFile("task.json", []byte(`{"family":"$(Family)","containerDefinitions":[{"name":"c","image":"h.io/a:#{Build.BuildId}#","memory":"$(Memory)","essential":"#{On}#",
"environment":[{"name":"DB_HOST","value":"$(DB_HOST):#{ DB_HOST }#"},{"name":"PRICE","value":"5$"},{"name":"N","value":"$(Memory)"},{"name":"Q","value":"$(Quote)"},{"name":"D","value":"$(date +%s) ${X} $()"}]}]}`), lookup)
	want := `{"family":"web","containerDefinitions":[{"name":"c","image":"h.io/a:7","memory":512,"essential":true,` +
		`"environment":[{"name":"DB_HOST","value":"db:db"},{"name":"PRICE","value":"5$"},{"name":"N","value":"512"},{"name":"Q","value":"a\"b\nc"},{"name":"D","value":"$(date +%s) ${X} $()"}]}]}`
	if err != nil || string(d.RegisterInput()) != want {
		t.Errorf("got  %s, %v\nwant %s", d.RegisterInput(), err, want)
	}
	// A character that JSON readers put in the place of what they cannot read is one like any other.
	d, err = taskdef.ParseFile("task.json", []byte(`{"family":"f","containerDefinitions":[{"name":"c","memory":"$(Blanks)","environment":[{"name":"A","value":"\ud83d\ude00 \ufffd `+"\ufffd"+`\\ufffd $(DB_HOST)"}]}]}`), lookup)
	want = `{"family":"f","containerDefinitions":[{"name":"c","memory":512,"environment":[{"name":"A","value":"😀 ` + "\ufffd \ufffd" + `\\ufffd db"}]}]}`
	if err != nil || string(d.RegisterInput()) != want {
		t.Errorf("got  %s, %v\nwant %s", d.RegisterInput(), err, want)
	}
	_, err = taskdef.ParseFile("task.json", []byte(`{"family":"f","containerDefinitions":[{"name":"c","image":"i",
"environment":[{"name":"A","value":"$(DB_PASSWORD)"},{"name":"B","value":"$(Missing) #{Missing.Too}#"},
{"name":"C","value":"$(Image)"}]}]}`), lookup)
	said := said(err)
	for _, want := range []string{
		"line 2: containerDefinitions[0].environment[0].value refers to the secret variable DB_PASSWORD: everybody who may describe the task definition could read it; keep the value in Secrets Manager or Parameter Store and name it in secrets",
		"line 2: containerDefinitions[0].environment[1].value refers to the variable Missing, which this run does not have",
		"line 2: containerDefinitions[0].environment[1].value refers to the variable Missing.Too, which this run does not have",
		"line 3: containerDefinitions[0].environment[2].value refers to the variable Image, whose value refers to $(Registry), which this run does not have",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%s\nlacks %s", said, want)
		}
	}
	if d, err := taskdef.ParseFile("task.json", []byte(`{"family":"$(Family)","containerDefinitions":[{"name":"c"}]}`), nil); err != nil || d.Family() != "$(Family)" {
		t.Errorf("without variables: %s, %v", d, err)
	}
}

func TestUnknownAndPins(t *testing.T) {
	d := parse(t, `{"taskDefinitionArn":"a","status":"ACTIVE","family":"f","trustedExecutionConfiguration":{"isolationMode":"SHARED","attestationPolicy":"cG9saWN5"},"futureMember":1,
"containerDefinitions":[{"name":"app","image":"i","dockerLabels":{"signature":"x"},"gpu":{"imageSignature":"s"},"healthCheck":{"command":["a"],"jitter":1},"portMappings":[{"containerPort":1,"quic":true}]}],
"volumes":[{"name":"data","zfs":{}}]}`)
	if got, want := strings.Join(d.Unknown(), " | "), "futureMember | app.gpu | app.healthCheck.jitter | app.portMappings[0].quic | volumes data.zfs"; got != want {
		t.Errorf("unknown %s\nwant    %s", got, want)
	}
	if got, want := strings.Join(d.Pins(), " | "), "trustedExecutionConfiguration.attestationPolicy | app.gpu.imageSignature"; got != want {
		t.Errorf("pins %s, want %s", got, want)
	}
	for name := range described(t) {
		if d := load(t, name); name != "future" && len(d.Unknown())+len(d.Pins()) > 0 {
			t.Errorf("%s has unknown members %v, pins %v", name, d.Unknown(), d.Pins())
		}
	}
}

// What ECS did not keep of what was sent is known from its answer.
func TestIgnored(t *testing.T) {
	sent := parse(t, `{"family":"f","cpu":"1 vCPU","tags":[{"key":"a","value":"b"}],"newThing":{"x":1},"containerDefinitions":[{"name":"c","image":"i","memory":5,"cpu":0,"quic":true}]}`)
	stored := parse(t, `{"taskDefinition":{"family":"f","cpu":"1024","revision":3,"status":"ACTIVE","networkMode":"bridge","containerDefinitions":[{"name":"c","image":"i","memory":5,"cpu":0,"essential":true,"environment":[]}]}}`)
	if got, want := strings.Join(taskdef.Ignored(sent, stored), " | "), "c.quic | newThing.x"; got != want {
		t.Errorf("ignored %s, want %s", got, want)
	}
	if got := taskdef.Ignored(stored, stored); got != nil {
		t.Errorf("ignored %v", got)
	}
}
