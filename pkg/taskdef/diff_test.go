package taskdef_test

import (
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/taskdef"
)

func lines(diff []taskdef.Difference) []string {
	var all []string
	for _, d := range diff {
		all = append(all, d.String())
	}
	return all
}

func TestDiff(t *testing.T) {
	for _, test := range []struct {
		name, from string
		replace    []string // old, new, … in the document
		want       []string
	}{
		{"an image", "fargate",
			[]string{"chat-app:4711", "chat-app:4712"},
			[]string{"app.image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:4711 → 123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:4712"}},
		{"a role shows old and new", "fargate",
			[]string{"role/chat-app-task", "role/other"},
			[]string{"taskRoleArn arn:aws:iam::123456789012:role/chat-app-task → arn:aws:iam::123456789012:role/other"}},
		{"sizes", "fargate",
			[]string{`"cpu":"256","memory":"512"`, `"cpu":"1 vCPU"`},
			[]string{"cpu 256 → 1024", "memory 512 → (none)"}},
		{"values of variables are masked", "fargate",
			[]string{`"value":"info"`, `"value":"debug"`, `"FEATURES"`, `"FLAGS"`},
			[]string{"app.environment FEATURES *** → (none)", "app.environment FLAGS (none) → ***", "app.environment LOG_LEVEL *** → *** (changed)"}},
		{"an empty value is not no value", "fargate",
			[]string{`,{"name":"FEATURES","value":""}`, ``},
			[]string{"app.environment FEATURES *** → (none)"}},
		{"a variable that becomes a secret is two lines", "fargate",
			[]string{`{"name":"LOG_LEVEL","value":"info"},`, ``, `"secrets":[`, `"secrets":[{"name":"LOG_LEVEL","valueFrom":"arn:level"},`},
			[]string{"app.environment LOG_LEVEL *** → (none)", "app.secrets LOG_LEVEL (none) → arn:level"}},
		{"a secret shows where it is, not what", "fargate",
			[]string{"chat-db-AbCdEf", "chat-db-GhIjKl"},
			[]string{"app.secrets DB_PASSWORD arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-AbCdEf → arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-GhIjKl"}},
		{"a command", "fargate",
			[]string{`"--port","8080"]`, `"--port","80"]`},
			[]string{`app.command ["serve","--port","8080"] → ["serve","--port","80"]`}},
		{"a port, by its place", "bridge",
			[]string{`"containerPort":80`, `"containerPort":8080`},
			[]string{"webserver.portMappings[0].containerPort 80 → 8080"}},
		{"a range of ports", "fargate",
			[]string{`"appProtocol":"http"}`, `"appProtocol":"http"},{"containerPortRange":"80-90"}`},
			[]string{"app.portMappings[1].containerPortRange (none) → 80-90"}},
		{"variables of one name, by their places", "bridge",
			[]string{`{"name":"lorem","value":"ipsum"}`, `{"name":"foo","value":"baz"}`},
			[]string{"application.environment[1].name lorem → foo", "application.environment[1].value *** → *** (changed)"}},
		{"variables without a name, by their places", "bridge",
			[]string{`{"name":"lorem","value":"ipsum"}`, `{"value":"ipsum"}`},
			[]string{"application.environment[0].name foo → (none)", "application.environment[0].value *** → *** (changed)",
				"application.environment[1].name lorem → foo", "application.environment[1].value *** → *** (changed)"}},
		{"options of a log driver are masked", "firelens",
			[]string{`"splunk-token":"0b1c2d3e-token"`, `"splunk-token":"other"`, `,"tag":""`, ``},
			[]string{"orders.logConfiguration.options.splunk-token *** → *** (changed)", "orders.logConfiguration.options.tag *** → (none)"}},
		{"those of awslogs are not", "fargate",
			[]string{`"/ecs/chat-app"`, `"/ecs/new group"`},
			[]string{`app.logConfiguration.options.awslogs-group /ecs/chat-app → "/ecs/new group"`}},
		{"labels are masked", "bridge",
			[]string{"admin:$apr1$x", "admin:$apr1$y"},
			[]string{"webserver.dockerLabels.traefik.http.middlewares.auth.basicauth.users *** → *** (changed)"}},
		{"a container comes", "bridge",
			[]string{`"containerDefinitions":[`, `"containerDefinitions":[{"name":"sidecar","image":"envoy:1","environment":[{"name":"A","value":"secret"}]},`},
			[]string{"sidecar (none) → envoy:1"}},
		{"and goes", "firelens",
			[]string{`"name":"log_router"`, `"name":"router"`},
			[]string{"log_router public.ecr.aws/aws-observability/aws-for-fluent-bit:stable → (none)", "router (none) → public.ecr.aws/aws-observability/aws-for-fluent-bit:stable"}},
		{"a volume by its name", "future",
			[]string{`"rootDirectory":"/"`, `"rootDirectory":"/new"`, `"cachePolicy":{}`, `"cachePolicy":{"token":"hunter2"}`},
			[]string{"volumes index.efsVolumeConfiguration.cachePolicy.token (none) → ***", "volumes index.efsVolumeConfiguration.rootDirectory / → /new"}},
		{"unknown members are named, not shown", "future",
			[]string{`"hunter2"`, `"hunter3"`, `"ratio":1.0`, `"ratio":1.5`, `"list":[]`, `"list":[1]`, `,"origin":"elsewhere"`, ``},
			[]string{
				"search.environment HEAP.origin *** → (none)",
				"search.teleport[1].apiKey *** → *** (changed)",
				"quantumScheduling.list *** → *** (changed)",
				"quantumScheduling.ratio *** → *** (changed)",
			}},
		{"an unknown member without anything in it", "future",
			[]string{`,"empty":{}`, ``},
			[]string{"quantumScheduling.empty *** → (none)"}},
		{"tags", "fargate",
			[]string{`{"key":"team","value":"chat"}`, `{"key":"build","value":"17"},{"key":"team","value":"core"}`},
			[]string{"tags build (none) → 17", "tags team chat → core"}},
		{"a type", "fargate",
			[]string{`"runtimePlatform":{"cpuArchitecture":"X86_64","operatingSystemFamily":"LINUX"}`, `"runtimePlatform":"LINUX"`},
			[]string{"runtimePlatform {…} → ***"}},
		{"what was left out shows what it meant", "fargate",
			[]string{`"interval":30`, `"interval":25`, `,"essential":true`, `,"essential":false`},
			[]string{"app.essential true → false", "app.healthCheck.interval 30 → 25"}},
		{"but not where there was nothing to leave it out of", "bridge",
			[]string{`"readOnly":true}]`, `"readOnly":true},{"sourceVolume":"x","readOnly":true}]`},
			[]string{"webserver.mountPoints[1].readOnly (none) → true", "webserver.mountPoints[1].sourceVolume (none) → x"}},
		{"a number is not the string", "fargate",
			[]string{`"retries":3`, `"retries":"4"`, `"interval":30`, `"interval":31`, `"timeout":5`, `"timeout":"5"`},
			[]string{"app.healthCheck.interval 30 → 31", "app.healthCheck.retries 3 → 4", "app.healthCheck.timeout 5 → 5 (changed)"}},
		{"another network mode", "bridge",
			[]string{`"networkMode":"bridge"`, `"networkMode":"awsvpc"`},
			[]string{"webserver.portMappings[0].hostPort 0 → 80", "networkMode bridge → awsvpc"}},
		{"what is long is cut in the middle", "fargate",
			[]string{`role/chat-app-task"`, `role/` + strings.Repeat("a", 200) + `/end"`},
			[]string{"taskRoleArn arn:aws:iam::123456789012:role/chat-app-task → arn:aws:iam::123456789012:role/" + strings.Repeat("a", 69) + "…" + strings.Repeat("a", 55) + "/end"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := compact(t, described(t)[test.from])
			after := edited(t, before, test.replace...)
			got := lines(taskdef.Diff(parse(t, before), parse(t, after)))
			if !slices.Equal(got, test.want) {
				t.Errorf("differences:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if back := taskdef.Diff(parse(t, after), parse(t, before)); len(back) != len(test.want) {
				t.Errorf("backwards %d differences, want %d: %v", len(back), len(test.want), back)
			}
			if taskdef.Equal(parse(t, before), parse(t, after)) {
				t.Error("Equal, although they differ")
			}
		})
	}
}

// No value of a variable, an option, a label or an unknown member is ever shown,
// wherever a difference may be.
func TestDiffHidesSecrets(t *testing.T) {
	const doc = `{"family":"f","containerDefinitions":[{"name":"c","image":"i",
		"environment":[{"name":"A","value":"hunter2"},{"value":"hunter2"}],
		"dockerLabels":{"l":"hunter2"},
		"logConfiguration":{"logDriver":"d","options":{"o":"hunter2"}},
		"firelensConfiguration":{"type":"t","options":{"o":"hunter2"}},
		"unknown":{"deep":["hunter2"]},"flat":["hunter2"]}],
		"volumes":[{"name":"v","dockerVolumeConfiguration":{"driverOpts":{"o":"hunter2"},"labels":{"l":"hunter2"}}}],
		"unknown":"hunter2"}`
	empty := parse(t, `{"family":"f","containerDefinitions":[{"name":"c"}]}`)
	for name, other := range map[string]string{
		"as it is":            doc,
		"other shapes":        strings.NewReplacer(`[{"name":"A","value":"hunter2"},{"value":"hunter2"}]`, `{"A":"hunter2"}`, `{"l":"hunter2"}`, `"hunter2"`, `{"o":"hunter2"}`, `["hunter2"]`).Replace(doc),
		"lists of the secret": strings.NewReplacer(`[{"name":"A","value":"hunter2"},{"value":"hunter2"}]`, `["hunter2"]`, `{"o":"hunter2"}`, `["hunter2"]`).Replace(doc),
		"another secret":      strings.ReplaceAll(doc, "hunter2", "hunter2b"),
		"nothing at all ":     `{"family":"f","containerDefinitions":[{"name":"d"}]}`,
	} {
		for _, pair := range [][2]taskdef.Definition{{parse(t, doc), parse(t, other)}, {parse(t, other), parse(t, doc)}, {empty, parse(t, other)}, {parse(t, other), empty}} {
			if all := strings.Join(lines(taskdef.Diff(pair[0], pair[1])), "\n"); strings.Contains(all, "hunter2") {
				t.Errorf("%s: a secret is shown:\n%s", name, all)
			}
		}
	}
}
