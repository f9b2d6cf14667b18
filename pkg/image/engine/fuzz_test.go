package engine

// Fuzz targets of what comes from outside: lines of an engine, contexts of Docker.

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/image"
)

// The lines of an engine's push may be anything: the digest that is believed is
// the one that was expected, and progress is never negative.
func FuzzEngineLines(f *testing.F) {
	f.Add(`{"id":"abc","status":"Pushing","progressDetail":{"current":5,"total":10}}`)
	f.Add(`{"id":"abc","status":"Pushing","progressDetail":{"current":-5,"total":-10}}` + "\n" + `{"id":"abc","status":"Pushed"}`)
	f.Add(`{"id":"abc","status":"Pushed","progressDetail":{"current":9223372036854775807,"total":9223372036854775807}}`)
	f.Add(`{"error":"denied"}`)
	f.Fuzz(func(t *testing.T, lines string) {
		p := image.NewMeter(nil, time.Hour)
		defer p.Close()
		e := newProgress(p)
		d := json.NewDecoder(strings.NewReader(lines))
		for range 100 {
			var l pushLine
			if d.Decode(&l) != nil {
				break
			}
			e.tell(l)
		}
		if now := p.SoFar(); now.Done < 0 || now.Sent < 0 || now.LayersDone > now.Layers {
			t.Errorf("%+v", now)
		}
	})
}

func FuzzDockerContext(f *testing.F) {
	f.Add(`{"Endpoints":{"docker":{"Host":"tcp://engine:2376","SkipTLSVerify":true}}}`, `{"currentContext":"x"}`)
	f.Add(`{"Endpoints":{"docker":{}}}`, `{"currentContext":"default"}`)
	f.Add(`{`, `[]`)
	home := f.TempDir()
	meta := filepath.Join(home, "contexts", "meta", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
	if err := os.MkdirAll(meta, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, context, config string) {
		for name, text := range map[string]string{filepath.Join(meta, "meta.json"): context, filepath.Join(home, "config.json"): config} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, chosen := range []string{"", "x"} {
			e, err := findEndpoint(func(key string) string {
				return map[string]string{"DOCKER_CONFIG": home, "DOCKER_CONTEXT": chosen}[key]
			})
			if err != nil {
				continue
			}
			if _, base, err := e.Client(); err == nil && e.private() && strings.HasPrefix(base, "http://") && base != "http://engine" {
				t.Errorf("%s is taken for private and spoken to at %s", e.Host, base)
			}
		}
	})
}
