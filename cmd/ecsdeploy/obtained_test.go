package main

// Secrets that a run obtains: whatever crosses the wire and opens something is asked
// to be masked before it is used, and is in no line and no file that a run leaves.

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/azdo"
	"ecsdeploy/pkg/image/registry"
)

// eavesdropper notes every secret of the requests and replies that it carries.
type eavesdropper struct {
	inner http.RoundTripper
	mu    sync.Mutex
	heard map[string]string // what it is, by the secret
}

// given are the places of replies that hold secrets. ECR's token is user:password in
// base64.
var given = map[string]*regexp.Regexp{
	"an OIDC token":           regexp.MustCompile(`"oidcToken"\s*:\s*"([^"]+)"`),
	"a session's key":         regexp.MustCompile(`<SecretAccessKey>([^<]+)<`),
	"a session's token":       regexp.MustCompile(`<SessionToken>([^<]+)<`),
	"ECR's token":             regexp.MustCompile(`"authorizationToken"\s*:\s*"([^"]+)"`),
	"a pre-signed signature":  regexp.MustCompile(`X-Amz-Signature=([0-9a-f]+)`),
	"a pre-signed session":    regexp.MustCompile(`X-Amz-Security-Token=([^&"\s]+)`),
	"a password of a session": regexp.MustCompile(`"password"\s*:\s*"([^"]+)"`),
}

func (e *eavesdropper) note(what string, secrets ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= 8 {
			e.heard[s] = what
		}
	}
}

func (e *eavesdropper) RoundTrip(r *http.Request) (*http.Response, error) {
	e.note("credentials of a request", registry.Credentials(r.Header)...)
	e.note("the session of a request", r.Header.Get("X-Amz-Security-Token"))
	if _, signature, signed := strings.Cut(r.Header.Get("Authorization"), "Signature="); signed {
		e.note("the signature of a request", signature)
	}
	response, err := e.inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	for what, place := range given {
		for _, m := range place.FindAllStringSubmatch(string(body)+"\n"+response.Header.Get("Location"), -1) {
			e.note(what, m[1])
			if plain, err := base64.StdEncoding.DecodeString(m[1]); err == nil && what == "ECR's token" {
				_, password, _ := strings.Cut(string(plain), ":")
				e.note("ECR's password", password, string(plain))
			}
		}
	}
	return response, err
}

// written are the files of directories.
func written(t *testing.T, directories ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, directory := range directories {
		err := filepath.WalkDir(directory, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			all[filepath.Base(path)] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestObtainedSecrets runs commands at System.Debug without a key: by an OIDC token, the
// session that it is exchanged for, another role's session, and ECR's password.
func TestObtainedSecrets(t *testing.T) {
	clearAWS(t)
	const role = "arn:aws:iam::123456789012:role/deploy"
	service := "cluster: " + cluster + ", services: " + service
	for name, inputs := range map[string]string{
		"deploy":       "{command: deploy, image: app.tar, repository: chat-app, " + service + "}",
		"push":         "{command: push, image: app.tar, repository: chat-app}",
		"rollout":      "{command: rollout, repository: chat-app, tags: placeholder, " + service + "}",
		"denied":       "{command: rollout, repository: gone, tags: placeholder, " + service + "}",
		"verify":       "{command: verify, image: app.tar, repository: chat-app, " + service + "}",
		"currentImage": "{command: currentImage, repository: chat-app, " + service + "}",
		"placeholder":  "{command: placeholder, repository: chat-app}",
		"drift":        "{command: drift, " + service + "}",
		"rollback":     "{command: rollback, " + service + "}",
		"resume":       "{command: resume, " + service + "}",
		"runTask":      "{command: runTask, containerCommand: '[\"x\"]', " + service + "}",
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			var log bytes.Buffer
			e := &eavesdropper{heard: map[string]string{}}
			places := map[string]string{} // what is written, by where
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), azdo.New(azdo.Options{})
				time.Sleep(10 * time.Minute)
				e.inner = clouds{devops, w.Transport()}
				w.AddOIDCProvider(emulator.OIDCProvider{Issuer: devops.Issuer(), ClientIDs: []string{azdo.Audience}, Transport: clouds{devops, w.Transport()}})
				host := strings.TrimPrefix(devops.Issuer(), "https://")
				if err := w.TrustRole(role, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
					"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/`+host+`"}}]}`); err != nil {
					t.Fatal(err)
				}
				w.save(t, "app.tar", "17", "amd64")
				w.save(t, "placeholder.tar", "0", "amd64")
				environ := append(environment(t, w, temp, inputs), "INPUT_ROLEARN="+role, "SYSTEM_DEBUG=true",
					"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI="+devops.CollectionURL(), "SYSTEM_SERVERTYPE=Hosted", "SYSTEM_HOSTTYPE=build",
					"SYSTEM_OIDCREQUESTURI="+devops.OIDCRequestURI(), "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN="+devops.Token())
				environ = slices.DeleteFunc(environ, func(e string) bool {
					return strings.HasPrefix(e, "AWS_ACCESSKEYID=") || strings.HasPrefix(e, "SECRET_AWS_SECRETACCESSKEY=")
				})
				run(t.Context(), environ, &log, e)
				maps.Copy(places, written(t, temp, w.directory))
			})
			if len(e.heard) < 4 {
				t.Errorf("only %d secrets crossed the wire:\n%s", len(e.heard), tail(log.String()))
			}
			var plain strings.Builder
			for line := range strings.Lines(log.String()) {
				if !strings.HasPrefix(line, "##vso[task.setsecret]") {
					plain.WriteString(line)
				}
			}
			places["the log"] = plain.String()
			for where, text := range places {
				for secret, what := range e.heard {
					for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
						if i := strings.Index(text, form); i >= 0 {
							t.Errorf("%s has %s: …%s…", where, what, text[max(i-120, 0):i])
						}
					}
				}
			}
			for secret, what := range e.heard { // the agent is told, so that later tasks of the job keep quiet as well
				escaped := strings.NewReplacer("%", "%AZP25").Replace(secret)
				if what != "the signature of a request" && !strings.Contains(log.String(), "##vso[task.setsecret]"+escaped) && !strings.Contains(log.String(), "##vso[task.setsecret]"+secret) {
					t.Errorf("the agent is not asked to mask %s", what)
				}
			}
		})
	}
}
