// Command pushbench measures how fast images are pushed, beside the tools that people use otherwise, all in one run:
//
//	pushbench [-rounds N] [-run REGEXP] [-dir DIR]
//
// Every push is a process of its own, so that its time, processor time and memory are its alone. The registries are models in one more
// process: "fast" takes whatever comes, at once; "ECR-like" answers 60 ms later and takes 40 MB/s a stream. Rounds go over all tools in
// turn, so that what else the machine does meets them alike; the tables have medians, and ratios to the best of the others.
//
// It measures the push alone: not what the task asks AWS before and after it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pushbench:", err)
		os.Exit(1)
	}
}
