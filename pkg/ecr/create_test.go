package ecr

import (
	"errors"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
)

// A repository of another registry is neither looked up as missing, which would
// have it created, nor created.
func TestForeignHosts(t *testing.T) {
	for host, says := range map[string]string{
		"public.ecr.aws":       "Amazon ECR Public",
		"index.docker.io":      "Docker Hub",
		"docker.io":            "Docker Hub",
		"ghcr.io":              "GitHub Container Registry",
		"example.azurecr.io":   "Azure Container Registry",
		"eu.gcr.io":            "Google Container Registry",
		"europe.pkg.dev":       "Google Artifact Registry",
		"localhost":            "this machine",
		"localhost:5000":       "this machine",
		"127.0.0.1:5000":       "this machine",
		"registry.example.com": "another registry",
	} {
		fake := newFake()
		ref := host + "/team/app"
		_, err := fake.client().Repository(t.Context(), ref)
		_, missing := errors.AsType[*NotFoundError](err)
		if mentions(t, err, host, says); missing || !mistake.Is(err, mistake.Repository) {
			t.Errorf("look up %s: %v", ref, err)
		}
		_, _, err = fake.client().CreateRepository(t.Context(), ref, Creation{})
		if mentions(t, err, host, says); !mistake.Is(err, mistake.Repository) || fake.count("CreateRepository") > 0 {
			t.Errorf("create %s: %v, %d calls", ref, err, fake.count("CreateRepository"))
		}
	}
}

// The registry may be a stand-in: its host is known by its token, or by the
// repositories that it has.
func TestCreateInAStandIn(t *testing.T) {
	fake := newFake()
	fake.host = "localhost:4566"
	fake.repo("other")
	r, _, err := fake.client().CreateRepository(t.Context(), "localhost:4566/app", Creation{})
	if err != nil || r.URI != "localhost:4566/app" {
		t.Errorf("%+v %v", r, err)
	}
	if _, _, err := fake.client().CreateRepository(t.Context(), fakeAccount+".dkr.ecr.eu-west-1.amazonaws.com/app2", Creation{}); err != nil {
		t.Error(err)
	}
}

func TestCreationTemplates(t *testing.T) {
	for _, c := range []struct {
		name      string
		templates [][2]string
		denied    bool
		want      string // the template; empty if the repository is created
	}{
		{"none", nil, false, ""},
		{"root", [][2]string{{"ROOT", "CREATE_ON_PUSH"}}, false, "ROOT"},
		{"prefix", [][2]string{{"ROOT", "CREATE_ON_PUSH"}, {"team", "CREATE_ON_PUSH"}}, false, "team"},
		{"longest prefix", [][2]string{{"team/app", "CREATE_ON_PUSH"}, {"team", "CREATE_ON_PUSH"}}, false, "team"},
		{"of part of a name", [][2]string{{"tea", "CREATE_ON_PUSH"}}, false, ""},
		{"for another occasion", [][2]string{{"team", "PULL_THROUGH_CACHE"}, {"ROOT", "CREATE_ON_PUSH"}}, false, ""},
		{"denied", [][2]string{{"ROOT", "CREATE_ON_PUSH"}}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newFake()
			fake.templates = c.templates
			fake.denied["DescribeRepositoryCreationTemplates"] = c.denied
			_, err := fake.client().Repository(t.Context(), "team/app")
			missing, ok := errors.AsType[*NotFoundError](err)
			if !ok || missing.Template != c.want {
				t.Errorf("look up: %v, template %v", err, missing)
			}
			r, _, err := fake.client().CreateRepository(t.Context(), "team/app", Creation{})
			if err != nil || r.Template != c.want || (fake.count("CreateRepository") == 0) != (c.want != "") {
				t.Fatalf("%+v %v, %d created", r, err, fake.count("CreateRepository"))
			}
			if r.URI != fakeAccount+".dkr.ecr.eu-west-1.amazonaws.com/team/app" || r.Account != fakeAccount || !r.Immutable("1") {
				t.Errorf("%+v", r)
			}
			if c.want != "" && r.Immutable("dev-1") {
				t.Error("the template's exclusions are not known")
			}
		})
	}
}

func FuzzDecodeToken(f *testing.F) {
	f.Add("QVdTOnBhc3N3b3Jk")
	f.Add("")
	f.Add("QVdTOg==")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := decodeToken(tokenOutput(token))
		if err == nil && (c.user == "" || c.password == "") {
			t.Errorf("%q gave an empty user or password", token)
		}
	})
}

const keepFifty = `{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 50}, "action": {"type": "expire"}}]}`

// TestCreationSettings: what was chosen is what the repository gets, also where the
// answer to the first attempt was lost; what someone else has created stays.
func TestCreationSettings(t *testing.T) {
	const key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	how := Creation{MutableTags: []string{"latest", "dev-*"}, Key: key, LifecyclePolicy: keepFifty}
	for _, tt := range []struct {
		name    string
		before  func(*fakeECR)
		created bool
		policy  string
	}{
		{"created", func(*fakeECR) {}, true, keepFifty},
		{"the answer was lost", func(f *fakeECR) { f.lost = 1 }, true, keepFifty},
		{"someone else was quicker", func(f *fakeECR) { f.repo("app") }, false, ""},
		{"a template is for it", func(f *fakeECR) { f.templates = [][2]string{{"ROOT", "CREATE_ON_PUSH"}} }, true, keepFifty},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := newFake()
			tt.before(fake)
			repo, created, err := fake.client().CreateRepository(t.Context(), "app", how)
			has := fake.repos["eu-west-1/123456789012/app"]
			if err != nil || created != tt.created || has.lifecycle != tt.policy {
				t.Fatalf("created %v, %v, policy %q", created, err, has.lifecycle)
			}
			if !created {
				if len(how.Differences(repo)) == 0 {
					t.Error("no difference to the repository of someone else")
				}
				return
			}
			if repo.Immutable("latest") || repo.Immutable("dev-1") || !repo.Immutable("17") || repo.Key != key || repo.Encryption != "KMS" || !repo.ScansOnPush || how.Differences(repo) != nil {
				t.Errorf("%+v", repo)
			}
		})
	}
}

