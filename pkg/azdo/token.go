package azdo

// The OIDC token, by which AWS recognises the pipeline. The library cannot ask for
// the pipeline's own, because it always sends the id of a service connection.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	tokenAttempts = 5
	tokenTimeout  = 15 * time.Second // of one attempt
	tokenPause    = time.Second      // after the first attempt; doubles
	maxRetryAfter = 30 * time.Second
)

// tokenVersions of the API, in the order in which they are tried. Older servers
// know the call as a preview only.
var tokenVersions = []string{"7.1", "7.1-preview.1"}

// HasOIDC reports whether there is an address to ask for tokens. Azure DevOps
// Server has none.
func (c *Client) HasOIDC() bool { return c.tokenURL() != "" }

// tokenURL is the one that the agent was given, or the route to the job.
func (c *Client) tokenURL() string {
	if c.o.OIDC.RequestURI != "" {
		return c.o.OIDC.RequestURI
	}
	if c.o.OIDC.Hub == "" || c.o.OIDC.Plan == "" || c.o.Job == "" || c.o.Project == "" {
		return ""
	}
	base := c.base
	if c.o.ReleaseURL != "" { // the plan of a classic release is on the host of releases
		base = strings.TrimRight(c.o.ReleaseURL, "/")
	}
	return base + "/" + url.PathEscape(c.o.Project) + fmt.Sprintf("/_apis/distributedtask/hubs/%s/plans/%s/jobs/%s/oidctoken",
		url.PathEscape(c.o.OIDC.Hub), url.PathEscape(c.o.OIDC.Plan), url.PathEscape(c.o.Job))
}

// IDToken returns a new OIDC token: that of a service connection, or with an empty
// id the pipeline's own. It lives for some minutes. What may pass (no answer,
// throttling, an error of the server) is tried again for up to 15 seconds between
// attempts; the error says what Azure DevOps answered last.
func (c *Client) IDToken(ctx context.Context, connectionID string) (string, error) {
	const what = "OIDC token"
	address, err := url.Parse(c.tokenURL())
	if err != nil || address.Host == "" {
		return "", &Error{Op: what, Text: "this server offers none", hint: "OIDC takes Azure DevOps Services; use a service connection with access keys or a role"}
	}
	if address.Scheme != "https" && !isLoopback(address.Hostname()) {
		return "", &Error{Op: what, Text: fmt.Sprintf("%s is not asked over %s, which would send the job's token in clear text", address.Host, address.Scheme)}
	}
	version := 0
	pause := tokenPause
	for attempt := 1; ; attempt++ {
		token, wait, err := c.postToken(ctx, *address, tokenVersions[version], connectionID)
		if err == nil {
			if c.o.Mask != nil {
				c.o.Mask(token)
			}
			return token, nil
		}
		var e *Error
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.As(err, &e) && isVersion(e) && version+1 < len(tokenVersions):
			version++
			continue
		case wait < 0 || attempt == tokenAttempts:
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(max(wait, pause)):
		}
		pause *= 2
	}
}

func isVersion(e *Error) bool {
	return strings.Contains(e.Text, "VssInvalidPreviewVersionException") || strings.Contains(e.Text, "VssVersionNotSpecifiedException") ||
		strings.Contains(e.Text, "-preview flag must be supplied") || strings.Contains(e.Text, "VssVersionNotSupportedException")
}

// postToken makes one attempt. wait is negative where another is of no use, else
// what the server asks for.
func (c *Client) postToken(ctx context.Context, address url.URL, version, connectionID string) (token string, wait time.Duration, err error) {
	const what = "OIDC token"
	query := address.Query()
	query.Set("api-version", version)
	if connectionID != "" {
		query.Set("serviceConnectionId", connectionID)
	}
	address.RawQuery = query.Encode()
	bounded, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(bounded, http.MethodPost, address.String(), strings.NewReader("{}"))
	if err != nil {
		return "", -1, err
	}
	request.Header.Set("Authorization", "Bearer "+c.o.Token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("X-TFS-FedAuthRedirect", "Suppress")
	response, err := c.http.Do(request)
	if err != nil {
		e := c.explain(what, permission{}, err)
		if page, ok := asPage(err); ok {
			if page.status >= 500 || page.status == http.StatusTooManyRequests {
				return "", 0, e
			}
			return "", -1, e
		}
		return "", 0, e
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", 0, c.explain(what, permission{}, err)
	}
	if response.StatusCode != http.StatusOK {
		e := refusal(what, response.StatusCode, body)
		if response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500 {
			seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
			return "", min(time.Duration(max(seconds, 0))*time.Second, maxRetryAfter), e
		}
		return "", -1, e
	}
	var answer struct {
		Token string `json:"oidcToken"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &answer); err != nil || answer.Token == "" {
		return "", -1, refusal(what, response.StatusCode, body)
	}
	return answer.Token, 0, nil
}

// refusal reads an answer that is no token. Azure DevOps has several forms of
// error; the text is kept, the body is not, since it could hold a token.
func refusal(what string, status int, body []byte) *Error {
	e := &Error{Op: what, Status: status, Denied: status == http.StatusUnauthorized || status == http.StatusForbidden}
	var answer struct {
		Message string          `json:"message"`
		TypeKey string          `json:"typeKey"`
		Value   json.RawMessage `json:"value"`
	}
	if json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &answer) == nil {
		var inner struct{ Message string }
		e.Text = answer.Message
		if e.Text == "" && json.Unmarshal(answer.Value, &e.Text) != nil && json.Unmarshal(answer.Value, &inner) == nil {
			e.Text = inner.Message
		}
		if answer.TypeKey != "" && e.Text != "" {
			e.Text += " (" + answer.TypeKey + ")"
		}
	}
	if e.Text == "" {
		e.Text = fmt.Sprintf("HTTP %d and no token", status)
	}
	switch {
	case strings.Contains(e.Text, "no explicit reference to service connection"):
		e.hint = "a stage may only ask for tokens of service connections that its own steps name: give the connection's name to awsCredentials in this stage literally, and authorize the pipeline to use it"
	case e.Denied:
		e.hint = "the job's token was not accepted; in a classic release or a fork's pull request it may not ask for OIDC tokens"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		e.hint = "this server offers no OIDC tokens to jobs; use a service connection with access keys or a role"
	}
	return e
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
