package deploy

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"ecsdeploy/pkg/taskdef"
)

// secretsOf knows the versions of some secrets, and has an error for the others.
type secretsOf struct {
	versions map[string]string
	err      error
}

func (s secretsOf) Versions(context.Context, []string) (map[string]string, error) {
	return s.versions, s.err
}

// TestSecretsInPart: versions of which a part could not be read are compared one by one,
// and not at all with the one hash of a revision that has many.
func TestSecretsInPart(t *testing.T) {
	for many, changed := range map[bool]int{false: 1, true: 0} {
		synctest.Test(t, func(t *testing.T) {
			then, text := map[string]string{}, ""
			for i := range 40 {
				if i < 3 || many {
					then[fmt.Sprint("/s/", i)] = "1"
					text += fmt.Sprintf(`,{"name":"S%d","valueFrom":"/s/%d"}`, i, i)
				}
			}
			running, err := path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"a","secrets":[`+text[1:]+`]}]}`).
				WithProvenance(taskdef.Provenance{BuildID: "1", Secrets: taskdef.SecretVersions(then)})
			if err != nil {
				t.Fatal(err)
			}
			d, v := newCloud().deployer()
			p := &Plan{secrets: newSecretReader(secretsOf{map[string]string{"/s/0": "1", "/s/1": "2"}, errDenied})}
			s := d.secretVersions(t.Context(), p, ServicePlan{Running: running}, running)
			if len(s.SecretsChanged) != changed || many != (len(s.Secrets) == 0) || len(shown[SecretsUnread](v)) != 1 {
				t.Errorf("many %v: changed %q, known %v", many, s.SecretsChanged, s.Secrets)
			}
		})
	}
}
