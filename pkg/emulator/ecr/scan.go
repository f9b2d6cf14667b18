// Image scans: basic ones, on push or on request, and the enhanced ones of Amazon Inspector. Each takes a while, and then has the findings that a
// test gave it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html

package ecr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

const (
	// scanTime is how long a scan takes.
	scanTime = 20 * time.Second
	// scanQueue is how long an enhanced scan is PENDING.
	scanQueue = 5 * time.Second
	// scanAgain is how often an image may be scanned on request, scans on push counted in, by the reference of StartImageScan.
	scanAgain = 24 * time.Hour
)

// The types and frequencies of scanning.
const (
	basicScanning    = "BASIC"
	enhancedScanning = "ENHANCED"
	manualScan       = "MANUAL"
	onPushScan       = "SCAN_ON_PUSH"
	continuousScan   = "CONTINUOUS_SCAN"
)

// Scan is what scans of a repository's images find.
type Scan struct {
	Findings map[string]int // by severity: CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL, UNDEFINED
	Failure  string         // why the scan fails: "UnsupportedImageError: …"; "" is that it does not
	// Ends is the status in which the scan ends without findings, such as UNSUPPORTED_IMAGE or SCAN_ELIGIBILITY_EXPIRED; "" is COMPLETE, or
	// ACTIVE of continuous scanning.
	Ends  string
	Takes time.Duration // 0 is 20 s
	// Early is how long an enhanced scan is called COMPLETE or ACTIVE before its result is there (https://github.com/aws/aws-sdk/issues/289).
	Early time.Duration
	// Undated leaves out when the scan was completed, as answers about images without findings may.
	Undated bool
}

// scanning is the registry's scanning configuration.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutRegistryScanningConfiguration.html
type scanning struct {
	kind  string // "" is BASIC
	rules []awsapi.Object
}

// SetScan sets what scans of a repository find from now on, also for images that are there.
func (e *ECR) SetScan(name string, scan Scan) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	r, err := e.repository(name)
	if err != nil {
		return err
	}
	r.scan = scan
	return nil
}

// frequency is how often images of a repository are scanned, and the filters by which that is so. A basic scan on push may also be the repository's
// own setting, which is deprecated and still in force.
func (e *ECR) frequency(r *repository) (frequency string, filters []any) {
	frequency = manualScan
	if e.scanning.kind != enhancedScanning && r.settings.Object("imageScanningConfiguration").Flag("scanOnPush") {
		frequency = onPushScan
	}
	for _, rule := range e.scanning.rules {
		for _, f := range rule.Objects("repositoryFilters") {
			if filterMatches(f.Str("filter"), r.name) && frequency != continuousScan {
				frequency = rule.Str("scanFrequency")
				filters = append(filters, f)
			}
		}
	}
	return frequency, filters
}

// filterMatches: a filter without a wildcard is for all repositories that contain it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-filters.html
func filterMatches(filter, name string) bool {
	if !strings.Contains(filter, "*") {
		return strings.Contains(name, filter)
	}
	return wildcard(filter, name)
}

// wildcard reports whether a pattern, in which only * is special, matches the whole of a name.
func wildcard(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1:max(len(parts)-1, 1)] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return len(parts) == 1 && name == "" || len(parts) > 1 && strings.HasSuffix(name, parts[len(parts)-1])
}

// scanPushed begins the scan of an image that was pushed, where it is scanned by itself. Indexes are not.
func (e *ECR) scanPushed(r *repository, img *image, now time.Time) {
	if frequency, _ := e.frequency(r); frequency != manualScan && !isIndex(img.mediaType) {
		img.scanned = now
	}
}

func (e *ECR) imageOf(c *awsapi.Invocation) (*repository, *image, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, nil, err
	}
	id := c.In.Object("imageId")
	if img := r.find(cmp.Or(id.Str("imageDigest"), id.Str("imageTag"))); img != nil {
		return r, img, nil
	}
	return nil, nil, awsapi.Errorf("ImageNotFoundException", "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'", id.Str("imageDigest"), id.Str("imageTag"), r.name, e.Account())
}

