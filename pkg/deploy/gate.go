package deploy

// The gate on the image (input failOnVulnerabilities): after the push and before any
// service is touched, the scan of the image is waited for, and the run ends where it
// found too much. What cannot be scanned does not pass either: nothing is known of it
// then.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// Stored is where an image lies in ECR: the images that an index consists of, or the
// one itself. ECR scans these, and never an index.
//
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html
type Stored struct {
	Repository ecr.Repository
	Images     []StoredImage
}

// StoredImage is a single image. The platform is empty where it is not of an index.
type StoredImage struct{ Digest, Platform string }

// ScanResult is what the scans of a run's images found.
type ScanResult struct {
	Limit  ecr.Severity // from which on the gate does not pass
	Images []ScannedImage
}

// ScannedImage is an image and its scan.
type ScannedImage struct {
	URI      string
	Platform string // of an index
	Scan     ecr.Scan
}

const (
	scanPoll     = 5 * time.Second
	scanBeat     = time.Minute      // between two lines while nothing changes
	scanPatience = 15 * time.Minute // for one image
	// scanBegins is how long a scan may be missing that begins by itself, and how long
	// findings may be unavailable.
	scanBegins = 3 * time.Minute
	// scanSettles is how long ECR may call a scan complete without showing a result
	// before it is taken for one without findings.
	scanSettles = 3 * time.Minute
	// scanTrouble is how long readings may fail one after the other.
	scanTrouble = time.Minute
)

// ScanCode says why there is no result of a scan.
type ScanCode string

// The codes.
const (
	ScanFailed      ScanCode = "failed"
	ScanUnsupported ScanCode = "unsupported" // the scanner does not know what is in the image
	ScanOff         ScanCode = "off"         // no scan of images of this repository begins, nor can be started
	ScanArchived    ScanCode = "archived"
	ScanExpired     ScanCode = "expired" // Inspector scans the image no more
	ScanLimited     ScanCode = "limited" // the account has no scans left
	ScanUnavailable ScanCode = "unavailable"
	ScanLate        ScanCode = "late" // it did not end in time
)

// UnscannedError says that the scan of an image has no result.
type UnscannedError struct {
	URI    string
	Code   ScanCode
	Status string // of the scan; may be empty
	Detail string // in ECR's words; may be empty
	After  time.Duration
}

func (e *UnscannedError) Error() string {
	text := "the vulnerabilities of " + e.URI + " are not known (failOnVulnerabilities): "
	switch e.Code {
	case ScanUnsupported:
		text += "ECR cannot scan the image"
	case ScanOff:
		text += "scanning is off for its repository"
	case ScanArchived:
		text += "the image is archived, and archived images are not scanned"
	case ScanExpired:
		text += "Amazon Inspector no longer scans the image, since its scan duration has passed"
	case ScanLimited:
		text += "the account has reached the limit of scans in 24 hours"
	case ScanUnavailable:
		text += "ECR has no findings for the image"
	case ScanLate:
		after := e.After.Round(time.Second).String()
		if strings.HasSuffix(after, "m0s") {
			after = strings.TrimSuffix(after, "0s")
		}
		text += "its scan did not end within " + after
	default:
		text += "the scan failed"
	}
	var told []string
	if e.Status != "" {
		told = append(told, "status "+e.Status)
	}
	if e.Detail != "" {
		told = append(told, strings.TrimSuffix(e.Detail, "."))
	}
	if len(told) > 0 {
		text += " (" + strings.Join(told, "; ") + ")"
	}
	return text
}

// Hint says what to do about it.
func (e *UnscannedError) Hint() string {
	switch e.Code {
	case ScanUnsupported:
		return "basic scanning knows certain Linux distributions only: use enhanced scanning, a supported base image, or leave failOnVulnerabilities empty"
	case ScanOff:
		return "set scan on push for the repository, or a filter of the registry's scanning configuration that matches it"
	case ScanArchived:
		return "restore the image in ECR, or push it again"
	case ScanExpired:
		return "push the image again, or raise the scan duration in Amazon Inspector"
	case ScanLimited:
		return "run the step again later, or use enhanced scanning"
	case ScanLate:
		return "run the step again: a scan that has ended by then is read at once"
	}
	return "see the image in the ECR console, and run the step again"
}

