package main

// timeoutMinutes bounds the whole run: reading, pushing, deploying, and the rollback.

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// trickle gives a byte every 30 seconds, without end.
type trickle struct{ request *http.Request }

func (t trickle) Read(p []byte) (int, error) {
	select {
	case <-time.After(30 * time.Second):
		return copy(p, " "), nil
	case <-t.request.Context().Done():
		return 0, t.request.Context().Err()
	}
}

func TestTimeLimit(t *testing.T) {
	clearAWS(t)
	hangs := func(e exchange) (*http.Response, error) {
		<-e.request.Context().Done()
		return nil, e.request.Context().Err()
	}
	trickles := func(e exchange) (*http.Response, error) {
		out := answer(e.request, http.StatusOK, "application/json", nil)
		out.Body, out.ContentLength = io.NopCloser(trickle{e.request}), -1
		return out, nil
	}
	for _, tt := range []struct {
		name, operation string
		drama           string
		answer          func(exchange) (*http.Response, error)
		late            bool // it takes all of the time
	}{
		{"tags that cannot be read", "registry:GetManifest", "deploy", hangs, false},
		{"an upload that is not accepted", "registry:StartUpload", "deploy", hangs, true},
		{"an answer to an upload that trickles", "registry:FinishUpload", "deploy", trickles, true},
		{"a manifest that trickles", "registry:PutManifest", "deploy", trickles, false},
		{"Retry-After: 999999", "registry:StartUpload", "deploy", func(e exchange) (*http.Response, error) {
			out, err := refuse(e, http.StatusTooManyRequests, "TOOMANYREQUESTS", "Rate exceeded")
			out.Header.Set("Retry-After", "999999")
			return out, err
		}, false},
		{"a repository that cannot be read", "ecr:DescribeRepositories", "deploy", hangs, false},
		{"a service that cannot be read", "ecs:DescribeServices", "rollout", hangs, false},
		{"a task definition that is not registered", "ecs:RegisterTaskDefinition", "rollout", hangs, false},
		{"a redirect loop", "registry:StartUpload", "deploy", func(e exchange) (*http.Response, error) {
			return answer(e.request, http.StatusTemporaryRedirect, "text/plain", nil, "Location", e.request.URL.String()), nil
		}, false},
		{"who it is is not told", "sts:GetCallerIdentity", "push", hangs, false},
		{"who it is trickles", "sts:GetCallerIdentity", "deploy", trickles, false},
		{"push: tags that trickle", "registry:GetManifest", "push", trickles, false},
		{"push: an upload that is not accepted", "registry:StartUpload", "push", hangs, true},
		{"push: an answer to an upload that trickles", "registry:FinishUpload", "push", trickles, true},
		{"push: a password that trickles", "ecr:GetAuthorizationToken", "push", trickles, false},
		{"placeholder: an upload that is not accepted", "registry:StartUpload", "placeholder", hangs, true},
		{"placeholder: an answer to an upload that trickles", "registry:FinishUpload", "placeholder", trickles, true},
		{"placeholder: an image that is not described", "ecr:DescribeImages", "placeholder-again", trickles, false},
		{"currentImage: a service that trickles", "ecs:DescribeServices", "current-image", trickles, false},
		{"currentImage: a revision that trickles", "ecs:DescribeTaskDefinition", "current-image", trickles, false},
		{"verify: a service that hangs", "ecs:DescribeServices", "verify", hangs, false},
		{"drift: revisions that trickle", "ecs:DescribeTaskDefinition", "drift", trickles, false},
		{"rollback: a service that trickles", "ecs:DescribeServices", "back", trickles, false},
		{"runTask: a task that trickles", "ecs:RunTask", "run-task", trickles, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drama{name: tt.drama, tag: "17"}
			archive := d.read(t)
			limited := &txtar.Archive{}
			for _, f := range archive.Files {
				if f.Name == "inputs" {
					f.Data = append(bytes.Clone(f.Data), "timeoutMinutes: 5\n"...)
				}
				limited.Files = append(limited.Files, f)
			}
			p := d.playOn(t, limited, func(e exchange) (*http.Response, error) {
				if e.operation == tt.operation {
					return tt.answer(e)
				}
				return e.send()
			})
			if p.took > 5*time.Minute+10*time.Second || p.result() != "Failed" {
				t.Errorf("took %s, %s\n%s", p.took, p.result(), tail(p.log))
			}
			limit, words := 4*time.Minute, "within 4 minutes (timeoutMinutes: 5, including 1 minute kept for a rollback)"
			if tt.drama != "deploy" && tt.drama != "rollout" || tt.operation == "sts:GetCallerIdentity" {
				limit, words = 5*time.Minute, "within 5 minutes (timeoutMinutes)"
			}
			named := strings.Contains(p.log, words)
			if tt.late && !named || named != (p.took >= limit) {
				t.Errorf("after %s the error names the limit: %t\n%s", p.took, named, tail(p.log))
			}
		})
	}
}
