package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"ecsdeploy/pkg/emulator"
)

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-scenario", "crash", "-speed", "1000", "-demo"}, w, io.Discard)
		w.Close()
	}()
	var endpoint string
	lines := bufio.NewScanner(r)
	for endpoint == "" || !strings.HasPrefix(lines.Text(), "#") {
		if !lines.Scan() {
			t.Fatal(<-done)
		}
		if v, ok := strings.CutPrefix(lines.Text(), "export AWS_ENDPOINT_URL="); ok {
			endpoint = v
		}
	}
	if !strings.Contains(lines.Text(), "scenario crash") {
		t.Error(lines.Text())
	}
	resp, err := http.Get(endpoint + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the registry answers %s", resp.Status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("after the end was asked for: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"dance", `command "dance" does not exist; there are serve`},
		{"serve -scenario explode", `scenario "explode" does not exist; there are complete, slow`},
		{"-speed fast", `invalid value "fast" for flag -speed`},
		{"serve here", `unexpected argument "here"`},
		{"-addr 127.0.0.1:notaport", "listen tcp"},
	} {
		if err := run(t.Context(), strings.Fields(c.args), io.Discard, io.Discard); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("emulator %s: %v", c.args, err)
		}
	}
}

func TestListScenarios(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"serve", "-scenario", "list"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != len(emulator.Scenarios()) {
		t.Errorf("%d lines", n)
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); err != nil {
		t.Errorf("-h: %v", err)
	}
}
