package ecs

// Calls of services for which the executable has no client of the SDK: the body is
// made and read by the caller, so that no member of it is lost. The SDK still signs,
// and attempts, pauses and errors are those of every other call here. The clients of
// EventBridge and EventBridge Scheduler would add 741 kB to the executable, 126 kB
// of them after compression, for seven calls.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Signed is a call of a service of AWS in the client's region.
type Signed struct {
	Service string // its name in the host and in the signature: "events"
	Method  string
	Path    string // begins with a slash
	Query   url.Values
	Header  http.Header
	Body    []byte
	// Change says that the call changes something. It is tried again after a lost
	// answer all the same, so that it has to be one which may be made twice.
	Change bool
}

// mostAnswer bounds what is read of an answer, in bytes.
const mostAnswer = 4 << 20

// Signed makes a call and returns the body of its answer. what is being done goes
// before AWS's own words in an error. Errors have a [Class].
func (c *Client) Signed(ctx context.Context, what string, s Signed) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, during(what, err)
	}
	l := needed
	if s.Change {
		l = idempotent
	}
	own, cancel := context.WithTimeout(ctx, l.budget)
	defer cancel()
	t := &tries{Standard: retry.NewStandard(), limits: l}
	for attempt := 1; ; attempt++ {
		body, err := c.attempt(own, s)
		if err == nil {
			return body, nil
		}
		again := t.IsErrorRetryable(err) && attempt < t.MaxAttempts()
		if again && t.pause(own, attempt) {
			continue
		}
		failed := &callError{during: what, err: err, ambiguous: l.change && t.acted}
		if end := cmp.Or(ctx.Err(), own.Err()); end != nil && (again || cut(err)) {
			failed.err = &unanswered{end: end, last: t.answer}
		}
		return nil, failed
	}
}

// attempt signs and sends a call once.
func (c *Client) attempt(ctx context.Context, s Signed) ([]byte, error) {
	request, err := c.request(ctx, s)
	if err != nil {
		return nil, err
	}
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, &smithy.OperationError{ServiceID: "credentials", OperationName: "Retrieve", Err: err}
	}
	sum := sha256.Sum256(s.Body)
	at := time.Now().Add(time.Duration(c.skew.Load()))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), s.Service, c.cfg.Region, at); err != nil {
		return nil, err
	}
	response, err := c.api.Options().HTTPClient.Do(request)
	if err == nil {
		defer response.Body.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(response.Body, mostAnswer)); err == nil && response.StatusCode == http.StatusOK {
			return body, nil
		}
		if err == nil {
			return nil, c.refused(response, body, at)
		}
	}
	if ctx.Err() != nil {
		return nil, &aws.RequestCanceledError{Err: ctx.Err()}
	}
	return nil, &smithyhttp.RequestSendError{Err: err}
}

// request is the call as a request. The host is that of ECS's own endpoint with the
// name of the service in the place of ECS's: partitions and FIPS endpoints are then
// known, too.
func (c *Client) request(ctx context.Context, s Signed) (*http.Request, error) {
	base := strings.TrimSuffix(aws.ToString(c.cfg.BaseEndpoint), "/")
	if base == "" {
		o := c.api.Options()
		found, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ecs.EndpointParameters{
			Region: aws.String(c.cfg.Region), UseFIPS: aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		})
		if err != nil {
			return nil, err
		}
		base = found.URI.Scheme + "://" + s.Service + strings.TrimPrefix(found.URI.Host, "ecs")
	}
	address := base + s.Path
	if len(s.Query) > 0 {
		address += "?" + s.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, s.Method, address, bytes.NewReader(s.Body))
	if err != nil {
		return nil, err
	}
	if s.Header != nil {
		request.Header = s.Header.Clone()
	}
	return request, nil
}

// refused is the error that a service answered with, in either of the JSON
// protocols. Where it refused the signature's time, the clock is corrected by the
// answer's date, and the next attempt may succeed.
func (c *Client) refused(response *http.Response, body []byte, at time.Time) error {
	var failure struct {
		Type    string `json:"__type"`
		Code    string
		Message string // matches in any case
	}
	_ = json.Unmarshal(body, &failure) // an answer of a proxy has none of these
	code, _, _ := strings.Cut(cmp.Or(response.Header.Get("X-Amzn-Errortype"), failure.Type, failure.Code), ":")
	code = code[strings.LastIndex(code, "#")+1:]
	if code == "" && failure.Message == "" {
		failure.Message = response.Status
	}
	out := &rejection{smithy.GenericAPIError{Code: code, Message: failure.Message}, response.StatusCode, false}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil && skewCodes[code] {
		if off := date.Sub(at); off.Abs() > skewed {
			c.skew.Add(int64(off))
			out.again = true
		}
	}
	return out
}

// skewCodes are the codes of a signature that is refused for its time, among other
// reasons, and skewed is how far a clock has to be off for that.
var skewCodes = map[string]bool{
	"InvalidSignatureException": true, "SignatureDoesNotMatch": true, "RequestTimeTooSkewed": true, "RequestExpired": true, "AuthFailure": true,
}

const skewed = 4 * time.Minute

// rejection is an error answer with its HTTP status.
type rejection struct {
	smithy.GenericAPIError
	status int
	again  bool // the next attempt may succeed
}

// HTTPStatusCode is the HTTP status of the answer.
func (e *rejection) HTTPStatusCode() int { return e.status }

// RetryableError reports whether what was wrong has been corrected since.
func (e *rejection) RetryableError() bool { return e.again }
