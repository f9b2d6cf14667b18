package main

// The standard streams of the process. The agent executes what looks like a
// command on standard output and on standard error alike. So nobody but the log
// may have either:
//
//   - Standard output is moved to a descriptor that no child process inherits.
//     Descriptor 1 becomes a second standard error.
//   - Libraries and the child processes that they start print to what os.Stdout
//     and os.Stderr are: a pipe into this process, of which each line is cleaned
//     and labelled.
//   - Descriptor 2 stays, for Go's runtime, which writes there when it crashes.
//     task/index.js reads it and cleans it.
//   - Standard input is task/index.js' alone, see [start.watch].

import (
	"log"
	"os"
	"time"

	"ecsdeploy/pkg/vso"
)

type streams struct {
	agent        *os.File // standard output, where the agent reads
	stdin        *os.File // standard input as the process was given it
	reader, pipe *os.File // what libraries and child processes print
}

// takeOver takes the standard streams away from everybody else. It is called
// before anything can have been printed, and once.
func takeOver() (*streams, error) {
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	reader, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	agent, err := privateOutput()
	if err != nil {
		return nil, err
	}
	s := &streams{agent: agent, stdin: os.Stdin, reader: reader, pipe: pipe}
	os.Stdin, os.Stdout, os.Stderr = nothing, pipe, pipe
	log.SetOutput(pipe) // package log took hold of standard error when it was initialised
	return s, nil
}

// copyForeign prints what libraries and child processes print. The function that
// it returns is called once at the end, when nothing of ours prints any more.
func (s *streams) copyForeign(console *vso.Console) (finish func()) {
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_ = console.Copy("external output", s.reader)
	}()
	return func() {
		_ = s.pipe.Close()
		select {
		case <-copied:
		case <-time.After(time.Second): // a child process that lives on holds the pipe open
		}
	}
}
