package registry

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"ecsdeploy/pkg/image"
)

func TestJudge(t *testing.T) {
	status := func(s int, codes ...string) error {
		e := &StatusError{Operation: opSendBlob, Status: s}
		for _, c := range codes {
			e.Errors = append(e.Errors, registryError{Code: c})
		}
		return e
	}
	cases := []struct {
		name string
		err  error
		want action
	}{
		{"connection cut", io.ErrUnexpectedEOF, tryAgain},
		{"connection reset", &net.OpError{Op: "write", Err: syscall.ECONNRESET}, tryAgain},
		{"connection refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, tryAgain},
		{"no such host", &net.DNSError{IsNotFound: true}, tryAgain},
		{"stalled", ErrStalled, tryAgain},
		{"timeout", context.DeadlineExceeded, tryAgain},
		{"cancelled", context.Canceled, giveUp},
		{"throttled", status(429), tryAgain},
		{"throttled with another status", status(400, "TOOMANYREQUESTS"), tryAgain},
		{"server error", status(500), tryAgain},
		{"unavailable", status(503), tryAgain},
		{"a method that it does not have", status(501), giveUp},
		{"session gone", status(404, "BLOB_UPLOAD_UNKNOWN"), tryAgain},
		{"session broken", status(416), tryAgain},
		{"session gone, without a code", status(404), tryAgain},
		{"session gone, told by another status", status(410), tryAgain},
		{"manifest gone, without a code", &StatusError{Operation: OpReadManifest, Status: 404}, giveUp},
		{"bytes changed on the way", status(400, "DIGEST_INVALID"), tryAgain},
		{"token expired", status(401), renew},
		{"denied", status(403, "DENIED"), renew},
		{"repository missing", status(404, "NAME_UNKNOWN"), giveUp},
		{"bad request", status(400), giveUp},
		{"layer missing", status(404, "MANIFEST_BLOB_UNKNOWN"), giveUp},
		{"handshake unavailable", &transport.Error{StatusCode: 503}, tryAgain},
		{"handshake refused", &transport.Error{StatusCode: 401}, renew},
		{"file gone", &image.SourceError{Name: "layer.tar", Err: io.ErrUnexpectedEOF}, giveUp},
		{"damaged", image.Final("damaged"), giveUp},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(c.err); got.action != c.want {
				t.Errorf("judged %d, want %d", got.action, c.want)
			}
		})
	}
}

func TestPause(t *testing.T) {
	for try := 1; try < 100; try++ {
		full := longestPause
		if try < 8 {
			full = min(full, firstPause<<(try-1))
		}
		if d := pause(try, 0); d < full/2 || d > full {
			t.Errorf("try %d: %s, want %s to %s", try, d, full/2, full)
		}
	}
	if d := pause(1, time.Minute); d != time.Minute {
		t.Errorf("asked for a minute: %s", d)
	}
	now := time.Now()
	soon, cancel := context.WithDeadline(t.Context(), now.Add(time.Minute))
	defer cancel()
	for _, c := range []struct {
		ctx   context.Context
		pause time.Duration
		long  bool
	}{
		{t.Context(), time.Minute, false}, {t.Context(), 24 * time.Hour, true}, {soon, 30 * time.Second, false}, {soon, 90 * time.Second, true},
	} {
		if why := tooLong(c.ctx, c.pause, now); (why != "") != c.long {
			t.Errorf("pause of %s: %q", c.pause, why)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:03:05 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "7", "-7", "999999999999999999999", "Fri, 02 Jan 2026 03:05:05 GMT", "Fri, 02 Jan 9999 03:05:05 GMT", " 1 "} {
		f.Add(s)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		if d := retryAfter(header, now); d < 0 {
			t.Errorf("%q is %s", header, d)
		}
	})
}
