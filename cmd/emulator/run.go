// The subcommands, and the choice between them.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// command is one subcommand. Its name is cut off args.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// commands returns the subcommands; the first is the one meant where none is named.
func commands() []command {
	return []command{
		{"serve", "serve the emulated services on loopback", serve},
		{"try", "run the packaged task against the emulated services and watch it", try},
		{"replay", "play the recording of a run back, and show its decisions beside those made now", replay},
		{"platforms", "run the executables of other platforms as well, as far as this machine can", platforms},
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	all := commands()
	chosen := all[0]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		found := false
		var names []string
		for _, c := range all {
			names = append(names, c.name)
			if c.name == args[0] {
				chosen, found = c, true
			}
		}
		if !found {
			return fmt.Errorf("command %q does not exist; there are %s", args[0], strings.Join(names, ", "))
		}
		args = args[1:]
	}
	err := chosen.run(ctx, args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}
