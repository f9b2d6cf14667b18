package session

// How calls are made: time limits, retries, and where the SDK's own log lines go.

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/logging"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/network"
)

// Limits for one attempt. No call made with this client streams, so the whole of
// a request may be bounded too.
const (
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	headerTimeout  = 30 * time.Second
	requestTimeout = time.Minute
)

// maxAttempts for one call, the first included. ECS answers bursts with
// throttling for some seconds; eight attempts spread over about half a minute
// outlast that, where the SDK's three give up after two seconds.
const maxAttempts = 8

// newHTTPClient stays the SDK's own buildable client: only to that can the SDK
// add AWS_CA_BUNDLE, and from that it makes its impatient client for instance
// metadata. Proxies and authorities are those of the network's settings.
func newHTTPClient(settings *network.Settings) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = tlsTimeout
			t.ResponseHeaderTimeout = headerTimeout
			settings.Apply(t)
		}).
		WithTimeout(requestTimeout)
}

// setRetries leaves AWS_RETRY_MODE and AWS_MAX_ATTEMPTS to whoever set them.
// The mode is standard, not adaptive: adaptive slows down every operation of a
// client because one of them was throttled, so a refused RegisterTaskDefinition
// would blind the watch on a rollout. The pauses are those of the calls of ECS: the
// SDK's own may add up to a few seconds or to a minute, so that of two equal runs
// one outlasts what the other does not.
func setRetries(cfg *aws.Config) {
	if cfg.RetryMode == "" {
		cfg.RetryMode = aws.RetryModeStandard
	}
	if cfg.RetryMode == aws.RetryModeStandard {
		cfg.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.Backoff = ecs.Backoff{} })
		}
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = maxAttempts
	}
}

// sdkLogger hands the SDK's log lines (retries, warnings) on as debug messages.
type sdkLogger struct {
	ctx context.Context
	log *slog.Logger
}

// WithContext lets the SDK log under the context of the call.
func (l sdkLogger) WithContext(ctx context.Context) logging.Logger { return sdkLogger{ctx, l.log} }

// Logf never logs above debug: what matters comes back as an error as well.
func (l sdkLogger) Logf(class logging.Classification, format string, args ...any) {
	if l.log.Enabled(l.ctx, slog.LevelDebug) {
		args = slices.Clone(args)
		for i, arg := range args {
			if err, is := arg.(error); is {
				args[i] = withoutOutput(err)
			}
		}
		l.log.DebugContext(l.ctx, fmt.Sprintf(format, args...), "sdk", string(class))
	}
}
