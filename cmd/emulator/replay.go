// emulator replay: the recording of a run played back, each decision beside the one that the run made.

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"ecsdeploy/pkg/recording"
)

func replay(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("emulator replay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage: emulator replay FILE\n\nFILE is a recording that the task attached to the logs of a run: ecsdeploy-recording-….json.")
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("replay takes the file of one recording, %d were given", flags.NArg())
	}
	file, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := recording.Read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	different, err := recording.Write(stdout, f, recording.Replay(f))
	if err == nil && different > 0 {
		err = fmt.Errorf("%d decisions are not those of the run: the rules have changed since, or the recording lacks what decided", different)
	}
	return err
}
