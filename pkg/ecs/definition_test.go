package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// future is a task definition with members that are newer than the SDK.
const future = `{"family": "future", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
	"quantumMode": {"entangled": true, "depth": 1e2},
	"containerDefinitions": [{"name": "app", "image": "public.ecr.aws/nginx/nginx:1.27", "cpu": 0, "gpuSlices": 0.50,
		"environment": [{"name": "EMPTY", "value": ""}]}],
	"tags": [{"key": "team", "value": "chat"}]}`

func parse(t *testing.T, document string) taskdef.Definition {
	t.Helper()
	d, err := taskdef.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRevisionsAreLossless: a member that is newer than the SDK, tags, an empty
// value and the spelling of a number go through describe, revise and register,
// where the SDK's typed structs would lose them.
func TestRevisionsAreLossless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		if _, err := a.Register(t.Context(), parse(t, future)); err != nil {
			t.Fatal(err)
		}
		described, err := a.Definition(t.Context(), "future")
		if err != nil {
			t.Fatal(err)
		}
		revised, err := described.Revise(taskdef.Change{Images: map[string]string{"app": "public.ecr.aws/nginx/nginx:1.28"}})
		if err != nil {
			t.Fatal(err)
		}
		second, err := a.Register(t.Context(), revised)
		if err != nil {
			t.Fatal(err)
		}
		if second.Revision() != 2 || second.Status() != "ACTIVE" {
			t.Errorf("revision %d, %s; want 2, ACTIVE", second.Revision(), second.Status())
		}
		var sent []byte
		for _, r := range a.Requests() {
			if r.Operation == "RegisterTaskDefinition" {
				sent = r.Body
			}
		}
		for _, survivor := range []string{`"quantumMode":{`, `"depth":1e2`, `"gpuSlices":0.50`, `{"name":"EMPTY","value":""}`, `"tags":[{"key":"team","value":"chat"}]`, `"cpu":0`} {
			if !strings.Contains(string(sent), survivor) {
				t.Errorf("the new revision lost %s:\n%s", survivor, sent)
			}
		}
		if !json.Valid(sent) {
			t.Errorf("not JSON: %s", sent)
		}
	})
}

// TestRegister: a failure after which ECS may have made a revision does not make
// a second one, and one that certainly made none is tried again.
func TestRegister(t *testing.T) {
	lost := fault{acted: true, err: errReset}
	never := fault{err: errReset}
	tests := []struct {
		name      string
		faults    map[string][]fault
		calls     int
		revisions int // of the family in the end
		ok        bool
		ambiguous bool
		class     Class
	}{
		{name: "throttled", faults: map[string][]fault{"RegisterTaskDefinition": times(5, answers(400, "ThrottlingException", "Rate exceeded"))}, calls: 6, revisions: 1, ok: true},
		{name: "concurrent", faults: map[string][]fault{"RegisterTaskDefinition": times(3, answers(400, "ClientException", "Too many concurrent attempts to create a new revision of the specified family."))}, calls: 4, revisions: 1, ok: true},
		{name: "lost answer", faults: map[string][]fault{"RegisterTaskDefinition": {lost}}, calls: 1, revisions: 1, ok: true},
		{name: "lost answer with status 500", faults: map[string][]fault{"RegisterTaskDefinition": {{acted: true, answer: func() *http.Response { return refusal(500, "ServerException", "oops") }}}}, calls: 1, revisions: 1, ok: true},
		{name: "unreadable answer", faults: map[string][]fault{"RegisterTaskDefinition": {{acted: true, answer: func() *http.Response { return answer(200, "<html>") }}}}, calls: 1, revisions: 1, ok: true},
		{name: "incomplete answer", faults: map[string][]fault{"RegisterTaskDefinition": {{acted: true, answer: func() *http.Response { return answer(200, "{}") }}}}, calls: 1, revisions: 1, ok: true},
		{name: "somebody else's answer", faults: map[string][]fault{"RegisterTaskDefinition": {{acted: true, answer: func() *http.Response {
			return answer(200, `{"taskDefinition": {"family": "other", "revision": 1, "taskDefinitionArn": "arn:aws:ecs:x:1:task-definition/other:1", "containerDefinitions": [{"name": "app"}]}}`)
		}}}}, calls: 1, revisions: 1, ok: true},
		{name: "never arrived", faults: map[string][]fault{"RegisterTaskDefinition": {never}}, calls: 2, revisions: 1, ok: true},
		{name: "never arrived, then lost", faults: map[string][]fault{"RegisterTaskDefinition": {never, lost}}, calls: 2, revisions: 1, ok: true},
		{name: "never arrives", faults: map[string][]fault{"RegisterTaskDefinition": times(9, never)}, calls: 2, ambiguous: true, class: Broken},
		{name: "lost, and cannot be read", faults: map[string][]fault{"RegisterTaskDefinition": {lost}, "DescribeTaskDefinition": {answers(400, "AccessDeniedException", "no")}}, calls: 1, revisions: 1, ambiguous: true, class: Broken},
		{name: "limit", faults: map[string][]fault{"RegisterTaskDefinition": {answers(400, "LimitExceededException", "The limit for the resource was exceeded.")}}, calls: 1, class: Invalid},
		{name: "denied", faults: map[string][]fault{"RegisterTaskDefinition": {answers(400, "AccessDeniedException", "no")}}, calls: 1, class: Denied},
		{name: "wrong", faults: map[string][]fault{"RegisterTaskDefinition": {answers(400, "ClientException", "Container.image contains invalid characters.")}}, calls: 1, class: Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				way := &trouble{next: a.Transport(), faults: tt.faults}
				c := a.over(way)
				stored, err := c.Register(t.Context(), parse(t, future))
				if (err == nil) != tt.ok || tt.ok && stored.Revision() != 1 {
					t.Errorf("%v, %v", stored, err)
				}
				if n := way.count("RegisterTaskDefinition"); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
				if Ambiguous(err) != tt.ambiguous || !tt.ok && Classify(err) != tt.class {
					t.Errorf("%v: ambiguous %t, class %s", err, Ambiguous(err), Classify(err))
				}
				if !tt.ok {
					mentions(t, err, "register task definition future: ")
				}
				if n := len(revisions(t, a.Client, "future", false)); n != tt.revisions {
					t.Errorf("%d revisions, want %d", n, tt.revisions)
				}
			})
		})
	}
}

