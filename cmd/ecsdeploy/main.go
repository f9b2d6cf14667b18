// Command ecsdeploy does the work of the task EcsDeploy@1: it reads the
// task's inputs from the environment, as the agent hands them over, and speaks
// to the agent through its log.
//
// It takes no arguments. It exits with 0 also when a deployment failed, since
// the agent learns of that through the log; with 1 where the log could not be
// written. Started by task/index.js it exits with the code that
// ECSDEPLOY_CONCLUDED names instead of 0, see there.
//
// Standard output belongs to the log alone: what libraries and child processes
// print goes through package vso as text from outside, see streams.go.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/vso"
)

func main() {
	environ := os.Environ()
	for _, name := range input.Private(environ) {
		os.Unsetenv(name) // child processes, as Docker's credential helpers, inherit what is left
	}
	streams, err := takeOver()
	if err != nil {
		fmt.Fprintln(os.Stderr, "take over the standard streams:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	// The first signal asks for an orderly end; the next one is not caught.
	context.AfterFunc(ctx, stop)

	console := vso.NewConsole(streams.agent)
	finish := streams.copyForeign(console)
	started := startedByShim(environ)
	if started.byShim {
		go started.watch(console, streams.stdin, cancel)
	}
	code := started.conclude(console, func() { runOn(ctx, environ, console, nil) })
	finish()
	os.Exit(code)
}
