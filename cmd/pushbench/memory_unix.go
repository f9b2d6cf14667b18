//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peakMemory is the most physical memory that an ended process had, in bytes. Linux counts what its parent had when it was started, so the
// benchmark itself stays small.
func peakMemory(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
