package azdo

// Marks that outlast the run: tags and properties of a build, the lease that keeps
// it from being deleted, the status of a commit and of a pull request.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	library "github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/webapi"
)

// TagName makes a build tag of a text: characters other than letters, digits, ".",
// "_" and "-" become "-". Others are refused by Azure DevOps or cannot be removed
// again. The result is empty where nothing is left.
func TagName(text string) string {
	tag := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, text)
	const limit = 256
	return strings.Trim(tag[:min(len(tag), limit)], "-.")
}

// AddTags adds tags to a build; those it has already stay. Each is passed through
// [TagName].
func (c *Client) AddTags(ctx context.Context, id int, tags ...string) error {
	names := make([]string, 0, len(tags))
	for _, t := range tags {
		if t = TagName(t); t != "" && !slices.Contains(names, t) {
			names = append(names, t)
		}
	}
	if len(names) == 0 {
		return nil
	}
	client := &library.ClientImpl{Client: c.client(c.base)}
	return c.call(ctx, fmt.Sprintf("tag build %d", id), editQuality, func(ctx context.Context) error {
		_, err := client.AddBuildTags(ctx, library.AddBuildTagsArgs{Project: &c.project, BuildId: &id, Tags: &names})
		return err
	})
}

// SetProperties sets properties of a build, and leaves its others.
func (c *Client) SetProperties(ctx context.Context, id int, properties map[string]string) error {
	if len(properties) == 0 {
		return nil
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1") // https://www.rfc-editor.org/rfc/rfc6901#section-3
	var patch []webapi.JsonPatchOperation
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		path := "/" + escape.Replace(name)
		patch = append(patch, webapi.JsonPatchOperation{Op: &webapi.OperationValues.Add, Path: &path, Value: properties[name]})
	}
	client := &library.ClientImpl{Client: c.client(c.base)}
	return c.call(ctx, fmt.Sprintf("set properties of build %d", id), updateBuild, func(ctx context.Context) error {
		_, err := client.UpdateBuildProperties(ctx, library.UpdateBuildPropertiesArgs{Project: &c.project, BuildId: &id, Document: &patch})
		return err
	})
}

// Forever is a lease's length in days that Azure DevOps shows as "forever".
const Forever = 36501

// Lease keeps a build from being deleted. The owner is a text of our own, such as
// "ecs-deploy:cluster/service", by which the lease is found again.
type Lease struct {
	Owner      string
	Definition int // id of the build's pipeline
	Build      int
	Days       int // [Forever] for no end
}

// Retain gives a build its owner's lease and takes it from the owner's other
// builds, those of another pipeline included. The new lease is there before the old one goes, so that
// something is always kept. Repeated, it changes nothing.
func (c *Client) Retain(ctx context.Context, l Lease) error {
	for attempt := 1; ; attempt++ {
		has, others, err := c.leases(ctx, l)
		if err != nil {
			return err
		}
		if !has {
			err = c.lease(ctx, l)
		}
		switch {
		case err != nil && attempt < attempts && passes(err) && !busy(err):
			continue // whether it is there is read, since a second one would stay
		case err != nil, len(others) == 0:
			return err
		}
		return c.call(ctx, "release the lease of the build before", retainBuild, func(ctx context.Context) error {
			client := &library.ClientImpl{Client: c.client(c.base)}
			return client.DeleteRetentionLeasesById(ctx, library.DeleteRetentionLeasesByIdArgs{Project: &c.project, Ids: &others})
		})
	}
}

// leases reads whether the owner has a lease of the build, and the ids of its others.
func (c *Client) leases(ctx context.Context, l Lease) (has bool, others []int, err error) {
	var held []library.RetentionLease
	err = c.call(ctx, fmt.Sprintf("leases of %s", l.Owner), viewBuilds, func(ctx context.Context) error {
		client := &library.ClientImpl{Client: c.client(c.base)}
		list, err := client.GetRetentionLeasesByOwnerId(ctx, library.GetRetentionLeasesByOwnerIdArgs{Project: &c.project, OwnerId: &l.Owner})
		held = value(list)
		return err
	})
	for _, h := range held {
		switch {
		case value(h.OwnerId) != l.Owner || h.LeaseId == nil: // not what was asked for
		case value(h.RunId) == l.Build:
			has = true
		default:
			others = append(others, *h.LeaseId)
		}
	}
	return has, others, err
}

// lease adds the owner's lease of the build.
func (c *Client) lease(ctx context.Context, l Lease) error {
	protect := false
	return c.callOnce(ctx, fmt.Sprintf("retain build %d", l.Build), retainBuild, func(ctx context.Context) error {
		client := &library.ClientImpl{Client: c.client(c.base)}
		_, err := client.AddRetentionLeases(ctx, library.AddRetentionLeasesArgs{Project: &c.project, NewLeases: &[]library.NewRetentionLease{{
			OwnerId: &l.Owner, RunId: &l.Build, DefinitionId: &l.Definition, DaysValid: &l.Days, ProtectPipeline: &protect,
		}}})
		return err
	})
}

// State is that of a commit or pull request.
type State string

// The states.
const (
	Pending   State = "pending"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Errored   State = "error"
)

// Status is what is shown beside a commit or a pull request of Azure Repos. One
// with the same name and genre replaces an earlier one.
type Status struct {
	State       State
	Name        string // required, such as "production"
	Genre       string // such as "ecs-deploy"
	Description string
	URL         string // of the details
}

// SetCommitStatus sets the status of a commit.
func (c *Client) SetCommitStatus(ctx context.Context, repositoryID, commit string, s Status) error {
	client := &git.ClientImpl{Client: c.client(c.base)}
	state := git.GitStatusState(s.State)
	return c.call(ctx, "set the status of commit "+commit, contributeCode, func(ctx context.Context) error {
		_, err := client.CreateCommitStatus(ctx, git.CreateCommitStatusArgs{Project: &c.project, RepositoryId: &repositoryID, CommitId: &commit, GitCommitStatusToCreate: &git.GitStatus{
			State: &state, Context: &git.GitStatusContext{Name: &s.Name, Genre: &s.Genre}, Description: &s.Description, TargetUrl: optional(s.URL),
		}})
		return err
	})
}

// SetPullRequestStatus sets the status of a pull request.
func (c *Client) SetPullRequestStatus(ctx context.Context, repositoryID string, id int, s Status) error {
	client := &git.ClientImpl{Client: c.client(c.base)}
	state := git.GitStatusState(s.State)
	return c.call(ctx, fmt.Sprintf("set the status of pull request %d", id), contributePulls, func(ctx context.Context) error {
		_, err := client.CreatePullRequestStatus(ctx, git.CreatePullRequestStatusArgs{Project: &c.o.Project, RepositoryId: &repositoryID, PullRequestId: &id, Status: &git.GitPullRequestStatus{
			State: &state, Context: &git.GitStatusContext{Name: &s.Name, Genre: &s.Genre}, Description: &s.Description, TargetUrl: optional(s.URL),
		}})
		return err
	})
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
