package recording

// The recorder: collects while the run lasts, within its bounds, and never stands
// in its way: what goes wrong here costs the record an entry, and the run nothing.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/rollout"
)

// Options are what a record says of the run, and what it must not say.
type Options struct {
	Task     string // version of the task
	Settings Settings
	// Redact replaces the secrets that the run knows when the record is written.
	Redact func(string) string
	// Hidden are values that no text may show, such as those of variables. Shorter
	// ones than four characters, and words of AWS's own messages, stay.
	Hidden []string
	// Names are names of the account by their kind, such as "repository", beside
	// those that come up by themselves.
	Names map[string][]string
}

// Recorder collects the record of one run. It may be used by several goroutines,
// and a nil Recorder records nothing.
type Recorder struct {
	o     Options
	began time.Time

	mu       sync.Mutex
	entries  []*Entry
	bytes    int
	dropped  Dropped
	messages []Message
	tasks    []Task
	told     map[string]bool          // messages that were recorded, by service and id
	places   map[string]int           // of tasks, by id and what is known of them
	judged   map[string]*judgedBefore // by deployment
	calls    map[string]*Entry        // the last one by operation
	names    map[string][]string      // of the plan, by kind
	plain    map[string]string        // texts without what differs from task to task: hundreds of tasks may end in the same words
}

// judgedBefore is the last reading of a deployment.
type judgedBefore struct {
	entry *Entry
	same  string // what must be equal for the next reading to be the same
}

// New returns a recorder of a run that begins now.
func New(o Options) *Recorder {
	return &Recorder{o: o, began: time.Now(), told: map[string]bool{}, places: map[string]int{}, judged: map[string]*judgedBefore{}, calls: map[string]*Entry{}, plain: map[string]string{}}
}

// do runs a part of the recording under the lock. A panic is left behind with it.
func (r *Recorder) do(part func(now Span)) {
	if r == nil {
		return
	}
	_ = guard.Run(func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		part(Span(time.Since(r.began).Round(time.Millisecond)))
		return nil
	})
}

// add appends an entry. Where the record is full, the oldest one behind its first
// quarter is left out.
func (r *Recorder) add(e *Entry) *Entry {
	line, _ := json.Marshal(e)
	e.size = len(line)
	r.entries = append(r.entries, e)
	r.bytes += e.size
	for head := MaxEntries / 4; (len(r.entries) > MaxEntries || r.bytes > MaxBytes) && len(r.entries) > 1; {
		i := min(r.head(head), len(r.entries)-2)
		gone := r.entries[i]
		r.entries = slices.Delete(r.entries, i, i+1)
		r.bytes -= gone.size
		gone.gone = true
		if r.dropped.Entries == 0 {
			r.dropped.From = gone.At
		}
		r.dropped.Entries++
		r.dropped.To = max(gone.At, gone.Until)
	}
	return e
}

// head is how many of the first entries are always kept: no more than most, and no
// more bytes than a quarter of all.
func (r *Recorder) head(most int) int {
	size := 0
	for i, e := range r.entries {
		if size += e.size; i == most || size > MaxBytes/4 {
			return i
		}
	}
	return len(r.entries)
}

// Judged implements [rollout.Observer]. A reading that says the same as the one
// before takes no further entry.
func (r *Recorder) Judged(s rollout.Snapshot, v rollout.Verdict) {
	r.do(func(now Span) {
		r.tell(now, s)
		snapshot, ages := snapshotFrom(s)
		verdict := verdictFrom(v)
		same, _ := json.Marshal(Judged{Snapshot: snapshot, Verdict: verdict})
		key := s.Service.Name + " " + s.ID
		if before := r.judged[key]; before != nil && !before.entry.gone && before.same == string(same) {
			before.entry.Judged.Ages = ages
			before.entry.again(now)
			return
		}
		e := r.add(&Entry{At: now, Judged: &Judged{snapshot, ages, verdict}})
		r.judged[key] = &judgedBefore{e, string(same)}
	})
}

func (e *Entry) again(now Span) {
	e.Times = max(e.Times, 1) + 1
	e.Until = now
}

// tell records what the service has said of the deployment.
func (r *Recorder) tell(now Span, s rollout.Snapshot) {
	since := s.Subject().Since
	for _, m := range slices.Backward(s.Service.Events) {
		key := s.Service.Name + " " + m.ID
		if m.Time.Before(since) || r.told[key] {
			continue
		}
		r.told[key] = true
		if len(r.messages) >= MaxMessages {
			r.dropped.Messages++
			continue
		}
		r.messages = append(r.messages, Message{s.Service.Name, m.ID, m.Time, now, clip(m.Text)})
	}
}

