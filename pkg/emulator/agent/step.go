package agent

// One step: its timeline record, its log, and what logging commands do to them (Agent.Worker/TaskCommandExtension.cs,
// ExecutionContext.cs, WorkerCommandManager.cs, StepsRunner.cs).

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxIssues is how many errors, and how many warnings, a step's record keeps (ExecutionContext.cs, _maxIssueCount).
const maxIssues = 10

type step struct {
	job  Job
	task definition
	env  *environment

	mu            sync.Mutex // commands and lines of both streams are handled one at a time
	masker        masker
	printer       printer
	result        Result
	status        *Status // of task.complete
	commandStatus *Status // of commands that could not be carried out
	issues        map[string]int
	percent       int
	poisoned      bool     // status remains, whatever later attempts do
	uploads       []upload // queued
	inGroup       bool     // of the log
}

var errTimedOut = errors.New("the step's timeout has passed")

type upload struct{ kind, name, path string }

func newStep(j Job, task definition, env *environment) *step {
	s := &step{job: j, task: task, env: env, issues: map[string]int{}}
	s.printer = printer{w: j.Output, color: j.Color, timestamps: j.Timestamps}
	s.result = Result{Outputs: map[string]string{}, Variables: map[string]string{}, Warnings: env.strange}
	for _, secret := range env.masks {
		s.masker.add(secret)
	}
	return s
}

// start prints the head of a step's log (Agent.Worker/TaskRunner.cs, PrintTaskMetaData).
func (s *step) start() {
	rule := strings.Repeat("=", 78)
	s.write("##[section]Starting: " + s.job.Name)
	s.write(rule)
	for _, line := range [][2]string{
		{"Task", s.task.FriendlyName}, {"Description", s.task.Description}, {"Version", s.task.version()},
		{"Author", s.task.Author}, {"Help", cmp.Or(s.task.HelpURL, s.task.HelpMarkDown)},
	} {
		s.write(fmt.Sprintf("%-13s: %s", line[0], line[1]))
	}
	s.write(rule)
}

// run runs the handler to its end.
func (s *step) run(ctx context.Context, p process) {
	p.interrupt, p.terminate, p.drain = s.job.Interrupt, s.job.Terminate, s.job.Drain
	p.line = s.handle
	if s.job.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.job.Timeout, errTimedOut)
		defer cancel()
	}
	for {
		s.result.Attempts++
		code, err := p.run(ctx)
		s.settle(code, err, p)
		if s.result.Status != Failed || s.result.Attempts > s.job.Retries || ctx.Err() != nil {
			return
		}
		s.retry(code)
	}
}

// retry prepares another attempt (Agent.Worker/RetryHelper.cs). A task that said that it failed is forgotten; one whose
// node exited with another code than 0 has thrown an exception instead, after which what it said remains.
func (s *step) retry(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(fmt.Sprintf("##[warning]RetryHelper encountered task failure, will retry (attempt #: %d out of %d)", s.result.Attempts, s.job.Retries))
	switch {
	case s.poisoned:
	case code <= 0:
		s.status, s.commandStatus = nil, nil
	case s.status != nil:
		s.poisoned = true
		s.warn("attempt %d used task.complete and exited with %d: its result remains, whatever later attempts do", s.result.Attempts, code)
	}
}

// settle decides the step's status once node has ended, with an error where it was not left to end by itself.
func (s *step) settle(code int, err error, p process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.ExitCode = code
	status := Succeeded
	if s.status != nil {
		status = *s.status
	}
	switch { // each of these replaces what task.complete said
	case errors.Is(err, errTimedOut):
		s.issue("error", "The task has timed out.", nil)
		status = Failed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.issue("error", "The operation was canceled.", nil)
		status = Canceled
	case err != nil:
		s.issue("error", err.Error(), nil)
		status = Failed
	case code < 0:
		s.warn("node was ended by a signal, which a real agent takes for exit code 0")
	case code != 0:
		s.issue("error", fmt.Sprintf("Exit code %d returned from process: file name '%s', arguments '\"%s\"'.", code, p.node, p.script), nil)
		status = Failed
	}
	if s.commandStatus != nil {
		status = worse(status, *s.commandStatus)
	}
	s.result.Status = status
}

