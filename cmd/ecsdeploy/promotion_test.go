package main

// Promotion: an image goes from one account's registry to another's as it is.

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/iam"
)

const (
	devAccount    = "210987654321"
	devRegion     = "eu-central-1"
	devKey        = "AKIAI44QH8DHBEXAMPLE"
	devConnection = "0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e"
)

// accounts routes requests to one of two: by the key that signed, or by the host of
// the registry. What reaches the wrong one is noted.
type accounts struct{ dev, prod http.RoundTripper }

func (a accounts) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.Header.Get("Authorization"), devKey) || strings.HasPrefix(r.URL.Host, devAccount) {
		return a.dev.RoundTrip(r)
	}
	return a.prod.RoundTrip(r)
}

// promotion is a dev and a prod account, each with its own registry and identity.
type promotion struct {
	*world // prod
	dev    *world
}

func newPromotion(t *testing.T) promotion {
	t.Helper()
	e, err := emulator.New(emulator.Options{Region: devRegion, Account: devAccount})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	dev := &world{Emulator: e, directory: t.TempDir(), config: aws.Config{
		Region: devRegion, Credentials: credentials.NewStaticCredentialsProvider(devKey, "dev", ""), HTTPClient: &http.Client{Transport: e.Transport()},
	}}
	if _, err := awsecr.NewFromConfig(dev.config).CreateRepository(t.Context(), &awsecr.CreateRepositoryInput{RepositoryName: aws.String("team/chat-app")}); err != nil {
		t.Fatal(err)
	}
	if dev.repository, err = ecr.New(dev.config, ecr.Options{}).Repository(t.Context(), "team/chat-app"); err != nil {
		t.Fatal(err)
	}
	return promotion{newWorld(t), dev}
}

// push runs command push with inputs, and returns the log.
func (p promotion) push(t *testing.T, inputs string, environ ...string) string {
	t.Helper()
	temp := t.TempDir()
	var log bytes.Buffer
	all := append(environment(t, p.world, temp, "command: push\nrepository: chat-app\n"+inputs), environ...)
	if code := run(t.Context(), all, &log, accounts{p.dev.Transport(), p.Transport()}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if found, err := os.ReadDir(temp); err == nil {
		for _, f := range found {
			if text, _ := os.ReadFile(temp + "/" + f.Name()); bytes.Contains(text, []byte("dev-secret")) {
				t.Errorf("%s has the secret of the source", f.Name())
			}
		}
	}
	return log.String()
}

// manifests are the bytes of an image's manifest and of those of its index, by digest.
func (w *world) manifests(t *testing.T, tag string) map[string]string {
	t.Helper()
	api := awsecr.NewFromConfig(w.config)
	get := func(id types.ImageIdentifier) types.Image {
		out, err := api.BatchGetImage(t.Context(), &awsecr.BatchGetImageInput{RepositoryName: &w.repository.Name, ImageIds: []types.ImageIdentifier{id}})
		if err != nil || len(out.Images) != 1 {
			t.Fatalf("%+v: %+v, %v", id, out, err)
		}
		return out.Images[0]
	}
	root := get(types.ImageIdentifier{ImageTag: &tag})
	all := map[string]string{aws.ToString(root.ImageId.ImageDigest): aws.ToString(root.ImageManifest)}
	for _, digest := range childDigests(t, aws.ToString(root.ImageManifest)) {
		child := get(types.ImageIdentifier{ImageDigest: &digest})
		all[digest] = aws.ToString(child.ImageManifest)
	}
	return all
}

var devAuth = fmt.Sprintf(`ENDPOINT_AUTH_%s={"scheme":"UsernamePassword","parameters":{"username":"%s","password":"dev-secret"}}`, devConnection, devKey)

// TestPromotion copies an index with its attestation from the registry of one account
// and region to that of another, under two tags. Every manifest is the same to the
// byte, and each identity is used for its own account only.
func TestPromotion(t *testing.T) {
	clearAWS(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPromotion(t)
		p.dev.pushIndex(t, "17", []string{"linux/amd64", "linux/arm64"})
		policy, err := iam.Parse(iam.Identity, "", []byte(documented(t)["sourceCredentials"]))
		if err != nil {
			t.Fatal(err)
		}
		p.dev.Restrict(p.dev.User(), policy)
		synctest.Wait() // a request is noted after it was answered
		before := len(p.dev.Requests())
		source := "image: docker://" + p.dev.repository.URI + ":17\ntags: \"17\\nstable\"\n"
		log := p.push(t, source+"sourceCredentials: "+devConnection, devAuth, "SYSTEM_DEBUG=true")
		if !strings.Contains(log, "result=Succeeded]") || !strings.Contains(log, devAccount+":user/emulator reads the source image in "+devRegion) {
			t.Fatalf("the promotion failed:\n%s", log)
		}
		encoded := base64.StdEncoding.EncodeToString([]byte("dev-secret"))
		if unmasked := strings.NewReplacer("##vso[task.setsecret]dev-secret", "", "##vso[task.setsecret]"+encoded, "").Replace(log); strings.Contains(unmasked, "dev-secret") || strings.Contains(unmasked, encoded) {
			t.Errorf("the secret of the source is in the log:\n%s", log)
		}
		p.dev.Restrict(p.dev.User())
		want := p.dev.manifests(t, "17")
		for _, tag := range []string{"17", "stable"} {
			got := p.manifests(t, tag)
			if len(got) != 4 || len(got) != len(want) {
				t.Errorf("tag %s: %d manifests, the source has %d", tag, len(got), len(want))
			}
			for digest, manifest := range want {
				if got[digest] != manifest {
					t.Errorf("tag %s: manifest %s differs", tag, digest)
				}
			}
		}
		for _, r := range p.dev.Requests()[before:] {
			if slices.Contains([]string{"PutManifest", "StartUpload", "UploadChunk", "FinishUpload", "PutImage"}, r.Operation) {
				t.Errorf("the source was written to: %s", r.Operation)
			}
		}
		p.dev.Restrict(p.dev.User(), policy)
		again := p.push(t, source+"sourceCredentials: "+devConnection, devAuth)
		if !strings.Contains(again, "already in ECR as 17, stable, nothing to push") {
			t.Errorf("the second promotion:\n%s", again)
		}
	})
}

