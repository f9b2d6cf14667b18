package azdo

// The resources. Every function is called with s.mu held.

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) resourceAreas(request) (any, error) {
	type area struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		LocationURL string `json:"locationUrl"`
	}
	if s.o.OnPremises {
		return collection([]area(nil)), nil
	}
	return collection([]area{
		{"5d6898bb-45ec-463f-95f9-54d49c71752e", "build", s.CollectionURL()},
		{"efc2f575-36ef-48e9-b672-0c6fb4a48ac5", "Release", s.ReleaseURL()},
	}), nil
}

// repositoryID is made of the name, so that equal names are equal repositories.
func repositoryID(name string) string { return fmt.Sprintf("%x-repository", name) }

func (s *Server) build(b *Build) map[string]any {
	out := map[string]any{
		"id": b.ID, "buildNumber": b.Number, "status": cmp.Or(b.Status, "inProgress"), "deleted": b.Deleted,
		"definition":    map[string]any{"id": b.DefinitionID, "name": b.Definition},
		"repository":    map[string]any{"id": repositoryID(b.Repository), "name": b.Repository, "type": cmp.Or(b.RepositoryType, "TfsGit")},
		"sourceVersion": b.Commit, "sourceBranch": "refs/heads/main",
		"queueTime": "0001-01-01T00:00:00", "tags": slices.Clone(b.Tags), "properties": map[string]any{},
	}
	if b.Result != "" {
		out["result"] = b.Result
	}
	return out
}

func number(text, name string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "VssPropertyValidationException", "%s %q is not a number", name, text)
	}
	return n, nil
}

func (s *Server) find(text string) (*Build, error) {
	id, err := number(text, "buildId")
	if err != nil {
		return nil, err
	}
	if b := s.builds[id]; b != nil {
		return b, nil
	}
	return nil, refuse(http.StatusNotFound, "BuildNotFoundException", "The requested build %d could not be found.", id)
}

func (s *Server) getBuilds(r request) (any, error) {
	if id := r.route["buildId"]; id != "" {
		b, err := s.find(id)
		if err != nil {
			return nil, err
		}
		return s.build(b), nil
	}
	var list []map[string]any
	ids := strings.Split(r.query.Get("buildIds"), ",")
	for _, id := range slices.Sorted(maps.Keys(s.builds)) {
		b := s.builds[id]
		if r.query.Has("buildIds") && !slices.Contains(ids, strconv.Itoa(id)) || b.Deleted && r.query.Get("deletedFilter") != "includeDeleted" {
			continue
		}
		list = append(list, s.build(b))
	}
	return collection(list), nil
}

// between returns the builds of the newer one's pipeline that lie after the older one, newest first.
func (s *Server) between(r request) (builds []*Build, top int, err error) {
	from, err := s.find(r.query.Get("fromBuildId"))
	if err != nil {
		return nil, 0, err
	}
	to, err := s.find(r.query.Get("toBuildId"))
	if err != nil {
		return nil, 0, err
	}
	top = 50
	if text := r.query.Get("$top"); text != "" {
		if top, err = number(text, "$top"); err == nil && top < 0 {
			err = refuse(http.StatusBadRequest, "VssPropertyValidationException", "$top %d is negative", top)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.builds)) {
		if b := s.builds[id]; id > from.ID && id <= to.ID && b.DefinitionID == to.DefinitionID {
			builds = append(builds, b)
		}
	}
	slices.Reverse(builds)
	return builds, top, nil
}

func (s *Server) changesBetween(r request) (any, error) {
	builds, top, err := s.between(r)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, b := range builds {
		for _, c := range b.Changes {
			message, truncated := c.Message, false
			if len(message) > 200 {
				message, truncated = message[:200], true
			}
			list = append(list, map[string]any{
				"id": c.ID, "message": message, "messageTruncated": truncated, "type": "TfsGit",
				"author": map[string]any{"displayName": c.Author}, "timestamp": c.Time.UTC().Format(time.RFC3339),
				"location":   s.o.URL + "/_apis/git/repositories/" + repositoryID(b.Repository) + "/commits/" + c.ID,
				"displayUri": s.o.URL + "/" + s.o.Project + "/_git/" + b.Repository + "/commit/" + c.ID,
			})
		}
	}
	return collection(list[:min(len(list), top)]), nil
}

