package resource

// Signed calls: the protocols awsjson 1.1 and Query, without a client. All of them only
// read, so that one which was throttled, or whose answer got lost or was cut short, is
// made again.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// mostRead bounds what is read of an answer, in bytes.
const mostRead = 1 << 20

const (
	patience   = 10 * time.Second // for a call with all its attempts
	attempts   = 4
	firstPause = 500 * time.Millisecond // before the second attempt; it doubles
)

// json makes a call of a service that speaks awsjson 1.1.
func (c *Client) json(ctx context.Context, service, region, target string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	host := service + "." + region + "." + suffix(region)
	return again(ctx, func(ctx context.Context) ([]byte, error) {
		status, answer, err := c.send(ctx, host, service, region, body, http.Header{
			"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target},
		})
		if err != nil || status == http.StatusOK {
			return answer, err
		}
		return nil, jsonError(status, answer)
	})
}

// again makes a call until it is answered with a result or with a refusal that lasts, as
// often as there is time for.
func again(ctx context.Context, call func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempt := 1; ; attempt++ {
		answer, err := call(ctx)
		if err == nil || attempt == attempts || lasting(err) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(firstPause << (attempt - 1)):
		}
	}
}

// lasting reports whether another attempt would end in the same way: the service has
// refused the call, and not for the number of calls or for a fault of its own.
func lasting(err error) bool {
	switch e := err.(type) {
	case *refusal:
		_, throttled := retry.DefaultThrottleErrorCodes[e.code]
		return !throttled && e.status < http.StatusInternalServerError
	case statusError:
		return e < http.StatusInternalServerError && e != http.StatusTooManyRequests
	}
	_, unsigned := err.(*unsignedError)
	return unsigned || errors.Is(err, context.Canceled)
}

// statusError is an answer without an error of the service in it.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(e)) }

// unsignedError is why a call could not be made at all.
type unsignedError struct{ error }

func (e *unsignedError) Unwrap() error { return e.error }

// jsonError is the error that a service of awsjson answered with.
func jsonError(status int, body []byte) error {
	var failure struct {
		Type    string `json:"__type"`
		Message string // matches in any case
	}
	if json.Unmarshal(body, &failure) != nil || failure.Type == "" {
		return statusError(status)
	}
	return &refusal{failure.Type[strings.LastIndex(failure.Type, "#")+1:], failure.Message, status}
}

// query makes a call of IAM, which has one endpoint for each partition.
func (c *Client) query(ctx context.Context, form url.Values) ([]byte, error) {
	form.Set("Version", "2010-05-08")
	host, region := "iam.amazonaws.com", "us-east-1"
	switch {
	case strings.HasPrefix(c.cfg.Region, "cn-"):
		host, region = "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"
	case strings.HasPrefix(c.cfg.Region, "us-gov-"):
		host, region = "iam.us-gov.amazonaws.com", "us-gov-west-1"
	case suffix(c.cfg.Region) != "amazonaws.com":
		return nil, fmt.Errorf("the endpoint of IAM for %s is not known", c.cfg.Region)
	}
	return again(ctx, func(ctx context.Context) ([]byte, error) {
		status, answer, err := c.send(ctx, host, "iam", region, []byte(form.Encode()), http.Header{
			"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"},
		})
		if err != nil || status == http.StatusOK {
			return answer, err
		}
		return nil, queryError(status, answer)
	})
}

// queryError is the error that a service of the Query protocol answered with.
func queryError(status int, body []byte) error {
	var failure struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if xml.Unmarshal(body, &failure) != nil || failure.Code == "" {
		return statusError(status)
	}
	return &refusal{failure.Code, failure.Message, status}
}

// refusal is an error that a service answered with: a [smithy.APIError] in the
// service's own words.
type refusal struct {
	code, message string
	status        int
}

func (e *refusal) ErrorCode() string             { return e.code }
func (e *refusal) ErrorMessage() string          { return e.message }
func (e *refusal) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

func (e *refusal) Error() string {
	if e.message == "" {
		return e.code
	}
	return e.message
}

// suffix is the DNS suffix of a region's partition.
//
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
func suffix(region string) string {
	for prefix, suffix := range map[string]string{
		"cn-": "amazonaws.com.cn", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov", "us-isof-": "csp.hci.ic.gov",
		"eu-isoe-": "cloud.adc-e.uk", "eusc-": "amazonaws.eu",
	} {
		if strings.HasPrefix(region, prefix) {
			return suffix
		}
	}
	return "amazonaws.com"
}

// send signs and sends one request.
func (c *Client) send(ctx context.Context, host, service, region string, body []byte, header http.Header) (status int, answer []byte, err error) {
	endpoint := "https://" + host + "/"
	if base := aws.ToString(c.cfg.BaseEndpoint); base != "" {
		endpoint = base
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &unsignedError{err}
	}
	request.Header = header
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return 0, nil, &unsignedError{err}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		return 0, nil, &unsignedError{err}
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.cfg.HTTPClient != nil {
		client = c.cfg.HTTPClient
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, mostRead))
	return response.StatusCode, answer, err
}
