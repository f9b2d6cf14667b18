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
	program   string // wine; empty where it is not installed
	program32 string // wine for 32-bit programs; empty where it is not installed
	prefix    string
}

// newWindows sets one up below dir, if wine is on the PATH. Its server is started ahead of the runs, for the agent takes
// for a process left behind whatever they start.
func newWindows(ctx context.Context, dir string) (windows, error) {
	w := windows{prefix: filepath.Join(dir, "wine")}
	w.program = firstProgram("wine64", "/usr/lib/wine/wine64", "wine")
	if w.program == "" {
		return w, nil
	}
	if out, err := w.command(ctx, "wineboot", "--init").CombinedOutput(); err != nil {
		return w, fmt.Errorf("wineboot: %w: %s", err, out)
	}
	system := func(path ...string) string {
		return filepath.Join(append([]string{w.prefix, "drive_c", "windows"}, path...)...)
	}
	folders := map[string]int{"system32": 64}
	if _, err := os.Stat(system("syswow64", "ntdll.dll")); err == nil {
		// A signal has to reach the executable itself, which wine for 64 bits starts as a process of its own.
		w.program32, folders["syswow64"] = firstProgram("/usr/lib/wine/wine", "wine"), 32
	}
	for folder, bits := range folders {
		random := system(folder, "bcryptprimitives.dll")
		if _, err := os.Stat(random); os.IsNotExist(err) {
			err = os.WriteFile(random, forwardingDLL(bits, "bcryptprimitives.dll", "ProcessPrng", "ADVAPI32.SystemFunction036"), 0o644)
			if err != nil {
				return w, err
			}
		}
	}
	return w, nil
}

// firstProgram is the path of the first of the programs that is installed; empty if none is.
func firstProgram(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// environ is what makes wine use this installation, without messages of its own. Debian's wine for 64 bits does not
// look for the libraries for 32 bits where Debian's package for 32 bits has them.
func (w windows) environ() []string {
	return []string{
		"WINEPREFIX=" + w.prefix, "WINEDLLPATH=/usr/lib/i386-linux-gnu/wine:/usr/lib/x86_64-linux-gnu/wine",
		"WINEDEBUG=-all", "DISPLAY=", "NODE_SKIP_PLATFORM_CHECK=1",
	}
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

// forwardingDLL is a library for Windows on x64 or, of 32 bits, x86 that has one function, which is that of another library. Wine before 9
// lacks bcryptprimitives.dll, where Go takes random numbers from; RtlGenRandom, whose name in advapi32.dll is
// SystemFunction036, takes the same arguments. The format: https://learn.microsoft.com/windows/win32/debug/pe-format
func forwardingDLL(bits int, name, function, target string) []byte {
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
	if bits == 32 {
		put(uint16(0x14c), uint16(1), uint32(0), uint32(0), uint32(0), uint16(224), uint16(0x2102))    // x86; one section; a DLL
		put(uint16(0x10b), uint16(1), uint32(0), uint32(0x200), uint32(0), uint32(0), uint32(section)) // PE32; no code, no entry point
		put(uint32(section), uint32(0x10000000))                                                       // where data begins; image base
	} else {
		put(uint16(0x8664), uint16(1), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x2022))   // x64; one section; a DLL
		put(uint16(0x20b), uint16(1), uint32(0), uint32(0x200), uint32(0), uint32(0), uint32(section)) // PE32+; no code, no entry point
		put(uint64(0x180000000))                                                                       // image base
	}
	put(uint32(0x1000), uint32(0x200))                                               // alignments
	put(uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0)) // versions of the system it is for
	put(uint32(0x2000), uint32(headers), uint32(0), uint16(3), uint16(0x100))        // sizes; console; no execution of data
	if bits == 32 {                                                                  // stack, heap
		put(uint32(0x100000), uint32(0x1000), uint32(0x100000), uint32(0x1000))
	} else {
		put(uint64(0x100000), uint64(0x1000), uint64(0x100000), uint64(0x1000))
	}
	put(uint32(0), uint32(16))                                                                                      // 16 directories
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
