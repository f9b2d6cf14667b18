// The recording that the task attached to its run, as somebody gets it who downloads the logs: the copy that the agent took after the task's process
// had ended, played back.

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ecsdeploy/pkg/emulator/agent"
)

// fileAttachment is the type of what the logging command task.uploadfile attaches: Azure DevOps puts such files into the download of a run's logs.
// https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#uploadfile-upload-a-file-that-can-be-downloaded-with-task-logs
const fileAttachment = "Distributedtask.Core.FileAttachment"

// download writes the recordings of a run below a directory, plays each back as "emulator replay" does, and returns what that ends with by file name.
func download(ctx context.Context, result agent.Result, dir string) (played map[string]string, err error) {
	played = map[string]string{}
	for _, one := range result.Attachments {
		if one.Type != fileAttachment || !strings.HasPrefix(one.Name, "ecsdeploy-recording-") {
			continue
		}
		path := filepath.Join(dir, one.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, one.Content, 0o600); err != nil {
			return nil, err
		}
		var out strings.Builder
		if err := replay(ctx, []string{path}, &out, io.Discard); err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		played[one.Name] = lines[len(lines)-1]
	}
	return played, nil
}
