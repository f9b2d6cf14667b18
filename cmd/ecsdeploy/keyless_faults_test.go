package main

// Faults of the calls by which a run gets its identity, and of those to Azure DevOps.

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/azdo"
)

// idPart is a part of a path that differs from run to run.
var idPart = regexp.MustCompile(`/(\d+|[0-9a-f]{8}-[0-9a-f-]{27})\b`)

// keylessRollout is a rollout by an OIDC token alone; meddle has every request first.
func keylessRollout(t *testing.T, meddle func(exchange) (*http.Response, error)) (log string, took time.Duration, calls []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		const role = "arn:aws:iam::123456789012:role/deploy"
		w, devops := newWorld(t), azdo.New(azdo.Options{})
		time.Sleep(10 * time.Minute)
		w.push(t, "17", "amd64")
		both := clouds{devops, w.Transport()}
		w.AddOIDCProvider(emulator.OIDCProvider{Issuer: devops.Issuer(), ClientIDs: []string{azdo.Audience}, Transport: both})
		if err := w.TrustRole(role, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
			"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/`+strings.TrimPrefix(devops.Issuer(), "https://")+`"}}]}`); err != nil {
			t.Fatal(err)
		}
		environ := append(environment(t, w, t.TempDir(), "{command: rollout, repository: chat-app, cluster: "+cluster+", services: "+service+"}"),
			"INPUT_ROLEARN="+role, "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI="+devops.CollectionURL(), "SYSTEM_SERVERTYPE=Hosted", "SYSTEM_HOSTTYPE=build",
			"SYSTEM_OIDCREQUESTURI="+devops.OIDCRequestURI(), "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN="+devops.Token())
		environ = slices.DeleteFunc(environ, func(e string) bool {
			return strings.HasPrefix(e, "AWS_ACCESSKEYID=") || strings.HasPrefix(e, "SECRET_AWS_SECRETACCESSKEY=")
		})
		var mu sync.Mutex
		numbers := map[string]int{}
		var out bytes.Buffer
		begin := time.Now()
		run(t.Context(), environ, &out, carrier(func(r *http.Request) (*http.Response, error) {
			operation := operationOf(r)
			if devops.Serves(r.URL) {
				operation = "devops:" + r.Method + " " + idPart.ReplaceAllString(r.URL.Path, "/…")
			}
			mu.Lock()
			numbers[operation]++
			e := exchange{operation, numbers[operation], r, func() (*http.Response, error) { return both.RoundTrip(r) }}
			mu.Unlock()
			return meddle(e)
		}))
		log, took, calls = out.String(), time.Since(begin), slices.Sorted(maps.Keys(numbers))
	})
	return log, took, calls
}

// carrier is a function as a transport.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// TestKeylessFaults disturbs each call to Azure DevOps and to STS: the run succeeds, or
// fails within its time and names what it could not get, and nothing was changed then. A
// call that only says more never makes it fail.
func TestKeylessFaults(t *testing.T) {
	clearAWS(t)
	if testing.Short() {
		t.Skip("plays whole runs")
	}
	log, _, calls := keylessRollout(t, func(e exchange) (*http.Response, error) { return e.send() })
	if !strings.Contains(log, "result=Succeeded") {
		t.Fatal(log)
	}
	type cell struct {
		operation string
		disturbance
	}
	var cells []cell
	for _, operation := range calls {
		if strings.HasPrefix(operation, "devops:") || strings.HasPrefix(operation, "sts:") {
			for _, d := range disturbances {
				cells = append(cells, cell{operation, d})
			}
		}
	}
	if len(cells) < 30 || !slices.ContainsFunc(calls, func(c string) bool { return strings.Contains(c, "oidctoken") }) {
		t.Fatalf("%d cells, calls %q", len(cells), calls)
	}
	total, failed := len(cells), 0
	if !*allFaults {
		random := rand.New(rand.NewPCG(max(*seed, 1), 10))
		random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		cells = cells[:8]
	}
	for _, c := range cells {
		var first time.Time
		hits := 0
		var mu sync.Mutex
		log, took, _ := keylessRollout(t, func(e exchange) (*http.Response, error) {
			if e.operation == c.operation {
				mu.Lock()
				if hits++; hits == 1 {
					first = time.Now()
				}
				hit, since := hits, time.Since(first)
				mu.Unlock()
				if response, err := c.answer(e, hit, since); response != nil || err != nil {
					return response, err
				}
			}
			return e.send()
		})
		name := c.operation + ": " + c.name
		if problem := injected(log); len(problem) > 0 || strings.Count(log, "##vso[task.complete ") != 1 || took > 30*time.Minute {
			t.Errorf("%s: %v, after %s\n%s", name, problem, took, tail(log))
		}
		if strings.Contains(log, "##vso[task.complete result=Succeeded") {
			continue
		}
		failed++
		t.Logf("%s fails", name)
		identity := strings.HasPrefix(c.operation, "sts:") || strings.Contains(c.operation, "oidctoken")
		at := strings.LastIndex(log, "##vso[task.logissue type=error]")
		if !identity || at < 0 || !regexp.MustCompile(`(?i)OIDC|identity|AssumeRole|session|role`).MatchString(log[at:]) || strings.Contains(log, "taskDefinitionArn;isoutput=true]arn") {
			t.Errorf("%s fails\n%s", name, tail(log))
		}
	}
	t.Logf("%d cells, %d played, %d of them failed", total, len(cells), failed)
}
