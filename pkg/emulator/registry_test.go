package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	gcr "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	ecrroom "ecsdeploy/pkg/emulator/ecr"
)

// login returns the registry's credentials, as GetAuthorizationToken gives them.
func (w *world) login() authn.Authenticator {
	w.Helper()
	data := must(w.ecr.GetAuthorizationToken(w.ctx, &ecr.GetAuthorizationTokenInput{}))(w).AuthorizationData[0]
	raw := must(base64.StdEncoding.DecodeString(*data.AuthorizationToken))(w)
	user, password, _ := strings.Cut(string(raw), ":")
	return &authn.Basic{Username: user, Password: password}
}

// push pushes a small image for a platform to the demo repository with an independent client.
func (w *world) push(tag string, p ecrroom.Platform) (uri, digest string) {
	w.Helper()
	img := must(gcr.Image(2048, 3))(w)
	config := must(img.ConfigFile())(w)
	config.OS, config.Architecture = p.OS, p.Architecture
	img = must(mutate.ConfigFile(img, config))(w)
	repo := must(w.ecr.DescribeRepositories(w.ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{DemoRepository}}))(w).Repositories[0]
	ref := must(name.ParseReference(*repo.RepositoryUri + ":" + tag))(w)
	if err := remote.Write(ref, img, remote.WithAuth(w.login()), remote.WithTransport(w.Transport()), remote.WithContext(w.ctx)); err != nil {
		w.Fatal(err)
	}
	return *repo.RepositoryUri, must(img.Digest())(w).String()
}

func TestPushAndPull(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		inWorld(t, Options{Directory: dir}, func(w *world) {
			repo := must(w.ecr.CreateRepository(w.ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("team/app")}))(w).Repository
			if want := "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"; *repo.RepositoryUri != want {
				t.Fatalf("%s, want %s", *repo.RepositoryUri, want)
			}
			index := must(gcr.Index(4096, 3, 2))(w)
			ref := must(name.ParseReference(*repo.RepositoryUri + ":v1"))(w)
			options := []remote.Option{remote.WithAuth(w.login()), remote.WithTransport(w.Transport()), remote.WithContext(w.ctx)}
			if err := remote.WriteIndex(ref, index, options...); err != nil {
				t.Fatal(err)
			}
			got := must(remote.Index(ref, options...))(w)
			if must(got.Digest())(w) != must(index.Digest())(w) {
				t.Error("the index came back with another digest")
			}
			manifest := must(got.IndexManifest())(w)
			for _, d := range manifest.Manifests {
				img := must(got.Image(d.Digest))(w)
				for _, l := range must(img.Layers())(w) {
					rc := must(l.Compressed())(w)
					if n := must(io.Copy(io.Discard, rc))(w); n == 0 {
						t.Error("an empty layer came back")
					}
					rc.Close()
				}
			}
			images := must(w.ecr.DescribeImages(w.ctx, &ecr.DescribeImagesInput{RepositoryName: repo.RepositoryName}))(w).ImageDetails
			if len(images) != 3 {
				t.Errorf("%d images, want the index and its two images", len(images))
			}
			tagged := must(w.ecr.DescribeImages(w.ctx, &ecr.DescribeImagesInput{RepositoryName: repo.RepositoryName, Filter: &types.DescribeImagesFilter{TagStatus: types.TagStatusTagged}}))(w).ImageDetails
			if len(tagged) != 1 || tagged[0].ImageTags[0] != "v1" || *tagged[0].ImageDigest != must(index.Digest())(w).String() {
				t.Errorf("%+v", tagged)
			}
			if tags := must(remote.List(ref.Context(), options...))(w); len(tags) != 1 || tags[0] != "v1" {
				t.Errorf("tags: %v", tags)
			}
		})
	}
}

// raw sends one request to the registry.
func (w *world) raw(method, path string, body io.Reader, header ...string) *http.Response {
	w.Helper()
	r := must(http.NewRequestWithContext(w.ctx, method, "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"+path, body))(w)
	auth := must(w.login().Authorization())(w)
	r.SetBasicAuth(auth.Username, auth.Password)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp := must(w.Transport().RoundTrip(r))(w)
	data := must(io.ReadAll(resp.Body))(w)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp
}

// expect checks status and, for an error, code and message.
func (w *world) expect(resp *http.Response, status int, code, message string) {
	w.Helper()
	body := must(io.ReadAll(resp.Body))(w)
	if resp.StatusCode != status {
		w.Errorf("status %d, want %d: %s", resp.StatusCode, status, body)
	}
	if code == "" {
		return
	}
	var e struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(body, &e); err != nil || len(e.Errors) != 1 || e.Errors[0].Code != code || message != "" && e.Errors[0].Message != message {
		w.Errorf("got  %s\nwant %s: %s", body, code, message)
	}
}

