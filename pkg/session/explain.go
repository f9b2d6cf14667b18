package session

// AWS errors in plain words. Pure: it looks at an error and at nothing else.
// The statement that grants a denied action is written in grant.go.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// Explain says in plain words what an error of AWS means, and what to do about
// it. It knows denied actions (the hint holds the statement that would grant
// them), ended sessions, keys that AWS does not know, clocks that are off, hosts
// that cannot be found or reached, throttling, and the absence of credentials.
//
// What the caller put around the SDK's own text ("describe service web: ") stays
// around the message. An error that has a method Hint() string keeps that hint.
// Any other error comes back as its own text, with hint "". The errors of an
// [errors.Join] are explained one by one, a line each.
//
// Both results may hold text from outside, so neither is fit to be printed as it is.
func Explain(err error) (message, hint string) {
	if err == nil {
		return "", ""
	}
	if list := joined(err); len(list) > 0 {
		return explainAll(list)
	}
	if cancelled(err) {
		return err.Error(), ""
	}
	for _, explain := range explanations {
		if message, hint, ok := explain(err); ok {
			return message, hint
		}
	}
	return err.Error(), ""
}

// explanations are tried in order; each reports whether the error is of its
// kind. A denial comes under many codes, so its text is read before any code.
var explanations = []func(error) (message, hint string, ok bool){
	explainOwn,
	explainExpired,
	explainDenied,
	explainCode,
	explainNetwork,
}

func explainAll(list []error) (message, hint string) {
	var messages, hints []string
	for _, err := range list {
		m, h := Explain(err)
		messages = append(messages, m)
		if h != "" && !slices.Contains(hints, h) {
			hints = append(hints, h)
		}
	}
	return strings.Join(messages, "\n"), strings.Join(hints, "\n")
}

// joined returns the parts of an [errors.Join], not those of a sentence that
// wraps several errors.
func joined(err error) []error {
	list, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(list.Unwrap()...).Error() {
		return nil
	}
	return list.Unwrap()
}

// cancelled tells the end of a context from the SDK's own time limits, which
// count as exceeded deadlines too.
func cancelled(err error) bool {
	var byClient *aws.RequestCanceledError
	var byStack *smithy.CanceledError
	return errors.Is(err, context.Canceled) || errors.As(err, &byClient) || errors.As(err, &byStack)
}

func explainOwn(err error) (message, hint string, ok bool) {
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) {
		return "", "", false
	}
	return err.Error(), hinted.Hint(), true
}

// Hint says where credentials can come from.
func (*NoCredentialsError) Hint() string {
	return "give awsCredentials a service connection of type AWS, or set the variables AWS.AccessKeyID and AWS.SecretAccessKey, " +
		"or run on an agent that has a role of its own; a connection that holds only a role needs such an agent too"
}

// denial is the form that refusals of IAM have in all services:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
// The registry of ECR sends it too, inside its own error format.
var denial = regexp.MustCompile(`(?:User: )?(\S+) is not authorized to perform: ([\w-]+:[\w*]+)` +
	`(?: on resource: "?([^\s"]+)"?)?((?: with an explicit deny| because no )[^\r\n]*)?`)

var deniedCodes = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException"}

func explainDenied(err error) (message, hint string, ok bool) {
	if m := denial.FindStringSubmatch(err.Error()); m != nil {
		d := denied{who: m[1], action: m[2], resource: m[3], why: m[4]}
		return around(err, m[0], d.String()), d.hint(), true
	}
	var api smithy.APIError
	if !errors.As(err, &api) || !slices.Contains(deniedCodes, api.ErrorCode()) {
		return "", "", false
	}
	d := denied{action: actionOf(err)}
	if d.action == "" {
		return "", "", false
	}
	plain := d.String()
	if api.ErrorMessage() != "" {
		plain += " (" + api.ErrorMessage() + ")"
	}
	return around(err, api.Error(), plain), d.hint(), true
}

