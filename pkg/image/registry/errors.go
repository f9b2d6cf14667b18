package registry

// What a registry refuses, as errors a caller can tell apart.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"ecsdeploy/pkg/image"
)

// operation is a request as a person would call it, and the action that an IAM
// policy has to allow for it on ECR ("Actions, resources, and condition keys
// for Amazon Elastic Container Registry", Service Authorization Reference).
type operation struct{ Name, action string }

var (
	opConnect      = operation{"connect", "ecr:GetAuthorizationToken"}
	OpReadManifest = operation{"read a manifest", "ecr:BatchGetImage"}
	OpReadBlob     = operation{"read a layer", "ecr:GetDownloadUrlForLayer"}
	opCheckBlob    = operation{"look for a layer", "ecr:BatchCheckLayerAvailability"}
	opStartUpload  = operation{"start the upload of a layer", "ecr:InitiateLayerUpload"}
	opSendBlob     = operation{"upload a layer", "ecr:UploadLayerPart"}
	opFinishUpload = operation{"finish the upload of a layer", "ecr:CompleteLayerUpload"}
	OpPutManifest  = operation{"put a manifest", "ecr:PutImage"}
)

// StatusError is a registry's answer that is not the one wanted.
type StatusError struct {
	Operation  operation
	Status     int
	Errors     []registryError
	Body       string // when it is not the specified JSON
	RetryAfter time.Duration
}

// registryError is one error of the OCI distribution specification's form.
type registryError struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Detail  json.RawMessage `json:"detail"`
}

func (e *StatusError) codes() []string {
	var s []string
	for _, r := range e.Errors {
		s = append(s, r.Code)
	}
	return s
}

func (e *StatusError) Has(code string) bool {
	for _, r := range e.Errors {
		if r.Code == code {
			return true
		}
	}
	return false
}

// message is what the registry said.
func (e *StatusError) message() string {
	var s []string
	for _, r := range e.Errors {
		s = append(s, strings.TrimPrefix(r.Code+": "+r.Message, ": "))
	}
	if len(s) == 0 && e.Body != "" {
		s = append(s, e.Body)
	}
	return strings.Join(s, "; ")
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: the registry answered %d %s", e.Operation.Name, e.Status, http.StatusText(e.Status))
	if m := e.message(); m != "" {
		s += ": " + m
	}
	return s
}

const maxBody = 500

