// Package ecr is Amazon ECR: the API for repositories, images and authorization tokens, and the registry behind it, over one store that both show.
//
// What it does not do: it has no replication and no pull-through cache, and lifecycle policies are kept and not carried out.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/
package ecr

import (
	"cmp"
	"encoding/base64"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/schemas"

	"ecsdeploy/pkg/emulator/awsapi"
)

// ECR is Amazon ECR, and the registry behind it.
type ECR struct {
	*awsapi.Server
	registryState
	Store           *blobStore
	passwords       *rand.Rand
	RefusesRepeated bool // to put a manifest again under an immutable tag that it already has
}

func New(server *awsapi.Server, store *blobStore) *ECR {
	e := &ECR{Server: server, Store: store, passwords: rand.New(rand.NewPCG(20, 16))}
	e.init()
	e.keys = map[string]string{}
	e.AddKey("0a1b2c3d-0000-4000-8000-00000000ecec", managedKey)
	server.Reached = e.registryHost
	server.Handle("AmazonEC2ContainerRegistry_V20150921", e.Service())
	return e
}

// tokenLife is how long an authorization token is valid: 12 hours, by the reference of GetAuthorizationToken.
const tokenLife = 12 * time.Hour

func (e *ECR) Service() *awsapi.Service {
	return &awsapi.Service{
		Name:    "ecr",
		Rules:   ecrRules(),
		Unknown: "UnknownOperationException",
		Refuse: func(_ string, v awsapi.Violation) error {
			constraint := v.Constraint()
			switch v.Kind {
			case awsapi.Missing:
				constraint = "must not be null"
			case awsapi.NoMatch:
				constraint = "must satisfy regular expression '" + strings.TrimSuffix(strings.TrimPrefix(v.Limit.Pattern.String(), "^(?:"), ")$") + "'"
			}
			return awsapi.Errorf("InvalidParameterException", "Invalid parameter at '%s' failed to satisfy constraint: '%s'", v.Path, constraint)
		},
		Resource: func(_ string, in awsapi.Object) string {
			if name := in.Str("repositoryName"); name != "" {
				return e.ARN("ecr", "repository/"+name)
			}
			return "*"
		},
		Resources: func(operation string, in awsapi.Object) []string {
			var out []string
			if operation == "DescribeRepositories" || operation == "BatchGetRepositoryScanningConfiguration" {
				for _, name := range in.Strings("repositoryNames") {
					out = append(out, e.ARN("ecr", "repository/"+name))
				}
			}
			return out
		},
		// What ECR asks KMS for when it creates a repository, it asks for with the caller's permissions.
		// https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
		Implied: func(operation string, in awsapi.Object) []awsapi.Need {
			key := in.Object("encryptionConfiguration").Str("kmsKey")
			if operation != "CreateRepository" || key == "" || key == managedKey {
				return nil
			}
			arn := cmp.Or(e.key(key), key)
			if !strings.HasPrefix(arn, "arn:") {
				return nil // KMS knows no such key
			}
			return []awsapi.Need{{Action: "kms:DescribeKey", Resource: arn}, {Action: "kms:CreateGrant", Resource: arn}}
		},
		Context: func(operation string, _ awsapi.Object, context map[string][]string) {
			if operation == "CreateRepository" {
				context["kms:ViaService"] = []string{"ecr." + e.Region() + ".amazonaws.com"}
			}
		},
		Operations: map[string]awsapi.Operation{
			"BatchCheckLayerAvailability":             awsapi.Op(schemas.BatchCheckLayerAvailabilityRequest, schemas.BatchCheckLayerAvailabilityResponse, e.batchCheckLayerAvailability),
			"BatchDeleteImage":                        awsapi.Op(schemas.BatchDeleteImageRequest, schemas.BatchDeleteImageResponse, e.batchDeleteImage),
			"BatchGetImage":                           awsapi.Op(schemas.BatchGetImageRequest, schemas.BatchGetImageResponse, e.batchGetImage),
			"BatchGetRepositoryScanningConfiguration": awsapi.Op(schemas.BatchGetRepositoryScanningConfigurationRequest, schemas.BatchGetRepositoryScanningConfigurationResponse, e.batchGetRepositoryScanningConfiguration),
			"GetRegistryScanningConfiguration":        awsapi.Op(schemas.GetRegistryScanningConfigurationRequest, schemas.GetRegistryScanningConfigurationResponse, e.getRegistryScanningConfiguration),
			"PutRegistryScanningConfiguration":        awsapi.Op(schemas.PutRegistryScanningConfigurationRequest, schemas.PutRegistryScanningConfigurationResponse, e.putRegistryScanningConfiguration),
			"GetLifecyclePolicy":                      awsapi.Op(schemas.GetLifecyclePolicyRequest, schemas.GetLifecyclePolicyResponse, e.getLifecyclePolicy),
			"PutLifecyclePolicy":                      awsapi.Op(schemas.PutLifecyclePolicyRequest, schemas.PutLifecyclePolicyResponse, e.putLifecyclePolicy),
			"GetSigningConfiguration":                 awsapi.Op(schemas.GetSigningConfigurationRequest, schemas.GetSigningConfigurationResponse, e.getSigningConfiguration),
			"PutSigningConfiguration":                 awsapi.Op(schemas.PutSigningConfigurationRequest, schemas.PutSigningConfigurationResponse, e.putSigningConfiguration),
			"DescribeImageSigningStatus":              awsapi.Op(schemas.DescribeImageSigningStatusRequest, schemas.DescribeImageSigningStatusResponse, e.describeImageSigningStatus),
			"StartImageScan":                          awsapi.Op(schemas.StartImageScanRequest, schemas.StartImageScanResponse, e.startImageScan),
			"CreateRepository":                        awsapi.Op(schemas.CreateRepositoryRequest, schemas.CreateRepositoryResponse, e.createRepository),
			"DeleteRepository":                        awsapi.Op(schemas.DeleteRepositoryRequest, schemas.DeleteRepositoryResponse, e.deleteRepository),
			"DescribeImages":                          awsapi.Op(schemas.DescribeImagesRequest, schemas.DescribeImagesResponse, e.describeImages),
			"DescribeImageScanFindings":               awsapi.Op(schemas.DescribeImageScanFindingsRequest, schemas.DescribeImageScanFindingsResponse, e.describeImageScanFindings),
			"DescribeRepositories":                    awsapi.Op(schemas.DescribeRepositoriesRequest, schemas.DescribeRepositoriesResponse, e.describeRepositories),
			"GetAuthorizationToken":                   awsapi.Op(schemas.GetAuthorizationTokenRequest, schemas.GetAuthorizationTokenResponse, e.getAuthorizationToken),
			"ListImages":                              awsapi.Op(schemas.ListImagesRequest, schemas.ListImagesResponse, e.listImages),
			"PutImage":                                awsapi.Op(schemas.PutImageRequest, schemas.PutImageResponse, e.putImageOperation),
		},
	}
}