// VulnerableError says that scans found too much.
type VulnerableError struct {
	Result ScanResult
	// Untouched is set where the run has pushed nothing, and would have gone on to
	// services.
	Untouched bool
}

func (e *VulnerableError) Error() string {
	var all []string
	for _, one := range e.Result.Images {
		if one.Scan.AtLeast(e.Result.Limit) == 0 {
			continue
		}
		name := one.URI
		if one.Platform != "" {
			name += " (" + one.Platform + ")"
		}
		all = append(all, fmt.Sprintf("%s has %s", name, SeverityCounts(one.Scan.Counts, e.Result.Limit)))
	}
	text := strings.Join(all, ", ") + fmt.Sprintf("; failOnVulnerabilities: %s does not let it pass", strings.ToLower(string(e.Result.Limit)))
	if e.Untouched {
		text += "; no service was changed"
	}
	return text
}

// Hint says what to do about it.
func (e *VulnerableError) Hint() string {
	for _, one := range e.Result.Images {
		for _, f := range one.Scan.Findings {
			if f.FixedIn != "" {
				return "update the packages for which the log and the summary name a version with the fix, and build the image again"
			}
		}
	}
	return "update the packages that the log and the summary name, or the base image, and build the image again"
}

// SeverityCounts says how many findings there are of each severity, down to the
// limit, or of all where the limit is empty: 2 critical and 1 high vulnerabilities.
func SeverityCounts(counts map[ecr.Severity]int, limit ecr.Severity) string {
	var parts []string
	total := 0
	for _, severity := range append(ecr.Severities(), UnrankedSeverities(counts)...) {
		if n := counts[severity]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(string(severity))))
			total += n
		}
		if severity == limit {
			break
		}
	}
	if total == 0 {
		return "no vulnerabilities"
	}
	text := parts[len(parts)-1]
	if len(parts) > 1 {
		text = strings.Join(parts[:len(parts)-1], ", ") + " and " + text
	}
	if total == 1 {
		return text + " vulnerability"
	}
	return text + " vulnerabilities"
}

// UnrankedSeverities are those among counts that have no rank, in the order of their names.
func UnrankedSeverities(counts map[ecr.Severity]int) (all []ecr.Severity) {
	for severity := range counts {
		if !slices.Contains(ecr.Severities(), severity) {
			all = append(all, severity)
		}
	}
	slices.Sort(all)
	return all
}

// checkGate refuses a gate on an image that ECR does not have.
func (p *Plan) checkGate() error {
	r := p.Request
	if r.FailOn == "" || r.Push {
		return nil
	}
	const hint = "leave failOnVulnerabilities empty, or roll out an image of an ECR repository"
	if r.Image == "" && p.Repository == nil {
		return mistake.New(mistake.Vulnerabilities, hint, "the run rolls out no image of its own, so that there is no scan to wait for")
	}
	for _, c := range p.candidates() {
		if c.Stored == nil {
			return mistake.New(mistake.Vulnerabilities, hint, "%s is not in ECR, which scans its own images only", c.URI)
		}
	}
	return nil
}

// candidates are the images of the run: one, or where each service has its own, each
// of these once. Images of further containers are not among them.
func (p *Plan) candidates() []Candidate {
	if p.Image.URI != "" {
		return []Candidate{p.Image}
	}
	var all []Candidate
	for _, s := range p.Services {
		if s.Image != nil && !slices.ContainsFunc(all, func(c Candidate) bool { return c.URI == s.Image.URI }) {
			all = append(all, *s.Image)
		}
	}
	return all
}