// newStatusError reads a refusal; it takes no more than 64 KiB of the body and
// keeps no more than 500 bytes of what it does not understand.
func newStatusError(op operation, resp *http.Response) *StatusError {
	e := &StatusError{Operation: op, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var parsed struct {
		Errors []registryError `json:"errors"`
	}
	if json.Unmarshal(body, &parsed) == nil && len(parsed.Errors) > 0 {
		e.Errors = parsed.Errors
	} else {
		e.Body = strings.ToValidUTF8(strings.TrimSpace(string(body[:min(len(body), maxBody)])), "")
		if len(body) > maxBody {
			e.Body += "…" // by which the redactor knows that a secret may have been cut
		}
	}
	return e
}

// DeniedError says that a registry refused the credentials, or an operation to
// them.
type DeniedError struct {
	Repository string // host/name
	Operation  string // "put a manifest"
	// Action is the IAM action that allows the operation on ECR.
	Action string
	// Message is what the registry said; may be empty.
	Message string
	// Anonymous says that there were no credentials for the registry; Looked is
	// where they were looked for.
	Anonymous bool
	Looked    string
}

// Hint says where credentials were looked for, if there were none.
func (e *DeniedError) Hint() string {
	host, _, _ := strings.Cut(e.Repository, "/")
	switch {
	case e.Anonymous && e.Looked != "":
		return fmt.Sprintf("%s has no credentials for %s; log in on this agent before, for instance with the task Docker@2, command login", e.Looked, host)
	case e.Anonymous:
		return "there are no credentials for " + host
	}
	return ""
}

func (e *DeniedError) Error() string {
	s := fmt.Sprintf("%s: not allowed to %s", e.Repository, e.Operation)
	if IsECR(e.Repository) {
		s += " (" + e.Action + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// IsECR says whether a repository is in ECR, by its host.
func IsECR(repository string) bool {
	host, _, _ := strings.Cut(repository, "/")
	return strings.Contains(host, ".dkr.ecr") || strings.Contains(host, ".dkr-ecr") || host == "public.ecr.aws"
}

// NotFoundError says that a registry has no such image or repository.
type NotFoundError struct {
	// Ref is the image, host/name:tag, or the repository, host/name.
	Ref string
	// Repository says that the repository itself is not known. Many registries
	// make one with the first push; ECR does not.
	Repository bool
	Message    string // what the registry said; may be empty
}

func (e *NotFoundError) Error() string {
	s := e.Ref + ": there is no such image in the registry"
	if e.Repository {
		s = e.Ref + ": there is no such repository in the registry"
	}
	if e.Message != "" {
		s += " (" + e.Message + ")"
	}
	return s
}

// Explain turns an error of a request into one that a caller can tell apart.
// ref is the image or repository that was asked for.
func Explain(err error, repository, ref string) error {
	var status *StatusError
	var handshake *transport.Error
	var missing *NotFoundError
	var origin *image.OriginError
	var layer *image.LayerError
	var insecure *InsecureError
	if errors.As(err, &origin) {
		repository, ref = origin.Repository, origin.Repository
	}
	switch {
	case errors.As(err, &missing):
		return missing
	case errors.As(err, &layer):
		return layer
	case errors.As(err, &insecure):
		return insecure
	case errors.As(err, &status):
	case errors.As(err, &handshake):
		status = &StatusError{Operation: opConnect, Status: handshake.StatusCode}
		for _, d := range handshake.Errors {
			status.Errors = append(status.Errors, registryError{Code: string(d.Code), Message: d.Message})
		}
		err = status
	default:
		return fmt.Errorf("%s: %w", repository, err)
	}
	switch {
	case status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden:
		return &DeniedError{Repository: repository, Operation: status.Operation.Name, Action: status.Operation.action, Message: status.message()}
	case status.Status == http.StatusNotFound && status.Has("NAME_UNKNOWN"):
		return &NotFoundError{Ref: repository, Repository: true, Message: status.message()}
	case status.Status == http.StatusNotFound && status.Operation == OpReadManifest:
		return &NotFoundError{Ref: ref, Message: status.message()}
	}
	if hint := refusalHint(repository, status); hint != "" {
		return &RefusedError{Repository: repository, hint: hint, err: err}
	}
	return fmt.Errorf("%s: %w", repository, err)
}

// RefusedError is a refusal of a registry about which something can be done.
type RefusedError struct {
	Repository string // host/name
	hint       string
	err        error
}

func (e *RefusedError) Error() string { return e.Repository + ": " + e.err.Error() }

func (e *RefusedError) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *RefusedError) Hint() string { return e.hint }

// refusals are refusals of ECR, by a word of the message or the code, in order;
// an empty word is any. Messages: containers-roadmap and BuildKit issue 6171 (405
// for attestations), tart issue 890 (405 for layers), and the user guide.
var refusals = []struct {
	status     int // 0 is any
	word, hint string
}{
	{0, "number of layers", "ECR takes no image of so many layers; merge layers, for instance with a multi-stage build"},
	{http.StatusMethodNotAllowed, "", "ECR does not take this kind of manifest; for attestations as OCI artifacts, build with oci-artifact=false, or without attestations (--provenance=false --sbom=false)"},
	{0, "immutable", "the repository's tags are immutable, apart from those that match an exclusion filter, and from those of a mutable repository that match one; push under a new tag"},
	{0, "tagalreadyexists", "the repository's tags are immutable; push under a new tag"},
	{0, "pull through cache", "a repository of a pull-through cache is filled by ECR itself; push to another repository"},
	{0, "pull-through cache", "a repository of a pull-through cache is filled by ECR itself; push to another repository"},
	{0, "archive", "the image is in ECR's archive: restore it in the console or with UpdateImageStorageClass, or push under a new tag"},
	{0, "tags per image", "ECR allows 1,000 tags on one image; delete tags of this image that are no longer needed"},
	{0, "number of tags", "ECR allows 1,000 tags on one image; delete tags of this image that are no longer needed"},
	{0, "images per repository", "the repository is full; a lifecycle policy can expire old images"},
	{0, "number of images", "the repository is full; a lifecycle policy can expire old images"},
	{0, "limit", "a quota of ECR is reached; see Service Quotas in the console"},
	{0, "sign", "the registry's signing configuration refuses the image; check the signing profile and its permissions"},
	{0, "admission", "a policy of the registry does not admit the image; ask who maintains the registry"},
	{0, "kms", "the repository's KMS key cannot be used; check that it is enabled and that its policy allows ECR"},
}

// refusalHint says what to do about a refusal of ECR; empty where that is not known.
func refusalHint(repository string, e *StatusError) string {
	if !IsECR(repository) {
		return ""
	}
	said := strings.ToLower(e.message())
	for _, r := range refusals {
		if (r.status == 0 || r.status == e.Status) && strings.Contains(said, r.word) {
			return r.hint
		}
	}
	return ""
}
