package source

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
)

func TestEngineErrors(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1<<20))
	inspect := map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64"}

	t.Run("not running", func(t *testing.T) {
		host := "unix:///nonexistent/docker.sock"
		_, err := Open(t.Context(), "app:1", Options{Environ: imagetest.Environ(map[string]string{"DOCKER_HOST": host})})
		e, ok := errors.AsType[*engine.Error](err)
		if !ok || e.Host != host || e.Source != "DOCKER_HOST" {
			t.Errorf("%v", err)
		}
	})
	t.Run("no such image", func(t *testing.T) {
		f := &imagetest.Engine{Api: "1.41", Inspect: inspect, Tags: []string{"app:9", "other:1", "<none>:<none>", "app:8"}}
		_, err := Open(t.Context(), "app:2", Options{Environ: f.Listen(t)})
		e, ok := errors.AsType[*engine.NoSuchImageError](err)
		if !ok || !slices.Equal(e.Similar, []string{"app:9", "app:8"}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("another platform", func(t *testing.T) {
		o := Options{Environ: (&imagetest.Engine{Api: "1.41", Inspect: inspect}).Listen(t)}
		o.Platform = "linux/arm64"
		_, err := Open(t.Context(), "app:1", o)
		if e, ok := errors.AsType[*image.PlatformError](err); !ok || image.PlatformList(e.Have) != "linux/amd64" {
			t.Errorf("%v", err)
		}
	})
	t.Run("hangs while handing out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stuck := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { imagetest.Hang(w, r) })
			e := &engine.Engine{Http: &http.Client{Transport: imagetest.Direct{Handler: stuck}}, Base: "http://engine"}
			start := time.Now()
			err := e.Export(t.Context(), "id", &spool{}, image.NewMeter(nil, time.Hour))
			if !errors.Is(err, registry.ErrStalled) || time.Since(start) > engine.ExportStall {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	})
	t.Run("disk full while handing out", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("only Linux has a device that is always full, /dev/full")
		}
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := &imagetest.Engine{Api: "1.41", Inspect: inspect, Archive: imagetest.Docker20(t, s)}
		e, err := engine.Connect(t.Context(), Options{Environ: f.Listen(t)}.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		d := &spool{File: full, unlinked: true}
		defer d.Close()
		err = e.Export(t.Context(), s.ID(), d, image.NewMeter(nil, time.Hour))
		if full, ok := errors.AsType[*DiskFullError](err); !ok || !strings.Contains(full.Error(), "the disk is full") {
			t.Errorf("%v", err)
		}
	})
}

// DOCKER_HOST=tcp:// with certificates speaks TLS and trusts their CA alone.
func TestEngineOverTLS(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	server := httptest.NewTLSServer(&imagetest.Engine{Api: "1.41", Inspect: map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64"}})
	defer server.Close()
	server.Config.ErrorLog = nil
	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "ca.pem"), pemCertificate(server.Certificate().Raw), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Environ: imagetest.Environ(map[string]string{
		"DOCKER_HOST": "tcp://" + server.Listener.Addr().String(), "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certs})}
	if d := opened(t, "app:1", o).Describe(); d.ImageID != s.ID() {
		t.Errorf("describe: %+v", d)
	}
}

func pemCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
