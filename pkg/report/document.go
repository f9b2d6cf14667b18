package report

// The result file: a run as JSON, for scripts. docs/result.md describes it, and a
// test holds the two together. Members are added; none changes its meaning while
// the version is the same.

import (
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// DocumentVersion is that of the result file's schema.
const DocumentVersion = 1

// Run is what a result file says beside the result itself.
type Run struct {
	Command  string
	Result   string    // of the step: Succeeded, SucceededWithIssues, Failed
	Began    time.Time // of the run
	Contents []Contents
	Err      error // why the run could not be carried out; may be nil
	Redact   func(string) string
}

// Document is the result file of a run.
func Document(r deploy.Result, run Run, explain Explain) []byte {
	d := resultDocument{
		Version: DocumentVersion, Command: run.Command, Result: run.Result, Outcome: string(r.Outcome()), DryRun: r.DryRun,
		Began: run.Began.UTC().Format(time.RFC3339), Seconds: secondsOf(time.Since(run.Began)),
		Image: imageRecord(r.Image), Scans: scanRecords(r.Scan), Services: []serviceRecord{}, Errors: errorRecords(run.Err, explain),
	}
	for _, s := range r.Services {
		d.Services = append(d.Services, newServiceRecord(s, explain))
	}
	d.Schedules, d.Drift = scheduleRecords(r, explain), driftRecords(r)
	for _, c := range r.Current {
		d.Current = append(d.Current, detail{c.Cluster, c.Name, c.Exists, c.Container, c.URI, c.Digest, c.BuildID, c.Revision})
	}
	for _, c := range run.Contents {
		d.Contents = append(d.Contents, newContentsRecord(c))
	}
	redact(reflect.ValueOf(&d), run.Redact)
	data, _ := json.MarshalIndent(d, "", "  ") // these types always marshal
	return append(data, '\n')
}

type resultDocument struct {
	Version   int              `json:"version"`
	Command   string           `json:"command"`
	Result    string           `json:"result"`
	Outcome   string           `json:"outcome,omitempty"`
	DryRun    bool             `json:"dryRun"`
	Began     string           `json:"began"`
	Seconds   float64          `json:"seconds"`
	Image     *imageDetail     `json:"image,omitempty"`
	Scans     []scanRecord     `json:"scans,omitempty"`
	Services  []serviceRecord  `json:"services"`
	Schedules []scheduleRecord `json:"schedules,omitempty"`
	Drift     []driftRecord    `json:"drift,omitempty"`
	Current   []detail         `json:"current,omitempty"`
	Contents  []contentsRecord `json:"contents,omitempty"`
	Errors    []errorRecord    `json:"errors,omitempty"`
}

type imageDetail struct {
	URI          string   `json:"uri"`
	Digest       string   `json:"digest,omitempty"`
	Source       string   `json:"source,omitempty"`
	Pushed       bool     `json:"pushed"`
	SentBytes    int64    `json:"sentBytes"`
	Layers       int      `json:"layers"`
	ReusedLayers int      `json:"reusedLayers"`
	Seconds      float64  `json:"seconds"`
	SignedBy     []string `json:"signedBy,omitempty"`

	SOCI *sociRecord `json:"soci,omitempty"`
}

// sociRecord is the SOCI index of an image.
type sociRecord struct {
	Digest string `json:"digest"`
	Layers int    `json:"layers"`
	Bytes  int64  `json:"bytes"`
}

func imageRecord(i deploy.Image) *imageDetail {
	if i.URI == "" {
		return nil
	}
	d := &imageDetail{URI: i.URI, Digest: i.Digest, Source: i.Source, Pushed: i.Pushed, SentBytes: i.SentBytes, Layers: i.Layers, ReusedLayers: i.Reused, Seconds: secondsOf(i.Took), SignedBy: i.Signed}
	if i.Lazy != nil {
		d.SOCI = &sociRecord{i.Lazy.Digest, i.Lazy.Layers, i.Lazy.Bytes}
	}
	return d
}

type serviceRecord struct {
	Cluster          string          `json:"cluster"`
	Service          string          `json:"service"`
	ARN              string          `json:"arn,omitempty"`
	Controller       string          `json:"controller,omitempty"`
	Container        string          `json:"container,omitempty"`
	Outcome          string          `json:"outcome,omitempty"`
	Reason           *reasonRecord   `json:"reason,omitempty"`
	TaskDefinition   string          `json:"taskDefinition,omitempty"`
	Previous         string          `json:"previousTaskDefinition,omitempty"`
	PreviousImage    string          `json:"previousImage,omitempty"`
	Changes          []changeRecord  `json:"changes,omitempty"`
	ChangedSecrets   []string        `json:"changedSecrets,omitempty"`
	Deployment       string          `json:"serviceDeployment,omitempty"`
	CodeDeploy       string          `json:"codeDeployDeployment,omitempty"`
	Hook             *hookRecord     `json:"hook,omitempty"`
	URL              string          `json:"url,omitempty"`
	RollbackAsked    bool            `json:"rollbackAsked"`
	Rollback         *rollbackRecord `json:"rollback,omitempty"`
	Causes           []causeRecord   `json:"causes,omitempty"`
	UnhealthyTargets []targetRecord  `json:"unhealthyTargets,omitempty"`
	Tasks            tasksRecord     `json:"tasks"`
	WrongDigests     []wrongRecord   `json:"wrongDigests,omitempty"`
	SmokeTests       []smokeRecord   `json:"smokeTests,omitempty"`
	Seconds          float64         `json:"seconds"`
}

type reasonRecord struct {
	Code   string   `json:"code"`
	Text   string   `json:"text"`
	Hint   string   `json:"hint,omitempty"`
	Alarms []string `json:"alarms,omitempty"`
	Stage  string   `json:"stage,omitempty"`
	By     string   `json:"by,omitempty"`
}

type changeRecord struct {
	Path string `json:"path"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

type hookRecord struct {
	ID            string `json:"id"`
	Expires       string `json:"expires,omitempty"`
	TimeoutAction string `json:"timeoutAction,omitempty"`
}

type rollbackRecord struct {
	Done           bool   `json:"done"`
	TaskDefinition string `json:"taskDefinition,omitempty"`
	Code           string `json:"code,omitempty"`
}

type causeRecord struct {
	Count     int    `json:"count"`
	StopCode  string `json:"stopCode,omitempty"`
	Reason    string `json:"reason"`
	Fault     string `json:"fault,omitempty"`
	Container string `json:"container,omitempty"`
	ExitCode  *int   `json:"exitCode,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

type targetRecord struct {
	Count  int    `json:"count"`
	Group  string `json:"group"`
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

type tasksRecord struct {
	Running  int `json:"running"`
	Desired  int `json:"desired"`
	Verified int `json:"verified"`
	Unknown  int `json:"unknown"`
}

type wrongRecord struct {
	Task      string `json:"task,omitempty"`
	Container string `json:"container"`
	Digest    string `json:"digest"`
}

func newServiceRecord(s deploy.ServiceResult, explain Explain) serviceRecord {
	out := serviceRecord{
		Cluster: s.Cluster, Service: s.Name, ARN: s.ARN, Controller: s.Controller, Container: s.Container, Outcome: string(s.Outcome),
		TaskDefinition: s.Revision, Previous: s.Previous, PreviousImage: s.PreviousImage, Deployment: s.Deployment, CodeDeploy: s.CodeDeploy,
		ChangedSecrets: s.Secrets, URL: s.URL, RollbackAsked: s.Asked, Reason: newReasonRecord(s, explain), Seconds: secondsOf(s.Took),
		SmokeTests: smokeRecords(s.Smoke), Tasks: tasksRecord{s.Running, s.Desired, s.Proof.Verified, s.Proof.Unknown},
	}
	for _, c := range s.Changes {
		out.Changes = append(out.Changes, changeRecord(c))
	}
	if s.Reason.Code == rollout.HookWaits || s.HookID != "" {
		out.Hook = &hookRecord{ID: cmp.Or(s.HookID, s.Reason.Hook.ID), TimeoutAction: s.Reason.Hook.Timeout}
		if expires := s.Reason.Hook.Expires; !expires.IsZero() {
			out.Hook.Expires = expires.UTC().Format(time.RFC3339)
		}
	}
	if s.Rollback.Wanted {
		out.Rollback = &rollbackRecord{s.Rollback.Done, s.Rollback.To, string(s.Rollback.Code)}
	}
	for _, c := range s.Diagnosis.Causes {
		cause := causeRecord{Count: c.Count, StopCode: c.StopCode, Reason: c.Reason, Fault: string(c.Fault), Hint: c.Hint}
		if failed := c.Failed(); failed != nil {
			cause.Container, cause.ExitCode = failed.Name, failed.ExitCode
		}
		out.Causes = append(out.Causes, cause)
	}
	for _, t := range s.Diagnosis.Targets {
		out.UnhealthyTargets = append(out.UnhealthyTargets, targetRecord{t.Count, t.Group, t.State, t.Reason, t.Hint})
	}
	for _, w := range s.Proof.Contradicted() {
		out.WrongDigests = append(out.WrongDigests, wrongRecord(w))
	}
	return out
}

// newReasonRecord is why the service ended as it did; nil where there is nothing to
// say of that.
func newReasonRecord(s deploy.ServiceResult, explain Explain) *reasonRecord {
	code := s.Reason.Code
	if s.Err != nil {
		code = cmp.Or(code, rollout.NotStarted)
	}
	if code == "" {
		return nil
	}
	out := &reasonRecord{Code: string(code), Text: reasonText(s.Reason, s.Controller), Alarms: s.Reason.Alarms, Stage: s.Reason.Stage, By: s.Reason.By}
	if failed(s) {
		out.Text, out.Hint = failure(s, explain)
	}
	return out
}

type errorRecord struct {
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Input string `json:"input,omitempty"`
}

// errorRecords are the mistakes and failures for which a run was not carried out.
func errorRecords(err error, explain Explain) []errorRecord {
	var all []errorRecord
	for _, one := range mistake.Each(err) {
		text, hint := explain(one)
		out := errorRecord{Text: text, Hint: hint}
		if m, is := errors.AsType[*mistake.Error](one); is {
			out.Kind, out.Input = string(m.Kind), cmp.Or(m.Input, inputs[m.Kind])
		}
		all = append(all, out)
	}
	return all
}

type contentsRecord struct {
	Services     []string       `json:"services,omitempty"`
	From         buildRecord    `json:"from"`
	To           buildRecord    `json:"to"`
	Removed      bool           `json:"removed"`
	Complete     bool           `json:"complete"`
	Commits      []commitRecord `json:"commits,omitempty"`
	PullRequests []linkRecord   `json:"pullRequests,omitempty"`
	WorkItems    []linkRecord   `json:"workItems,omitempty"`
}

type buildRecord struct {
	ID     int    `json:"id"`
	Number string `json:"number,omitempty"`
	URL    string `json:"url,omitempty"`
}

type commitRecord struct {
	ID     string `json:"id"`
	Author string `json:"author,omitempty"`
	Title  string `json:"title"`
	URL    string `json:"url,omitempty"`
}

type linkRecord struct {
	ID    int    `json:"id"`
	Title string `json:"title,omitempty"`
	URL   string `json:"url,omitempty"`
}

func newContentsRecord(c Contents) contentsRecord {
	out := contentsRecord{
		Services: c.Services, Removed: c.Removed, Complete: len(c.Problems) == 0 && !c.MoreChanges && !c.MoreWorkItems,
		From: buildRecord{c.From.ID, c.From.Number, c.From.URL}, To: buildRecord{c.To.ID, c.To.Number, c.To.URL},
	}
	for _, change := range c.Changes {
		out.Commits = append(out.Commits, commitRecord{change.ID, change.Author, change.Title, change.URL})
	}
	for _, p := range c.PullRequests {
		out.PullRequests = append(out.PullRequests, linkRecord{p.ID, p.Title, p.URL})
	}
	for _, w := range c.WorkItems {
		out.WorkItems = append(out.WorkItems, linkRecord{w.ID, w.Title, w.URL})
	}
	return out
}

// secondsOf is a duration in seconds, to the millisecond.
func secondsOf(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// redact replaces every text in v. It is done before the texts are encoded: a
// secret with a quotation mark is not itself any more in JSON.
func redact(v reflect.Value, with func(string) string) {
	if with == nil {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			redact(v.Elem(), with)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			redact(v.Field(i), with)
		}
	case reflect.Slice:
		for i := range v.Len() {
			redact(v.Index(i), with)
		}
	case reflect.String:
		v.SetString(with(v.String()))
	}
}
