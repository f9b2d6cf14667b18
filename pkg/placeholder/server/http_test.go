package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReadRequest(t *testing.T) {
	long := strings.Repeat("a", maxLine)
	for _, test := range []struct {
		name, sent string
		method     string
		err        error
	}{
		{"what a load balancer sends", "GET /health HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n", "GET", nil},
		{"any method", "PROPFIND /a?b=c HTTP/1.1\r\n\r\n", "PROPFIND", nil},
		{"a method of tomorrow", "M-SEARCH * HTTP/1.1\r\n\r\n", "M-SEARCH", nil},
		{"a connection asked for", "CONNECT example.com:443 HTTP/1.1\r\n\r\n", "CONNECT", nil},
		{"HTTP/1.0", "HEAD / HTTP/1.0\r\n\r\n", "HEAD", nil},
		{"lines ended by a line feed alone", "GET / HTTP/1.1\nHost: a\n\n", "GET", nil},
		{"an empty line first", "\r\nGET / HTTP/1.1\r\n\r\n", "GET", nil},
		{"a body stays unread", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "POST", nil},
		{"a path that is not ASCII", "GET /\xc3\xbc HTTP/1.1\r\n\r\n", "GET", nil},
		{"the longest line there may be", "GET /" + long[:maxLine-16] + " HTTP/1.1\r\n\r\n", "GET", nil},

		{"one byte more", "GET /" + long[:maxLine-15] + " HTTP/1.1\r\n\r\n", "", tooLarge},
		{"a field too long", "GET / HTTP/1.1\r\nA: " + long + "\r\n\r\n", "", tooLarge},
		{"fields without end", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", maxHead/6), "", tooLarge},
		{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", badVersion},
		{"HTTP/0.9", "GET /\r\n", "", badRequest},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "", badRequest},
		{"no target", "GET  HTTP/1.1\r\n\r\n", "", badRequest},
		{"a space in the target", "GET /a b HTTP/1.1\r\n\r\n", "", badRequest},
		{"a tab in the target", "GET /\ta HTTP/1.1\r\n\r\n", "", badRequest},
		{"no token", "G(T / HTTP/1.1\r\n\r\n", "", badRequest},
		{"another protocol", "DESCRIBE / RTSP/1.0\r\n\r\n", "", badRequest},
		{"no version", "GET / HTTP/\r\n\r\n", "", badRequest},
		{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "", badRequest},

		{"a connection that only opens", "", "", io.EOF},
		{"cut in the request line", "GET / HT", "", io.EOF},
		{"cut in the header", "GET / HTTP/1.1\r\nHost: a\r\n", "", io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, err := readRequest(bufio.NewReaderSize(strings.NewReader(test.sent), maxLine))
			if method != test.method || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", method, err, test.method, test.err)
			}
		})
	}
}

// A request is read the same way however it is cut into packets, never beyond
// its header, and what the standard library takes for a request is one here.
func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"), uint8(3))
	f.Add([]byte("\nHEAD * HTTP/1.0\n\n"), uint8(1))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\n"), uint8(200))
	f.Fuzz(func(t *testing.T, sent []byte, packet uint8) {
		whole := bytes.NewReader(sent)
		method, err := readRequest(bufio.NewReaderSize(whole, maxLine))
		inPackets, errInPackets := readRequest(bufio.NewReaderSize(&packets{sent, int(packet) + 1}, maxLine))
		if method != inPackets || !errors.Is(errInPackets, err) {
			t.Fatalf("whole: %q, %v; in packets of %d: %q, %v", method, err, int(packet)+1, inPackets, errInPackets)
		}
		if (err == nil) != (method != "") {
			t.Fatalf("method %q with error %v", method, err)
		}
		standard, errStandard := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
		if errStandard == nil && standard.ProtoMajor == 1 && len(sent) < maxLine && (err != nil || method != standard.Method) {
			t.Fatalf("got %q, %v; the standard library reads %q", method, err, standard.Method)
		}
	})
}

// packets is a reader that gives a few bytes at a time.
type packets struct {
	left []byte
	size int
}

func (p *packets) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[:min(p.size, len(p.left))])
	p.left = p.left[n:]
	return n, nil
}

func TestResponse(t *testing.T) {
	now := time.Date(2026, 3, 1, 13, 4, 5, 0, time.FixedZone("CET", 3600))
	for _, test := range []struct {
		name   string
		status status
		method string
		body   string
	}{
		{"a page", ok, "GET", "<p>hello"},
		{"a page's header alone", ok, "HEAD", ""},
		{"a refusal", badRequest, "", ""},
		{"a refusal by version", badVersion, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := response(test.status, test.method, []byte("<p>hello"), now)
			got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: test.method})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != string(test.status) || !got.Close || got.ContentLength != 8 || got.Header.Get("Date") != "Sun, 01 Mar 2026 12:04:05 GMT" {
				t.Errorf("got %s", raw)
			}
			if test.method == "HEAD" && len(body) != 0 || test.method != "HEAD" && string(body) != "<p>hello" {
				t.Errorf("body %q", body)
			}
			if after := bytes.SplitAfterN(raw, []byte("\r\n\r\n"), 2)[1]; test.method == "HEAD" && len(after) > 0 {
				t.Errorf("HEAD is answered with the body %q", after)
			}
		})
	}
}
