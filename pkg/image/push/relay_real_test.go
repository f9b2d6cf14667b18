package push

// Relaying with a real engine: its base is pulled from a registry, its own layer
// built on top, as on an agent.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

func TestRealEngineRelays(t *testing.T) {
	host := os.Getenv("ECSDEPLOY_TEST_DOCKER_HOST")
	if host == "" {
		t.Skip("ECSDEPLOY_TEST_DOCKER_HOST names no engine, such as unix:///var/run/docker.sock, to be tried for real")
	}
	hc, base, err := engine.Endpoint{Host: host, Source: "ECSDEPLOY_TEST_DOCKER_HOST"}.Client()
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path string, body io.Reader, header ...string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 || bytes.Contains(b, []byte(`"error"`)) {
			t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
		}
		return string(b)
	}
	o := source.Options{Environ: imagetest.Environ(map[string]string{"DOCKER_HOST": host})}
	e, err := engine.Connect(t.Context(), o.Getenv)
	if err != nil {
		t.Fatal(err)
	}

	// What no engine has seen before.
	salt := byte(time.Now().UnixNano())
	upstream, target := imagetest.NewRegistry(), imagetest.NewRegistry()
	from, to := upstream.Serve(t), target.Serve(t)
	large := imagetest.TarOf(t, imagetest.Entry{Name: "zeros", Data: append(make([]byte, 60<<20), byte(time.Now().UnixNano()>>8), salt)})
	s := imagetest.NewSample(t, image.Platform{OS: "linux", Architecture: runtime.GOARCH}, large, imagetest.RawLayer(t, salt, 2<<20))
	archive := imagetest.Write(t, "base.tar", imagetest.Docker20(t, s))
	for _, repo := range []string{from, to} {
		if _, err := Push(t.Context(), open(t, archive, source.Options{}), Target{Repository: repo, Tags: []string{"base"}}, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if e.Podman {
		call("POST", "/v4.0.0/libpod/images/pull?"+url.Values{"reference": {from + ":base"}, "tlsVerify": {"false"}}.Encode(), nil)
	} else {
		call("POST", "/images/create?"+url.Values{"fromImage": {from}, "tag": {"base"}}.Encode(), nil)
	}
	t.Cleanup(func() { call("DELETE", "/images/"+from+":base", nil) })
	for round := range 2 {
		name := fmt.Sprintf("ecsdeploy-relay:%d", round)
		files := imagetest.TarOf(t, imagetest.Entry{Name: "Dockerfile", Data: []byte("FROM " + from + ":base\nCOPY file /file\n")},
			imagetest.Entry{Name: "file", Data: imagetest.RawLayer(t, salt+byte(round)+1, 3<<20)})
		call("POST", "/build?"+url.Values{"t": {name}, "pull": {"false"}}.Encode(), bytes.NewReader(files), "Content-Type", "application/x-tar")
		t.Cleanup(func() { call("DELETE", "/images/"+name, nil) })

		var log bytes.Buffer
		m := open(t, name, o)
		if m.Pushable() == nil {
			t.Fatalf("not considered: %+v", m.Describe())
		}
		target.Take()
		start := time.Now()
		r, err := Push(t.Context(), m, Target{Repository: to, Tags: []string{fmt.Sprint(round)}}, Options{
			Base:   func(context.Context) (Base, error) { return Base{Reference: "base"}, nil },
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v\n%v\n%s", time.Since(start), r, target.Take(), &log)
		if m.Content() != nil {
			t.Error("the image was handed out")
		}
		if r.Reused != 2 || r.Layers != 4 {
			t.Errorf("%d of %d reused", r.Reused, r.Layers)
		}
		if _, id := imagetest.Pull(t, r.URI); m.Pushable().Config.String() != id {
			t.Errorf("image ID %s in the registry, want %s", id, m.Pushable().Config.String())
		}
		var left struct{ RepoTags, RepoDigests []string }
		if err := json.Unmarshal([]byte(call("GET", "/images/"+name+"/json", nil)), &left); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprint(left), "ecsdeploy/relay") {
			t.Errorf("left in the engine: %+v", left)
		}
	}
}
