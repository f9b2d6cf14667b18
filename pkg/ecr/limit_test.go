package ecr

import (
	"strings"
	"testing"
)

// TestLimitIsFinal: an account that has as many repositories as it may have gets no
// further one by waiting.
func TestLimitIsFinal(t *testing.T) {
	fake := newFake()
	fake.full = true
	config := fake.config()
	config.RetryMaxAttempts = 3
	_, _, err := New(config, Options{}).CreateRepository(t.Context(), "app", Creation{})
	if err == nil || !strings.Contains(err.Error(), "exceeded a service limit") || fake.count("CreateRepository") != 1 {
		t.Errorf("%d calls: %v", fake.count("CreateRepository"), err)
	}
}
