package azdo

// The answers whose types in the library hang together with hundreds of others:
// linked, those would be most of what this package adds to the executable. Here
// are the members that are used. Requests, versions and errors stay the library's.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

// The ids of the resources, as the library and OPTIONS have them.
var (
	buildsID    = uuid.MustParse("0cd358e1-9217-4d94-8269-1c1ee6f93dcf")
	timelineID  = uuid.MustParse("8baac422-4c6e-4de5-8532-db96d92acffa")
	pullsID     = uuid.MustParse("b3a6eebe-9cf0-49ea-b6cb-1a4c5f5007b0")
	releasesID  = uuid.MustParse("a166fde7-27ad-408e-ba75-703c2cc9d500")
	releaseArea = uuid.MustParse("efc2f575-36ef-48e9-b672-0c6fb4a48ac5")
)

type build struct {
	ID            int    `json:"id"`
	BuildNumber   string `json:"buildNumber"`
	Status        string `json:"status"`
	SourceVersion string `json:"sourceVersion"`
	SourceBranch  string `json:"sourceBranch"`
	Deleted       bool   `json:"deleted"`
	Definition    struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	} `json:"definition"`
	Repository struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"repository"`
}

type record struct {
	ID       string `json:"id"`
	ParentID string `json:"parentId"`
	State    string `json:"state"`
}

type pull struct {
	ID        int    `json:"pullRequestId"`
	Title     string `json:"title"`
	CreatedBy struct {
		DisplayName string `json:"displayName"`
	} `json:"createdBy"`
}

type pullQuery struct {
	Queries []pullInput         `json:"queries"`
	Results []map[string][]pull `json:"results,omitempty"`
}

type pullInput struct {
	Type  string   `json:"type"`
	Items []string `json:"items"`
}

type release struct {
	Status       string `json:"status"`
	Environments []struct {
		ID     int    `json:"id"`
		Status string `json:"status"`
	} `json:"environments"`
	Artifacts []struct {
		Alias               string `json:"alias"`
		Type                string `json:"type"`
		IsPrimary           bool   `json:"isPrimary"`
		DefinitionReference map[string]struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"definitionReference"`
	} `json:"artifacts"`
}

// resource is one call.
type resource struct {
	base    string
	id      uuid.UUID
	version string // 7.1-preview.N
	project string
	route   map[string]string // beside the project
	query   url.Values
	body    any    // nil: GET
	method  string // of a call with a body; empty is POST
}

// ask makes a call and decodes its answer.
func (c *Client) ask(ctx context.Context, r resource, answer any) error {
	route := map[string]string{"project": r.project}
	for name, v := range r.route {
		route[name] = v
	}
	method, mediaType, body := http.MethodGet, "", io.Reader(nil)
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return err
		}
		method, mediaType, body = cmp.Or(r.method, http.MethodPost), "application/json", bytes.NewReader(text)
	}
	client := c.client(r.base)
	response, err := client.Send(ctx, method, r.id, r.version, route, r.query, body, mediaType, "application/json", nil)
	if err != nil {
		return err
	}
	return client.UnmarshalBody(response, answer)
}

func (c *Client) askBuild(ctx context.Context, project string, id int) (b build, err error) {
	err = c.ask(ctx, resource{base: c.base, id: buildsID, version: "7.1-preview.7", project: project, route: map[string]string{"buildId": strconv.Itoa(id)}}, &b)
	return b, err
}

func (c *Client) askBuilds(ctx context.Context, project string, ids ...int) ([]build, error) {
	var list struct {
		Value []build `json:"value"`
	}
	text := ""
	for _, id := range ids {
		text += "," + strconv.Itoa(id)
	}
	err := c.ask(ctx, resource{base: c.base, id: buildsID, version: "7.1-preview.7", project: project,
		query: url.Values{"buildIds": {text[1:]}, "deletedFilter": {"includeDeleted"}}}, &list)
	return list.Value, err
}

func (c *Client) askTimeline(ctx context.Context, project string, id int) ([]record, error) {
	var timeline struct {
		Records []record `json:"records"`
	}
	err := c.ask(ctx, resource{base: c.base, id: timelineID, version: "7.1-preview.2", project: project, route: map[string]string{"buildId": strconv.Itoa(id)}}, &timeline)
	return timeline.Records, err
}

func (c *Client) askPulls(ctx context.Context, project, repository string, commits []string) ([]map[string][]pull, error) {
	var answer pullQuery
	err := c.ask(ctx, resource{base: c.base, id: pullsID, version: "7.1-preview.1", project: project, route: map[string]string{"repositoryId": repository},
		body: pullQuery{Queries: []pullInput{{"lastMergeCommit", commits}, {"commit", commits}}}}, &answer)
	return answer.Results, err
}

// renameRelease gives the release of this run another name.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/releases/update-release-resource
func (c *Client) renameRelease(ctx context.Context, base, name string) error {
	var answer struct{}
	return c.ask(ctx, resource{base: base, id: releasesID, version: "7.1-preview.8", project: c.o.Project, route: map[string]string{"releaseId": strconv.Itoa(c.o.Release)},
		method: http.MethodPatch, body: map[string]string{"name": name}}, &answer)
}

func (c *Client) askRelease(ctx context.Context, base string) (r release, err error) {
	err = c.ask(ctx, resource{base: base, id: releasesID, version: "7.1-preview.8", project: c.o.Project, route: map[string]string{"releaseId": strconv.Itoa(c.o.Release)}}, &r)
	return r, err
}
