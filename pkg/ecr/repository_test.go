package ecr

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestImmutable(t *testing.T) {
	for _, tt := range []struct {
		mutability string
		filters    []string
		tag        string
		want       bool
	}{
		{"MUTABLE", nil, "42", false},
		{"IMMUTABLE", nil, "42", true},
		{"", nil, "42", false},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"latest"}, "latest", false},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"latest"}, "latest2", true},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"dev-*"}, "dev-42", false},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"dev-*", "*-snapshot"}, "1.0-snapshot", false},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"dev-*"}, "Dev-42", true},
		{"MUTABLE_WITH_EXCLUSION", []string{"v*"}, "v1", true},
		{"MUTABLE_WITH_EXCLUSION", []string{"v*"}, "42", false},
		{"MUTABLE_WITH_EXCLUSION", nil, "42", false},
	} {
		r := Repository{TagMutability: tt.mutability, TagExclusions: tt.filters}
		if got := r.Immutable(tt.tag); got != tt.want {
			t.Errorf("%s %q: tag %s immutable: %v, want %v", tt.mutability, tt.filters, tt.tag, got, tt.want)
		}
	}
}

func TestMatchWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "x", true}, {"**", "x", true},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"a*b*c", "abc", true}, {"a*b*c", "acb", false},
		{"*b*", "abc", true}, {"*b", "abc", false}, {"a.c", "abc", false}, {"", "", true}, {"", "a", false},
	} {
		if got := matchWildcard(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q matches %q: %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

func TestRepositoryByNameAndByURI(t *testing.T) {
	fake := newFake()
	fake.repo("team/app").mutability = "IMMUTABLE_WITH_EXCLUSION"
	fake.repos["eu-west-1/123456789012/team/app"].exclusions = []string{"dev-*"}
	fake.repoIn("us-east-1", "210987654321", "other")

	for _, tt := range []struct {
		in   string
		want Repository
	}{
		{"team/app", Repository{
			Account: fakeAccount, Region: "eu-west-1", Name: "team/app", URI: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
			ARN: "arn:aws:ecr:eu-west-1:123456789012:repository/team/app", TagMutability: "IMMUTABLE_WITH_EXCLUSION", TagExclusions: []string{"dev-*"}}},
		{"210987654321.dkr.ecr.us-east-1.amazonaws.com/other", Repository{
			Account: "210987654321", Region: "us-east-1", Name: "other", URI: "210987654321.dkr.ecr.us-east-1.amazonaws.com/other",
			ARN: "arn:aws:ecr:us-east-1:210987654321:repository/other", TagMutability: "MUTABLE"}},
		// The dual-stack name of the same registry was asked for, and is kept.
		{"210987654321.dkr-ecr.us-east-1.on.aws/other", Repository{
			Account: "210987654321", Region: "us-east-1", Name: "other", URI: "210987654321.dkr-ecr.us-east-1.on.aws/other",
			ARN: "arn:aws:ecr:us-east-1:210987654321:repository/other", TagMutability: "MUTABLE"}},
	} {
		got, err := fake.client().Repository(t.Context(), tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if got.String() != tt.want.URI || got.Host()+"/"+got.Name != got.URI || got.Account != tt.want.Account || got.Region != tt.want.Region ||
			got.ARN != tt.want.ARN || got.TagMutability != tt.want.TagMutability || !slices.Equal(got.TagExclusions, tt.want.TagExclusions) {
			t.Errorf("%s:\n got %#v\nwant %#v", tt.in, got, tt.want)
		}
	}
}

// With AWS_ENDPOINT_URL at a stand-in, repositories live where it says; nothing
// may then be pushed to the host that the pipeline has in its file.
func TestRepositoryOfAStandIn(t *testing.T) {
	fake := newFake()
	fake.host = "127.0.0.1:5000"
	fake.repo("app")
	for _, in := range []string{"app", "127.0.0.1:5000/app", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"} {
		if got, err := fake.client().Repository(t.Context(), in); err != nil || got.URI != "127.0.0.1:5000/app" {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}

// Tokens go to a registry's host, so a host that is not ECR's is not taken.
func TestRepositoryOnAnotherHost(t *testing.T) {
	fake := newFake()
	fake.repo("app")
	_, err := fake.client().Repository(t.Context(), "registry.example.com/app")
	mentions(t, err, "registry.example.com is not a registry of ECR", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app")
}

func TestRepositoryNotFound(t *testing.T) {
	fake := newFake()
	for _, name := range []string{"team/chat-app", "chat-apps", "billing", "web"} {
		fake.repo(name)
	}
	_, err := fake.client().Repository(t.Context(), "chat-app")
	mentions(t, err, "repository chat-app", "account 123456789012", "region eu-west-1")
	missing, ok := errors.AsType[*NotFoundError](err)
	if !ok {
		t.Fatalf("%T, want *NotFoundError", err)
	}
	if want := []string{"chat-apps", "team/chat-app"}; !slices.Equal(missing.Similar, want) {
		t.Errorf("similar: %q, want %q", missing.Similar, want)
	}
	for _, words := range []string{"createRepository: true", "chat-apps, team/chat-app"} {
		if !strings.Contains(missing.Hint(), words) {
			t.Errorf("hint %q does not mention %q", missing.Hint(), words)
		}
	}

	_, err = fake.client().Repository(t.Context(), "210987654321.dkr.ecr.us-east-1.amazonaws.com/web")
	mentions(t, err, "repository web", "account 210987654321", "region us-east-1")
}

func TestRepositoryDenied(t *testing.T) {
	fake := newFake()
	fake.repo("app")
	fake.denied["DescribeRepositories"] = true
	_, err := fake.client().Repository(t.Context(), "app")
	mentions(t, err, "repository app", "ecr:DescribeRepositories", "arn:aws:ecr:eu-west-1:123456789012:repository/")
}

func TestCreateRepository(t *testing.T) {
	fake := newFake()
	c := fake.client()
	repo, _, err := c.CreateRepository(t.Context(), "team/app", Creation{})
	if err != nil {
		t.Fatal(err)
	}
	if !repo.Immutable("42") || repo.URI != "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app" {
		t.Errorf("created %#v", repo)
	}
	if !fake.repos["eu-west-1/123456789012/team/app"].scanOnPush {
		t.Error("created without scan on push")
	}

	// Another pipeline was quicker, with settings of its own: they stay.
	fake.repo("raced")
	raced, _, err := c.CreateRepository(t.Context(), "raced", Creation{})
	if err != nil || raced.Immutable("42") {
		t.Errorf("got %#v, %v; want the mutable repository that was there", raced, err)
	}

	fake.denied["CreateRepository"] = true
	_, _, err = c.CreateRepository(t.Context(), "third", Creation{})
	mentions(t, err, "repository third", "ecr:CreateRepository", "repository/third")
}

// ECR does not always say on what an action was denied.
func TestCallErrorNamesTheResource(t *testing.T) {
	fake := newFake()
	c := fake.client()
	ref, err := ParseRepository("210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/app")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.resource(ref), "arn:aws-cn:ecr:cn-north-1:210987654321:repository/app"; got != want {
		t.Errorf("resource %s, want %s", got, want)
	}
	if got, want := c.resource(Reference{Name: "app"}), "arn:aws:ecr:eu-west-1:*:repository/app"; got != want {
		t.Errorf("resource %s, want %s", got, want)
	}
	mentions(t, callError("repository app", "ecr:PutImage", c.resource(ref), apiError{"AccessDeniedException", "no"}),
		"ecr:PutImage denied on arn:aws-cn:ecr:cn-north-1:210987654321:repository/app")
}

func TestSimilar(t *testing.T) {
	all := []string{"app", "apps", "team/app", "application", "web", "wep", "x/y/z"}
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"ap", []string{"app"}},
		{"App", []string{"app"}},
		{"web2", []string{"web"}},
		{"other/app", []string{"team/app", "app"}},
		{"applications", []string{"application"}},
		{"nothing-like-it", nil},
	} {
		if got := similar(tt.name, all); !slices.Equal(got, tt.want) {
			t.Errorf("similar(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}
