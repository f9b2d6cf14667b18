package taskdef_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/taskdef"
)

const dbSecret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat/db-AbCdEf"

// TestSecretVersions: what a registered revision says of its secrets, against what
// there is now.
func TestSecretVersions(t *testing.T) {
	many := map[string]string{}
	for i := range 40 {
		many[fmt.Sprintf("/chat/%d", i)] = "1"
	}
	more := map[string]string{}
	for source := range many {
		more[source] = "1"
	}
	more["/chat/7"] = "2"
	for name, c := range map[string]struct {
		then, now map[string]string
		changed   []string
	}{
		"the same":               {map[string]string{"/a": "3", dbSecret: "01234567-89ab"}, map[string]string{"/a": "3", dbSecret: "01234567-89ab"}, nil},
		"a parameter":            {map[string]string{"/a": "3", "/b": "1"}, map[string]string{"/a": "4", "/b": "1"}, []string{"/a"}},
		"a secret":               {map[string]string{dbSecret + ":user::": "01234567-89ab"}, map[string]string{dbSecret + ":user::": "fedcba98-89ab"}, []string{dbSecret + ":user::"}},
		"ids with one beginning": {map[string]string{dbSecret: "terraform-20260101120000000000000001"}, map[string]string{dbSecret: "terraform-20260202120000000000000001"}, []string{dbSecret}},
		"the same chosen id":     {map[string]string{dbSecret: "terraform-20260101120000000000000001"}, map[string]string{dbSecret: "terraform-20260101120000000000000001"}, nil},
		"two":                    {map[string]string{"/a": "3", "/b": "1"}, map[string]string{"/b": "2", "/a": "4"}, []string{"/a", "/b"}},
		"not known then":         {map[string]string{"/a": "3"}, map[string]string{"/a": "3", "/b": "2"}, nil},
		"not known now":          {map[string]string{"/a": "3", "/b": "1"}, map[string]string{"/a": "3"}, nil},
		"nothing known then":     {nil, map[string]string{"/a": "3"}, nil},
		"more than fit, same":    {many, many, nil},
		"more than fit, one of": {many, more, slices.Sorted(func(yield func(string) bool) {
			for source := range many {
				if !yield(source) {
					return
				}
			}
		})},
	} {
		d := with(t, load(t, "fargate"), taskdef.Provenance{BuildID: "1", Secrets: taskdef.SecretVersions(c.then)})
		if got := parse(t, string(d.RegisterInput())).ChangedSecrets(c.now); !slices.Equal(got, c.changed) {
			t.Errorf("%s: %v, want %v", name, got, c.changed)
		}
		if !taskdef.Equal(d, load(t, "fargate")) {
			t.Errorf("%s: versions make it another definition", name)
		}
	}
}

// The tag has no part of a value, since none is known, and nothing of the name of a
// secret but a hash.
func TestSecretVersionsInTheTag(t *testing.T) {
	got := taskdef.SecretVersions(map[string]string{"/chat/mode": "12", dbSecret: "01234567-89ab-cdef"})
	if strings.Contains(got, "chat") || !strings.Contains(got, ":12") || !strings.Contains(got, ":01234567") || len(got) != 6+3+1+6+9 {
		t.Error(got)
	}
	if got := taskdef.SecretVersions(nil); got != "" {
		t.Error(got)
	}
}

func TestSecretSources(t *testing.T) {
	d := parse(t, `{"family":"web","containerDefinitions":[
		{"name":"a","image":"i","secrets":[{"name":"A","valueFrom":"/a"},{"name":"B","valueFrom":"/a"}],"repositoryCredentials":{"credentialsParameter":"arn:pull"}},
		{"name":"b","image":"i","secrets":[{"name":"C","valueFrom":"/c"}],"logConfiguration":{"logDriver":"splunk","secretOptions":[{"name":"token","valueFrom":"/token"}]}}]}`)
	if got := d.SecretSources(); !slices.Equal(got, []string{"/a", "/c", "/token"}) {
		t.Errorf("%v", got)
	}
}