// registryHost returns the host and scheme under which the caller of r can reach the registry: this server's own, or, for a caller that believes
// to speak to AWS, the name AWS would give. It is noted, so that ECS knows such an image for one of ours.
func (e *ECR) registryHost(r *http.Request) (host, scheme string) {
	host, scheme = r.Host, "http"
	if r.TLS != nil || r.URL.Scheme == "https" {
		scheme = "https"
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.HasSuffix(name, ".amazonaws.com") || strings.HasSuffix(name, ".on.aws") || strings.HasSuffix(name, ".api.aws") {
		host, scheme = e.registryName(), "https"
	}
	e.Mu.Lock()
	e.hosts[host] = true
	e.Mu.Unlock()
	return host, scheme
}

// password makes the next password of the registry: another one every time, and alike in every run, so that runs can be compared.
func (e *ECR) password() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	out := make([]byte, 52)
	for i := range out {
		out[i] = letters[e.passwords.IntN(len(letters))]
	}
	return string(out)
}

func (e *ECR) getAuthorizationToken(c *awsapi.Invocation) (awsapi.Object, error) {
	password := e.password()
	expires := c.Now.Add(tokenLife)
	e.tokens[password] = registryToken{expires, c.Principal}
	return awsapi.Object{"authorizationData": []any{awsapi.Object{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
		"expiresAt":          awsapi.Epoch(expires),
		"proxyEndpoint":      c.Scheme + "://" + c.Host,
	}}}, nil
}

// ours refuses another account's registry: it would need a repository policy there.
func (e *ECR) ours(c *awsapi.Invocation, name string) (*repository, error) {
	if id := c.In.Str("registryId"); id != "" && id != e.Account() {
		return nil, awsapi.Errorf("RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry with id '%s'", name, id)
	}
	return e.repository(name)
}

