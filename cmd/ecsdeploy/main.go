// Command ecsdeploy does the work of the task EcsDeploy@1: it reads the
// task's inputs from the environment, as the agent hands them over, and speaks
// to the agent through its log.
//
// It takes no arguments. The exit code is 0 also when a deployment failed: the
// agent learns of that through the log, and takes any other code for a task
// that could not run.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ecsdeploy/pkg/input"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end; the next one is not caught.
	context.AfterFunc(ctx, stop)
	environ := os.Environ()
	for _, name := range input.Private(environ) {
		os.Unsetenv(name) // Docker's credential helpers inherit what is left
	}
	os.Exit(run(ctx, environ, os.Stdout, nil))
}
