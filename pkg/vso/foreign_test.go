package vso_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"ecsdeploy/pkg/vso"
)

func TestCopy(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, test := range map[string]struct{ in, want string }{
		"lines":               {"one\ntwo\r\n\nthree", "child: one\nchild: two\nchild: three\n"},
		"nothing":             {"", ""},
		"a command":           {"##vso[task.complete result=Succeeded]\n", "child: **vso[task.complete result=Succeeded]\n"},
		"behind a return":     {"10%\r##vso[a.b]", "child: 10%\nchild: **vso[a.b]\n"},
		"hidden":              {"##\x00v\u200bs\u00ado[a.b]\n", "child: **vso[a.b]\n"},
		"torn by other ends":  {"##\u2028vso[a.b]\n", "child: ##\nvso[a.b]\n"},
		"the label's own end": {"##[error]x\n", "child: **[error]x\n"},
		"no UTF-8":            {"\xff\xfe\n", "child: \uFFFD\uFFFD\n"},
		"a huge line":         {long + "\n##vso[a.b]\n", "child: " + long[:4051] + " … (61485 more bytes)\nchild: **vso[a.b]\n"},
		"without end":         {strings.Repeat("y\n", 1234), strings.Repeat("child: y\n", 500) + "child: 734 more lines are not shown\n"},
	} {
		for kind, r := range map[string]io.Reader{"at once": strings.NewReader(test.in), "byte by byte": iotest.OneByteReader(strings.NewReader(test.in))} {
			var out bytes.Buffer
			if err := vso.NewConsole(&out).Copy("child", r); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
			if out.String() != test.want {
				t.Errorf("%s, %s:\n got %.80q … %q\nwant %.80q … %q", name, kind, out.String(), out.String()[max(0, out.Len()-80):], test.want, test.want[max(0, len(test.want)-80):])
			}
		}
	}
	if err := vso.NewConsole(io.Discard).Copy("child", iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the reader's error is %v", err)
	}
}

// Whatever a stream says, however it is cut into reads, no line of it is a command.
func FuzzCopy(f *testing.F) {
	f.Add([]byte("##vso[a.b]\r#\n#vso["))
	f.Add([]byte("#\xc2\xad#\x00vso[\xe2\x80\xa8##[error]"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var out bytes.Buffer
		if err := vso.NewConsole(&out).Copy("child", iotest.HalfReader(bytes.NewReader(stream))); err != nil {
			t.Fatal(err)
		}
		if dangerous(out.String()) {
			t.Errorf("dangerous output %q", out.String())
		}
	})
}
