package main

// The recording of a run, for whoever has to find out afterwards why it went as it
// did: docs/recording.md.

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/recording"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/session"
	"ecsdeploy/pkg/vso"
)

// recorder begins the recording of the run; nil where none is wanted.
func (j job) recorder() *recording.Recorder {
	in := j.config.Inputs
	if in.Recording == "" || in.Recording == input.RecordNever {
		return nil
	}
	o := recording.Options{
		Redact: j.console.Redact,
		Settings: recording.Settings{
			Command: string(in.Command), WaitUntil: string(in.WaitUntil), OnFailure: string(in.OnFailure), WhenBusy: string(in.WhenBusy),
			Timeout: recording.Span(in.Timeout), MaxFailedTasks: in.MaxFailedTasks, Services: len(in.Services),
		},
		Names: map[string][]string{"container": in.Containers, "repository": {in.Repository}, "role": {in.Role.ARN}, "tag": in.Tags},
	}
	if version := filepath.Base(j.variables[taskFolder]); taskVersion.MatchString(version) {
		o.Task = version
	}
	for _, s := range in.Services {
		o.Names["cluster"] = append(o.Names["cluster"], s.Cluster, s.ClusterName())
		o.Names["service"] = append(o.Names["service"], s.Name)
	}
	for _, v := range in.Environment {
		o.Hidden = append(o.Hidden, v.Value)
	}
	for _, v := range in.Secrets {
		o.Names["parameter"] = append(o.Names["parameter"], v.Value)
	}
	for _, i := range in.Images {
		o.Names["container"] = append(o.Names["container"], i.Container)
	}
	return recording.New(o)
}

// taskVersion is the last part of the folder to which an agent unpacks a task.
var taskVersion = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// keepRecording attaches the recording to the run's logs: of a run that failed, or
// of every one.
func (j job) keepRecording(ctx context.Context, result deploy.Result, failure error) {
	failed := stepResult(failure, report.Failures(result, session.Explain), nil) == vso.Failed
	if j.recording == nil || j.config.Inputs.Recording == input.RecordOnFailure && !failed {
		return
	}
	for _, s := range result.Services {
		j.recording.Outcome(s)
	}
	if ctx.Err() == nil {
		j.recording.Failure(failure)
	}
	data, err := j.recording.Bytes()
	var file *os.File
	if err == nil {
		file, err = os.CreateTemp(j.config.Pipeline.TempDirectory, "ecsdeploy-recording-*.json")
	}
	if err == nil {
		_, err = file.Write(data)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		j.log.Warn("could not write the recording: " + err.Error())
		return
	}
	j.log.Info("attached a recording of this run to its logs, for a bug report (docs/recording.md)")
	j.console.Send(vso.UploadFile(file.Name()))
}
