package report

// The summary: the Markdown that the run's page shows on its Extensions tab. Text
// from outside is escaped, since the page renders Markdown and HTML.

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// Markdown is the summary of a run.
func Markdown(r deploy.Result, explain Explain) string {
	var b strings.Builder
	if len(r.Services) > 1 {
		overview(&b, r, explain)
	}
	for _, s := range r.Services {
		service(&b, r, s, explain)
	}
	if len(r.Services) == 0 {
		fmt.Fprintf(&b, "### ✅ %s\n\n", text(Line(r, explain)))
		table(&b, [][2]string{{"Image", code(r.Image.URI)}, {"Digest", code(r.Image.Digest)}, {"Taken from", code(r.Image.Source)}})
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
	for _, first := range []bool{true, false} {
		for _, s := range r.Services {
			if failed(s) == first {
				row(s)
			}
		}
	}
	b.WriteString("\n")
}

func overallMark(r deploy.Result) string {
	worst := deploy.ServiceResult{Outcome: r.Outcome()}
	return mark(worst)
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
		{"Service", link(text(s.Cluster+" / "+s.Name), ConsoleURL(s.ARN))},
		{"Address", address(s.URL)},
		{"Image", code(image.URI)},
		{"Digest", code(image.Digest)},
		{"Revision", revisionText(s)},
		{"Tasks", tasksText(s)},
		{"Time", durationText(s.Took)},
	})
	causes(b, s.Diagnosis)
	if len(s.Changes) > 0 && !s.Asked {
		b.WriteString("\n<details><summary>What changed</summary>\n\n")
		for _, c := range s.Changes {
			fmt.Fprintf(b, "- %s\n", code(c.String()))
		}
		b.WriteString("\n</details>\n")
	}
	b.WriteString("\n")
}

func mark(s deploy.ServiceResult) string {
	switch {
	case s.Outcome.Good() && s.Reason.Code == rollout.NothingRuns:
		return "⚠️"
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
	if s.Previous == "" || s.Previous == s.Revision || s.Revision == "" {
		return code(ecs.ShortARN(s.Revision))
	}
	from, to := s.Previous, s.Revision
	if s.Asked {
		from, to = to, from
	}
	return code(ecs.ShortARN(from)) + " → " + code(ecs.ShortARN(to))
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

// address shows the public address of a service as a link where it is one.
func address(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return code(endpoint)
	}
	return link(text(endpoint), strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E").Replace(endpoint))
}

// causes writes a diagnosis: its causes with hints first in what is seen, the last
// lines of the log folded.
func causes(b *strings.Builder, d diagnosis.Diagnosis) {
	if len(d.Causes)+len(d.Targets)+len(d.Alarms)+len(d.Notes) == 0 {
		return
	}
	b.WriteString("\n**Why**\n\n")
	for _, c := range d.Causes {
		fmt.Fprintf(b, "- %s\n", text(fmt.Sprintf("%d × %s", c.Count, c.Reason)))
		if failed := c.Failed(); failed != nil {
			fmt.Fprintf(b, "  - container %s%s\n", code(failed.Name), text(containerEnd(*failed)))
		}
		if c.Hint != "" {
			fmt.Fprintf(b, "  - 💡 %s\n", text(c.Hint))
		}
	}
	if rest := d.Rest(); rest != "" {
		fmt.Fprintf(b, "- %s\n", text(rest))
	}
	for _, t := range d.Targets {
		fmt.Fprintf(b, "- %s\n", text(fmt.Sprintf("%d × target in %s: %s", t.Count, t.Group, strings.TrimSpace(t.State+" "+t.Reason))))
		if t.Hint != "" {
			fmt.Fprintf(b, "  - 💡 %s\n", text(t.Hint))
		}
	}
	for _, alarm := range d.Alarms {
		fmt.Fprintf(b, "- alarm %s\n", code(alarm))
	}
	for _, note := range d.Notes {
		fmt.Fprintf(b, "- %s\n", text(note.String()))
	}
	for _, c := range d.Causes {
		if len(c.Log) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n<details><summary>Last lines of task %s</summary>\n\n<pre>\n", code(c.LogTask))
		for _, line := range c.Log {
			fmt.Fprintf(b, "%s\n", pre(line))
		}
		b.WriteString("</pre>\n\n</details>\n")
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

// text makes s plain text in Markdown, on one line.
func text(s string) string {
	return strings.NewReplacer(
		"\r", " ", "\n", " ", "&", "&amp;", "<", "&lt;", ">", "&gt;",
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "!", `\!`, "~", `\~`, "$", `\$`, "@", "&#64;",
		"://", "&#58;//", "www.", "www&#46;",
	).Replace(withoutControls(s))
}

// code shows s in a fixed font; within <code> only HTML and the table's own
// separator have a meaning to escape.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "<code>" + strings.NewReplacer(
		"\r", " ", "\n", " ", "&", "&amp;", "<", "&lt;", ">", "&gt;",
		"|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;", `\`, "&#92;", "~", "&#126;", "$", "&#36;",
		"://", "&#58;//", "www.", "www&#46;",
	).Replace(withoutControls(s)) + "</code>"
}

// withoutControls drops the characters that reorder or hide text.
func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return r
		case r < ' ' || r == 0x7f, r >= 0x80 && r < 0xa0, r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2069, r == 0xfeff:
			return -1
		}
		return r
	}, s)
}

// pre makes s a line of a preformatted block. An empty line would end the HTML
// block that Markdown leaves alone.
func pre(s string) string {
	if strings.TrimSpace(s) == "" {
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

// ConsoleURL is the page of a service in the AWS console, "" where serviceARN is
// not the ARN of a service or its partition's console is not known.
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
