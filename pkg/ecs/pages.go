package ecs

// Lists that come page by page.

import (
	"context"
	"iter"
)

// mostPages bounds every list, so that one that never ends does not hold up a
// run: 100 pages are 10,000 names.
const mostPages = 100

// page is one answer of a list.
type page[T any] struct {
	items []T
	next  string // token of the next page; empty at the end
}

// pages yields the items of a list. A list that points back to where it was is
// an error of operation, which is made during what.
func pages[T any](what, operation string, read func(token string) (page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		seen := map[string]bool{}
		for token := ""; ; {
			p, err := read(token)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range p.items {
				if !yield(item, nil) {
					return
				}
			}
			if p.next == "" {
				return
			}
			if seen[p.next] || len(seen) == mostPages {
				yield(none, during(what, &incomplete{operation, "its list does not end"}))
				return
			}
			seen[p.next], token = true, p.next
		}
	}
}

// names reads the first thousand items of a list, or those before it failed.
func names(ctx context.Context, list iter.Seq2[string, error]) []string {
	var all []string
	for name, err := range list {
		if err != nil || ctx.Err() != nil || len(all) == 1000 {
			break
		}
		all = append(all, name)
	}
	return all
}

// optionalToken is the form in which a request takes a token.
func optionalToken(token string) *string {
	if token == "" {
		return nil
	}
	return &token
}
