package recording

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// TestRecordings replays every recording in testdata: those of the emulator's
// scenarios, and whatever a bug report adds. Each decision is the recorded one.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	verdicts := map[string]bool{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		decisions := Replay(f)
		if len(decisions) == 0 && filepath.Base(name) != "denied.json" {
			t.Errorf("%s has no decisions", name)
		}
		for _, d := range decisions {
			if !d.Same() {
				t.Errorf("%s, entry %d, %s of %s: recorded %q, now %q", name, d.Entry+1, d.Kind, d.Service, d.Recorded, d.Replayed)
			}
			if d.Kind == "verdict" {
				verdicts[d.Replayed] = true
			}
		}
		if again := f.Bytes(); !bytes.Equal(again, data) {
			t.Errorf("%s: read and written again, it is another file", name)
		}
	}
	for _, want := range []string{"", "succeeded", "failed tasksFail", "failed tasksNotStarted", "rolledBack rolledBackByTask", "paused hookWaits", "paused readyWaits"} {
		if !slices.ContainsFunc(slices.Collect(keys(verdicts)), func(v string) bool { return v == want || want != "" && strings.HasPrefix(v, want+" ") }) {
			t.Errorf("no recording has the verdict %q", want)
		}
	}
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestEveryMemberIsClassified: a text of the format that nobody has thought about
// would be written as it is.
func TestEveryMemberIsClassified(t *testing.T) {
	known := []string{"code", "text", "id", "arn", "cluster", "service", "container", "alarm", "targetGroup", "ours", "phrase", "action"}
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type, string, string)
	look = func(typ reflect.Type, where, is string) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(typ.Elem(), where, is)
		case reflect.Struct:
			if seen[typ] || typ == reflect.TypeFor[time.Time]() {
				return
			}
			seen[typ] = true
			for i := range typ.NumField() {
				if f := typ.Field(i); f.IsExported() {
					look(f.Type, where+"."+f.Name, f.Tag.Get("is"))
				}
			}
		case reflect.String:
			if !slices.Contains(known, is) {
				t.Errorf("%s does not say what it holds: %q", where, is)
			}
		case reflect.Map, reflect.Interface:
			t.Errorf("%s cannot be walked", where)
		}
	}
	look(reflect.TypeFor[File](), "File", "")
}

// TestEveryMemberIsRecorded: a member of a snapshot that a verdict may depend on is in the
// format, too.
func TestEveryMemberIsRecorded(t *testing.T) {
	elsewhere := map[string]string{"Hopeless": "GiveUp"}
	for f := range reflect.TypeFor[rollout.Snapshot]().Fields() {
		name := cmp.Or(elsewhere[f.Name], f.Name)
		_, kept := reflect.TypeFor[Snapshot]().FieldByName(name)
		if _, aged := reflect.TypeFor[Ages]().FieldByName(name); !kept && !aged {
			t.Errorf("%s is not recorded", f.Name)
		}
	}
}

// deployment is a reading of a deployment that began now.
func reading(name string, running int) rollout.Snapshot {
	d := ecs.Deployment{ID: "ecs-svc/1234567890123456789", Status: "PRIMARY", TaskDefinition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7",
		CreatedAt: time.Now(), Desired: 2, Running: running, RolloutState: "IN_PROGRESS"}
	return rollout.Snapshot{ID: d.ID, Revision: d.TaskDefinition, New: true, Own: d, Listed: true,
		Service: ecs.Service{Cluster: "main", Name: name, Status: "ACTIVE", Controller: "ECS", Desired: 2, Running: running, Deployments: []ecs.Deployment{d}}}
}

// TestBounds: however long a run lasts, its record is bounded, and says what it
// left out; what is kept still replays.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Settings: Settings{Command: "deploy", MaxFailedTasks: 3}})
		first := reading("shop", 0)
		for i := range 700 {
			s := first
			s.Own.Failed = i
			s.Service.Events = []ecs.Message{{ID: fmt.Sprint(i), Time: time.Now(), Text: strings.Repeat("word ", 1000)}}
			r.Judged(s, rollout.Judge(s))
			r.Stopped(s.Subject(), []types.Task{{TaskArn: aws.String(fmt.Sprintf("arn:aws:ecs:eu-west-1:123456789012:task/main/%032d", i)), LastStatus: aws.String("STOPPED"),
				StoppedReason: aws.String(strings.Repeat("long ", 1000))}}, nil)
			time.Sleep(2 * time.Second)
		}
		r.Failure(errors.New("the end"))
		data, err := r.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, e := range f.Entries {
			size += e.sizeOf()
		}
		if len(data) > maxFile/2 || len(f.Entries) > MaxEntries || size > MaxBytes+MaxBytes/4 || len(f.Messages) != MaxMessages || len(f.Tasks) != MaxTasks {
			t.Errorf("%d bytes, %d of entries, %d entries, %d messages, %d tasks", len(data), size, len(f.Entries), len(f.Messages), len(f.Tasks))
		}
		if d := f.Dropped; d == nil || d.Entries+len(f.Entries) != 1401 || d.Messages != 400 || d.Tasks != 400 || d.From <= f.Entries[0].At || d.To >= f.Entries[len(f.Entries)-1].At {
			t.Errorf("left out: %+v", d)
		}
		if last := f.Entries[len(f.Entries)-1]; f.Entries[0].At != 0 || last.Event == nil || last.Event.Text != "the end" {
			t.Error("the beginning and the end are not there")
		}
		for _, d := range Replay(f) {
			if d.Kind == "verdict" && !d.Same() {
				t.Errorf("%+v", d)
			}
		}
		var out strings.Builder
		if _, err := Write(&out, f, nil); err != nil || !strings.Contains(out.String(), "\nLeft out: ") {
			t.Error(err, out.String())
		}
	})
}

