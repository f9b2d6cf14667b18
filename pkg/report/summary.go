package report

// The summary: the Markdown that the run's page shows on its Extensions tab. Text
// from outside is escaped, since the page renders Markdown and HTML.

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// Markdown is the summary of a run.
func Markdown(r deploy.Result, explain Explain) string {
	var b strings.Builder
	if len(r.Deviations) > 0 {
		driftSummary(&b, r)
		return b.String()
	}
	if r.Task != nil {
		taskSummary(&b, r)
	}
	// What is wrong with them stands before services that are as they should be.
	first := len(scheduleIssues(r, explain)) > 0 && r.Outcome() == rollout.Failed
	if first {
		fmt.Fprintf(&b, "### ❌ %s\n\n", text(Line(r, explain)))
		schedulesTable(&b, r, explain)
	}
	if len(r.Services) > 1 {
		overview(&b, r, explain)
	}
	for _, s := range r.Services {
		service(&b, r, s, explain)
	}
	if !first {
		schedulesTable(&b, r, explain)
	}
	if len(r.Services) == 0 && r.Task == nil {
		fmt.Fprintf(&b, "### ✅ %s\n\n", text(Line(r, explain)))
		imageTable(&b, r.Image)
	}
	return b.String()
}

// overview is one table for several services, those that failed first.
func overview(b *strings.Builder, r deploy.Result, explain Explain) {
	fmt.Fprintf(b, "### %s %s\n\n| service | outcome | revision | tasks | time |\n|---|---|---|---|---|\n", overallMark(r), text(Line(r, explain)))
	row := func(s deploy.ServiceResult) {
		fmt.Fprintf(b, "| %s | %s %s | %s | %s | %s |\n", link(text(s.Cluster+" / "+s.Name), ConsoleURL(s.ARN)), mark(s), text(outcomeWords(s.Outcome)),
			revisionText(s), fmt.Sprintf("%d of %d", s.Running, s.Desired), durationText(s.Took))
	}
	for rank := range 3 {
		for _, s := range r.Services {
			if tableRank(s) == rank {
				row(s)
			}
		}
	}
	b.WriteString("\n")
}

// tableRank is where a service stands in the table: one that failed by itself before
// those that did because of it, and these before the others.
func tableRank(s deploy.ServiceResult) int {
	switch {
	case !failed(s):
		return 2
	case s.Reason.Code == deploy.SiblingFailed, s.Reason.Code == deploy.OutOfTurn:
		return 1
	}
	return 0
}

// overallMark is that of the services which ended worst; a success with a warning
// stands before one without.
func overallMark(r deploy.Result) string {
	worst := mark(deploy.ServiceResult{Service: r.Services[0].Service, Outcome: r.Outcome()})
	for _, s := range r.Services {
		if s.Outcome.Good() && r.Outcome().Good() && mark(s) != worst {
			return mark(s)
		}
	}
	return worst
}

// service is the part of the summary about one service.
func service(b *strings.Builder, r deploy.Result, s deploy.ServiceResult, explain Explain) {
	fmt.Fprintf(b, "### %s %s\n\n", mark(s), text(serviceLine(s, explain)))
	if why, _ := failure(s, explain); failed(s) && why != brief(s, explain) {
		fmt.Fprintf(b, "> %s\n\n", text(why))
	} else if note := noteText(s.Reason, s.Controller); !failed(s) && note != "" {
		fmt.Fprintf(b, "> %s\n\n", text(note))
	} else if s.Outcome == rollout.Paused {
		fmt.Fprintf(b, "> %s\n\n", text(reasonText(s.Reason, s.Controller)))
	}
	image := r.Image
	if s.Asked {
		image = deploy.Image{URI: s.PreviousImage}
	}
	table(b, [][2]string{
		{"Service", serviceLink(s)},
		{"Address", address(s.URL)},
		{"Image", imageLink(image.URI)},
		{"Digest", code(image.Digest)},
		{"Signed by", signedBy(image)},
		{"Resolved by ECS", resolvedText(s)},
		{"Revision", revisionText(s)},
		{"Tasks", tasksText(s)},
		{"Smoke test", smokeRow(s)},
		{"Target group", targetGroupLinks(s.TargetGroups)},
		{"Logs", link(code(s.LogGroup), logGroupURL(s.LogRegion, s.LogGroup))},
		{"Time", durationText(s.Took)},
	})
	answer(b, s)
	causes(b, s)
	if len(s.Changes)+len(s.Secrets) > 0 && !s.Asked {
		b.WriteString("\n<details><summary>What changed</summary>\n\n")
		for _, source := range s.Secrets {
			fmt.Fprintf(b, "- %s: a new version\n", code(secretText(source)))
		}
		for _, c := range s.Changes {
			fmt.Fprintf(b, "- %s\n", code(c.String()))
		}
		b.WriteString("\n</details>\n")
	}
	b.WriteString("\n")
}

