package main

import (
	"bytes"
	"debug/pe"
	"testing"
)

// The library is a valid PE file, whose only function is a forwarder: its address lies within the export directory.
func TestForwardingDLL(t *testing.T) {
	t.Run("x64", func(t *testing.T) { testForwardingDLL(t, 64) })
	t.Run("x86", func(t *testing.T) { testForwardingDLL(t, 32) })
}

func testForwardingDLL(t *testing.T, bits int) {
	text := forwardingDLL(bits, "bcryptprimitives.dll", "ProcessPrng", "ADVAPI32.SystemFunction036")
	file, err := pe.NewFile(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var directories [16]pe.DataDirectory
	machine := map[int]uint16{64: pe.IMAGE_FILE_MACHINE_AMD64, 32: pe.IMAGE_FILE_MACHINE_I386}[bits]
	switch header := file.OptionalHeader.(type) {
	case *pe.OptionalHeader64:
		directories = header.DataDirectory
	case *pe.OptionalHeader32:
		directories = header.DataDirectory
	}
	if file.Machine != machine || file.Characteristics&pe.IMAGE_FILE_DLL == 0 {
		t.Fatalf("not a DLL for %d bits: %+v", bits, file.FileHeader)
	}
	data, err := file.Section(".edata").Data()
	if err != nil {
		t.Fatal(err)
	}
	exports := directories[pe.IMAGE_DIRECTORY_ENTRY_EXPORT]
	at := func(offset uint32) uint32 { // the address that a table holds, as an offset into the section
		b := data[offset:]
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	word := func(address uint32) string {
		rest := data[address-exports.VirtualAddress:]
		return string(rest[:bytes.IndexByte(rest, 0)])
	}
	functions, names := at(28)-exports.VirtualAddress, at(32)-exports.VirtualAddress
	for _, test := range []struct{ what, got, want string }{
		{"library", word(at(12)), "bcryptprimitives.dll"},
		{"function", word(at(names)), "ProcessPrng"},
		{"target", word(at(functions)), "ADVAPI32.SystemFunction036"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.what, test.got, test.want)
		}
	}
	if address := at(functions); address < exports.VirtualAddress || address >= exports.VirtualAddress+exports.Size {
		t.Errorf("the function's address %#x is not within the export directory %+v, and so no forwarder", address, exports)
	}
}
