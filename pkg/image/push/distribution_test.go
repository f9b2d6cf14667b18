package push

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
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

	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3_000_000), imagetest.RawLayer(t, 2, 1000))
	for _, compression := range []compress.Compression{compress.Gzip, compress.Zstd} {
		raw := Target{Repository: address + "/" + string(compression), Tags: []string{"17", "extra"}}
		o := Options{Compression: compression}
		first := pushFile(t, imagetest.Write(t, "app.tar", imagetest.Docker20(t, s)), raw, o)
		if again := pushFile(t, imagetest.Write(t, "app.tar", imagetest.Docker20(t, s)), raw, o); !again.AlreadyThere || again.Digest != first.Digest {
			t.Errorf("the second push: %+v, want nothing pushed and digest %s", again, first.Digest)
		}
		for _, tag := range raw.Tags {
			if d, id := imagetest.Pull(t, raw.Repository+":"+tag); d.Digest.String() != first.Digest || id != s.ID() {
				t.Errorf("%s:%s is %s with image ID %s, want %s with %s", raw.Repository, tag, d.Digest, id, first.Digest, s.ID())
			}
		}
	}

	files := imagetest.Layout{}
	root := files.Index(t, files.Manifest(t, s, false), files.Manifest(t, imagetest.NewSample(t, imagetest.ARM64, imagetest.RawLayer(t, 3, 5000)), false))
	pushed := pushFile(t, files.Seal(t, root).Directory(t), Target{Repository: address + "/index", Tags: []string{"17"}}, Options{})
	if pushed.Digest != root.Digest.String() {
		t.Errorf("the index was pushed as %s, want %s byte for byte", pushed.Digest, root.Digest)
	}

	// A promotion: from one registry to another, under two tags.
	prod := serveDistribution(t, binary)
	pushFile(t, "docker://"+address+"/index:17", Target{Repository: prod + "/index", Tags: []string{"17", "stable"}}, Options{})
	manifests := func(registry, tag string) map[string]string {
		all := map[string]string{}
		all[tag] = fetchManifest(t, registry, tag)
		var index struct{ Manifests []struct{ Digest string } }
		if err := json.Unmarshal([]byte(all[tag]), &index); err != nil {
			t.Fatal(err)
		}
		for _, child := range index.Manifests {
			all[child.Digest] = fetchManifest(t, registry, child.Digest)
		}
		return all
	}
	want := manifests(address, "17")
	if got := manifests(prod, "17"); len(want) != 3 || !maps.Equal(got, want) || fetchManifest(t, prod, "stable") != want["17"] {
		t.Errorf("the second registry has the manifests %v, want %v", got, want)
	}
}

// fetchManifest is a manifest of the repository index, byte for byte.
func fetchManifest(t *testing.T, registry, reference string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+registry+"/v2/index/manifests/"+reference, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Accept"] = []string{"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("manifest %s: %s, %v", reference, response.Status, err)
	}
	return string(content)
}

func pushFile(t *testing.T, path string, target Target, o Options) Result {
	t.Helper()
	m, err := source.Open(t.Context(), path, source.Options{})
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