// blob uploads bytes to the demo repository and returns their descriptor.
func (w *world) blob(data []byte) string {
	w.Helper()
	start := w.raw("POST", "/v2/chat-app/blobs/uploads/", nil)
	w.expect(start, 202, "", "")
	w.expect(w.raw("PUT", start.Header.Get("Location")+"?digest="+ecrroom.DigestOf(data), bytes.NewReader(data)), 201, "", "")
	return fmt.Sprintf(`{"mediaType":"application/octet-stream","digest":%q,"size":%d}`, ecrroom.DigestOf(data), len(data))
}

func TestRegistryRefusals(t *testing.T) {
	inDemo(t, func(w *world) {
		missing := "sha256:" + strings.Repeat("0", 64)
		config, layer := w.blob([]byte(`{"architecture":"amd64","os":"linux"}`)), w.blob([]byte("layer"))
		manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, ecrroom.OCIManifest, config, layer)
		other := strings.Replace(manifest, `"layers"`, `"annotations":{"a":"b"},"layers"`, 1)
		put := func(ref, body string) *http.Response {
			return w.raw("PUT", "/v2/chat-app/manifests/"+ref, strings.NewReader(body), "Content-Type", ecrroom.OCIManifest)
		}

		w.expect(w.raw("POST", "/v2/nope/blobs/uploads/", nil), 404, "NAME_UNKNOWN", "The repository with name 'nope' does not exist in the registry with id '123456789012'")
		w.expect(w.raw("GET", "/v2/nope/tags/list", nil), 404, "NAME_UNKNOWN", "")
		w.expect(w.raw("HEAD", "/v2/chat-app/blobs/"+missing, nil), 404, "", "")
		w.expect(w.raw("GET", "/v2/chat-app/blobs/"+missing, nil), 404, "BLOB_UNKNOWN", "")
		w.expect(w.raw("GET", "/v2/chat-app/manifests/none", nil), 404, "MANIFEST_UNKNOWN", "Requested image not found")
		w.expect(w.raw("DELETE", "/v2/chat-app/manifests/none", nil), 405, "UNSUPPORTED", "")
		w.expect(w.raw("GET", "/v2/_catalog", nil), 405, "UNSUPPORTED", "")
		w.expect(w.raw("PUT", "/v2/chat-app/blobs/uploads/none?digest="+missing, nil), 404, "BLOB_UPLOAD_UNKNOWN", "")

		w.expect(put("1", manifest), 201, "", "")
		w.expect(put("1", manifest), 201, "", "") // the same image again
		w.expect(put("1", other), 400, "TAG_INVALID", "The image tag '1' already exists in the 'chat-app' repository and cannot be overwritten because the tag is immutable.")
		w.expect(put("2", other), 201, "", "")
		w.expect(put(missing, manifest), 400, "DIGEST_INVALID", "")
		w.expect(put("bad tag!", manifest), 400, "MANIFEST_INVALID", "")
		w.expect(put("3", strings.Replace(manifest, layer, strings.Replace(layer, ecrroom.DigestOf([]byte("layer")), missing, 1), 1)), 400, "MANIFEST_BLOB_UNKNOWN",
			"Layers with digests '["+missing+"]' required for pushing image into repository with name 'chat-app' in the registry with id '123456789012' do not exist")
		w.expect(put("3", strings.Replace(manifest, `"size":5`, `"size":6`, 1)), 400, "MANIFEST_INVALID", "")
		w.expect(put("3", `{"schemaVersion":1}`), 400, "MANIFEST_INVALID", "")
		w.expect(put("3", `nonsense`), 400, "MANIFEST_INVALID", "")
		w.expect(w.raw("PUT", "/v2/chat-app/manifests/3", strings.NewReader(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":2}]}`, ecrroom.OCIIndex, ecrroom.OCIManifest, missing)), "Content-Type", ecrroom.OCIIndex), 400, "MANIFEST_BLOB_UNKNOWN", "")
	})
}

// TestUploadSessions holds what ECR does with uploads, and other registries do not all do.
func TestUploadSessions(t *testing.T) {
	inDemo(t, func(w *world) {
		data := []byte("first chunk, second chunk")
		start := func() string { return w.raw("POST", "/v2/chat-app/blobs/uploads/", nil).Header.Get("Location") }

		at := start()
		w.expect(w.raw("PUT", at+"?digest="+ecrroom.DigestOf([]byte("else")), bytes.NewReader(data)), 400, "DIGEST_INVALID", "")
		w.expect(w.raw("PUT", at+"?digest="+ecrroom.DigestOf(data), bytes.NewReader(data)), 416, "BLOB_UPLOAD_INVALID", "") // a failed session is over
		w.expect(w.raw("PUT", start()+"?digest=sha512:0", bytes.NewReader(data)), 400, "DIGEST_INVALID", "")

		at = start()
		w.expect(w.raw("PATCH", at, bytes.NewReader(data[:12])), 202, "", "")
		w.expect(w.raw("GET", at, nil), 204, "", "")
		w.expect(w.raw("PATCH", at, bytes.NewReader(data[12:])), 201, "", "") // acknowledged, and discarded
		w.expect(w.raw("PUT", at+"?digest="+ecrroom.DigestOf(data), nil), 400, "DIGEST_INVALID", "")

		at = start()
		w.expect(w.raw("PATCH", at, bytes.NewReader(data)), 202, "", "")
		w.expect(w.raw("PUT", at+"?digest="+ecrroom.DigestOf(data), nil), 201, "", "")
		if got := must(io.ReadAll(w.raw("GET", "/v2/chat-app/blobs/"+ecrroom.DigestOf(data), nil, "Range", "bytes=6-10").Body))(w); string(got) != "chunk" {
			t.Errorf("range: %q", got)
		}

		at = start()
		r := must(http.NewRequestWithContext(w.ctx, "PUT", "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"+at+"?digest="+ecrroom.DigestOf(data), io.MultiReader(bytes.NewReader(data[:3]), brokenReader{})))(w)
		auth := must(w.login().Authorization())(w)
		r.SetBasicAuth(auth.Username, auth.Password)
		if resp, err := w.Transport().RoundTrip(r); err == nil {
			resp.Body.Close()
		}
		w.expect(w.raw("PUT", at+"?digest="+ecrroom.DigestOf(data), bytes.NewReader(data)), 416, "BLOB_UPLOAD_INVALID", "The upload was interrupted: start a new one")

		at = start()
		w.expect(w.raw("DELETE", at, nil), 204, "", "")
		w.expect(w.raw("GET", at, nil), 404, "BLOB_UPLOAD_UNKNOWN", "")

		mounted := w.raw("POST", "/v2/chat-app/blobs/uploads/?mount="+ecrroom.DigestOf(data)+"&from=chat-app", nil)
		w.expect(mounted, 202, "", "") // mounting is opt-in: it becomes an upload
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRegistryAuthorization(t *testing.T) {
	inDemo(t, func(w *world) {
		get := func(user, password string) *http.Response {
			r := must(http.NewRequestWithContext(w.ctx, "GET", "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/", nil))(w)
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			return must(w.Transport().RoundTrip(r))(w)
		}
		resp := get("", "")
		w.expect(resp, 401, "UNAUTHORIZED", "Not Authorized")
		if got := resp.Header.Get("Www-Authenticate"); got != `Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"` {
			t.Error(got)
		}
		w.expect(get("AWS", "wrong"), 401, "UNAUTHORIZED", "")
		auth := must(w.login().Authorization())(w)
		w.expect(get("docker", auth.Password), 401, "UNAUTHORIZED", "")
		w.expect(get("AWS", auth.Password), 200, "", "")
		time.Sleep(12*time.Hour + time.Second)
		w.expect(get("AWS", auth.Password), 403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
	})
}

func TestTagMutability(t *testing.T) {
	for _, c := range []struct {
		mutability types.ImageTagMutability
		filter     string
		overwrites map[string]bool
	}{
		{"MUTABLE", "", map[string]bool{"1": true, "latest": true}},
		{"IMMUTABLE", "", map[string]bool{"1": false, "latest": false}},
		{"IMMUTABLE_WITH_EXCLUSION", "lat*", map[string]bool{"1": false, "latest": true}},
		{"MUTABLE_WITH_EXCLUSION", "lat*", map[string]bool{"1": true, "latest": false}},
	} {
		inWorld(t, Options{}, func(w *world) {
			in := &ecr.CreateRepositoryInput{RepositoryName: aws.String("app"), ImageTagMutability: c.mutability}
			if c.filter != "" {
				in.ImageTagMutabilityExclusionFilters = []types.ImageTagMutabilityExclusionFilter{{FilterType: "WILDCARD", Filter: &c.filter}}
			}
			repo := must(w.ecr.CreateRepository(w.ctx, in))(w).Repository
			options := []remote.Option{remote.WithAuth(w.login()), remote.WithTransport(w.Transport()), remote.WithContext(w.ctx)}
			var img v1.Image
			for tag, want := range c.overwrites {
				ref := must(name.ParseReference(*repo.RepositoryUri + ":" + tag))(w)
				for range 2 {
					img = must(gcr.Image(64, 1))(w)
					err := remote.Write(ref, img, options...)
					head, headErr := remote.Head(ref, options...)
					if headErr != nil {
						t.Fatal(headErr)
					}
					if overwritten := head.Digest == must(img.Digest())(w); (err == nil) != overwritten {
						t.Errorf("%s, %s: error %v, but overwritten is %v", c.mutability, tag, err, overwritten)
					}
					if err != nil && want {
						t.Errorf("%s, %s: %v", c.mutability, tag, err)
					}
				}
				if err := remote.Write(ref, must(gcr.Image(64, 1))(w), options...); (err == nil) != want {
					t.Errorf("%s, %s: overwriting gives %v", c.mutability, tag, err)
				}
			}
		})
	}
}

func TestECRAPI(t *testing.T) {
	inDemo(t, func(w *world) {
		_, digest := w.push("1", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
		repo := aws.String(DemoRepository)
		got := must(w.ecr.BatchGetImage(w.ctx, &ecr.BatchGetImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("1")}, {ImageTag: aws.String("2")}}}))(w)
		if len(got.Images) != 1 || len(got.Failures) != 1 || got.Failures[0].FailureCode != types.ImageFailureCodeImageNotFound {
			t.Fatalf("%+v", got)
		}
		var m v1.Manifest
		if err := json.Unmarshal([]byte(*got.Images[0].ImageManifest), &m); err != nil {
			t.Fatal(err)
		}
		layers := must(w.ecr.BatchCheckLayerAvailability(w.ctx, &ecr.BatchCheckLayerAvailabilityInput{RepositoryName: repo, LayerDigests: []string{m.Layers[0].Digest.String(), "sha256:" + strings.Repeat("0", 64), "x"}}))(w)
		if layers.Layers[0].LayerAvailability != types.LayerAvailabilityAvailable || *layers.Layers[0].LayerSize != m.Layers[0].Size ||
			layers.Layers[1].LayerAvailability != types.LayerAvailabilityUnavailable || layers.Failures[0].FailureCode != types.LayerFailureCodeInvalidLayerDigest {
			t.Errorf("%+v", layers)
		}
		put := &ecr.PutImageInput{RepositoryName: repo, ImageManifest: got.Images[0].ImageManifest, ImageManifestMediaType: got.Images[0].ImageManifestMediaType, ImageTag: aws.String("stable")}
		if out := must(w.ecr.PutImage(w.ctx, put))(w); *out.Image.ImageId.ImageDigest != digest {
			t.Error("a tag for the same manifest made another image")
		}
		_, err := w.ecr.PutImage(w.ctx, put)
		refused(t, err, "ImageAlreadyExistsException", "Image with digest '"+digest+"' and tag 'stable' already exists in the repository with name 'chat-app' in registry with id '123456789012'")
		ids := must(w.ecr.ListImages(w.ctx, &ecr.ListImagesInput{RepositoryName: repo}))(w).ImageIds
		if len(ids) != 2 {
			t.Errorf("%+v", ids)
		}
		_, err = w.ecr.DescribeImages(w.ctx, &ecr.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("x")}}})
		refused(t, err, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'x'} does not exist within the repository with name 'chat-app' in the registry with id '123456789012'")
		_, err = w.ecr.DeleteRepository(w.ctx, &ecr.DeleteRepositoryInput{RepositoryName: repo})
		refused(t, err, "RepositoryNotEmptyException", "The repository with name 'chat-app' in registry with id '123456789012' cannot be deleted because it still contains images")
		must(w.ecr.BatchDeleteImage(w.ctx, &ecr.BatchDeleteImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageDigest: &digest}}}))(w)
		must(w.ecr.DeleteRepository(w.ctx, &ecr.DeleteRepositoryInput{RepositoryName: repo}))(w)
		_, err = w.ecr.DescribeRepositories(w.ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{DemoRepository}})
		refused(t, err, "RepositoryNotFoundException", "The repository with name 'chat-app' does not exist in the registry with id '123456789012'")
	})
}

func FuzzParseRoute(f *testing.F) {
	for _, s := range []string{"/v2/", "/v2/a/b/blobs/uploads/", "/v2/a/blobs/uploads/1", "/v2/a/blobs/sha256:0", "/v2/a/manifests/v1", "/v2/a/tags/list", "/v2/blobs/manifests/tags/list"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, ok := ecrroom.ParseRoute(path)
		if !ok {
			return
		}
		if r.Repository == "" || !strings.HasPrefix(path, "/v2/"+r.Repository+"/") || !strings.Contains(path, r.Reference) {
			t.Errorf("%q is %+v", path, r)
		}
	})
}