func (e *ECR) describeImageScanFindings(c *awsapi.Invocation) (awsapi.Object, error) {
	r, img, err := e.imageOf(c)
	if err != nil {
		return nil, err
	}
	id := c.In.Object("imageId")
	if img.scanned.IsZero() {
		return nil, awsapi.Errorf("ScanNotFoundException", "Image scan does not exist for the image with '{imageDigest:'%s', imageTag:'%s'}' in the repository with name '%s' in the registry with id '%s'", id.Str("imageDigest"), id.Str("imageTag"), r.name, e.Account())
	}
	out := awsapi.Object{"registryId": e.Account(), "repositoryName": r.name, "imageId": awsapi.CopyOf(id)}
	enhanced := e.scanning.kind == enhancedScanning
	ended := img.scanned.Add(e.Scaled(cmp.Or(r.scan.Takes, scanTime)))
	done, description := "COMPLETE", "The scan was completed successfully."
	if frequency, _ := e.frequency(r); frequency == continuousScan {
		done, description = "ACTIVE", "Continuous scan is selected for image."
	}
	status := func(name, text string) {
		o := awsapi.Object{"status": name}
		o.Put("description", text)
		out["imageScanStatus"] = o
	}
	switch {
	case enhanced && c.Now.Before(img.scanned.Add(min(e.Scaled(scanQueue), ended.Sub(img.scanned)))):
		status("PENDING", "")
	case enhanced && c.Now.Before(ended) && !c.Now.Before(ended.Add(-e.Scaled(r.scan.Early))):
		status(done, description)
		out["imageScanFindings"] = awsapi.Object{"findings": []any{}}
	case c.Now.Before(ended):
		status("IN_PROGRESS", "")
	case r.scan.Failure != "":
		status("FAILED", r.scan.Failure)
	case r.scan.Ends != "":
		status(r.scan.Ends, "")
	default:
		status(done, description)
		return e.withFindings(c, r, out, enhanced, ended)
	}
	return out, nil
}

