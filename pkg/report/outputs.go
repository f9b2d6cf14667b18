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
// outside of ASCII, or ##, with which logging commands begin. A script has the value
// pasted into it, as "$(deploy.previousImage)", so that one with a character that means
// something to a shell is not handed on either: a warning where the run is about
// something else, as with an image that somebody registered and that never ran.
func FitOutputs(r deploy.Result) (fit []Output, warnings []string, err error) {
	var errs []error
	for _, o := range Outputs(r) {
		switch {
		case strings.Contains(o.Value, "##") || !printable(o.Value):
			errs = append(errs, fmt.Errorf("output %s is not set: AWS answered with %q, which no such value can be", o.Name, shorten(o.Value, briefLength)))
		case strings.Trim(o.Value, harmless) == "":
			fit = append(fit, o)
		case len(r.Current) > 0:
			errs = append(errs, errors.New(shellText(o)))
		default:
			warnings = append(warnings, shellText(o))
		}
	}
	return fit, warnings, errors.Join(errs...)
}

// harmless are the characters of ARNs, images, digests, addresses and ids, and what is
// between the values of several services.
const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@#+=,%~[]\n"

func shellText(o Output) string {
	return fmt.Sprintf("output %s is not set: %q has characters that mean something to a shell, and scripts have outputs pasted into them", o.Name, shorten(o.Value, briefLength))
}

// printable reports whether a value has only characters of ASCII that can be seen,
// and line breaks between the values of several services.
func printable(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return (r < '!' || r > '~') && r != '\n' })
}