// TestRegisterTakesOnlyItsOwn: after a lost answer, a revision that somebody
// else registered, that is older, or that has other tags is not taken for ours.
func TestRegisterTakesOnlyItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		first, err := a.Register(t.Context(), parse(t, future))
		if err != nil {
			t.Fatal(err)
		}
		way := &trouble{next: a.Transport(), faults: map[string][]fault{"RegisterTaskDefinition": {{err: errReset}}}}
		second, err := a.over(way).Register(t.Context(), first) // equal, but not newer
		if err != nil || second.Revision() != 2 || way.count("RegisterTaskDefinition") != 2 {
			t.Errorf("%v, %v after %d calls; want revision 2 after 2", second, err, way.count("RegisterTaskDefinition"))
		}
		way = &trouble{next: a.Transport(), faults: map[string][]fault{"RegisterTaskDefinition": {{err: errReset}}}}
		third, err := a.over(way).Register(t.Context(), parse(t, strings.Replace(future, `"chat"`, `"other"`, 1)))
		if err != nil || third.Revision() != 3 || way.count("RegisterTaskDefinition") != 2 {
			t.Errorf("other tags: %v, %v after %d calls", third, err, way.count("RegisterTaskDefinition"))
		}
	})
}

// TestRegisterFindsItsOwn: the answer is lost, and before the family can be read
// somebody registers another revision.
func TestRegisterFindsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		lost := fault{acted: true, answer: func() *http.Response {
			if _, err := a.Register(t.Context(), parse(t, strings.Replace(future, `"chat"`, `"theirs"`, 1))); err != nil {
				t.Error(err)
			}
			return refusal(500, "ServerException", "oops")
		}}
		way := &trouble{next: a.Transport(), faults: map[string][]fault{"RegisterTaskDefinition": {lost}}}
		ours, err := a.over(way).Register(t.Context(), parse(t, future))
		if err != nil || ours.Revision() != 1 || way.count("RegisterTaskDefinition") != 1 {
			t.Errorf("%v, %v after %d calls; want revision 1 after 1", ours, err, way.count("RegisterTaskDefinition"))
		}
	})
}

// TestRegisterIsCancelled: a cancelled run neither looks nor registers again.
func TestRegisterIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.Fail("ecs:RegisterTaskDefinition", emulator.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := a.Register(ctx, parse(t, future))
		if !errors.Is(err, context.DeadlineExceeded) || !Ambiguous(err) || time.Since(begin) != 3*time.Second {
			t.Errorf("%v, ambiguous %t, after %s", err, Ambiguous(err), time.Since(begin))
		}
		if n := a.count("DescribeTaskDefinition"); n != 0 {
			t.Errorf("%d calls of DescribeTaskDefinition, want none", n)
		}
	})
}

func revisions(t *testing.T, c *Client, family string, inactive bool) []string {
	t.Helper()
	var all []string
	for arn, err := range c.Revisions(t.Context(), family, inactive) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ShortARN(arn))
	}
	return all
}

func TestRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		var arns []string
		for range 12 {
			arns = append(arns, a.register(t, "1.27"))
		}
		known, err := a.Definition(t.Context(), arns[3])
		if err != nil || known.Revision() != 4 {
			t.Fatalf("%v, %v", known, err)
		}
		for _, arn := range []string{arns[3], arns[9]} {
			if err := a.Deregister(t.Context(), arn); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := revisions(t, a.Client, "web", false), []string{"web:12", "web:11", "web:9"}; !slices.Equal(got[:3], want) || len(got) != 10 {
			t.Errorf("active: %v, want %v …", got, want)
		}
		if got, want := revisions(t, a.Client, "web", true), []string{"web:10", "web:4"}; !slices.Equal(got, want) {
			t.Errorf("inactive: %v, want %v", got, want)
		}
		if got := revisions(t, a.Client, "we", false); len(got) != 0 {
			t.Errorf("of another family: %v", got)
		}
		if known, err = a.Definition(t.Context(), arns[3]); err != nil || known.Status() != "INACTIVE" {
			t.Errorf("after it was deregistered: %s, %v", known.Status(), err)
		}
	})
}

