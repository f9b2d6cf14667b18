package ecr

// Which of the repositories there may have been meant.

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

const maxSimilar = 3

// similar returns the candidates most like name, best first: a slip or two of
// the keyboard away, or the same word under another namespace.
func similar(name string, candidates []string) []string {
	type scored struct {
		name     string
		distance int
	}
	var found []scored
	for _, c := range candidates {
		d := distance(name, c)
		switch {
		case d <= 1+len(name)/5:
		case path.Base(c) == path.Base(name):
		case len(name) >= 4 && (strings.Contains(c, name) || len(c) >= 4 && strings.Contains(name, c)):
		default:
			continue
		}
		found = append(found, scored{c, d})
	}
	slices.SortFunc(found, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, s := range found[:min(len(found), maxSimilar)] {
		names = append(names, s.name)
	}
	return names
}

// distance is Levenshtein's, in bytes: repository names are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitution := diagonal
			if a[i] != b[j] {
				substitution++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitution, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
