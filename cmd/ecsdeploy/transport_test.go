package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What AWS_CA_BUNDLE says for calls of AWS holds for registries, too.
func TestRegistryTransport(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("bundle.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	for _, c := range []struct{ name, bundle, fails string }{
		{"named in the bundle", good, ""},
		{"no bundle", "", "certificate"},
		{"missing", filepath.Join(t.TempDir(), "missing"), "AWS_CA_BUNDLE: open"},
		{"not a bundle", file("empty", nil), "AWS_CA_BUNDLE: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			transport, err := registryTransport(c.bundle)
			if err == nil {
				client := http.Client{Transport: transport}
				_, err = client.Get(s.URL)
			}
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%v, want %q", err, c.fails)
			}
		})
	}
}
