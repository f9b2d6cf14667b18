// Command inventory says what the extension is made of: which modules are
// linked into the executables of all platforms, and under which licences.
//
//	inventory notice            the file NOTICE: modules, licences and their texts
//	inventory sbom VERSION FILE…  a CycloneDX bill of materials, with the SHA-256 of each file
//
// Run it at the root of the repository. It asks the go command and reads the
// module cache; it does not build anything, and knows nothing of vulnerabilities.
// What it writes depends on the sources alone, so that it can be compared.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, ".", os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "inventory:", err)
		os.Exit(1)
	}
}

// run carries out one command for the repository at root.
func run(ctx context.Context, root string, args []string, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "notice":
		shipped, err := inventory(ctx, root)
		if err != nil {
			return err
		}
		return writeNotice(out, shipped)
	case len(args) >= 2 && args[0] == "sbom":
		shipped, err := inventory(ctx, root)
		if err != nil {
			return err
		}
		graph, err := requirements(ctx, root, shipped)
		if err != nil {
			return err
		}
		files, err := hash(args[2:])
		if err != nil {
			return err
		}
		return writeSBOM(out, args[1], shipped, graph, files)
	default:
		return fmt.Errorf(`want "notice", or "sbom VERSION FILE…", got %q`, args)
	}
}