// gate waits for the scans of the run's images. It returns what they found, which is
// there beside a [*VulnerableError] too; nil where no gate is asked for.
func (d *Deployer) gate(ctx context.Context, p *Plan) (*ScanResult, error) {
	r := p.Request
	if r.FailOn == "" {
		return nil, nil
	}
	defer d.View.Section(Section{Kind: ScanSection})()
	result := &ScanResult{Limit: r.FailOn}
	var watches []*scanWatch
	for _, c := range p.candidates() {
		if c.Stored == nil {
			return nil, &UnscannedError{URI: c.URI, Code: ScanUnavailable}
		}
		for _, one := range c.Stored.Images {
			image := ScannedImage{URI: c.URI, Platform: one.Platform, Scan: ecr.Scan{Digest: one.Digest}}
			watches = append(watches, newScanWatch(c.Stored.Repository, image))
		}
	}
	if err := d.awaitScans(ctx, watches); err != nil {
		return nil, err
	}
	for _, w := range watches {
		w.image.Scan = w.scan
		result.Images = append(result.Images, w.image)
	}
	worst := false
	for _, one := range result.Images {
		d.View.Show(Scanned{Image: one, Limit: r.FailOn})
		worst = worst || one.Scan.AtLeast(r.FailOn) > 0
	}
	if worst {
		return result, &VulnerableError{Result: *result, Untouched: r.Rollout && !r.Push}
	}
	return result, nil
}

// scanWatch is what is known of a scan while it is waited for.
type scanWatch struct {
	repository ecr.Repository
	image      ScannedImage
	scan       ecr.Scan
	state      ecr.ScanState
	begin      time.Time // of the watch
	since      time.Time // the state is the same
	automatic  bool      // images that are pushed are scanned by themselves
	known      bool      // whether automatic was read
	asked      bool      // a scan was asked for
	refused    *ecr.ScanRefusedError
	failing    time.Time // since when readings fail; zero where they do not
	shown      time.Time // when the latest line was written
	done       bool
}

func newScanWatch(repository ecr.Repository, image ScannedImage) *scanWatch {
	now := time.Now()
	return &scanWatch{repository: repository, image: image, scan: image.Scan, begin: now, since: now}
}

// scanStep is what to do next.
type scanStep int

const (
	scanWait scanStep = iota
	scanStart
	scanAccept
	scanGiveUp
)

// judge decides what to do next, and for what reason there is no result. It is pure.
func (w scanWatch) judge(now time.Time) (scanStep, ScanCode) {
	same := now.Sub(w.since)
	switch w.state {
	case ecr.ScanDone:
		return scanAccept, ""
	case ecr.ScanUnconfirmed:
		if same >= scanSettles {
			return scanAccept, ""
		}
	case ecr.ScanImpossible:
		return scanGiveUp, impossible(w.scan)
	case ecr.ScanUnavailable:
		if same >= scanBegins {
			return scanGiveUp, ScanUnavailable
		}
	case ecr.ScanMissing:
		switch {
		case w.refused != nil && w.refused.Unsupported:
			return scanGiveUp, ScanUnsupported
		case !w.asked && (!w.automatic || same >= scanBegins):
			return scanStart, ""
		case w.refused != nil && w.refused.Disabled:
			return scanGiveUp, ScanOff
		case same >= scanBegins && w.refused != nil && w.refused.Limit:
			return scanGiveUp, ScanLimited
		case same >= 2*scanBegins:
			return scanGiveUp, ScanUnavailable
		}
	}
	if now.Sub(w.begin) >= scanPatience {
		return scanGiveUp, ScanLate
	}
	return scanWait, ""
}

// impossible is why a scan will show nothing.
func impossible(s ecr.Scan) ScanCode {
	switch {
	case s.Unsupported():
		return ScanUnsupported
	case s.Status == "SCAN_ELIGIBILITY_EXPIRED":
		return ScanExpired
	case s.Status == "LIMIT_EXCEEDED":
		return ScanLimited
	case s.Status == "IMAGE_ARCHIVED":
		return ScanArchived
	}
	return ScanFailed
}

