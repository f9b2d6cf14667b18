// Package guard turns a panic into an error, so that a fault in one part of a run
// ends as an error of that part: a diagnosis that panics must not keep a rollback
// from happening, and a goroutine that panics must not end the process.
//
// It does not recover from what Go itself does not (a concurrent write to a map,
// no memory left), does not print, and does not retry.
package guard

import (
	"fmt"
	"runtime/debug"
)

// Panic is a panic as an error. It wraps the value that was given to panic where
// that is an error.
type Panic struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine that panicked, as runtime/debug.Stack formats it
}

// Error says that this is a fault of the program and not of what it was given.
func (p *Panic) Error() string { return fmt.Sprintf("internal error: %v", p.Value) }

// Unwrap returns the value of the panic where it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Hint says what to do about it.
func (p *Panic) Hint() string {
	return "this is a fault of the task: run the step again with the variable System.Debug set to true, and report it with the log"
}

// Run calls f and returns its error, or a [*Panic] when f panicked. When f ends
// the goroutine with [runtime.Goexit], as a failing test does, Run does not return.
func Run(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &Panic{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Value is [Run] for a function that also returns a value.
func Value[T any](f func() (T, error)) (value T, err error) {
	err = Run(func() (err error) { value, err = f(); return err })
	return value, err
}
