package azdo_test

// The client against the emulated server, of Services and of Server.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/azdo"
	emulator "ecsdeploy/pkg/emulator/azdo"
)

// names makes each server's URL another one: the library remembers the resources
// of a URL for as long as the process lives.
var names atomic.Int64

// repository is the id that the emulator gives the repository chat.
var repository = fmt.Sprintf("%x-repository", "chat")

func newServer(t *testing.T, o emulator.Options) *emulator.Server {
	t.Helper()
	n := names.Add(1)
	if o.OnPremises {
		o.URL = fmt.Sprintf("https://tfs%d.example.com/tfs/Default Collection", n)
		o.URL = strings.ReplaceAll(o.URL, " ", "%20")
	} else {
		o.URL, o.ReleaseURL = fmt.Sprintf("https://dev.azure.com/org%d", n), fmt.Sprintf("https://vsrm.dev.azure.com/org%d", n)
	}
	s := emulator.New(o)
	s.AddBuild(emulator.Build{ID: 10, Number: "20260105.1", DefinitionID: 17, Definition: "chat-app", Repository: "chat", Commit: "c10"})
	s.AddBuild(emulator.Build{ID: 11, Number: "20260105.2", DefinitionID: 17, Definition: "chat-app", Repository: "chat", Commit: "c11",
		Changes:   []emulator.Change{{ID: "c11", Message: "Merged PR 5: Fix the login\n\nRelated work items: #7", Author: "Ada Lovelace", Time: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}},
		WorkItems: []int{7}})
	s.AddBuild(emulator.Build{ID: 12, Number: "20260105.3", DefinitionID: 17, Definition: "chat-app", Repository: "chat", Commit: "c12",
		Changes:   []emulator.Change{{ID: "c12", Message: "Add <b>emoji</b>", Author: "Grace Hopper", Time: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)}},
		WorkItems: []int{7, 8},
		Timeline: []emulator.Record{
			{ID: "00000000-0000-0000-0000-000000000001", Type: "Stage", State: "inProgress"},
			{ID: emulator.JobID, ParentID: "00000000-0000-0000-0000-000000000001", Type: "Job", State: "inProgress"},
		}})
	s.AddWorkItem(emulator.WorkItem{ID: 7, Type: "Bug", Title: "Login fails", State: "Resolved"})
	s.AddPullRequest(emulator.PullRequest{ID: 5, Title: "Fix the login", Author: "Ada Lovelace", Merge: "c11"})
	s.AddRelease(emulator.Release{ID: 3, Name: "Release-3", EnvironmentID: 31, Artifacts: []emulator.Artifact{{Alias: "_chat", Build: 12, Primary: true}}})
	return s
}

