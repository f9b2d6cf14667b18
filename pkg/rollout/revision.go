package rollout

// Task definition revisions over the wire, without loss. The SDK's typed
// structs drop every member that is newer than they are, so the JSON bodies
// themselves are read and sent; the SDK still signs, retries and finds the
// endpoint.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecsdeploy/pkg/taskdef"
)

// Definition reads a task definition with its tags. ref is a family (its
// newest active revision), family:revision, or an ARN.
func (c *Client) Definition(ctx context.Context, ref string) (taskdef.Definition, error) {
	var body []byte
	_, err := c.api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(ref),
		Include:        []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	}, capture(&body))
	if err != nil {
		if code := codeOf(err); code == "ClientException" || code == "InvalidParameterException" {
			return taskdef.Definition{}, &Problem{Input: "taskDefinition", Message: fmt.Sprintf("there is no task definition %q in %s (%s)", ref, c.region, apiMessage(err)),
				Advice: "give latest, running, family:revision, an ARN or a file"}
		}
		return taskdef.Definition{}, during("describe task definition "+ref, err)
	}
	d, err := taskdef.Parse(body)
	return d, during("describe task definition "+ref, err)
}

// Register registers d as the next revision of its family and returns it as
// ECS stored it. Throttling, and ECS's refusal to register two revisions of a
// family at once, are retried.
func (c *Client) Register(ctx context.Context, d taskdef.Definition) (taskdef.Definition, error) {
	var body []byte
	_, err := c.api.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		// Only what the SDK insists on before it serialises; replaced below.
		Family:               aws.String(d.Family()),
		ContainerDefinitions: []types.ContainerDefinition{},
	}, patience, send(d.RegisterInput()), capture(&body))
	if err != nil {
		return taskdef.Definition{}, during("register task definition "+d.Family(), err)
	}
	stored, err := taskdef.Parse(body)
	return stored, during("register task definition "+d.Family(), err)
}

// capture keeps the body of the answer before the SDK decodes it.
func capture(body *[]byte) func(*ecs.Options) {
	return func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			// Added last, so it runs nearest to the transport: before decoding.
			return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("CaptureBody", func(
				ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
			) (middleware.DeserializeOutput, middleware.Metadata, error) {
				out, meta, err := next.HandleDeserialize(ctx, in)
				response, ok := out.RawResponse.(*smithyhttp.Response)
				if err != nil || !ok {
					return out, meta, err
				}
				read, err := io.ReadAll(response.Body)
				if err = errors.Join(err, response.Body.Close()); err != nil {
					return out, meta, err
				}
				*body = read
				response.Body = io.NopCloser(bytes.NewReader(read))
				return out, meta, nil
			}), middleware.After)
		})
	}
}

// send replaces the serialised request by body, before it is signed.
func send(body []byte) func(*ecs.Options) {
	return func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("SendBody", func(
				ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler,
			) (middleware.SerializeOutput, middleware.Metadata, error) {
				request, ok := in.Request.(*smithyhttp.Request)
				if !ok {
					return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("request is a %T, not HTTP", in.Request)
				}
				request, err := request.SetStream(bytes.NewReader(body))
				if err != nil {
					return middleware.SerializeOutput{}, middleware.Metadata{}, err
				}
				in.Request = request
				return next.HandleSerialize(ctx, in)
			}), middleware.After)
		})
	}
}