// withFindings adds one page of the findings.
func (e *ECR) withFindings(c *awsapi.Invocation, r *repository, out awsapi.Object, enhanced bool, ended time.Time) (awsapi.Object, error) {
	counts, all := awsapi.Object{}, []any{}
	for _, severity := range []string{"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"} {
		n := r.scan.Findings[severity]
		if n == 0 {
			continue
		}
		counts[severity] = n
		for range n {
			all = append(all, e.finding(len(all), severity, enhanced))
		}
	}
	page, next, err := awsapi.Paginate(c.In, all, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	findings := awsapi.Object{"findingSeverityCounts": counts}
	if !r.scan.Undated {
		findings["imageScanCompletedAt"], findings["vulnerabilitySourceUpdatedAt"] = awsapi.Epoch(ended), awsapi.Epoch(ended)
	}
	if enhanced && len(all) > 0 {
		findings["enhancedFindings"] = awsapi.Anys(page)
	} else {
		findings["findings"] = awsapi.Anys(page)
	}
	out["imageScanFindings"] = findings
	out.Put("nextToken", next)
	return out, nil
}

// scannedPackages are what the findings are in, one after the other: name, version, and the version that has the fix.
var scannedPackages = [][3]string{{"openssl", "3.0.11-1~deb12u1", "3.0.11-1~deb12u2"}, {"zlib1g", "1:1.2.13.dfsg-1", ""}, {"libc6", "2.36-9+deb12u3", "2.36-9+deb12u4"}}

// finding is the finding with a number.
func (e *ECR) finding(n int, severity string, enhanced bool) awsapi.Object {
	id, of := fmt.Sprintf("CVE-2026-%04d", 1000+n), scannedPackages[n%len(scannedPackages)]
	if !enhanced {
		return awsapi.Object{"name": id, "severity": severity, "uri": "https://nvd.nist.gov/vuln/detail/" + id, "attributes": []any{
			awsapi.Object{"key": "package_version", "value": of[1]}, awsapi.Object{"key": "package_name", "value": of[0]},
		}}
	}
	return awsapi.Object{
		"awsAccountId": e.Account(), "findingArn": e.ARN("inspector2", "finding/"+id), "severity": severity, "status": "ACTIVE", "title": id + " - " + of[0], "type": "PACKAGE_VULNERABILITY",
		"packageVulnerabilityDetails": awsapi.Object{"vulnerabilityId": id, "source": "NVD", "vulnerablePackages": []any{awsapi.Object{
			"name": of[0], "version": of[1], "packageManager": "OS", "fixedInVersion": cmp.Or(of[2], "NotAvailable"),
		}}},
	}
}

// startImageScan starts a basic scan. With enhanced scanning there is none.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_StartImageScan.html
func (e *ECR) startImageScan(c *awsapi.Invocation) (awsapi.Object, error) {
	r, img, err := e.imageOf(c)
	switch {
	case err != nil:
		return nil, err
	case e.scanning.kind == enhancedScanning:
		return nil, awsapi.Errorf("ValidationException", "This feature is disabled")
	case isIndex(img.mediaType):
		return nil, awsapi.Errorf("UnsupportedImageTypeException", "An artifact with media type '%s' cannot be scanned. For more information, see the Amazon ECR documentation.", img.mediaType)
	case !img.scanned.IsZero() && c.Now.Sub(img.scanned) < scanAgain:
		return nil, awsapi.Errorf("LimitExceededException", "The scan quota per image has been exceeded. Wait and try again.")
	}
	img.scanned = c.Now
	return awsapi.Object{"registryId": e.Account(), "repositoryName": r.name, "imageId": awsapi.CopyOf(c.In.Object("imageId")), "imageScanStatus": awsapi.Object{"status": "IN_PROGRESS"}}, nil
}

// putRegistryScanningConfiguration: enhanced scanning begins with the images that are there.
func (e *ECR) putRegistryScanningConfiguration(c *awsapi.Invocation) (awsapi.Object, error) {
	kind := cmp.Or(c.In.Str("scanType"), basicScanning)
	for _, rule := range c.In.Objects("rules") {
		if frequency := rule.Str("scanFrequency"); kind == basicScanning && frequency == continuousScan || kind == enhancedScanning && frequency == manualScan {
			return nil, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'rules' failed to satisfy constraint: 'scan frequency %s is not supported with scan type %s'", frequency, kind)
		}
	}
	before := e.scanning.kind
	e.scanning = scanning{kind: kind, rules: c.In.Objects("rules")}
	for _, r := range e.repositories {
		for _, img := range r.images {
			if kind == enhancedScanning && before != enhancedScanning {
				img.scanned = time.Time{}
				e.scanPushed(r, img, c.Now)
			}
		}
	}
	return awsapi.Object{"registryScanningConfiguration": e.describeScanning()}, nil
}

func (e *ECR) describeScanning() awsapi.Object {
	rules := []any{}
	for _, rule := range e.scanning.rules {
		rules = append(rules, awsapi.CopyOf(rule))
	}
	return awsapi.Object{"scanType": cmp.Or(e.scanning.kind, basicScanning), "rules": rules}
}

func (e *ECR) getRegistryScanningConfiguration(*awsapi.Invocation) (awsapi.Object, error) {
	return awsapi.Object{"registryId": e.Account(), "scanningConfiguration": e.describeScanning()}, nil
}

func (e *ECR) batchGetRepositoryScanningConfiguration(c *awsapi.Invocation) (awsapi.Object, error) {
	found, failures := []any{}, []any{}
	for _, name := range c.In.Strings("repositoryNames") {
		r := e.repositories[name]
		if r == nil {
			failures = append(failures, awsapi.Object{"repositoryName": name, "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "The repository with name '" + name + "' does not exist"})
			continue
		}
		frequency, filters := e.frequency(r)
		found = append(found, awsapi.Object{
			"repositoryArn": e.ARN("ecr", "repository/"+name), "repositoryName": name, "scanFrequency": frequency,
			"scanOnPush": slices.Contains([]string{onPushScan, continuousScan}, frequency), "appliedScanFilters": awsapi.Anys(filters),
		})
	}
	return awsapi.Object{"scanningConfigurations": found, "failures": failures}, nil
}
