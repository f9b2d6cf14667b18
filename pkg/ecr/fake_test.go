package ecr

// A stand-in of ECR that behaves: repositories and images in memory, answers in
// the service's own protocol (awsjson 1.1) and words. It is reached through an
// in-process transport, so that time in the tests can be synctest's.

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

const (
	fakeAccount = "123456789012"
	fakeRegion  = "eu-west-1"
)

type fakeECR struct {
	mu     sync.Mutex
	repos  map[string]*fakeRepo // by region/account/name
	denied map[string]bool      // by operation
	host   string               // of repository URIs; "" = ECR's own
	calls  []string             // operations, in order
	tokens int                  // issued so far
	full   bool                 // the account has as many repositories as it may have
	// templates are creation templates: prefix and what it is applied for.
	templates [][2]string
	lost      int // answers to CreateRepository that do not arrive
}

type fakeRepo struct {
	region, account, name string
	mutability            string
	exclusions            []string
	scanOnPush            bool
	encryption            object
	lifecycle             string
	images                []*fakeImage
	layers                map[string]string // digest → availability
	failure               string            // code for every BatchGetImage, if set
}

type fakeImage struct {
	manifest, mediaType, digest string
	tags                        []string
	pushed                      time.Time
}

func newFake() *fakeECR {
	return &fakeECR{repos: map[string]*fakeRepo{}, denied: map[string]bool{}}
}

func (f *fakeECR) repo(name string) *fakeRepo { return f.repoIn(fakeRegion, fakeAccount, name) }

func (f *fakeECR) repoIn(region, account, name string) *fakeRepo {
	r := &fakeRepo{region: region, account: account, name: name, mutability: "MUTABLE", layers: map[string]string{}}
	f.repos[region+"/"+account+"/"+name] = r
	return r
}

func (r *fakeRepo) push(manifest string, pushed time.Time, tags ...string) string {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest)))
	r.images = append(r.images, &fakeImage{
		manifest: manifest, mediaType: "application/vnd.oci.image.manifest.v1+json",
		digest: digest, tags: tags, pushed: pushed,
	})
	return digest
}

// config is an aws.Config whose every call ends in the fake.
func (f *fakeECR) config() aws.Config {
	return aws.Config{
		Region:           fakeRegion,
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:       &http.Client{Transport: inProcess{f}},
		RetryMaxAttempts: 1,
	}
}

func (f *fakeECR) client() *Client { return New(f.config(), Options{}) }

func (f *fakeECR) count(operation string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == operation {
			n++
		}
	}
	return n
}

type inProcess struct{ h http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	t.h.ServeHTTP(w, r)
	return w.Result(), nil
}

var credentialScope = regexp.MustCompile(`Credential=[^/]+/[0-9]{8}/([a-z0-9-]+)/ecr/aws4_request`)

// fakeRequest has the members of all operations.
type fakeRequest struct {
	RegistryID      string   `json:"registryId"`
	RepositoryName  string   `json:"repositoryName"`
	RepositoryNames []string `json:"repositoryNames"`
	NextToken       string   `json:"nextToken"`
	LayerDigests    []string `json:"layerDigests"`
	AcceptedTypes   []string `json:"acceptedMediaTypes"`
	Mutability      string   `json:"imageTagMutability"`
	Scanning        struct {
		ScanOnPush bool `json:"scanOnPush"`
	} `json:"imageScanningConfiguration"`
	Exclusions []struct {
		Filter string `json:"filter"`
	} `json:"imageTagMutabilityExclusionFilters"`
	Encryption object `json:"encryptionConfiguration"`
	Policy     string `json:"lifecyclePolicyText"`
	ImageIDs   []struct {
		ImageTag    string `json:"imageTag"`
		ImageDigest string `json:"imageDigest"`
	} `json:"imageIds"`
}

type object = map[string]any

