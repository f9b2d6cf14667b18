package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// page answers requests in a test, without a network.
type page func(*http.Request) *httptest.ResponseRecorder

func (p page) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer := p(r)
	if answer == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	response := answer.Result()
	response.Request = r
	return response, nil
}

func answer(status int, body string, headers ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	for i := 0; i+1 < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	w.WriteHeader(status)
	_, _ = w.WriteString(body)
	return w
}

// TestJudge: what an answer is worth.
func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		check  Check
		status int
		body   string
		want   Outcome
	}{
		{Check{}, 200, "", Passed},
		{Check{}, 204, "", Passed},
		{Check{}, 302, "", WrongStatus},
		{Check{}, 500, "down", WrongStatus},
		{Check{Status: Range{401, 401}}, 401, "", Passed},
		{Check{Status: Range{401, 401}}, 200, "", WrongStatus},
		{Check{Body: "build 17"}, 200, "this is build 17.", Passed},
		{Check{Body: "build 17"}, 200, "this is build 16.", WrongBody},
		{Check{Body: "build 17"}, 500, "build 17", WrongStatus},
	} {
		if got := judge(tt.check, tt.status, []byte(tt.body)); got.Outcome != tt.want || got.Status != tt.status {
			t.Errorf("%+v: %d %q is %q, not %q", tt.check, tt.status, tt.body, got.Outcome, tt.want)
		}
	}
}

// TestRetries: attempts end with the first that passes, and are shown one by one.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		p := New(page(func(*http.Request) *httptest.ResponseRecorder {
			if asked++; asked < 3 {
				return answer(503, "starting")
			}
			return answer(200, "ok")
		}))
		var shown []string
		begin := time.Now()
		last, err := p.Run(t.Context(), Check{URL: "https://app.example/health", Retries: 5}, func(a Attempt) {
			shown = append(shown, fmt.Sprintf("%d/%d %s %d", a.Number, a.Of, a.Outcome, a.Status))
		})
		if err != nil || last.Outcome != Passed || strings.Join(shown, ", ") != "1/6 wrongStatus 503, 2/6 wrongStatus 503, 3/6 passed 200" || time.Since(begin) != 2*Pause {
			t.Errorf("%v after %s: %q, %v", last, time.Since(begin), shown, err)
		}
	})
}

// TestTimeout: a page that never answers takes a bounded time, and a context that
// ends ends the attempt.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(page(func(*http.Request) *httptest.ResponseRecorder { return nil }))
		begin := time.Now()
		last, err := p.Run(t.Context(), Check{URL: "http://app.example/", Retries: 1}, func(Attempt) {})
		if err != nil || last.Outcome != TimedOut || time.Since(begin) != 2*AttemptLimit+Pause {
			t.Errorf("%+v, %v after %s", last, err, time.Since(begin))
		}
		cancelled := errors.New("cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(cancelled) })
		begin = time.Now()
		if _, err := p.Run(ctx, Check{URL: "http://app.example/"}, func(Attempt) { t.Error("an attempt of a cancelled run is shown") }); err != cancelled || time.Since(begin) != 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// endless is a body without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
func (e *endless) Close() error { return nil }

type sender struct{ body *endless }

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: s.body, Header: http.Header{}, Request: r}, nil
}

// TestBytes: no more of a body is read than the limit.
func TestBytes(t *testing.T) {
	body := &endless{}
	last, err := New(sender{body}).Run(t.Context(), Check{URL: "http://app.example/"}, func(Attempt) {})
	if err != nil || last.Outcome != Passed || body.read > 2*bodyLimit || len(last.Excerpt) > excerptLimit+len("…") {
		t.Errorf("%d bytes read, %+v, %v", body.read, last, err)
	}
}

