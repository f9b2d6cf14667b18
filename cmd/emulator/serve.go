// emulator serve: the emulated services as a server for people.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"ecsdeploy/pkg/emulator"
)

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("emulator serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "`address` to listen on; port 0 is a free one")
	name := flags.String("scenario", "", "how rollouts go; \"list\" lists the scenarios")
	speed := flags.Float64("speed", 1, "how many `times` faster than real time rollouts go")
	dir := flags.String("dir", "", "`directory` for image layers; a temporary one if empty")
	region := flags.String("region", "eu-west-1", "`region` of every resource")
	demo := flags.Bool("demo", false, "make a cluster, a service, a repository and a log group to play with")
	seed := flags.Uint64("seed", 0, "have ECS's views lag behind each other, and lists be incomplete, by amounts that this `number` draws; 0 is not at all")
	verbose := flags.Bool("v", false, "log every request")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *name == "list" {
		for _, s := range emulator.Scenarios() {
			fmt.Fprintf(stdout, "%-20s %s\n", s.Name, s.Description)
		}
		return nil
	}
	scenario, err := emulator.ParseScenario(*name)
	if err != nil {
		return err
	}
	if *dir == "" {
		if *dir, err = os.MkdirTemp("", "emulator-"); err != nil {
			return err
		}
		defer os.RemoveAll(*dir)
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	e, err := emulator.New(emulator.Options{
		Region: *region, Directory: *dir, Speed: *speed,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if *demo {
		if err := e.Demo(ctx); err != nil {
			return err
		}
	}
	if *seed != 0 {
		e.Behave(emulator.Realistic(*seed))
	}
	e.Script("", "", scenario)

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	host := listener.Addr().String()
	fmt.Fprintf(stdout, "export AWS_ENDPOINT_URL=http://%s\n", host)
	fmt.Fprintf(stdout, "export AWS_REGION=%s\n", e.Region())
	fmt.Fprintf(stdout, "export AWS_ACCESS_KEY_ID=AKIAEMULATOR00000000\n")
	fmt.Fprintf(stdout, "export AWS_SECRET_ACCESS_KEY=emulator\n")
	fmt.Fprintf(stdout, "# registry %s, account %s, scenario %s; end with Ctrl-C\n", host, e.Account(), scenario.Name)

	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
