//go:build !unix

package agent

import "syscall"

// ownProcessGroup is for systems where signals go to one process; elsewhere a console's Ctrl+C reaches the task itself.
func ownProcessGroup() *syscall.SysProcAttr { return nil }
