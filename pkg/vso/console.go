// The console: whole lines to one writer, from any number of goroutines.

package vso

import (
	"io"
	"strings"
	"sync"
)

// A Console writes lines to an agent's log. Each line is one Write, made under a
// lock, so that lines never mix; the lines of one call stay together. There is no
// other place to report an error of the writer: see [Console.Completed].
type Console struct {
	mu       sync.Mutex
	w        io.Writer
	redactor redactor

	completed bool // a Complete has been written

	groups int // how many groups were opened; the latest one's number
	open   int // the number of the open group, 0 for none

	percent   int
	operation string
}

// NewConsole returns a console that writes to w.
func NewConsole(w io.Writer) *Console {
	return &Console{w: w, percent: -1}
}

// Send writes logging commands, one per line. Zero commands are left out.
func (c *Console) Send(cmds ...Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range cmds {
		c.send(cmd)
	}
}

// Completed reports whether the agent has been told how the step ended: whether a
// [Complete] was sent, and the writer took it.
func (c *Console) Completed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.completed
}

// Print writes text, trusted or not, as one or several lines, made harmless as
// by [Clean].
func (c *Console) Print(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.print(text)
}

// Group starts a section of the log that can be folded, and returns what ends
// it. Groups do not nest in the agent's log: a group opened within a group ends
// the outer one first. Calling end again, or after another group was opened,
// does nothing.
func (c *Console) Group(title string) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeGroup()
	c.groups++
	c.open = c.groups
	_ = c.write("##[group]" + c.redactor.cleanLine(title))

	group := c.open
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open == group {
			c.closeGroup()
		}
	}
}

// Progress shows how far the step is, when the percentage or the operation
// differs from what was shown last. percent is held between 0 and 100, and never
// falls: what is tried again does not undo what was done.
func (c *Console) Progress(percent int, operation string) {
	percent = min(max(percent, 0), 100)
	c.mu.Lock()
	defer c.mu.Unlock()
	percent = max(percent, c.percent)
	if percent == c.percent && operation == c.operation {
		return
	}
	c.percent, c.operation = percent, operation
	c.send(SetProgress(percent, operation))
}

// send is called with the lock held, as are those below.
func (c *Console) send(cmd Command) {
	line := cmd.line(&c.redactor)
	if line != "" && c.write(line) == nil && cmd.area == "task" && cmd.event == "complete" {
		c.completed = true
	}
}

func (c *Console) closeGroup() {
	if c.open != 0 {
		c.open = 0
		_ = c.write("##[endgroup]")
	}
}

func (c *Console) print(text string) {
	for line := range strings.SplitSeq(c.redactor.clean(text), "\n") {
		_ = c.write(line)
	}
}

// write takes a line that is a command or clean.
func (c *Console) write(line string) error {
	_, err := io.WriteString(c.w, line+"\n")
	return err
}
