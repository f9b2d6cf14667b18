package agent

// The node process: its two streams, its cancellation and what outlives it (Agent.Sdk/ProcessInvoker.cs,
// Agent.Worker/JobExtension.cs).

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type process struct {
	node, script, directory string
	environ                 []string

	interrupt, terminate, drain time.Duration

	line func(string) // receives each line of both streams; called from two goroutines
}

// run runs the process with both streams piped and no standard input. When ctx is done before the process is, it sends
// SIGINT, SIGTERM and SIGKILL to that process alone, in turn, and returns ctx's cause.
func (p process) run(ctx context.Context) (exitCode int, err error) {
	cmd := exec.Command(p.node, p.script)
	cmd.Dir, cmd.Env = p.directory, p.environ
	cmd.SysProcAttr = ownProcessGroup()

	var readers []*os.File
	var reading sync.WaitGroup
	for _, stream := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return -1, err
		}
		defer r.Close()
		defer w.Close()
		*stream = w
		readers = append(readers, r)
	}
	if err := cmd.Start(); err != nil {
		return -1, fmt.Errorf("start node: %w", err)
	}
	for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
		w.(*os.File).Close() // the process has its own copy
	}
	for _, r := range readers {
		reading.Go(func() { eachLine(r, p.line) })
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }() // the state says how it ended

	select {
	case <-exited:
	case <-ctx.Done():
		err = context.Cause(ctx)
		p.cancel(cmd.Process, exited)
	}

	drained := make(chan struct{})
	go func() { defer close(drained); reading.Wait() }()
	if !closedWithin(drained, p.drain) { // something that outlives node holds the streams open
		for _, r := range readers {
			r.Close()
		}
		<-drained
	}
	return cmd.ProcessState.ExitCode(), err
}

func (p process) cancel(node *os.Process, exited <-chan struct{}) {
	for _, step := range []struct {
		signal os.Signal
		wait   time.Duration
	}{{os.Interrupt, p.interrupt}, {syscall.SIGTERM, p.terminate}} {
		if node.Signal(step.signal) == nil && closedWithin(exited, step.wait) {
			return
		}
	}
	_ = node.Kill() // fails only when it has just ended
	<-exited
}

func closedWithin(c <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}

// eachLine calls f with each line of r. Lines end at \n, \r or \r\n, as for .NET's StreamReader.ReadLine, and are made
// valid UTF-8.
func eachLine(r io.Reader, f func(string)) {
	in := bufio.NewReader(r)
	var line []byte
	var previous byte
	for {
		b, err := in.ReadByte()
		if err != nil {
			if len(line) > 0 {
				f(string(bytes.ToValidUTF8(line, []byte("\uFFFD"))))
			}
			return
		}
		switch {
		case b == '\n' && previous == '\r': // that line has been handed out already
		case b == '\n' || b == '\r':
			f(string(bytes.ToValidUTF8(line, []byte("\uFFFD"))))
			line = line[:0]
		default:
			line = append(line, b)
		}
		previous = b
	}
}

// killOrphans ends every process that carries the job's lookup id and returns their ids. It knows only Linux's /proc.
func killOrphans(lookup string) []int {
	var pids []int
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		environ, err := os.ReadFile(file)
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), "VSTS_PROCESS_LOOKUP_ID="+lookup) {
			continue // gone, or not ours to read
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if orphan, err := os.FindProcess(pid); err == nil && !errors.Is(orphan.Kill(), os.ErrProcessDone) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
