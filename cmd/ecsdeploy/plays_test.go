package main

// Runs that no transcript shows, for the permissions that only they need: failures of
// each command, and each addition with each command that may have it. Most are made from
// a transcript of rollout.

import (
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

const (
	onTheService = "\ncluster: " + cluster + "\nservices: " + service + "\n"
	aSecret      = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat/db-AbCdEf"
)

// plays are the inputs and the script of such runs.
func plays(t *testing.T, archives map[string]*txtar.Archive) map[string]*txtar.Archive {
	t.Helper()
	all := map[string]*txtar.Archive{}
	of := func(name, inputs, script string) {
		all[name] = txtar.Parse([]byte("-- inputs --\n" + inputs + "\n-- script --\n" + script + "\n"))
	}
	all["new repository"], all["current image, busy"] = txtar.Parse([]byte(newRepository)), txtar.Parse([]byte(currentWhileBusy))
	of("rollback, slow", "command: rollback"+onTheService, "running 16\nrunning 17\nscenario slow")
	of("back, failed", "command: rollback\nbuildId: 15"+onTheService, "running 14\nimage 15\nscenario crash\nrolled 15\nafter 10m\nscenario complete")
	of("runTask, current", "command: runTask\nimage: current\ncontainer: app\ncontainerCommand: '[\"x\"]'"+onTheService, "running 16\nrunning 17\ntask exit 0 5s done")
	of("deploy, secrets", "command: deploy\nimage: app.tar\nrepository: chat-app\nwhenSecretsChange: deploy"+onTheService,
		"image 16\nrolled 16 secrets: \"A="+aSecret+":a::\"\nafter 10m\nrenew "+aSecret+"\narchive app.tar 17")
	of("deploy, parameter", "command: deploy\nimage: app.tar\nrepository: chat-app\nwhenSecretsChange: deploy"+onTheService,
		"image 16\nrolled 16 secrets: MODE=/chat/mode\nafter 10m\nrenew /chat/mode\narchive app.tar 17")
	for _, name := range []string{"crash", "unhealthy", "slow", "codedeploy", "schedules", "keep-revisions", "migration", "smoke-command", "smoke-passes"} {
		if archives[name] == nil {
			t.Fatalf("there is no transcript %s", name)
		}
		inputs := strings.Replace(section(archives[name], "inputs"), "command: rollout", "command: deploy\nimage: app.tar", 1)
		script := strings.Replace(section(archives[name], "script"), "image 17", "archive app.tar 17", 1)
		of(name+", as deploy", inputs, script)
	}
	return all
}

// everywhere are the additions that every command that moves a service may have.
var everywhere = []string{"CodeDeploy", "keepRevisions", "schedules", "migrationCommand", "smokeTest", "failOnVulnerabilities", "whenSecretsChange"}