func (e *ECR) createRepository(c *awsapi.Invocation) (awsapi.Object, error) {
	name := c.In.Str("repositoryName")
	if e.repositories[name] != nil {
		return nil, awsapi.Errorf("RepositoryAlreadyExistsException", "The repository with name '%s' already exists in the registry with id '%s'", name, e.Account())
	}
	mutability := cmp.Or(c.In.Str("imageTagMutability"), "MUTABLE")
	filters := c.In.Objects("imageTagMutabilityExclusionFilters")
	if (filters != nil) != strings.HasSuffix(mutability, "_WITH_EXCLUSION") {
		return nil, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'must be given with, and only with, a tag mutability setting that has exclusions'")
	}
	for i, t := range c.In.Objects("tags") {
		if strings.HasPrefix(strings.ToLower(t.Str("Key")), "aws:") {
			return nil, awsapi.Errorf("InvalidTagParameterException", "Invalid parameter at 'tags.%d.member.key' failed to satisfy constraint: 'aws: prefixed tag key names are not allowed for external use'", i+1)
		}
	}
	encryption, err := e.encryption(c.In.Object("encryptionConfiguration"))
	if err != nil {
		return nil, err
	}
	r := &repository{
		name: name, created: c.Now, mutability: mutability, tags: c.In.List("tags"),
		settings: awsapi.Object{
			"imageScanningConfiguration": awsapi.Object{"scanOnPush": c.In.Object("imageScanningConfiguration").Flag("scanOnPush")},
			"encryptionConfiguration":    encryption,
		},
		blobs: map[string]int64{}, images: map[string]*image{}, tagged: map[string]string{},
	}
	if filters != nil {
		r.settings["imageTagMutabilityExclusionFilters"] = c.In["imageTagMutabilityExclusionFilters"]
		for _, f := range filters {
			r.exclusions = append(r.exclusions, f.Str("filter"))
		}
	}
	e.repositories[name] = r
	return awsapi.Object{"repository": e.describeRepository(r, c)}, nil
}

func (e *ECR) describeRepository(r *repository, c *awsapi.Invocation) awsapi.Object {
	return r.settings.With(awsapi.Object{
		"repositoryArn":      e.ARN("ecr", "repository/"+r.name),
		"registryId":         e.Account(),
		"repositoryName":     r.name,
		"repositoryUri":      c.Host + "/" + r.name,
		"createdAt":          awsapi.Epoch(r.created),
		"imageTagMutability": r.mutability,
	})
}

