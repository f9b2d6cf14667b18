// Command emulator serves Amazon ECR, Amazon ECS and what belongs to them (see package emulator) on loopback, for trying things out without AWS.
//
//	emulator [serve] [-addr 127.0.0.1:0] [-scenario NAME] [-speed N] [-dir DIR] [-region NAME] [-demo] [-v]
//	emulator try [-release] [-speed N] [SCENARIO]
//	emulator replay FILE
//	emulator platforms [-bin DIR] [-vsix FILE] [-node FILE] [-windows-node FILE]
//
// It prints the variables under which the AWS CLI and SDKs find it.
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
		fmt.Fprintln(os.Stderr, "emulator:", err)
		os.Exit(1)
	}
}
