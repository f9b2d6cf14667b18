package azdo

// What lies between two builds: commits, work items and pull requests as plain
// values, with caps.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	library "github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/workitemtracking"
)

// The caps of [Client.Between].
const (
	MaxChanges      = 200
	MaxWorkItems    = 100
	MaxPullRequests = 100
)

// Difference is what lies between two builds.
type Difference struct {
	From, To Build

	// Removed says that To is the older build: what is listed leaves the service.
	Removed bool

	Changes      []Change // newest first
	WorkItems    []WorkItem
	PullRequests []PullRequest

	MoreChanges   bool // there are more than [MaxChanges]
	MoreWorkItems bool // there are more than [MaxWorkItems]

	// Problems say why something is missing: [*GoneError], [*DeletedError],
	// [*OtherRepositoryError] and [*Error].
	Problems []error

	project string
}

// Build is one build.
type Build struct {
	ID             int
	Number         string // 20260105.2
	Definition     string
	DefinitionID   int
	Repository     string // its name; may be empty
	RepositoryID   string
	RepositoryType string // TfsGit, GitHub, …
	Commit         string
	Branch         string
	Deleted        bool
	URL            string // of its page
}

// Change is a commit, or a changeset.
type Change struct {
	ID     string // the SHA-1 of a commit
	Author string
	Title  string // the first line of the message
	Time   time.Time
	URL    string // of its page; may be empty
}

// WorkItem is a work item. Type, Title and State are empty where they may not be seen.
type WorkItem struct {
	ID                 int
	Type, Title, State string
	URL                string // of its page
}

// PullRequest is a pull request of Azure Repos or of GitHub.
type PullRequest struct {
	ID            int
	Title, Author string
	URL           string // of its page
}

// GoneError says that a build does not exist any more.
type GoneError struct{ Build int }

func (e *GoneError) Error() string {
	return fmt.Sprintf("Azure DevOps: build %d does not exist any more, or may not be seen: what lies between the builds is unknown", e.Build)
}

// DeletedError says that a build was deleted, and that Azure DevOps has no list of what
// lies between it and the other one: an empty list of theirs does not say that nothing does.
type DeletedError struct{ Build int }

func (e *DeletedError) Error() string {
	return fmt.Sprintf("Azure DevOps: build %d was deleted: what lies between the builds is unknown", e.Build)
}

// OtherRepositoryError says that the builds are of different repositories.
type OtherRepositoryError struct{ From, To string }

func (e *OtherRepositoryError) Error() string {
	return fmt.Sprintf("Azure DevOps: the builds are of different repositories (%s, %s): what lies between them has no list", e.From, e.To)
}

// Between returns what lies between the build that runs and the one that comes:
// the changes after from, up to and including to. Where to is the older one, as
// in a rollback, it is what is taken out. The project is that of the builds, by
// name or id; an empty one is the run's. Between never fails: what could not be
// found out is in Problems. It makes up to five calls.
func (c *Client) Between(ctx context.Context, project string, from, to int) Difference {
	d := Difference{From: Build{ID: from}, To: Build{ID: to}, Removed: to < from, project: cmp.Or(project, c.o.Project)}
	if from == to {
		return d
	}
	client := &library.ClientImpl{Client: c.client(c.base)}
	if !c.readBuilds(ctx, &d) {
		return d
	}
	older, newer := min(from, to), max(from, to)
	c.readChanges(ctx, client, &d, older, newer)
	for _, b := range []Build{d.From, d.To} {
		if b.Deleted && len(d.Changes) == 0 && len(d.Problems) == 0 {
			d.problem(&DeletedError{b.ID})
		}
	}
	c.readWorkItems(ctx, client, &d, older, newer)
	c.readPullRequests(ctx, &d)
	return d
}

func (d *Difference) problem(err error) bool {
	if err != nil {
		d.Problems = append(d.Problems, err)
	}
	return err != nil
}

// readBuilds completes From and To, and reports whether they can be compared.
func (c *Client) readBuilds(ctx context.Context, d *Difference) bool {
	var list []build
	err := c.call(ctx, fmt.Sprintf("builds %d and %d", d.From.ID, d.To.ID), viewBuilds, func(ctx context.Context) (err error) {
		list, err = c.askBuilds(ctx, d.project, d.From.ID, d.To.ID)
		return err
	})
	if d.problem(err) {
		return false
	}
	for _, b := range []*Build{&d.From, &d.To} {
		i := slices.IndexFunc(list, func(l build) bool { return l.ID == b.ID })
		if i < 0 {
			d.problem(&GoneError{b.ID})
			continue
		}
		*b = c.build(d.project, list[i])
	}
	if len(d.Problems) > 0 {
		return false
	}
	if d.From.RepositoryID != "" && d.To.RepositoryID != "" && d.From.RepositoryID != d.To.RepositoryID {
		d.problem(&OtherRepositoryError{d.From.repository(), d.To.repository()})
		return false
	}
	return true
}

