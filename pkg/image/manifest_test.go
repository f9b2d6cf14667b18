package image_test

import (
	"testing"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

func FuzzDocuments(f *testing.F) {
	s := imagetest.NewSample(f, imagetest.AMD64, imagetest.RawLayer(f, 1, 10))
	l := imagetest.Layout{}
	d := l.Manifest(f, s, false)
	f.Add(l[image.BlobName(d.Digest)])
	f.Add(l[image.BlobName(l.Index(f, d).Digest)])
	f.Add(s.Config)
	f.Add([]byte(`{"schemaVersion":2,"manifests":null,"config":{"digest":"sha512:00"}}`))
	f.Add([]byte(`{"schemaVersion":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, mediaType, err := image.ParseManifest(raw, "")
		if err == nil && mediaType == "" {
			t.Error("a manifest without a type")
		}
		c, configErr := image.ReadConfig(raw)
		if err == nil && configErr == nil {
			if checks, err := image.CheckLayers(m, c); err == nil && len(checks) > len(m.Layers) {
				t.Error("more checks than layers")
			}
		}
	})
}