func newClient(t *testing.T, s *emulator.Server, change ...func(*azdo.Options)) *azdo.Client {
	t.Helper()
	o := azdo.Options{
		CollectionURL: s.CollectionURL(), Project: s.Project(), Token: s.Token(), Build: 12, Job: emulator.JobID,
		OIDC: azdo.OIDC{RequestURI: s.OIDCRequestURI()}, Transport: s.Transport(),
	}
	for _, c := range change {
		c(&o)
	}
	c, err := azdo.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// both runs a test against Services and against Server.
func both(t *testing.T, test func(t *testing.T, s *emulator.Server)) {
	for _, o := range []emulator.Options{{}, {OnPremises: true}} {
		t.Run(map[bool]string{false: "Services", true: "Server"}[o.OnPremises], func(t *testing.T) { test(t, newServer(t, o)) })
	}
}

func TestNew(t *testing.T) {
	for _, o := range []azdo.Options{
		{Token: "t"}, {CollectionURL: "dev.azure.com/org", Token: "t"}, {CollectionURL: "ftp://x/", Token: "t"}, {CollectionURL: "https://dev.azure.com/org"},
	} {
		if _, err := azdo.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	_, err := azdo.New(azdo.Options{CollectionURL: "https://u:hunter2@%zz/", Token: "t"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestBetween(t *testing.T) {
	both(t, func(t *testing.T, s *emulator.Server) {
		page := s.CollectionURL() + "Example/"
		d := newClient(t, s).Between(t.Context(), "", 10, 12)
		if len(d.Problems) != 0 {
			t.Fatalf("problems %v", d.Problems)
		}
		if d.Removed || d.From.Number != "20260105.1" || d.To.Number != "20260105.3" || d.To.URL != page+"_build/results?buildId=12" {
			t.Errorf("from %+v to %+v", d.From, d.To)
		}
		if want := []azdo.Change{
			{ID: "c12", Author: "Grace Hopper", Title: "Add <b>emoji</b>", Time: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC), URL: page + "_git/chat/commit/c12"},
			{ID: "c11", Author: "Ada Lovelace", Title: "Merged PR 5: Fix the login", Time: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), URL: page + "_git/chat/commit/c11"},
		}; !reflect.DeepEqual(d.Changes, want) {
			t.Errorf("changes %+v", d.Changes)
		}
		if want := []azdo.WorkItem{{7, "Bug", "Login fails", "Resolved", page + "_workitems/edit/7"}, {8, "", "", "", page + "_workitems/edit/8"}}; !reflect.DeepEqual(d.WorkItems, want) {
			t.Errorf("work items %+v", d.WorkItems)
		}
		if want := []azdo.PullRequest{{5, "Fix the login", "Ada Lovelace", page + "_git/chat/pullrequest/5"}}; !reflect.DeepEqual(d.PullRequests, want) {
			t.Errorf("pull requests %+v", d.PullRequests)
		}

		back := newClient(t, s).Between(t.Context(), "", 12, 10)
		if !back.Removed || len(back.Changes) != 2 || back.From.ID != 12 {
			t.Errorf("back: %+v", back)
		}
		other := newClient(t, s).Between(t.Context(), "Other", 10, 12)
		if e, ok := errors.AsType[*azdo.Error](errors.Join(other.Problems...)); !ok || !e.Denied || !strings.Contains(e.Text, "VS800075") {
			t.Errorf("another project: %v", other.Problems)
		}
		if same := newClient(t, s).Between(t.Context(), "", 12, 12); len(same.Changes)+len(same.Problems) != 0 {
			t.Errorf("same: %+v", same)
		}
	})
}

// One question for the resources of a server comes before all others, and no more.
func TestRequests(t *testing.T) {
	s := newServer(t, emulator.Options{})
	c := newClient(t, s)
	c.Between(t.Context(), "", 10, 12)
	c.Between(t.Context(), "", 10, 12)
	options := 0
	for _, r := range s.Requests() {
		if r.Method == http.MethodOptions {
			options++
		}
	}
	if len(s.Requests()) != 11 || options != 1 {
		t.Errorf("%d requests, %d of them OPTIONS; want 11 and 1", len(s.Requests()), options)
	}
}

func TestBetweenCapped(t *testing.T) {
	s := newServer(t, emulator.Options{})
	b := emulator.Build{ID: 13, DefinitionID: 17, Repository: "chat"}
	for i := range 500 {
		b.Changes = append(b.Changes, emulator.Change{ID: fmt.Sprintf("d%d", i), Message: "m"})
		b.WorkItems = append(b.WorkItems, 1000+i)
	}
	s.AddBuild(b)
	d := newClient(t, s).Between(t.Context(), "", 12, 13)
	if len(d.Changes) != azdo.MaxChanges || !d.MoreChanges || len(d.WorkItems) != azdo.MaxWorkItems || !d.MoreWorkItems || len(d.Problems) != 0 {
		t.Errorf("%d changes, %d work items, %v", len(d.Changes), len(d.WorkItems), d.Problems)
	}
}

func TestBetweenProblems(t *testing.T) {
	both(t, func(t *testing.T, s *emulator.Server) {
		s.AddBuild(emulator.Build{ID: 13, DefinitionID: 18, Repository: "other"})
		s.AddBuild(emulator.Build{ID: 9, DefinitionID: 17, Repository: "chat", Deleted: true})
		c := newClient(t, s)

		d := c.Between(t.Context(), "", 1, 12)
		if gone, ok := errors.AsType[*azdo.GoneError](errors.Join(d.Problems...)); !ok || gone.Build != 1 || len(d.Problems) != 1 {
			t.Errorf("a build that is gone: %v", d.Problems)
		}
		d = c.Between(t.Context(), "", 9, 12)
		if len(d.Problems) != 0 || !d.From.Deleted || len(d.Changes) != 2 {
			t.Errorf("a deleted build: %+v", d)
		}
		for _, pair := range [][2]int{{9, 10}, {10, 9}} { // the list of a deleted build is empty
			d = c.Between(t.Context(), "", pair[0], pair[1])
			if gone, ok := errors.AsType[*azdo.DeletedError](errors.Join(d.Problems...)); !ok || gone.Build != 9 || len(d.Problems) != 1 {
				t.Errorf("a deleted build without changes: %v", d.Problems)
			}
		}
		d = c.Between(t.Context(), "", 12, 13)
		if other, ok := errors.AsType[*azdo.OtherRepositoryError](errors.Join(d.Problems...)); !ok || other.From != "chat" || other.To != "other" {
			t.Errorf("another repository: %v", d.Problems)
		}

		s.Deny("View work items in this node")
		s.Deny("Read")
		d = c.Between(t.Context(), "", 10, 12)
		if len(d.Problems) != 2 || len(d.Changes) != 2 || len(d.WorkItems) != 2 || d.WorkItems[0].Title != "" {
			t.Fatalf("denied titles and pull requests: %+v", d)
		}
		for i, permission := range []string{"View work items in this node", "Read"} {
			e, ok := errors.AsType[*azdo.Error](d.Problems[i])
			if !ok || !e.Denied || e.Permission != permission || !strings.Contains(e.Error(), fmt.Sprintf("access denied (requires %q)", permission)) ||
				!strings.Contains(e.Hint(), "Build Service (") || !strings.Contains(e.Hint(), "Project settings") {
				t.Errorf("%v, hint %q", d.Problems[i], e.Hint())
			}
		}
	})
}

func TestMarks(t *testing.T) {
	both(t, func(t *testing.T, s *emulator.Server) {
		c, ctx := newClient(t, s), t.Context()
		for range 2 { // a step may run again
			if err := errors.Join(
				c.AddTags(ctx, 12, "deployed-Prod/eu #1", "", "//"),
				c.SetProperties(ctx, 12, map[string]string{"ecs-deploy/outcome~": "succeeded"}),
				c.Retain(ctx, azdo.Lease{Owner: "ecs-deploy:main/web", Definition: 17, Build: 12, Days: azdo.Forever}),
				c.SetCommitStatus(ctx, repository, "c12", azdo.Status{State: azdo.Succeeded, Name: "production", Genre: "ecs-deploy", URL: "https://x"}),
				c.SetPullRequestStatus(ctx, repository, 5, azdo.Status{State: azdo.Pending, Name: "production"}),
			); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Build(12); !slices.Equal(got.Tags, []string{"deployed-Prod-eu--1"}) || got.Properties["ecs-deploy/outcome~"] != "succeeded" {
			t.Errorf("%+v", got)
		}
		if got := s.Leases(); len(got) != 1 || got[0].RunID != 12 {
			t.Errorf("leases %+v", got)
		}
		if got := s.Statuses(); len(got) != 2 || got[0].State != "succeeded" || got[1].PullRequest != 5 {
			t.Errorf("statuses %+v", got)
		}
		if err := c.Retain(ctx, azdo.Lease{Owner: "ecs-deploy:main/web", Definition: 17, Build: 11, Days: 1}); err != nil {
			t.Fatal(err)
		}
		s.AddBuild(emulator.Build{ID: 13, DefinitionID: 18, Definition: "other", Repository: "other", Commit: "c13"})
		if err := c.Retain(ctx, azdo.Lease{Owner: "ecs-deploy:main/web", Definition: 18, Build: 13, Days: azdo.Forever}); err != nil {
			t.Fatal(err)
		}
		if got := s.Leases(); len(got) != 1 || got[0].RunID != 13 {
			t.Errorf("after a build of another pipeline: leases %+v", got)
		}
		if err := c.Retain(ctx, azdo.Lease{Owner: "ecs-deploy:main/web", Definition: 17, Build: 11, Days: 1}); err != nil {
			t.Fatal(err)
		}
		if b, err := c.Build(ctx, 12); err != nil || b.DefinitionID != 17 || b.RepositoryID != repository || b.Commit != "c12" || !b.InAzureRepos() {
			t.Errorf("%+v, %v", b, err)
		}
		for _, err := range []error{
			c.SetCommitStatus(ctx, "none", "c12", azdo.Status{State: azdo.Failed, Name: "n"}), c.SetPullRequestStatus(ctx, repository, 6, azdo.Status{State: azdo.Failed, Name: "n"}), c.RenameRelease(ctx, "a"),
		} {
			if !azdo.NotFound(err) {
				t.Error(err)
			}
		}
		if got := s.Leases(); len(got) != 1 || got[0].RunID != 11 {
			t.Errorf("after a rollback: leases %+v", got)
		}
	})
}

func TestPermissions(t *testing.T) {
	for permission, do := range map[string]func(context.Context, *azdo.Client) error{
		"Edit build quality": func(ctx context.Context, c *azdo.Client) error { return c.AddTags(ctx, 12, "a") },
		"Update build information": func(ctx context.Context, c *azdo.Client) error {
			return c.SetProperties(ctx, 12, map[string]string{"a": "b"})
		},
		"Retain indefinitely": func(ctx context.Context, c *azdo.Client) error {
			return c.Retain(ctx, azdo.Lease{Owner: "o", Definition: 17, Build: 12, Days: 1})
		},
		"Contribute": func(ctx context.Context, c *azdo.Client) error {
			return c.SetCommitStatus(ctx, repository, "c", azdo.Status{State: azdo.Failed, Name: "n"})
		},
		"Contribute to pull requests": func(ctx context.Context, c *azdo.Client) error {
			return c.SetPullRequestStatus(ctx, repository, 5, azdo.Status{State: azdo.Failed, Name: "n"})
		},
		"Manage releases": func(ctx context.Context, c *azdo.Client) error { return c.RenameRelease(ctx, "a") },
		"View builds":     func(ctx context.Context, c *azdo.Client) error { _, err := c.Cancelled(ctx); return err },
	} {
		s := newServer(t, emulator.Options{})
		s.Deny(permission)
		c := newClient(t, s, func(o *azdo.Options) {
			if permission == "Manage releases" {
				o.Build, o.Release = 0, 3
			}
		})
		err := do(t.Context(), c)
		e, ok := errors.AsType[*azdo.Error](err)
		if !ok || !e.Denied || e.Permission != permission || e.Status != http.StatusForbidden || e.Hint() == "" {
			t.Errorf("%s: %v", permission, err)
			continue
		}
		if !c.FirstTime(err) || c.FirstTime(do(t.Context(), c)) {
			t.Errorf("%s: told more than once", permission)
		}
	}
}

func TestRenameRelease(t *testing.T) {
	for name, o := range map[string]emulator.Options{"Services": {}, "Server": {OnPremises: true}} {
		s := newServer(t, o)
		c := newClient(t, s, func(o *azdo.Options) { o.Build, o.Release = 0, 3 })
		if err := c.RenameRelease(t.Context(), "Release-3 (build 12)"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.Release(3).Name; got != "Release-3 (build 12)" {
			t.Errorf("%s: %q", name, got)
		}
		if err := c.RenameRelease(t.Context(), ""); err == nil {
			t.Errorf("%s: a release without a name", name)
		}
	}
}

// What is not JSON never comes out as a syntax error.
func TestPages(t *testing.T) {
	for name, o := range map[string]emulator.Options{
		"203": {Refusal: emulator.SignInPage}, "401 page": {Refusal: emulator.HTML401}, "401 JSON": {Refusal: emulator.JSON401}, "Server": {OnPremises: true},
	} {
		s := newServer(t, o)
		c := newClient(t, s, func(o *azdo.Options) { o.Token = "expired" })
		_, err := c.Cancelled(t.Context())
		e, ok := errors.AsType[*azdo.Error](err)
		if !ok || !e.Denied || !strings.Contains(err.Error(), "access denied") || strings.Contains(err.Error(), "invalid character") || !strings.Contains(e.Hint(), `"View builds"`) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.IDToken(t.Context(), ""); err == nil || !o.OnPremises && !strings.Contains(err.Error(), "denied") && !strings.Contains(err.Error(), "TF400813") {
			t.Errorf("%s: token: %v", name, err)
		} else if e, ok := errors.AsType[*azdo.Error](err); ok && strings.HasSuffix(e.Hint(), "; ") {
			t.Errorf("%s: token: the hint %q has no end", name, e.Hint())
		}
	}
	for _, f := range []emulator.Fault{
		{Path: "/Builds", Status: 302, Header: http.Header{"Location": {"https://dev.azure.com/_signin"}}},
		{Path: "/Builds", Status: 502, ContentType: "text/html", Body: "<html>Bad Gateway</html>"},
		{Path: "/Builds", Status: 200, ContentType: "text/html", Body: "<html>proxy</html>"},
		{Path: "/Builds", Status: 200, Body: "{"},
		{Path: "/Builds", Status: 200, Body: "[]"},
		{Path: "/Builds", Status: 500, Body: ""},
		{Path: "/Builds", Status: 429, ContentType: "text/plain", Body: "slow down"},
		{Path: "/Builds", Status: 404, Body: `{"count":1,"value":{"Message":"no such thing"}}`},
		{Path: "OPTIONS ", Status: 200, Body: `{"count":1,"value":[{}]}`},
		{Path: "OPTIONS ", Status: 200, Body: `{"count":0,"value":[]}`},
		{Path: "OPTIONS ", Status: 200, Body: `{"count":1,"value":[{"id":"0cd358e1-9217-4d94-8269-1c1ee6f93dcf"}]}`},
		{Path: "OPTIONS ", Status: 200, Body: strings.Repeat(" ", 9<<20)},
	} {
		s := newServer(t, emulator.Options{})
		s.Fail(f)
		_, err := newClient(t, s).Cancelled(t.Context())
		if _, ok := errors.AsType[*azdo.Error](err); !ok || strings.Contains(err.Error(), "invalid character") {
			t.Errorf("%+v: %v", f.Status, err)
		}
	}
}

// TestRefusalsKeepTheirStatus: an error is what its status says, whatever its body is.
func TestRefusalsKeepTheirStatus(t *testing.T) {
	for _, body := range []string{"", "  ", "null", "{}", "[]", "{", `"no"`, `{"message":5}`, `{"message":"no","errorCode":"none"}`, `{"message":"no","innerException":"x"}`, `{"count":1,"value":"no"}`, "no \xff"} {
		for _, contentType := range []string{"", "text/plain", "application/octet-stream"} {
			s := newServer(t, emulator.Options{})
			s.Fail(emulator.Fault{Path: "/tags", Status: 403, ContentType: contentType, Body: body})
			err := newClient(t, s).AddTags(t.Context(), 12, "a")
			e, ok := errors.AsType[*azdo.Error](err)
			if !ok || e.Status != 403 || !e.Denied || e.Permission != "Edit build quality" || e.Hint() == "" || strings.Contains(err.Error(), "JSON") || strings.Contains(err.Error(), "unmarshal") {
				t.Errorf("%q of type %q: %v", body, contentType, err)
			}
			if n := len(s.Requests()); n != 2 { // OPTIONS, and the call once: it would be refused again
				t.Errorf("%q of type %q: %d requests", body, contentType, n)
			}
		}
	}
}

// TestBuildThatIsNone: a build without its members is not marked as if they were 0.
func TestBuildThatIsNone(t *testing.T) {
	for _, body := range []string{"", "null", "{}", `{"id":11}`} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, emulator.Options{})
			s.Fail(emulator.Fault{Path: "GET /Example/_apis/build/Builds/12", Status: 200, Body: body})
			if b, err := newClient(t, s).Build(t.Context(), 12); err == nil || !strings.Contains(err.Error(), "build 12") {
				t.Errorf("%q: %+v, %v", body, b, err)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	both(t, func(t *testing.T, s *emulator.Server) {
		stage := "00000000-0000-0000-0000-000000000001"
		records := func(stageState, jobState string) []emulator.Record {
			return []emulator.Record{{ID: stage, State: stageState}, {ID: emulator.JobID, ParentID: stage, State: jobState}, {ID: "00000000-0000-0000-0000-000000000002", State: "completed"}}
		}
		for _, tt := range []struct {
			build emulator.Build
			want  bool
		}{
			{emulator.Build{ID: 12}, false},
			{emulator.Build{ID: 12, Status: "cancelling"}, true},
			{emulator.Build{ID: 12, Status: "completed", Result: "canceled"}, true},
			{emulator.Build{ID: 12, Timeline: records("inProgress", "inProgress")}, false},
			{emulator.Build{ID: 12, Timeline: records("inProgress", "completed")}, true},
			{emulator.Build{ID: 12, Timeline: records("completed", "inProgress")}, true},
			{emulator.Build{ID: 12, Timeline: []emulator.Record{{ID: emulator.JobID, ParentID: emulator.JobID, State: "inProgress"}}}, false},
		} {
			s.AddBuild(tt.build)
			if got, err := newClient(t, s).Cancelled(t.Context()); err != nil || got != tt.want {
				t.Errorf("%+v: %v, %v", tt.build, got, err)
			}
		}
		for _, url := range []string{"", s.ReleaseURL()} {
			for status, want := range map[string]bool{"inProgress": false, "canceled": true} {
				s.AddRelease(emulator.Release{ID: 3, EnvironmentID: 31, Status: status})
				c := newClient(t, s, func(o *azdo.Options) { o.Release, o.Environment, o.ReleaseURL = 3, 31, url })
				if got, err := c.Cancelled(t.Context()); err != nil || got != want {
					t.Errorf("release %s at %q: %v, %v", status, url, got, err)
				}
			}
		}
	})
}

func TestArtifacts(t *testing.T) {
	both(t, func(t *testing.T, s *emulator.Server) {
		c := newClient(t, s, func(o *azdo.Options) { o.Release = 3 })
		got, err := c.Artifacts(t.Context())
		if err != nil || len(got) != 1 || got[0].Build != 12 || got[0].Alias != "_chat" || !got[0].Primary || got[0].BuildName != "chat-app" {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = newClient(t, s, func(o *azdo.Options) { o.Release = 4 }).Artifacts(t.Context())
		if !azdo.NotFound(err) {
			t.Errorf("%v", err)
		}
	})
}

func TestAwaitCancel(t *testing.T) {
	s := newServer(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, s)
		s.Fail(emulator.Fault{Path: "/Builds", Status: 500, Body: "{}", Times: 3}) // passes
		time.AfterFunc(time.Hour, func() { s.AddBuild(emulator.Build{ID: 12, Status: "cancelling"}) })
		start := time.Now()
		if err := c.AwaitCancel(t.Context(), 15*time.Second); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < time.Hour || d > time.Hour+15*time.Second {
			t.Errorf("after %v", d)
		}

		s.AddBuild(emulator.Build{ID: 12})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.AwaitCancel(ctx, 15*time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		s.Deny("View builds")
		if err := c.AwaitCancel(t.Context(), 15*time.Second); err == nil || !strings.Contains(err.Error(), "View builds") {
			t.Errorf("%v", err)
		}
	})
}

// TestAwaitCancelThrottled: a server that asks for fewer calls is asked again when it said.
func TestAwaitCancelThrottled(t *testing.T) {
	s := newServer(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, s)
		if _, err := c.Cancelled(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := len(s.Requests())
		s.Fail(emulator.Fault{Path: "/Builds", Status: 429, Body: `{"message":"slow down"}`, Header: http.Header{"Retry-After": {"20"}}, Times: 3})
		s.AddBuild(emulator.Build{ID: 12, Status: "cancelling"})
		start := time.Now()
		if err := c.AwaitCancel(t.Context(), 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if d, n := time.Since(start), len(s.Requests())-before; d != time.Minute || n != 4 {
			t.Errorf("after %v and %d requests; want 1m and 4", d, n)
		}
	})
}

// An Azure DevOps that does not answer delays a deployment by ten seconds in all.
func TestBudget(t *testing.T) {
	s := newServer(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, s)
		s.Fail(emulator.Fault{Path: "/", Hang: true})
		start := time.Now()
		d := c.Between(t.Context(), "", 10, 12)
		err := c.AddTags(t.Context(), 12, "a")
		d2 := c.Between(t.Context(), "", 10, 12)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
		if len(d.Problems) != 1 || !strings.Contains(d.Problems[0].Error(), "no answer in time") || err == nil {
			t.Errorf("%v, %v", d.Problems, err)
		}
		if !c.FirstTime(err) || c.FirstTime(d2.Problems[0]) {
			t.Error("a spent budget is told more than once")
		}
	})
}

// TestAgain: a call is made again where that may help, within the budget, and a lease is
// never added twice.
func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		fault emulator.Fault
		done  bool
		calls int
	}{
		{emulator.Fault{Status: 503, ContentType: "text/html", Body: "<html>", Times: 2}, true, 3},
		{emulator.Fault{Status: 500, Body: "{}", Times: 3}, false, 3},
		{emulator.Fault{Status: 429, Body: "{}", Header: http.Header{"Retry-After": {"4"}}, Times: 1}, true, 2},
		{emulator.Fault{Status: 429, Body: "{}", Header: http.Header{"Retry-After": {"60"}}, Times: 1}, false, 1},
		{emulator.Fault{Status: 400, Body: "{}", Times: 1}, false, 1},
		{emulator.Fault{Status: 403, Body: "{}", Times: 1}, false, 1},
		{emulator.Fault{Hang: true, Times: 1}, true, 2},
	} {
		s := newServer(t, emulator.Options{})
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, s)
			before := len(s.Requests())
			tt.fault.Path = "/tags"
			s.Fail(tt.fault)
			start := time.Now()
			err := c.AddTags(t.Context(), 12, "a")
			calls := 0
			for _, r := range s.Requests()[before:] {
				if strings.HasSuffix(r.Path, "/tags") {
					calls++
				}
			}
			if (err == nil) != tt.done || calls != tt.calls || slices.Contains(s.Build(12).Tags, "a") != tt.done || time.Since(start) > 10*time.Second {
				t.Errorf("%+v: %d calls in %s, %v", tt.fault, calls, time.Since(start), err)
			}
		})
	}
}

