package ecs

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestSigned: a call of another service is tried and explained as those of ECS are.
func TestSigned(t *testing.T) {
	skew := func() *http.Response {
		out := refusal(403, "InvalidSignatureException", "Signature expired")
		out.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		return out
	}
	for _, tt := range []struct {
		name   string
		faults []fault
		class  Class
		calls  int
		words  []string // of the error; nil is none
	}{
		{"at once", nil, Other, 1, nil},
		{"throttled for a while", times(4, answers(400, "ThrottlingException", "Rate exceeded")), Other, 5, nil},
		{"busy", times(2, says(503, "<html>")), Other, 3, nil},
		{"cut", times(2, fault{err: errReset}), Other, 3, nil},
		{"cut within the answer", times(2, cutShort(`{"a":"b"}`)), Other, 3, nil},
		{"a wrong clock", []fault{{answer: skew}}, Other, 2, nil},
		{"a clock that stays wrong", times(9, fault{answer: skew}), Denied, 2, []string{"put it", "Signature expired"}},
		{"denied", times(9, answers(400, "AccessDeniedException", "User: x is not authorized to perform: events:PutTargets on resource: y")), Denied, 1, []string{"put it", "events:PutTargets"}},
		{"gone", times(9, answers(400, "ResourceNotFoundException", "no rule")), Gone, 1, []string{"no rule"}},
		{"invalid", times(9, answers(400, "ValidationException", "not so")), Invalid, 1, []string{"not so"}},
		{"no JSON", times(9, says(404, "<html>")), Other, 1, []string{"404 Not Found"}},
		{"no connection", times(99, fault{err: errRefused}), Broken, 14, []string{"put it", "connection refused"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var signed []string
				way := &trouble{next: roundTrip(func(r *http.Request) (*http.Response, error) { return answer(200, `{"a":"b"}`), nil }), faults: map[string][]fault{"PutTargets": tt.faults}}
				c := New(configOver(roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.URL.Host != "events.eu-west-1.amazonaws.com" || r.Header.Get("Authorization") == "" {
						t.Errorf("%s %s", r.URL, r.Header)
					}
					signed = append(signed, r.Header.Get("X-Amz-Date"))
					return way.RoundTrip(r)
				})))
				body, err := c.Signed(t.Context(), "put it", Signed{
					Service: "events", Method: http.MethodPost, Path: "/", Body: []byte("{}"), Header: http.Header{"X-Amz-Target": {"AWSEvents.PutTargets"}}, Change: true,
				})
				if (err == nil) != (tt.words == nil) || err == nil && string(body) != `{"a":"b"}` {
					t.Fatalf("%s, %v", body, err)
				}
				if tt.words != nil {
					mentions(t, err, tt.words...)
				}
				if Classify(err) != tt.class || way.count("PutTargets") != tt.calls {
					t.Errorf("class %s, %d calls: %v", Classify(err), way.count("PutTargets"), err)
				}
				if tt.name == "a wrong clock" && signed[0] == signed[1] {
					t.Errorf("the clock was not corrected: %q", signed)
				}
				if Ambiguous(err) {
					t.Errorf("ambiguous: %v", err)
				}
			})
		})
	}
}

// TestSignedUnknown: a change whose answers are lost may have been made; a cancelled
// one is said to be.
func TestSignedUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &trouble{faults: map[string][]fault{"X": times(99, fault{err: errReset})}}
		c := New(configOver(way))
		call := Signed{Service: "scheduler", Method: http.MethodPut, Path: "/", Header: http.Header{"X-Amz-Target": {"a.X"}}, Change: true}
		if _, err := c.Signed(t.Context(), "put it", call); !Ambiguous(err) || Classify(err) != Broken {
			t.Errorf("%v", err)
		}
		call.Change = false
		if _, err := c.Signed(t.Context(), "read it", call); Ambiguous(err) || Classify(err) != Broken {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.Signed(ctx, "read it", call)
		mentions(t, err, "read it", "canceled")
	})
}