func (e *ECR) describeRepositories(c *awsapi.Invocation) (awsapi.Object, error) {
	names := c.In.Strings("repositoryNames")
	if names != nil {
		out := []any{}
		for _, n := range names {
			r, err := e.ours(c, n)
			if err != nil {
				return nil, err
			}
			out = append(out, e.describeRepository(r, c))
		}
		return awsapi.Object{"repositories": out}, nil
	}
	all := slices.Sorted(maps.Keys(e.repositories))
	page, next, err := awsapi.Paginate(c.In, all, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, n := range page {
		out = append(out, e.describeRepository(e.repositories[n], c))
	}
	answer := awsapi.Object{"repositories": out}
	answer.Put("nextToken", next)
	return answer, nil
}

func (e *ECR) deleteRepository(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	if len(r.images) > 0 && !c.In.Flag("force") {
		return nil, awsapi.Errorf("RepositoryNotEmptyException", "The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", r.name, e.Account())
	}
	delete(e.repositories, r.name)
	return awsapi.Object{"repository": e.describeRepository(r, c)}, nil
}

// imageID is one identifier of a list of images.
func imageID(digest, tag string) awsapi.Object {
	o := awsapi.Object{}
	o.Put("imageDigest", digest)
	o.Put("imageTag", tag)
	return o
}

// lookup finds the image of an identifier, which may name a digest, a tag, or both.
func (r *repository) lookup(id awsapi.Object) *image {
	digest, tag := id.Str("imageDigest"), id.Str("imageTag")
	if digest != "" && tag != "" && r.tagged[tag] != digest {
		return nil
	}
	return r.find(cmp.Or(digest, tag))
}

func (e *ECR) batchGetImage(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	images, failures := []any{}, []any{}
	for _, id := range c.In.Objects("imageIds") {
		img := r.lookup(id)
		if img == nil {
			failures = append(failures, awsapi.Object{"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
			continue
		}
		images = append(images, awsapi.Object{
			"registryId": e.Account(), "repositoryName": r.name, "imageId": imageID(img.digest, id.Str("imageTag")),
			"imageManifest": string(img.body), "imageManifestMediaType": img.mediaType,
		})
	}
	return awsapi.Object{"images": images, "failures": failures}, nil
}

func (e *ECR) describeImages(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	var chosen []*image
	if ids := c.In.Objects("imageIds"); ids != nil {
		if c.In.Has("maxResults") || c.In.Has("nextToken") {
			return nil, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'maxResults' failed to satisfy constraint: 'must not be given with imageIds'")
		}
		for _, id := range ids {
			img := r.lookup(id)
			if img == nil {
				return nil, awsapi.Errorf("ImageNotFoundException", "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
					cmp.Or(id.Str("imageDigest"), "null"), cmp.Or(id.Str("imageTag"), "null"), r.name, e.Account())
			}
			chosen = append(chosen, img)
		}
	} else {
		status := c.In.Object("filter").Str("tagStatus")
		for _, img := range r.sorted() {
			if tagged := len(r.tagsOf(img.digest)) > 0; status == "TAGGED" && !tagged || status == "UNTAGGED" && tagged {
				continue
			}
			chosen = append(chosen, img)
		}
	}
	page, next, err := awsapi.Paginate(c.In, chosen, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	details := []any{}
	for _, img := range page {
		d := awsapi.Object{
			"registryId": e.Account(), "repositoryName": r.name, "imageDigest": img.digest,
			"imageSizeInBytes": int(img.size), "imagePushedAt": awsapi.Epoch(img.pushed), "imageManifestMediaType": img.mediaType,
		}
		if tags := r.tagsOf(img.digest); tags != nil {
			d["imageTags"] = awsapi.Anys(tags)
		}
		if img.manifest.Config != nil {
			d.Put("artifactMediaType", img.manifest.Config.MediaType)
		}
		d.Put("lastRecordedPullTime", img.pulled)
		details = append(details, d)
	}
	answer := awsapi.Object{"imageDetails": details}
	answer.Put("nextToken", next)
	return answer, nil
}

func (e *ECR) listImages(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	status := c.In.Object("filter").Str("tagStatus")
	var ids []any
	for _, img := range r.sorted() {
		tags := r.tagsOf(img.digest)
		if len(tags) == 0 && status != "TAGGED" {
			ids = append(ids, imageID(img.digest, ""))
		}
		for _, t := range tags {
			if status != "UNTAGGED" {
				ids = append(ids, imageID(img.digest, t))
			}
		}
	}
	page, next, err := awsapi.Paginate(c.In, ids, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	answer := awsapi.Object{"imageIds": awsapi.Anys(page)}
	answer.Put("nextToken", next)
	return answer, nil
}

func (e *ECR) batchDeleteImage(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	deleted, failures := []any{}, []any{}
	for _, id := range c.In.Objects("imageIds") {
		img := r.lookup(id)
		if img == nil {
			failures = append(failures, awsapi.Object{"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
			continue
		}
		if tag := id.Str("imageTag"); tag != "" {
			delete(r.tagged, tag)
			deleted = append(deleted, imageID(img.digest, tag))
			if len(r.tagsOf(img.digest)) > 0 {
				continue
			}
		}
		for _, tag := range r.tagsOf(img.digest) {
			delete(r.tagged, tag)
			deleted = append(deleted, imageID(img.digest, tag))
		}
		if !id.Has("imageTag") {
			deleted = append(deleted, imageID(img.digest, ""))
		}
		delete(r.images, img.digest)
	}
	return awsapi.Object{"imageIds": deleted, "failures": failures}, nil
}

func (e *ECR) batchCheckLayerAvailability(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	layers, failures := []any{}, []any{}
	for _, d := range c.In.Strings("layerDigests") {
		size, ok := r.blobs[d]
		switch {
		case !digestForm.MatchString(d):
			failures = append(failures, awsapi.Object{"layerDigest": d, "failureCode": "InvalidLayerDigest", "failureReason": "Invalid layer digest"})
		case ok:
			layers = append(layers, awsapi.Object{"layerDigest": d, "layerAvailability": "AVAILABLE", "layerSize": int(size), "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"})
		default:
			layers = append(layers, awsapi.Object{"layerDigest": d, "layerAvailability": "UNAVAILABLE"})
		}
	}
	return awsapi.Object{"layers": layers, "failures": failures}, nil
}

func (e *ECR) putImageOperation(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	tag := c.In.Str("imageTag")
	img, existed, err := e.putImage(r, []byte(c.In.Str("imageManifest")), c.In.Str("imageManifestMediaType"), tag, c.In.Str("imageDigest"), c.Principal, c.Now)
	if err != nil {
		return nil, err
	}
	if existed {
		return nil, awsapi.Errorf("ImageAlreadyExistsException", "Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", img.digest, tag, r.name, e.Account())
	}
	return awsapi.Object{"image": awsapi.Object{
		"registryId": e.Account(), "repositoryName": r.name, "imageId": imageID(img.digest, tag),
		"imageManifest": string(img.body), "imageManifestMediaType": img.mediaType,
	}}, nil
}