// finish reads what was queued for upload, ends what the task left running, and closes the log.
func (s *step) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		content, err := os.ReadFile(u.path)
		if err != nil {
			s.result.Warnings = append(s.result.Warnings, fmt.Sprintf("%s was gone before it could be uploaded", u.path))
			continue
		}
		if u.kind == summaryType {
			s.result.Summaries = append(s.result.Summaries, string(content))
		} else {
			s.result.Attachments = append(s.result.Attachments, Attachment{u.kind, u.name, content})
		}
	}
	s.result.Orphans = killOrphans(s.env.lookup)
	for _, pid := range s.result.Orphans {
		s.write(fmt.Sprintf("Terminate orphan process: pid (%d)", pid))
	}
	s.write("##[section]Finishing: " + s.job.Name)
}

// handle takes one line of either stream.
func (s *step) handle(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Raw = append(append(s.result.Raw, line...), '\n')

	command, found := parseCommand(line)
	if !found {
		if holdsKeyword(line) {
			s.issue("warning", fmt.Sprintf("'%s' contains logging command keyword '%s', but it's not a legal command.", line, keyword), nil)
		}
		s.write(line)
		return
	}
	s.result.Commands = append(s.result.Commands, command)
	run, shown := s.executor(command)
	if shown {
		s.write(line)
	}
	if run == nil {
		return
	}
	if err := run(command); err != nil {
		s.issue("error", fmt.Sprintf("Unable to process command '%s' successfully.", line), nil)
		s.issue("error", err.Error(), nil)
		s.failCommand()
	}
	if !command.is("task", "debug") {
		s.debug("Processed: " + decode(line))
	}
}

// executor finds what carries out a command. shown means that the line itself goes into the log as well.
func (s *step) executor(c Command) (run func(Command) error, shown bool) {
	area, event := strings.ToLower(c.Area), strings.ToLower(c.Event)
	events, known := s.areas()[area]
	switch {
	case area == "release" && s.job.HostType != HostRelease:
		s.issue("error", fmt.Sprintf("%s commands are not supported for %s flow.", c.Area, s.job.HostType), nil)
		s.failCommand()
		return nil, true
	case !known && slices.Contains(otherAreas, area):
		s.warn("%s%s.%s] is a command that the stand-in leaves alone", prefix, c.Area, c.Event)
		return nil, false
	case !known:
		s.issue("warning", fmt.Sprintf("Cannot find command extension for %s%s.command].", prefix, c.Area), nil)
		s.warn("unknown command area %q", c.Area)
		return nil, false
	}
	e, ok := events[event]
	if !ok {
		return func(Command) error {
			return refusal(fmt.Sprintf("%s%s.%s] is not a recognized command for %s command extension.", prefix, area, c.Event, c.Area))
		}, false
	}
	if s.task.Restrictions.restricted() && !e.always {
		s.issue("warning", fmt.Sprintf("%s%s.%s] is not allowed in this step due to policy restrictions.", prefix, c.Area, c.Event), nil)
		s.warn("%s.%s is not allowed in restricted mode", c.Area, c.Event)
		return nil, false
	}
	return e.run, false
}

// otherAreas have commands of the real agent that no deployment task needs.
var otherAreas = []string{"artifact", "codecoverage", "plugininternal", "results", "telemetry"}

type executor struct {
	run    func(Command) error
	always bool // allowed where the task's commands are restricted, too
}

