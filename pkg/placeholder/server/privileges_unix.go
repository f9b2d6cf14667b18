//go:build unix

package main

import (
	"os"
	"syscall"
)

// nobody is the user that runs without rights once the ports are open; images
// without a user of their own commonly take this one.
const nobody = 65532

// dropPrivileges gives up root. The image starts as root because whether
// another user may open port 80 depends on a kernel parameter
// (net.ipv4.ip_unprivileged_port_start) that Docker sets and ECS does not
// promise.
func dropPrivileges() error {
	if os.Getuid() != 0 {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	return syscall.Setuid(nobody)
}
