package taskdef

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
)

// TestParseFileReferences: what a file names within itself is there, and fits. ECS would
// say so only when the revision is registered.
func TestParseFileReferences(t *testing.T) {
	const beside = `,{"name":"db","image":"y","essential":false}`
	for _, tt := range []struct{ name, top, app, others, want string }{
		{"nothing wrong", `"networkMode":"awsvpc","volumes":[{"name":"v"}]`, `"mountPoints":[{"sourceVolume":"v","containerPath":"/v"}],"dependsOn":[{"containerName":"db","condition":"SUCCESS"}],
			"volumesFrom":[{"sourceContainer":"db"}],"portMappings":[{"containerPort":80,"hostPort":80},{"containerPort":81,"hostPort":0},{"containerPort":82}]`, beside, ""},
		{"depends on nobody", "", `"dependsOn":[{"containerName":"dbb","condition":"START"}]`, beside, "dependsOn[0].containerName names the container dbb"},
		{"waits for health that is not checked", "", `"dependsOn":[{"containerName":"db","condition":"HEALTHY"}]`, beside, "dependsOn[0].condition is HEALTHY, and container db has no healthCheck"},
		{"waits for health", "", `"dependsOn":[{"containerName":"db","condition":"HEALTHY"}]`, `,{"name":"db","image":"y","healthCheck":{"command":["CMD","x"]}}`, ""},
		{"waits for the end of an essential container", "", `"dependsOn":[{"containerName":"db","condition":"COMPLETE"}]`, `,{"name":"db","image":"y"}`, "condition is COMPLETE, and container db is essential"},
		{"an unknown condition passes", "", `"dependsOn":[{"containerName":"db","condition":"READY"}]`, beside, ""},
		{"a volume that is not there", `"volumes":[{"name":"v"}]`, `"mountPoints":[{"sourceVolume":"data","containerPath":"/v"}]`, "", "mountPoints[0].sourceVolume names the volume data"},
		{"no volumes at all", "", `"mountPoints":[{"sourceVolume":"data","containerPath":"/v"}]`, "", "names the volume data"},
		{"volumes of nobody", "", `"volumesFrom":[{"sourceContainer":"gone"}]`, "", "volumesFrom[0].sourceContainer names the container gone"},
		{"a proxy that is not there", `"proxyConfiguration":{"containerName":"envoy"}`, "", "", "proxyConfiguration.containerName names the container envoy"},
		{"no essential container", "", `"essential":false`, beside, "no essential container"},
		{"links in awsvpc", `"networkMode":"awsvpc"`, `"links":["db"]`, beside, "links is for the network mode bridge"},
		{"links in bridge", `"networkMode":"bridge"`, `"links":["db"]`, beside, ""},
		{"another host port in awsvpc", `"networkMode":"awsvpc"`, `"portMappings":[{"containerPort":80,"hostPort":8080}]`, "", "hostPort is 8080 and containerPort is 80"},
		{"another host port in bridge", `"networkMode":"bridge"`, `"portMappings":[{"containerPort":80,"hostPort":8080}]`, "", ""},
		{"a log group is missing", "", `"logConfiguration":{"logDriver":"awslogs","options":{}}`, "", "logConfiguration has no awslogs-group in its options"},
		{"a log group is enough on EC2", "", `"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g"}}`, "", ""},
		{"a stream prefix is missing on Fargate", `"requiresCompatibilities":["FARGATE"]`, `"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g","awslogs-region":"eu-west-1"}}`, "", "has no awslogs-stream-prefix"},
		{"another log driver", `"requiresCompatibilities":["FARGATE"]`, `"logConfiguration":{"logDriver":"splunk","options":{}}`, "", ""},
		{"a volume with one", `"volumes":[{"name":"my data"}]`, "", "", `volumes[0].name is "my data"; ECS takes up to 255 letters, digits, _ and -`},
		{"a container with one", "", "", `,{"name":"side.car","image":"y","essential":false}`, `containerDefinitions[1].name is "side.car"`},
		{"a container whose name is too long", "", "", `,{"name":"` + strings.Repeat("n", 256) + `","image":"y","essential":false}`, "containerDefinitions[1].name is"},
		{"a container whose name is just not", "", "", `,{"name":"` + strings.Repeat("n", 255) + `","image":"y","essential":false}`, ""},
		{"the wrong type alone", "", `"essential":"false"`, "", "is a string, ECS wants a boolean"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			comma := func(s string) string {
				if s == "" {
					return ""
				}
				return "," + s
			}
			text := `{"family":"f"` + comma(tt.top) + `,"containerDefinitions":[{"name":"app","image":"x"` + comma(tt.app) + `}` + tt.others + `]}`
			_, err := ParseFile("td.json", []byte(text), nil)
			all := mistake.Each(err)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if len(all) != 1 || !strings.Contains(all[0].Error(), tt.want) || !strings.Contains(all[0].Error(), "td.json: line 1: ") || all[0].(*mistake.Error).Advice == "" {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestParseFileTellsAll: a member in a member that is misspelt itself, and every value
// that CloudFormation works out, are told in the same run.
func TestParseFileTellsAll(t *testing.T) {
	for text, want := range map[string][]string{
		`{"family":"f","containerDefinitions":[{"name":"a","image":"x","enviroment":[{"Name":"A","Value":"1"}]}]}`:                                        {"enviroment is", "enviroment[0].Name is", "enviroment[0].Value is"},
		`{"Type":"AWS::ECS::TaskDefinition","Properties":{"Family":"f","Cpu":{"Ref":"C"},"ContainerDefinitions":[{"Name":"a","Image":{"Fn::Sub":"x"}}]}}`: {"Ref", "Fn::Sub"},
	} {
		_, err := ParseFile("td.json", []byte(text), nil)
		all := mistake.Each(err)
		if len(all) != len(want) {
			t.Errorf("%d mistakes: %v", len(all), err)
			continue
		}
		for i, one := range all {
			if !strings.Contains(one.Error(), want[i]) {
				t.Errorf("%v, want %q", one, want[i])
			}
		}
	}
}

// TestFamilyOfAFile: a family with a character that ECS refuses, as a branch in a variable
// leaves it, is known with its line.
func TestFamilyOfAFile(t *testing.T) {
	branch := func(string) (string, bool, bool) { return "feature/login", false, true }
	_, err := ParseFile("td.json", []byte(`{"family":"web-$(Branch)","containerDefinitions":[{"name":"app","image":"x"}]}`), branch)
	if err == nil || !strings.Contains(err.Error(), `td.json: line 1: family is "web-feature/login"; ECS takes up to 255 letters`) {
		t.Error(err)
	}
}

// TestInconsistent: containers fit into their task, and names of variables are given once.
func TestInconsistent(t *testing.T) {
	for _, tt := range []struct{ top, container, want string }{
		{`"memory":"512"`, `"memory":512`, ""},
		{`"memory":"0.5 GB"`, `"memoryReservation":256`, ""},
		{`"memory":"512"`, "", ""},
		{`"memory":"512"`, `"memory":1024`, "container app has 1024 MiB of memory, and the task 512 MiB"},
		{`"memory":"1 GB"`, `"memoryReservation":2048`, "has 2048 MiB"},
		{"", `"memory":128,"memoryReservation":256`, "reserves 256 MiB"},
		{"", "", "has no memory"},
		{"", `"memoryReservation":64`, ""},
		{`"memory":"512","cpu":"256"`, `"cpu":256`, ""},
		{`"memory":"512","cpu":"0.25 vCPU"`, `"cpu":257`, "the containers have 257 CPU units together, and the task 256 CPU units"},
		{`"memory":"512"`, `"cpu":4096`, ""}, // the task has no cpu of its own
		{`"memory":"lots"`, "", ""},          // ECS has the last word on what it means
		{`"memory":"512"`, `"environment":[{"name":"A","value":"1"}],"secrets":[{"name":"A","valueFrom":"/a"}]`, "has A twice"},
		{`"memory":"512"`, `"secrets":[{"name":"A","valueFrom":"/a"},{"name":"A","valueFrom":"/b"}]`, "has A twice"},
		{`"memory":"512"`, `"environment":[{"name":"A","value":"1"},{"name":"A","value":"2"}]`, ""}, // the last one wins
	} {
		text := `{"family":"f",` + tt.top + `,"containerDefinitions":[{"name":"app","image":"x",` + tt.container + `}]}`
		text = strings.NewReplacer(",,", ",", ",}", "}").Replace(text)
		d, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Inconsistent(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", text, err, tt.want)
		}
	}
}

// TestMalformedImages: an image that no registry can have is not registered, whatever
// put it into the definition.
func TestMalformedImages(t *testing.T) {
	digest := strings.Repeat("a", 64)
	for image, want := range map[string]string{
		"nginx": "", "h.io:5000/a/b:1": "", "h.io/a@sha256:" + digest: "", "h.io/a:1@sha256:" + digest: "", "H.io/A_b-c.d#e:V1": "", "h.io/a@sha512:" + digest: "", "": "",
		"h.io/a:":           "has an empty tag",
		"h.io/a@":           "has an incomplete digest",
		"h.io/a:1@":         "has an incomplete digest",
		"h.io/a@sha256:0a1": "has an incomplete digest",
		"h.io/a:$(tag)":     "has the character '$'",
		"h.io/a:a*b":        "has the character '*'",
		"h.io/a: 1":         "has the character ' '",
		"h.io/ä:1":          "has the character 'ä'",
		":7":                "has an empty part",
		"@sha256:" + digest: "has an empty part",
		"h.io/:7":           "has an empty part",
		"h.io/team/:7":      "has an empty part",
		"h.io:5000/:7":      "has an empty part",
		"web:1:2":           "has a colon too many",
		"h.io:5000/web:1:2": "has a colon too many",
		"h.io/te:am/web":    "has a colon too many",
		"h.io/te:am/web:1":  "has a colon too many",
		"h.io/" + strings.Repeat("a", 248) + ":1": "",
		"h.io/" + strings.Repeat("a", 249) + ":1": "has more than 255 characters",
		"/a:1":      "has an empty part",
		"h.io//a:1": "has an empty part",
		"h.io/":     "has an empty part",
	} {
		if got := malformed(image); got != want {
			t.Errorf("%q %s, want %q", image, got, want)
		}
		d, err := Parse([]byte(`{"family":"f","memory":"512","containerDefinitions":[{"name":"app","image":"x"},{"name":"side","image":"` + image + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		said := "container side has the image"
		if image == "" {
			want, said = "an image", "container side has no image"
		}
		if err := d.Inconsistent(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), said) {
			t.Errorf("%q: %v", image, err)
		}
	}
}
