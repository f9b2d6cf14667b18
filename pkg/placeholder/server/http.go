package main

// As much of HTTP/1.1 as a server needs that gives every request the same
// answer (RFC 9110, RFC 9112): the request line and the header section are
// read, the method is kept, nothing else is.

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"time"
)

const (
	maxLine = 8 << 10  // bytes of the request line, and of a header field
	maxHead = 64 << 10 // bytes of both together
)

// status is the code and reason of a response. As an error it is why a request
// is refused.
type status string

const (
	ok         status = "200 OK"
	badRequest status = "400 Bad Request"
	tooLarge   status = "431 Request Header Fields Too Large"
	badVersion status = "505 HTTP Version Not Supported"
)

func (s status) Error() string { return string(s) }

// readRequest reads a request up to the end of its header section and returns
// its method. The error is a status where the peer deserves an answer. r's
// buffer must have maxLine bytes.
func readRequest(r *bufio.Reader) (method string, err error) {
	left := maxHead
	line, err := readLine(r, &left)
	if err == nil && len(line) == 0 {
		line, err = readLine(r, &left) // an empty line before the request is ignored: RFC 9112, section 2.2
	}
	if err != nil {
		return "", err
	}
	if method, err = parseRequestLine(line); err != nil {
		return "", err
	}
	for len(line) > 0 {
		if line, err = readLine(r, &left); err != nil {
			return "", err
		}
	}
	return method, nil
}

// readLine returns a line without its end, which may lack the carriage return
// (RFC 9112, section 2.2), and takes its length from left. The line is valid
// until the next read.
func readLine(r *bufio.Reader, left *int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if *left -= len(line); errors.Is(err, bufio.ErrBufferFull) || *left < 0 {
		return nil, tooLarge
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// parseRequestLine checks "GET / HTTP/1.1" and returns the method.
func parseRequestLine(line []byte) (method string, err error) {
	name, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	if len(name) == 0 || len(target) == 0 || !every(name, isToken) || !every(target, isVisible) {
		return "", badRequest
	}
	number, isHTTP := bytes.CutPrefix(version, []byte("HTTP/"))
	switch {
	case !isHTTP || len(number) != 3 || !isDigit(number[0]) || number[1] != '.' || !isDigit(number[2]):
		return "", badRequest
	case number[0] != '1':
		return "", badVersion
	}
	return string(name), nil
}

func every(text []byte, is func(byte) bool) bool {
	for _, c := range text {
		if !is(c) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool   { return '0' <= c && c <= '9' }
func isVisible(c byte) bool { return c > ' ' && c != 0x7f }

// isToken is tchar of RFC 9110, section 5.6.2.
func isToken(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}

// response is the whole answer to a request. The answer to HEAD is that to GET
// without its body.
func response(s status, method string, body []byte, now time.Time) []byte {
	b := make([]byte, 0, 512+len(body))
	b = append(b, "HTTP/1.1 "+string(s)+"\r\nDate: "...)
	b = now.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	b = append(b, "\r\nConnection: close\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"+
		"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n"...)
	if method != "HEAD" {
		b = append(b, body...)
	}
	return b
}
