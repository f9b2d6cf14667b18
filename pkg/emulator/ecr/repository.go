// Repositories and images: the one store that the ECR API and the registry both show, and the rules for putting an image in.

package ecr

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

type registryState struct {
	repositories map[string]*repository
	tokens       map[string]registryToken // by password
	uploads      map[string]*upload
	hosts        map[string]bool // names this server was reached by as a registry
	scanning     scanning
	signingRules []awsapi.Object
	signs        bool              // there is a signing configuration, maybe without rules
	keys         map[string]string // ARNs of the keys of KMS, by what they may be called
}

// registryToken is what GetAuthorizationToken handed out.
type registryToken struct {
	expires   time.Time
	principal string // whose permissions the registry checks
}

func (s *registryState) init() {
	s.repositories = map[string]*repository{}
	s.tokens = map[string]registryToken{}
	s.uploads = map[string]*upload{}
	s.hosts = map[string]bool{}
}

type repository struct {
	name       string
	created    time.Time
	settings   awsapi.Object // members of the description that CreateRepository chose
	tags       []any
	mutability string
	exclusions []string // wildcard filters of tags that are the other way round
	blobs      map[string]int64
	images     map[string]*image // by digest
	tagged     map[string]string // tag → digest
	scan       Scan              // what scans find
	signing    Signing           // how signing jobs go
	lifecycle  string            // the text of its lifecycle policy; "" is none
}

type image struct {
	digest, mediaType string
	body              []byte
	manifest          manifest
	size              int64
	pushed, pulled    time.Time
	scanned           time.Time // when its latest scan began; zero is never
	platform          Platform  // of a single image: what its config says
	signatures        []signingJob
}

// Platform is what an image or an index entry runs on.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

// manifest is what image manifests and indexes of Docker and OCI have in common.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
type manifest struct {
	MediaType    string       `json:"mediaType"`
	ArtifactType string       `json:"artifactType"`
	Config       *descriptor  `json:"config"`
	Layers       []descriptor `json:"layers"`
	Manifests    []descriptor `json:"manifests"`

	Annotations map[string]string `json:"annotations"`
}

type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	Platform  *Platform `json:"platform"`

	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	OCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	OCIIndex       = "application/vnd.oci.image.index.v1+json"
)

func isIndex(mediaType string) bool { return mediaType == dockerList || mediaType == OCIIndex }

var (
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

func DigestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// repository returns a repository, or ECR's error for one that does not exist.
func (e *ECR) repository(name string) (*repository, error) {
	if r := e.repositories[name]; r != nil {
		return r, nil
	}
	return nil, awsapi.Errorf("RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry with id '%s'", name, e.Account())
}

// immutable says whether a tag, once given, stays on its image.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r *repository) immutable(tag string) bool {
	excluded := slices.ContainsFunc(r.exclusions, func(filter string) bool {
		ok, _ := path.Match(filter, tag)
		return ok
	})
	switch r.mutability {
	case "IMMUTABLE":
		return true
	case "IMMUTABLE_WITH_EXCLUSION":
		return !excluded
	case "MUTABLE_WITH_EXCLUSION":
		return excluded
	}
	return false
}

// find returns the image that a tag or digest names, or nil.
func (r *repository) find(ref string) *image {
	if d, ok := r.tagged[ref]; ok {
		ref = d
	}
	return r.images[ref]
}