// awaitScans waits for the scans of all images, and starts those that do not begin by
// themselves.
func (d *Deployer) awaitScans(ctx context.Context, watches []*scanWatch) error {
	for {
		waiting := false
		for _, w := range watches {
			if w.done {
				continue
			}
			if err := d.lookAtScan(ctx, w); err != nil {
				return w.late(ctx, err)
			}
			waiting = waiting || !w.done
		}
		if !waiting {
			return nil
		}
		if err := sleep(ctx, scanPoll); err != nil {
			return watches[0].late(ctx, err)
		}
	}
}

// lookAtScan reads a scan once, and does what is to be done next.
func (d *Deployer) lookAtScan(ctx context.Context, w *scanWatch) error {
	if err := d.readScan(ctx, w); err != nil {
		return err
	}
	if w.failing.IsZero() {
		step, code := w.judge(time.Now())
		switch step {
		case scanAccept:
			w.done = true
			return nil
		case scanGiveUp:
			return w.unscanned(code)
		case scanStart:
			if err := d.startScan(ctx, w); err != nil {
				return err
			}
			return d.lookAtScan(ctx, w)
		}
	}
	if time.Since(w.shown) >= scanBeat {
		w.shown = time.Now()
		left := min(scanPatience-time.Since(w.begin), until(ctx))
		d.View.Show(ScanWaits{Image: w.image, Status: string(w.scan.Status), Elapsed: time.Since(w.begin), Left: left})
	}
	return nil
}

// readScan reads the state of a scan. What may pass is an error only where it lasts.
func (d *Deployer) readScan(ctx context.Context, w *scanWatch) error {
	scan, err := d.ECR.Scan(ctx, w.repository, w.image.Scan.Digest)
	now := time.Now()
	switch {
	case err != nil && (ctx.Err() != nil || ecs.Classify(err).Lasting() || !w.failing.IsZero() && now.Sub(w.failing) >= scanTrouble):
		return err
	case err != nil:
		if w.failing.IsZero() {
			w.failing = now
		}
		return nil
	}
	w.failing = time.Time{}
	if state := scan.State(); state != w.state {
		w.state, w.since = state, now
	}
	w.scan = scan
	if w.state == ecr.ScanMissing && !w.known {
		w.automatic, w.known = d.scansByItself(ctx, w.repository), true
	}
	return nil
}

// scansByItself reports whether a pushed image is scanned without being asked for.
// Where that may not be read, a scan is asked for: ECR refuses a second one.
func (d *Deployer) scansByItself(ctx context.Context, repo ecr.Repository) bool {
	automatic, err := d.ECR.StartsScans(ctx, repo)
	if err != nil {
		d.View.Show(ScanningUnread{Repository: repo.URI, Err: err})
	}
	return err == nil && automatic
}

// startScan asks for a scan, and keeps for what reason ECR starts none. Where the
// answer was lost the scan may have begun: the next reading shows it, or ECR refuses
// a second one.
func (d *Deployer) startScan(ctx context.Context, w *scanWatch) error {
	err := d.ECR.StartScan(ctx, w.repository, w.image.Scan.Digest)
	w.asked, w.since = true, time.Now()
	if refused, is := errors.AsType[*ecr.ScanRefusedError](err); is {
		w.refused = refused
		return nil
	}
	if err == nil {
		d.View.Show(ScanStarted{w.image})
	}
	return err
}

// unscanned is the error of a scan without a result.
func (w *scanWatch) unscanned(code ScanCode) error {
	e := &UnscannedError{URI: w.image.URI, Code: code, Status: string(w.scan.Status), Detail: w.scan.Detail, After: time.Since(w.begin)}
	if w.image.Platform != "" {
		e.URI += " (" + w.image.Platform + ")"
	}
	if w.refused != nil && e.Detail == "" {
		e.Detail = w.refused.Said
	}
	return e
}

// late is the error of a wait that the time limit of the run has ended, or that was
// cancelled; any other error stays as it is.
func (w *scanWatch) late(ctx context.Context, err error) error {
	if _, over := errors.AsType[*TimeoutError](context.Cause(ctx)); over {
		return w.unscanned(ScanLate)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
