// The console: whole lines to one writer, from any number of goroutines.

package vso

import (
	"io"
	"strings"
	"sync"
)

// A Console writes lines to an agent's log. Each line is one Write, made under a
// lock, so that lines never mix; the lines of one call stay together. A writer's
// errors are ignored: there is no other place to report them.
type Console struct {
	mu sync.Mutex
	w  io.Writer

	groups int // how many groups were opened; the latest one's number
	open   int // the number of the open group, 0 for none

	percent   int
	operation string
}

// NewConsole returns a console that writes to w.
func NewConsole(w io.Writer) *Console {
	return &Console{w: w, percent: -1}
}

// Send writes logging commands, one a line. Zero commands are left out.
func (c *Console) Send(cmds ...Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range cmds {
		if line := cmd.String(); line != "" {
			c.write(line)
		}
	}
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
	c.write("##[group]" + CleanLine(title))

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
// differs from what was shown last. percent is held between 0 and 100.
func (c *Console) Progress(percent int, operation string) {
	percent = min(max(percent, 0), 100)
	c.mu.Lock()
	defer c.mu.Unlock()
	if percent == c.percent && operation == c.operation {
		return
	}
	c.percent, c.operation = percent, operation
	c.write(SetProgress(percent, operation).String())
}

func (c *Console) closeGroup() {
	if c.open != 0 {
		c.open = 0
		c.write("##[endgroup]")
	}
}

func (c *Console) print(text string) {
	for line := range strings.SplitSeq(Clean(text), "\n") {
		c.write(line)
	}
}

// write is called with the lock held, and with a line that is a command or clean.
func (c *Console) write(line string) {
	_, _ = io.WriteString(c.w, line+"\n")
}
