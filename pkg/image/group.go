package image

// Goroutines of a push or an inspection: a panic in one ends as the error of the
// whole, with its stack, and not as the end of the process.

import (
	"context"

	"golang.org/x/sync/errgroup"

	"ecsdeploy/pkg/guard"
)

// group is an [errgroup.Group] for which a panic is an error like any other.
type group struct{ *errgroup.Group }

func newGroup(ctx context.Context) (group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return group{g}, ctx
}

// Go runs f in a goroutine of its own.
func (g group) Go(f func() error) {
	g.Group.Go(func() error { return guard.Run(f) })
}
