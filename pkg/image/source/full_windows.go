package source

// How Windows reports a full disk.

import (
	"errors"
	"syscall"
)

// isDiskFull knows ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.Errno(39)) || errors.Is(err, syscall.Errno(112))
}
