package main

// Rules and schedules in the transcripts: they are made before the run, and looked at
// after it.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"ecsdeploy/pkg/emulator"
)

var scheduled = regexp.MustCompile(`(?m)^(rule|schedule) `)

// performSchedule does what a line of a script says about rules and schedules, and
// reports whether the line is one of those.
//
//	rule NAME TARGET=REVISION…      a rule on the default bus with its targets
//	schedule GROUP/NAME REVISION [MEMBERS]
//	conflicts rule NAME TIMES       EventBridge takes the request and not the target
func (w *world) performSchedule(t *testing.T, verb string, args []string) bool {
	t.Helper()
	switch verb {
	case "rule":
		w.events(t, "PutRule", fmt.Sprintf(`{"Name":%q,"ScheduleExpression":"cron(0 3 * * ? *)"}`, args[0]))
		var targets []string
		for _, one := range args[1:] {
			id, revision, _ := strings.Cut(one, "=")
			targets = append(targets, fmt.Sprintf(`{"Id":%q,%s}`, id, target(revision)))
		}
		w.events(t, "PutTargets", fmt.Sprintf(`{"Rule":%q,"Targets":[%s]}`, args[0], strings.Join(targets, ",")))
	case "schedule":
		group, name, _ := strings.Cut(args[0], "/")
		more := strings.Join(args[2:], " ")
		if more == "" {
			more = `"ScheduleExpression":"cron(30 2 * * ? *)","ScheduleExpressionTimezone":"Europe/Berlin"`
		}
		w.signed(t, "scheduler", http.MethodPost, "/schedules/"+name, nil, fmt.Sprintf(
			`{"GroupName":%q,"Description":"made by infrastructure","FlexibleTimeWindow":{"Mode":"FLEXIBLE","MaximumWindowInMinutes":5},%s,"Target":{%s,"RetryPolicy":{"MaximumRetryAttempts":7}}}`,
			group, more, target(args[1])))
	case "hang": // hang OPERATION: it is never answered
		w.Fail(args[0], emulator.Fault{Hang: true})
	case "conflicts":
		w.FailEntry(args[1], "ConcurrentModificationException", "There is concurrent modification on a rule, target, archive, or replay.", number(t, args[2]))
	default:
		return false
	}
	return true
}

// target is a target that starts a task of a revision, with members that a client may
// forget to send back.
func target(revision string) string {
	return `"Arn":"arn:aws:ecs:` + region + `:123456789012:cluster/` + cluster + `","RoleArn":"arn:aws:iam::123456789012:role/schedules","Input":"{\"containerOverrides\":[{\"name\":\"app\",\"command\":[\"nightly\"]}]}",` +
		`"EcsParameters":{"TaskDefinitionArn":"arn:aws:ecs:` + region + `:123456789012:task-definition/` + revision + `","TaskCount":1,"LaunchType":"FARGATE","PlatformVersion":"1.4.0",` +
		`"NetworkConfiguration":{"awsvpcConfiguration":{"Subnets":["subnet-0a1b2c3d"],"AssignPublicIp":"DISABLED"}},"EnableECSManagedTags":true},"DeadLetterConfig":{"Arn":"arn:aws:sqs:` + region + `:123456789012:lost"}`
}

func (w *world) events(t *testing.T, operation, body string) []byte {
	t.Helper()
	return w.signed(t, "events", http.MethodPost, "/", http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AWSEvents." + operation}}, body)
}

// signed makes a call as infrastructure does.
func (w *world) signed(t *testing.T, service, method, path string, header http.Header, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+service+"."+region+".amazonaws.com"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	credentials, err := w.config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: w.Transport()}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", service, path, response.Status, answer, err)
	}
	return answer
}

// started says what the rules and schedules of the account start, and whether all
// else of them is as it was made.
func (w *world) started(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	note := func(name string, doc []byte) {
		var d any
		if err := json.Unmarshal(doc, &d); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(d) // in the order of the names
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s\n", name, text)
	}
	var rules struct{ Rules []struct{ Name string } }
	if err := json.Unmarshal(w.events(t, "ListRules", "{}"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Rules {
		var found struct{ Targets []json.RawMessage }
		if err := json.Unmarshal(w.events(t, "ListTargetsByRule", fmt.Sprintf(`{"Rule":%q}`, r.Name)), &found); err != nil {
			t.Fatal(err)
		}
		for _, target := range found.Targets {
			note("rule "+r.Name, target)
		}
	}
	var schedules struct {
		Schedules []struct{ GroupName, Name string }
	}
	if err := json.Unmarshal(w.signed(t, "scheduler", http.MethodGet, "/schedules", nil, ""), &schedules); err != nil {
		t.Fatal(err)
	}
	for _, s := range schedules.Schedules {
		doc := map[string]json.RawMessage{}
		if err := json.Unmarshal(w.signed(t, "scheduler", http.MethodGet, "/schedules/"+s.Name+"?groupName="+s.GroupName, nil, ""), &doc); err != nil {
			t.Fatal(err)
		}
		delete(doc, "CreationDate")
		delete(doc, "LastModificationDate")
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		note("schedule "+s.GroupName+"/"+s.Name, text)
	}
	return out.String()
}
