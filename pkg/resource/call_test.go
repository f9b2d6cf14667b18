package resource

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

type replies func(n int, r *http.Request) (status int, body io.Reader, err error)

// wired is a client whose calls are answered by a function of their number, from 1.
func wired(answer replies, calls *int) *Client {
	return New(aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			*calls++
			status, body, err := answer(*calls, r)
			if err != nil {
				return nil, err
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
		})},
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAgain: what passes is tried again, within its time, and what lasts is not.
func TestAgain(t *testing.T) {
	const found = `{"Parameters":[{"Name":"/a"}]}`
	say := func(text string) io.Reader { return bytes.NewReader([]byte(text)) }
	for _, tt := range []struct {
		name   string
		first  func(*http.Request) (int, io.Reader, error) // until times have passed
		times  int
		calls  int
		fails  bool
		within time.Duration
	}{
		{"a connection that is lost", func(*http.Request) (int, io.Reader, error) { return 0, nil, io.ErrUnexpectedEOF }, 2, 3, false, 5 * time.Second},
		{"a reply that is cut short", func(*http.Request) (int, io.Reader, error) {
			return 200, io.MultiReader(say(found[:9]), lost{}), nil
		}, 1, 2, false, 5 * time.Second},
		{"a throttled call", func(*http.Request) (int, io.Reader, error) {
			return 400, say(`{"__type":"ThrottlingException","message":"Rate exceeded"}`), nil
		}, 3, 4, false, 5 * time.Second},
		{"an error of the service", func(*http.Request) (int, io.Reader, error) {
			return 500, say(`{"__type":"InternalServerError"}`), nil
		}, 1, 2, false, 5 * time.Second},
		{"an error of a proxy", func(*http.Request) (int, io.Reader, error) { return 502, say("<html>"), nil }, 1, 2, false, 5 * time.Second},
		{"one that lasts", func(*http.Request) (int, io.Reader, error) { return 503, say(""), nil }, 9, attempts, true, 5 * time.Second},
		{"a denial", func(*http.Request) (int, io.Reader, error) {
			return 400, say(`{"__type":"AccessDeniedException","message":"no"}`), nil
		}, 9, 1, true, 0},
		{"a page of a proxy", func(*http.Request) (int, io.Reader, error) { return 407, say("<html>"), nil }, 9, 1, true, 0},
		{"no answer", func(r *http.Request) (int, io.Reader, error) { <-r.Context().Done(); return 0, nil, r.Context().Err() }, 9, 1, true, patience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := wired(func(n int, r *http.Request) (int, io.Reader, error) {
					if n <= tt.times {
						return tt.first(r)
					}
					return 200, say(found), nil
				}, &calls)
				begin := time.Now()
				err := c.Secret(t.Context(), "/a")
				if took := time.Since(begin); (err != nil) != tt.fails || calls != tt.calls || took > tt.within {
					t.Errorf("%d calls in %s: %v", calls, took, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		ctx, cancel := context.WithCancel(t.Context())
		c := wired(func(int, *http.Request) (int, io.Reader, error) { cancel(); return 0, nil, io.EOF }, &calls)
		if err := c.Secret(ctx, "/a"); err == nil || calls != 1 {
			t.Errorf("cancelled: %d calls, %v", calls, err)
		}
	})
}

type lost struct{}

func (lost) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
