// Command placeholder is the only file of substance in the placeholder image:
// a web server that stands where an application will be, so that a service and
// its health checks work before there is anything to deploy.
//
// It answers 200 on every path and method, on the port that PORT names, else on
// 80 and 8080. Started a second time in the same container, which is how ECS
// runs a container's health check, it asks the first one whether it serves, and
// exits with 0 or 1. It serves no files, keeps no state and stores no request.
//
// The image goes into every download of the task, so packages that weigh much
// (net/http, encoding/json, fmt) are not used here.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if purposeOf(os.Args, os.Getpid(), os.Getppid()) == check {
		if err := healthy(os.Getenv("PORT")); err != nil {
			say("unhealthy: " + err.Error())
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv, say); err != nil {
		say(err.Error())
		os.Exit(1)
	}
}

func say(line string) { os.Stdout.WriteString("placeholder: " + line + "\n") }
