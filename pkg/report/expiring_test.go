package report

import (
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
)

func TestExpiringText(t *testing.T) {
	deleted := ecr.Ending{At: time.Date(2026, 12, 1, 8, 30, 0, 0, time.UTC)}
	deleted.Rule.RulePriority, deleted.Rule.Action.Type = 2, "expire"
	archived := deleted
	archived.Rule.Description, archived.Rule.Action.Type = "keep 3", "transition"
	const then = ": no task of it can be started then; raise the rule's limit, or let a rule of a higher priority keep such images"
	for want, e := range map[string]deploy.Expiring{
		"host/web:2, which is to run in web, is deleted by rule 2 of the repository's lifecycle policy after 2026-12-01 08:30 UTC" + then:            {URI: "host/web:2", Services: []deploy.Service{web}, Ending: deleted},
		"host/web:1, which a rollback of web, web needs, is archived by rule 2 (keep 3) of the repository's lifecycle policy within 24 hours" + then: {URI: "host/web:1", Services: []deploy.Service{web, web}, Rollback: true, Now: true, Ending: archived},
	} {
		if got := expiringText(e); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