func (s *Server) workItemsBetween(r request) (any, error) {
	builds, top, err := s.between(r)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, b := range builds {
		for _, id := range b.WorkItems {
			list = append(list, map[string]any{"id": strconv.Itoa(id), "url": s.o.URL + "/_apis/wit/workItems/" + strconv.Itoa(id)})
		}
	}
	return collection(list[:min(len(list), top)]), nil
}

func (s *Server) getWorkItems(r request) (any, error) {
	ids := strings.Split(r.query.Get("ids"), ",")
	if len(ids) > 200 {
		return nil, refuse(http.StatusBadRequest, "VssPropertyValidationException", "VS402337: at most 200 work items")
	}
	var list []any
	for _, text := range ids {
		id, err := number(text, "ids")
		if err != nil {
			return nil, err
		}
		w, ok := s.workItems[id]
		switch {
		case ok:
			list = append(list, map[string]any{"id": id, "rev": 1, "fields": map[string]any{"System.WorkItemType": w.Type, "System.Title": w.Title, "System.State": w.State}})
		case strings.EqualFold(r.query.Get("errorPolicy"), "omit"):
			list = append(list, nil)
		default:
			return nil, refuse(http.StatusNotFound, "WorkItemUnauthorizedAccessException", "TF401232: Work item %d does not exist, or you do not have permissions to read it.", id)
		}
	}
	return collection(list), nil
}

// tagForm is what tags may have so that every call that takes one in its path works, too.
var tagForm = regexp.MustCompile(`^[^:/\\?#%&*<>"|]{1,256}$`)

func (s *Server) addTags(r request) (any, error) {
	b, err := s.find(r.route["buildId"])
	if err != nil {
		return nil, err
	}
	var tags []string
	if err := decode(r.body, &tags); err != nil {
		return nil, err
	}
	for _, t := range tags {
		if !tagForm.MatchString(t) {
			return nil, refuse(http.StatusBadRequest, "ArgumentException", "The tag %q is not valid.", t)
		}
		if !slices.Contains(b.Tags, t) {
			b.Tags = append(b.Tags, t)
		}
	}
	return collection(slices.Clone(b.Tags)), nil
}

func (s *Server) patchProperties(r request) (any, error) {
	b, err := s.find(r.route["buildId"])
	if err != nil {
		return nil, err
	}
	var patch []struct {
		Op, Path, From string
		Value          any
	}
	if err := decode(r.body, &patch); err != nil {
		return nil, err
	}
	properties := maps.Clone(b.Properties)
	if properties == nil {
		properties = map[string]any{}
	}
	for _, p := range patch {
		name, ok := strings.CutPrefix(p.Path, "/")
		if !ok || name == "" || strings.Contains(name, "/") {
			return nil, refuse(http.StatusBadRequest, "VssPropertyValidationException", "%q is not the path of a property", p.Path)
		}
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch p.Op {
		case "add", "replace":
			properties[name] = p.Value
		case "remove":
			delete(properties, name)
		default:
			return nil, refuse(http.StatusBadRequest, "VssPropertyValidationException", "operation %q is not supported", p.Op)
		}
	}
	b.Properties = properties
	return collection([]string(nil)), nil
}

func (s *Server) timeline(r request) (any, error) {
	b, err := s.find(r.route["buildId"])
	if err != nil || b.Deleted {
		return nil, err // 204 for a deleted build
	}
	records := []map[string]any{}
	for _, t := range b.Timeline {
		record := map[string]any{"id": t.ID, "type": t.Type, "state": t.State, "result": nil, "parentId": nil}
		if t.ParentID != "" {
			record["parentId"] = t.ParentID
		}
		if t.Result != "" {
			record["result"] = t.Result
		}
		records = append(records, record)
	}
	return map[string]any{"id": PlanID, "changeId": 1, "records": records}, nil
}

