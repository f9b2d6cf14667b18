package azdo

// The transport beneath the library, which takes every answer for JSON, and an
// error without JSON for a syntax error: sign-in pages, pages of proxies and empty
// answers are recognised here, before the library loses their status.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 8 << 20

type transport struct{ base http.RoundTripper }

// pageError is an answer that is a page for people, or no JSON at all.
type pageError struct {
	status int
	signIn bool // the page, or where it redirects to, is that of signing in
}

func (e *pageError) Error() string {
	if e.signIn {
		return fmt.Sprintf("access denied: Azure DevOps answered with its sign-in page (HTTP %d)", e.status)
	}
	return fmt.Sprintf("the answer is a web page instead of JSON (HTTP %d)", e.status)
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of Azure DevOps: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer of Azure DevOps has more than %d MB", maxAnswer>>20)
	}
	status := response.StatusCode
	if wait, asked := r.Context().Value(waitKey{}).(*time.Duration); asked {
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			*wait = min(time.Duration(seconds)*time.Second, maxRetryAfter)
		}
	}
	contentType := strings.ToLower(response.Header.Get("Content-Type"))
	isPage := strings.Contains(contentType, "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
	switch {
	case status >= 300 && status < 400:
		return nil, &pageError{status, true}
	// 203 is what Services answer to a request whose token they do not accept.
	case status == http.StatusNonAuthoritativeInfo, isPage && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		return nil, &pageError{status, true}
	case isPage:
		return nil, &pageError{status, bytes.Contains(body, []byte("_signin"))}
	case len(bytes.TrimSpace(body)) == 0 && status >= 200 && status < 300:
		body = []byte("null") // the library parses the body of a 204, too
	case status >= 300 && len(body) > 0 && !strings.Contains(contentType, "text/plain") && !isError(body):
		// The library would make an error of decoding it, without the status.
		response.Header.Set("Content-Type", "text/plain")
		body = fmt.Appendf(nil, "HTTP %d, with an answer that is not in the form of an error", status)
	}
	// The library keeps the session of an answer in a variable of its package,
	// without a lock.
	response.Header.Del("X-Tfs-Session")
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return response, nil
}

// isError reports whether the library can read a body as an error.
func isError(body []byte) bool {
	var e azuredevops.WrappedError
	return json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &e) == nil
}

// withWait has the transport note in wait how long the server asks to wait.
func withWait(ctx context.Context, wait *time.Duration) context.Context {
	return context.WithValue(ctx, waitKey{}, wait)
}

type waitKey struct{}

// asPage finds a pageError in what http.Client and the library made of it.
func asPage(err error) (*pageError, bool) { return errors.AsType[*pageError](err) }
