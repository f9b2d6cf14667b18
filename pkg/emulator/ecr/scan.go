// Image scans: a repository that scans on push scans each image for a while, and then has the findings that a test gave it.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html

package ecr

import (
	"fmt"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

// scanTime is how long a basic scan takes.
const scanTime = 20 * time.Second

// Scan is what scans of a repository's images find.
type Scan struct {
	Findings map[string]int // by severity: CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL, UNDEFINED
	Failure  string         // why the scan fails: "UnsupportedImageError: …"; "" is that it does not
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

func (e *ECR) describeImageScanFindings(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	id := c.In.Object("imageId")
	ref := id.Str("imageDigest")
	if ref == "" {
		ref = id.Str("imageTag")
	}
	img := r.find(ref)
	if img == nil {
		return nil, awsapi.Errorf("ImageNotFoundException", "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'", id.Str("imageDigest"), id.Str("imageTag"), r.name, e.Account())
	}
	if !r.settings.Object("imageScanningConfiguration").Flag("scanOnPush") {
		return nil, awsapi.Errorf("ScanNotFoundException", "Image scan does not exist for the image with '{imageDigest:'%s', imageTag:'%s'}' in the repository with name '%s' in the registry with id '%s'", id.Str("imageDigest"), id.Str("imageTag"), r.name, e.Account())
	}
	out := awsapi.Object{"registryId": e.Account(), "repositoryName": r.name, "imageId": awsapi.CopyOf(id)}
	ended := img.pushed.Add(e.Scaled(scanTime))
	switch {
	case c.Now.Before(ended):
		out["imageScanStatus"] = awsapi.Object{"status": "IN_PROGRESS"}
	case r.scan.Failure != "":
		out["imageScanStatus"] = awsapi.Object{"status": "FAILED", "description": r.scan.Failure}
	default:
		out["imageScanStatus"] = awsapi.Object{"status": "COMPLETE", "description": "The scan was completed successfully."}
		out["imageScanFindings"] = r.scan.describe(ended)
	}
	return out, nil
}

func (s Scan) describe(ended time.Time) awsapi.Object {
	counts, findings := awsapi.Object{}, []any{}
	for _, severity := range []string{"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"} {
		n := s.Findings[severity]
		if n == 0 {
			continue
		}
		counts[severity] = n
		for range n {
			findings = append(findings, awsapi.Object{"name": fmt.Sprintf("CVE-2026-%04d", 1000+len(findings)), "severity": severity, "uri": "https://nvd.nist.gov/vuln"})
		}
	}
	return awsapi.Object{"imageScanCompletedAt": awsapi.Epoch(ended), "vulnerabilitySourceUpdatedAt": awsapi.Epoch(ended), "findingSeverityCounts": counts, "findings": findings}
}
