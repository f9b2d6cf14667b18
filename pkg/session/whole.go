package session

// Replies that end too soon. The SDK takes what it could not read to its end for an
// answer that it does not understand, and asks no further. Here every reply is read
// whole before it is understood, so that one that was cut off counts as a connection
// that was: for the calls of all services alike, which the SDK then makes again where
// it does so after any lost connection.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// mostAnswer bounds what is read of one reply, in bytes. No call that is made streams,
// and the largest replies are manifests and pages of log events.
const mostAnswer = 32 << 20

// whole reads the reply of each attempt to its end, next to the connection.
func whole(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("WholeReply",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			response, is := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !is || response.Body == nil {
				return out, metadata, err
			}
			body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
			response.Body.Close()
			response.Body = http.NoBody // the SDK reads what is left of a reply that failed
			switch {
			case err != nil && ctx.Err() != nil:
				return out, metadata, &aws.RequestCanceledError{Err: ctx.Err()}
			case err != nil:
				return out, metadata, &smithyhttp.RequestSendError{Err: fmt.Errorf("read the reply: %w", err)}
			case len(body) > mostAnswer:
				return out, metadata, fmt.Errorf("the reply has more than %d MiB", mostAnswer>>20)
			}
			response.Body = io.NopCloser(bytes.NewReader(body))
			return out, metadata, nil
		}), middleware.After)
}
