package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// privateOutput keeps the handle of standard output, which child processes do not
// inherit unless it is given to them, and puts standard error in its place.
func privateOutput() (*os.File, error) {
	private := os.Stdout
	return private, windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(os.Stderr.Fd()))
}
