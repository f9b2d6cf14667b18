package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"ecsdeploy/pkg/vso"
)

// run does what environ asks for, prints to stdout, and returns the exit code.
func run(ctx context.Context, environ []string, stdout io.Writer, transport http.RoundTripper) int {
	return runOn(ctx, environ, vso.NewConsole(stdout), transport)
}

// TestExplainCancelled: a request that something else cancelled is no cancelled run.
func TestExplainCancelled(t *testing.T) {
	err := fmt.Errorf("push app.tar: %w", context.Canceled)
	goesOn := t.Context()
	if message, _ := explain(goesOn, err); !strings.Contains(message, "push app.tar") {
		t.Errorf("while the run goes on: %q", message)
	}
	cancelled, cancel := context.WithCancel(goesOn)
	cancel()
	if message, _ := explain(cancelled, err); message != "the run was cancelled" {
		t.Errorf("of a cancelled run: %q", message)
	}
	if message, _ := explain(cancelled, fmt.Errorf("no such cluster")); message != "no such cluster" {
		t.Errorf("what is wrong all the same: %q", message)
	}
}
