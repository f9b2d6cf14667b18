// A Windows made by wine, for "emulator platforms".

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// windows is an installation of wine's in a folder of its own.
type windows struct {
	program string // wine; empty where it is not installed
	prefix  string
	bits32  bool // it runs 32-bit programs as well
}

// newWindows sets one up below dir, if wine is on the PATH. Its server is started ahead of the runs, for the agent takes
// for a process left behind whatever they start.
func newWindows(ctx context.Context, dir string) (windows, error) {
	w := windows{prefix: filepath.Join(dir, "wine")}
	for _, name := range []string{"wine64", "/usr/lib/wine/wine64", "wine"} {
		if path, err := exec.LookPath(name); err == nil && w.program == "" {
			w.program = path
		}
	}
	if w.program == "" {
		return w, nil
	}
	if out, err := w.command(ctx, "wineboot", "--init").CombinedOutput(); err != nil {
		return w, fmt.Errorf("wineboot: %w: %s", err, out)
	}
	_, err := os.Stat(filepath.Join(w.prefix, "drive_c", "windows", "syswow64", "ntdll.dll"))
	w.bits32 = err == nil
	random := filepath.Join(w.prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(random); os.IsNotExist(err) {
		err = os.WriteFile(random, forwardingDLL("bcryptprimitives.dll", "ProcessPrng", "ADVAPI32.SystemFunction036"), 0o644)
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

// environ is what makes wine use this installation, without messages of its own.
func (w windows) environ() []string {
	return []string{"WINEPREFIX=" + w.prefix, "WINEDEBUG=-all", "DISPLAY="}
}

func (w windows) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.program, args...)
	cmd.Env = append(os.Environ(), w.environ()...)
	return cmd
}

// stop ends what wine has left running. The folder goes in any case.
func (w windows) stop() {
	if w.program != "" {
		_ = w.command(context.Background(), "wineboot", "--kill").Run()
	}
}

// forwardingDLL is a library for 64-bit Windows that has one function, which is that of another library. Wine before 9
// lacks bcryptprimitives.dll, where Go takes random numbers from; RtlGenRandom, whose name in advapi32.dll is
// SystemFunction036, takes the same arguments. The format: https://learn.microsoft.com/windows/win32/debug/pe-format
func forwardingDLL(name, function, target string) []byte {
	const (
		headers = 0x200  // length of the headers in the file
		section = 0x1000 // address of the only section, relative to the image's
		strings = section + 40 + 4 + 4 + 4
	)
	nameAt := uint32(strings)
	functionAt := nameAt + uint32(len(name)) + 1
	targetAt := functionAt + uint32(len(function)) + 1
	end := targetAt + uint32(len(target)) + 1

	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes everything
		}
	}
	pad := func(to int) { b.Write(make([]byte, to-b.Len())) }
	b.WriteString("MZ")
	pad(60)
	put(uint32(64)) // where the PE header begins
	b.WriteString("PE\x00\x00")
	put(uint16(0x8664), uint16(1), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x2022))                    // x64; one section; a DLL
	put(uint16(0x20b), uint16(1), uint32(0), uint32(0x200), uint32(0), uint32(0), uint32(section))                  // PE32+; no code, no entry point
	put(uint64(0x180000000), uint32(0x1000), uint32(0x200))                                                         // image base, alignments
	put(uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0))                                // versions of the system it is for
	put(uint32(0x2000), uint32(headers), uint32(0), uint16(3), uint16(0x100))                                       // sizes; console; no execution of data
	put(uint64(0x100000), uint64(0x1000), uint64(0x100000), uint64(0x1000), uint32(0), uint32(16))                  // stack, heap; 16 directories
	put(uint32(section), end-section)                                                                               // the first one: exports
	put(make([]byte, 15*8))                                                                                         // no others
	put([]byte(".edata\x00\x00"), uint32(0x200), uint32(section), uint32(0x200), uint32(headers), make([]byte, 12)) // the section
	put(uint32(0x40000040))                                                                                         // readable data
	pad(headers)                                                                                                    //
	put(uint32(0), uint32(0), uint32(0), nameAt, uint32(1), uint32(1), uint32(1))                                   // one function, one name
	put(uint32(section+40), uint32(section+44), uint32(section+48), targetAt, functionAt, uint16(0), uint16(0))     // the tables; a function below "end" is forwarded
	b.WriteString(name + "\x00" + function + "\x00" + target + "\x00")
	pad(headers + 0x200)
	return b.Bytes()
}