func (s *step) areas() map[string]map[string]executor {
	ignored := func(Command) error { return nil }
	return map[string]map[string]executor{
		"task": {
			"addattachment":   {s.addAttachment, false},
			"complete":        {s.complete, true},
			"debug":           {func(c Command) error { s.debug(c.Data); return nil }, true},
			"issue":           {s.logIssue, true},
			"logdetail":       {ignored, true},
			"logissue":        {s.logIssue, true},
			"prependpath":     {s.prependPath, true},
			"setendpoint":     {s.setEndpoint, false},
			"setprogress":     {s.setProgress, true},
			"setsecret":       {s.setSecret, true},
			"settaskvariable": {s.setTaskVariable, true},
			"setvariable":     {s.setVariable, true},
			"uploadfile":      {s.uploadFile, false},
			"uploadsummary":   {s.uploadSummary, false},
		},
		"build": {
			"addbuildtag":       {s.addBuildTag, false},
			"updatebuildnumber": {s.updateName("Build.BuildNumber"), false},
			"uploadlog":         {s.uploadLog, false},
			"uploadsummary":     {s.uploadSummary, false},
		},
		"release": {
			"updatereleasename": {s.updateName("Release.ReleaseName"), false},
		},
	}
}

func (s *step) complete(c Command) error {
	status, ok := parseStatus(c.Properties["result"])
	if !ok {
		return refusal("Command doesn't have valid result value.")
	}
	if s.status != nil {
		status = worse(*s.status, status)
	}
	s.status = &status
	s.progress(100, c.Data)
	if c.flag("done") {
		s.warn("task.complete with done=true: a real agent ends the step 5 s later, the stand-in waits for the process")
	}
	return nil
}

// parseStatus is Enum.TryParse: the exact name, or its number.
func parseStatus(text string) (Status, bool) {
	if i := slices.Index(statusNames[:], text); i >= 0 {
		return Status(i), true
	}
	n, err := strconv.Atoi(text)
	return Status(n), err == nil && n >= 0
}

// worse is TaskResultUtil.MergeTaskResults: a status beyond Failed stays, otherwise the worse of the two wins.
func worse(current, coming Status) Status {
	if current > Failed {
		return current
	}
	return max(current, coming)
}

func (s *step) failCommand() {
	status := Failed
	s.commandStatus = &status
}

func (s *step) logIssue(c Command) error {
	kind := strings.ToLower(c.Properties["type"])
	switch kind {
	case "error", "warning":
	case "":
		s.issue("warning", "Can't create TaskIssue from logging event.", nil)
		return nil
	default:
		return refusal(fmt.Sprintf("issue type %s is not an expected issue type.", kind))
	}
	message := c.Data
	if path := c.Properties["sourcepath"]; path != "" {
		message = fmt.Sprintf("%s(%s,%s): %s %s: %s", path, c.Properties["linenumber"], c.Properties["columnnumber"], kind, c.Properties["code"], message)
	}
	s.issue(kind, message, c.Properties)
	return nil
}

// issue adds an error or warning to the log and, within the limit, to the record.
func (s *step) issue(kind, message string, data map[string]string) {
	message = s.masker.mask(message)
	if message != "" {
		s.write("##[" + kind + "]" + message)
	}
	if s.issues[kind]++; s.issues[kind] > maxIssues {
		s.warn("%s %d of the step is not kept as an issue: %s", kind, s.issues[kind], message)
		return
	}
	s.result.Issues = append(s.result.Issues, Issue{kind, message, data})
}

func (s *step) setProgress(c Command) error {
	n, _ := strconv.Atoi(c.Properties["value"])
	s.progress(n, c.Data)
	return nil
}

// progress never goes back.
func (s *step) progress(percent int, operation string) {
	s.percent = max(s.percent, min(max(percent, 0), 100))
	s.result.Progress = append(s.result.Progress, Progress{s.percent, operation})
}

func (s *step) setSecret(c Command) error {
	if c.Data == "" {
		return nil
	}
	if strings.ContainsAny(c.Data, "\r\n") {
		s.warn("task.setsecret with several lines masks nothing: the log is masked line by line")
	}
	s.result.Masked = append(s.result.Masked, c.Data)
	s.masker.add(c.Data)
	return nil
}

