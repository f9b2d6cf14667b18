package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestExplainCancelled: a request that something else cancelled, as an HTTP/2
// connection that is going away, is no cancelled run.
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
