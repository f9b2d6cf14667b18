//go:build !windows

package image

// What differs from Windows: no named pipes, and how a full disk is reported.

import (
	"context"
	"errors"
	"net"
	"syscall"
)

const defaultHost = "unix:///var/run/docker.sock"

func dialPipe(context.Context, string) (net.Conn, error) {
	return nil, errors.New("named pipes exist on Windows only")
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
