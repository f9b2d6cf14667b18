// Package report turns what a run did into what people and later steps read:
// the Markdown summary of the run's page, the output variables, links into the
// AWS console, and the closing line of the log.
//
// It decides nothing and writes nowhere: everything it makes is a value.
package report

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
)

// Output is an output variable of the task.
type Output struct{ Name, Value string }

// Outputs lists the output variables that r gives a value to. Where several
// services were rolled out, the variables that belong to a service hold one
// line each, in the order of the input services; outcome is the worst of them.
func Outputs(r deploy.Result) []Output {
	each := func(value func(deploy.ServiceResult) string) string {
		lines := make([]string, len(r.Services))
		for i, s := range r.Services {
			lines[i] = value(s)
		}
		if strings.Join(lines, "") == "" {
			return ""
		}
		return strings.Join(lines, "\n")
	}
	all := []Output{
		{"imageUri", r.Image.URI},
		{"imageDigest", r.Image.Digest},
		{"taskDefinitionArn", each(func(s deploy.ServiceResult) string { return s.Revision })},
		{"previousTaskDefinitionArn", each(func(s deploy.ServiceResult) string { return s.Previous })},
		{"previousImage", each(func(s deploy.ServiceResult) string { return s.PreviousImage })},
		{"serviceDeploymentArn", each(func(s deploy.ServiceResult) string { return s.Deployment })},
		{"outcome", string(r.Outcome())},
		{"hookId", each(func(s deploy.ServiceResult) string { return s.HookID })},
	}
	if len(r.Current) > 0 {
		all = current(r.Current)
	}
	var set []Output
	for _, o := range all {
		if o.Value != "" {
			set = append(set, o)
		}
	}
	return set
}

// Line is the run in one line, for the end of the log.
func Line(r deploy.Result) string {
	took := Duration(r.Took)
	switch {
	case len(r.Current) > 0:
		return "Current image of " + services(r.Current) + " told"
	case r.DryRun:
		return "Dry run: nothing was changed"
	case len(r.Services) == 0 && !r.Image.Pushed:
		return fmt.Sprintf("%s was in ECR already (%s)", r.Image.URI, took)
	case len(r.Services) == 0:
		return fmt.Sprintf("Pushed %s (%s)", r.Image.URI, took)
	case len(r.Services) == 1:
		return fmt.Sprintf("%s (%s)", serviceLine(r.Services[0]), took)
	default:
		text := words(r.Outcome())
		for _, s := range r.Services {
			if s.Outcome == r.Outcome() && failed(s) {
				text = serviceLine(s)
				break
			}
		}
		return fmt.Sprintf("%d services: %s (%s)", len(r.Services), text, took)
	}
}

func serviceLine(s deploy.ServiceResult) string {
	revision, previous := rollout.ShortARN(s.Revision), rollout.ShortARN(s.Previous)
	switch {
	case wentBack(s):
		return fmt.Sprintf("%s was rolled back to %s, as asked", s.Name, previous)
	case s.Back && s.Outcome == "":
		return fmt.Sprintf("%s is going back to %s; its end was not waited for", s.Name, previous)
	}
	switch s.Outcome {
	case rollout.Succeeded:
		return fmt.Sprintf("%s runs %s", s.Name, revision)
	case rollout.Unchanged:
		return fmt.Sprintf("%s ran %s already: nothing to do", s.Name, revision)
	case "":
		return fmt.Sprintf("%s is moving to %s; its end was not waited for", s.Name, revision)
	default:
		text := fmt.Sprintf("%s: %s", s.Name, words(s.Outcome))
		if reason := brief(s); reason != "" && failed(s) {
			text += ": " + reason
		}
		return text
	}
}

// words says an outcome as people do.
func words(o rollout.Outcome) string {
	switch o {
	case "":
		return "not waited for"
	case rollout.RolledBack:
		return "rolled back"
	case rollout.TimedOut:
		return "timed out"
	default:
		return string(o)
	}
}

// Issue is what the run's page shows of a service, in one line, and what to do
// about it, which may be empty.
type Issue struct{ Text, Hint string }

// Failures says what went wrong, once for each service.
func Failures(r deploy.Result) []Issue {
	var all []Issue
	for _, s := range r.Services {
		if failed(s) {
			text, hint := reason(s)
			all = append(all, Issue{fmt.Sprintf("service %s: %s: %s", s.Name, words(s.Outcome), text), hint})
		}
	}
	return all
}

func failed(s deploy.ServiceResult) bool {
	return s.Outcome != "" && s.Outcome != rollout.Paused && !s.Outcome.Good() && !wentBack(s)
}

// wentBack reports whether the service was rolled back because that was asked for.
func wentBack(s deploy.ServiceResult) bool { return s.Back && s.Outcome == rollout.RolledBack }

// Warnings says what did not fail and did not deploy either: where a deployment
// waits for an answer, and where it was rolled back because that was asked for.
func Warnings(r deploy.Result) []Issue {
	var all []Issue
	for _, s := range r.Services {
		switch {
		case s.Outcome == rollout.Paused:
			all = append(all, Issue{s.Name + ": " + s.Reason, "command resume lets it continue, or rolls it back"})
		case wentBack(s):
			all = append(all, Issue{fmt.Sprintf("%s: %s is not deployed: it was rolled back to %s, as asked", s.Name, rollout.ShortARN(s.Revision), rollout.ShortARN(s.Previous)), ""})
		}
	}
	return all
}

// Whoever is called at night reads one line first, and in some places only its
// beginning: so much of it tells why. Both are in runes.
const (
	lineLength  = 220
	briefLength = 120
)

