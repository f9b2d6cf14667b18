package ecr

// Image scans: what ECR's basic scans and the enhanced ones of Amazon Inspector
// found in an image, whether that is final, and the start of a scan where none
// begins by itself.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"
)

// Severity is how bad a finding is, as ECR spells it.
type Severity string

// The severities, worst first. Others, UNDEFINED of ECR and UNTRIAGED of Inspector
// among them, have no rank: nobody has judged such a finding yet.
const (
	Critical      Severity = "CRITICAL"
	High          Severity = "HIGH"
	Medium        Severity = "MEDIUM"
	Low           Severity = "LOW"
	Informational Severity = "INFORMATIONAL"
)

// Severities are the severities that have a rank, worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Informational} }

// rank is the place among [Severities]; what has none comes last.
func (s Severity) rank() int {
	if i := slices.Index(Severities(), s); i >= 0 {
		return i
	}
	return len(Severities())
}

// Finding is a vulnerability of an image. Members that are not reported are empty.
type Finding struct {
	ID       string // CVE-2026-1234
	Severity Severity
	Package  string
	Version  string // that is installed
	FixedIn  string // the version that has the fix
}

// Scan is what is known of the scan of one image.
type Scan struct {
	Digest    string
	Status    types.ScanStatus // empty where there is no scan
	Detail    string           // what ECR says about the status
	Enhanced  bool             // by Amazon Inspector
	Completed time.Time        // zero where it is not reported
	Counts    map[Severity]int
	Findings  []Finding // worst first
}

// AtLeast is the number of findings of a severity or a worse one.
func (s Scan) AtLeast(limit Severity) int {
	n := 0
	for severity, count := range s.Counts {
		if severity.rank() <= limit.rank() && severity.rank() < len(Severities()) {
			n += count
		}
	}
	return n
}

// Total is the number of all findings.
func (s Scan) Total() int {
	n := 0
	for _, count := range s.Counts {
		n += count
	}
	return n
}

// ScanState is what a scan's status comes to.
type ScanState int

// The states.
const (
	ScanMissing     ScanState = iota // no scan of the image was started
	ScanPending                      // it has not ended
	ScanUnavailable                  // ECR has no findings to show, which may change
	ScanUnconfirmed                  // ECR calls it complete, and shows neither a finding nor when it ended
	ScanDone                         // the findings are all
	ScanImpossible                   // it will show nothing, however long one waits
)

// State judges the status of a scan. ECR may call an enhanced scan COMPLETE or
// ACTIVE some time before its findings are there: neither a finding nor a time of
// completion is reported then (https://github.com/aws/aws-sdk/issues/289). A status
// that is not known is taken for one that changes.
//
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html
func (s Scan) State() ScanState {
	switch s.Status {
	case "":
		return ScanMissing
	case types.ScanStatusComplete, types.ScanStatusActive: // ACTIVE: scanned, and again whenever vulnerabilities become known
		if s.Completed.IsZero() && s.Total() == 0 {
			return ScanUnconfirmed
		}
		return ScanDone
	case types.ScanStatusFindingsUnavailable:
		return ScanUnavailable
	case types.ScanStatusFailed, types.ScanStatusUnsupportedImage, types.ScanStatusScanEligibilityExpired, types.ScanStatusLimitExceeded, types.ScanStatusImageArchived:
		return ScanImpossible
	}
	return ScanPending
}

// Unsupported reports whether the scan failed because the scanner does not know
// what is in the image.
//
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-troubleshooting.html
func (s Scan) Unsupported() bool {
	return s.Status == types.ScanStatusUnsupportedImage || s.Status == types.ScanStatusFailed && strings.Contains(s.Detail, "UnsupportedImage")
}

// maxFindingPages bounds the findings of an image to 50,000. The counts are of all.
const maxFindingPages = 50

