package main

// What came of a run, for the agent: files, the summary, issues, the result of the
// step.

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/session"
	"ecsdeploy/pkg/vso"
)

// handOver writes the current images as files for the tools of infrastructure.
func (j job) handOver(images []deploy.CurrentImage) error {
	if _, _, unfit := report.FitOutputs(deploy.Result{Current: images}); unfit != nil {
		return nil // the run fails for that, and hands on nothing
	}
	files, err := report.Files(images)
	if err != nil {
		return err
	}
	directory := filepath.Join(j.config.Pipeline.TempDirectory, "ecs-deploy")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(directory, file.Name)
		if err := os.WriteFile(path, file.Content, 0o644); err != nil {
			return err
		}
		j.log.Info("wrote " + path)
	}
	return nil
}

// refuse ends a run whose inputs, or whose network, cannot be used. What could be
// read of them says where its files belong.
func (j job) refuse(ctx context.Context, begin time.Time, err error) int {
	if j.config.Pipeline.TempDirectory != "" {
		j.record(ctx, deploy.Result{DryRun: j.config.Inputs.DryRun}, report.Run{Command: string(j.config.Inputs.Command), Began: begin, Err: err})
		j.summarise(ctx, deploy.Result{}, nil, err)
	}
	return j.fail(ctx, err)
}

// summarise puts the summary on the run's page, unless the run was cancelled.
func (j job) summarise(ctx context.Context, result deploy.Result, found []report.Contents, failure error) {
	if !j.config.Inputs.Summary || failure != nil && ctx.Err() != nil {
		return
	}
	if err := j.writeSummary(ctx, result, found, failure); err != nil {
		j.log.Warn("could not write the summary: " + err.Error())
	}
}

// writeSummary writes the summary where the agent can upload it from after the
// step has ended.
func (j job) writeSummary(ctx context.Context, result deploy.Result, found []report.Contents, failure error) error {
	file, err := os.CreateTemp(j.config.Pipeline.TempDirectory, "ecsdeploy-*.md")
	if err != nil {
		return err
	}
	page := report.Page{Issues: mistakes(ctx, failure), Contents: found, Secrets: j.console.Secrets}
	if j.contents != nil {
		page.Timeline = j.contents.timeline
	}
	_, err = file.WriteString(report.Summary(result, page, session.Explain))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	j.console.Send(vso.AddSummary(report.SectionName(result, j.console.Redact), file.Name()))
	return nil
}

// conclude ends a run that came to an outcome.
func (j job) conclude(result deploy.Result) int {
	failures, warnings := report.Failures(result, session.Explain), report.Warnings(result)
	line := report.Line(result, session.Explain)
	for _, w := range warnings {
		j.issue(slog.LevelWarn, w.Text, w.Hint)
	}
	for _, f := range failures {
		j.issue(slog.LevelError, f.Text, f.Hint)
	}
	end := stepResult(nil, failures, warnings)
	if end != vso.Failed {
		j.console.Print(line)
	}
	j.console.Send(vso.Complete(end, line))
	return 0
}

// stepResult is the result of the step.
func stepResult(err error, failures, warnings []report.Issue) vso.Result {
	switch {
	case err != nil, len(failures) > 0:
		return vso.Failed
	case len(warnings) > 0:
		return vso.SucceededWithIssues
	}
	return vso.Succeeded
}

// resultType is the type of the attachment that is the result file, as docs/result.md
// has it.
const resultType = "EcsDeploy.Result"

// record writes the result file, and says where it is. What scripts read there is
// complete before the step has ended.
func (j job) record(ctx context.Context, result deploy.Result, run report.Run) {
	run.Redact = j.console.Redact
	run.Result = string(stepResult(run.Err, report.Failures(result, session.Explain), report.Warnings(result)))
	document := report.Document(result, run, func(err error) (string, string) { return explain(ctx, err) })
	file, err := os.CreateTemp(j.config.Pipeline.TempDirectory, "ecsdeploy-*.json")
	if err == nil {
		_, err = file.Write(document)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		j.log.Warn("could not write the result file: " + err.Error())
		return
	}
	j.console.Send(vso.SetVariable("resultFile", file.Name()), vso.Attach(resultType, "result.json", file.Name()))
}

// fail ends a run that could not be carried out, with one issue for each thing
// that is wrong.
func (j job) fail(ctx context.Context, err error) int {
	all := mistakes(ctx, err)
	for _, one := range all {
		j.issue(slog.LevelError, one.Text, one.Hint)
	}
	j.console.Send(vso.Complete(vso.Failed, all[0].Text))
	return 0
}

// mistakes is what an error comes to, each thing once: services may share a mistake,
// as in a file.
func mistakes(ctx context.Context, err error) (all []report.Issue) {
	told := map[string]bool{}
	for _, one := range mistake.Each(err) {
		message, hint := explain(ctx, one)
		if !told[message] {
			told[message] = true
			all = append(all, report.Issue{Text: message, Hint: hint})
		}
	}
	return all
}

// issue reports what is wrong, and what to do about it where that is known.
func (j job) issue(level slog.Level, message, hint string) {
	log := j.log
	if hint != "" {
		log = log.With("hint", hint)
	}
	log.Log(context.Background(), level, message)
}

// explain says what went wrong in plain words, and what to do about it. Only
// the run's own context says that it was the run which was cancelled.
func explain(ctx context.Context, err error) (message, hint string) {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return "the run was cancelled", ""
	}
	if done, ok := errors.AsType[*deploy.PartlyDoneError](err); ok {
		message, hint = explain(ctx, done.Err)
		return message + "; " + report.DoneBefore(done.Image), hint
	}
	err = report.Named(err)
	if with, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok && with.Hint() != "" {
		return err.Error(), with.Hint()
	}
	return session.Explain(err)
}