// TestPromotionRefused: what the second connection is not for, or cannot do, is said
// under the name of its input.
func TestPromotionRefused(t *testing.T) {
	clearAWS(t)
	for name, c := range map[string]struct{ inputs, auth, want string }{
		"not another registry": {"image: app.tar\nsourceCredentials: " + devConnection, devAuth, "input sourceCredentials: is for an image of another registry, and &#34;app.tar&#34; is none"},
		"not ECR":              {"image: docker://ghcr.io/team/app:1\nsourceCredentials: " + devConnection, devAuth, "input sourceCredentials: docker://ghcr.io/team/app:1 is not in a private registry of ECR"},
		"no such connection":   {"image: docker://" + devAccount + ".dkr.ecr." + devRegion + ".amazonaws.com/team/chat-app:17\nsourceCredentials: " + devConnection, "X=", "input sourceCredentials: the agent has no service connection"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newPromotion(t).push(t, c.inputs, c.auth)
				if want := strings.ReplaceAll(c.want, "&#34;", `"`); !strings.Contains(log, want) || !strings.Contains(log, "result=Failed]") {
					t.Errorf("want %s:\n%s", want, log)
				}
			})
		})
	}
}

// childDigests are the digests of an index's entries; none of a single image.
func childDigests(t *testing.T, manifest string) (all []string) {
	t.Helper()
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal([]byte(manifest), &index); err != nil {
		t.Fatal(err)
	}
	for _, m := range index.Manifests {
		all = append(all, m.Digest)
	}
	return all
}

// TestPromotionWithout: each action of the documented policy is needed, and the error
// names it.
func TestPromotionWithout(t *testing.T) {
	clearAWS(t)
	document := documented(t)["sourceCredentials"]
	for action := range policies(t)["sourceCredentials"] {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPromotion(t)
				p.dev.push(t, "17", "amd64")
				policy, err := iam.Parse(iam.Identity, "", []byte(without(t, document, action)))
				if err != nil {
					t.Fatal(err)
				}
				p.dev.Restrict(p.dev.User(), policy)
				log := p.push(t, "image: docker://"+p.dev.repository.URI+":17\nsourceCredentials: "+devConnection, devAuth)
				if !strings.Contains(log, "result=Failed]") || !strings.Contains(log, action) {
					t.Errorf("without %s:\n%s", action, log)
				}
			})
		})
	}
}
