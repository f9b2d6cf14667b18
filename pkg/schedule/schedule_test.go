package schedule

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

const target = `{"Id":"1","Arn":"arn:aws:ecs:eu-west-1:123456789012:cluster/c","RoleArn":"arn:aws:iam::123456789012:role/r",` +
	`"EcsParameters":{"TaskCount":1.0,"TaskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1","gpuSlices":[ {"a" : 1e3} ],"Tags":[]},` +
	`"Input":"{\"a\":\"\u00e4<&>\"}","quantumMode":null,"RetryPolicy":{"MaximumRetryAttempts":0}}`

// TestLossless: another task definition is the only difference, byte by byte, also in
// members that nobody here knows.
func TestLossless(t *testing.T) {
	doc, err := parse([]byte(target))
	if err != nil {
		t.Fatal(err)
	}
	e, starts := ofRule(Ref{Rule, Default, "nightly"}, doc)
	if !starts || e.ID != "1" || e.Family() != "web" || !e.Pinned() || e.Role != "arn:aws:iam::123456789012:role/r" {
		t.Errorf("%+v", e)
	}
	to := "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:12"
	want := bytes.Replace([]byte(target), []byte("web:1"), []byte("web:12"), 1)
	if got := e.With(to).Document(); !bytes.Equal(got, want) {
		t.Errorf("a rule:\n%s\nwant\n%s", got, want)
	}
	if got := e.Document(); !bytes.Equal(got, []byte(target)) {
		t.Errorf("With changed the entry that it was called on:\n%s", got)
	}
	whole := `{"Arn":"a","CreationDate":1.7E9,"Name":"n","ScheduleExpression":"rate(1 day)","Target":` + target + `,"FlexibleTimeWindow":{"Mode":"OFF"},"Description":null}`
	if doc, err = parse([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	if e, starts = ofSchedule(Ref{Schedule, "jobs", "n"}, doc, time.Now()); !starts {
		t.Fatal("it starts no task")
	}
	sent, adjusted := update(e.With(to).doc, time.Now())
	if got, want := sent.encode(), `{"ScheduleExpression":"rate(1 day)","Target":`+string(want)+`,"FlexibleTimeWindow":{"Mode":"OFF"},"Description":null}`; string(got) != want || adjusted != None {
		t.Errorf("a schedule:\n%s\nwant\n%s", got, want)
	}
}

func TestARN(t *testing.T) {
	for want, e := range map[string]Entry{
		"arn:aws-cn:events:cn-north-1:123456789012:rule/nightly":        {Ref: Ref{Rule, Default, "nightly"}, Cluster: "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/c"},
		"arn:aws:events:eu-west-1:123456789012:rule/orders/placed":      {Ref: Ref{Rule, "orders", "placed"}, Cluster: "arn:aws:ecs:eu-west-1:123456789012:cluster/c"},
		"arn:aws:scheduler:eu-west-1:123456789012:schedule/jobs/hourly": {Ref: Ref{Schedule, "jobs", "hourly"}, Cluster: "arn:aws:ecs:eu-west-1:123456789012:cluster/c"},
		"arn:*:scheduler:*:*:schedule/default/x":                        {Ref: Ref{Schedule, Default, "x"}},
	} {
		if got := e.ARN(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for want, e := range map[string]Entry{
		"rule nightly":                    {Ref: Ref{Rule, Default, "nightly"}, ID: "x"},
		"rule orders/nightly (target a1)": {Ref: Ref{Rule, "orders", "nightly"}, ID: "a1", Several: true},
		"schedule jobs/hourly":            {Ref: Ref{Schedule, "jobs", "hourly"}},
		"schedule hourly":                 {Ref: Ref{Schedule, "", "hourly"}},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestNoTask: what starts no task is no entry.
func TestNoTask(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"Id":"1","Arn":"arn:aws:lambda:eu-west-1:123456789012:function:f"}`, `{"Id":"1","EcsParameters":null}`, `{"Id":"1","EcsParameters":"x"}`,
		`{"Id":"1","EcsParameters":{"TaskDefinitionArn":7}}`, `{"EcsParameters":{"TaskDefinitionArn":"web:1"}}`,
		`{"Id":"1","EcsParameters":{"TaskDefinitionArn":"web:1","TaskDefinitionArn":"web:2"}}`,
	} {
		doc, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if e, starts := ofRule(Ref{}, doc); starts {
			t.Errorf("%s is %+v", text, e)
		}
		if e, starts := ofSchedule(Ref{}, object{{"Target", doc.encode()}}, time.Now()); starts && doc.text("Id") != "" {
			t.Errorf("%s is %+v", text, e)
		}
	}
}

// TestStart: AWS takes no start that has passed. It has no effect any more, but for a
// rate, whose intervals are counted from it.
func TestStart(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		expression, start, want string
		adjusted                Adjustment
	}{
		{"cron(0 3 * * ? *)", "", "", None},
		{"cron(0 3 * * ? *)", "1.7E9", "1.7E9", None}, // now, as AWS may spell it
		{"cron(0 3 * * ? *)", "1800000000", "1800000000", None},
		{"cron(0 3 * * ? *)", "1699999000", "", StartOmitted},
		{"at(2030-01-01T00:00:00)", "1600000000.5", "", StartOmitted},
		{"rate(7 minutes)", "1699999000", "1700000260", StartMoved}, // 3 × 420 s later
		{"rate(1 hour)", "1699996400", "1700003600", StartMoved},    // due just now, and so at the next time
		{"rate(2 days)", "1600000000", "1700051200", StartMoved},
		{"rate(0 minutes)", "1699999000", "", StartOmitted},
		{"rate(1 year)", "1699999000", "", StartOmitted},
		{"rate(1 hour)", `"soon"`, `"soon"`, None},
	} {
		doc := object{{"ScheduleExpression", quote(tt.expression)}}
		if tt.start != "" {
			doc = doc.with("StartDate", json.RawMessage(tt.start))
		}
		sent, adjusted := update(doc, now)
		if got := string(sent.get("StartDate")); got != tt.want || adjusted != tt.adjusted {
			t.Errorf("%s from %s: %s %q, want %s %q", tt.expression, tt.start, got, adjusted, tt.want, tt.adjusted)
		}
	}
}

func TestOver(t *testing.T) {
	now := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]bool{
		`{"ScheduleExpression":"at(2026-06-09T09:59:59)"}`:                          true,
		`{"ScheduleExpression":"at(2026-06-09T12:00:00)"}`:                          false, // in some time zones it is to come
		`{"ScheduleExpression":"at(2026-06-11T12:00:00)"}`:                          false,
		`{"ScheduleExpression":"at(soon)"}`:                                         false,
		`{"ScheduleExpression":"rate(1 day)"}`:                                      false,
		`{"ScheduleExpression":"rate(1 day)","EndDate":1}`:                          true,
		`{"ScheduleExpression":"rate(1 day)","EndDate":1.9E9}`:                      false,
		`{"ScheduleExpression":"rate(1 day)","EndDate":"NaN"}`:                      false,
		`{"ScheduleExpression":"rate(1 day)","EndDate":1e300}`:                      false,
		`{"ScheduleExpression":"cron(0 0 * * ? *)","EndDate":-9223372036854775808}`: false,
	} {
		doc, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := over(doc, now); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{target, `{}`, `{"a":1,"a":2}`, `[]`, `{"a":{"b":[1,{}]}}`, `null`, `{"a"`, `{"a":1}x`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := parse(data)
		if err != nil {
			return
		}
		var want, got any
		if json.Unmarshal(data, &want) != nil || json.Unmarshal(doc.encode(), &got) != nil {
			t.Fatalf("%q became %q", data, doc.encode())
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(a, b) {
			t.Errorf("%q became %q", data, doc.encode())
		}
		if e, starts := ofRule(Ref{}, doc); starts {
			if again, starts := ofRule(Ref{}, e.With("web:2").doc); !starts || again.TaskDefinition != "web:2" {
				t.Errorf("%q: %+v", data, again)
			}
		}
	})
}