// TestIncompleteCreation: the repository is there, and its policy is not.
func TestIncompleteCreation(t *testing.T) {
	fake := newFake()
	fake.denied["PutLifecyclePolicy"] = true
	_, _, err := fake.client().CreateRepository(t.Context(), "app", Creation{LifecyclePolicy: keepFifty})
	if _, incomplete := errors.AsType[*IncompleteError](err); !incomplete {
		t.Errorf("%v", err)
	}
	mentions(t, err, "ecr:PutLifecyclePolicy", "repository/app", "the repository was created and is empty, and nothing was pushed")
}

func TestCheckLifecyclePolicy(t *testing.T) {
	selection := func(s string) string {
		return `{"rules": [{"rulePriority": 1, "description": "all of the oldest builds", "selection": {` + s + `}, "action": {"type": "expire"}}]}`
	}
	const newest = `"countType": "imageCountMoreThan", "countNumber": 5`
	for _, tt := range []struct{ text, says string }{
		{keepFifty, ""},
		{selection(`"tagStatus": "untagged", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 5`), ""},
		{selection(`"tagStatus": "any", "storageClass": "archive", "countType": "sinceImageTransitioned", "countUnit": "days", "countNumber": 5`), ""},
		{strings.Replace(keepFifty, `"type": "expire"`, `"type": "transition", "targetStorageClass": "archive"`, 1), ""},
		{`{"rules": `, "is not the JSON of a lifecycle policy"},
		{`{}`, "has 2 characters"},
		{`{"Rules": []}` + strings.Repeat(" ", 100), "has 0 rules"},
		{strings.Replace(keepFifty, `"rulePriority": 1, `, "", 1), "rulePriority must be"},
		{selection(`"tagStatus": "tagged", ` + newest), "needs a tagPatternList"},
		{selection(`"tagStatus": "any", "tagPrefixList": ["v"], ` + newest), "for tagStatus tagged only"},
		{selection(`"tagStatus": "tagged", "tagPatternList": ["*a*b*c*d*"], ` + newest), "more than 4 wildcards"},
		{selection(`"tagStatus": "every", ` + newest), `tagStatus "every" is not known`},
		{selection(`"tagStatus": "any", "countType": "newest", "countNumber": 5`), `countType "newest" is not known`},
		{selection(`"tagStatus": "any", "countType": "sinceImagePushed", "countNumber": 5`), "needs the countUnit days"},
		{selection(`"tagStatus": "any", "countUnit": "days", ` + newest), "has no countUnit"},
		{selection(`"tagStatus": "any", "countType": "imageCountMoreThan"`), "countNumber must be"},
		{selection(`"tagStatus": "any", "storageClass": "cold", ` + newest), `storageClass "cold" is not known`},
		{selection(`"tagStatus": "any", "storageClass": "archive", ` + newest), "go together only"},
		{strings.Replace(keepFifty, `"expire"`, `"delete"`, 1), `action.type "delete" is not known`},
		{strings.Replace(keepFifty, `"expire"`, `"transition"`, 1), "go together only"},
	} {
		err := CheckLifecyclePolicy(tt.text)
		if tt.says == "" && err != nil || tt.says != "" && !mistake.Is(err, mistake.LifecyclePolicy) {
			t.Errorf("%s: %v", tt.text, err)
		}
		if tt.says != "" {
			mentions(t, err, tt.says)
		}
	}
	twice := strings.Replace(keepFifty, `]}`, `, {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]}`, 1)
	mentions(t, CheckLifecyclePolicy(twice), "two rules have the rulePriority 1")
	mentions(t, CheckLifecyclePolicy(strings.Replace(twice, `{"rulePriority": 1, "selection": {"tagStatus": "untagged"`, `{"rulePriority": 2, "selection": {"tagStatus": "untagged"`, 1)), "must have the highest rulePriority")

	// A rule for another storage class may stand between them, and standard need not be said.
	archived := `, {"rulePriority": 2, "selection": {"tagStatus": "any", "storageClass": "archive", "countType": "sinceImageTransitioned", "countUnit": "days", "countNumber": 5}, "action": {"type": "expire"}}`
	between := strings.Replace(keepFifty, `]}`, archived+`, {"rulePriority": 3, "selection": {"tagStatus": "untagged", "storageClass": "standard", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]}`, 1)
	mentions(t, CheckLifecyclePolicy(between), "rule with rulePriority 1: a rule whose tagStatus is any must have the highest rulePriority")
	if err := CheckLifecyclePolicy(strings.Replace(keepFifty, `]}`, archived+`]}`, 1)); err != nil {
		t.Errorf("rules for any tag of two storage classes: %v", err)
	}
}
