package main

// The file of the lifecycle policy of a repository that is created: read and checked
// before any call, since a repository without the policy is not mended by a further run.

import (
	"errors"
	"os"
	"path/filepath"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/mistake"
)

// lifecyclePolicy is the JSON of the policy; "" where none is wanted.
func lifecyclePolicy(config input.Config) (string, error) {
	path := config.Inputs.LifecyclePolicy
	if path == "" {
		return "", nil
	}
	at := path
	if !filepath.IsAbs(at) {
		at = filepath.Join(config.Pipeline.WorkingDirectory, at)
	}
	wrong := func(hint, format string, args ...any) error {
		return mistake.New(mistake.LifecyclePolicy, hint, format, args...).In("lifecyclePolicy")
	}
	text, err := os.ReadFile(at)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", wrong("the path of a JSON file; a relative one is looked for in the working directory "+config.Pipeline.WorkingDirectory, "%s does not exist", path)
	case err != nil:
		return "", wrong("", "%v", err)
	}
	var all []error
	for _, one := range mistake.Each(ecr.CheckLifecyclePolicy(string(text))) {
		if m, is := errors.AsType[*mistake.Error](one); is {
			one = wrong(m.Advice, "%s: %s", path, m.Text)
		}
		all = append(all, one)
	}
	return string(text), errors.Join(all...)
}
