// Foreign output: what child processes and libraries print, as harmless lines.

package vso

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits of foreign output. A program that prints without end must not fill the
// log, nor the memory.
const (
	maxForeignLines = 500
	maxForeignLine  = 64 << 10 // bytes kept of a line until it ends; MaxLine of them are shown
)

// Copy prints each line of a stream behind a label, made harmless as by [Clean],
// until the stream ends. It shows the first 500 lines and then reads on, so that
// whoever writes is not held up, and says how many more there were. The error is
// the reader's; the end of the stream is none.
func (c *Console) Copy(label string, r io.Reader) error {
	var line []byte
	lines := 0
	end := func() {
		text := bytes.TrimSpace(line)
		line = line[:0]
		if len(text) == 0 {
			return
		}
		if lines++; lines <= maxForeignLines {
			c.Print(label + ": " + string(text))
		}
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		for _, b := range buffer[:n] {
			switch {
			case b == '\n' || b == '\r':
				end()
			case len(line) < maxForeignLine:
				line = append(line, b)
			}
		}
		if err == nil {
			continue
		}
		end()
		if lines > maxForeignLines {
			c.Print(fmt.Sprintf("%s: %d more lines are not shown", label, lines-maxForeignLines))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}