// reason is why a rollout failed: what became of its tasks, then what ended it,
// unless that says the same.
func reason(s deploy.ServiceResult) (text, hint string) {
	why, hint := s.Diagnosis.Why()
	if why == "" || strings.Contains(s.Reason, why) {
		return elide(s.Reason, lineLength), hint
	}
	return elide(elide(why, briefLength)+"; "+s.Reason, lineLength), hint
}

// brief is reason for a title.
func brief(s deploy.ServiceResult) string {
	why, _ := s.Diagnosis.Why()
	return elide(cmp.Or(why, s.Reason), briefLength)
}

// elide makes s one line of n runes at most by leaving out words in the middle:
// AWS's messages begin with what happened, and end with why.
func elide(s string, n int) string {
	const mark = " … "
	if s = strings.Join(strings.Fields(s), " "); utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	tail := (n - utf8.RuneCountInString(mark)) * 2 / 5
	head := n - utf8.RuneCountInString(mark) - tail
	first, last := string(r[:head]), string(r[len(r)-tail:])
	if i := strings.LastIndexByte(first, ' '); i > 0 {
		first = first[:i]
	}
	if i := strings.IndexByte(last, ' '); i >= 0 {
		last = last[i+1:]
	}
	return strings.TrimRight(first, " …") + mark + strings.TrimLeft(last, " …")
}

// Markdown is the summary of a run. Text from outside is escaped: the page
// that shows it renders Markdown and HTML.
func Markdown(r deploy.Result) string {
	var b strings.Builder
	for _, s := range r.Services {
		fmt.Fprintf(&b, "### %s %s\n\n", mark(s), text(serviceLine(s)))
		if s.Reason != "" && s.Reason != brief(s) && !wentBack(s) {
			fmt.Fprintf(&b, "> %s\n\n", text(s.Reason))
		}
		image := r.Image
		if s.Back {
			image = deploy.Image{URI: s.PreviousImage}
		}
		table(&b, [][2]string{
			{"Service", link(text(s.Cluster+" / "+s.Name), ConsoleURL(s.ARN))},
			{"Image", code(image.URI)},
			{"Digest", code(image.Digest)},
			{"Revision", revisionText(s)},
			{"Tasks", tasksText(s)},
			{"Time", durationText(s.Took)},
		})
		why(&b, s.Diagnosis)
		if len(s.Changes) > 0 && !s.Back {
			b.WriteString("\n<details><summary>What changed</summary>\n\n")
			for _, c := range s.Changes {
				fmt.Fprintf(&b, "- %s\n", code(c.String()))
			}
			b.WriteString("\n</details>\n")
		}
		b.WriteString("\n")
	}
	if len(r.Services) == 0 {
		fmt.Fprintf(&b, "### ✅ %s\n\n", text(Line(r)))
		table(&b, [][2]string{{"Image", code(r.Image.URI)}, {"Digest", code(r.Image.Digest)}, {"Taken from", code(r.Image.Source)}})
	}
	return b.String()
}

func mark(s deploy.ServiceResult) string {
	switch {
	case s.Outcome.Good():
		return "✅"
	case s.Outcome == "" || s.Outcome == rollout.Paused:
		return "⏸️"
	case wentBack(s):
		return "↩️"
	default:
		return "❌"
	}
}

func revisionText(s deploy.ServiceResult) string {
	if s.Previous == "" || s.Previous == s.Revision {
		return code(rollout.ShortARN(s.Revision))
	}
	from, to := s.Previous, s.Revision
	if s.Back {
		from, to = to, from
	}
	return code(rollout.ShortARN(from)) + " → " + code(rollout.ShortARN(to))
}

func tasksText(s deploy.ServiceResult) string {
	if s.Proof.Tasks == 0 {
		return ""
	}
	return fmt.Sprintf("%d running, %d of them verified by digest", s.Proof.Tasks, s.Proof.Verified)
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return Duration(d)
}

// Duration writes a duration as people say it: 40 s, 5 min, 1 h 2 min 3 s.
func Duration(d time.Duration) string {
	d = d.Round(time.Second)
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
			d -= n * unit.length
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

// table writes the rows that have a value.
func table(b *strings.Builder, rows [][2]string) {
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(b, "| %s | %s |\n", row[0], row[1])
		}
	}
}

// text makes s plain text in Markdown, on one line.
func text(s string) string {
	return strings.NewReplacer(
		"\r", " ", "\n", " ", "&", "&amp;", "<", "&lt;", ">", "&gt;",
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "!", `\!`,
	).Replace(s)
}

// code shows s in a fixed font; within <code> only HTML and the table's own
// separator have a meaning to escape.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "<code>" + strings.NewReplacer(
		"\r", " ", "\n", " ", "&", "&amp;", "<", "&lt;", ">", "&gt;",
		"|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;", `\`, "&#92;",
	).Replace(s) + "</code>"
}

func link(label, address string) string {
	if address == "" {
		return label
	}
	return "[" + label + "](" + address + ")"
}

// ConsoleURL is the page of a service in the AWS console, "" where serviceARN
// is not the ARN of a service or its partition's console is not known.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func ConsoleURL(serviceARN string) string {
	a, err := arn.Parse(serviceARN)
	if err != nil || a.Service != "ecs" {
		return ""
	}
	host, known := map[string]string{
		"aws":        a.Region + ".console.aws.amazon.com",
		"aws-cn":     a.Region + ".console.amazonaws.cn",
		"aws-us-gov": a.Region + ".console.amazonaws-us-gov.com",
	}[a.Partition]
	parts := strings.Split(a.Resource, "/")
	if !known || len(parts) != 3 || parts[0] != "service" {
		return ""
	}
	return fmt.Sprintf("https://%s/ecs/v2/clusters/%s/services/%s/health?region=%s",
		host, url.PathEscape(parts[1]), url.PathEscape(parts[2]), url.QueryEscape(a.Region))
}
