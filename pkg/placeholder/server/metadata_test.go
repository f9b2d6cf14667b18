package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// onFargate is an answer of the endpoint, shortened.
const onFargate = `{
  "Cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/product-dev-cluster",
  "TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/product-dev-cluster/1c5b6a8e2f4d4f0e9f3a7b6c5d4e3f2a",
  "Family": "chat-app", "Revision": "3", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
  "Limits": {"CPU": 0.25, "Memory": 512},
  "Containers": [{"DockerId": "1c5b6a8e", "Name": "app", "Labels": {"com.amazonaws.ecs.cluster": "other"}, "Networks": [{"IPv4Addresses": ["10.0.2.100"]}]}],
  "LaunchType": "FARGATE", "ServiceName": "chat-app-dev-ecs-svc"
}`

func TestParseTask(t *testing.T) {
	for _, test := range []struct {
		name, document string
		want           task
	}{
		{"Fargate", onFargate, task{"chat-app-dev-ecs-svc", "product-dev-cluster", "1c5b6a8e2f4d4f0e9f3a7b6c5d4e3f2a"}},
		{"EC2, where the cluster has its short name, and a task without a service",
			`{"Cluster": "default", "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c"}`,
			task{"", "default", "158d1c8083dd49d6b527399fd6414f5c"}},
		{"the old form of ARN", `{"TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/0a1b"}`, task{"", "", "0a1b"}},
		{"members of other types", `{"Cluster": null, "TaskARN": 7}`, task{}},
	} {
		if got, err := parseTask([]byte(test.document)); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

func TestFetchTask(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		err    string // contained in the error; empty for none
	}{
		{"as ECS answers", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(onFargate)) }, ""},
		{"an answer in pieces", func(w http.ResponseWriter, r *http.Request) {
			for piece := range strings.Lines(onFargate) {
				w.Write([]byte(piece))
				w.(http.Flusher).Flush()
			}
		}, ""},
		{"not yet known to the agent", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) }, "answers HTTP/1.0 404"},
		{"throttled", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "answers HTTP/1.0 429"},
		{"an answer without end", func(w http.ResponseWriter, r *http.Request) {
			for w.Write([]byte("[")); r.Context().Err() == nil; {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "not a JSON object"},
		{"a web page", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) }, "not a JSON object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v4/0a1b-42/task" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				test.answer(w, r)
			}))
			defer s.Close()
			got, err := fetchTask(t.Context(), s.URL+"/v4/0a1b-42")
			switch {
			case test.err == "" && (err != nil || got.service != "chat-app-dev-ecs-svc"):
				t.Errorf("got %+v, %v", got, err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("got %+v, %v; want an error with %q", got, err, test.err)
			}
		})
	}
	for _, uri := range []string{"https://169.254.170.2/v4", "http://", "unix:///run/agent", "http:///task"} {
		if got, err := fetchTask(t.Context(), uri); err == nil || !strings.Contains(err.Error(), "no http address") {
			t.Errorf("%s: got %+v, %v", uri, got, err)
		}
	}
}
