package ecs

// Task definition revisions over the wire, without loss. The SDK's typed structs
// drop every member that is newer than they are, so the JSON bodies themselves
// are read and sent; the SDK still signs, retries and finds the endpoint.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// Definition reads a task definition with its tags. ref is a family (its newest
// active revision), family:revision, or an ARN. A revision that was read before
// is not read again when it is asked for by its full ARN; its status may have
// changed since: see [Client.Fresh].
//
// One that does not exist is a [*mistake.Error] that is absent.
func (c *Client) Definition(ctx context.Context, ref string) (taskdef.Definition, error) {
	c.mu.Lock()
	known, ok := c.definitions[ref]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	return c.Fresh(ctx, ref)
}

// Fresh is Definition as ECS has it now, for whoever depends on its status or
// its tags.
func (c *Client) Fresh(ctx context.Context, ref string) (taskdef.Definition, error) {
	what := "describe task definition " + ref
	var body []byte
	_, err := call(ctx, what, needed, c.api.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(ref),
		Include:        []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	}, capture(&body))
	if code := codeOf(err); Classify(err) == Invalid && (code == "ClientException" || code == "InvalidParameterException") {
		m := mistake.New(mistake.TaskDefinition, "give latest, running, family:revision, an ARN or a file",
			"there is no task definition %q in %s (%s)", ref, c.Region(), apiMessage(err))
		m.Absent = true
		return taskdef.Definition{}, m
	}
	if err != nil {
		return taskdef.Definition{}, err
	}
	d, err := c.stored("DescribeTaskDefinition", body)
	if err == nil && !isAnswer(d, ref) {
		err = &incomplete{"DescribeTaskDefinition", fmt.Sprintf("it is about %s", d)}
	}
	if err != nil {
		return taskdef.Definition{}, during(what, err)
	}
	return d, nil
}

// isAnswer reports whether d is what ref asks for. The ARN of a revision is compared
// as a whole.
func isAnswer(d taskdef.Definition, ref string) bool {
	name := ShortARN(ref)
	if strings.HasPrefix(ref, "arn:") && strings.Contains(name, ":") {
		return ref == d.ARN()
	}
	return name == d.String() || name == d.Family()
}