// tagsOf lists the tags of an image, sorted.
func (r *repository) tagsOf(digest string) []string {
	var out []string
	for tag, d := range r.tagged {
		if d == digest {
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return out
}

// sorted lists images, newest first.
func (r *repository) sorted() []*image {
	out := make([]*image, 0, len(r.images))
	for _, i := range r.images {
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b *image) int {
		return cmp.Or(b.pushed.Compare(a.pushed), cmp.Compare(a.digest, b.digest))
	})
	return out
}

// putImage stores a manifest and gives it a tag, which may be empty. The error codes are those of PutImage; the registry translates them.
// existed says that this very image had this very tag already.
func (e *ECR) putImage(r *repository, body []byte, mediaType, tag, digest, principal string, now time.Time) (img *image, existed bool, err error) {
	var m manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, false, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")
	}
	mediaType = cmp.Or(mediaType, m.MediaType)
	switch mediaType {
	case dockerManifest, OCIManifest, dockerList, OCIIndex:
	default:
		return nil, false, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'imageManifestMediaType' failed to satisfy constraint: 'unsupported manifest media type: %s'", mediaType)
	}
	if m.MediaType != "" && m.MediaType != mediaType {
		return nil, false, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'imageManifestMediaType' failed to satisfy constraint: 'must match the mediaType of the manifest'")
	}
	if tag != "" && !tagForm.MatchString(tag) {
		return nil, false, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}''")
	}
	actual := DigestOf(body)
	if digest != "" && digest != actual {
		return nil, false, awsapi.Errorf("ImageDigestDoesNotMatchException", "The digest in the request '%s' does not match the digest calculated by ECR '%s'", digest, actual)
	}
	size := int64(0)
	var lack []string
	if isIndex(mediaType) {
		for _, d := range m.Manifests {
			if r.images[d.Digest] == nil {
				lack = append(lack, d.Digest)
			}
		}
		if lack != nil {
			return nil, false, awsapi.Errorf("ReferencedImagesNotFoundException", "Images with digests '%s' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", awsapi.List(lack), r.name, e.Account())
		}
	} else {
		if m.Config == nil {
			return nil, false, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'must have a config'")
		}
		for _, d := range append([]descriptor{*m.Config}, m.Layers...) {
			if strings.Contains(d.MediaType, "foreign") || strings.Contains(d.MediaType, "nondistributable") {
				continue
			}
			have, ok := r.blobs[d.Digest]
			if !ok {
				lack = append(lack, d.Digest)
			} else if have != d.Size {
				return nil, false, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'size of %s is %d, not %d'", d.Digest, have, d.Size)
			}
			size += d.Size
		}
		if lack != nil {
			return nil, false, awsapi.Errorf("LayersNotFoundException", "Layers with digests '%s' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", awsapi.List(lack), r.name, e.Account())
		}
	}
	if had, ok := r.tagged[tag]; ok {
		if had == actual && !(r.immutable(tag) && e.RefusesRepeated) {
			return r.images[actual], true, nil
		}
		if r.immutable(tag) {
			return nil, false, awsapi.Errorf("ImageTagAlreadyExistsException", "The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", tag, r.name)
		}
	}
	img = r.images[actual]
	if img == nil {
		img = &image{digest: actual, mediaType: mediaType, body: body, manifest: m, size: size, pushed: now}
		if m.Config != nil {
			img.platform = e.platformOf(m.Config.Digest)
		}
		r.images[actual] = img
		e.scanPushed(r, img, now)
		e.signPushed(r, img, principal, now)
	}
	if tag != "" {
		r.tagged[tag] = actual
	}
	return img, false, nil
}

// platformOf reads the platform out of an image config; artifacts that are no images have none.
func (e *ECR) platformOf(config string) Platform {
	var p Platform
	f, err := e.Store.open(config)
	if err != nil {
		return p
	}
	defer f.Close()
	json.NewDecoder(f).Decode(&p)
	return p
}

// Resolve says what ECS finds when it pulls an image for a platform: its digest, or why it cannot be pulled. Images of other registries are
// taken to exist.
func (e *ECR) Resolve(reference string, want Platform) (digest string, runs bool, problem string) {
	host, rest, _ := strings.Cut(reference, "/")
	if !e.hosts[host] && host != e.registryName() {
		if _, d, ok := strings.Cut(reference, "@"); ok {
			return d, true, ""
		}
		return DigestOf([]byte(reference)), true, ""
	}
	name, ref, byDigest := strings.Cut(rest, "@")
	if !byDigest {
		name, ref, _ = strings.Cut(rest, ":")
		ref = cmp.Or(ref, "latest")
	} else {
		name, _, _ = strings.Cut(name, ":")
	}
	repo := e.repositories[name]
	if repo == nil {
		return "", false, fmt.Sprintf("CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref %s: The repository with name '%s' does not exist in the registry with id '%s'", reference, name, e.Account())
	}
	img := repo.find(ref)
	if img == nil {
		return "", false, fmt.Sprintf("CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref %s: %s: not found", reference, reference)
	}
	if !isIndex(img.mediaType) {
		return img.digest, img.platform == want || img.platform == Platform{}, ""
	}
	for _, d := range img.manifest.Manifests {
		if d.Platform != nil && *d.Platform == want && d.ArtifactType != sociIndex {
			return img.digest, true, ""
		}
	}
	return "", false, fmt.Sprintf("CannotPullContainerError: pull image manifest has been retried 5 time(s): image Manifest does not contain descriptor matching platform '%s/%s'", want.OS, want.Architecture)
}

// registryName is the host of this account's registry in AWS.
func (e *ECR) registryName() string {
	return e.Account() + ".dkr.ecr." + e.Region() + ".amazonaws.com"
}

// Retag moves a tag to another image of the repository.
func (e *ECR) Retag(repository, tag, digest string) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	r, err := e.repository(repository)
	if err != nil {
		return err
	}
	if r.images[digest] == nil {
		return errors.New("the repository has no image " + digest)
	}
	r.tagged[tag] = digest
	return nil
}