// Scan reads the scan of an image, given by its digest. An image without one is a
// Scan without a status.
//
// It takes ecr:DescribeImageScanFindings on the repository.
func (c *Client) Scan(ctx context.Context, repo Repository, digest string) (Scan, error) {
	scan := Scan{Digest: digest, Counts: map[Severity]int{}}
	pages := ecr.NewDescribeImageScanFindingsPaginator(c.api(repo.Region), &ecr.DescribeImageScanFindingsInput{
		RegistryId: optional(repo.Account), RepositoryName: &repo.Name,
		ImageId: &types.ImageIdentifier{ImageDigest: &digest}, MaxResults: aws.Int32(1000),
	})
	var findings tally
	for range maxFindingPages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if _, none := errors.AsType[*types.ScanNotFoundException](err); none {
			return scan, nil
		}
		if err != nil {
			return scan, callError("scan of "+join(repo, digest), "ecr:DescribeImageScanFindings", repo.ARN, err)
		}
		if status := page.ImageScanStatus; status != nil {
			scan.Status, scan.Detail = status.Status, aws.ToString(status.Description)
		}
		findings.add(page.ImageScanFindings)
	}
	scan.Enhanced, scan.Completed = findings.enhanced, findings.completed
	scan.Counts, scan.Findings = findings.counts(), findings.sorted()
	return scan, nil
}

// tally adds up the findings of several pages.
type tally struct {
	all       []Finding
	hidden    map[Severity]int // suppressed or closed by Inspector's rules
	reported  map[Severity]int // as ECR counts them
	enhanced  bool
	completed time.Time
}

func (t *tally) add(page *types.ImageScanFindings) {
	if page == nil {
		return
	}
	if t.reported == nil {
		t.reported, t.hidden = map[Severity]int{}, map[Severity]int{}
	}
	if page.ImageScanCompletedAt != nil {
		t.completed = *page.ImageScanCompletedAt
	}
	for severity, n := range page.FindingSeverityCounts { // of all pages, on each of them
		t.reported[Severity(severity)] = int(n)
	}
	for _, f := range page.Findings {
		t.all = append(t.all, basicFinding(f))
	}
	t.enhanced = t.enhanced || len(page.EnhancedFindings) > 0
	for _, f := range page.EnhancedFindings {
		severity := Severity(strings.ToUpper(aws.ToString(f.Severity)))
		if status := strings.ToUpper(aws.ToString(f.Status)); status == "SUPPRESSED" || status == "CLOSED" {
			t.hidden[severity]++
			continue
		}
		t.all = append(t.all, enhancedFindings(f, severity)...)
	}
}

// counts are the findings by severity. An enhanced finding is counted once, whatever
// number of packages it is in; what ECR counts and does not list counts too.
func (t *tally) counts() map[Severity]int {
	listed := map[Severity]int{}
	seen := map[Finding]bool{}
	for _, f := range t.all {
		one := Finding{ID: f.ID, Severity: f.Severity}
		if t.enhanced && f.ID != "" && seen[one] {
			continue
		}
		seen[one] = true
		listed[f.Severity]++
	}
	for severity, n := range t.reported {
		if n -= t.hidden[severity]; n > listed[severity] {
			listed[severity] = n
		}
	}
	return listed
}

