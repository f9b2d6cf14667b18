package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/azdo"
)

// clouds routes a run's requests to Azure DevOps or to AWS.
type clouds struct {
	devops *azdo.Server
	aws    http.RoundTripper
}

func (c clouds) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.devops.Serves(r.URL) {
		return c.devops.Transport().RoundTrip(r)
	}
	return c.aws.RoundTrip(r)
}

// TestKeyless runs a whole deployment with no access key anywhere: by the OIDC
// token of a service connection, and by the pipeline's own.
func TestKeyless(t *testing.T) {
	clearAWS(t)
	const (
		id   = "7d0a2c6e-3e0b-4c6b-8c3f-2a61f6f2c7b5"
		role = "arn:aws:iam::123456789012:role/deploy"
	)
	policy := func(issuer, subject string) string {
		host := strings.TrimPrefix(issuer, "https://")
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
			"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + host + `"},
			"Condition": {"StringEquals": {"` + host + `:aud": "` + azdo.Audience + `", "` + host + `:sub": "` + subject + `"}}}]}`
	}
	for name, tt := range map[string]struct {
		connection string
		environ    []string
	}{
		"connection": {id, []string{"INPUT_AWSCREDENTIALS=" + id,
			"ENDPOINT_AUTH_" + id + `={"scheme":"UsernamePassword","parameters":{"useOIDC":"true","assumeRoleArn":"` + role + `","roleSessionName":"deploy","externalId":"x"}}`}},
		"roleArn alone": {"", []string{"INPUT_ROLEARN=" + role, "INPUT_ROLESESSIONNAME=deploy"}},
	} {
		for _, trusted := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", not trusted"}[trusted], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, devops := newWorld(t), azdo.New(azdo.Options{})
					c := clouds{devops, w.Transport()}
					devops.AddConnection(id, "aws-production")
					w.AddOIDCProvider(emulator.OIDCProvider{Issuer: devops.Issuer(), ClientIDs: []string{azdo.Audience}, Transport: c})
					subject := devops.Subject(tt.connection)
					if trusted {
						if err := w.TrustRole(role, policy(devops.Issuer(), subject)); err != nil {
							t.Fatal(err)
						}
					}
					w.save(t, "app.tar", "17", "amd64")
					environ := append(environment(t, w, t.TempDir(), "{command: deploy, image: app.tar, repository: chat-app, cluster: "+cluster+", services: "+service+"}"),
						"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI="+devops.CollectionURL(), "SYSTEM_SERVERTYPE=Hosted", "SYSTEM_HOSTTYPE=build",
						"SYSTEM_OIDCREQUESTURI="+devops.OIDCRequestURI(), "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN="+devops.Token())
					environ = append(slices.DeleteFunc(environ, func(e string) bool {
						return strings.HasPrefix(e, "AWS_ACCESSKEYID=") || strings.HasPrefix(e, "SECRET_AWS_SECRETACCESSKEY=")
					}), tt.environ...)
					var log bytes.Buffer
					if code := run(t.Context(), environ, &log, c); code != 0 {
						t.Errorf("exit code %d", code)
					}
					text := log.String()
					says := []string{"task.complete result=Succeeded", "arn:aws:sts::123456789012:assumed-role/deploy/deploy in eu-west-1", "subject " + subject}
					if !trusted {
						says = []string{"task.complete result=Failed", "Not authorized to perform sts:AssumeRoleWithWebIdentity", `"vstoken.dev.azure.com/6b1f3c52-2b36-4d6e-8f0c-0c8d1c2b7a01:sub":"` + subject + `"`}
					}
					for _, want := range says {
						if !strings.Contains(text, want) {
							t.Errorf("the log does not say %q:\n%s", want, text)
						}
					}
					if before, after, found := strings.Cut(text, "OIDC token of Azure DevOps:"); !found || !strings.Contains(before, "task.setsecret]ey") || strings.Contains(after, "]ey") {
						t.Errorf("the token is not masked before it is used:\n%s", text)
					}
				})
			})
		}
	}
}

// TestKeylessOverSockets has every party on a port of its own, in a classic
// release whose agent names no address for tokens.
func TestKeylessOverSockets(t *testing.T) {
	clearAWS(t)
	const role = "arn:aws:iam::123456789012:role/deploy"
	e, err := emulator.New(emulator.Options{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	aws := httptest.NewServer(e)
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)

	var devops *azdo.Server
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { devops.ServeHTTP(w, r) })
	site, releases := httptest.NewServer(handler), httptest.NewServer(handler)
	defer site.Close()
	defer releases.Close()
	devops = azdo.New(azdo.Options{URL: site.URL + "/example", ReleaseURL: releases.URL + "/example", Issuer: site.URL + "/issuer"})
	e.AddOIDCProvider(emulator.OIDCProvider{Issuer: devops.Issuer(), ClientIDs: []string{azdo.Audience}})
	if err := e.TrustRole(role, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
		"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/`+devops.Issuer()+`"}}]}`); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"INPUT_COMMAND=currentImage", "INPUT_REGION=" + region, "INPUT_CLUSTER=" + cluster, "INPUT_SERVICES=" + service,
		"INPUT_DEFAULTIMAGE=docker.io/library/nginx:1", "INPUT_ROLEARN=" + role, "AGENT_TEMPDIRECTORY=" + t.TempDir(),
		"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI=" + devops.CollectionURL(), "ENDPOINT_URL_SYSTEMVSSCONNECTION=" + devops.ReleaseURL(),
		"SYSTEM_TEAMPROJECT=Example", "SYSTEM_HOSTTYPE=release", "RELEASE_RELEASEID=3", "SYSTEM_PLANID=" + azdo.PlanID, "SYSTEM_JOBID=" + azdo.JobID,
		"ENDPOINT_AUTH_SYSTEMVSSCONNECTION={\"parameters\":{\"AccessToken\":\"" + devops.Token() + "\"},\"scheme\":\"OAuth\"}",
	}
	var log bytes.Buffer
	if code := run(t.Context(), environ, &log, nil); code != 0 || !strings.Contains(log.String(), "assumed-role/deploy/") {
		t.Errorf("exit code %d:\n%s", code, log.String())
	}
	requests := devops.Requests()
	if len(requests) != 3 || requests[0].Method != http.MethodPost || requests[0].Host != strings.TrimPrefix(releases.URL, "http://") {
		t.Errorf("requests %+v", requests)
	}
}
