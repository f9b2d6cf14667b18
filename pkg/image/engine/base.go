package engine

// The base of an image: another image, which the engine has pulled and whose layers
// are the first ones of the image.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// Bounds on looking for a base.
const (
	maxCandidates = 100 // images of the engine that are looked at
	baseLimit     = 5 * time.Second
)

// Base finds where the image's base was pulled from, by digest.
func (o *Pushable) Base(ctx context.Context) (reference string, err error) {
	return o.engine.pulledBase(ctx, o)
}

// pulledImage is an image that the engine has pulled.
type pulledImage struct {
	ID          string `json:"Id"`
	RepoDigests []string
	Size        int64
}

// pulledBase finds the image with most layers that begins the pushable's.
func (e *Engine) pulledBase(ctx context.Context, o *Pushable) (reference string, err error) {
	ctx, cancel := context.WithTimeout(ctx, baseLimit)
	defer cancel()
	resp, err := e.get(ctx, "/images/json")
	if err != nil {
		return "", err
	}
	defer registry.Discard(resp)
	raw, err := image.ReadSmall(resp.Body, 32<<20)
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", cmp.Or(err, errors.New(resp.Status))
	}
	var all []pulledImage
	if err := json.Unmarshal(raw, &all); err != nil {
		return "", err
	}
	// Podman gives an image that it has built a digest at a registry as well.
	all = slices.DeleteFunc(all, func(p pulledImage) bool {
		return p.reference() == "" || p.Size > o.size || e.Podman && strings.TrimPrefix(p.ID, "sha256:") == o.Config.Hex
	})
	all = all[:min(len(all), maxCandidates)]
	lengths := make([]int, len(all))
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(8)
	for i, p := range all {
		g.Go(func() error {
			in, err := e.Inspect(gctx, p.ID)
			if err == nil {
				lengths[i] = begins(in.RootFS.Layers, o.DiffIDs)
			}
			return nil // one that was deleted meanwhile is none
		})
	}
	g.Wait()
	best := 0
	for i, n := range lengths {
		if n > best {
			best, reference = n, all[i].reference()
		}
	}
	if best == 0 {
		return "", errors.New("the engine has pulled no image that this one is based on")
	}
	return reference, nil
}

// begins is the number of layers if they are the first ones of diffIDs, else 0.
func begins(layers []string, diffIDs []v1.Hash) int {
	if len(layers) > len(diffIDs) {
		return 0
	}
	for i, l := range layers {
		if l != diffIDs[i].String() {
			return 0
		}
	}
	return len(layers)
}

// reference is where the image was pulled from, by digest; "" for one that was not.
// Podman gives images that it has built a digest at the host localhost.
func (p pulledImage) reference() string {
	for _, s := range p.RepoDigests {
		if !strings.HasPrefix(s, "localhost/") && !strings.HasPrefix(s, "<none>") {
			return s
		}
	}
	return ""
}
