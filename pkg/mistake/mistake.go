// Package mistake has the one type for something that is wrong with what a run
// was asked to do: what it is about, what was expected, and one hint.
//
// Packages that work for the commands report a mistake by the kind of thing that
// is wrong, since they do not know how the pipeline named it. Whoever knows the
// pipeline's inputs adds the name of the input with [Error.In].
//
// The package does not hold failures of calls, and it does not print: a call that
// failed is an error of the package that made it.
package mistake

import (
	"errors"
	"fmt"
)

// Kind is the kind of thing that a mistake is about.
type Kind string

// The kinds. The zero Kind is a mistake that belongs to no single thing.
const (
	Cluster        Kind = "cluster"
	Service        Kind = "service"
	TaskDefinition Kind = "task definition"
	Container      Kind = "container"
	Image          Kind = "image"             // the image of the run
	FurtherImage   Kind = "further image"     // the image of another container
	Repository     Kind = "repository"        // in ECR
	Tag            Kind = "tag"               // of an image
	Platform       Kind = "platform"          // of an image
	Variable       Kind = "variable"          // an environment variable of a container
	Removal        Kind = "removed variable"  // an environment variable that is to be removed
	Secret         Kind = "secret"            // of a container
	CPU            Kind = "cpu"               // of a task
	Memory         Kind = "memory"            // of a task
	Command        Kind = "container command" // of a container
	DesiredCount   Kind = "desired count"     // of a service
	Force          Kind = "forced deployment" // a new deployment of the same revision
	Hook           Kind = "lifecycle hook"    // at which a deployment is paused
	Build          Kind = "build"             // to which a service is rolled back
	Order          Kind = "order of builds"   // a build that is older than the running one
	Busy           Kind = "other deployment"  // that is in progress
	SmokeTest      Kind = "smoke test"        // of a new revision
	Schedule       Kind = "schedule"          // or rule, that starts tasks

	Vulnerabilities Kind = "vulnerabilities"  // of an image, by the gate on it
	LifecyclePolicy Kind = "lifecycle policy" // of a repository that is created
	Creation        Kind = "creation"         // of a repository, by settings of one's own
	Key             Kind = "KMS key"          // of a repository that is created
)

// Error is one mistake.
type Error struct {
	Input  string // name of the task's input in YAML; empty while it is not known
	Line   int    // line of a multi-line input, from 1; 0 for the whole input
	Kind   Kind
	Text   string // what is wrong and what was expected
	Advice string // one thing to do about it; may be empty
	Absent bool   // the thing does not exist, or not any more
}

// New returns a mistake about a kind of thing. The hint may be empty.
func New(kind Kind, hint, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...), Advice: hint}
}

// Error names the input where it is known, then what is wrong.
func (e *Error) Error() string {
	switch {
	case e.Input == "":
		return e.Text
	case e.Line > 0:
		return fmt.Sprintf("input %s, line %d: %s", e.Input, e.Line, e.Text)
	default:
		return fmt.Sprintf("input %s: %s", e.Input, e.Text)
	}
}

// Hint says in one sentence what to do about it; it may be empty.
func (e *Error) Hint() string { return e.Advice }

// In returns the mistake with the name of the input in which it was made. An
// input that is known already stays.
func (e *Error) In(input string) *Error {
	if e.Input != "" || input == "" {
		return e
	}
	named := *e
	named.Input = input
	return &named
}

// Is reports whether err is, or wraps, a mistake of the kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

// Absent reports whether err is, or wraps, a mistake about something that does
// not exist.
func Absent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Absent
}

// Each returns the errors that were joined into err with errors.Join, in their
// order and however deep they were joined; none for nil.
func Each(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, Each(one)...)
	}
	return all
}