func (l Lease) json() map[string]any {
	return map[string]any{"leaseId": l.ID, "ownerId": l.OwnerID, "runId": l.RunID, "definitionId": l.DefinitionID,
		"createdOn": time.Now().UTC().Format(time.RFC3339), "validUntil": "9999-12-31T23:59:59.9999999Z", "protectPipeline": false}
}

func (s *Server) getLeases(r request) (any, error) {
	if r.query.Has("runId") && !r.query.Has("definitionId") {
		return nil, refuse(http.StatusBadRequest, "VssPropertyValidationException", "runId requires definitionId")
	}
	var list []map[string]any
	for _, l := range s.leases {
		if r.query.Has("ownerId") && l.OwnerID != r.query.Get("ownerId") ||
			r.query.Has("definitionId") && strconv.Itoa(l.DefinitionID) != r.query.Get("definitionId") ||
			r.query.Has("runId") && strconv.Itoa(l.RunID) != r.query.Get("runId") {
			continue
		}
		list = append(list, l.json())
	}
	return collection(list), nil
}

func (s *Server) addLeases(r request) (any, error) {
	var wanted []struct {
		OwnerID         string `json:"ownerId"`
		RunID           int    `json:"runId"`
		DefinitionID    int    `json:"definitionId"`
		DaysValid       int    `json:"daysValid"`
		ProtectPipeline bool   `json:"protectPipeline"`
	}
	if err := decode(r.body, &wanted); err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, w := range wanted {
		b := s.builds[w.RunID]
		if b == nil || b.DefinitionID != w.DefinitionID || w.OwnerID == "" || w.DaysValid < 1 {
			return nil, refuse(http.StatusBadRequest, "InvalidBuildException", "The lease of run %d of definition %d is not valid", w.RunID, w.DefinitionID)
		}
		s.lastLease++
		l := Lease{ID: s.lastLease, RunID: w.RunID, DefinitionID: w.DefinitionID, DaysValid: w.DaysValid, OwnerID: w.OwnerID}
		s.leases = append(s.leases, l)
		list = append(list, l.json())
	}
	return collection(list), nil
}

func (s *Server) deleteLeases(r request) (any, error) {
	ids := strings.Split(r.query.Get("ids"), ",")
	s.leases = slices.DeleteFunc(s.leases, func(l Lease) bool { return slices.Contains(ids, strconv.Itoa(l.ID)) })
	return nil, nil
}

func (s *Server) queryPullRequests(r request) (any, error) {
	type query struct {
		Type  string   `json:"type"`
		Items []string `json:"items"`
	}
	var in struct {
		Queries []query `json:"queries"`
	}
	if err := decode(r.body, &in); err != nil {
		return nil, err
	}
	results := []map[string]any{}
	for _, q := range in.Queries {
		result := map[string]any{}
		for _, commit := range q.Items {
			var list []map[string]any
			for _, p := range s.pulls {
				if p.Merge == commit && q.Type == "lastMergeCommit" {
					list = append(list, map[string]any{"pullRequestId": p.ID, "title": p.Title, "createdBy": map[string]any{"displayName": p.Author}, "status": "completed"})
				}
			}
			if list != nil {
				result[commit] = list
			}
		}
		results = append(results, result)
	}
	return map[string]any{"queries": in.Queries, "results": results}, nil
}

type status struct {
	State       string
	Description string
	TargetURL   string `json:"targetUrl"`
	Context     struct{ Name, Genre string }
}

var states = []string{"notSet", "pending", "succeeded", "failed", "error", "notApplicable"}

// setStatus adds a status, or replaces the one with the same name and genre.
func (s *Server) setStatus(body []byte, of Status) (any, error) {
	var in status
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.Context.Name == "" || !slices.Contains(states, in.State) {
		return nil, refuse(http.StatusBadRequest, "InvalidArgumentValueException", "A status takes context.name and a state of %s", strings.Join(states, ", "))
	}
	of.State, of.Description, of.TargetURL, of.Name, of.Genre = in.State, in.Description, in.TargetURL, in.Context.Name, in.Context.Genre
	s.statuses = slices.DeleteFunc(s.statuses, func(o Status) bool {
		return o.Commit == of.Commit && o.PullRequest == of.PullRequest && o.Name == of.Name && o.Genre == of.Genre
	})
	s.statuses = append(s.statuses, of)
	return map[string]any{"id": len(s.statuses), "state": of.State, "context": map[string]any{"name": of.Name, "genre": of.Genre}}, nil
}

