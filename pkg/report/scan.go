package report

// The gate on the image in words: what its scan found, as lines of the log, as a table
// of the summary, and as a member of the result file.

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
)

// findingsShown is how many findings a table has, the worst.
const findingsShown = 20

// showScan shows the events of the gate.
func (l *Log) showScan(event any) {
	switch e := event.(type) {
	case deploy.ScanWaits:
		l.info("", "%s", scanWaitsText(e))
	case deploy.ScanStarted:
		l.info("", "started a basic scan of %s", scanName(e.Image))
	case deploy.Scanned:
		for _, line := range scanLines(e.Image, e.Limit) {
			l.info("", "%s", line)
		}
	case deploy.ScanningUnread:
		l.info("", "could not read whether images of %s are scanned when they are pushed, so that a scan is asked for: %s", e.Repository, e.Err)
	}
}

// scanPlan is the line of the plan about the gate.
func scanPlan(limit ecr.Severity) string {
	worse := " or worse"
	if limit == ecr.Critical {
		worse = ""
	}
	return fmt.Sprintf("the run waits for the image's scan, and fails on findings of severity %s%s (failOnVulnerabilities)", strings.ToLower(string(limit)), worse)
}

// scanName is an image of a run within a line: the platform where it is of an index.
func scanName(one deploy.ScannedImage) string {
	if one.Platform == "" {
		return shorten(one.URI, briefLength)
	}
	return shorten(one.URI, briefLength) + " (" + one.Platform + ")"
}

func scanWaitsText(e deploy.ScanWaits) string {
	status := "no scan yet"
	if e.Status != "" {
		status = "status " + e.Status
	}
	text := fmt.Sprintf("waiting for the scan of %s: %s", scanName(e.Image), status)
	if e.Elapsed >= 1e9 {
		text += "; " + Duration(e.Elapsed) + " elapsed"
	}
	return text + "; " + Duration(e.Left) + " left"
}

// scanLines is what a scan found: one line, and the table of the worst findings.
func scanLines(one deploy.ScannedImage, limit ecr.Severity) []string {
	kind := "scan"
	if one.Scan.Enhanced {
		kind = "enhanced scan"
	}
	lines := []string{fmt.Sprintf("%s of %s: %s", kind, scanName(one), deploy.SeverityCounts(one.Scan.Counts, ""))}
	if one.Scan.Completed.IsZero() && one.Scan.Total() == 0 {
		lines[0] += "; ECR calls the scan complete and does not say when it ended"
	}
	rows, more := findingRows(one.Scan)
	if len(rows) == 0 {
		return lines
	}
	rows = append([][]string{{"severity", "vulnerability", "package", "installed", "fixed in"}}, rows...)
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "  %-*s", widths[i], cell)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("  and %s", count(more, "more finding")))
	}
	if n := one.Scan.Total() - ranked(one.Scan); n > 0 && limit != "" {
		lines = append(lines, fmt.Sprintf("  %s without a judged severity: such do not fail the run", count(n, "finding")))
	}
	return lines
}

// ranked is the number of findings that have a severity.
func ranked(s ecr.Scan) int {
	n := 0
	for _, severity := range ecr.Severities() {
		n += s.Counts[severity]
	}
	return n
}

// findingRows are the worst findings, and how many are left out.
func findingRows(s ecr.Scan) (rows [][]string, more int) {
	for _, f := range s.Findings[:min(len(s.Findings), findingsShown)] {
		rows = append(rows, []string{
			strings.ToLower(string(f.Severity)), shorten(cmp.Or(f.ID, "not named"), 60), shorten(cmp.Or(f.Package, "not reported"), 60),
			shorten(cmp.Or(f.Version, "not reported"), 40), shorten(cmp.Or(f.FixedIn, "not reported"), 40),
		})
	}
	return rows, len(s.Findings) - len(rows)
}

// scanMarkdown is the part of the summary about the gate.
func scanMarkdown(b *strings.Builder, r *deploy.ScanResult) {
	if r == nil {
		return
	}
	b.WriteString("#### Vulnerabilities of the image\n\n")
	for _, one := range r.Images {
		mark := "✅"
		if one.Scan.AtLeast(r.Limit) > 0 {
			mark = "❌"
		}
		fmt.Fprintf(b, "%s %s: %s\n\n", mark, text(scanName(one)), text(deploy.SeverityCounts(one.Scan.Counts, "")))
		rows, more := findingRows(one.Scan)
		if len(rows) == 0 {
			continue
		}
		b.WriteString("| severity | vulnerability | package | installed | fixed in |\n|---|---|---|---|---|\n")
		for _, row := range rows {
			b.WriteString("|")
			for i, cell := range row {
				if i > 1 {
					cell = code(cell)
				} else {
					cell = text(cell)
				}
				b.WriteString(" " + cell + " |")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
		if more > 0 {
			fmt.Fprintf(b, "and %s\n\n", count(more, "more finding"))
		}
	}
}

type scanRecord struct {
	Image     string          `json:"image"`
	Platform  string          `json:"platform,omitempty"`
	Digest    string          `json:"digest"`
	Enhanced  bool            `json:"enhanced"`
	Completed string          `json:"completed,omitempty"`
	Passed    bool            `json:"passed"`
	Counts    []countRecord   `json:"counts,omitempty"`
	Findings  []findingRecord `json:"findings,omitempty"`
}

type countRecord struct {
	Severity string `json:"severity"`
	Count    int    `json:"count"`
}

type findingRecord struct {
	ID       string `json:"id,omitempty"`
	Severity string `json:"severity"`
	Package  string `json:"package,omitempty"`
	Version  string `json:"version,omitempty"`
	FixedIn  string `json:"fixedIn,omitempty"`
}

// findingsKept is how many findings of an image the result file has, the worst.
const findingsKept = 1000

// scanRecords are the scans as the result file has them.
func scanRecords(r *deploy.ScanResult) (all []scanRecord) {
	if r == nil {
		return nil
	}
	for _, one := range r.Images {
		out := scanRecord{Image: one.URI, Platform: one.Platform, Digest: one.Scan.Digest, Enhanced: one.Scan.Enhanced, Passed: one.Scan.AtLeast(r.Limit) == 0}
		if !one.Scan.Completed.IsZero() {
			out.Completed = one.Scan.Completed.UTC().Format("2006-01-02T15:04:05Z07:00")
		}
		for _, severity := range append(ecr.Severities(), deploy.UnrankedSeverities(one.Scan.Counts)...) {
			if n := one.Scan.Counts[severity]; n > 0 {
				out.Counts = append(out.Counts, countRecord{strings.ToLower(string(severity)), n})
			}
		}
		for _, f := range one.Scan.Findings[:min(len(one.Scan.Findings), findingsKept)] {
			out.Findings = append(out.Findings, findingRecord{f.ID, strings.ToLower(string(f.Severity)), f.Package, f.Version, f.FixedIn})
		}
		all = append(all, out)
	}
	return all
}
