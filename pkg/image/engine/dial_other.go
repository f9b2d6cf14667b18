//go:build !windows

package engine

// What differs from Windows: no named pipes.

import (
	"context"
	"errors"
	"net"
)

const defaultHost = "unix:///var/run/docker.sock"

func dialPipe(context.Context, string) (net.Conn, error) {
	return nil, errors.New("named pipes exist on Windows only")
}
