package imagetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"ecsdeploy/pkg/image"
)

// The stand-in takes uploads side by side, as registries do: one that does not come to
// its end keeps no other waiting.
func TestUploadsSideBySide(t *testing.T) {
	g := NewRegistry()
	put := func(body io.Reader, of []byte) error {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/v2/app/blobs/uploads/"+image.DigestOf(of).Hex+"?digest="+image.DigestOf(of).String(), body)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			return fmt.Errorf("answered %d", w.Code)
		}
		return nil
	}
	slow, fast := []byte("slow"), []byte("fast")
	arriving, sending := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- put(arriving, slow) }()
	if _, err := sending.Write(slow); err != nil { // the upload has begun
		t.Fatal(err)
	}
	if err := put(bytes.NewReader(fast), fast); err != nil {
		t.Error(err)
	}
	sending.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
