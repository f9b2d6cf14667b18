//go:build linux

package task_test

// The packaged task where agents are found: in folders with blanks and letters of other alphabets, with a read-only task
// folder, without HOME, and in a step that the agent tries again.

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/emulator/agent"
	"ecsdeploy/pkg/image/imagetest"
)

// pushing is a job that pushes an archive in its working directory, named with blanks and letters of another alphabet.
func pushing(t *testing.T, credentials string) agent.Job {
	t.Helper()
	job := packaged(t, map[string]string{"credentials": credentials})
	job.Directory = filepath.Join(t.TempDir(), `Ж 100% "ü"`)
	archive := filepath.Join(job.WorkingDirectory(), "образ и 100%", "app ü.tar")
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		t.Fatal(err)
	}
	sample := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	if err := os.WriteFile(archive, imagetest.Docker20(t, sample), 0o644); err != nil {
		t.Fatal(err)
	}
	job.Inputs = map[string]string{"command": "push", "region": "eu-west-1", "repository": "chat-app", "createRepository": "true", "tags": "17", "image": "образ и 100%/app ü.tar"}
	return job
}

const keys = `echo '{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI"}'`

func TestOddPlaces(t *testing.T) {
	job := pushing(t, keys)
	// The agent has unpacked the task, and the container job that runs it may only read it.
	var err error
	if job.TaskDir, err = agent.Unpack(job.VSIX, filepath.Join(job.Directory, "_work", "_tasks")); err != nil {
		t.Fatal(err)
	}
	job.VSIX = ""
	readOnly(t, job.TaskDir)
	job.Environ = append(job.Environ, "HOME=", "USER=")
	result, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != agent.Succeeded || result.Outputs["imageDigest"] == "" || len(result.Issues) > 0 {
		t.Errorf("%v, %v; the log:\n%s", result.Status, result.Issues, result.Raw)
	}
	left, err := os.ReadDir(filepath.Join(job.Directory, "_work", "_temp"))
	if err != nil || slices.ContainsFunc(left, fs.DirEntry.IsDir) { // the result and the summary stay
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// readOnly takes the right to write from a folder, which root has all the same: then the executable is unpacked there.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	change := func(directory, file fs.FileMode) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				return os.Chmod(path, directory)
			}
			return os.Chmod(path, file)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	change(0o555, 0o444)
	t.Cleanup(func() { change(0o755, 0o644) })
}

// A step with retryCountOnTaskFailure: what failed once is tried again, and the step is green.
func TestStepIsTriedAgain(t *testing.T) {
	job := pushing(t, `
		if [ ! -e "$0.tried" ]; then touch "$0.tried"; echo "no token yet" >&2; exit 1; fi
		`+keys)
	job.Retries = 2
	result, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != agent.Succeeded || result.Attempts != 2 || result.Outputs["imageDigest"] == "" {
		t.Errorf("%v after %d attempts; the log:\n%s", result.Status, result.Attempts, result.Raw)
	}
	if !slices.ContainsFunc(result.Issues, func(i agent.Issue) bool { return strings.Contains(i.Message, "credential_process") }) {
		t.Errorf("the first failure is not an issue: %v", result.Issues)
	}
}
