package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
)

// gateEvents are the events of the gate on the image, and the lines that they become.
func gateEvents() []wording {
	one := deploy.ScannedImage{URI: "host/web:2", Platform: "linux/arm64", Scan: ecr.Scan{Enhanced: true, Completed: time.Unix(0, 0),
		Counts:   map[ecr.Severity]int{ecr.Critical: 1, "UNTRIAGED": 1},
		Findings: []ecr.Finding{{ID: "CVE-1", Severity: ecr.Critical, Package: "openssl", Version: "3.0.1", FixedIn: "3.0.2"}, {Severity: "UNTRIAGED"}}}}
	clean := deploy.ScannedImage{URI: "host/web:2"}
	return []wording{
		{deploy.ScanStarted{Image: one}, "started a basic scan of host/web:2 (linux/arm64)"},
		{deploy.ScanWaits{Image: clean, Left: 15 * time.Minute}, "waiting for the scan of host/web:2: no scan yet; 15m left"},
		{deploy.ScanWaits{Image: clean, Status: "PENDING", Elapsed: time.Minute, Left: 14 * time.Minute}, "waiting for the scan of host/web:2: status PENDING; 1m elapsed; 14m left"},
		{deploy.Scanned{Image: one, Limit: ecr.High}, "enhanced scan of host/web:2 (linux/arm64): 1 critical and 1 untriaged vulnerabilities\n" +
			"  severity   vulnerability  package       installed     fixed in\n" +
			"  critical   CVE-1          openssl       3.0.1         3.0.2\n" +
			"  untriaged  not named      not reported  not reported  not reported\n" +
			"  1 finding without a judged severity: such do not fail the run"},
		{deploy.Scanned{Image: clean, Limit: ecr.High}, "scan of host/web:2: no vulnerabilities; ECR calls the scan complete and does not say when it ended"},
		{deploy.ScanningUnread{Repository: "host/web", Err: errDenied}, "could not read whether images of host/web are scanned when they are pushed, so that a scan is asked for: " + errDenied.Error()},
	}
}

func TestGateLines(t *testing.T) {
	for _, tt := range gateEvents() {
		if got := lines(tt.event); got != tt.want {
			t.Errorf("%T:\n%s\nwant:\n%s", tt.event, got, tt.want)
		}
	}
}

// TestScanMarkdownIsHarmless: what an image's packages are called is no element of the
// summary.
func TestScanMarkdownIsHarmless(t *testing.T) {
	with := func(outside string) string {
		var b strings.Builder
		scanMarkdown(&b, &deploy.ScanResult{Limit: ecr.High, Images: []deploy.ScannedImage{{URI: outside, Platform: outside, Scan: ecr.Scan{
			Counts: map[ecr.Severity]int{ecr.Severity(outside): 1}, Findings: []ecr.Finding{{ID: outside, Severity: ecr.Severity(outside), Package: outside, Version: outside, FixedIn: outside}},
		}}}})
		return b.String()
	}
	want := elements(t, with("harmless"))
	for _, outside := range hostile {
		if got := elements(t, with(outside)); !slices.Equal(got, want) {
			t.Errorf("%q becomes an element:\n%v\nwant\n%v\n%s", outside, got, want, with(outside))
		}
	}
}
