package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/emulator"
)

// TestAgentsProxy has a run reach AWS through the proxy that the agent was
// configured with, and says nothing of the proxy's password.
func TestAgentsProxy(t *testing.T) {
	clearAWS(t)
	e, err := emulator.New(emulator.Options{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	refused := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "aws.example.com" || r.Header.Get("Proxy-Authorization") != "Basic dTpoI250ZXIy" {
			refused++
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		e.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	t.Setenv("AWS_ENDPOINT_URL", "http://aws.example.com")

	environ := []string{
		"INPUT_COMMAND=currentImage", "INPUT_REGION=" + region, "INPUT_CLUSTER=" + cluster, "INPUT_SERVICES=" + service, "INPUT_DEFAULTIMAGE=docker.io/library/nginx:1",
		"AWS_ACCESSKEYID=AKIAIOSFODNN7EXAMPLE", "SECRET_AWS_SECRETACCESSKEY=wJalrXUtnFEMI", "SYSTEM_DEBUG=true", "AGENT_TEMPDIRECTORY=" + t.TempDir(),
		"AGENT_PROXYURL=" + proxy.URL, "AGENT_PROXYUSERNAME=u", "SECRET_AGENT_PROXYPASSWORD=h#nter2", `AGENT_PROXYBYPASSLIST=["^https://internal"]`,
	}
	var log bytes.Buffer
	if code := run(t.Context(), environ, &log, nil); code != 0 || refused != 0 {
		t.Errorf("exit code %d, %d requests refused", code, refused)
	}
	if !slices.ContainsFunc(e.Requests(), func(r emulator.Request) bool { return r.Operation == "DescribeServices" }) {
		t.Errorf("AWS was not asked through the proxy:\n%s", log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "h#nter2") && !strings.Contains(line, "task.setsecret") {
			t.Errorf("the password shows: %s", line)
		}
	}
	if !strings.Contains(log.String(), "proxy "+proxy.URL+" (AGENT_PROXYURL)") {
		t.Errorf("the debug log does not name the proxy:\n%s", log.String())
	}
}
