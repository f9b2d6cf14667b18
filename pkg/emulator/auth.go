// Who signed a request. The form of an AWS signature version 4 is required, and that it was made for this region and service; the signature
// itself is not verified, since no secret keys are known here.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html

package emulator

import (
	"net/http"
	"regexp"
	"time"
)

// session is a set of temporary credentials that AssumeRole handed out.
type session struct {
	arn, userID string
	token       string
	expires     time.Time
}

// authorizationHeader matches the four parts of a credential scope and the rest of the header.
var authorizationHeader = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/\s,]+)/(\d{8})/([^/\s,]+)/([^/\s,]+)/aws4_request,\s*SignedHeaders=[a-z0-9;-]+,\s*Signature=[0-9a-f]{64}$`)

// authenticate returns the ARN of the principal that signed r for service. STS, being global, takes any region.
func (e *Server) authenticate(r *http.Request, service string) (string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", &apiError{status: http.StatusBadRequest, code: "MissingAuthenticationTokenException", message: "Missing Authentication Token"}
	}
	m := authorizationHeader.FindStringSubmatch(header)
	if m == nil || r.Header.Get("X-Amz-Date") == "" {
		return "", &apiError{status: http.StatusBadRequest, code: "IncompleteSignatureException", message: "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."}
	}
	if m[4] != service {
		return "", apiErrorf("InvalidSignatureException", "Credential should be scoped to correct service: '%s'.", service)
	}
	if m[3] != e.Region() && service != "sts" {
		return "", apiErrorf("InvalidSignatureException", "Credential should be scoped to a valid region, not '%s'. This emulator is '%s'.", m[3], e.Region())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[m[1]]
	switch {
	case s == nil:
		return e.User(), nil
	case r.Header.Get("X-Amz-Security-Token") != s.token:
		return "", apiErrorf("UnrecognizedClientException", "The security token included in the request is invalid.")
	case time.Now().After(s.expires):
		return "", apiErrorf("ExpiredTokenException", "The security token included in the request is expired")
	}
	return s.arn, nil
}
