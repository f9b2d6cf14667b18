// The registry behind ECR's authorization: the distribution protocol over the same store as the API, with ECR's rules and errors. Uploads
// stream to the store while they are hashed, and do not wait for each other.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
//
// Where ECR differs from other registries, this one does as ECR: a repository must exist first; only the first PATCH of an upload counts, later
// ones are acknowledged and discarded; an upload that broke off answers 416 from then on; a blob is never mounted from another repository
// (accounts must opt in); layers of a missing repository and tags that are immutable are refused with ECR's words.

package ecr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

// upload is one upload session.
type upload struct {
	repository string

	mu      sync.Mutex
	writer  *blobWriter
	patched bool // the first PATCH has been taken
	broken  bool // a body ended early: nothing more is accepted
}

// registryError is an error of the distribution protocol.
type registryError struct {
	status        int
	code, message string
}

func (e *registryError) Error() string { return e.code + ": " + e.message }

// registryRoute matches the paths of the distribution protocol: repository, kind of resource, reference.
var registryRoute = regexp.MustCompile(`^/v2/(.+?)/(?:(blobs)/(sha256:[^/]*)|(uploads)/?|blobs/(uploads)/([^/]*)|(manifests)/([^/]+)|(tags)/list)$`)

type route struct {
	Repository, kind, Reference string
	principal                   string // who is asking
}

func ParseRoute(path string) (route, bool) {
	m := registryRoute.FindStringSubmatch(path)
	if m == nil {
		return route{}, false
	}
	r := route{Repository: m[1]}
	for i := 2; i < len(m); i++ {
		switch m[i] {
		case "blobs", "uploads", "manifests", "tags":
			r.kind = m[i]
		case "":
		default:
			r.Reference = m[i]
		}
	}
	return r, true
}

func (e *ECR) ServeRegistry(w http.ResponseWriter, r *http.Request) {
	req := awsapi.Request{Time: time.Now(), Service: "registry", Operation: "Unknown", Method: r.Method, Path: r.URL.Path, Host: r.Host}
	counted := &countingBody{ReadCloser: r.Body}
	r.Body = counted
	recorder := &statusWriter{ResponseWriter: w}
	defer func() {
		req.Status, req.Received = recorder.status, counted.n
		e.Record(req)
	}()
	w = recorder
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")

	err := func() error {
		route, ok := ParseRoute(r.URL.Path)
		handle := (*ECR).unsupported
		if r.URL.Path == "/v2" || r.URL.Path == "/v2/" {
			req.Operation, handle = "Ping", (*ECR).ping
		} else if ok {
			if op, ok := registryOperations[r.Method+" "+route.kind]; ok {
				req.Operation, handle = op.name, op.do
			}
		}
		fault, err := e.Injected(r.Context(), awsapi.Call{Time: time.Now(), Service: "registry", Operation: req.Operation})
		if err != nil {
			return err
		}
		principal, err := e.authorizeRegistry(w, r)
		if err != nil {
			return err
		}
		if err := e.authorizeRegistryAction(principal, req.Operation, route.Repository); err != nil {
			return err
		}
		route.principal = principal
		e.registryHost(r)
		if fault == nil {
			return handle(e, w, r, route)
		}
		answer := &heldAnswer{header: http.Header{}}
		err = handle(e, answer, r, route)
		if lost := fault.Answered(r.Context()); lost != nil {
			return lost
		}
		if err == nil {
			maps.Copy(w.Header(), answer.header)
			w.WriteHeader(answer.status)
			w.Write(answer.body.Bytes())
		}
		return err
	}()
	if err == nil {
		return
	}
	if err == awsapi.ErrReset {
		panic(http.ErrAbortHandler)
	}
	fail := &registryError{status: http.StatusInternalServerError, code: "UNKNOWN", message: err.Error()}
	var reg *registryError
	var api *awsapi.Error
	switch {
	case errors.As(err, &reg):
		fail = reg
	case errors.As(err, &api):
		fail = fromAPI(api)
	}
	req.Error = fail.code
	data, _ := json.Marshal(map[string]any{"errors": []any{map[string]any{"code": fail.code, "message": fail.message}}})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(fail.status)
	if r.Method != http.MethodHead {
		w.Write(data)
	}
}

