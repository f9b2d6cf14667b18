package schedule

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/mistake"
)

// account is an emulated account with the clusters a and b.
type account struct {
	*emulator.Emulator
	*Client
	aws *ecs.Client
}

func newAccount(t *testing.T) *account {
	t.Helper()
	e, err := emulator.New(emulator.Options{FutureMembers: []string{"gpuSlices", "quantumMode"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	cfg := aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""), HTTPClient: &http.Client{Transport: e.Transport()}}
	for _, name := range []string{"a", "b"} {
		if _, err := awsecs.NewFromConfig(cfg).CreateCluster(t.Context(), &awsecs.CreateClusterInput{ClusterName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	client := ecs.New(cfg)
	return &account{e, New(client), client}
}

func cluster(name string) string { return "arn:aws:ecs:eu-west-1:123456789012:cluster/" + name }

// starting is a target in a cluster that starts tasks of a revision.
func starting(id, in, revision string) string {
	return fmt.Sprintf(`{"Id":%q,"Arn":%q,"RoleArn":"arn:aws:iam::123456789012:role/r","Input":"{\"x\":1}","quantumMode":{"a":[1.50]},"EcsParameters":{"TaskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/%s","gpuSlices":2}}`, id, cluster(in), revision)
}

func (a *account) rule(t *testing.T, bus, name string, targets ...string) {
	t.Helper()
	when := `"ScheduleExpression":"rate(1 day)"`
	if bus != Default {
		when = `"EventPattern":"{}"`
	}
	for _, call := range [][2]string{
		{"PutRule", fmt.Sprintf(`{"Name":%q,"EventBusName":%q,%s}`, name, bus, when)},
		{"PutTargets", fmt.Sprintf(`{"Rule":%q,"EventBusName":%q,"Targets":[%s]}`, name, bus, strings.Join(targets, ","))},
	} {
		in, err := parse([]byte(call[1]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.events(t.Context(), "set the stage", call[0], in, true); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *account) schedule(t *testing.T, group, name, in, revision, more string) {
	t.Helper()
	body := fmt.Sprintf(`{"GroupName":%q,"FlexibleTimeWindow":{"Mode":"OFF"},"quantumMode":7,%s"Target":%s}`, group, more, strings.Replace(starting("", in, revision), `"Id":"",`, "", 1))
	if !strings.Contains(more, "ScheduleExpression") {
		body = strings.Replace(body, `"Target"`, `"ScheduleExpression":"rate(1 day)","Target"`, 1)
	}
	if _, err := a.aws.Signed(t.Context(), "set the stage", ecs.Signed{
		Service: "scheduler", Method: http.MethodPost, Path: "/schedules/" + name, Body: []byte(body), Header: http.Header{"Content-Type": {"application/json"}}, Change: true,
	}); err != nil {
		t.Fatal(err)
	}
}

func brief(all []Entry) string {
	var names []string
	for _, e := range all {
		names = append(names, fmt.Sprintf("%s=%s", e, ecs.ShortARN(e.TaskDefinition)))
	}
	return strings.Join(names, ", ")
}

// TestPut sends entries back with another revision: they are as they were but for it.
func TestPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.rule(t, Default, "nightly", starting("one", "a", "web:1"), starting("two", "a", "other:3"))
		a.schedule(t, "jobs", "hourly", "a", "web:1", `"Description":"d",`)
		for _, r := range []Ref{{Rule, Default, "nightly"}, {Schedule, "jobs", "hourly"}} {
			before, err := a.Read(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			to := strings.Replace(before[0].TaskDefinition, "web:1", "web:2", 1)
			time.Sleep(time.Minute)
			if adjusted, err := a.Put(t.Context(), before[0].With(to)); err != nil || adjusted != None {
				t.Fatal(adjusted, err)
			}
			after, err := a.Read(t.Context(), r)
			if err != nil || len(after) != len(before) {
				t.Fatalf("%d entries, %v", len(after), err)
			}
			same := func(e Entry) string { return string(e.doc.without("LastModificationDate").encode()) }
			if got, want := same(after[0]), same(before[0].With(to)); got != want {
				t.Errorf("%s:\n%s\nwant\n%s", r, got, want)
			}
			if len(after) > 1 && same(after[1]) != same(before[1]) {
				t.Errorf("the other target: %s", same(after[1]))
			}
		}
	})
}

// TestFind finds what starts tasks in some clusters: over all pages, buses and groups.
func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		if _, err := a.events(t.Context(), "set the stage", "CreateEventBus", object{{"Name", quote("orders")}}, true); err != nil {
			t.Fatal(err)
		}
		a.rule(t, Default, "nightly", starting("1", "a", "web:1"), starting("2", "b", "web:2"))
		a.rule(t, "orders", "placed", starting("1", "a", "web:3"))
		a.rule(t, Default, "empty", `{"Id":"1","Arn":"arn:aws:sqs:eu-west-1:123456789012:q"}`)
		for i := range 120 {
			a.schedule(t, "many", fmt.Sprintf("s%03d", i), "b", "other:1", "")
		}
		a.schedule(t, "jobs", "hourly", "a", "web:4", "")
		for _, tt := range []struct {
			clusters []string
			want     string
		}{
			{[]string{cluster("a")}, "rule nightly (target 1)=web:1, rule orders/placed=web:3, schedule jobs/hourly=web:4"},
			{[]string{cluster("c")}, ""},
		} {
			if got, err := a.Find(t.Context(), tt.clusters); brief(got) != tt.want || err != nil {
				t.Errorf("%v: %s, %v", tt.clusters, brief(got), err)
			}
		}
		if all, err := a.Find(t.Context(), nil); len(all) != 124 || err != nil {
			t.Errorf("%d in all clusters, %v", len(all), err)
		}
		for _, operation := range []string{"ecs:ListClusters", "events:ListEventBuses", "events:ListRuleNamesByTarget", "events:ListTargetsByRule", "scheduler:ListSchedules", "scheduler:GetSchedule"} {
			a.Fail(operation, emulator.Denied())
			if all, err := a.Find(t.Context(), nil); ecs.Classify(err) != ecs.Denied || all != nil {
				t.Errorf("%s is denied: %d, %v", operation, len(all), err)
			}
			a.Mend(operation)
		}
	})
}

// TestFindUniversal: a schedule that calls RunTask by a universal target is found where
// all that starts tasks is looked for, and never among what can be changed.
func TestFindUniversal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		for name, input := range map[string]string{"named": `{"Cluster":"a","TaskDefinition":"web:9"}`, "other": `{"Cluster":"a"}`, "none": ``} {
			body := fmt.Sprintf(`{"GroupName":"jobs","ScheduleExpression":"rate(1 day)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"arn:aws:scheduler:::aws-sdk:ecs:runTask","RoleArn":"arn:aws:iam::123456789012:role/r","Input":%q}}`, input)
			if _, err := a.aws.Signed(t.Context(), "set the stage", ecs.Signed{
				Service: "scheduler", Method: http.MethodPost, Path: "/schedules/" + name, Body: []byte(body), Header: http.Header{"Content-Type": {"application/json"}}, Change: true,
			}); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := a.Find(t.Context(), nil); err != nil || brief(all) != "schedule jobs/named=web:9" || !all[0].Universal || all[0].Family() != "web" {
			t.Errorf("%+v, %v", all, err)
		}
		if all, err := a.Find(t.Context(), []string{cluster("a")}); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// TestRefusals: what AWS says to a change, and what is not there.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		for _, r := range []Ref{{Rule, Default, "gone"}, {Rule, "nowhere", "gone"}, {Schedule, "jobs", "gone"}} {
			if _, err := a.Read(t.Context(), r); !mistake.Absent(err) || !mistake.Is(err, mistake.Schedule) {
				t.Errorf("%s: %v", r, err)
			}
		}
		a.rule(t, Default, "nightly", starting("1", "a", "web:1"))
		found, err := a.Read(t.Context(), Ref{Rule, Default, "nightly"})
		if err != nil {
			t.Fatal(err)
		}
		a.FailEntry("nightly", "ConcurrentModificationException", "again", 1)
		if _, err := a.Put(t.Context(), found[0]); ecs.CodeOf(err) != "ConcurrentModificationException" {
			t.Errorf("%v", err)
		}
		a.Fail("events:PutTargets", emulator.Fault{Lost: true})
		if _, err := a.Put(t.Context(), found[0].With(strings.Replace(found[0].TaskDefinition, "web:1", "web:2", 1))); !ecs.Ambiguous(err) {
			t.Errorf("%v", err)
		}
		a.Mend("events:PutTargets")
		if now, _ := a.Read(t.Context(), found[0].Ref); brief(now) != "rule nightly=web:2" {
			t.Errorf("starts %s", brief(now))
		}
	})
}

