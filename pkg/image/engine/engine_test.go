package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
)

func TestFindEndpoint(t *testing.T) {
	config := t.TempDir()
	sum := sha256.Sum256([]byte("remote"))
	meta := filepath.Join(config, "contexts", "meta", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(meta, "meta.json"), []byte(`{"Name":"remote","Endpoints":{"docker":{"Host":"unix:///run/remote.sock"}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	current := t.TempDir()
	if err := os.CopyFS(current, os.DirFS(config)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(current, "config.json"), []byte(`{"currentContext":"remote","auths":{}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.Rename(current, filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name       string
		env        map[string]string
		host, fail string
	}{
		{"nothing set", nil, defaultHost, ""},
		{"DOCKER_HOST", map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375", "DOCKER_CONTEXT": "remote"}, "tcp://127.0.0.1:2375", ""},
		{"DOCKER_CONTEXT", map[string]string{"DOCKER_CONTEXT": "remote", "DOCKER_CONFIG": config}, "unix:///run/remote.sock", ""},
		{"context default", map[string]string{"DOCKER_CONTEXT": "default", "DOCKER_CONFIG": config}, defaultHost, ""},
		{"current context", map[string]string{"HOME": home, "USERPROFILE": home}, "unix:///run/remote.sock", ""},
		{"missing context", map[string]string{"DOCKER_CONTEXT": "gone", "DOCKER_CONFIG": config}, "", `DOCKER_CONTEXT "gone": there is no such context`},
		{"missing certificates", map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nonexistent"}, "tcp://127.0.0.1:2376", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e, err := findEndpoint(func(k string) string { return c.env[k] })
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || e.Host != c.host {
				t.Errorf("%s %v, want %s", e.Host, err, c.host)
			}
		})
	}
	for host, want := range map[string]string{"ssh://me@host": "ssh://", "ftp://host": "want unix://", "::": "not an address"} {
		if _, _, err := (Endpoint{Host: host, Source: "DOCKER_HOST"}).Client(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "DOCKER_HOST") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestSimilarTags(t *testing.T) {
	tags := []string{"chat-app:3", "registry.example.com:5000/chat-app:2", "chat-app-worker:1", "<none>:<none>", "postgres:16", "docker.io/library/chat-app:1", "localhost/tools:1"}
	for name, want := range map[string][]string{
		"chat-app:9":              {"chat-app:3", "docker.io/library/chat-app:1"},
		"chat-app":                {"chat-app:3", "docker.io/library/chat-app:1"},
		"chat:9":                  {"chat-app:3", "registry.example.com:5000/chat-app:2", "chat-app-worker:1", "docker.io/library/chat-app:1"},
		"other.example/postgres":  {"postgres:16"},
		"tools:9":                 {"localhost/tools:1"},
		"redis:7":                 nil,
		"registry.example.com/pg": nil,
	} {
		if got := similarTags(name, tags); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// An engine is not given what it must not have, or cannot do.
func TestEngineDoesNotPush(t *testing.T) {
	d := v1.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: image.DigestOf([]byte("m"))}
	in := Inspected{ID: d.Digest.String(), Descriptor: &d, Manifests: []inspectedManifest{{Descriptor: d, Available: true, Kind: "image"}}}
	if NewOutbox(&Engine{private: true}, in, d.Digest.String()) == nil {
		t.Fatal("not even the plain case")
	}
	if NewOutbox(&Engine{}, in, d.Digest.String()) != nil {
		t.Error("credentials would go over the network in the open")
	}
	if NewOutbox(&Engine{private: true, Podman: true}, in, d.Digest.String()) != nil {
		t.Error("podman would compress anew")
	}
	if NewOutbox(&Engine{private: true}, in, image.DigestOf([]byte("child")).String()) != nil {
		t.Error("more than the one platform would be pushed")
	}
	in.Descriptor = nil
	if NewOutbox(&Engine{private: true}, in, "") != nil {
		t.Error("the classic store would compress anew")
	}
}

func TestEnginePrivacy(t *testing.T) {
	for host, private := range map[string]bool{
		"unix:///var/run/docker.sock": true, "UNIX:///run/d.sock": true, "npipe:////./pipe/docker_engine": true,
		"tcp://engine:2375": false, "TCP://engine:2375": false, "http://engine": false, "HTTP://engine": false, "Http://engine": false,
		"https://engine": true, "HTTPS://engine": true,
	} {
		if got := (Endpoint{Host: host}).private(); got != private {
			t.Errorf("%s: private %v", host, got)
		}
		if private {
			continue
		}
		for skip, want := range map[bool]bool{true: false, false: true} {
			c, err := readTLS(t.TempDir(), skip)
			if err != nil {
				t.Fatal(err)
			}
			if got := (Endpoint{Host: host, tls: c}).private(); got != want {
				t.Errorf("%s, SkipTLSVerify %v: private %v", host, skip, got)
			}
		}
	}
	if got := (Endpoint{Host: "tcp://user:secret@engine:2375"}).shown(); strings.Contains(got, "secret") {
		t.Errorf("shown as %s", got)
	}
}