// TestRedirects: which are followed, and what goes along.
func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		check          Check
		want           Outcome
	}{
		{"to another page", "https://user:secret@app.example/a?token=t", "/b", Check{}, Passed},
		{"to another host", "http://app.example/a", "http://www.example/b", Check{}, Passed},
		{"that is expected", "http://app.example/a", "http://169.254.169.254/", Check{Status: Range{302, 302}}, Passed},
		{"to metadata", "http://app.example/a", "http://169.254.169.254/latest/meta-data/", Check{}, Forbidden},
		{"to metadata as IPv6", "http://app.example/a", "http://[::ffff:169.254.169.254]/", Check{}, Forbidden},
		{"to metadata of tasks", "http://app.example/a", "http://169.254.170.2/v2/credentials", Check{}, Forbidden},
		{"to the agent", "http://app.example/a", "http://localhost:8080/b", Check{}, Forbidden},
		{"at the agent", "http://localhost:8080/a", "http://127.0.0.1:8080/b", Check{}, Passed},
		{"to plain HTTP", "https://app.example/a", "http://app.example/b", Check{}, Forbidden},
		{"to a file", "http://app.example/a", "file:///etc/passwd", Check{}, Forbidden},
		{"away from the load balancer", "http://lb.example/a", "http://other.example/b", Check{Host: "app.example"}, Forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := New(page(func(r *http.Request) *httptest.ResponseRecorder {
				if r.URL.Path == "/a" {
					return answer(302, "", "Location", tt.to)
				}
				if r.Header.Get("Referer") != "" || r.URL.Host != "app.example" && r.Header.Get("Authorization") != "" {
					t.Errorf("%s is told %v", r.URL, r.Header)
				}
				return answer(200, "")
			}))
			tt.check.URL = tt.from
			last, err := p.Run(t.Context(), tt.check, func(Attempt) {})
			if err != nil || last.Outcome != tt.want {
				t.Errorf("%s → %s: %+v, %v", tt.from, tt.to, last, err)
			}
			if last.Err != nil && strings.Contains(last.Err.Error(), "secret") {
				t.Errorf("the error shows the password: %v", last.Err)
			}
		})
	}
	t.Run("in a circle", func(t *testing.T) {
		asked := 0
		p := New(page(func(*http.Request) *httptest.ResponseRecorder { asked++; return answer(302, "", "Location", "/") }))
		if last, err := p.Run(t.Context(), Check{URL: "http://app.example/"}, func(Attempt) {}); err != nil || last.Outcome != Forbidden || asked > maxRedirects+1 {
			t.Errorf("%+v after %d requests, %v", last, asked, err)
		}
	})
}

// TestNeverAsked: addresses to which no name leads.
func TestNeverAsked(t *testing.T) {
	for _, address := range []string{"169.254.169.254", "169.254.170.2", "169.254.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "168.63.129.16", "0.0.0.0", "::"} {
		if !forbidden(netip.MustParseAddr(address)) {
			t.Errorf("%s may be asked", address)
		}
	}
	for _, address := range []string{"10.0.0.1", "192.168.1.1", "127.0.0.1", "::1", "52.1.2.3", "2600:1f00::1", "fd12:3456::1"} {
		if forbidden(netip.MustParseAddr(address)) {
			t.Errorf("%s may not be asked", address)
		}
	}
	transport := NewTransport(func(*http.Transport) {})
	_, err := transport.DialContext(t.Context(), "tcp", "169.254.169.254:80")
	if _, is := errors.AsType[*addressError](err); !is {
		t.Errorf("a connection to the metadata of the machine: %v", err)
	}
	last, err := New(transport).Run(t.Context(), Check{URL: "http://169.254.169.254/", Retries: 3}, func(Attempt) {})
	if err != nil || last.Outcome != Forbidden || last.Number != 1 {
		t.Errorf("%+v, %v", last, err)
	}
}

// TestOverTheNetwork: a real server, a name of its own, and a port that nobody listens at.
func TestOverTheNetwork(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "smoke" || password != "secret" || r.Host != "app.example" || r.Header.Get("X-Test") != "green" {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(w, "build 17")
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	u.User = url.UserPassword("smoke", "secret")
	p := New(NewTransport(func(*http.Transport) {}))
	check := Check{URL: u.String(), Host: "app.example", Headers: map[string]string{"X-Test": "green"}, Body: "build 17"}
	if last, err := p.Run(t.Context(), check, func(Attempt) {}); err != nil || last.Outcome != Passed || last.Excerpt != "build 17" {
		t.Errorf("%+v, %v", last, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://user:secret@" + listener.Addr().String() + "/?token=secret"
	listener.Close()
	last, err := p.Run(t.Context(), Check{URL: closed}, func(Attempt) {})
	if err != nil || last.Outcome != Unreachable || strings.Contains(last.Err.Error(), "secret") {
		t.Errorf("%+v, %v", last, err)
	}
}

// TestShown: no secret of a URL is shown.
func TestShown(t *testing.T) {
	for address, want := range map[string]string{
		"https://app.example/health":               "https://app.example/health",
		"https://u:p@app.example/health?token=t&a": "https://app.example/health?token=***&a",
		"/health?key=s&b=1":                        "/health?key=***&b=***",
		"http://u:p%@app.example/?token=t":         "***@app.example/",
		"https://app.example/a#fragment":           "https://app.example/a",
		"https://app.example/a?":                   "https://app.example/a",
	} {
		if got := Shown(address); got != want {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}

// FuzzExcerpt: what is shown of a body is short text on one line.
func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("ok\n##vso[task.complete result=Succeeded]\r\n"))
	f.Add([]byte(strings.Repeat("é", excerptLimit)))
	f.Add([]byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if text := excerpt(body); strings.ContainsAny(text, "\r\n\x00\x1b") || len(text) > excerptLimit+len("…") || !utf8.ValidString(text) {
			t.Fatalf("%q", text)
		}
	})
}
