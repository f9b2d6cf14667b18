package ecr

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEndings goes through the evaluation rules of the user guide, and its examples.
func TestEndings(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	image := func(digest string, days int, tags ...string) ListedImage {
		return ListedImage{Digest: digest, Tags: tags, Pushed: now.Add(-time.Duration(days) * 24 * time.Hour)}
	}
	rule := func(priority, selection, action string) string {
		return `{"rulePriority":` + priority + `,"selection":{` + selection + `},"action":{"type":"` + action + `","targetStorageClass":"archive"}}`
	}
	archived := image("old", 400)
	archived.Archived = true
	pulled := image("pulled", 100, "1")
	pulled.Pulled = now.Add(-24 * time.Hour)
	for name, c := range map[string]struct {
		rules  []string
		images []ListedImage
		ahead  int // days
		want   string
	}{
		"count": {[]string{rule("1", `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2`, "expire")},
			[]ListedImage{image("c", 3, "1"), image("a", 1, "3"), image("b", 2, "2"), image("d", 4)}, 0, "c d"},
		"age": {[]string{rule("1", `"tagStatus":"tagged","tagPrefixList":["prod"],"countType":"sinceImagePushed","countUnit":"days","countNumber":14`, "expire")},
			[]ListedImage{image("a", 15, "prod-1"), image("b", 13, "prod-2"), image("c", 15, "dev-1"), image("d", 15)}, 0, "a"},
		"age, some days ahead": {[]string{rule("1", `"tagStatus":"tagged","tagPrefixList":["prod"],"countType":"sinceImagePushed","countUnit":"days","countNumber":14`, "expire")},
			[]ListedImage{image("a", 15, "prod-1"), image("b", 13, "prod-2"), image("c", 6, "prod-3")}, 7, "a b"},
		"untagged": {[]string{rule("1", `"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":1`, "expire")},
			[]ListedImage{image("a", 1), image("b", 2), image("c", 9, "1")}, 0, "b"},
		// Example A of the guide: the rule of the higher priority claims prod, also what it keeps.
		"claimed by a higher priority": {[]string{
			rule("2", `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1`, "expire"),
			rule("1", `"tagStatus":"tagged","tagPrefixList":["prod"],"countType":"imageCountMoreThan","countNumber":999`, "expire")},
			[]ListedImage{image("a", 3, "prod-1"), image("b", 2, "beta-1"), image("c", 1, "beta-2")}, 0, "b"},
		"a rule counts what another one has marked": {[]string{
			rule("1", `"tagStatus":"tagged","tagPrefixList":["beta"],"countType":"imageCountMoreThan","countNumber":1`, "expire"),
			rule("2", `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2`, "expire")},
			[]ListedImage{image("a", 1, "beta-2"), image("b", 2, "beta-1"), image("c", 3, "1")}, 0, "b c"},
		"every prefix must match a tag": {[]string{rule("1", `"tagStatus":"tagged","tagPrefixList":["alpha","beta"],"countType":"sinceImagePushed","countUnit":"days","countNumber":5`, "expire")},
			[]ListedImage{image("a", 12, "alpha-1"), image("b", 11, "beta-1"), image("c", 10, "alpha-2", "beta-2")}, 0, "c"},
		"patterns": {[]string{rule("1", `"tagStatus":"tagged","tagPatternList":["*prod*"],"countType":"sinceImagePushed","countUnit":"days","countNumber":1`, "expire")},
			[]ListedImage{image("a", 9, "1-prod-eu"), image("b", 9, "1")}, 0, "a"},
		"pulled": {[]string{rule("1", `"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":90`, "transition")},
			[]ListedImage{pulled, image("never", 100, "2")}, 0, "never→archive"},
		"archived images are another storage class": {[]string{rule("1", `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1`, "expire")},
			[]ListedImage{image("a", 1), archived}, 0, ""},
		"a count of a later ECR": {[]string{rule("1", `"tagStatus":"any","countType":"sinceFullMoon","countNumber":1`, "expire")}, []ListedImage{image("a", 100)}, 0, ""},
		"tagged without a list":  {[]string{rule("1", `"tagStatus":"tagged","countType":"imageCountMoreThan","countNumber":1`, "expire")}, []ListedImage{image("a", 1, "1"), image("b", 2, "2")}, 0, ""},
	} {
		policy, err := ParseLifecyclePolicy(`{"rules":[` + strings.Join(c.rules, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		endings := policy.Endings(c.images, now.Add(time.Duration(c.ahead)*24*time.Hour))
		for _, digest := range slices.Sorted(maps.Keys(endings)) {
			if endings[digest].Archives() {
				digest += "→archive"
			}
			got = append(got, digest)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}
