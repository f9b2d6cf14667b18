package image

// Goroutines of a push or an inspection: a panic in one ends as the error of the
// whole, with its stack, and not as the end of the process.

import (
	"context"

	"golang.org/x/sync/errgroup"

	"ecsdeploy/pkg/guard"
)

// Group is an [errgroup.Group] for which a panic is an error like any other.
type Group struct{ *errgroup.Group }

func NewGroup(ctx context.Context) (Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return Group{g}, ctx
}

// Go runs f in a goroutine of its own.
func (g Group) Go(f func() error) {
	g.Group.Go(func() error { return guard.Run(f) })
}
