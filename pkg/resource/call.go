package resource

// One signed call: the protocols awsjson 1.1 and Query, without a client.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// mostRead bounds what is read of an answer, in bytes.
const mostRead = 1 << 20

// patience is how long an answer may take.
const patience = 10 * time.Second

// json makes a call of a service that speaks awsjson 1.1.
func (c *Client) json(ctx context.Context, service, region, target string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	host := service + "." + region + "." + suffix(region)
	status, answer, err := c.send(ctx, host, service, region, body, http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target},
	})
	if err != nil || status == http.StatusOK {
		return answer, err
	}
	return nil, jsonError(status, answer)
}

// jsonError is the error that a service of awsjson answered with.
func jsonError(status int, body []byte) error {
	var failure struct {
		Type    string `json:"__type"`
		Message string // matches in any case
	}
	if json.Unmarshal(body, &failure) != nil || failure.Type == "" {
		return fmt.Errorf("HTTP status %d", status)
	}
	return &refusal{failure.Type[strings.LastIndex(failure.Type, "#")+1:], failure.Message}
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
	status, answer, err := c.send(ctx, host, "iam", region, []byte(form.Encode()), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"},
	})
	if err != nil || status == http.StatusOK {
		return answer, err
	}
	return nil, queryError(status, answer)
}

// queryError is the error that a service of the Query protocol answered with.
func queryError(status int, body []byte) error {
	var failure struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if xml.Unmarshal(body, &failure) != nil || failure.Code == "" {
		return fmt.Errorf("HTTP status %d", status)
	}
	return &refusal{failure.Code, failure.Message}
}

// refusal is an error that a service answered with: a [smithy.APIError] in the
// service's own words.
type refusal struct{ code, message string }

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
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	endpoint := "https://" + host + "/"
	if base := aws.ToString(c.cfg.BaseEndpoint); base != "" {
		endpoint = base
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = header
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return 0, nil, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		return 0, nil, err
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
