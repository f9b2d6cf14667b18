package input

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// accepts checks a parser of values that are passed on as they are.
func accepts(t *testing.T, what string, parse func(string) (string, error), good, bad []string) {
	t.Helper()
	for _, text := range good {
		if got, err := parse(text); err != nil || got != text {
			t.Errorf("%s %q = %q, %v", what, text, got, err)
		}
	}
	for _, text := range bad {
		if got, err := parse(text); err == nil {
			t.Errorf("%s %q = %q, want an error", what, text, got)
		}
	}
}

func TestParseValues(t *testing.T) {
	long, digest := strings.Repeat("x", 256), "sha256:"+strings.Repeat("a", 64)
	accepts(t, "region", parseRegion,
		[]string{"eu-west-1", "us-gov-east-1", "cn-northwest-1", "us-isob-east-1", "ap-southeast-7"},
		[]string{"eu-west", "eu_west_1", "eu-west-1a", "Ireland", "eu-west-1 "})
	accepts(t, "role", parseRoleARN,
		[]string{"arn:aws:iam::123456789012:role/deployer", "arn:aws-us-gov:iam::123456789012:role/path/to/x+=,.@-_"},
		[]string{"deployer", "arn:aws:iam::123456789012:user/deployer", "arn:aws:iam::12345:role/x", "arn:aws:sts::123456789012:assumed-role/x/y"})
	accepts(t, "session name", parseSessionName,
		[]string{"ab", "a_+=,.@-9", strings.Repeat("x", 64)}, []string{"a", "a b", "a/b", strings.Repeat("x", 65)})
	accepts(t, "KMS key", parseKMSKey,
		[]string{"alias/aws/ecr", "alias/images", "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws-cn:kms:cn-north-1:123456789012:alias/images"},
		[]string{"images", "key/1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-west-1:123456789012:1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:s3:eu-west-1:123456789012:key/x", "alias/a b", "AES256"})
	accepts(t, "filter of tags", parseTagFilter, []string{"latest", "dev-*", "*"}, []string{"dev:*", "a b", strings.Repeat("x", 129)})
	accepts(t, "external id", parseExternalID,
		[]string{"ab", "a_+=,.@:/-9"}, []string{"a", "a b", "a!"})
	accepts(t, "image to push", parseImageFor(Deploy),
		[]string{"app", "app:1", "host:5000/app@" + digest, "out/my image.tar", `C:\out\image.tar`, "docker://x/y:z", digest, "out/*.tar", "out/image.tar#app:1", "app:1@" + digest},
		[]string{"a\nb", "a\r\nb", "app:", "app:7@", "app@sha256:aa", "app:a*b", "docker://x/y:", "docker://x/y@sha256:aa", "h.io/App:1"})
	accepts(t, "image to roll out", parseImageFor(Rollout),
		[]string{"current", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1", "localhost/a"}, []string{"a\nb", "host.io/a b", "app:1"})
	accepts(t, "reference", parseReference,
		[]string{"docker.io/library/nginx", "127.0.0.1:5000/app:1", "localhost/app", "ghcr.io/a/b@" + digest, "ghcr.io/a/b:1@" + digest, "h.io/a/b__c/d-e.f:V1_x", "[::1]:5000/app"},
		[]string{"current", "xx", "nginx:1.29", "grafana/grafana:12", "host.io", "host.io/", "host.io/a b", "a\nb.io/c",
			"h.io/web:", "h.io/web:7@", "h.io/web@", "h.io/web@sha256:aa", "h.io/web:a*b", "h.io/web:-1", "h.io/web:" + long, "h.io/Web:1", "h.io//web", "h.io/web/:1",
			"h.io/web@sha256:" + strings.Repeat("g", 64), "h.io/web@sha256:" + strings.Repeat("A", 64), "h.io/web@md5:aa", "-h.io/web:1", "h.io:x/web:1"})
	accepts(t, "platform", parsePlatform,
		[]string{"linux/amd64", "linux/arm/v7", "windows/amd64"}, []string{"linux", "linux/", "amd64", "darwin/arm64", "Linux/amd64", "linux/amd64,linux/arm64"})
	accepts(t, "repository", parseRepository,
		[]string{"chat-app", "team/chat.app_x", "a1/b2/c3", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app",
			"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/x1", "123456789012.dkr-ecr.us-east-1.on.aws/x/y", "127.0.0.1:5000/chat-app", "localhost:5000/a/b"},
		[]string{"a", "Chat", "chat--", "chat app", "/chat", "chat/", "chat//app", "chat..app", "chat-app:1", "chat-app@sha256:aa",
			"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:1",
			"123456789012.dkr.ecr.eu-west-1.amazonaws.com/", long + "x"})
	accepts(t, "tag", parseTag,
		[]string{"1234", "v1.2_x-y", "_x", strings.Repeat("x", 128)}, []string{"-x", ".x", "a b", "a,b", "a/b", "a:b", "ü", strings.Repeat("x", 129)})
	accepts(t, "container", parseContainer,
		[]string{"app", "App_1-x", long[1:]}, []string{"a b", "a/b", "a.b", "a:b", long})
	accepts(t, "cluster", parseCluster,
		[]string{"dev", long[1:], "arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/dev",
			"arn:aws:ecs:eu-west-1:123456789012:cluster/" + long[1:]},
		[]string{"dev/web", long, "arn:aws:ecs:eu-west-1:123456789012:service/dev/web", "arn:aws:ecs:::cluster/dev", "a b",
			"arn:aws:ecs:eu-west-1:123456789012:cluster/" + long, "arn:aws:ecs:eu-west-1:123456789012:cluster/dev/web",
			"arn:aws:ecs:eu-west-1:123456789012:cluster/", "arn:aws:ecs:eu-west-1:123456789012:cluster/dev\n"})
	accepts(t, "task definition", func(text string) (string, error) { v, err := parseTaskDefinition(text); return string(v), err },
		[]string{"latest", "running", "web", "web:12", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:12", "task.json", "deploy/web", `deploy\web.yaml`, "x.YML", `C:\x\task.json`,
			long[1:] + ":1", "arn:aws:ecs:eu-west-1:123456789012:task-definition/" + long[1:] + ":1"},
		[]string{"Latest", "runing", "web:latest", "web:0", "web:-1", "web:1:2", ":1", long + ":1", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web", "task.txt",
			"arn:aws:ecs:eu-west-1:123456789012:task-definition/" + long + ":1", "arn:aws:ecs:eu-west-1:123456789012:service/web:1"})
	accepts(t, "cpu", parseCPU,
		[]string{"256", "1 vCPU", "1vcpu", ".5 vCPU", "0.25 vCPU", "4096"}, []string{"0", "0 vCPU", "0.5", "1 CPU", "-1", "1  vCPU", "1 GB"})
	accepts(t, "memory", parseMemory,
		[]string{"512", "2 GB", "0.5GB", "30 gb"}, []string{"0", "0GB", "2 GiB", "512 MB", "1.5", "-1"})
}

func TestParseBool(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "True": true, "TRUE": true, "false": false, "False": false} {
		if got, err := parseBool(text); err != nil || got != want {
			t.Errorf("parseBool(%q) = %t, %v", text, got, err)
		}
	}
	for _, text := range []string{"yes", "no", "1", "0", "on", "t", "truee", "$true"} {
		if got, err := parseBool(text); err == nil {
			t.Errorf("parseBool(%q) = %t, want an error", text, got)
		}
	}
}

func TestParseNumbers(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "7": 7, "2147483647": 2147483647} {
		if got, err := parseCount(text); err != nil || *got != want {
			t.Errorf("parseCount(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1", "1.5", "two", "2147483648", "0x10"} {
		if got, err := parseCount(text); err == nil {
			t.Errorf("parseCount(%q) = %d, want an error", text, *got)
		}
	}
	for text, want := range map[string]time.Duration{"1": time.Minute, "10080": 7 * 24 * time.Hour} {
		if got, err := parseMinutes(text); err != nil || got != want {
			t.Errorf("parseMinutes(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "-5", "1.5", "30m", "10081", "99999999999999999999"} {
		if got, err := parseMinutes(text); err == nil {
			t.Errorf("parseMinutes(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseContainerCommand(t *testing.T) {
	for text, want := range map[string][]string{
		`["npm","run"]`: {"npm", "run"},
		"[\n \"a b\" ]": {"a b"},
		`[""]`:          {""},
		`[]`:            {},
	} {
		if got, err := parseContainerCommand(text); err != nil || got == nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parseContainerCommand(%s) = %#v, %v", text, got, err)
		}
	}
	for _, text := range []string{"npm run", `"npm"`, "null", "[1]", "[null]", `["a"`, `["a"] x`, `{"a":"b"}`, "['a']"} {
		if got, err := parseContainerCommand(text); err == nil {
			t.Errorf("parseContainerCommand(%s) = %#v, want an error", text, got)
		}
	}
}

func TestParseItems(t *testing.T) {
	longest := strings.Repeat("x", 255)
	for text, want := range map[string]Service{
		"web":     {"", "web"},
		"dev/web": {"dev", "web"},
		"arn:aws:ecs:eu-west-1:123456789012:service/dev/web":                    {"arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "web"},
		"arn:aws:ecs:eu-west-1:123456789012:service/web":                        {"", "web"},
		"arn:aws:ecs:eu-west-1:123456789012:service/" + longest + "/" + longest: {"arn:aws:ecs:eu-west-1:123456789012:cluster/" + longest, longest},
	} {
		if got, err := parseService(text); err != nil || got != want {
			t.Errorf("parseService(%q) = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"/web", "dev/", "a/b/c", "a b", "arn:aws:ecs:eu-west-1:123456789012:cluster/dev", "arn:aws:ecs:eu-west-1:123456789012:service/a/b/c", "web,worker",
		"arn:aws:ecs:eu-west-1:123456789012:service/", "arn:aws:ecs:eu-west-1:123456789012:service//web", "arn:aws:ecs:eu-west-1:123456789012:service/dev/",
		"arn:aws:ecs:eu-west-1:123456789012:service/dev/" + longest + "x", "arn:aws:ecs:eu-west-1:123456789012:service/" + longest + "x/web"} {
		if got, err := parseService(text); err == nil {
			t.Errorf("parseService(%q) = %+v, want an error", text, got)
		}
	}

	for text, want := range map[string]ContainerImage{"a=h:5/i:b": {"a", "h:5/i:b"}, "migrate=self": {"migrate", SelfReference}} {
		if got, err := parseContainerImage(text); err != nil || got != want {
			t.Errorf("parseContainerImage(%q) = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"a=h:5/i@sha256:b=c", "a=h.io/i:", "a=h.io/i:1@", "a=h.io/i@sha256:ab", "a=h.io/i:x*", "a=Self", "a", "a=", "=x", "a b=x", "a=x y", "a= x"} {
		if got, err := parseContainerImage(text); err == nil {
			t.Errorf("parseContainerImage(%q) = %+v, want an error", text, got)
		}
	}

	for _, value := range []string{
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:key::",
		"arn:aws-cn:ssm:cn-north-1:123456789012:parameter/a/b", "/chat/db.password",
	} {
		if got, err := parseSecret("web:DB=" + value); err != nil || got != (Variable{"web", "DB", value}) {
			t.Errorf("parseSecret with %q = %+v, %v", value, got, err)
		}
	}
	for _, text := range []string{"DB=hunter2", "DB=", "DB", "DB=arn:aws:s3:::bucket/key", "DB=arn:aws:ssm:eu-west-1:123456789012:parameter/"} {
		if got, err := parseSecret(text); err == nil {
			t.Errorf("parseSecret(%q) = %+v, want an error", text, got)
		}
	}
}

// What a parser of items accepts is what can be written again from it.

func FuzzParseService(f *testing.F) {
	for _, seed := range []string{"web", "dev/web", "a/b/c", "arn:aws:ecs:eu-west-1:123456789012:service/dev/web", "arn:aws:ecs:eu-west-1:123456789012:service/web"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseService(text)
		if err != nil {
			return
		}
		again := strings.ReplaceAll(s.Cluster, ":cluster/", ":service/") + "/" + s.Name
		if s.Cluster == "" && strings.HasPrefix(text, "arn:") {
			again = text[:strings.LastIndexByte(text, '/')+1] + s.Name
		} else if s.Cluster == "" {
			again = s.Name
		}
		if again != text || !isName(s.Name) || s.Cluster != "" && !isName(s.ClusterName()) {
			t.Errorf("parseService(%q) = %+v, written again %q", text, s, again)
		}
	})
}

func FuzzParseContainerImage(f *testing.F) {
	for _, seed := range []string{"a=b", "a==", "a=b=c", "=", "a b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if i, err := parseContainerImage(text); err == nil && (i.Container+"="+i.Image != text || i.Image == "") {
			t.Errorf("parseContainerImage(%q) = %+v", text, i)
		}
	})
}

func FuzzParseRepository(f *testing.F) {
	for _, seed := range []string{"chat-app", "h:1/x", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b", "a:b@c", "x//y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseRepository(text)
		if err != nil {
			return
		}
		if got != text || strings.ContainsAny(got, "@ \n") || strings.HasSuffix(got, "/") || strings.Contains(got, "//") {
			t.Errorf("parseRepository(%q) = %q", text, got)
		}
	})
}

// A list has an item or a mistake for each line that is not blank.
func FuzzList(f *testing.F) {
	f.Add("a\r\n\r\nb\rb\n c d ")
	f.Add("$(x)\n\t\n-")
	f.Fuzz(func(t *testing.T, text string) {
		lines := 0
		for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		var l loader
		items := list(&l, "tags", text, parseTag, itself)
		if len(items)+len(l.mistakes) != lines {
			t.Errorf("%q: %d items and %d mistakes from %d lines", text, len(items), len(l.mistakes), lines)
		}
	})
}
