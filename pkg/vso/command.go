// Package vso speaks the one language an Azure Pipelines agent listens to: the
// log. It encodes logging commands, writes whole lines, makes text from outside
// harmless and redacts secrets before anything is printed, because the agent
// executes a logging command wherever in a line it finds one, on stdout and
// stderr alike, and everybody who may see a run can read its log.
//
// It is the only package that knows the spelling of a logging command. It does
// not decide what is worth saying, keeps no copy of what it wrote, and finds no
// secrets by itself except by their form: who obtains one tells the console, see
// [Console.Mask].
package vso

import (
	"strconv"
	"strings"
)

// prefix opens every logging command.
// Source: azure-pipelines-agent, src/Microsoft.VisualStudio.Services.Agent/Command.cs.
const prefix = "##vso["

// MaxText is the length in bytes to which the text of an issue, a result or a
// debug message is cut. Together with [MaxLine] it bounds what one careless
// error message can do to a log.
const MaxText = 16 << 10

// A Command is one logging command. Its zero value is no command and prints as
// the empty string.
type Command struct {
	area, event string
	properties  []property
	data        string
	form        form // of data
}

// A form says what data is.
type form int

const (
	exact   form = iota // handed on as it is
	message             // for people: cleaned, redacted, and cut at MaxText
	title               // for people, on one line
)

type property struct{ name, value string }

// Result is how a step ends. The agent compares it with case.
type Result string

// The results the agent knows and a task may claim.
const (
	Succeeded           Result = "Succeeded"
	SucceededWithIssues Result = "SucceededWithIssues"
	Failed              Result = "Failed"
)

// Severity is the kind of an issue. The agent keeps the first ten errors and
// the first ten warnings of a step; later ones are only in the log.
type Severity string

// The severities of an issue.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Complete sets the result of the step. The message is cleaned and shown as the
// step's last operation. A later Complete can make the result only worse.
func Complete(r Result, message string) Command {
	return text("task", "complete", message, property{"result", string(r)})
}

// LogIssue puts an error or a warning into the log and into the run's summary.
// The message is cleaned; it may have several lines.
func LogIssue(severity Severity, message string) Command {
	return text("task", "logissue", message, property{"type", string(severity)})
}

// SetProgress shows how far the step is: percent, held between 0 and 100, and
// what is being done.
func SetProgress(percent int, operation string) Command {
	percent = min(max(percent, 0), 100)
	return Command{"task", "setprogress", []property{{"value", strconv.Itoa(percent)}}, operation, title}
}

// SetVariable sets an output variable, read by later steps as $(step.name). The
// value is passed on exactly. It must not be secret: later steps, and everyone
// who may see the run, can read it.
func SetVariable(name, value string) Command {
	return Command{"task", "setvariable", []property{{"variable", name}, {"isoutput", "true"}}, value, exact}
}

// AddSummary shows a Markdown file on the run's page, in a section with the name as
// its title, which must be one that a file can have on the agent. The agent uploads
// the file later, so the path must be absolute and the file must stay.
func AddSummary(name, path string) Command {
	return Command{"task", "addattachment", []property{{"type", "Distributedtask.Core.Summary"}, {"name", name}}, path, exact}
}

// UploadFile adds a file to the logs of the run, as which people download it. The
// agent uploads it later, so the path must be absolute and the file must stay; its
// name is that of the attachment.
func UploadFile(path string) Command {
	return Command{"task", "uploadfile", nil, path, exact}
}

// Attach keeps a file with the run under a type and a name, by which programs ask
// Azure DevOps for it; no page shows it. Path and name are as for [AddSummary].
func Attach(kind, name, path string) Command {
	return Command{"task", "addattachment", []property{{"type", kind}, {"name", name}}, path, exact}
}

// Debug prints a message that is shown only when System.Debug is true.
func Debug(message string) Command {
	return text("task", "debug", message)
}

// text is a command whose data is a message for people.
func text(area, event, data string, properties ...property) Command {
	return Command{area, event, properties, data, message}
}

// String is the line the agent parses, without the line break. It never
// contains a line break itself. A property without a value is left out, as the
// agent would drop it.
func (c Command) String() string { return c.line(new(redactor)) }

func (c Command) line(r *redactor) string {
	if c.area == "" {
		return ""
	}
	switch c.form {
	case message:
		c.data = cut(r.clean(c.data), MaxText)
	case title:
		c.data = r.cleanLine(c.data)
	}
	var b strings.Builder
	b.WriteString(prefix + c.area + "." + c.event)
	separator := byte(' ')
	for _, p := range c.properties {
		if p.value == "" {
			continue
		}
		b.WriteByte(separator)
		b.WriteString(p.name + "=")
		propertyEscapes.WriteString(&b, p.value)
		separator = ';'
	}
	b.WriteByte(']')
	dataEscapes.WriteString(&b, c.data)
	return b.String()
}

// The agent decodes %AZP25 last, so that a percent sign in the text survives; a
// Replacer looks at each input byte once, which is the same as encoding it first.
// The agent decodes all of these in data and in properties, but only a property
// can be ended early by ']' or ';'.
// Source: azure-pipelines-agent, src/Agent.Sdk/CommandStringConvertor.cs;
// azure-pipelines-task-lib, node/taskcommand.ts.
var (
	dataEscapes     = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A", "]", "%5D", ";", "%3B")
)