func (s *step) setVariable(c Command) error {
	name := c.Properties["variable"]
	if name == "" {
		return refusal("Required field 'variable' is missing in " + prefix + "task.setvariable] command.")
	}
	if s.env.system[strings.ToLower(name)] && s.env.locked {
		return refusal(fmt.Sprintf("Overwriting readonly variable '%s' is not permitted.", name))
	}
	if s.env.system[strings.ToLower(name)] {
		s.issue("warning", fmt.Sprintf("Overwriting readonly variable '%s'. This behavior will be disabled in the future.", name), nil)
	}
	if c.flag("issecret") {
		if strings.Contains(c.Data, "\n") {
			return refusal("Secrets cannot contain multiple lines")
		}
		s.masker.add(c.Data)
	}
	if !s.maySet(name) {
		return nil
	}
	if c.flag("isoutput") || s.task.isOutput(name) {
		s.result.Outputs[name] = c.Data
	} else {
		s.result.Variables[name] = c.Data
	}
	return nil
}

func (s *step) maySet(variable string) bool {
	if s.task.Restrictions.maySet(variable) {
		return true
	}
	s.issue("warning", fmt.Sprintf("Setting variable '%s' has been disabled by the task or build definition.", variable), nil)
	s.warn("variable %q is not among restrictions.settableVariables of task.json", variable)
	return false
}

func (s *step) setTaskVariable(c Command) error {
	if c.Properties["variable"] == "" {
		return refusal("Required field 'variable' is missing in " + prefix + "task.settaskvariable] command.")
	}
	if c.flag("issecret") {
		s.masker.add(c.Data)
	}
	return nil
}

func (s *step) prependPath(Command) error {
	if s.maySet("PATH") {
		s.warn("the task changed the PATH of later steps")
	}
	return nil
}

func (s *step) setEndpoint(c Command) error {
	s.masker.add(c.Data)
	s.warn("the task changed field %q of service connection %q for later steps", c.Properties["field"], c.Properties["id"])
	return nil
}

const summaryType = "Distributedtask.Core.Summary"

func (s *step) uploadSummary(c Command) error {
	return s.attach(summaryType, filepath.Base(c.Data), c.Data)
}

func (s *step) uploadFile(c Command) error {
	return s.attach("Distributedtask.Core.FileAttachment", filepath.Base(c.Data), c.Data)
}

func (s *step) uploadLog(c Command) error {
	return s.attach("DistributedTask.Core.Log", "CustomToolLog", c.Data)
}

func (s *step) addAttachment(c Command) error {
	return s.attach(c.Properties["type"], c.Properties["name"], c.Data)
}

// attach queues a file. It must exist now and until the upload; a relative path would be taken from the agent's own
// folder, not the task's.
func (s *step) attach(kind, name, path string) error {
	if kind == "" || name == "" {
		return refusal("Can't add task attachment, attachment type or name is not provided.")
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() || !filepath.IsAbs(path) {
		return refusal("Cannot upload task attachment file, attachment file location is not specified or attachment file does not exist on disk.")
	}
	s.uploads = append(s.uploads, upload{kind, name, path})
	return nil
}

func (s *step) addBuildTag(c Command) error {
	tag := strings.TrimSpace(c.Data)
	if tag == "" {
		return refusal("Build tag is required.")
	}
	s.result.BuildTags = append(s.result.BuildTags, tag)
	return nil
}

func (s *step) updateName(variable string) func(Command) error {
	return func(c Command) error {
		if c.Data == "" {
			return refusal("A new value for " + variable + " is required.")
		}
		s.result.Variables[variable] = c.Data
		return nil
	}
}

func (s *step) debug(message string) {
	if s.env.debug {
		s.write("##[debug]" + message)
	}
}

func (s *step) warn(format string, args ...any) {
	s.result.Warnings = append(s.result.Warnings, fmt.Sprintf(format, args...))
}

// write masks a message and puts it into the log, line by line.
func (s *step) write(message string) {
	message = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s.masker.mask(message))
	for text := range strings.SplitSeq(message, "\n") {
		line := newLine(time.Now(), text, s.inGroup)
		s.inGroup = line.Kind == Group || s.inGroup && line.Kind != EndGroup
		s.result.Log = append(s.result.Log, line)
		s.printer.print(line)
	}
}

// refusal is an error in the real agent's own words.
type refusal string

func (r refusal) Error() string { return string(r) }