// serviceLink is the service in the console; "" for a revision alone.
func serviceLink(s deploy.ServiceResult) string {
	if s.Alone() {
		return ""
	}
	return link(text(s.Cluster+" / "+s.Name), ConsoleURL(s.ARN))
}

func mark(s deploy.ServiceResult) string {
	switch {
	case s.Outcome.Good() && noteworthy(s.Reason.Code):
		return "⚠️"
	case s.Outcome.Good(), s.Alone():
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
	if s.Previous == "" || s.Previous == s.Revision || s.Revision == "" {
		return revisionLink(s.Revision)
	}
	from, to := s.Previous, s.Revision
	if s.Asked {
		from, to = to, from
	}
	return revisionLink(from) + " → " + revisionLink(to)
}

func revisionLink(revision string) string {
	return link(code(ecs.ShortARN(revision)), revisionURL(revision))
}

// resolvedText says of the second point of the proof, what ECS resolved the images
// to, how it compares with the digest that was rolled out.
func resolvedText(s deploy.ServiceResult) string {
	p := s.Proof
	switch {
	case len(p.Wanted) == 0, s.Controller == "CodeDeploy", s.Scaled:
		return "" // nothing was compared, or ECS resolves nothing
	case p.ResolvedErr != nil:
		return text("not verified: " + p.ResolvedErr.Error())
	case len(p.Resolved.Wrong) > 0:
		return "⚠️ " + text(otherDigests(p.Resolved.Wrong))
	case p.Resolved.Known:
		return "✅ the same digest"
	}
	return "not verified: no digest is reported"
}

// tasksText says of the third point of the proof, the running tasks, how many run
// the digest that was rolled out.
func tasksText(s deploy.ServiceResult) string {
	p := s.Proof
	switch {
	case len(p.Wanted) == 0 && s.Outcome.Good() && s.Reason.Code == rollout.NothingRuns:
		return "⚠️ none: the desired count is 0, and nothing was verified"
	case len(p.Wanted) == 0:
		return ""
	case p.TasksErr != nil:
		return text("not verified: " + p.TasksErr.Error())
	case p.Tasks == 0:
		return "not verified: ECS lists no running task of the deployment"
	}
	words := fmt.Sprintf("%d running, %d of them verified by digest", p.Tasks, p.Verified)
	if p.Unknown > 0 {
		words += fmt.Sprintf(", %d without a reported digest", p.Unknown)
	}
	if len(p.Running.Wrong) > 0 {
		return "⚠️ " + words + "; " + text(otherDigests(p.Running.Wrong))
	}
	return words
}

// otherDigests names the digests that run instead of the wanted ones, each once.
func otherDigests(wrong []rollout.Wrong) string {
	var all []string
	for _, w := range wrong {
		if one := w.Container + " has " + w.Digest; !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return strings.Join(all, ", ")
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return Duration(d)
}

// address shows the public address of a service as a link where it is one.
func address(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return code(endpoint)
	}
	return link(text(endpoint), inLink.Replace(withoutControls(endpoint)))
}

// inLink escapes what would end the address of a link, or be more than one.
var inLink = strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E", "|", "%7C", `\`, "%5C", `"`, "%22", "`", "%60", "*", "%2A", "_", "%5F", "~", "%7E", "[", "%5B", "]", "%5D", "&", "&amp;")

// causes writes a diagnosis: its causes with hints first in what is seen, the last
// lines of the log folded.
func causes(b *strings.Builder, s deploy.ServiceResult) {
	d := s.Diagnosis
	if len(d.Causes)+len(d.Targets)+len(d.Alarms)+len(d.Notes) == 0 {
		return
	}
	if _, is := failedSmoke(s); is { // the tasks run, and what they have logged may tell
		logTails(b, d)
		return
	}
	b.WriteString("\n**Why**\n\n")
	for _, c := range d.Causes {
		fmt.Fprintf(b, "- %s\n", text(fmt.Sprintf("%d × %s", c.Count, c.Reason)))
		if failed := c.Failed(); failed != nil {
			fmt.Fprintf(b, "  - container %s%s\n", code(failed.Name), inline(containerEnd(*failed)))
		}
		if c.Hint != "" {
			fmt.Fprintf(b, "  - 💡 %s\n", text(c.Hint))
		}
	}
	if rest := d.Rest(); rest != "" {
		fmt.Fprintf(b, "- %s\n", text(rest))
	}
	for _, t := range d.Targets {
		fmt.Fprintf(b, "- %d × target in %s%s\n", t.Count, link(inline(t.Group), targetGroupURL(t.ARN)), inline(": "+strings.TrimSpace(t.State+" "+t.Reason)))
		if t.Hint != "" {
			fmt.Fprintf(b, "  - 💡 %s\n", text(t.Hint))
		}
	}
	for _, alarm := range d.Alarms {
		fmt.Fprintf(b, "- alarm %s\n", link(code(alarm), alarmURL(s.ARN, alarm)))
	}
	for _, note := range d.Notes {
		fmt.Fprintf(b, "- %s\n", text(note.String()))
	}
	logTails(b, d)
}

// logTails writes the last lines of logs: those of the first cause to be read at
// once, the others folded.
func logTails(b *strings.Builder, d diagnosis.Diagnosis) {
	first := true
	for _, c := range d.Causes {
		if len(c.Log) == 0 {
			continue
		}
		title, end := "\n**Last lines of task %s**\n\n<pre>\n", "\n"
		if !first {
			title, end = "\n<details><summary>Last lines of task %s</summary>\n\n<pre>\n", "\n</details>\n"
		}
		first = false
		fmt.Fprintf(b, title, code(c.LogTask))
		for _, line := range c.Log {
			fmt.Fprintf(b, "%s\n", pre(line))
		}
		b.WriteString("</pre>\n")
		if address := logStreamURL(c.LogStream); address != "" {
			fmt.Fprintf(b, "\n%s\n", link("all of the log stream", address))
		}
		b.WriteString(end)
	}
}

func containerEnd(end diagnosis.ContainerEnd) string {
	var words string
	if end.ExitCode != nil {
		words = fmt.Sprintf(" exited with code %d", *end.ExitCode)
	}
	if end.Reason != "" {
		words += ": " + end.Reason
	}
	return words
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

// text makes s plain text in Markdown, on one line, wherever it stands: at the
// beginning of a block too, where a dash or a number would begin a list.
func text(s string) string {
	s = strings.TrimSpace(withoutControls(s))
	if marker := blockMarker.FindString(s); marker != "" {
		last := len(marker) - 1
		return marker[:last] + `\` + marker[last:] + inline(s[len(marker):])
	}
	return inline(s)
}

// inline makes s plain text within a line.
func inline(s string) string { return plainText.Replace(withoutControls(s)) }

// blockMarker is what begins a list, a heading underline or a rule.
var blockMarker = regexp.MustCompile(`^(?:[-+=]|[0-9]+[.)])`)

// plainText escapes what Markdown, its extensions and HTML give a meaning to, and
// what is made a link without being marked as one.
var plainText = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "!", `\!`, "~", `\~`, "$", `\$`, "@", "&#64;",
	"://", "&#58;//", "www.", "www&#46;", "WWW.", "WWW&#46;",
)

// code shows s in a fixed font. Within <code> HTML, Markdown and the table's
// separator keep their meanings.
func code(s string) string {
	if s = withoutControls(s); s == "" {
		return ""
	}
	return "<code>" + codeText.Replace(s) + "</code>"
}

var codeText = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	"|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;", `\`, "&#92;", "~", "&#126;", "$", "&#36;",
	"@", "&#64;", "#", "&#35;", "!", "&#33;", "://", "&#58;//", "www.", "www&#46;", "WWW.", "WWW&#46;",
)

// withoutControls puts s on one line, and drops the characters that reorder or
// hide text.
func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}

// pre makes s a line of a preformatted block. An empty line would end the HTML
// block that Markdown leaves alone.
func pre(s string) string {
	s = strings.ReplaceAll(s, "\t", "    ")
	if strings.TrimSpace(withoutControls(s)) == "" {
		return "&nbsp;"
	}
	return strings.TrimSuffix(strings.TrimPrefix(code(s), "<code>"), "</code>")
}

func link(label, address string) string {
	if address == "" {
		return label
	}
	return "[" + label + "](" + address + ")"
}

var regionName = regexp.MustCompile(`^[a-z0-9-]+$`)

// ConsoleURL is the page of a service in the AWS console, "" where serviceARN is
// not the ARN of a service or its partition's console is not known.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func ConsoleURL(serviceARN string) string {
	a, err := arn.Parse(serviceARN)
	if err != nil || a.Service != "ecs" {
		return ""
	}
	host := consoleHost(a.Partition, a.Region)
	parts := strings.Split(a.Resource, "/")
	if host == "" || len(parts) != 3 || parts[0] != "service" {
		return ""
	}
	return fmt.Sprintf("https://%s/ecs/v2/clusters/%s/services/%s/health?region=%s",
		host, inLink.Replace(url.PathEscape(parts[1])), inLink.Replace(url.PathEscape(parts[2])), url.QueryEscape(a.Region))
}