// Build reads a build.
func (c *Client) Build(ctx context.Context, id int) (b Build, err error) {
	err = c.call(ctx, fmt.Sprintf("build %d", id), viewBuilds, func(ctx context.Context) error {
		read, err := c.askBuild(ctx, c.project, id)
		if err == nil && read.ID != id {
			err = errors.New("the answer of Azure DevOps is not this build")
		}
		b = c.build(c.project, read)
		return err
	})
	return b, err
}

// InAzureRepos reports whether the build's sources are in a Git repository of Azure
// DevOps itself.
func (b Build) InAzureRepos() bool { return strings.EqualFold(b.RepositoryType, "TfsGit") }

func (b Build) repository() string {
	if b.Repository != "" {
		return b.Repository
	}
	return b.RepositoryID
}

func (c *Client) build(project string, b build) Build {
	return Build{
		ID:             b.ID,
		Number:         b.BuildNumber,
		Definition:     b.Definition.Name,
		DefinitionID:   b.Definition.ID,
		Repository:     b.Repository.Name,
		RepositoryID:   b.Repository.ID,
		RepositoryType: b.Repository.Type,
		Commit:         b.SourceVersion,
		Branch:         b.SourceBranch,
		Deleted:        b.Deleted,
		URL:            c.BuildURL(project, b.ID),
	}
}

// BuildURL is the page of a build of a project; an empty one is the run's.
func (c *Client) BuildURL(project string, id int) string {
	return c.page(cmp.Or(project, c.o.Project), "_build/results?buildId="+strconv.Itoa(id))
}

func (c *Client) page(project, path string) string {
	return c.base + "/" + url.PathEscape(project) + "/" + path
}

func (c *Client) readChanges(ctx context.Context, client *library.ClientImpl, d *Difference, older, newer int) {
	top := MaxChanges + 1 // one more than is shown, because the answer does not say that there are more
	d.problem(c.call(ctx, fmt.Sprintf("changes between builds %d and %d", older, newer), viewBuilds, func(ctx context.Context) error {
		list, err := client.GetChangesBetweenBuilds(ctx, library.GetChangesBetweenBuildsArgs{Project: &d.project, FromBuildId: &older, ToBuildId: &newer, Top: &top})
		if err != nil {
			return err
		}
		for _, l := range value(list) {
			title, _, _ := strings.Cut(strings.TrimSpace(value(l.Message)), "\n")
			d.Changes = append(d.Changes, Change{
				ID:     value(l.Id),
				Author: value(value(l.Author).DisplayName),
				Title:  strings.TrimSpace(title),
				Time:   value(l.Timestamp).Time,
				URL:    webURL(value(l.DisplayUri)),
			})
		}
		return nil
	}))
	if d.MoreChanges = len(d.Changes) > MaxChanges; d.MoreChanges {
		d.Changes = d.Changes[:MaxChanges]
	}
}

