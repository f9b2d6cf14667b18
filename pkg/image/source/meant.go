package source

// What a reference may have meant that does not stand for an image as it is
// written: a path with wildcards, and a name that a registry knows and the engine
// does not.

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/mistake"
)

// mostListed is how many matches of a pattern are named.
const mostListed = 5

// expand replaces a path with wildcards by the one path that it matches; ** stands
// for any folders. What exists under the name itself, and what is no path, stays.
func expand(ref string, o Options) (string, error) {
	pattern, selector, selected := strings.Cut(ref, "#")
	if !strings.ContainsAny(pattern, "*?") || strings.Contains(pattern, "://") || lookAt(o.path(ref)) != fileMissing {
		return ref, nil
	}
	found, err := matches(filepath.ToSlash(o.path(pattern)))
	switch {
	case err != nil:
		return "", mistake.New(mistake.Image, "write the path without wildcards", "image %s: %s", quoted(ref), err)
	case len(found) == 0:
		return "", mistake.New(mistake.Image, "is the path right, and was the artifact downloaded?", "image %s: nothing matches the pattern; one archive or layout was expected", quoted(ref))
	case len(found) > 1:
		shown := strings.Join(found[:min(len(found), mostListed)], ", ")
		if len(found) > mostListed {
			shown += " …"
		}
		return "", mistake.New(mistake.Image, "name one of them", "image %s: %d paths match the pattern, and one was expected: %s", quoted(ref), len(found), shown)
	}
	if selected {
		return found[0] + "#" + selector, nil
	}
	return found[0], nil
}

// matches lists what matches a pattern with forward slashes, in order.
func matches(pattern string) ([]string, error) {
	above, below, deep := strings.Cut(pattern, "**/")
	if !deep {
		return filepath.Glob(pattern)
	}
	if strings.Contains(below, "**") || strings.ContainsAny(above, "*?") {
		return nil, errors.New("a pattern has ** once, and no other wildcard before it")
	}
	var found []string
	depth := strings.Count(below, "/") + 1
	err := filepath.WalkDir(filepath.FromSlash(above), func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir // what cannot be read matches nothing
		}
		parts := strings.Split(filepath.ToSlash(at), "/")
		if len(parts) < depth {
			return nil
		}
		matched, err := path.Match(below, strings.Join(parts[len(parts)-depth:], "/"))
		if matched {
			found = append(found, at)
		}
		return err
	})
	slices.Sort(found)
	return found, err
}

// elsewhere adds to the failure of the engine that the name of the image has a
// registry in it, from which it can be read without an engine.
func elsewhere(name string, err error) error {
	_, unreachable := errors.AsType[*engine.Error](err)
	_, unknown := errors.AsType[*engine.NoSuchImageError](err)
	host, _, _ := strings.Cut(name, "/")
	switch {
	case !unreachable && !unknown, !strings.Contains(name, "/"), !strings.ContainsAny(host, ".:") && host != "localhost":
		return err
	case registry.IsECR(name) && host != "public.ecr.aws":
		return &elsewhereError{err, fmt.Sprintf("an image that is in ECR is rolled out by command rollout; to copy it to another repository write docker://%s", name)}
	}
	return &elsewhereError{err, fmt.Sprintf("write docker://%s to read it from its registry, without an engine", name)}
}

type elsewhereError struct {
	error
	hint string
}

func (e *elsewhereError) Unwrap() error { return e.error }

// Hint says how to write what may be meant.
func (e *elsewhereError) Hint() string { return e.hint }
