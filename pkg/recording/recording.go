// Package recording keeps a record of one run: which calls it made, what it saw of
// each deployment, how that was judged and what it did, small enough to be attached
// to a bug report and without anything that tells whose run it was. [Replay] plays
// a record back through the same rules, so that a report becomes a test.
//
// A [Recorder] is fed with the typed values of packages rollout, diagnosis and
// deploy, and with the names of calls. It keeps no bodies of replies: of a service,
// a deployment and a task only the members that decide a verdict. Logs of
// containers, values of variables and task definitions are never part of it.
//
// The package does not write files, does not know the inputs of the task or where
// it runs, and decides nothing: a run with a recorder and one without do the same.
// docs/recording.md describes the format.
package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Version is that of the format. Members are added while it is the same; what one
// means does not change.
const Version = 1

// The bounds of a record. Where more happens, the middle is left out and
// [File.Dropped] says how much: how a run began and how it ended decide most.
const (
	MaxEntries  = 600
	MaxBytes    = 512 << 10 // of the entries
	MaxMessages = 300       // of the services' event logs
	MaxTasks    = 300
	maxText     = 1000    // characters of one text
	maxFile     = 4 << 20 // bytes that are read of a file
)

// File is the record of a run.
type File struct {
	Version  int       `json:"version"`
	Task     string    `json:"task,omitempty" is:"ours"` // version of the task
	Began    time.Time `json:"began"`
	Settings Settings  `json:"settings"`
	Dropped  *Dropped  `json:"dropped,omitempty"`
	Messages []Message `json:"messages,omitempty"`
	Tasks    []Task    `json:"tasks,omitempty"`
	Entries  []*Entry  `json:"entries"`
}

// Settings are the inputs that decide verdicts.
type Settings struct {
	Command        string `json:"command" is:"code"`
	WaitUntil      string `json:"waitUntil,omitempty" is:"code"`
	OnFailure      string `json:"onFailure,omitempty" is:"code"`
	WhenBusy       string `json:"whenBusy,omitempty" is:"code"`
	Timeout        Span   `json:"timeout,omitempty"`
	MaxFailedTasks int    `json:"maxFailedTasks"`
	Services       int    `json:"services"`
}

// Dropped says what is missing, because a record is bounded.
type Dropped struct {
	Entries  int  `json:"entries,omitempty"` // between the entries that came before From and after To
	From     Span `json:"from,omitempty"`
	To       Span `json:"to,omitempty"`
	Messages int  `json:"messages,omitempty"`
	Tasks    int  `json:"tasks,omitempty"`
}

// Entry is one thing that the run read, decided or did. One of the members behind
// Times is set.
type Entry struct {
	At    Span `json:"at"`              // since the run began
	Until Span `json:"until,omitempty"` // of the last time, where it came up several times in a row
	Times int  `json:"times,omitempty"` // how often, where more than once

	Call      *Call      `json:"call,omitempty"`
	Event     *Event     `json:"event,omitempty"`
	Judged    *Judged    `json:"judged,omitempty"`
	Stopped   *Stopped   `json:"stopped,omitempty"`
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`

	size int
	gone bool // it was left out
}

// Call is a call of AWS, with all its attempts.
type Call struct {
	Service   string `json:"service" is:"code"`
	Operation string `json:"operation" is:"code"`
	Took      Span   `json:"took,omitempty"` // of the last time
	Code      string `json:"code,omitempty" is:"code"`
	Error     string `json:"error,omitempty" is:"text"`
}

// Event is something that the run did, or that was told of a deployment.
type Event struct {
	Name    string `json:"name" is:"code"` // of the type in packages deploy and rollout
	Service string `json:"service,omitempty" is:"service"`
	From    string `json:"from,omitempty" is:"arn"`
	To      string `json:"to,omitempty" is:"arn"`
	Code    string `json:"code,omitempty" is:"code"`
	Text    string `json:"text,omitempty" is:"text"`
}

// Judged is a reading of a deployment with the verdict on it.
type Judged struct {
	Snapshot Snapshot `json:"snapshot"`
	Ages     Ages     `json:"ages"`
	Verdict  Verdict  `json:"verdict"`
}

// Verdict is how a deployment ended; without an outcome it is in progress.
type Verdict struct {
	Outcome string `json:"outcome,omitempty" is:"code"`
	Code    string `json:"code,omitempty" is:"code"`
	Stage   string `json:"stage,omitempty" is:"code"`
	By      string `json:"by,omitempty" is:"id"`
	Detail  string `json:"detail,omitempty" is:"text"`
	Count   int    `json:"count,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

// Message is a line of a service's own event log.
type Message struct {
	Service string    `json:"service" is:"service"`
	ID      string    `json:"id" is:"id"`
	Time    time.Time `json:"time,omitzero"`
	Seen    Span      `json:"seen"`
	Text    string    `json:"text" is:"text"`
}

// Span is a duration, or a time since the run began. In JSON it is a text such as
// "1m9.5s".
type Span time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Read reads the record of a run. The error says what is not as the format has it.
func Read(r io.Reader) (File, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return File{}, err
	}
	if len(data) > maxFile {
		return File{}, fmt.Errorf("more than %d MB: this is no recording", maxFile>>20)
	}
	var f File
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&f); err != nil {
		return File{}, fmt.Errorf("this is no recording: %w", err)
	}
	if f.Version != Version {
		return File{}, fmt.Errorf("version %d of the format; expected %d", f.Version, Version)
	}
	if len(f.Entries) > MaxEntries || len(f.Messages) > MaxMessages || len(f.Tasks) > MaxTasks {
		return File{}, fmt.Errorf("more than %d entries, %d messages or %d tasks", MaxEntries, MaxMessages, MaxTasks)
	}
	for i, e := range f.Entries {
		if e == nil {
			return File{}, fmt.Errorf("entry %d is empty", i+1)
		}
	}
	return f, nil
}

// Bytes is the file. Each message, task and entry has a line of its own.
func (f File) Bytes() []byte {
	head := f
	head.Messages, head.Tasks, head.Entries = nil, nil, nil
	text, _ := json.MarshalIndent(head, "", " ") // these types always marshal
	begin, _, _ := bytes.Cut(text, []byte(",\n \"entries\": null"))
	b := bytes.NewBuffer(begin)
	list(b, "messages", f.Messages)
	list(b, "tasks", f.Tasks)
	list(b, "entries", f.Entries)
	b.WriteString("\n}\n")
	return b.Bytes()
}

// list writes a member that is a list.
func list[T any](b *bytes.Buffer, name string, all []T) {
	fmt.Fprintf(b, ",\n %q: [", name)
	for i, one := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		line, _ := json.Marshal(one)
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n ]")
}