func (e *Entry) sizeOf() int { return len(File{Entries: []*Entry{e}}.Bytes()) }

// TestRepetitions: a reading and a call that say the same as before take no entry.
func TestRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		s := reading("shop", 1)
		for range 30 {
			r.called("ECS", "DescribeServices", time.Second, nil)
			s.Left -= time.Second
			r.Judged(s, rollout.Judge(s))
			time.Sleep(2 * time.Second)
		}
		s = reading("shop", 2)
		s.ID = s.Service.Deployments[0].ID
		r.Judged(s, rollout.Judge(s))
		r.called("ECS", "DescribeServices", 0, errors.New("broken"))
		if n := len(r.entries); n != 4 || r.entries[1].Times != 30 || r.entries[1].Until != Span(58*time.Second) || r.entries[1].Judged.Ages.Left != Span(-30*time.Second) {
			data, _ := r.Bytes()
			t.Errorf("%d entries:\n%s", n, data)
		}
	})
}

// TestLeftOut: a reading whose entry was left out is recorded again.
func TestLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		s := reading("shop", 1)
		for i := range 2 * MaxEntries {
			r.called("ECS", "DescribeServices", 0, fmt.Errorf("broken %d", i))
			if i >= MaxEntries/4 {
				r.Judged(s, rollout.Judge(s))
			}
			time.Sleep(time.Second)
		}
		kept := slices.ContainsFunc(r.entries[MaxEntries/4:], func(e *Entry) bool { return e.Judged != nil })
		if !kept || r.dropped.Entries == 0 {
			t.Errorf("%d entries, %d left out: the reading is not among the last ones", len(r.entries), r.dropped.Entries)
		}
	})
}

// TestNothingRecorded: a run without a recording calls a nil recorder.
func TestNothingRecorded(t *testing.T) {
	var r *Recorder
	r.Show(deploy.Untouched{})
	r.Judged(rollout.Snapshot{}, rollout.Verdict{})
	r.Stopped(diagnosis.Subject{}, nil, nil)
	r.Examined(diagnosis.Evidence{}, diagnosis.Diagnosis{})
	r.Outcome(deploy.ServiceResult{})
	r.Failure(errors.New("x"))
	if err := r.Calls(nil); err != nil {
		t.Error(err)
	}
	if data, err := r.Bytes(); data != nil || err != nil {
		t.Error(data, err)
	}
}

// TestUnreadable: what is no recording is refused, and says why.
func TestUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "this is no recording: EOF",
		"{":                              "this is no recording: unexpected EOF",
		`{"version":2}`:                  "version 2 of the format; expected 1",
		`{"version":1,"entries":[null]}`: "entry 1 is empty",
		`{"version":1,"entries":[{"at":"soon"}]}`: `invalid duration "soon"`,
		strings.Repeat(" ", maxFile+1):            "more than 4 MB",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// FuzzReplay: no file makes a replay panic or last.
func FuzzReplay(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, name := range files[:min(len(files), 4)] {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		file, err := Read(bytes.NewReader(data))
		if err != nil {
			f.Fatal(err)
		}
		file.Messages, file.Tasks, file.Entries = file.Messages[:min(len(file.Messages), 2)], file.Tasks[:min(len(file.Tasks), 2)], file.Entries[:min(len(file.Entries), 12)]
		f.Add(file.Bytes())
	}
	f.Add([]byte(`{"version":1,"entries":[{"diagnosis":{"stopped":[7],"running":[-1],"logs":[[]]}},{"judged":{"snapshot":{"id":"a","giveUp":{}}}},{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		decisions := Replay(file)
		if _, err := Write(&strings.Builder{}, file, decisions); err != nil {
			t.Error(err)
		}
		for _, d := range decisions {
			if d.Kind == "entry" {
				t.Errorf("entry %d: %s", d.Entry, d.Replayed)
			}
		}
	})
}
