package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

// fileBody is the body of an upload from a file, and the pieces it is counted in.
func fileBody(t *testing.T, content []byte) (*body, *[]int) {
	t.Helper()
	path := imagetest.Write(t, "layer", content)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &image.MarkedReader{ReadCloser: f, Mark: func(err error) error { return err }}
	pieces := new([]int)
	b := newBody(r, nil, func(n int) { *pieces = append(*pieces, n) })
	t.Cleanup(func() { b.Close() })
	return b, pieces
}

// tcpPair returns both ends of a TCP connection.
func tcpPair(t *testing.T) (from conn, to net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	c, err := largePieces(d.DialContext)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if to, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); to.Close() })
	return c.(conn), to
}

func TestConnCopiesFiles(t *testing.T) {
	content := imagetest.RawLayer(t, 1, 2*kernelPiece+1000)
	want, size := sha256.Sum256(content), int64(len(content))
	for _, c := range []struct {
		name    string
		limit   int64
		skip    int64 // read before, as the transport does to fill its buffer
		hashed  bool
		pieces  int // how often bytes are counted; 0 for often
		arrives int64
	}{
		{"whole", size, 0, false, 3, size},
		{"the rest", size, 4096, false, 3, size},
		{"longer than the file", size + 100, 0, false, 3, size},
		{"not to its end", kernelPiece, 0, false, 1, kernelPiece},
		{"hashed on the way", size, 0, true, 0, size},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, pieces := fileBody(t, content)
			if c.hashed {
				b.sum = sha256.New()
			}
			from, to := tcpPair(t)
			got := make(chan []byte)
			go func() { all, _ := io.ReadAll(to); got <- all }()
			limited := &io.LimitedReader{R: b, N: c.limit}
			n, err := io.CopyN(struct{ io.Writer }{from}, limited, c.skip)
			if err != nil {
				t.Fatal(err)
			}
			m, err := io.Copy(from, limited)
			from.Close()
			all := <-got
			if n+m != c.arrives || int64(len(all)) != c.arrives || b.read() != c.arrives || err != nil {
				t.Errorf("copied %d + %d, arrived %d, read %d: %v", n, m, len(all), b.read(), err)
			}
			if c.arrives == size && sha256.Sum256(all) != want {
				t.Error("other bytes arrived")
			}
			if c.pieces > 0 && len(*pieces) != c.pieces || c.pieces == 0 && len(*pieces) < 3 {
				t.Errorf("counted %v", *pieces)
			}
			if c.hashed && string(b.sum.Sum(nil)) != string(want[:]) {
				t.Error("other bytes were hashed")
			}
		})
	}
}

func TestConnEnds(t *testing.T) {
	t.Run("body closed", func(t *testing.T) {
		b, _ := fileBody(t, []byte("layer"))
		b.Close()
		from, _ := tcpPair(t)
		if n, err := io.Copy(from, &io.LimitedReader{R: b, N: 5}); n != 0 || err == nil {
			t.Errorf("%d %v", n, err)
		}
	})
	// The registry takes nothing more, and the stall timeout closes the connection.
	t.Run("connection closed", func(t *testing.T) {
		b, _ := fileBody(t, make([]byte, 64<<20))
		from, _ := tcpPair(t)
		moved := make(chan struct{}, 100)
		b.moved = func(int, bool) { moved <- struct{}{} }
		done := make(chan error)
		go func() {
			_, err := io.Copy(from, &io.LimitedReader{R: b, N: 64 << 20})
			done <- err
		}()
		<-moved
		from.Close()
		if err := <-done; err == nil || b.failed() != nil {
			t.Errorf("%v, and of the source %v", err, b.failed())
		}
	})
	t.Run("not a file", func(t *testing.T) {
		from, to := tcpPair(t)
		go func() { io.Copy(from, strings.NewReader("layer")); from.Close() }()
		if all, err := io.ReadAll(to); string(all) != "layer" {
			t.Errorf("%q %v", all, err)
		}
	})
	t.Run("not TCP", func(t *testing.T) {
		pipe, _ := net.Pipe()
		dial := largePieces(func(context.Context, string, string) (net.Conn, error) { return pipe, nil })
		if c, err := dial(t.Context(), "", ""); c != pipe || err != nil {
			t.Errorf("%v %v", c, err)
		}
	})
	t.Run("no connection", func(t *testing.T) {
		refused := errors.New("refused")
		dial := largePieces(func(context.Context, string, string) (net.Conn, error) { return nil, refused })
		if c, err := dial(t.Context(), "", ""); c != nil || err != refused {
			t.Errorf("%v %v", c, err)
		}
	})
}
