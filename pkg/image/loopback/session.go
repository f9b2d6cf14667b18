package loopback

// Uploads: a session takes a blob in one part or several, in order, and ends with
// its digest or with an error. What arrives goes to the store as it comes.

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
)

// session is the upload of one blob.
type session struct {
	id       string
	in       *io.PipeWriter
	received int64         // bytes; one request at a time writes
	busy     chan struct{} // holds a token while a request writes
	done     chan struct{} // closed when got and err are set
	got      v1.Descriptor
	err      error
}

// begin opens a session. Blobs of other repositories are not mounted: there are
// none.
func (r *Registry) begin(w http.ResponseWriter, q *http.Request) {
	out, in := io.Pipe()
	s := &session{id: rand.Text(), in: in, busy: make(chan struct{}, 1), done: make(chan struct{})}
	r.mu.Lock()
	full := len(r.sessions) >= maxSessions || r.closed
	if !full {
		r.sessions[s.id] = s
		r.serving.Add(1)
	}
	r.mu.Unlock()
	if full {
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", fmt.Sprintf("%d uploads have begun and not ended", maxSessions))
		return
	}
	go func() {
		defer r.serving.Done()
		defer close(s.done)
		s.got, s.err = guard.Value(func() (v1.Descriptor, error) { return r.store.Accept(r.ctx, out) })
		if s.err != nil {
			out.CloseWithError(s.err)
		} else {
			out.CloseWithError(io.ErrClosedPipe)
		}
	}()
	r.tell(w, s, http.StatusAccepted)
}

// tell says where a session is and how much of the blob it has.
func (r *Registry) tell(w http.ResponseWriter, s *session, status int) {
	w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+s.id)
	w.Header().Set("Docker-Upload-Uuid", s.id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(s.received-1, 0)))
	w.WriteHeader(status)
}

// enter finds the session of a request and keeps other requests out of it.
func (r *Registry) enter(w http.ResponseWriter, q *http.Request) (s *session, leave func(), ok bool) {
	r.mu.Lock()
	s = r.sessions[q.PathValue("session")]
	r.mu.Unlock()
	if s == nil {
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
		return nil, nil, false
	}
	select {
	case s.busy <- struct{}{}:
		return s, func() { <-s.busy }, true
	default:
		refuse(w, http.StatusConflict, "BLOB_UPLOAD_INVALID", "another request writes to this upload")
		return nil, nil, false
	}
}

// end forgets a session. With an error the store learns that the blob is not
// complete.
func (r *Registry) end(s *session, err error) {
	r.mu.Lock()
	delete(r.sessions, s.id)
	r.mu.Unlock()
	s.in.CloseWithError(err) // nil is the end of the blob
	<-s.done
}

// take appends the body of a request to the blob.
func (r *Registry) take(w http.ResponseWriter, q *http.Request, s *session) bool {
	if from := q.Header.Get("Content-Range"); from != "" {
		var first, last int64
		if n, _ := fmt.Sscanf(from, "%d-%d", &first, &last); n != 2 || first != s.received {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "the part does not follow the one before it")
			return false
		}
	}
	n, err := io.Copy(s.in, q.Body)
	s.received += n
	if err == nil && q.ContentLength >= 0 && n != q.ContentLength {
		err = errIncomplete
	}
	if err == nil {
		return true
	}
	r.end(s, errIncomplete)
	message := errIncomplete.Error()
	if s.err != nil {
		message = s.err.Error()
	}
	refuse(w, http.StatusInternalServerError, "BLOB_UPLOAD_INVALID", message)
	return false
}

func (r *Registry) part(w http.ResponseWriter, q *http.Request) {
	s, leave, ok := r.enter(w, q)
	if !ok {
		return
	}
	defer leave()
	if r.take(w, q, s) {
		r.tell(w, s, http.StatusAccepted)
	}
}

func (r *Registry) commit(w http.ResponseWriter, q *http.Request) {
	s, leave, ok := r.enter(w, q)
	if !ok {
		return
	}
	defer leave()
	want, ok := digestOf(w, q.URL.Query().Get("digest"))
	if !ok || !r.take(w, q, s) {
		return
	}
	r.end(s, nil)
	switch {
	case s.err != nil:
		refuse(w, http.StatusInternalServerError, "BLOB_UPLOAD_INVALID", s.err.Error())
		return
	case s.got.Digest != want:
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", fmt.Sprintf("what arrived has the digest %s", s.got.Digest))
		return
	}
	r.mu.Lock()
	r.stored[want] = s.got.Size
	r.mu.Unlock()
	w.Header().Set("Docker-Content-Digest", want.String())
	w.Header().Set("Location", "/v2/"+repository+"/blobs/"+want.String())
	w.WriteHeader(http.StatusCreated)
}

func (r *Registry) abandon(w http.ResponseWriter, q *http.Request) {
	s, leave, ok := r.enter(w, q)
	if !ok {
		return
	}
	defer leave()
	r.end(s, errIncomplete)
	w.WriteHeader(http.StatusNoContent)
}
