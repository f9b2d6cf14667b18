package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPortsOf(t *testing.T) {
	for _, test := range []struct {
		value string
		want  []string // nil: refused
	}{
		{"", []string{"80", "8080"}}, {"3000", []string{"3000"}}, {"65535", []string{"65535"}},
		{"0", nil}, {"65536", nil}, {"http", nil}, {"-1", nil}, {"+80", nil}, {" 80", nil},
	} {
		got, err := portsOf(test.value)
		if !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) {
			t.Errorf("PORT=%q: got %q, %v; want %q", test.value, got, err, test.want)
		}
	}
}

// listener is a server's on a port of this machine that was free.
func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serving starts a server and returns its address; stop ends it.
func serving(t *testing.T) (address string, stop func()) {
	t.Helper()
	l := listener(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		new(server).serve(ctx, []net.Listener{l})
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// Any health check passes: any method, any path, with a body or without.
func TestEveryRequestIsAnswered(t *testing.T) {
	address, _ := serving(t)
	for _, test := range []struct{ method, path, body string }{
		{"GET", "/", ""}, {"GET", "/health/live?x=1", ""}, {"HEAD", "/", ""}, {"POST", "/api", `{"a": 1}`}, {"DELETE", "/a/b", ""},
		{"OPTIONS", "/", ""}, {"PATCH", "/%00", "x"}, {"PUT", "/upload", strings.Repeat("large ", 100_000)}, {"BREW", "/pot", ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+address+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Errorf("%s %s: %v", test.method, test.path, err)
			continue
		}
		body, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil || got.StatusCode != http.StatusOK || strings.Contains(string(body), "Waiting for the first deployment") == (test.method == "HEAD") {
			t.Errorf("%s %s: %s, %v, body of %d bytes", test.method, test.path, got.Status, err, len(body))
		}
	}
}

func TestRefusals(t *testing.T) {
	address, _ := serving(t)
	for _, test := range []struct{ sent, want string }{
		{"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
		{"GET / HTTP/1.1\r\nCookie: " + strings.Repeat("a", 100_000) + "\r\n\r\n", "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(test.sent)); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || !strings.HasPrefix(string(got), test.want) || !strings.HasSuffix(string(got), "\r\n\r\n") {
			t.Errorf("%.20q is answered %q, %v", test.sent, got, err)
		}
	}
}

// A peer that sends nothing, or one byte a second for ever, is let go.
func TestSlowPeers(t *testing.T) {
	silent := func(net.Conn) {}
	slow := func(conn net.Conn) {
		for {
			time.Sleep(time.Second)
			if _, err := conn.Write([]byte("G")); err != nil {
				return
			}
		}
	}
	for name, send := range map[string]func(net.Conn){"silent": silent, "slow": slow} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := servingPipes(t)
				conn := l.dial(t)
				start := time.Now()
				var sending sync.WaitGroup
				sending.Go(func() { send(conn) })
				if got, err := io.ReadAll(conn); err != nil || len(got) != 0 {
					t.Errorf("got %q, %v", got, err)
				}
				if after := time.Since(start); after != maxExchange {
					t.Errorf("let go after %s", after)
				}
				sending.Wait()
			})
		})
	}
}

// The end is at once, or as soon as the requests in flight are answered; it
// does not wait long for one that does not come to its end.
func TestTheEnd(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(net.Conn)
		want time.Duration
	}{
		{"idle", nil, 0},
		{"a request about to be sent", func(conn net.Conn) {
			time.Sleep(maxGoodbye / 2)
			conn.Write([]byte("HEAD / HTTP/1.1\r\n\r\n"))
			io.Copy(io.Discard, conn)
		}, maxGoodbye / 2},
		{"half a request", func(conn net.Conn) { conn.Write([]byte("GET /")) }, maxGoodbye},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := servingPipes(t)
				if test.send != nil {
					conn := l.dial(t)
					go test.send(conn)
				}
				start := time.Now()
				stop()
				if took := time.Since(start); took != test.want {
					t.Errorf("took %s, want %s", took, test.want)
				}
			})
		})
	}
}

// pipes is a listener within the process, for tests of time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, open := <-p; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects, and returns when the connection was accepted.
func (p pipes) dial(t *testing.T) net.Conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	p <- ours
	return theirs
}

// servingPipes starts a server in a synctest bubble; stop ends it.
func servingPipes(t *testing.T) (l pipes, stop func()) {
	l = make(pipes)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		new(server).serve(ctx, []net.Listener{l})
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return l, stop
}

func TestManyAtOnce(t *testing.T) {
	address, _ := serving(t)
	errs := make(chan error)
	const n = 200
	for range n {
		go func() { errs <- ask(address) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// What ECS tells of the task is on the page as soon as ECS tells it.
func TestLearn(t *testing.T) {
	full := task{"chat-app-dev-ecs-svc", "product-dev-cluster", "0a1b"}
	unready := errors.New("answers HTTP/1.0 404 Not Found")
	for _, test := range []struct {
		name    string
		answers []any // a task or an error each; the last one from then on
		want    string
		asked   int
		took    time.Duration
	}{
		{"at once", []any{full}, "<dt>Service<dd>chat-app-dev-ecs-svc\n<dt>Cluster<dd>product-dev-cluster\n<dt>Task<dd>0a1b\n", 1, 0},
		{"at the third time", []any{unready, task{id: "0a1b"}, full}, "<dt>Service<dd>chat-app-dev-ecs-svc\n", 3, 3 * time.Second},
		{"a task without a service", []any{task{id: "0a1b"}}, "<dl>\n<dt>Task<dd>0a1b\n</dl>", 6, 63 * time.Second},
		{"never", []any{unready}, "<dl>\n</dl>", 6, 63 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s server
				asked, start := 0, time.Now()
				s.learn(t.Context(), func() (task, error) {
					asked++
					switch answer := test.answers[min(asked, len(test.answers))-1].(type) {
					case task:
						return answer, nil
					default:
						return task{}, answer.(error)
					}
				})
				if took := time.Since(start); asked != test.asked || took != test.took {
					t.Errorf("asked %d times in %s; want %d in %s", asked, took, test.asked, test.took)
				}
				if got := string(page(s.known())); !strings.Contains(got, test.want) {
					t.Errorf("the page lacks %q:\n%s", test.want, got)
				}
			})
		})
	}
}

func TestHealthy(t *testing.T) {
	address, stop := serving(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := healthy(port); err != nil {
		t.Error(err)
	}
	stop()
	if err := healthy(port); err == nil {
		t.Error("healthy without a server")
	}
	if err := healthy("none"); err == nil || !strings.Contains(err.Error(), "PORT") {
		t.Errorf("got %v", err)
	}
	l := listener(t)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		readRequest(bufio.NewReaderSize(conn, maxLine))
		conn.Write([]byte("HTTP/1.1 503 Service Unavailable\r\n\r\n"))
	}()
	if err := ask(l.Addr().String()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v", err)
	}
}

func TestRun(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ port, err string }{
		{"http", `PORT is "http"; a number from 1 to 65535 was expected`},
		{taken, "cannot serve; port " + taken + ": bind: address already in use"},
	} {
		getenv := func(name string) string { return map[string]string{"PORT": test.port}[name] }
		err := run(t.Context(), getenv, func(line string) { t.Errorf("said %q", line) })
		if err == nil || err.Error() != test.err {
			t.Errorf("PORT=%s: got %v, want %s", test.port, err, test.err)
		}
	}
}
