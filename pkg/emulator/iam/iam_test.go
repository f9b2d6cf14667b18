package iam

import "testing"

func parse(t *testing.T, kind, arn, document string) Policy {
	t.Helper()
	p, err := Parse(kind, arn, []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(rest string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + rest + `}]}`
}

func TestDenied(t *testing.T) {
	const (
		service = "arn:aws:ecs:eu-west-1:123456789012:service/dev/web"
		none    = "because no identity-based policy allows the ecs:UpdateService action"
	)
	update := Request{"ecs:UpdateService", service, map[string][]string{"ecs:cluster": {"arn:aws:ecs:eu-west-1:123456789012:cluster/dev"}, "aws:TagKeys": {"build", "team"}}}
	tests := []struct{ name, document, want string }{
		{"one action", allow(`"Action":"ecs:UpdateService","Resource":"` + service + `"`), ""},
		{"another action", allow(`"Action":"ecs:DescribeServices","Resource":"*"`), none},
		{"another resource", allow(`"Action":"ecs:UpdateService","Resource":"` + service + `2"`), none},
		{"action in lower case with a wildcard", allow(`"Action":"ecs:update*","Resource":"*"`), ""},
		{"resource with wildcards", allow(`"Action":["ecs:*"],"Resource":["arn:aws:ecs:*:123456789012:service/d?v/*"]`), ""},
		{"resource in another case", allow(`"Action":"*","Resource":"arn:aws:ecs:eu-west-1:123456789012:service/DEV/web"`), none},
		{"all but one action", allow(`"NotAction":"ecs:UpdateService","Resource":"*"`), none},
		{"all but another action", allow(`"NotAction":"ecs:DeleteService","Resource":"*"`), ""},
		{"all but one resource", allow(`"Action":"*","NotResource":"` + service + `"`), none},
		{"condition on the cluster", allow(`"Action":"*","Resource":"*","Condition":{"ArnEquals":{"ecs:cluster":"arn:aws:ecs:eu-west-1:123456789012:cluster/dev"}}`), ""},
		{"condition in another case", allow(`"Action":"*","Resource":"*","Condition":{"ArnLike":{"ECS:Cluster":"arn:aws:ecs:*:*:cluster/d*"}}`), ""},
		{"condition on another cluster", allow(`"Action":"*","Resource":"*","Condition":{"ArnEquals":{"ecs:cluster":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod"}}`), none},
		{"condition on an absent key", allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"ecs:CreateAction":"RegisterTaskDefinition"}}`), none},
		{"condition on an absent key, if it exists", allow(`"Action":"*","Resource":"*","Condition":{"StringEqualsIfExists":{"ecs:CreateAction":"RegisterTaskDefinition"}}`), ""},
		{"condition on an absent key, negated", allow(`"Action":"*","Resource":"*","Condition":{"StringNotEquals":{"ecs:CreateAction":"RegisterTaskDefinition"}}`), ""},
		{"null", allow(`"Action":"*","Resource":"*","Condition":{"Null":{"ecs:CreateAction":"true"}}`), ""},
		{"not null", allow(`"Action":"*","Resource":"*","Condition":{"Null":{"ecs:CreateAction":false}}`), none},
		{"all of the keys", allow(`"Action":"*","Resource":"*","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["b*","team"]}}`), ""},
		{"not all of the keys", allow(`"Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["build"]}}`), none},
		{"any of the keys", allow(`"Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":["build"]}}`), ""},
		{"both conditions", allow(`"Action":"*","Resource":"*","Condition":{"Null":{"ecs:cluster":"false"},"StringNotLike":{"ecs:cluster":"*/dev"}}`), none},
		{"denied", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ecs:Update*","Resource":"*"}]}`, "with an explicit deny in an identity-based policy: arn:aws:iam::123456789012:policy/deploy"},
	}
	for _, test := range tests {
		p := parse(t, Identity, "arn:aws:iam::123456789012:policy/deploy", test.document)
		if got := Denied([]Policy{p}, update); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestKinds(t *testing.T) {
	all := allow(`"Action":"*","Resource":"*"`)
	reads := allow(`"Action":"ecs:Describe*","Resource":"*"`)
	deny := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecs:UpdateService","Resource":"*"}}`
	update := Request{Action: "ecs:UpdateService", Resource: "*"}
	tests := []struct {
		policies []Policy
		want     string
	}{
		{nil, "because no identity-based policy allows the ecs:UpdateService action"},
		{[]Policy{parse(t, Identity, "", all)}, ""},
		{[]Policy{parse(t, Identity, "", all), parse(t, Control, "", reads)}, "because no service control policy allows the ecs:UpdateService action"},
		{[]Policy{parse(t, Identity, "", all), parse(t, Boundary, "", reads)}, "because no permissions boundary allows the ecs:UpdateService action"},
		{[]Policy{parse(t, Identity, "", all), parse(t, Session, "", reads)}, "because no session policy allows the ecs:UpdateService action"},
		{[]Policy{parse(t, Identity, "", all), parse(t, Control, "arn:aws:organizations::1:policy/o/p", deny)}, "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o/p"},
	}
	for i, test := range tests {
		if got := Denied(test.policies, update); got != test.want {
			t.Errorf("%d: %q, want %q", i, got, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, document := range map[string]string{
		"no JSON":             `{`,
		"an old version":      `{"Version":"2008-10-17","Statement":[]}`,
		"no statement":        `{"Version":"2012-10-17","Statement":[]}`,
		"a misspelt member":   allow(`"Actions":"*","Resource":"*"`),
		"no action":           allow(`"Resource":"*"`),
		"no resource":         allow(`"Action":"*"`),
		"a bare action":       allow(`"Action":"UpdateService","Resource":"*"`),
		"no ARN":              allow(`"Action":"*","Resource":"service/web"`),
		"an unknown operator": allow(`"Action":"*","Resource":"*","Condition":{"NumericEquals":{"a":"1"}}`),
		"a set of Null":       allow(`"Action":"*","Resource":"*","Condition":{"ForAnyValue:Null":{"a":"true"}}`),
		"a variable":          allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"a":"${aws:username}"}}`),
		"no value":            allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"a":[]}}`),
		"an object as value":  allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"a":{}}}`),
		"a principal":         allow(`"Action":"*","Resource":"*","Principal":"*"`),
		"another effect":      `{"Version":"2012-10-17","Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}`,
	} {
		if _, err := Parse(Identity, "", []byte(document)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// FuzzParse holds that no document makes reading or evaluating panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(allow(`"Action":["ecs:*"],"Resource":"*","Condition":{"ForAllValues:StringNotLikeIfExists":{"aws:TagKeys":["a*?",true,1]}}`)))
	f.Add([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"*","NotResource":"*"}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := Parse(Identity, "", document)
		if err == nil {
			Denied([]Policy{p}, Request{Action: "ecs:UpdateService", Resource: "arn:aws:ecs:eu-west-1:1:service/a/b", Context: map[string][]string{"aws:TagKeys": {"a"}}})
		}
	})
}