// stored reads a task definition from a reply of the operation and keeps it.
func (c *Client) stored(operation string, body []byte) (taskdef.Definition, error) {
	d, err := taskdef.Parse(body)
	switch {
	case err != nil:
		return taskdef.Definition{}, &incomplete{operation, err.Error()}
	case d.ARN() == "":
		return taskdef.Definition{}, &incomplete{operation, "no taskDefinitionArn"}
	case d.Revision() < 1:
		return taskdef.Definition{}, &incomplete{operation, "no revision"}
	case !strings.HasPrefix(d.ARN(), "arn:") || ShortARN(d.ARN()) != d.String():
		// What is deployed is named by this ARN.
		return taskdef.Definition{}, &incomplete{operation, fmt.Sprintf("its taskDefinitionArn %q is not of %s", d.ARN(), d)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.definitions[d.ARN()] = d
	return d, nil
}

// Register registers d as the next revision of its family and returns it as ECS
// stored it.
//
// RegisterTaskDefinition makes a revision each time it is called. After a
// failure that may have made one, the newest revisions of the family are read, and
// one is taken if it is newer than the one that d was made from and equals d, its
// tags included; otherwise d is sent once more.
func (c *Client) Register(ctx context.Context, d taskdef.Definition) (taskdef.Definition, error) {
	stored, err := c.register(ctx, d)
	for again := true; Ambiguous(err) && ctx.Err() == nil; again = false {
		made, found, unread := c.made(ctx, d)
		switch {
		case found:
			return made, nil
		case unread != nil && !mistake.Absent(unread), !again:
			return taskdef.Definition{}, err
		}
		stored, err = c.register(ctx, d)
	}
	return stored, err
}

// mostMeanwhile is how many revisions others may have registered since, of which the
// newest are read.
const mostMeanwhile = 5

// made looks for the revision that a call without an answer may have made of d.
func (c *Client) made(ctx context.Context, d taskdef.Definition) (revision taskdef.Definition, found bool, err error) {
	revision, err = c.Fresh(ctx, d.Family())
	if err != nil {
		return taskdef.Definition{}, false, err
	}
	newest := revision.Revision()
	for n := newest; n > max(d.Revision(), newest-mostMeanwhile); n-- {
		if n < newest {
			if revision, err = c.Fresh(ctx, fmt.Sprintf("%s:%d", d.Family(), n)); mistake.Absent(err) {
				continue
			}
		}
		if err != nil {
			return taskdef.Definition{}, false, err
		}
		if sameRevision(revision, d) {
			return revision, true, nil
		}
	}
	return taskdef.Definition{}, false, nil
}

// register makes the call once.
func (c *Client) register(ctx context.Context, d taskdef.Definition) (taskdef.Definition, error) {
	what := "register task definition " + d.Family()
	var body []byte
	_, err := call(ctx, what, once, c.api.RegisterTaskDefinition, &ecs.RegisterTaskDefinitionInput{
		// Only what the SDK insists on before it serialises; replaced below.
		Family:               aws.String(d.Family()),
		ContainerDefinitions: []types.ContainerDefinition{},
	}, send(d.RegisterInput()), capture(&body))
	if err != nil {
		return taskdef.Definition{}, err
	}
	stored, err := c.stored("RegisterTaskDefinition", body)
	if err == nil && stored.Family() != d.Family() {
		err = &incomplete{"RegisterTaskDefinition", fmt.Sprintf("it is about %s", stored)}
	}
	if err != nil {
		return taskdef.Definition{}, ambiguous(what, err)
	}
	return stored, nil
}

// sameRevision reports whether ECS made the revision of what was sent.
func sameRevision(revision, sent taskdef.Definition) bool {
	return taskdef.Equal(revision, sent) && maps.Equal(ownTags(revision), ownTags(sent))
}

// ownTags are the tags that are not AWS's.
func ownTags(d taskdef.Definition) map[string]string {
	own := map[string]string{}
	for _, t := range d.Tags() {
		if !strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			own[t.Key] = t.Value
		}
	}
	return own
}

// Deregister makes a revision INACTIVE. Services that are set to it go on.
func (c *Client) Deregister(ctx context.Context, arn string) error {
	_, err := call(ctx, "deregister task definition "+ShortARN(arn), idempotent, c.api.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{
		TaskDefinition: aws.String(arn),
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.definitions, arn)
	return err
}

// Revisions yields the ARNs of a family's revisions, newest first: the ACTIVE
// ones, or the INACTIVE ones. Each page is read when it is needed; an error is
// the last that is yielded.
func (c *Client) Revisions(ctx context.Context, family string, inactive bool) iter.Seq2[string, error] {
	what := "list revisions of " + family
	status := types.TaskDefinitionStatusActive
	if inactive {
		status = types.TaskDefinitionStatusInactive
	}
	return pages(what, "ListTaskDefinitions", func(token string) (page[string], error) {
		out, err := call(ctx, what, needed, c.api.ListTaskDefinitions, &ecs.ListTaskDefinitionsInput{
			FamilyPrefix: aws.String(family), // matches whole families only, in spite of its name
			Sort:         types.SortOrderDesc,
			Status:       status,
			NextToken:    optionalToken(token),
		})
		if err != nil {
			return page[string]{}, err
		}
		p := page[string]{next: aws.ToString(out.NextToken)}
		for _, arn := range out.TaskDefinitionArns {
			if name, _, _ := strings.Cut(ShortARN(arn), ":"); name == family {
				p.items = append(p.items, arn)
			}
		}
		return p, nil
	})
}

// capture keeps the body of the answer before the SDK decodes it.
func capture(body *[]byte) func(*ecs.Options) {
	return func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			// Added last, so it runs nearest to the transport: before decoding.
			return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("CaptureBody", func(
				ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
			) (middleware.DeserializeOutput, middleware.Metadata, error) {
				*body = nil // of an attempt before
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
