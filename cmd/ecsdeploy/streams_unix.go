//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// privateOutput moves standard output to a descriptor that no child process
// inherits, and puts standard error in its place.
func privateOutput() (*os.File, error) {
	const stdin, stdout, stderr = 0, 1, 2
	private, err := unix.FcntlInt(stdout, unix.F_DUPFD_CLOEXEC, stderr+1)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(stdin)
	if err := unix.Dup2(stderr, stdout); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(private), "stdout"), nil
}
