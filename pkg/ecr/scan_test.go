package ecr

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Findings of both kinds of scans, over several pages.
func TestFindings(t *testing.T) {
	completed := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	pkg := func(name, version, fixed string) types.VulnerablePackage {
		return types.VulnerablePackage{Name: &name, Version: &version, FixedInVersion: &fixed}
	}
	enhanced := func(id, severity, status string, packages ...types.VulnerablePackage) types.EnhancedImageScanFinding {
		return types.EnhancedImageScanFinding{Severity: &severity, Status: &status, PackageVulnerabilityDetails: &types.PackageVulnerabilityDetails{VulnerabilityId: &id, VulnerablePackages: packages}}
	}
	for name, c := range map[string]struct {
		pages []*types.ImageScanFindings
		high  int // findings of severity HIGH or worse
		total int
		first Finding
	}{
		"basic": {[]*types.ImageScanFindings{
			{ImageScanCompletedAt: &completed, FindingSeverityCounts: map[string]int32{"LOW": 1, "HIGH": 1}, Findings: []types.ImageScanFinding{{Name: aws.String("CVE-2"), Severity: types.FindingSeverityLow}}},
			{ImageScanCompletedAt: &completed, FindingSeverityCounts: map[string]int32{"LOW": 1, "HIGH": 1}, Findings: []types.ImageScanFinding{{Name: aws.String("CVE-1"), Severity: types.FindingSeverityHigh,
				Attributes: []types.Attribute{{Key: aws.String("package_name"), Value: aws.String("zlib")}, {Key: aws.String("package_version"), Value: aws.String("1.2")}}}}},
		}, 1, 2, Finding{"CVE-1", High, "zlib", "1.2", ""}},
		"enhanced, one finding in two packages": {[]*types.ImageScanFindings{
			{EnhancedFindings: []types.EnhancedImageScanFinding{enhanced("CVE-1", "HIGH", "ACTIVE", pkg("a", "1", "NotAvailable"), pkg("b", "2", "3"), pkg("b", "2", "3"))}},
		}, 1, 1, Finding{"CVE-1", High, "b", "2", "3"}},
		"suppressed and closed": {[]*types.ImageScanFindings{
			{FindingSeverityCounts: map[string]int32{"CRITICAL": 2, "HIGH": 1}, EnhancedFindings: []types.EnhancedImageScanFinding{
				enhanced("CVE-1", "CRITICAL", "SUPPRESSED"), enhanced("CVE-2", "CRITICAL", "CLOSED"), enhanced("CVE-3", "HIGH", "ACTIVE")}},
		}, 1, 1, Finding{ID: "CVE-3", Severity: High}},
		"counted and not listed": {[]*types.ImageScanFindings{{FindingSeverityCounts: map[string]int32{"CRITICAL": 3, "UNDEFINED": 1}}, nil}, 3, 4, Finding{}},
		"not judged":             {[]*types.ImageScanFindings{{EnhancedFindings: []types.EnhancedImageScanFinding{enhanced("CVE-1", "UNTRIAGED", "ACTIVE")}}}, 0, 1, Finding{ID: "CVE-1", Severity: "UNTRIAGED"}},
		"nothing":                {[]*types.ImageScanFindings{nil}, 0, 0, Finding{}},
	} {
		var all tally
		for _, page := range c.pages {
			all.add(page)
		}
		scan := Scan{Counts: all.counts(), Findings: all.sorted()}
		if got := scan.AtLeast(High); got != c.high || scan.Total() != c.total {
			t.Errorf("%s: %d of %d, want %d of %d", name, got, scan.Total(), c.high, c.total)
		}
		if c.first != (Finding{}) && scan.Findings[0] != c.first {
			t.Errorf("%s: %+v, want %+v", name, scan.Findings[0], c.first)
		}
	}
}

func TestAtLeast(t *testing.T) {
	scan := Scan{Counts: map[Severity]int{Critical: 1, High: 2, Medium: 4, Low: 8, Informational: 16, "UNDEFINED": 32}}
	for limit, want := range map[Severity]int{Critical: 1, High: 3, Medium: 7, Low: 15, Informational: 31} {
		if got := scan.AtLeast(limit); got != want {
			t.Errorf("%s: %d, want %d", limit, got, want)
		}
	}
}
