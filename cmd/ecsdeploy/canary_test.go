package main

import (
	"bytes"
	"encoding/base64"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"
)

// TestCanaries runs every command at System.Debug with secrets in every place from
// which a run gets them. None may be in the log, except where the agent is asked to
// mask it, or in a file that a run leaves behind.
func TestCanaries(t *testing.T) {
	clearAWS(t)
	const (
		secret  = "canary/Secret+Key=0123456789"
		token   = "canary-job-token-0123456789"
		proxy   = "canary%2Fproxy-0123456789"
		docker  = "canary@docker/0123456789"
		session = "canary-session-0123456789"
	)
	canaries := []string{secret, token, proxy, "canary/proxy-0123456789", docker, session}
	for _, c := range canaries {
		canaries = append(canaries, base64.StdEncoding.EncodeToString([]byte(c)))
	}
	for _, name := range []string{
		"push", "deploy", "rollout", "rollback", "placeholder-again", "current-image", "back", "resume", "codedeploy", "codedeploy-hook-failed", "mistakes", "denied", "crash",
		"run-task", "run-task-fails", "verify", "verify-wrong", "drift", "secrets-changed", "migration", "resume-rollback", "schedules",
		"smoke-passes", "smoke-fails", "smoke-unreachable", "smoke-command", "signed-push", "scan-findings", "task-tags", "order-fails", "create-repository-policy-denied", "express",
	} {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			temp := t.TempDir()
			var log bytes.Buffer
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				time.Sleep(10 * time.Minute)
				for line := range strings.Lines(section(archive, "script")) {
					if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "runs" && fields[0] != "untimed" && fields[0] != "cancel" {
						w.perform(t, fields)
					}
				}
				run(t.Context(), append(environment(t, w, temp, section(archive, "inputs")),
					"SYSTEM_DEBUG=true", "SECRET_AWS_SECRETACCESSKEY="+secret, "AWS_SESSIONTOKEN="+session,
					"ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN="+token, "SECRET_SYSTEM_ACCESSTOKEN="+token,
					"HTTPS_PROXY=http://user:"+proxy+"@127.0.0.1:1", "DOCKER_HOST=tcp://user:"+docker+"@127.0.0.1:1",
					"SYSTEM_COLLECTIONURI=https://user:"+token+"@dev.azure.com/example/"), &log, w.Transport())
			})
			for line := range strings.Lines(log.String()) {
				if !strings.HasPrefix(line, "##vso[task.setsecret]") {
					silent(t, "the log", line, canaries)
				}
			}
			err = filepath.WalkDir(temp, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				content, err := os.ReadFile(path)
				silent(t, filepath.Base(path), string(content), canaries)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// silent reports the canaries in a text.
func silent(t *testing.T, where, text string, canaries []string) {
	t.Helper()
	for _, c := range canaries {
		if strings.Contains(text, c) {
			t.Errorf("%s has %s: %q", where, c, text)
		}
	}
}

// TestSecretsOfContainers: a container prints what Markdown would have escaped, and the
// pipeline knows that it is secret. No file of the run shows it.
func TestSecretsOfContainers(t *testing.T) {
	clearAWS(t)
	const secret = "environment variable DATABASE_URL" // as the scenario's container prints it
	temp := t.TempDir()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.perform(t, []string{"running", "16"})
		w.push(t, "17", "amd64")
		w.perform(t, []string{"scenario", "crash"})
		run(t.Context(), append(environment(t, w, temp, "{command: rollout, repository: chat-app, cluster: "+cluster+", services: "+service+"}"), "SECRET_URL="+secret), &log, w.Transport())
	})
	if !strings.Contains(log.String(), "| panic: missing required ***\n") {
		t.Errorf("the container did not print it:\n%s", log.String())
	}
	for _, summary := range markdownIn(t, temp) {
		shown := html.UnescapeString(summary)
		silent(t, "the summary", shown, []string{secret, "DATABASE_URL"})
		if !strings.Contains(shown, "panic: missing required ***\n") {
			t.Errorf("the summary does not have the line:\n%s", shown)
		}
	}
	if n := len(markdownIn(t, temp)); n != 1 {
		t.Errorf("%d summaries", n)
	}
}

// TestSecretsThatAreCut: a message that has room for the beginning of a secret shows
// none of it.
func TestSecretsThatAreCut(t *testing.T) {
	clearAWS(t)
	secret := "correct horse battery staple " + strings.Repeat("x3Qv9", 60)
	for name, inputs := range map[string]string{
		"in place of a repository": "{command: rollout, repository: SECRET, cluster: " + cluster + ", services: " + service + "}",
		"in place of a cluster":    "{command: rollout, repository: chat-app, cluster: SECRET, services: " + service + "}",
	} {
		temp := t.TempDir()
		var log bytes.Buffer
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			environ := environment(t, w, temp, inputs)
			for i := range environ {
				environ[i] = strings.Replace(environ[i], "=SECRET", "="+secret, 1)
			}
			run(t.Context(), append(environ, "SECRET_X="+secret, "SYSTEM_DEBUG=true"), &log, w.Transport())
		})
		for line := range strings.Lines(log.String()) {
			if !strings.HasPrefix(line, "##vso[task.setsecret]") {
				silent(t, name+": the log", line, []string{"correct horse"})
			}
		}
		for where, text := range written(t, temp) {
			silent(t, name+": "+where, text, []string{"correct horse"})
		}
		if !strings.Contains(log.String(), "***") {
			t.Errorf("%s: nothing is masked:\n%s", name, log.String())
		}
	}
}