// sorted are the findings, worst first, those with a fix before others.
func (t *tally) sorted() []Finding {
	slices.SortStableFunc(t.all, func(a, b Finding) int {
		unfixed := func(f Finding) int {
			if f.FixedIn == "" {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(unfixed(a), unfixed(b)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package, b.Package))
	})
	return t.all
}

// basicFinding reads a finding of a basic scan, which names the package in
// attributes, and no version that has a fix.
func basicFinding(f types.ImageScanFinding) Finding {
	found := Finding{ID: aws.ToString(f.Name), Severity: Severity(f.Severity)}
	for _, a := range f.Attributes {
		switch aws.ToString(a.Key) {
		case "package_name":
			found.Package = aws.ToString(a.Value)
		case "package_version":
			found.Version = aws.ToString(a.Value)
		}
	}
	return found
}

// enhancedFindings reads a finding of Inspector, once for each package that it is in.
func enhancedFindings(f types.EnhancedImageScanFinding, severity Severity) []Finding {
	found := Finding{ID: aws.ToString(f.Title), Severity: severity}
	details := f.PackageVulnerabilityDetails
	if details == nil {
		return []Finding{found}
	}
	found.ID = cmp.Or(aws.ToString(details.VulnerabilityId), found.ID)
	var all []Finding
	for _, p := range details.VulnerablePackages {
		one := found
		one.Package, one.Version = aws.ToString(p.Name), aws.ToString(p.Version)
		if release := aws.ToString(p.Release); release != "" {
			one.Version += "-" + release
		}
		if fixed := aws.ToString(p.FixedInVersion); fixed != "NotAvailable" { // Inspector's word for none
			one.FixedIn = fixed
		}
		if !slices.Contains(all, one) { // a package may lie in several layers
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return []Finding{found}
	}
	return all
}

// StartsScans reports whether images that are pushed to the repository are scanned
// by themselves; false where a scan has to be started.
//
// It takes ecr:BatchGetRepositoryScanningConfiguration on the repository.
func (c *Client) StartsScans(ctx context.Context, repo Repository) (bool, error) {
	out, err := c.api(repo.Region).BatchGetRepositoryScanningConfiguration(ctx, &ecr.BatchGetRepositoryScanningConfigurationInput{RepositoryNames: []string{repo.Name}})
	if err != nil {
		return false, callError("repository "+repo.URI, "ecr:BatchGetRepositoryScanningConfiguration", repo.ARN, err)
	}
	for _, one := range out.ScanningConfigurations {
		if aws.ToString(one.RepositoryName) == repo.Name {
			return one.ScanOnPush || one.ScanFrequency == types.ScanFrequencyScanOnPush || one.ScanFrequency == types.ScanFrequencyContinuousScan, nil
		}
	}
	return false, fmt.Errorf("repository %s: ecr:BatchGetRepositoryScanningConfiguration did not answer about it", repo.URI)
}

// ScanRefusedError says that ECR starts no scan of an image.
type ScanRefusedError struct {
	Disabled    bool   // basic scanning is not what the registry uses, and no rule of its enhanced scanning is for the repository
	Unsupported bool   // what the image is cannot be scanned
	Limit       bool   // the image was scanned within 24 hours, or the account has no scans left
	Said        string // in ECR's words
	Err         error
}

func (e *ScanRefusedError) Error() string { return e.Err.Error() }
func (e *ScanRefusedError) Unwrap() error { return e.Err }

// StartScan starts a basic scan of an image, given by its digest. What ECR does not
// do, whoever asks, is a [*ScanRefusedError].
//
// It takes ecr:StartImageScan on the repository.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_StartImageScan.html
func (c *Client) StartScan(ctx context.Context, repo Repository, digest string) error {
	_, err := c.api(repo.Region).StartImageScan(ctx, &ecr.StartImageScanInput{
		RegistryId: optional(repo.Account), RepositoryName: &repo.Name, ImageId: &types.ImageIdentifier{ImageDigest: &digest},
	})
	if err == nil {
		return nil
	}
	named := callError("scan of "+join(repo, digest), "ecr:StartImageScan", repo.ARN, err)
	_, disabled := errors.AsType[*types.ValidationException](err) // "This feature is disabled", with enhanced scanning
	_, unsupported := errors.AsType[*types.UnsupportedImageTypeException](err)
	_, limit := errors.AsType[*types.LimitExceededException](err)
	if api, is := errors.AsType[smithy.APIError](err); is && (disabled || unsupported || limit) {
		return &ScanRefusedError{Disabled: disabled, Unsupported: unsupported, Limit: limit, Said: api.ErrorMessage(), Err: named}
	}
	return named
}
