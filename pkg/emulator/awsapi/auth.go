// Who signed a request. The form of an AWS signature version 4 is required, and that it was made for this region and service; the signature
// itself is not verified, since no secret keys are known here.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html

package awsapi

import (
	"net/http"
	"regexp"
	"time"
)

// Session is a set of temporary credentials that AssumeRole handed out.
type Session struct {
	ARN, UserID string
	Token       string
	Expires     time.Time
}

// AuthorizationHeader matches the four parts of a credential scope and the rest of the header.
var AuthorizationHeader = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/\s,]+)/(\d{8})/([^/\s,]+)/([^/\s,]+)/aws4_request,\s*SignedHeaders=[a-z0-9;-]+,\s*Signature=[0-9a-f]{64}$`)

// Authenticate returns the ARN of the principal that signed r for service. STS, being global, takes any region.
func (e *Server) Authenticate(r *http.Request, service string) (string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", &Error{Status: http.StatusBadRequest, Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	}
	m := AuthorizationHeader.FindStringSubmatch(header)
	if m == nil || r.Header.Get("X-Amz-Date") == "" {
		return "", &Error{Status: http.StatusBadRequest, Code: "IncompleteSignatureException", Message: "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."}
	}
	if m[4] != service {
		return "", Errorf("InvalidSignatureException", "Credential should be scoped to correct service: '%s'.", service)
	}
	if m[3] != e.Region() && service != "sts" {
		return "", Errorf("InvalidSignatureException", "Credential should be scoped to a valid region, not '%s'. This emulator is '%s'.", m[3], e.Region())
	}
	e.Mu.Lock()
	defer e.Mu.Unlock()
	s := e.Sessions[m[1]]
	switch {
	case s == nil:
		return e.User(), nil
	case r.Header.Get("X-Amz-Security-Token") != s.Token:
		return "", Errorf("UnrecognizedClientException", "The security token included in the request is invalid.")
	case time.Now().After(s.Expires):
		return "", Errorf("ExpiredTokenException", "The security token included in the request is expired")
	}
	return s.ARN, nil
}
