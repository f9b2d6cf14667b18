package recording

import (
	"regexp"
	"strings"
	"testing"
)

// familiar is an anonymiser that has met the names of an account.
func familiar() *aliases {
	a := newAliases(func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") })
	a.hide([]string{"postgres-prod", "first line\n  second-line", "task", "abc"})
	a.name("cluster", "main")
	a.name("service", "shop-api")
	a.name("service", "task")
	a.name("container", "app")
	a.arn("arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7")
	a.id("ecs-svc/1234567890123456789")
	return a
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"(service shop-api) has started 2 tasks: (task 0123456789abcdef0123456789abcdef).", "(service service-1) has started 2 tasks: (task 00000000000000000000000000000002)."},
		{"rolling back to deploymentId ecs-svc/1234567890123456789.", "rolling back to deploymentId ecs-svc/0000000000000000001."},
		{"rolling back to deployment ecs-svc/99.", "rolling back to deployment ecs-svc/2."},
		{"User: arn:aws:sts::123456789012:assumed-role/shop-exec/i-0123456789abcdef0 may not", "User: arn:aws:sts::000000000000:assumed-role/resource-1/resource-2 may not"},
		{"unable to assume the role 'arn:aws:iam::123456789012:role/shop-exec'", "unable to assume the role 'arn:aws:iam::000000000000:role/role-1'"},
		{"CannotPullContainerError: failed to resolve ref 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1042: not found", "CannotPullContainerError: failed to resolve ref registry.example/image-1: not found"},
		{"dial tcp 10.0.3.7:443: i/o timeout", "dial tcp 198.18.0.1:443: i/o timeout"},
		{"lookup db.corp.internal: no such host", "lookup host-1.example: no such host"},
		{"service ecs-tasks.amazonaws.com, logs.eu-west-1.amazonaws.com", "service ecs-tasks.amazonaws.com, logs.eu-west-1.amazonaws.com"},
		{`exec: "/srv/shop/start.sh": stat /srv/shop/start.sh: no such file`, `exec: "…": stat /srv/family-1/start.sh: no such file`},
		{"container app exited, the application did not", "container container-1 exited, the application did not"},
		{"task failed container health checks", "task failed container health checks"}, // a service is called so
		{"account 123456789012, key AKIAIOSFODNN7EXAMPLE, ada@example.com", "account 000000000000, key ***, user-1@host.example"},
		{"password hunter22 on postgres-prod", "password *** on ***"},
		{"first line, second-line, task abc", "***, ***, task abc"},
		{"https://user@hooks.corp.example/T0/B0?x=1 at 12:34:56, fe80::1:2", "https://host.example/1 at 12:34:56, 2001:db8::1"},
		{"image sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "image sha256:" + strings.Repeat("0", 63) + "1"},
		{"subnet subnet-0123456789abcdef0 has no free address", "subnet subnet-00000000000000001 has no free address"},
		{"in subnet 'subnet-0a1b2c3d', 'subnet-1b2c3d4e' and 'subnet-0a1b2c3d'", "in subnet '…', '…2' and '…'"}, // reasons that differ there stay different
		{"can't and won't", "can't and won't"},
		{"", ""},
	} {
		if got := familiar().text(tt.text); got != tt.want {
			t.Errorf("%q\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

func TestForms(t *testing.T) {
	a := familiar()
	for _, tt := range []struct{ got, want string }{
		{a.arn("arn:aws-cn:ecs:cn-north-1:123456789012:service/main/shop-api"), "arn:aws:ecs::000000000000:service/cluster-1/service-1"},
		{a.arn("arn:aws:ecs:eu-west-1:123456789012:service-revision/main/shop-api/1234567890123456789"), "arn:aws:ecs::000000000000:service-revision/cluster-1/service-1/0000000000000000001"},
		{a.arn("arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:8"), "arn:aws:ecs::000000000000:task-definition/family-1:8"},
		{a.arn("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop-tg/0123456789abcdef"), "arn:aws:elasticloadbalancing::000000000000:targetgroup/targetGroup-1/0000000000000002"},
		{a.arn("arn:nonsense"), "resource-1"}, {a.arn(""), ""},
		{a.id("d-ABCDEFGHI"), "d-000000003"}, {a.id("0a1b2c3d-0000-4000-8000-000000000000"), "00000000-0000-0000-0000-000000000004"}, {a.id(""), ""},
		{a.code("IN_PROGRESS"), "IN_PROGRESS"}, {a.code("Target.FailedHealthChecks"), "Target.FailedHealthChecks"}, {a.code("my secret"), "…"}, {a.code("hunter22"), "…"}, {a.code(""), ""},
		{a.name("cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/main"), "arn:aws:ecs::000000000000:cluster/cluster-1"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// FuzzText: whatever stands around them, neither a secret, a value of a variable,
// an account's number nor a name that is known stays in a text; and the same text
// becomes the same again.
func FuzzText(f *testing.F) {
	for _, around := range []string{"", " ", "(service ", "'", `"`, ":", "/", "arn:aws:ecs:eu-west-1:", "https://x.com/", "a.b.com/", "@", "\x00", "é", "…"} {
		f.Add(around, around)
	}
	canaries := map[string]*regexp.Regexp{}
	for _, canary := range []string{"hunter22", "postgres-prod", "123456789012", "shop-api", "1234567890123456789"} {
		canaries[canary] = regexp.MustCompile(`(^|[^\pL\pN])` + canary + `([^\pL\pN]|$)`)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		for canary, pattern := range canaries {
			for _, separator := range []string{" ", "/", "'", "."} {
				text := before + separator + canary + separator + after
				got := familiar().text(text)
				if pattern.MatchString(got) && len(text) < maxText && !pattern.MatchString(before) && !pattern.MatchString(after) {
					t.Errorf("%q has %s: %q", text, canary, got)
				}
			}
		}
		if a, text := familiar(), before+" "+after; a.text(text) != a.parts(clip(strings.ToValidUTF8(text, "�"))) && !strings.Contains(text, "hunter22") && !strings.Contains(text, "postgres-prod") {
			t.Errorf("%q has two readings", text)
		}
	})
}