// repository refuses a repository that no build has: by id or name.
func (s *Server) repository(name string) error {
	for _, b := range s.builds {
		if b.Repository != "" && (b.Repository == name || repositoryID(b.Repository) == name) {
			return nil
		}
	}
	return refuse(http.StatusNotFound, "GitRepositoryNotFoundException", "TF401019: The Git repository with name or identifier %s does not exist or you do not have permissions for the operation you are attempting.", name)
}

// commitStatus: https://learn.microsoft.com/rest/api/azure/devops/git/statuses/create
func (s *Server) commitStatus(r request) (any, error) {
	if err := s.repository(r.route["repositoryId"]); err != nil {
		return nil, err
	}
	return s.setStatus(r.body, Status{Commit: r.route["commitId"]})
}

// pullRequestStatus: https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-statuses/create
func (s *Server) pullRequestStatus(r request) (any, error) {
	id, err := number(r.route["pullRequestId"], "pullRequestId")
	if err != nil {
		return nil, err
	}
	if err := s.repository(r.route["repositoryId"]); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(s.pulls, func(p PullRequest) bool { return p.ID == id }) {
		return nil, refuse(http.StatusNotFound, "GitPullRequestNotFoundException", "TF401180: The requested pull request was not found.")
	}
	return s.setStatus(r.body, Status{PullRequest: id})
}

// patchRelease changes what a release has beside its stages.
func (s *Server) patchRelease(r request) (any, error) {
	var in struct {
		Comment            *string   `json:"comment"`
		KeepForever        *bool     `json:"keepForever"`
		ManualEnvironments *[]string `json:"manualEnvironments"`
		Name               *string   `json:"name"`
		Status             *string   `json:"status"`
	}
	if err := decode(r.body, &in); err != nil {
		return nil, err
	}
	out, err := s.getRelease(r)
	if err != nil {
		return nil, err
	}
	if in.Name != nil {
		if strings.TrimSpace(*in.Name) == "" || len(*in.Name) > 256 {
			return nil, refuse(http.StatusBadRequest, "InvalidRequestException", "VS402877: The name of a release has 1 to 256 characters.")
		}
		id, _ := strconv.Atoi(r.route["releaseId"]) // getRelease has read it
		s.releases[id].Name = *in.Name
		out, err = s.getRelease(r)
	}
	return out, err
}

func (s *Server) getRelease(r request) (any, error) {
	id, err := number(r.route["releaseId"], "releaseId")
	if err != nil {
		return nil, err
	}
	release := s.releases[id]
	if release == nil {
		return nil, refuse(http.StatusNotFound, "ReleaseNotFoundException", "VS402881: No release found with ID %d.", id)
	}
	artifacts := []map[string]any{}
	for _, a := range release.Artifacts {
		b := s.builds[a.Build]
		if b == nil {
			b = &Build{}
		}
		artifacts = append(artifacts, map[string]any{
			"alias": a.Alias, "type": "Build", "isPrimary": a.Primary, "sourceId": projectID + ":" + strconv.Itoa(b.DefinitionID),
			"definitionReference": map[string]any{
				"project":    map[string]any{"id": projectID, "name": s.o.Project},
				"definition": map[string]any{"id": strconv.Itoa(b.DefinitionID), "name": b.Definition},
				"version":    map[string]any{"id": strconv.Itoa(a.Build), "name": b.Number},
			},
		})
	}
	return map[string]any{
		"id": release.ID, "name": release.Name, "status": "active", "artifacts": artifacts,
		"environments": []map[string]any{{"id": release.EnvironmentID, "name": "Production", "status": cmp.Or(release.Status, "inProgress")}},
	}, nil
}
