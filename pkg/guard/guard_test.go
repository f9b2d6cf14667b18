package guard_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"ecsdeploy/pkg/guard"
)

// loud panics while it is formatted.
type loud struct{}

func (loud) String() string { panic("again") }

func TestRun(t *testing.T) {
	var index []int
	for name, test := range map[string]struct {
		f    func() error
		want string // the error, or its beginning
		is   error
	}{
		"no error":            {func() error { return nil }, "", nil},
		"an error":            {func() error { return io.EOF }, "EOF", io.EOF},
		"a panic":             {func() error { panic("boom") }, "internal error: boom", nil},
		"with an error":       {func() error { panic(io.EOF) }, "internal error: EOF", io.EOF},
		"with nil":            {func() error { panic(nil) }, "internal error: panic called with nil argument", nil},
		"a fault":             {func() error { index[len(index)]++; return nil }, "internal error: runtime error: index out of range [0]", nil},
		"that cannot be read": {func() error { panic(loud{}) }, "internal error: %!v(PANIC=String method: again)", nil},
	} {
		err := guard.Run(test.f)
		switch {
		case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		case test.is != nil && !errors.Is(err, test.is):
			t.Errorf("%s: %v is not %v", name, err, test.is)
		}
		if p, ok := errors.AsType[*guard.Panic](err); ok && !strings.Contains(string(p.Stack), "TestRun") {
			t.Errorf("%s: the stack does not lead to where it panicked:\n%s", name, p.Stack)
		}
	}
	if _, ok := errors.AsType[runtime.Error](guard.Run(func() error { index[1] = 1; return nil })); !ok {
		t.Error("a fault is not found as a runtime.Error")
	}
}

func TestValue(t *testing.T) {
	if v, err := guard.Value(func() (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
	if v, err := guard.Value(func() (int, error) { panic("boom") }); v != 0 || err == nil {
		t.Errorf("got %d, %v", v, err)
	}
}
