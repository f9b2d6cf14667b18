package ecs

// What kind of failure an error is, by the service's code and the HTTP status.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecsdeploy/pkg/mistake"
)

// Class is what kind of failure an error is, for whoever decides what to do next.
type Class int

// The classes of errors.
const (
	Other       Class = iota // none of these, such as a conflict with another change, or a cancelled context
	Denied                   // the identity may not do it, or AWS does not accept the identity
	Gone                     // what was asked about does not exist, or not any more
	Unsupported              // the operation or feature does not exist in this region or partition
	Expired                  // the session has ended
	Throttled                // too many calls
	Broken                   // no answer, or none that can be used: network, time limit, HTTP 5xx, incomplete reply
	Invalid                  // what was asked for is wrong
)

// String is the name of the class, for debugging.
func (c Class) String() string {
	names := [...]string{"other", "denied", "gone", "unsupported", "expired", "throttled", "broken", "invalid"}
	if c < 0 || int(c) >= len(names) {
		return "unknown"
	}
	return names[c]
}

// Lasting reports whether waiting does not cure errors of the class.
func (c Class) Lasting() bool {
	switch c {
	case Denied, Gone, Unsupported, Expired, Invalid:
		return true
	}
	return false
}

// classes are those of error codes that say it by themselves. The codes common
// to all services:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html
var classes = map[string]Class{
	"AccessDenied":                Denied,
	"AccessDeniedException":       Denied,
	"AuthFailure":                 Denied,
	"AuthorizationError":          Denied,
	"BlockedException":            Denied,
	"IncompleteSignature":         Denied,
	"InvalidAccessKeyId":          Denied,
	"InvalidClientTokenId":        Denied,
	"InvalidSignatureException":   Denied,
	"MissingAuthenticationToken":  Denied,
	"NotAuthorized":               Denied,
	"OptInRequired":               Denied,
	"RequestTimeTooSkewed":        Denied,
	"SignatureDoesNotMatch":       Denied,
	"UnauthorizedException":       Denied,
	"UnauthorizedOperation":       Denied,
	"UnrecognizedClientException": Denied,

	"ExpiredToken":          Expired,
	"ExpiredTokenException": Expired,
	"RequestExpired":        Expired,
	"TokenRefreshRequired":  Expired,

	"ServiceNotActiveException": Gone,

	"InvalidAction":               Unsupported,
	"MissingAction":               Unsupported,
	"NotImplemented":              Unsupported,
	"PlatformUnknownException":    Unsupported,
	"UnknownOperation":            Unsupported,
	"UnknownOperationException":   Unsupported,
	"UnsupportedFeatureException": Unsupported,
	"UnsupportedOperation":        Unsupported,

	"BandwidthLimitExceeded":                 Throttled,
	"EC2ThrottledException":                  Throttled,
	"PriorRequestNotComplete":                Throttled,
	"ProvisionedThroughputExceededException": Throttled,
	"RequestLimitExceeded":                   Throttled,
	"RequestThrottled":                       Throttled,
	"RequestThrottledException":              Throttled,
	"SlowDown":                               Throttled,
	"ThrottledException":                     Throttled,
	"Throttling":                             Throttled,
	"ThrottlingException":                    Throttled,
	"TooManyRequestsException":               Throttled,

	"InternalError":               Broken,
	"InternalFailure":             Broken,
	"InternalServerError":         Broken,
	"InternalServerException":     Broken,
	"InternalServiceError":        Broken,
	"RequestTimeout":              Broken,
	"RequestTimeoutException":     Broken,
	"ServerException":             Broken,
	"ServiceUnavailable":          Broken,
	"ServiceUnavailableException": Broken,

	// Conflicts with something that ends by itself.
	"ConflictException":                Other,
	"DeploymentLimitExceededException": Other,
	"ResourceInUseException":           Other,
	"UpdateInProgressException":        Other,
}

// Classify returns the class of an error: of this package, of the SDK for any
// AWS service, or of a mistake. It looks through wrapping.
func Classify(err error) Class {
	if err == nil {
		return Other
	}
	if m, ok := errors.AsType[*mistake.Error](err); ok {
		if m.Absent {
			return Gone
		}
		return Invalid
	}
	if _, ok := errors.AsType[*absent](err); ok {
		return Gone
	}
	if _, ok := errors.AsType[*incomplete](err); ok {
		return Broken
	}
	if _, ok := errors.AsType[*garbled](err); ok {
		return Broken
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "" {
		return classOfAnswer(api, statusOf(err))
	}
	if status := statusOf(err); status >= http.StatusMultipleChoices {
		return classOfStatus(status, Other)
	}
	return classOfConnection(err)
}

// classOfAnswer is the class of an error that the service answered with.
func classOfAnswer(api smithy.APIError, status int) Class {
	code := api.ErrorCode()
	class, known := classes[code]
	if class != Throttled && class != Expired {
		// ECS refuses what another service denies it, iam:PassRole for one, with
		// codes that say something else.
		if _, denied := parseDenial(api.ErrorMessage()); denied {
			return Denied
		}
	}
	switch {
	case known:
		return class
	case strings.HasSuffix(code, "NotFoundException"), strings.HasSuffix(code, "NotFound"), strings.HasSuffix(code, "DoesNotExistException"),
		strings.HasSuffix(code, "NotFoundFault"):
		return Gone
	case api.ErrorFault() == smithy.FaultServer && status < http.StatusBadRequest:
		return Broken
	}
	return classOfStatus(status, Invalid)
}

// classOfStatus is the class that an HTTP status says by itself, and rest for
// other refusals of the client's request.
func classOfStatus(status int, rest Class) Class {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Denied
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return Broken
	}
	return rest
}

// classOfConnection is the class of an error without an answer.
func classOfConnection(err error) Class {
	if errors.Is(err, context.DeadlineExceeded) {
		return Broken
	}
	if errors.Is(err, context.Canceled) {
		return Other
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return Broken
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return Broken
	}
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return Broken
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return Broken
	}
	if _, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return Broken // an answer that is neither a result nor an error
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return Broken
	}
	return Other
}

// unsent reports whether an attempt failed before its request left.
func unsent(err error) bool {
	if _, ok := errors.AsType[*smithy.OperationError](err); ok {
		return true // a call for the credentials, made before the one that needs them
	}
	if _, ok := errors.AsType[*garbled](err); ok {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	if untrusted(err) {
		return true
	}
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return false
	}
	return !cut(err) && statusOf(err) == 0 && codeOf(err) == ""
}

// untrusted reports whether the host's certificate was not accepted.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
