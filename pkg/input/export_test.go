package input

import (
	"context"
	"slices"

	"ecsdeploy/pkg/mistake"
)

// Required lists the inputs without which a command has nothing to do, as the
// mistakes of a run say that has no other.
func Required(command Command) (names []string) {
	_, err := Load(context.Background(), map[string]string{"INPUT_COMMAND": string(command), "BUILD_BUILDID": "1"})
	for _, err := range mistake.Each(err) {
		if m, ok := err.(*mistake.Error); ok && !slices.Contains(names, m.Input) {
			names = append(names, m.Input)
		}
	}
	return names
}
