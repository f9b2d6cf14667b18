package main

// The server: its ports, its connections, and its end.

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds that keep a slow or hostile client from holding up the health checks.
const (
	maxConnections = 1024                   // at a time; more wait to be accepted
	maxExchange    = 5 * time.Second        // from the first byte to the last of an answer
	maxLinger      = time.Second            // for what a client still sends after its answer
	maxLeft        = 1 << 20                // bytes of that
	maxGoodbye     = 500 * time.Millisecond // for requests in flight when the end is asked for
)

// run serves on the ports that the environment names until ctx is done. Where
// it names none, a container without a port is well, too: it may be a worker
// beside another placeholder, or beside a proxy that has taken them.
func run(ctx context.Context, getenv func(string) string, say func(string)) error {
	ports, err := portsOf(getenv("PORT"))
	if err != nil {
		return err
	}
	listeners, problems := listen(ports)
	if len(listeners) == 0 && getenv("PORT") != "" {
		return errors.New("cannot serve" + problems)
	}
	if err := dropPrivileges(); err != nil {
		problems += "; stays root: " + err.Error()
	}
	var serves []string
	for _, l := range listeners {
		serves = append(serves, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	if serves == nil {
		serves = []string{"none"}
	}
	say("waiting for the first deployment; port: " + strings.Join(serves, ", ") + problems)
	var s server
	if uri := getenv("ECS_CONTAINER_METADATA_URI_V4"); uri != "" {
		go s.learn(ctx, func() (task, error) { return fetchTask(ctx, uri) })
	}
	s.serve(ctx, listeners)
	return nil
}

// listen opens those of the ports that it can, and says what is wrong with the
// others. The containers of a task share their ports.
func listen(ports []string) (listeners []net.Listener, problems string) {
	for _, port := range ports {
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			problems += "; port " + port + ": " + cause(err).Error()
			continue
		}
		listeners = append(listeners, l)
	}
	return listeners, problems
}

// portsOf returns the ports to serve on, by the value of PORT.
func portsOf(value string) ([]string, error) {
	if value == "" {
		return []string{"80", "8080"}, nil
	}
	if n, err := strconv.ParseUint(value, 10, 16); err != nil || n == 0 {
		return nil, errors.New("PORT is " + strconv.Quote(value) + "; a number from 1 to 65535 was expected")
	}
	return []string{value}, nil
}

// cause strips the address that net.Listen puts before what is wrong with it.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// server is what connections share. The zero value serves a page without facts.
type server struct {
	task     atomic.Pointer[task]
	requests sync.WaitGroup // being read or answered
}

// learn asks fetch which task this is, for a minute, until it is told the
// service, too: the agent may still be getting to know the task.
func (s *server) learn(ctx context.Context, fetch func() (task, error)) {
	for pause := time.Second; pause < time.Minute; pause *= 2 {
		if t, err := fetch(); err == nil {
			s.task.Store(&t)
			if t.service != "" {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// known is what was learned of the task.
func (s *server) known() task {
	if t := s.task.Load(); t != nil {
		return *t
	}
	return task{}
}

// serve answers what comes in by the listeners until ctx is done; it closes them.
func (s *server) serve(ctx context.Context, listeners []net.Listener) {
	var accepting sync.WaitGroup
	slots := make(chan struct{}, maxConnections)
	for _, l := range listeners {
		accepting.Go(func() { s.accept(ctx, l, slots) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	accepting.Wait()
	s.goodbye()
}

// accept serves the connections of l until it is closed.
func (s *server) accept(ctx context.Context, l net.Listener, slots chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		conn, err := l.Accept()
		if err != nil {
			<-slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// A connection that was reset in the queue, or no descriptor left for it.
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		s.requests.Add(1)
		go func() {
			defer func() { <-slots }()
			defer conn.Close()
			s.handle(conn)
		}()
	}
}

// handle answers the one request of a connection. The peer is told that there
// will not be another, and what it sends beyond its answer is read and dropped:
// closing with bytes unread would reset the connection, and the peer might
// lose the answer (RFC 9112, section 9.6).
func (s *server) handle(conn net.Conn) {
	answered := s.answer(conn)
	s.requests.Done()
	if half, ok := conn.(interface{ CloseWrite() error }); ok && answered && half.CloseWrite() == nil {
		conn.SetDeadline(time.Now().Add(maxLinger))
		io.CopyN(io.Discard, conn, maxLeft)
	}
}

// answer reads a request and writes the response. It reports whether there was
// something to answer.
func (s *server) answer(conn net.Conn) bool {
	conn.SetDeadline(time.Now().Add(maxExchange))
	method, err := readRequest(bufio.NewReaderSize(conn, maxLine))
	result := ok
	if err != nil {
		refusal, refused := errors.AsType[status](err)
		if !refused {
			return false // gone, or too slow
		}
		result = refusal
	}
	var body []byte
	if result == ok {
		body = page(s.known())
	}
	_, err = conn.Write(response(result, method, body, time.Now()))
	return err == nil
}

// goodbye gives the requests in flight a moment.
func (s *server) goodbye() {
	done := make(chan struct{})
	go func() {
		s.requests.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(maxGoodbye):
	}
}
