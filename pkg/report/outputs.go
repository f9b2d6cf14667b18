package report

// Output variables are for other steps, which print and execute them: a value that
// no ARN, image, digest or address can have is not handed on.

import (
	"errors"
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
)

// FitOutputs returns the output variables of a run, and an error for each whose
// value cannot be one: AWS names nothing with blanks, control characters, characters
// outside of ASCII, or ##, with which logging commands begin.
func FitOutputs(r deploy.Result) ([]Output, error) {
	var fit []Output
	var errs []error
	for _, o := range Outputs(r) {
		if !strings.Contains(o.Value, "##") && printable(o.Value) {
			fit = append(fit, o)
			continue
		}
		errs = append(errs, fmt.Errorf("output %s is not set: AWS answered with %q, which no such value can be", o.Name, shorten(o.Value, briefLength)))
	}
	return fit, errors.Join(errs...)
}

// printable reports whether a value has only characters of ASCII that can be seen,
// and line breaks between the values of several services.
func printable(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return (r < '!' || r > '~') && r != '\n' })
}