// fromAPI gives an ECR error the status and code under which the registry shows it.
func fromAPI(err *awsapi.Error) *registryError {
	out := &registryError{status: http.StatusBadRequest, code: "UNKNOWN", message: err.Message}
	switch err.Code {
	case "RepositoryNotFoundException":
		out.status, out.code = http.StatusNotFound, "NAME_UNKNOWN"
	case "ImageTagAlreadyExistsException":
		out.code = "TAG_INVALID"
	case "LayersNotFoundException", "ReferencedImagesNotFoundException":
		out.code = "MANIFEST_BLOB_UNKNOWN"
	case "ImageDigestDoesNotMatchException":
		out.code = "DIGEST_INVALID"
	case "InvalidParameterException":
		out.code = "MANIFEST_INVALID"
	case "ThrottlingException", "TooManyRequestsException":
		out.status, out.code = http.StatusTooManyRequests, "TOOMANYREQUESTS"
	case "AccessDeniedException":
		out.status, out.code = http.StatusForbidden, "DENIED"
	case "ServerException":
		out.status = http.StatusInternalServerError
	}
	if err.Status != 0 {
		out.status = err.Status
	}
	return out
}

type registryOperation struct {
	name string
	do   func(*ECR, http.ResponseWriter, *http.Request, route) error
}

var registryOperations = map[string]registryOperation{
	"HEAD blobs":       {"HeadBlob", (*ECR).getBlob},
	"GET blobs":        {"GetBlob", (*ECR).getBlob},
	"POST uploads":     {"StartUpload", (*ECR).startUpload},
	"GET uploads":      {"GetUpload", (*ECR).getUpload},
	"PATCH uploads":    {"UploadChunk", (*ECR).uploadChunk},
	"PUT uploads":      {"FinishUpload", (*ECR).finishUpload},
	"DELETE uploads":   {"CancelUpload", (*ECR).cancelUpload},
	"HEAD manifests":   {"HeadManifest", (*ECR).getManifest},
	"GET manifests":    {"GetManifest", (*ECR).getManifest},
	"PUT manifests":    {"PutManifest", (*ECR).putManifest},
	"DELETE manifests": {"DeleteManifest", (*ECR).unsupported}, // ECR deletes through BatchDeleteImage only
	"GET tags":         {"ListTags", (*ECR).listTags},
}

