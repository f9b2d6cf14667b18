// Package ecr is what is Amazon ECR's own around the registry protocol:
// finding and creating repositories, or leaving that to ECR's templates, tokens for
// their registries, images by tag with what ECR knows of them, and which layers a
// repository has.
//
// It does NOT speak the registry protocol (a library does, given an
// [authn.Authenticator] from here), moves no layers and no manifests into ECR,
// and knows nothing of pipelines beyond the input names in its hints.
package ecr

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
)

// Options of a [Client]; the zero value will do.
type Options struct {
	Logger *slog.Logger // nil means silence

	// Mask is called with each secret as soon as it is known and before it is used:
	// the password for a registry, and user:password, whose base64 is the token. It
	// may be called from several goroutines at once; nil ignores them.
	Mask func(secrets ...string)
}

// Client calls ECR in the region of each repository, with the one identity of
// its configuration. It is safe for concurrent use.
type Client struct {
	cfg  aws.Config
	log  *slog.Logger
	mask func(secrets ...string)

	mu      sync.Mutex
	regions map[string]*region
}

// region is what the client keeps for each region: the API, and the token for
// the region's registries.
type region struct {
	api   *ecr.Client
	token *token
}

// New returns a client for cfg. Calls go to the region of the repository they
// are about; cfg's region is that of a repository given by its name alone.
func New(cfg aws.Config, o Options) *Client {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	mask := o.Mask
	if mask == nil {
		mask = func(...string) {}
	}
	return &Client{cfg: cfg, log: log, mask: mask, regions: make(map[string]*region)}
}

func (c *Client) region(name string) *region {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.regions[name]
	if r == nil {
		api := ecr.NewFromConfig(c.cfg, func(o *ecr.Options) {
			o.Region = name
			if standard, ok := o.Retryer.(aws.RetryerV2); ok {
				o.Retryer = finalLimits{standard}
			}
		})
		r = &region{api: api, token: newToken(api, c.mask)}
		c.regions[name] = r
	}
	return r
}

func (c *Client) api(regionName string) *ecr.Client { return c.region(regionName).api }

// callError says which action on which repository, image or registry went
// wrong. Where AWS refuses without naming the resource, it is named here: it is
// what a policy has to allow the action on.
func callError(subject, action, resource string, err error) error {
	if denied(err) && !strings.Contains(err.Error(), "on resource: ") {
		return fmt.Errorf("%s: %s denied on %s: %w", subject, action, resource, err)
	}
	return fmt.Errorf("%s: %s: %w", subject, action, err)
}

// The codes under which AWS refuses an action.
var deniedCodes = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}

func denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(deniedCodes, api.ErrorCode())
}

// optional returns nil for an empty string, as the API wants a member left out.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
