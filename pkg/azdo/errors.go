package azdo

// Errors in plain words, and the permissions that calls take.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
)

// Error is a call that failed.
type Error struct {
	Op     string // what was asked for: "tag build 1042"
	Status int    // of the answer; 0 where there was none
	Text   string // what Azure DevOps, or the network, said

	Denied     bool   // access was denied
	Permission string // that the call takes; empty where that is not known
	hint       string
	spent      bool // the budget was spent before the call
	err        error
}

func (e *Error) Error() string {
	if e.Denied && e.Permission != "" {
		return fmt.Sprintf("Azure DevOps: %s: access denied (requires %q): %s", e.Op, e.Permission, e.Text)
	}
	return fmt.Sprintf("Azure DevOps: %s: %s", e.Op, e.Text)
}

// Hint says where a missing permission is granted; it may be empty.
func (e *Error) Hint() string { return e.hint }

func (e *Error) Unwrap() error { return e.err }

// NotFound reports whether err says that the thing does not exist, or may not be seen.
func NotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

// permission is a right of Azure DevOps by the name that its pages show, and the
// page where it is granted.
type permission struct{ name, where string }

const pipelineSecurity = "Pipelines, the pipeline, More actions, Manage security"

// Which right a call takes is documented for tags and statuses. For properties and
// leases it is the one that the corresponding action on the page takes.
// https://learn.microsoft.com/azure/devops/organizations/security/permissions
var (
	viewBuilds      = permission{"View builds", pipelineSecurity}
	editQuality     = permission{"Edit build quality", pipelineSecurity}
	updateBuild     = permission{"Update build information", pipelineSecurity}
	retainBuild     = permission{"Retain indefinitely", pipelineSecurity}
	viewWorkItems   = permission{"View work items in this node", "Project settings, Project configuration, Areas, Security"}
	readCode        = permission{"Read", "Project settings, Repositories, the repository, Security"}
	contributeCode  = permission{"Contribute", "Project settings, Repositories, the repository, Security"}
	contributePulls = permission{"Contribute to pull requests", "Project settings, Repositories, the repository, Security"}
	manageReleases  = permission{"Manage releases", "Releases, the release pipeline, Security"}
	viewReleases    = permission{"View releases", "Releases, the release pipeline, Security"}
)

// hint names the identities that a job may run as.
func (c *Client) hint(p permission) string {
	if p.name == "" {
		return ""
	}
	project := c.o.Project
	if project == "" {
		project = "PROJECT"
	}
	return fmt.Sprintf(`grant %q under "%s" to the identity of the job: "%s Build Service (%s)", or "Project Collection Build Service (%s)" where the job authorization scope is not limited to the project`,
		p.name, p.where, project, c.owner, c.owner)
}

// deniedCodes are those of errors that say so whatever the status is.
var deniedCodes = []string{"TF215106", "TF400813", "TF401019", "TF401027", "VS402904", "VS800075"}

// explain makes an [Error] of what the library returns. It may be a pointer or a
// value of its error type, for one and the same answer.
func (c *Client) explain(what string, p permission, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: what, Text: err.Error(), err: err}
	var pointer *azuredevops.WrappedError
	var plain azuredevops.WrappedError
	var request *url.Error
	page, isPage := asPage(err)
	switch {
	case isPage:
		e.Status, e.Text, e.Denied = page.status, page.Error(), page.signIn
	case errors.As(err, &pointer) && pointer != nil:
		e.wrapped(*pointer)
	case errors.As(err, &plain):
		e.wrapped(plain)
	case errors.Is(err, context.DeadlineExceeded):
		e.Text = "no answer in time"
	case isUnregistered(err):
		e.Status, e.Text = http.StatusNotFound, "this server does not offer it"
	case isSyntax(err):
		e.Text = "the answer is not JSON"
	case errors.As(err, &request):
		e.Text = "not reachable: " + request.Err.Error() // without the URL
	}
	if e.Denied {
		e.Permission, e.hint = p.name, c.hint(p)
		if page != nil {
			e.hint = strings.TrimSuffix("the job's token was not accepted: it ends with the job, and a project's or an organization's policy may restrict it; "+e.hint, "; ")
		}
	}
	return e
}

func (e *Error) wrapped(w azuredevops.WrappedError) {
	e.Status, e.Text = value(w.StatusCode), strings.TrimSpace(w.Error())
	if e.Text == "" {
		e.Text = fmt.Sprintf("HTTP %d", e.Status)
	}
	e.Denied = e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
		value(w.TypeKey) == "AccessDeniedException" ||
		slices.ContainsFunc(deniedCodes, func(code string) bool { return strings.HasPrefix(e.Text, code) })
}

func isUnregistered(err error) bool {
	if _, ok := errors.AsType[*azuredevops.LocationIdNotRegisteredError](err); ok {
		return true
	}
	_, ok := errors.AsType[azuredevops.LocationIdNotRegisteredError](err)
	return ok
}

func isSyntax(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind
}