func (e *ECR) unsupported(http.ResponseWriter, *http.Request, route) error {
	return &registryError{http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported."}
}

// authorizeRegistry checks the Basic credentials that GetAuthorizationToken hands out, and returns whom they were handed to.
func (e *ECR) authorizeRegistry(w http.ResponseWriter, r *http.Request) (principal string, err error) {
	user, password, ok := r.BasicAuth()
	e.Mu.Lock()
	token, known := e.tokens[password]
	e.Mu.Unlock()
	if !ok || user != "AWS" || !known {
		scheme := "http"
		if r.TLS != nil || r.URL.Scheme == "https" {
			scheme = "https"
		}
		w.Header().Set("Www-Authenticate", fmt.Sprintf(`Basic realm="%s://%s/",service="ecr.amazonaws.com"`, scheme, r.Host))
		return "", &registryError{http.StatusUnauthorized, "UNAUTHORIZED", "Not Authorized"}
	}
	if time.Now().After(token.expires) {
		return "", &registryError{http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again."}
	}
	return token.principal, nil
}

func (e *ECR) ping(w http.ResponseWriter, r *http.Request, _ route) error {
	w.WriteHeader(http.StatusOK)
	return nil
}

// hasBlob returns the size of a repository's blob.
func (e *ECR) hasBlob(repo, digest string) (int64, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	r, err := e.repository(repo)
	if err != nil {
		return 0, err
	}
	size, ok := r.blobs[digest]
	if !ok {
		return 0, &registryError{http.StatusNotFound, "BLOB_UNKNOWN", fmt.Sprintf("The layer with digest '%s' does not exist in the repository with name '%s'", digest, repo)}
	}
	return size, nil
}

func (e *ECR) getBlob(w http.ResponseWriter, r *http.Request, rt route) error {
	size, err := e.hasBlob(rt.Repository, rt.Reference)
	if err != nil {
		return err
	}
	w.Header().Set("Docker-Content-Digest", rt.Reference)
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.WriteHeader(http.StatusOK)
		return nil
	}
	f, err := e.Store.open(rt.Reference)
	if err != nil {
		return err
	}
	defer f.Close()
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

func (e *ECR) startUpload(w http.ResponseWriter, r *http.Request, rt route) error {
	e.Mu.Lock()
	_, err := e.repository(rt.Repository)
	e.Mu.Unlock()
	if err != nil {
		return err
	}
	writer, err := e.Store.create()
	if err != nil {
		return err
	}
	id := e.NewID(awsapi.UUID)
	e.Mu.Lock()
	e.uploads[id] = &upload{repository: rt.Repository, writer: writer}
	e.Mu.Unlock()
	uploadAnswer(w, rt, id, 0, http.StatusAccepted)
	return nil
}

// uploadAnswer tells the client where the upload goes on.
func uploadAnswer(w http.ResponseWriter, rt route, id string, size int64, status int) {
	w.Header().Set("Location", "/v2/"+rt.Repository+"/blobs/uploads/"+id)
	w.Header().Set("Docker-Upload-Uuid", id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// session finds an upload. Its lock is held when the error is nil.
func (e *ECR) session(rt route) (*upload, error) {
	e.Mu.Lock()
	u := e.uploads[rt.Reference]
	e.Mu.Unlock()
	if u == nil || u.repository != rt.Repository {
		return nil, &registryError{http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", fmt.Sprintf("The upload with id '%s' does not exist in the repository with name '%s'", rt.Reference, rt.Repository)}
	}
	if !u.mu.TryLock() {
		return nil, &registryError{http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "The upload is already receiving data"}
	}
	if u.broken {
		u.mu.Unlock()
		return nil, &registryError{http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "The upload was interrupted: start a new one"}
	}
	return u, nil
}

func (e *ECR) getUpload(w http.ResponseWriter, r *http.Request, rt route) error {
	u, err := e.session(rt)
	if err != nil {
		return err
	}
	size := u.writer.size
	u.mu.Unlock()
	uploadAnswer(w, rt, rt.Reference, size, http.StatusNoContent)
	return nil
}

// receive copies a request body into the upload; one that ends early breaks it.
func (u *upload) receive(r *http.Request) error {
	n, err := io.Copy(u.writer, r.Body)
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		u.broken = true
		u.writer.discard()
	}
	return err
}

func (e *ECR) uploadChunk(w http.ResponseWriter, r *http.Request, rt route) error {
	u, err := e.session(rt)
	if err != nil {
		return err
	}
	status, err := u.chunk(r)
	size := u.writer.size
	u.mu.Unlock() // before the answer: the client's next request may come with it
	if err != nil {
		return err
	}
	uploadAnswer(w, rt, rt.Reference, size, status)
	return nil
}

// chunk takes in the body of a PATCH: the first one counts.
func (u *upload) chunk(r *http.Request) (status int, err error) {
	if v := r.Header.Get("Content-Range"); v != "" {
		start, _, _ := strings.Cut(strings.TrimPrefix(v, "bytes "), "-")
		if n, err := strconv.ParseInt(start, 10, 64); err != nil || n != u.writer.size && !u.patched {
			return 0, &registryError{http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "Content-Range does not continue the upload"}
		}
	}
	if u.patched {
		_, err := io.Copy(io.Discard, r.Body)
		return http.StatusCreated, err
	}
	u.patched = true
	return http.StatusAccepted, u.receive(r)
}

func (e *ECR) finishUpload(w http.ResponseWriter, r *http.Request, rt route) error {
	u, err := e.session(rt)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	digest := r.URL.Query().Get("digest")
	if !digestForm.MatchString(digest) {
		return &registryError{http.StatusBadRequest, "DIGEST_INVALID", fmt.Sprintf("'%s' is not a sha256 digest", digest)}
	}
	if err := u.receive(r); err != nil {
		return err
	}
	u.broken = true // finished, one way or the other
	if err := u.writer.commit(digest); err != nil {
		u.writer.discard()
		if err == errDigest {
			return &registryError{http.StatusBadRequest, "DIGEST_INVALID", fmt.Sprintf("The layer digest computed by ECR does not match the specified digest '%s'", digest)}
		}
		return err
	}
	e.Mu.Lock()
	delete(e.uploads, rt.Reference)
	if repo := e.repositories[rt.Repository]; repo != nil {
		repo.blobs[digest] = u.writer.size
	}
	e.Mu.Unlock()
	w.Header().Set("Location", "/v2/"+rt.Repository+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (e *ECR) cancelUpload(w http.ResponseWriter, r *http.Request, rt route) error {
	u, err := e.session(rt)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	u.broken = true
	u.writer.discard()
	e.Mu.Lock()
	delete(e.uploads, rt.Reference)
	e.Mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *ECR) getManifest(w http.ResponseWriter, r *http.Request, rt route) error {
	e.Mu.Lock()
	repo, err := e.repository(rt.Repository)
	var img *image
	if err == nil {
		if img = repo.find(rt.Reference); img == nil {
			err = &registryError{http.StatusNotFound, "MANIFEST_UNKNOWN", "Requested image not found"}
		} else if r.Method == http.MethodGet {
			img.pulled = time.Now()
		}
	}
	e.Mu.Unlock()
	if err != nil {
		return err
	}
	w.Header().Set("Docker-Content-Digest", img.digest)
	w.Header().Set("Content-Type", img.mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(img.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		w.Write(img.body)
	}
	return nil
}

func (e *ECR) putManifest(w http.ResponseWriter, r *http.Request, rt route) error {
	const maxManifest = 4_194_304 // PutImage: length of imageManifest
	body, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil {
		return err
	}
	if len(body) > maxManifest {
		return &registryError{http.StatusBadRequest, "MANIFEST_INVALID", "The manifest is larger than 4194304 bytes"}
	}
	tag, digest := rt.Reference, ""
	if strings.Contains(rt.Reference, ":") {
		tag, digest = "", rt.Reference
	}
	e.Mu.Lock()
	repo, err := e.repository(rt.Repository)
	var img *image
	if err == nil {
		img, _, err = e.putImage(repo, body, r.Header.Get("Content-Type"), tag, digest, rt.principal, time.Now())
	}
	e.Mu.Unlock()
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v2/"+rt.Repository+"/manifests/"+img.digest)
	w.Header().Set("Docker-Content-Digest", img.digest)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (e *ECR) listTags(w http.ResponseWriter, r *http.Request, rt route) error {
	e.Mu.Lock()
	repo, err := e.repository(rt.Repository)
	tags := []string{}
	if err == nil {
		for t := range repo.tagged {
			tags = append(tags, t)
		}
	}
	e.Mu.Unlock()
	if err != nil {
		return err
	}
	slices.Sort(tags)
	q := r.URL.Query()
	if after := q.Get("last"); after != "" {
		i, found := slices.BinarySearch(tags, after)
		if found {
			i++
		}
		tags = tags[i:]
	}
	if n, err := strconv.Atoi(q.Get("n")); err == nil && n > 0 && n < len(tags) {
		tags = tags[:n]
		next := url.Values{"n": {strconv.Itoa(n)}, "last": {tags[n-1]}}
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?%s>; rel="next"`, rt.Repository, next.Encode()))
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]any{"name": rt.Repository, "tags": tags})
}

// heldAnswer is an answer that is held back until it is clear whether it is sent.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header { return a.header }

func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// countingBody counts what a request sent.
type countingBody struct {
	io.ReadCloser
	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and io.Copy find the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
