// One-off tasks: what command runTask and the input migrationCommand ask for.

package input

import "strings"

// requireTask reports what keeps command runTask from knowing which task to run. It
// runs one task: that of one service, and one container whose exit code counts.
func (l *loader) requireTask(f *fields) {
	l.single("services", f.Services, "the task runs in the network of one service")
	l.single("container", f.Container, "the exit code of one container is that of the task")
}

// migrates reports a migration without a service, in whose network it would run.
func (l *loader) migrates(f *fields) {
	if f.MigrationCommand != "" && f.Services == "" {
		l.fail("migrationCommand", 0, wrong("set services, or leave migrationCommand empty", "there is no service in whose network the migration could run"))
	}
}

// single reports an input of which only one line has a meaning.
func (l *loader) single(name, text, why string) {
	if len(strings.Fields(text)) > 1 {
		l.fail(name, 0, wrong("leave one line", "has several lines; %s", why))
	}
}

// parseMigrationCommand takes a command that is not empty: the image's own command
// is the application.
func parseMigrationCommand(text string) ([]string, error) {
	command, err := parseContainerCommand(text)
	if err != nil || len(command) == 0 {
		return nil, wrong(`for instance ["npm", "run", "migrate"]`, "expected a JSON array of strings that is not empty")
	}
	return command, nil
}
