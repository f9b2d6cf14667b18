package push

// Whether an image that lies in the repository is sound, where no proof says so.

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// sound says whether all layers of an image in the repository unpack to what its
// config lists: by the proof in its manifest, else by reading and inflating them.
// The first error is of the layers, a *LayerError; the second says why it could
// not be found out.
func sound(ctx context.Context, c *registry.Client, have *registry.Manifest) (damage, err error) {
	m, _, err := image.ParseManifest(have.Raw, have.Desc.MediaType)
	if err != nil || m.Config == nil {
		return nil, err
	}
	raw, err := c.Read(ctx, *m.Config, image.MaxConfig)
	if err != nil {
		return nil, err
	}
	config, err := image.ReadConfig(raw)
	if err != nil {
		return nil, err
	}
	checks, damage := image.CheckLayers(m, config)
	if damage != nil {
		return damage, nil
	}
	checks = slices.DeleteFunc(checks, func(k image.LayerCheck) bool { return isProven(k.Desc, k.DiffID) })
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), maxInflaters))
	for _, k := range checks {
		g.Go(func() error { return c.CheckLayer(gctx, k) })
	}
	err = g.Wait()
	if bad, ok := errors.AsType[*image.LayerError](err); ok {
		return bad, nil
	}
	return nil, err
}
