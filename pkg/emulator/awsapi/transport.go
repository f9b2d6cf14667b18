// The in-process transport: an http.RoundTripper that hands requests to the emulator without sockets, so that a client can be tested inside a
// testing/synctest bubble. Bodies stream in both directions; whatever host a request names, the emulator answers.

package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
)

// NewTransport returns a RoundTripper whose every request is answered by a handler, in the same process.
func NewTransport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	in := req.Clone(ctx)
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"

	body, pipe := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pipe, started: make(chan struct{})}
	go func() {
		defer func() {
			in.Body.Close()
			switch v := recover(); v {
			case nil:
				w.WriteHeader(http.StatusOK)
				pipe.Close()
			case http.ErrAbortHandler:
				w.abort(ErrReset)
			default:
				w.abort(fmt.Errorf("emulator: %v", v))
			}
			cancel(nil)
		}()
		t.handler.ServeHTTP(w, in)
	}()

	select {
	case <-w.started:
	case <-req.Context().Done():
		cancel(context.Cause(req.Context()))
		body.CloseWithError(req.Context().Err())
		return nil, req.Context().Err()
	}
	if w.err != nil {
		return nil, w.err
	}
	length := int64(-1)
	if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
		length = n
	}
	stop := context.AfterFunc(req.Context(), func() { body.CloseWithError(req.Context().Err()) })
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          &responseBody{PipeReader: body, stop: stop, cancel: cancel},
		ContentLength: length,
		Request:       req,
	}, nil
}

// ErrReset is what a client sees of a connection that the other side has cut.
var ErrReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// responseBody ends the handler's context when the client is done with the answer, as a closed connection would.
type responseBody struct {
	*io.PipeReader
	stop   func() bool
	cancel context.CancelCauseFunc
}

func (b *responseBody) Close() error {
	b.stop()
	b.cancel(errors.New("response body closed"))
	return b.PipeReader.Close()
}

// pipeWriter is the http.ResponseWriter of the in-process transport.
type pipeWriter struct {
	header  http.Header
	pipe    *io.PipeWriter
	once    sync.Once
	started chan struct{} // closed once sent, status and err are final

	sent   http.Header
	status int
	err    error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.sent, w.status = w.header.Clone(), status
		close(w.started)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// abort cuts the connection: before the headers the request fails, after them the body does.
func (w *pipeWriter) abort(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.started)
	})
	w.pipe.CloseWithError(err)
}