func TestIDToken(t *testing.T) {
	s := newServer(t, emulator.Options{})
	s.AddConnection("7D0A2C6E-3E0B-4C6B-8C3F-2A61F6F2C7B5", "aws-production")
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		c := newClient(t, s, func(o *azdo.Options) { o.Mask = func(secret string) { heard = append(heard, secret) } })
		for _, id := range []string{"", "7d0a2c6e-3e0b-4c6b-8c3f-2a61f6f2c7b5"} {
			s.Fail(emulator.Fault{Path: "/oidctoken", Status: 503, ContentType: "text/html", Body: "<html>", Times: 1})
			s.Fail(emulator.Fault{Path: "/oidctoken", Status: 429, Body: "{}", Header: http.Header{"Retry-After": {"20"}}, Times: 1})
			start := time.Now()
			token, err := c.IDToken(t.Context(), id)
			if err != nil || strings.Count(token, ".") != 2 || !slices.Contains(heard, token) {
				t.Errorf("%q: %v", id, err)
			}
			if took := time.Since(start); took != 21*time.Second {
				t.Errorf("took %v, want 1 s and Retry-After", took)
			}
		}
		// The route to the job, where the agent gives no address.
		c = newClient(t, s, func(o *azdo.Options) { o.OIDC = azdo.OIDC{Hub: "build", Plan: emulator.PlanID} })
		if _, err := c.IDToken(t.Context(), ""); err != nil || !c.HasOIDC() {
			t.Error(err)
		}
		requests := s.Requests()
		if last := requests[len(requests)-1]; last.Method != http.MethodPost || strings.Contains(last.Query, "serviceConnectionId") {
			t.Errorf("asked with %+v", last)
		}
		// An older server, for which the call is a preview.
		s.Fail(emulator.Fault{Path: "/oidctoken", Status: 400, Body: `{"message":"The -preview flag must be supplied","typeKey":"VssInvalidPreviewVersionException"}`, Times: 1})
		if _, err := c.IDToken(t.Context(), ""); err != nil {
			t.Error(err)
		}
	})
}

func TestIDTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			fault emulator.Fault
			text  string
			hint  string
			tries int
		}{
			{"the connection is not referenced", emulator.Fault{}, "no explicit reference", "literally", 1},
			{"denied", emulator.Fault{Path: "/oidctoken", Status: 403, Body: `{"message":"no"}`}, "no", "not accepted", 1},
			{"no such route", emulator.Fault{Path: "/oidctoken", Status: 404, Body: `{"message":"no route"}`}, "no route", "offers no OIDC", 1},
			{"no token", emulator.Fault{Path: "/oidctoken", Status: 200, Body: `{"oidcToken":null}`}, "no token", "", 1},
			{"down", emulator.Fault{Path: "/oidctoken", Status: 500, Body: `{"value":{"Message":"boom"}}`}, "boom", "", 5},
			{"a page", emulator.Fault{Path: "/oidctoken", Status: 502, ContentType: "text/html", Body: "<html>"}, "502", "", 5},
			{"silent", emulator.Fault{Path: "/oidctoken", Hang: true}, "no answer in time", "", 5},
		} {
			s := newServer(t, emulator.Options{})
			if tt.fault.Path != "" {
				s.Fail(tt.fault)
			}
			_, err := newClient(t, s).IDToken(t.Context(), "7d0a2c6e-3e0b-4c6b-8c3f-2a61f6f2c7b5")
			e, ok := errors.AsType[*azdo.Error](err)
			if !ok || !strings.Contains(err.Error(), tt.text) || !strings.Contains(e.Hint(), tt.hint) {
				t.Errorf("%s: %v", tt.name, err)
			}
			if got := len(s.Requests()); got != tt.tries {
				t.Errorf("%s: %d attempts, want %d", tt.name, got, tt.tries)
			}
		}
		c := newClient(t, newServer(t, emulator.Options{OnPremises: true}))
		if _, err := c.IDToken(t.Context(), ""); err == nil || c.HasOIDC() {
			t.Errorf("Server: %v", err)
		}
		c = newClient(t, newServer(t, emulator.Options{}), func(o *azdo.Options) { o.OIDC.RequestURI = "http://dev.azure.com/x" })
		if _, err := c.IDToken(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "clear text") {
			t.Errorf("http: %v", err)
		}
	})
}