func (f *fakeECR) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonEC2ContainerRegistry_V20150921.")
	scope := credentialScope.FindStringSubmatch(r.Header.Get("Authorization"))
	if !ok || scope == nil {
		fail(w, "UnrecognizedClientException", "The security token included in the request is invalid.")
		return
	}
	f.calls = append(f.calls, operation)
	region := scope[1]
	var in fakeRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, "SerializationException", err.Error())
		return
	}
	account := in.RegistryID
	if account == "" {
		account = fakeAccount
	}
	if f.full && operation == "CreateRepository" {
		fail(w, "LimitExceededException", "The operation did not succeed because it would have exceeded a service limit for your account.")
		return
	}
	if f.denied[operation] {
		fail(w, "AccessDeniedException", fmt.Sprintf("User: arn:aws:iam::%s:user/ci is not authorized to perform: ecr:%s on resource: "+
			"arn:aws:ecr:%s:%s:repository/%s because no identity-based policy allows the ecr:%[2]s action", account, operation, region, account, in.RepositoryName))
		return
	}
	find := func(name string) *fakeRepo {
		repo := f.repos[region+"/"+account+"/"+name]
		if repo == nil {
			fail(w, "RepositoryNotFoundException", fmt.Sprintf("The repository with name '%s' does not exist in the registry with id '%s'", name, account))
		}
		return repo
	}

	switch operation {
	case "GetAuthorizationToken":
		f.tokens++
		token := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "AWS:%s-token-%d", region, f.tokens))
		answer(w, object{"authorizationData": []object{{
			"authorizationToken": token,
			"expiresAt":          float64(time.Now().Add(12 * time.Hour).Unix()),
			"proxyEndpoint":      fmt.Sprintf("https://%s.dkr.ecr.%s.amazonaws.com", account, region),
		}}})
	case "DescribeRepositories":
		repos := []object{}
		for _, name := range in.RepositoryNames {
			repo := find(name)
			if repo == nil {
				return
			}
			repos = append(repos, f.describe(repo))
		}
		if in.RepositoryNames == nil {
			for _, key := range slices.Sorted(maps.Keys(f.repos)) {
				if repo := f.repos[key]; repo.region == region && repo.account == account {
					repos = append(repos, f.describe(repo))
				}
			}
		}
		answer(w, object{"repositories": repos})
	case "CreateRepository":
		if f.repos[region+"/"+account+"/"+in.RepositoryName] != nil {
			fail(w, "RepositoryAlreadyExistsException", fmt.Sprintf("The repository with name '%s' already exists in the registry with id '%s'", in.RepositoryName, account))
			return
		}
		repo := f.repoIn(region, account, in.RepositoryName)
		repo.mutability, repo.scanOnPush, repo.encryption = in.Mutability, in.Scanning.ScanOnPush, in.Encryption
		for _, e := range in.Exclusions {
			repo.exclusions = append(repo.exclusions, e.Filter)
		}
		if f.lost > 0 { // the answer does not arrive, and the SDK asks again
			f.lost--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answer(w, object{"repository": f.describe(repo)})
	case "PutLifecyclePolicy":
		if repo := find(in.RepositoryName); repo != nil {
			repo.lifecycle = in.Policy
			answer(w, object{"repositoryName": repo.name, "lifecyclePolicyText": in.Policy})
		}
	case "DescribeRepositoryCreationTemplates":
		templates := []object{}
		for _, t := range f.templates {
			templates = append(templates, object{"prefix": t[0], "appliedFor": []string{t[1]}, "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
				"imageTagMutabilityExclusionFilters": []object{{"filter": "dev-*", "filterType": "WILDCARD"}}})
		}
		answer(w, object{"repositoryCreationTemplates": templates})
	case "BatchGetImage":
		if repo := find(in.RepositoryName); repo != nil {
			answer(w, repo.batchGet(in))
		}
	case "DescribeImages":
		repo := find(in.RepositoryName)
		if repo == nil {
			return
		}
		details := []object{}
		for _, image := range repo.images {
			if in.ImageIDs == nil || in.ImageIDs[0].ImageDigest == image.digest {
				details = append(details, object{
					"imageDigest": image.digest, "imageTags": image.tags, "imageManifestMediaType": image.mediaType,
					"imagePushedAt": float64(image.pushed.Unix()), "imageSizeInBytes": len(image.manifest),
				})
			}
		}
		answer(w, object{"imageDetails": details})
	case "BatchCheckLayerAvailability":
		repo := find(in.RepositoryName)
		if repo == nil {
			return
		}
		if len(in.LayerDigests) > 100 {
			fail(w, "InvalidParameterException", "Invalid parameter at 'layerDigests' failed to satisfy constraint: 'Member must have length less than or equal to 100'")
			return
		}
		layers := []object{}
		for _, d := range in.LayerDigests {
			state := repo.layers[d]
			if state == "" {
				state = "UNAVAILABLE"
			}
			layers = append(layers, object{"layerDigest": d, "layerAvailability": state})
		}
		answer(w, object{"layers": layers})
	default:
		fail(w, "UnknownOperationException", operation)
	}
}

func (f *fakeECR) describe(r *fakeRepo) object {
	host := f.host
	if host == "" {
		host = fmt.Sprintf("%s.dkr.ecr.%s.amazonaws.com", r.account, r.region)
	}
	var filters []object
	for _, e := range r.exclusions {
		filters = append(filters, object{"filter": e, "filterType": "WILDCARD"})
	}
	return object{
		"registryId": r.account, "repositoryName": r.name,
		"repositoryArn":      fmt.Sprintf("arn:aws:ecr:%s:%s:repository/%s", r.region, r.account, r.name),
		"repositoryUri":      host + "/" + r.name,
		"imageTagMutability": r.mutability, "imageTagMutabilityExclusionFilters": filters,
		"imageScanningConfiguration": object{"scanOnPush": r.scanOnPush}, "encryptionConfiguration": r.encryption,
	}
}

func (r *fakeRepo) batchGet(in fakeRequest) object {
	id := in.ImageIDs[0]
	asked := object{}
	if id.ImageTag != "" {
		asked["imageTag"] = id.ImageTag
	}
	if id.ImageDigest != "" {
		asked["imageDigest"] = id.ImageDigest
	}
	if r.failure != "" {
		return object{"images": []object{}, "failures": []object{{"failureCode": r.failure, "failureReason": "as the test wants it", "imageId": asked}}}
	}
	for _, image := range r.images {
		if image.digest != id.ImageDigest && !slices.Contains(image.tags, id.ImageTag) {
			continue
		}
		if !slices.Contains(in.AcceptedTypes, image.mediaType) {
			break
		}
		asked["imageDigest"] = image.digest
		return object{"failures": []object{}, "images": []object{{
			"imageId": asked, "imageManifest": image.manifest, "imageManifestMediaType": image.mediaType,
			"registryId": r.account, "repositoryName": r.name,
		}}}
	}
	return object{"images": []object{}, "failures": []object{{"failureCode": "ImageNotFound", "failureReason": "Requested image not found", "imageId": asked}}}
}

func answer(w http.ResponseWriter, v object) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

func fail(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	answer(w, object{"__type": code, "message": message})
}

// mentions fails the test unless the text of err holds every word.
func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that mentions %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q\ndoes not mention %q", err, w)
		}
	}
}