// canned answers every call with the same body.
type canned string

func (c canned) Signed(context.Context, string, ecs.Signed) ([]byte, error) { return []byte(c), nil }
func (c canned) Clusters(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield(cluster("a"), nil) }
}

// TestReplies: an answer that lacks what is needed of it is an error, and never
// "there is none" or "done".
func TestReplies(t *testing.T) {
	for _, body := range []string{``, `null`, `[]`, `{`, `<html>`, `{"Targets":{}}`, `{"Targets":[1]}`, `{"FailedEntryCount":1}`, `{"EventBuses":[{"Name":"b"}],"NextToken":"x"}`} {
		c := New(canned(body))
		if _, err := c.Read(t.Context(), Ref{Schedule, "g", "n"}); err == nil {
			t.Errorf("GetSchedule %s: no error", body)
		}
		if _, err := c.Put(t.Context(), Entry{Ref: Ref{Rule, "b", "n"}, doc: object{}}); err == nil {
			t.Errorf("PutTargets %s: no error", body)
		}
		if _, err := c.Read(t.Context(), Ref{Rule, "b", "n"}); err == nil {
			t.Errorf("ListTargetsByRule %s: no error", body)
		}
		if _, err := c.Find(t.Context(), nil); err == nil {
			t.Errorf("ListEventBuses %s: no error", body)
		}
	}
	if _, err := New(canned(`{"Schedules":[],"NextToken":"same"}`)).schedules(t.Context(), []string{cluster("a")}, false); err == nil {
		t.Error("a list without an end has no error")
	}
}