func FuzzTagName(f *testing.F) {
	f.Add("deployed-Prod/eu #1")
	f.Add("é\x00:")
	f.Fuzz(func(t *testing.T, text string) {
		tag := azdo.TagName(text)
		if strings.Trim(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || len(tag) > 256 || azdo.TagName(tag) != tag {
			t.Errorf("%q makes %q", text, tag)
		}
	})
}

// Whatever a server answers, there is no panic, and an error says what was asked.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/json", `{"count":1,"value":[{"id":12,"repository":{"id":"r"}},{"id":10}]}`)
	f.Add(203, "text/html", "<html>")
	f.Add(404, "application/json", `{"value":"x"}`)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 100 || status > 599 {
			t.Skip()
		}
		s := newServer(t, emulator.Options{})
		s.Fail(emulator.Fault{Path: "GET ", Status: status, ContentType: contentType, Body: body})
		s.Fail(emulator.Fault{Path: "POST ", Status: status, ContentType: contentType, Body: body})
		c := newClient(t, s)
		for _, err := range c.Between(t.Context(), "", 10, 12).Problems {
			if !strings.HasPrefix(err.Error(), "Azure DevOps: ") {
				t.Errorf("%v", err)
			}
		}
		c.AddTags(t.Context(), 12, "a")
	})
}