func (c *Client) readWorkItems(ctx context.Context, client *library.ClientImpl, d *Difference, older, newer int) {
	top := MaxWorkItems + 1
	var ids []int
	failed := d.problem(c.call(ctx, fmt.Sprintf("work items between builds %d and %d", older, newer), viewBuilds, func(ctx context.Context) error {
		list, err := client.GetWorkItemsBetweenBuilds(ctx, library.GetWorkItemsBetweenBuildsArgs{Project: &d.project, FromBuildId: &older, ToBuildId: &newer, Top: &top})
		if err != nil {
			return err
		}
		for _, l := range value(list) {
			if id, err := strconv.Atoi(value(l.Id)); err == nil {
				ids = append(ids, id)
			}
		}
		return nil
	}))
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if d.MoreWorkItems = len(ids) > MaxWorkItems; d.MoreWorkItems {
		ids = ids[:MaxWorkItems]
	}
	if failed || len(ids) == 0 {
		return
	}
	for _, id := range ids {
		d.WorkItems = append(d.WorkItems, WorkItem{ID: id, URL: c.page(d.project, "_workitems/edit/"+strconv.Itoa(id))})
	}
	fields := []string{"System.WorkItemType", "System.Title", "System.State"}
	d.problem(c.call(ctx, "titles of work items", viewWorkItems, func(ctx context.Context) error {
		boards := &workitemtracking.ClientImpl{Client: c.client(c.base)}
		list, err := boards.GetWorkItems(ctx, workitemtracking.GetWorkItemsArgs{
			Project: &d.project, Ids: &ids, Fields: &fields, ErrorPolicy: &workitemtracking.WorkItemErrorPolicyValues.Omit,
		})
		if err != nil {
			return err
		}
		for _, l := range value(list) {
			i := slices.IndexFunc(d.WorkItems, func(w WorkItem) bool { return w.ID == value(l.Id) })
			if i < 0 {
				continue
			}
			field := func(name string) string { text, _ := value(l.Fields)[name].(string); return text }
			d.WorkItems[i].Type, d.WorkItems[i].Title, d.WorkItems[i].State = field(fields[0]), field(fields[1]), field(fields[2])
		}
		return nil
	}))
}

// readPullRequests finds the pull requests that brought the changes: Azure Repos
// is asked, other repositories name them in the messages of commits.
func (c *Client) readPullRequests(ctx context.Context, d *Difference) {
	if len(d.Changes) == 0 {
		return
	}
	if !strings.EqualFold(d.To.RepositoryType, "TfsGit") || d.To.RepositoryID == "" {
		d.PullRequests = pullRequestsInTitles(d.Changes, d.To.RepositoryType)
		return
	}
	commits := make([]string, 0, MaxPullRequests)
	for _, change := range d.Changes[:min(len(d.Changes), MaxPullRequests)] {
		commits = append(commits, change.ID)
	}
	if d.problem(c.call(ctx, "pull requests of the changes", readCode, func(ctx context.Context) error {
		results, err := c.askPulls(ctx, d.project, d.To.RepositoryID, commits)
		if err != nil {
			return err
		}
		for _, byCommit := range results {
			for _, list := range byCommit {
				for _, p := range list {
					d.addPullRequest(c, p)
				}
			}
		}
		slices.SortFunc(d.PullRequests, func(a, b PullRequest) int { return b.ID - a.ID })
		return nil
	})) {
		d.PullRequests = pullRequestsInTitles(d.Changes, d.To.RepositoryType)
	}
}

func (d *Difference) addPullRequest(c *Client, p pull) {
	id := p.ID
	if id == 0 || len(d.PullRequests) >= MaxPullRequests || slices.ContainsFunc(d.PullRequests, func(o PullRequest) bool { return o.ID == id }) {
		return
	}
	repository := d.To.Repository
	if repository == "" {
		repository = d.To.RepositoryID
	}
	d.PullRequests = append(d.PullRequests, PullRequest{
		ID:     id,
		Title:  p.Title,
		Author: p.CreatedBy.DisplayName,
		URL:    c.page(d.project, "_git/"+url.PathEscape(repository)+"/pullrequest/"+strconv.Itoa(id)),
	})
}

// webURL is a link that a browser opens, without userinfo; anything else is dropped.
func webURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	u.User = nil
	return u.String()
}

// Artifact is a build that a classic release deploys.
type Artifact struct {
	Alias     string
	Primary   bool
	Project   string // id
	Build     int    // 0 where the artifact is not a build of Azure Pipelines
	Number    string
	BuildName string // of the build pipeline
}

// Artifacts returns what the classic release of this run deploys.
func (c *Client) Artifacts(ctx context.Context) ([]Artifact, error) {
	release, err := c.readRelease(ctx)
	if err != nil {
		return nil, err
	}
	var list []Artifact
	for _, a := range release.Artifacts {
		version := a.DefinitionReference["version"]
		artifact := Artifact{
			Alias:     a.Alias,
			Primary:   a.IsPrimary,
			Project:   a.DefinitionReference["project"].ID,
			BuildName: a.DefinitionReference["definition"].Name,
		}
		if n, err := strconv.Atoi(version.ID); err == nil && a.Type == "Build" {
			artifact.Build, artifact.Number = n, version.Name
		}
		list = append(list, artifact)
	}
	return list, nil
}

func notFound(what string) error {
	return &Error{Op: what, Status: http.StatusNotFound, Text: "not found"}
}
