package emulator

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	ecrroom "ecsdeploy/pkg/emulator/ecr"
)

// TestScan waits for the scan of an image, and reads what it found.
func TestScan(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		if err := w.SetScan(DemoRepository, Scan{Findings: map[string]int{"CRITICAL": 2, "LOW": 1}}); err != nil {
			t.Fatal(err)
		}
		w.push("1", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
		describe := func(tag string) (*ecr.DescribeImageScanFindingsOutput, error) {
			return w.ecr.DescribeImageScanFindings(w.ctx, &ecr.DescribeImageScanFindingsInput{RepositoryName: ptr(DemoRepository), ImageId: &types.ImageIdentifier{ImageTag: &tag}})
		}
		if got := must(describe("1"))(w).ImageScanStatus.Status; got != "IN_PROGRESS" {
			t.Errorf("at once it is %s", got)
		}
		time.Sleep(time.Minute)
		out := must(describe("1"))(w)
		if out.ImageScanStatus.Status != "COMPLETE" || out.ImageScanFindings.FindingSeverityCounts["CRITICAL"] != 2 || len(out.ImageScanFindings.Findings) != 3 {
			t.Errorf("%+v, %+v", out.ImageScanStatus, out.ImageScanFindings)
		}
		if _, err := describe("2"); err == nil {
			t.Error("an image that is not there has a scan")
		}
		if err := w.SetScan(DemoRepository, Scan{Failure: "UnsupportedImageError: The operating system is not supported."}); err != nil {
			t.Fatal(err)
		}
		if got := must(describe("1"))(w).ImageScanStatus; got.Status != "FAILED" {
			t.Errorf("the scan that failed is %s", got.Status)
		}
	})
}