// meanings of the error codes that say something about the caller rather than
// about a resource. The first group is common to all services:
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
var meanings = []struct {
	codes         []string
	text          *regexp.Regexp // what the service's message has to say as well; nil: anything
	message, hint string
}{
	{
		codes:   expiredCodes,
		message: "the AWS session has ended",
		hint: "the session token of the service connection (awsCredentials), of AWS.SessionToken or of the agent is past its end: " +
			"renew it, or use keys or a role, whose sessions are renewed here",
	},
	{
		codes:   []string{"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure", "InvalidToken", "MissingAuthenticationToken"},
		message: "AWS does not know these access keys",
		hint: "check the access key id and the session token in the service connection (awsCredentials) or in AWS.AccessKeyID and AWS.SessionToken: " +
			"the key may be deleted, inactive or of another partition, or the region not enabled for the account",
	},
	{
		codes:   []string{"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"},
		message: clockMessage,
		hint:    clockHint,
	},
	{
		codes:   []string{"SignatureDoesNotMatch", "InvalidSignatureException"},
		text:    regexp.MustCompile(`(?i)signature (expired|not yet current)`),
		message: clockMessage,
		hint:    clockHint,
	},
	{
		codes:   []string{"SignatureDoesNotMatch", "InvalidSignatureException"},
		text:    regexp.MustCompile(`(?i)valid region`),
		message: "the endpoint belongs to another region",
		hint:    "region: use that of the endpoint, or take AWS_ENDPOINT_URL out of the agent's environment",
	},
	{
		codes:   []string{"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException"},
		message: "the secret access key does not belong to the access key id",
		hint:    "enter the secret access key again in the service connection (awsCredentials) or in AWS.SecretAccessKey; mind spaces and line breaks",
	},
	{
		codes:   []string{"RegionDisabledException", "OptInRequired"},
		message: "the region is not enabled for this account",
		hint:    "region: enable it for the account, or use another one",
	},
	{
		codes:   []string{"ValidationError"},
		text:    regexp.MustCompile(`MaxSessionDuration|session limit for roles`),
		message: "the role does not allow a session that long",
		hint:    "lower the variable aws.rolecredential.maxduration, or raise the role's maximum session duration; sessions are renewed, so 3600 is enough",
	},
	{
		codes: []string{"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
			"TooManyRequestsException", "RequestLimitExceeded"},
		message: "AWS is still throttling this account's calls after several attempts",
		hint:    "other pipelines or tools call the same API in this account and region; run the step again when they are done",
	},
}

const (
	clockMessage = "the clock of this agent differs too much from AWS's"
	clockHint    = "set the agent's clock, for example with NTP"
)

func explainCode(err error) (message, hint string, ok bool) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "", "", false
	}
	for _, m := range meanings {
		if slices.Contains(m.codes, api.ErrorCode()) && (m.text == nil || m.text.MatchString(api.ErrorMessage())) {
			return around(err, api.Error(), m.message+" ("+api.ErrorCode()+")"), m.hint, true
		}
	}
	return "", "", false
}

func explainNetwork(err error) (message, hint string, ok bool) {
	var (
		request *url.Error
		name    *net.DNSError
		dial    *net.OpError
		badCert *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
	)
	if !errors.As(err, &request) {
		return "", "", false
	}
	host := request.URL
	if u, err := url.Parse(request.URL); err == nil && u.Host != "" {
		host = u.Host
	}
	explained := func(plain, hint string) (string, string, bool) {
		return around(err, request.Error(), plain), hint, true
	}
	switch isDial := errors.As(err, &dial); {
	case isDial && dial.Op == "proxyconnect":
		return explained(fmt.Sprintf("%s: the proxy does not answer: %v", host, dial.Err),
			"check HTTPS_PROXY and NO_PROXY, and the proxy that this agent was configured with")
	case errors.As(err, &name):
		return explained(fmt.Sprintf("%s: no such host", host), noHostHint(host))
	case errors.As(err, &badCert), errors.As(err, &unknown):
		return explained(fmt.Sprintf("%s: its certificate is not trusted: %v", host, request.Err),
			"behind a proxy that inspects TLS, set AWS_CA_BUNDLE to a file with the proxy's certificate authority (NODE_EXTRA_CA_CERTS and the agent's own --sslcacert count, too)")
	case request.Timeout():
		return explained(fmt.Sprintf("%s: no answer in time", host),
			"can this agent reach that host? Check the firewall, HTTPS_PROXY, and VPC endpoints; check region too")
	case isDial:
		return explained(fmt.Sprintf("%s: not reachable: %v", host, dial.Err),
			"can this agent reach that host? Check the firewall, HTTPS_PROXY, VPC endpoints, and AWS_ENDPOINT_URL if it is set")
	}
	return "", "", false
}

// hostRegion finds the region's label in a service's host name.
var hostRegion = regexp.MustCompile(`\.([a-z]{2,}(?:-[a-z]+)+-\d{1,2})\.`)

// noHostHint does not speak of AWS: the host may be that of another registry.
func noHostHint(host string) string {
	const reach = "this agent's name server does not know that host, and HTTPS_PROXY names no proxy that does"
	if m := hostRegion.FindStringSubmatch(host); m != nil {
		return fmt.Sprintf("region: is %s right, and does it offer this service? If so, %s", m[1], reach)
	}
	return reach
}

// around puts plain words where the SDK's text stood in the error's own, and
// keeps what the caller wrote before and after. The SDK's text is that of the
// outermost operation, or, where the caller or nobody wrapped it, inner, or the
// service's own words.
func around(err error, inner, plain string) string {
	var texts []string
	var op *smithy.OperationError
	if errors.As(err, &op) {
		texts = append(texts, op.Error())
	}
	texts = append(texts, inner)
	var api smithy.APIError
	if errors.As(err, &api) {
		texts = append(texts, api.ErrorMessage())
	}
	for _, text := range texts {
		if before, after, found := strings.Cut(err.Error(), text); found && text != "" {
			return before + plain + after
		}
	}
	return plain
}
