package ecr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

// apiError is an error of the service as the SDK hands it on.
type apiError struct{ code, message string }

func (e apiError) Error() string                 { return fmt.Sprintf("api error %s: %s", e.code, e.message) }
func (e apiError) ErrorCode() string             { return e.code }
func (e apiError) ErrorMessage() string          { return e.message }
func (e apiError) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func lookUp(t *testing.T, c *Client, name string) Repository {
	t.Helper()
	repo, err := c.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestImageByTagAndByDigest(t *testing.T) {
	const manifest = `{"schemaVersion": 2,  "config": {}}` // its spaces are part of the digest
	fake := newFake()
	digest := fake.repo("app").push(manifest, day, "42", "main")
	c := fake.client()
	repo := lookUp(t, c, "app")

	for _, ref := range []string{"42", "main", digest} {
		got, err := c.Image(t.Context(), repo, ref)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		if string(got.Manifest) != manifest || got.Digest != digest || got.MediaType != "application/vnd.oci.image.manifest.v1+json" ||
			!slices.Equal(got.Tags, []string{"42", "main"}) || !got.PushedAt.Equal(day) || got.SizeBytes != int64(len(manifest)) || got.Repository.URI != repo.URI {
			t.Errorf("%s: %+v", ref, got)
		}
	}
}

func TestImageOfEachMediaType(t *testing.T) {
	for _, mediaType := range acceptedTypes {
		fake := newFake()
		fake.repo("app").push("{}", day, "42")
		fake.repos["eu-west-1/123456789012/app"].images[0].mediaType = mediaType
		c := fake.client()
		if got, err := c.Image(t.Context(), lookUp(t, c, "app"), "42"); err != nil || got.MediaType != mediaType {
			t.Errorf("%s: %+v, %v", mediaType, got, err)
		}
	}
}

// The details are a luxury: a pipeline without ecr:DescribeImages works too.
func TestImageWithoutDescribeImages(t *testing.T) {
	fake := newFake()
	digest := fake.repo("app").push("{}", day, "42", "main")
	fake.denied["DescribeImages"] = true
	c := fake.client()
	got, err := c.Image(t.Context(), lookUp(t, c, "app"), "42")
	if err != nil || got.Digest != digest || !slices.Equal(got.Tags, []string{"42"}) || !got.PushedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestImageNotFound(t *testing.T) {
	fake := newFake()
	repo := fake.repo("app")
	for i := range 7 { // oldest last: ECR's order means nothing
		repo.push(fmt.Sprint(i), day.AddDate(0, 0, -i), fmt.Sprint(47-i))
	}
	c := fake.client()
	_, err := c.Image(t.Context(), lookUp(t, c, "app"), "48")
	mentions(t, err, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:48")
	missing, ok := errors.AsType[*ImageNotFoundError](err)
	if !ok {
		t.Fatalf("%T, want *ImageNotFoundError", err)
	}
	if want := []string{"47", "46", "45", "44", "43"}; !slices.Equal(missing.Newest, want) || missing.Partial {
		t.Errorf("newest %q (partial %v), want %q", missing.Newest, missing.Partial, want)
	}
	if hint := missing.Hint(); !strings.Contains(hint, "push") || !strings.Contains(hint, "47, 46, 45, 44, 43") {
		t.Errorf("hint %q", hint)
	}

	// Without the right to list them, the hint is shorter and the error the same.
	fake.denied["DescribeImages"] = true
	_, err = c.Image(t.Context(), lookUp(t, c, "app"), "48")
	if missing, ok := errors.AsType[*ImageNotFoundError](err); !ok || missing.Newest != nil || !strings.Contains(missing.Hint(), "push") {
		t.Errorf("%v", err)
	}
}

func TestNewest(t *testing.T) {
	fake := newFake()
	repo := fake.repo("app")
	c := fake.client()
	at := lookUp(t, c, "app")
	if got := c.Newest(t.Context(), at); got != "" {
		t.Errorf("an empty repository has %q", got)
	}
	repo.push("old", day.AddDate(0, 0, -1), "1")
	want := repo.push("new", day, "2", "3")
	repo.push("older", day.AddDate(0, 0, -2), "4")
	if got := c.Newest(t.Context(), at); got != want {
		t.Errorf("newest is %q, want %q", got, want)
	}
	fake.denied["DescribeImages"] = true
	if got := c.Newest(t.Context(), at); got != "" {
		t.Errorf("without the right to list them: %q", got)
	}
}

func TestImageErrors(t *testing.T) {
	fake := newFake()
	app := fake.repo("app")
	c := fake.client()
	repo := lookUp(t, c, "app")

	app.failure = "ImageInaccessible"
	_, err := c.Image(t.Context(), repo, "42")
	mentions(t, err, "app:42", "archive", "as the test wants it")

	app.failure = "UpstreamAccessDenied"
	_, err = c.Image(t.Context(), repo, "42")
	mentions(t, err, "app:42", "UpstreamAccessDenied")

	fake.denied["BatchGetImage"] = true
	_, err = c.Image(t.Context(), repo, "42")
	mentions(t, err, "app:42", "ecr:BatchGetImage", "arn:aws:ecr:eu-west-1:123456789012:repository/app")
	delete(fake.denied, "BatchGetImage")

	delete(fake.repos, "eu-west-1/123456789012/app")
	_, err = c.Image(t.Context(), repo, "42")
	if _, ok := errors.AsType[*NotFoundError](err); !ok {
		t.Errorf("%v, want *NotFoundError", err)
	}
}

func TestCheckLayers(t *testing.T) {
	fake := newFake()
	app := fake.repo("app")
	var digests []string
	for i := range 150 {
		d := fmt.Sprintf("sha256:%064d", i)
		digests = append(digests, d, d) // images repeat layers, the empty one above all
		if i%3 == 0 {
			app.layers[d] = "AVAILABLE"
		}
	}
	app.layers[digests[2]] = "ARCHIVED"
	c := fake.client()
	got, err := c.CheckLayers(t.Context(), lookUp(t, c, "app"), digests)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 150 {
		t.Errorf("%d answers, want one for each of 150 layers", len(got))
	}
	for i := range 150 {
		if d := digests[2*i]; got[d] != (i%3 == 0) {
			t.Errorf("%s: available %v", d, got[d])
		}
	}
	if n := fake.count("BatchCheckLayerAvailability"); n != 2 {
		t.Errorf("%d calls for 150 layers, want 2", n)
	}

	fake.denied["BatchCheckLayerAvailability"] = true
	_, err = c.CheckLayers(t.Context(), Repository{Region: fakeRegion, Account: fakeAccount, Name: "app", URI: "host/app"}, digests)
	mentions(t, err, "repository host/app", "ecr:BatchCheckLayerAvailability")
	if got, err := c.CheckLayers(t.Context(), Repository{}, nil); err != nil || len(got) != 0 {
		t.Errorf("no layers: %v, %v", got, err)
	}
}