// TestDefinitionIsKept: a revision is read once by its ARN, and anew where its
// status counts; what a name stands for may change.
func TestDefinitionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		arn := a.register(t, "1.27")
		for _, tt := range []struct {
			ref   string
			calls int
		}{{"web", 1}, {"web", 2}, {"web:1", 3}, {"web:1", 4}, {arn, 4}, {arn, 4}} {
			if d, err := a.Definition(t.Context(), tt.ref); err != nil || d.ARN() != arn || a.count("DescribeTaskDefinition") != tt.calls {
				t.Errorf("%s: %v, %v after %d calls, want %d", tt.ref, d, err, a.count("DescribeTaskDefinition"), tt.calls)
			}
		}
		if _, err := a.raw.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(arn)}); err != nil {
			t.Fatal(err)
		}
		if d, err := a.Definition(t.Context(), arn); err != nil || d.Status() != "ACTIVE" {
			t.Errorf("kept: %s, %v", d.Status(), err)
		}
		if d, err := a.Fresh(t.Context(), arn); err != nil || d.Status() != "INACTIVE" {
			t.Errorf("fresh: %s, %v", d.Status(), err)
		}
		if d, err := a.Definition(t.Context(), arn); err != nil || d.Status() != "INACTIVE" {
			t.Errorf("kept since: %s, %v", d.Status(), err)
		}
	})
}

func TestDefinitionMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		for _, ref := range []string{"nowhere", "nowhere:3", "nowhere:x", "arn:aws:ecs:eu-west-1:1:task-definition/web:1"} {
			_, err := a.Definition(t.Context(), ref)
			m, ok := errors.AsType[*mistake.Error](err)
			if !ok || m.Kind != mistake.TaskDefinition || !m.Absent || !strings.Contains(m.Text, ref) || m.Hint() == "" {
				t.Errorf("%s: %#v", ref, err)
			}
		}
		a.Fail("ecs:DescribeTaskDefinition", emulator.Fault{Code: "ClientException", Message: "User: u is not authorized to perform: ecs:DescribeTaskDefinition on resource: *"})
		if _, err := a.Definition(t.Context(), "web"); Classify(err) != Denied || mistake.Absent(err) {
			t.Errorf("denied: %v", err)
		}
	})
}

func TestDefinitionRepliesAreChecked(t *testing.T) {
	const whole = `"family": "web", "revision": 1, "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/web:1", "containerDefinitions": [{"name": "app"}]`
	tests := []struct{ body, lacks string }{
		{``, ""}, {`{}`, "family"}, {`{"taskDefinition": null}`, "family"}, {`{"taskDefinition": {}}`, "family"},
		{`{"taskDefinition": {"family": "web"}}`, "containerDefinitions"},
		{`{"taskDefinition": {"family": "web", "containerDefinitions": []}}`, "containerDefinitions"},
		{`{"taskDefinition": {"family": "web", "containerDefinitions": [{}]}}`, "name"},
		{`{"taskDefinition": {"family": "web", "containerDefinitions": [{"name": "app"}]}}`, "no taskDefinitionArn"},
		{strings.Replace(`{"taskDefinition": {`+whole+`}}`, `"revision": 1`, `"revision": 0`, 1), "no revision"},
		{strings.ReplaceAll(`{"taskDefinition": {`+whole+`}}`, `web`, `api`), "it is about api:1"},
		{strings.Replace(`{"taskDefinition": {`+whole+`}}`, `/web:1"`, `/api:1"`, 1), `"arn:aws:ecs:eu-west-1:1:task-definition/api:1" is not of web:1`},
		{strings.Replace(`{"taskDefinition": {`+whole+`}}`, `"arn:aws:ecs`, `"x`, 1), "is not of web:1"},
		{`{"taskDefinition": {` + whole + `, "containerDefinitions": [{"name": "b"}]}}`, ""},
		{`{"taskDefinition": []}`, ""}, {`[]`, ""}, {`<html>`, ""}, {`{"taskDefinition": {` + whole, ""},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			_, err := canned(tt.body).Definition(t.Context(), "web")
			mentions(t, err, "describe task definition web: ", tt.lacks)
			if Classify(err) != Broken || mistake.Absent(err) {
				t.Errorf("%s: %v, class %s", tt.body, err, Classify(err))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		for ref, ok := range map[string]bool{
			"web": true, "web:1": true, "arn:aws:ecs:eu-west-1:1:task-definition/web:1": true, "arn:aws:ecs:eu-west-1:1:task-definition/web": true,
			"web:2": false, "arn:aws:ecs:eu-west-1:2:task-definition/web:1": false,
		} {
			if d, err := canned(`{"taskDefinition": {`+whole+`}}`).Definition(t.Context(), ref); (err == nil) != ok || ok && d.String() != "web:1" {
				t.Errorf("%s: %v, %v", ref, d, err)
			}
		}
	})
}
