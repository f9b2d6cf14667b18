//go:build linux

package main

// The canary run as a process: what stands in the process table is read by anybody on
// the machine.

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/input"
)

// commandLines reads the command lines of all processes until done is closed.
func commandLines(done <-chan struct{}) map[string]bool {
	seen := map[string]bool{}
	for {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				seen[string(text)] = true
			}
		}
		select {
		case <-done:
			return seen
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestCanaryProcesses runs every command as a process at System.Debug, with secrets in
// every place from which it takes them, a helper for credentials among them. None is on
// a command line, in what is printed, or in a file of the temporary or work directory.
func TestCanaryProcesses(t *testing.T) {
	clearAWS(t)
	if testing.Short() {
		t.Skip("starts processes")
	}
	const secret, token, docker = "canary/Secret+Key=0123456789", "canary-job-token-0123456789", "canary@docker/0123456789"
	canaries := []string{secret, token, docker}
	for _, c := range slices.Clone(canaries) {
		canaries = append(canaries, base64.StdEncoding.EncodeToString([]byte(c)))
	}
	e, err := emulator.New(emulator.Options{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	server := httptest.NewServer(e)
	defer server.Close()
	var watched sync.WaitGroup
	done, lines := make(chan struct{}), map[string]bool(nil)
	identified := 0 // runs that used the key
	watched.Go(func() { lines = commandLines(done) })
	for _, command := range input.Commands() {
		work, temp := t.TempDir(), t.TempDir()
		inputs := []string{
			"AGENT_TEMPDIRECTORY=" + temp, "TMPDIR=" + temp, "SYSTEM_DEFAULTWORKINGDIRECTORY=" + work, "INPUT_COMMAND=" + string(command), "INPUT_IMAGE=chat-app:17",
			"INPUT_REPOSITORY=chat-app", "INPUT_CLUSTER=" + cluster, "INPUT_SERVICES=" + service, "AWS_ENDPOINT_URL=" + server.URL,
			"SYSTEM_DEBUG=true", "SECRET_SYSTEM_ACCESSTOKEN=" + token, "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN=" + token,
			"SYSTEM_COLLECTIONURI=https://user:" + token + "@devops.invalid/example/", "DOCKER_HOST=tcp://user:" + strings.ReplaceAll(docker, "/", "%2F") + "@127.0.0.1:1",
		}
		// Once with the key as a variable, and once from a helper that a profile names.
		for _, helper := range []bool{false, true} {
			cmd, stdout, stderr := process(t, append(slices.Clone(inputs), "ECSDEPLOY_CONCLUDED=83")...)
			if helper {
				credentialProcess(t, cmd, fmt.Sprintf("cat <<END\n{\"Version\":1,\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\"SecretAccessKey\":%q}\nEND\necho warning: %s >&2", secret, secret))
			} else {
				cmd.Env = append(cmd.Env, "AWS_ACCESSKEYID=AKIAIOSFODNN7EXAMPLE", "SECRET_AWS_SECRETACCESSKEY="+secret)
			}
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd.Run()); code != 83 {
				t.Errorf("%s: exit code %d\n%s%s", command, code, stdout, stderr)
			}
			stdin.Close()
			if strings.Contains(stdout.String(), e.User()) {
				identified++
			}
			for line := range strings.Lines(stdout.String() + stderr.String()) {
				// What a helper prints before its answer is read cannot be known to be a secret.
				if !strings.HasPrefix(line, "##vso[task.setsecret]") && !strings.HasPrefix(line, "external output: warning:") {
					silent(t, string(command), line, canaries)
				}
			}
			for where, text := range written(t, temp, work) {
				silent(t, string(command)+": "+where, text, canaries)
			}
		}
	}
	close(done)
	watched.Wait()
	for line := range lines {
		silent(t, "the process table", line, canaries)
	}
	if len(lines) < 2 || identified < 10 {
		t.Errorf("%d command lines were seen, and %d runs used the key", len(lines), identified)
	}
}
