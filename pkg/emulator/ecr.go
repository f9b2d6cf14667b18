// The ECR API: repositories, images and the authorization token of the registry.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/

package emulator

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/schemas"
)

// ECR is Amazon ECR, and the registry behind it.
type ECR struct {
	*Server
	registryState
	store           *blobStore
	refusesRepeated bool // to put a manifest again under an immutable tag that it already has
}

func newECR(server *Server, store *blobStore) *ECR {
	e := &ECR{Server: server, store: store}
	e.init()
	server.reached = e.registryHost
	server.handle("AmazonEC2ContainerRegistry_V20150921", e.service())
	return e
}

// tokenLife is how long an authorization token is valid: 12 hours, by the reference of GetAuthorizationToken.
const tokenLife = 12 * time.Hour

func (e *ECR) service() *awsService {
	return &awsService{
		name:    "ecr",
		rules:   ecrRules(),
		unknown: "UnknownOperationException",
		refuse: func(_ string, v violation) error {
			constraint := v.constraint()
			switch v.kind {
			case missing:
				constraint = "must not be null"
			case noMatch:
				constraint = "must satisfy regular expression '" + strings.TrimSuffix(strings.TrimPrefix(v.limit.pattern.String(), "^(?:"), ")$") + "'"
			}
			return apiErrorf("InvalidParameterException", "Invalid parameter at '%s' failed to satisfy constraint: '%s'", v.path, constraint)
		},
		resource: func(_ string, in object) string {
			if name := in.str("repositoryName"); name != "" {
				return e.arn("ecr", "repository/"+name)
			}
			return "*"
		},
		resources: func(operation string, in object) []string {
			var out []string
			if operation == "DescribeRepositories" {
				for _, name := range in.strings("repositoryNames") {
					out = append(out, e.arn("ecr", "repository/"+name))
				}
			}
			return out
		},
		operations: map[string]operation{
			"BatchCheckLayerAvailability": {schemas.BatchCheckLayerAvailabilityRequest, schemas.BatchCheckLayerAvailabilityResponse, e.batchCheckLayerAvailability},
			"BatchDeleteImage":            {schemas.BatchDeleteImageRequest, schemas.BatchDeleteImageResponse, e.batchDeleteImage},
			"BatchGetImage":               {schemas.BatchGetImageRequest, schemas.BatchGetImageResponse, e.batchGetImage},
			"CreateRepository":            {schemas.CreateRepositoryRequest, schemas.CreateRepositoryResponse, e.createRepository},
			"DeleteRepository":            {schemas.DeleteRepositoryRequest, schemas.DeleteRepositoryResponse, e.deleteRepository},
			"DescribeImages":              {schemas.DescribeImagesRequest, schemas.DescribeImagesResponse, e.describeImages},
			"DescribeRepositories":        {schemas.DescribeRepositoriesRequest, schemas.DescribeRepositoriesResponse, e.describeRepositories},
			"GetAuthorizationToken":       {schemas.GetAuthorizationTokenRequest, schemas.GetAuthorizationTokenResponse, e.getAuthorizationToken},
			"ListImages":                  {schemas.ListImagesRequest, schemas.ListImagesResponse, e.listImages},
			"PutImage":                    {schemas.PutImageRequest, schemas.PutImageResponse, e.putImageOperation},
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
	e.mu.Lock()
	e.hosts[host] = true
	e.mu.Unlock()
	return host, scheme
}

func (e *ECR) getAuthorizationToken(c *call) (object, error) {
	password := rand.Text() + rand.Text()
	expires := c.now.Add(tokenLife)
	e.tokens[password] = registryToken{expires, c.principal}
	return object{"authorizationData": []any{object{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
		"expiresAt":          epoch(expires),
		"proxyEndpoint":      c.scheme + "://" + c.host,
	}}}, nil
}

// ours refuses another account's registry: it would need a repository policy there.
func (e *ECR) ours(c *call, name string) (*repository, error) {
	if id := c.in.str("registryId"); id != "" && id != e.Account() {
		return nil, apiErrorf("RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry with id '%s'", name, id)
	}
	return e.repository(name)
}

func (e *ECR) createRepository(c *call) (object, error) {
	name := c.in.str("repositoryName")
	if e.repositories[name] != nil {
		return nil, apiErrorf("RepositoryAlreadyExistsException", "The repository with name '%s' already exists in the registry with id '%s'", name, e.Account())
	}
	mutability := cmp.Or(c.in.str("imageTagMutability"), "MUTABLE")
	filters := c.in.objects("imageTagMutabilityExclusionFilters")
	if (filters != nil) != strings.HasSuffix(mutability, "_WITH_EXCLUSION") {
		return nil, apiErrorf("InvalidParameterException", "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'must be given with, and only with, a tag mutability setting that has exclusions'")
	}
	for i, t := range c.in.objects("tags") {
		if strings.HasPrefix(strings.ToLower(t.str("Key")), "aws:") {
			return nil, apiErrorf("InvalidTagParameterException", "Invalid parameter at 'tags.%d.member.key' failed to satisfy constraint: 'aws: prefixed tag key names are not allowed for external use'", i+1)
		}
	}
	r := &repository{
		name: name, created: c.now, mutability: mutability, tags: c.in.list("tags"),
		settings: object{
			"imageScanningConfiguration": object{"scanOnPush": c.in.object("imageScanningConfiguration").flag("scanOnPush")},
			"encryptionConfiguration":    object{"encryptionType": cmp.Or(c.in.object("encryptionConfiguration").str("encryptionType"), "AES256")},
		},
		blobs: map[string]int64{}, images: map[string]*image{}, tagged: map[string]string{},
	}
	if filters != nil {
		r.settings["imageTagMutabilityExclusionFilters"] = c.in["imageTagMutabilityExclusionFilters"]
		for _, f := range filters {
			r.exclusions = append(r.exclusions, f.str("filter"))
		}
	}
	e.repositories[name] = r
	return object{"repository": e.describeRepository(r, c)}, nil
}

func (e *ECR) describeRepository(r *repository, c *call) object {
	return r.settings.with(object{
		"repositoryArn":      e.arn("ecr", "repository/"+r.name),
		"registryId":         e.Account(),
		"repositoryName":     r.name,
		"repositoryUri":      c.host + "/" + r.name,
		"createdAt":          epoch(r.created),
		"imageTagMutability": r.mutability,
	})
}

func (e *ECR) describeRepositories(c *call) (object, error) {
	names := c.in.strings("repositoryNames")
	if names != nil {
		out := []any{}
		for _, n := range names {
			r, err := e.ours(c, n)
			if err != nil {
				return nil, err
			}
			out = append(out, e.describeRepository(r, c))
		}
		return object{"repositories": out}, nil
	}
	all := slices.Sorted(maps.Keys(e.repositories))
	page, next, err := paginate(c.in, all, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, n := range page {
		out = append(out, e.describeRepository(e.repositories[n], c))
	}
	answer := object{"repositories": out}
	answer.put("nextToken", next)
	return answer, nil
}

func (e *ECR) deleteRepository(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	if len(r.images) > 0 && !c.in.flag("force") {
		return nil, apiErrorf("RepositoryNotEmptyException", "The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", r.name, e.Account())
	}
	delete(e.repositories, r.name)
	return object{"repository": e.describeRepository(r, c)}, nil
}

// imageID is one identifier of a list of images.
func imageID(digest, tag string) object {
	o := object{}
	o.put("imageDigest", digest)
	o.put("imageTag", tag)
	return o
}

// lookup finds the image of an identifier, which may name a digest, a tag, or both.
func (r *repository) lookup(id object) *image {
	digest, tag := id.str("imageDigest"), id.str("imageTag")
	if digest != "" && tag != "" && r.tagged[tag] != digest {
		return nil
	}
	return r.find(cmp.Or(digest, tag))
}

func (e *ECR) batchGetImage(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	images, failures := []any{}, []any{}
	for _, id := range c.in.objects("imageIds") {
		img := r.lookup(id)
		if img == nil {
			failures = append(failures, object{"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
			continue
		}
		images = append(images, object{
			"registryId": e.Account(), "repositoryName": r.name, "imageId": imageID(img.digest, id.str("imageTag")),
			"imageManifest": string(img.body), "imageManifestMediaType": img.mediaType,
		})
	}
	return object{"images": images, "failures": failures}, nil
}

func (e *ECR) describeImages(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	var chosen []*image
	if ids := c.in.objects("imageIds"); ids != nil {
		if c.in.has("maxResults") || c.in.has("nextToken") {
			return nil, apiErrorf("InvalidParameterException", "Invalid parameter at 'maxResults' failed to satisfy constraint: 'must not be given with imageIds'")
		}
		for _, id := range ids {
			img := r.lookup(id)
			if img == nil {
				return nil, apiErrorf("ImageNotFoundException", "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
					cmp.Or(id.str("imageDigest"), "null"), cmp.Or(id.str("imageTag"), "null"), r.name, e.Account())
			}
			chosen = append(chosen, img)
		}
	} else {
		status := c.in.object("filter").str("tagStatus")
		for _, img := range r.sorted() {
			if tagged := len(r.tagsOf(img.digest)) > 0; status == "TAGGED" && !tagged || status == "UNTAGGED" && tagged {
				continue
			}
			chosen = append(chosen, img)
		}
	}
	page, next, err := paginate(c.in, chosen, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	details := []any{}
	for _, img := range page {
		d := object{
			"registryId": e.Account(), "repositoryName": r.name, "imageDigest": img.digest,
			"imageSizeInBytes": int(img.size), "imagePushedAt": epoch(img.pushed), "imageManifestMediaType": img.mediaType,
		}
		if tags := r.tagsOf(img.digest); tags != nil {
			d["imageTags"] = anys(tags)
		}
		if img.manifest.Config != nil {
			d.put("artifactMediaType", img.manifest.Config.MediaType)
		}
		d.put("lastRecordedPullTime", img.pulled)
		details = append(details, d)
	}
	answer := object{"imageDetails": details}
	answer.put("nextToken", next)
	return answer, nil
}

func (e *ECR) listImages(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	status := c.in.object("filter").str("tagStatus")
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
	page, next, err := paginate(c.in, ids, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	answer := object{"imageIds": anys(page)}
	answer.put("nextToken", next)
	return answer, nil
}

func (e *ECR) batchDeleteImage(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	deleted, failures := []any{}, []any{}
	for _, id := range c.in.objects("imageIds") {
		img := r.lookup(id)
		if img == nil {
			failures = append(failures, object{"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
			continue
		}
		if tag := id.str("imageTag"); tag != "" {
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
		if !id.has("imageTag") {
			deleted = append(deleted, imageID(img.digest, ""))
		}
		delete(r.images, img.digest)
	}
	return object{"imageIds": deleted, "failures": failures}, nil
}

func (e *ECR) batchCheckLayerAvailability(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	layers, failures := []any{}, []any{}
	for _, d := range c.in.strings("layerDigests") {
		size, ok := r.blobs[d]
		switch {
		case !digestForm.MatchString(d):
			failures = append(failures, object{"layerDigest": d, "failureCode": "InvalidLayerDigest", "failureReason": "Invalid layer digest"})
		case ok:
			layers = append(layers, object{"layerDigest": d, "layerAvailability": "AVAILABLE", "layerSize": int(size), "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"})
		default:
			layers = append(layers, object{"layerDigest": d, "layerAvailability": "UNAVAILABLE"})
		}
	}
	return object{"layers": layers, "failures": failures}, nil
}

func (e *ECR) putImageOperation(c *call) (object, error) {
	r, err := e.ours(c, c.in.str("repositoryName"))
	if err != nil {
		return nil, err
	}
	tag := c.in.str("imageTag")
	img, existed, err := e.putImage(r, []byte(c.in.str("imageManifest")), c.in.str("imageManifestMediaType"), tag, c.in.str("imageDigest"), c.now)
	if err != nil {
		return nil, err
	}
	if existed {
		return nil, apiErrorf("ImageAlreadyExistsException", "Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", img.digest, tag, r.name, e.Account())
	}
	return object{"image": object{
		"registryId": e.Account(), "repositoryName": r.name, "imageId": imageID(img.digest, tag),
		"imageManifest": string(img.body), "imageManifestMediaType": img.mediaType,
	}}, nil
}
