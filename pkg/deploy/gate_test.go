package deploy

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/ecr"
)

// TestJudgeScan: what is done next, by what is known of a scan and since when.
func TestJudgeScan(t *testing.T) {
	begin := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	off := &ecr.ScanRefusedError{Disabled: true, Err: errors.New("off")}
	limit := &ecr.ScanRefusedError{Limit: true, Err: errors.New("limit")}
	index := &ecr.ScanRefusedError{Unsupported: true, Err: errors.New("index")}
	of := func(status types.ScanStatus, detail string) ecr.Scan { return ecr.Scan{Status: status, Detail: detail} }
	for name, c := range map[string]struct {
		watch scanWatch
		after time.Duration // since the state is the same, and since the begin
		step  scanStep
		code  ScanCode
	}{
		"not scanned by itself":           {scanWatch{}, 0, scanStart, ""},
		"scanned by itself soon":          {scanWatch{automatic: true}, time.Minute, scanWait, ""},
		"scanned by itself, and is not":   {scanWatch{automatic: true}, scanBegins, scanStart, ""},
		"started, and not there yet":      {scanWatch{asked: true}, time.Minute, scanWait, ""},
		"started, and never there":        {scanWatch{asked: true}, 2 * scanBegins, scanGiveUp, ScanUnavailable},
		"enhanced, no filter matches":     {scanWatch{asked: true, refused: off}, 0, scanGiveUp, ScanOff},
		"cannot be scanned":               {scanWatch{asked: true, refused: index}, 0, scanGiveUp, ScanUnsupported},
		"a scan on push was quicker":      {scanWatch{asked: true, refused: limit}, time.Minute, scanWait, ""},
		"no scans left":                   {scanWatch{asked: true, refused: limit}, scanBegins, scanGiveUp, ScanLimited},
		"pending":                         {scanWatch{scan: of("PENDING", "")}, 10 * time.Minute, scanWait, ""},
		"pending for too long":            {scanWatch{scan: of("PENDING", "")}, scanPatience, scanGiveUp, ScanLate},
		"in progress":                     {scanWatch{scan: of("IN_PROGRESS", "")}, time.Minute, scanWait, ""},
		"a status of a later ECR":         {scanWatch{scan: of("QUEUED", "")}, time.Minute, scanWait, ""},
		"a status of a later ECR, always": {scanWatch{scan: of("QUEUED", "")}, scanPatience, scanGiveUp, ScanLate},
		"complete":                        {scanWatch{scan: ecr.Scan{Status: "COMPLETE", Completed: begin}}, 0, scanAccept, ""},
		"active, with findings":           {scanWatch{scan: ecr.Scan{Status: "ACTIVE", Counts: map[ecr.Severity]int{ecr.Low: 1}}}, 0, scanAccept, ""},
		"complete, and nothing shown":     {scanWatch{scan: of("COMPLETE", "")}, scanSettles - 1, scanWait, ""},
		"nothing shown for a while":       {scanWatch{scan: of("ACTIVE", "")}, scanSettles, scanAccept, ""},
		"failed":                          {scanWatch{scan: of("FAILED", "an error of ours")}, 0, scanGiveUp, ScanFailed},
		"unsupported, basic":              {scanWatch{scan: of("FAILED", "UnsupportedImageError: no")}, 0, scanGiveUp, ScanUnsupported},
		"unsupported, enhanced":           {scanWatch{scan: of("UNSUPPORTED_IMAGE", "")}, 0, scanGiveUp, ScanUnsupported},
		"eligibility expired":             {scanWatch{scan: of("SCAN_ELIGIBILITY_EXPIRED", "")}, 0, scanGiveUp, ScanExpired},
		"limit exceeded":                  {scanWatch{scan: of("LIMIT_EXCEEDED", "")}, 0, scanGiveUp, ScanLimited},
		"archived":                        {scanWatch{scan: of("IMAGE_ARCHIVED", "")}, 0, scanGiveUp, ScanArchived},
		"unavailable for now":             {scanWatch{scan: of("FINDINGS_UNAVAILABLE", "")}, scanBegins - 1, scanWait, ""},
		"unavailable":                     {scanWatch{scan: of("FINDINGS_UNAVAILABLE", "")}, scanBegins, scanGiveUp, ScanUnavailable},
	} {
		w := c.watch
		w.begin, w.since, w.state = begin, begin, w.scan.State()
		if step, code := w.judge(begin.Add(c.after)); step != c.step || code != c.code {
			t.Errorf("%s: %d %q, want %d %q", name, step, code, c.step, c.code)
		}
	}
}

// Every status that the SDK knows has a rule.
func TestEveryScanStatusIsJudged(t *testing.T) {
	pending := map[types.ScanStatus]bool{types.ScanStatusPending: true, types.ScanStatusInProgress: true}
	for _, status := range types.ScanStatus("").Values() {
		if state := (ecr.Scan{Status: status}).State(); (state == ecr.ScanPending) != pending[status] {
			t.Errorf("%s is state %d", status, state)
		}
	}
}

func TestSeverityCounts(t *testing.T) {
	counts := map[ecr.Severity]int{ecr.Critical: 2, ecr.High: 1, ecr.Low: 4, "UNTRIAGED": 1}
	for limit, want := range map[ecr.Severity]string{
		"":           "2 critical, 1 high, 4 low and 1 untriaged vulnerabilities",
		ecr.Critical: "2 critical vulnerabilities",
		ecr.High:     "2 critical and 1 high vulnerabilities",
		ecr.Medium:   "2 critical and 1 high vulnerabilities",
	} {
		if got := SeverityCounts(counts, limit); got != want {
			t.Errorf("down to %q: %s, want %s", limit, got, want)
		}
	}
	if got := SeverityCounts(map[ecr.Severity]int{ecr.Low: 1}, ""); got != "1 low vulnerability" {
		t.Error(got)
	}
	if got := SeverityCounts(nil, ecr.Low); got != "no vulnerabilities" {
		t.Error(got)
	}
}

func TestSingleImages(t *testing.T) {
	index := `{"manifests":[
		{"digest":"sha256:a","platform":{"os":"linux","architecture":"amd64"}},
		{"digest":"sha256:b","platform":{"os":"linux","architecture":"arm","variant":"v7"}},
		{"digest":"sha256:c","platform":{"os":"unknown","architecture":"unknown"}},
		{"digest":"sha256:d"}]}`
	got := single(ecr.Image{Digest: "sha256:root", Manifest: []byte(index)})
	want := []StoredImage{{"sha256:a", "linux/amd64"}, {"sha256:b", "linux/arm/v7"}, {"sha256:d", ""}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v", got)
	}
	// An index of nothing that is run has no image to scan: what ECR says of itself counts.
	for _, manifest := range []string{`{"config":{}}`, `not JSON`, `{"manifests":[]}`, `{"manifests":[{"digest":"sha256:c","platform":{"os":"unknown","architecture":"unknown"}}]}`} {
		if got := single(ecr.Image{Digest: "sha256:root", Manifest: []byte(manifest)}); len(got) != 1 || got[0] != (StoredImage{Digest: "sha256:root"}) {
			t.Errorf("%s: %v", manifest, got)
		}
	}
}
