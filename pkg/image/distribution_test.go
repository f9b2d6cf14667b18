package image

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The reference registry of the distribution project, as its own process: a
// raw archive, which we compress either way, and an index, which we do not
// touch.
func TestDistributionRegistry(t *testing.T) {
	binary := os.Getenv("ECSDEPLOY_TEST_REGISTRY")
	if binary == "" {
		t.Skip("ECSDEPLOY_TEST_REGISTRY names no executable of github.com/distribution/distribution/v3/cmd/registry; ./build.sh test installs one")
	}
	address := serveDistribution(t, binary)

	s := newSample(t, amd64, rawLayer(t, 1, 3_000_000), rawLayer(t, 2, 1000))
	for _, compression := range []Compression{Gzip, Zstd} {
		raw := Target{Repository: address + "/" + string(compression), Tags: []string{"17", "extra"}}
		o := PushOptions{Compression: compression}
		first := pushFile(t, write(t, "app.tar", docker20(t, s)), raw, o)
		if again := pushFile(t, write(t, "app.tar", docker20(t, s)), raw, o); !again.AlreadyThere || again.Digest != first.Digest {
			t.Errorf("the second push: %+v, want nothing pushed and digest %s", again, first.Digest)
		}
		for _, tag := range raw.Tags {
			if d, id := pull(t, raw.Repository+":"+tag); d.Digest.String() != first.Digest || id != s.id() {
				t.Errorf("%s:%s is %s with image ID %s, want %s with %s", raw.Repository, tag, d.Digest, id, first.Digest, s.id())
			}
		}
	}

	files := layoutFiles{}
	root := files.index(t, files.manifest(t, s, false), files.manifest(t, newSample(t, arm64, rawLayer(t, 3, 5000)), false))
	pushed := pushFile(t, files.seal(t, root).directory(t), Target{Repository: address + "/index", Tags: []string{"17"}}, PushOptions{})
	if pushed.Digest != root.Digest.String() {
		t.Errorf("the index was pushed as %s, want %s byte for byte", pushed.Digest, root.Digest)
	}
}

func pushFile(t *testing.T, path string, target Target, o PushOptions) Result {
	t.Helper()
	m, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	result, err := Push(t.Context(), m, target, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// serveDistribution starts the registry on a free port and waits until it answers.
func serveDistribution(t *testing.T, binary string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %q\nhttp:\n  addr: %s\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary, "serve", config)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	deadline := time.Now().Add(time.Minute)
	for tick := time.Tick(50 * time.Millisecond); ; <-tick {
		response, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			response.Body.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("the registry does not answer: %v", err)
		}
	}
}