// placesOf are the places of tasks in the record, and how many have none.
func (r *Recorder) placesOf(tasks []types.Task) (places []int, more int) {
	for _, t := range tasks {
		task := taskFrom(t, r.normalise)
		key, _ := json.Marshal(task)
		place, known := r.places[string(key)]
		if !known {
			if len(r.tasks) >= MaxTasks {
				r.dropped.Tasks++
				more++
				continue
			}
			place = len(r.tasks)
			r.tasks = append(r.tasks, task)
			r.places[string(key)] = place
		}
		places = append(places, place)
	}
	return places, more
}

// normalise is [diagnosis.Normalise], once for each text.
func (r *Recorder) normalise(text string) string {
	plain, known := r.plain[text]
	if !known {
		plain = diagnosis.Normalise(text)
		if len(r.plain) < MaxTasks {
			r.plain[text] = plain
		}
	}
	return plain
}

// Stopped implements [diagnosis.Observer].
func (r *Recorder) Stopped(s diagnosis.Subject, tasks []types.Task, causes []diagnosis.Cause) {
	r.do(func(now Span) {
		if len(tasks) == 0 && len(causes) == 0 {
			return
		}
		places, more := r.placesOf(tasks)
		r.add(&Entry{At: now, Stopped: &Stopped{subjectFrom(s), places, more, causesFrom(causes)}})
		delete(r.judged, s.Service+" "+s.DeploymentID) // the next reading shows what came of it
	})
}

// Examined implements [diagnosis.Observer].
func (r *Recorder) Examined(e diagnosis.Evidence, d diagnosis.Diagnosis) {
	r.do(func(now Span) {
		out := diagnosisFrom(e, d)
		more := 0
		out.Stopped, more = r.placesOf(e.Stopped)
		out.More += more
		out.Running, more = r.placesOf(e.Running)
		out.More += more
		r.add(&Entry{At: now, Diagnosis: out})
	})
}

// Calls has the calls of a client of AWS recorded; it is meant for
// [aws.Config.APIOptions].
func (r *Recorder) Calls(stack *middleware.Stack) error {
	if r == nil {
		return nil
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Record", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		begin := time.Now()
		out, meta, err := next.HandleInitialize(ctx, in)
		r.called(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), time.Since(begin), err)
		return out, meta, err
	}), middleware.After)
}

// near is how many entries may lie between two equal calls that are one entry.
const near = 8

// called records a call. One that succeeds as the one before did takes no further
// entry, as long as little happened in between.
func (r *Recorder) called(service, operation string, took time.Duration, err error) {
	r.do(func(now Span) {
		call := &Call{Service: strings.ReplaceAll(service, " ", ""), Operation: operation, Took: Span(took.Round(time.Millisecond))}
		if err != nil {
			call.Code, call.Error = wordsOf(err)
		}
		key := service + " " + operation
		if last := r.calls[key]; last != nil && err == nil && last.Call.Code == "" && slices.Contains(r.entries[max(0, len(r.entries)-near):], last) {
			last.Call.Took = call.Took
			last.again(now)
			return
		}
		r.calls[key] = r.add(&Entry{At: now, Call: call})
	})
}

// wordsOf is the code of an error, and what AWS says.
func wordsOf(err error) (code, text string) {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode(), clip(api.ErrorMessage())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "Canceled", ""
	case errors.Is(err, context.DeadlineExceeded):
		return "NoAnswer", ""
	}
	return "Failed", clip(err.Error())
}

// Bytes is the record as a file. It may be asked for once, when the run ends.
func (r *Recorder) Bytes() (data []byte, err error) {
	if r == nil {
		return nil, nil
	}
	err = guard.Run(func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		f := File{Version: Version, Task: r.o.Task, Began: r.began.UTC(), Settings: r.o.Settings, Messages: r.messages, Tasks: r.tasks, Entries: r.entries}
		if r.dropped != (Dropped{}) {
			f.Dropped = &r.dropped
		}
		a := newAliases(r.o.Redact)
		a.hide(r.o.Hidden)
		names := map[string][]string{}
		maps.Copy(names, r.o.Names)
		for kind, more := range r.names {
			names[kind] = append(slices.Clone(names[kind]), more...)
		}
		a.anonymise(&f, names)
		data = f.Bytes()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the recording cannot be written: %w", err)
	}
	return data, nil
}

var _ rollout.Observer = (*Recorder)(nil)
