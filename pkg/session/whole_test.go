package session

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// cutting cuts the replies of the first calls short.
type cutting struct {
	*fakeSTS
	times int
	after int // bytes of the reply that arrive
	stall bool
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.fakeSTS.RoundTrip(r)
	if err != nil || c.times == 0 {
		return response, err
	}
	c.times--
	body := io.MultiReader(io.LimitReader(response.Body, int64(c.after)), &ends{r.Context(), c.stall})
	response.Body = io.NopCloser(body)
	return response, nil
}

// ends is the end of a connection, or a wait for it.
type ends struct {
	ctx   context.Context
	stall bool
}

func (e *ends) Read([]byte) (int, error) {
	if e.stall {
		<-e.ctx.Done()
		return 0, e.ctx.Err()
	}
	return 0, io.ErrUnexpectedEOF
}

// TestRepliesAreReadWhole: a reply that was cut off is asked for again, like a connection
// that was, wherever it was cut; one that always is, is an error that says so.
func TestRepliesAreReadWhole(t *testing.T) {
	isolate(t)
	role := &Role{ARN: "arn:aws:iam::123456789012:role/deploy"}
	for _, tt := range []struct {
		name  string
		role  bool // the reply of AssumeRole is cut, which New asks for
		times int
		after int
		fails bool
	}{
		{name: "at once", times: 1},
		{name: "in the middle", times: 2, after: 100},
		{name: "in the middle of a session", role: true, times: 2, after: 100},
		{name: "always", times: maxAttempts, after: 100, fails: true},
		{name: "always, of a session", role: true, times: maxAttempts, after: 100, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire := &cutting{fakeSTS: newFake(), after: tt.after}
				o := Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: &http.Client{Transport: wire}}
				if tt.role {
					o.Role, wire.times = *role, tt.times
				}
				cfg, err := New(t.Context(), o)
				if err == nil && !tt.role {
					wire.times = tt.times
					_, err = Whoami(t.Context(), cfg)
				}
				if (err != nil) != tt.fails {
					t.Fatal(err)
				}
				if tt.fails {
					mentions(t, err, "read the reply: unexpected EOF")
				}
				if got := len(wire.signers); got != min(tt.times+1, maxAttempts) {
					t.Errorf("%d calls", got)
				}
			})
		})
	}
}

// TestRepliesThatNeverEnd: who waits for the rest of a reply can be told to stop, and no
// reply fills the memory.
func TestRepliesThatNeverEnd(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		wire := &cutting{fakeSTS: newFake(), after: 10, stall: true}
		cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: &http.Client{Transport: wire}})
		if err != nil {
			t.Fatal(err)
		}
		wire.times = 1
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if _, err := Whoami(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute || len(wire.signers) != 1 {
			t.Errorf("%d calls, after %s: %v", len(wire.signers), time.Since(begin), err)
		}
		cfg.HTTPClient = &http.Client{Transport: flood{}}
		if _, err := Whoami(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "more than 32 MiB") {
			t.Errorf("a reply without an end: %v", err)
		}
	})
}

type flood struct{}

func (flood) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(endless{}), Request: r}, nil
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
