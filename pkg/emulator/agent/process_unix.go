//go:build unix

package agent

import "syscall"

// ownProcessGroup keeps a Ctrl+C in the terminal away from the task: it hears of it from the agent alone.
func ownProcessGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
