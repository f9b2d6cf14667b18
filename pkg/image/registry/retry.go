package registry

// When a request to a registry is tried again, and how long after: a pure
// decision over the error, and the loop around it.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"ecsdeploy/pkg/image"
)

// Tries and pauses. Eight tries with these pauses last about a minute, which
// outlives the short outages and throttling of a registry; an upload that was
// cut off is worth as much.
const (
	maxTries      = 8
	FewTries      = 3 // for what is probably a mistake: a host that was never there
	firstPause    = 500 * time.Millisecond
	longestPause  = 20 * time.Second
	maxRetryAfter = 2 * time.Minute
)

// action is what to do about an error.
type action int

const (
	giveUp   action = iota
	tryAgain        // from the start: an upload begins with a new session
	renew           // with new credentials, once
)

// verdict is the judgement on an error.
type verdict struct {
	action action
	tries  int           // how often at most, in all
	after  time.Duration // what the registry asked for; 0 when it did not
}

// judge decides what an error means, whatever the request was.
func judge(err error) verdict {
	again := verdict{action: tryAgain, tries: maxTries}
	few := verdict{action: tryAgain, tries: FewTries}
	var (
		status    *StatusError
		handshake *transport.Error
		source    *image.SourceError
		end       image.FinalError
		lost      lostError
		dns       *net.DNSError
		insecure  *InsecureError
		digest    *image.DigestError
	)
	switch {
	case err == nil:
		return verdict{}
	case errors.As(err, &source), errors.As(err, &end), errors.As(err, &insecure):
		return verdict{}
	case errors.As(err, &digest):
		return verdict{action: tryAgain, tries: 2}
	case errors.As(err, &status):
		v := judgeStatus(status.Status, status.codes())
		if v.action == giveUp && len(status.Errors) == 0 && status.lostSession() {
			v = few
		}
		v.after = status.RetryAfter
		return v
	case errors.As(err, &handshake):
		var codes []string
		for _, d := range handshake.Errors {
			codes = append(codes, string(d.Code))
		}
		return judgeStatus(handshake.StatusCode, codes)
	case errors.Is(err, context.Canceled), distrusted(err):
		return verdict{}
	case errors.As(err, &lost):
		return again
	case errors.As(err, &dns) && dns.IsNotFound, errors.Is(err, syscall.ECONNREFUSED):
		return few
	}
	// Everything else comes from the network: a connection cut or reset, an
	// unexpected end, a timeout, a stall.
	return again
}

// isCut says whether the other side ended the connection.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// judgeStatus decides by status and error codes (OCI distribution
// specification, "Error Codes").
func judgeStatus(status int, codes []string) verdict {
	again := verdict{action: tryAgain, tries: maxTries}
	for _, c := range codes {
		switch c {
		case "TOOMANYREQUESTS", "UNAVAILABLE":
			return again
		case "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "SIZE_INVALID", "DIGEST_INVALID":
			// The session is broken or what arrived is; a new one may do better.
			return again
		}
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return verdict{action: renew, tries: maxTries}
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusRequestedRangeNotSatisfiable,
		499: // nginx: the client closed the request
		return again
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return verdict{}
	}
	if status >= 500 {
		return again
	}
	return verdict{}
}

// lostSession says whether an answer may mean that an upload's session is no more, also of
// a registry, or a proxy before it, that does not say so by a code.
func (e *StatusError) lostSession() bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone:
		return e.Operation == opSendBlob || e.Operation == opFinishUpload
	}
	return false
}

// lostError is an error on the way to a registry that has answered before: it may
// be starting anew.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// pause is how long to wait after the given try, the first being 1: half of an
// exponentially growing time at least, the rest spread by the clock, which differs
// between agents and repeats in a test, and never less than the registry asked for.
func pause(try int, after time.Duration) time.Duration {
	d := longestPause
	if try < 8 {
		d = min(d, firstPause<<(try-1))
	}
	d = d/2 + time.Duration(rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(try))).Int64N(int64(d/2)))
	return max(d, after)
}

// tooLong says why a pause is not worth waiting for: it is longer than a registry
// may ask for, or than the run may still take.
func tooLong(ctx context.Context, d time.Duration, now time.Time) string {
	end, limited := ctx.Deadline()
	switch {
	case d > maxRetryAfter:
		return fmt.Sprintf("the registry asks to wait %s, longer than %s", d.Round(time.Second), maxRetryAfter)
	case limited && now.Add(d).After(end):
		return fmt.Sprintf("no time is left to wait %s and try again", d.Round(time.Second))
	}
	return ""
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110,
// section 10.2.3).
func retryAfter(h string, now time.Time) time.Duration {
	h = strings.TrimSpace(h)
	if n, err := strconv.Atoi(h); err == nil {
		return max(0, time.Duration(min(n, 1<<30))*time.Second)
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// Persist calls f until it succeeds or its error is final. what names the work
// in the log; renewAuth is called when credentials were refused, which is
// forgiven once. When ctx ends, the error is its cause; but where the time for the
// work is up, what went wrong last says more.
func Persist(ctx context.Context, log *slog.Logger, what string, renewAuth func(), f func(context.Context) error) error {
	renewed := false
	for try := 1; ; try++ {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ended(ctx, err)
		}
		v := judge(err)
		switch {
		case v.action == renew && !renewed && renewAuth != nil:
			renewed = true
			log.DebugContext(ctx, "credentials refused, asking for new ones", "what", what, "error", err)
			renewAuth()
			continue
		case v.action != tryAgain || try >= v.tries:
			return err
		}
		d := pause(try, v.after)
		if why := tooLong(ctx, d, time.Now()); why != "" && context.Cause(ctx) == nil {
			return fmt.Errorf("%w (%s)", err, why)
		}
		log.InfoContext(ctx, "retrying", "what", what, "try", try+1, "after", d.Round(time.Millisecond), "error", err)
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return ended(ctx, err)
		case <-t.C:
		}
	}
}

func ended(ctx context.Context, last error) error {
	if cause := context.Cause(ctx); cause != ErrStalled {
		return cause
	}
	return last
}
