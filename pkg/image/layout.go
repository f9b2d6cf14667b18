package image

// OCI image layouts, in a directory or an archive (OCI image specification,
// image-layout.md).

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layout is the store of an OCI layout.
type layout struct{ files files }

func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

func (l layout) document(_ context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	b, err := readFile(l.files, blobName(d.Digest), limit)
	if err != nil {
		return nil, err
	}
	if d.Digest.Algorithm == "sha256" && digestOf(b) != d.Digest {
		return nil, errors.New("its bytes do not have that digest: the layout is damaged")
	}
	return b, nil
}

func (l layout) blob(d v1.Descriptor) (blob, error) {
	name := blobName(d.Digest)
	size, err := l.files.stat(name)
	if err != nil {
		return blob{}, err
	}
	if size != d.Size {
		return blob{}, fmt.Errorf("has %d bytes instead of %d: the layout is damaged", size, d.Size)
	}
	return blob{desc: d, open: fileOpener(l.files, name)}, nil
}

// Annotations that name an image in index.json: the specification's
// (annotations.md), which holds a tag or a full name, and containerd's, which
// holds the full name.
const (
	annotationRefName = "org.opencontainers.image.ref.name"
	annotationName    = "io.containerd.image.name"
)

// named is an image in a layout or an archive and the names it has there.
type named struct {
	desc  v1.Descriptor
	names []string
}

// readIndexJSON lists the images of a layout, each digest once.
func readIndexJSON(f files) ([]named, error) {
	raw, err := readFile(f, "index.json", maxDocument)
	if err != nil {
		return nil, err
	}
	var index struct {
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) > maxChildren {
		return nil, fmt.Errorf("index.json: more than %d manifests", maxChildren)
	}
	var images []named
	for _, d := range index.Manifests {
		if d.Digest == (v1.Hash{}) {
			return nil, errors.New("index.json: a manifest has no digest")
		}
		var names []string
		for _, a := range []string{annotationName, annotationRefName} {
			if n := d.Annotations[a]; n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if i := slices.IndexFunc(images, func(n named) bool { return n.desc.Digest == d.Digest }); i >= 0 {
			images[i].names = append(images[i].names, names...)
			continue
		}
		images = append(images, named{d, names})
	}
	if len(images) == 0 {
		return nil, errors.New("index.json lists no image")
	}
	return images, nil
}

// pick takes the one image that selector and want leave. selector is a name, a
// tag, or a digest.
func pick(images []named, selector string, want Platform) (named, error) {
	left := images
	if selector != "" {
		left = nil
		for _, n := range images {
			if n.desc.Digest.String() == selector || slices.ContainsFunc(n.names, func(name string) bool { return sameName(name, selector) }) {
				left = append(left, n)
			}
		}
		if len(left) == 0 {
			return named{}, &AmbiguousError{Selector: selector, Have: list(images)}
		}
	}
	// Several manifests side by side in index.json may be one image for several
	// platforms.
	if len(left) > 1 && want != (Platform{}) {
		match := slices.DeleteFunc(slices.Clone(left), func(n named) bool {
			return n.desc.Platform == nil || !want.Matches(platformOf(n.desc.Platform))
		})
		if len(match) == 1 {
			left = match
		}
	}
	if len(left) > 1 {
		return named{}, &AmbiguousError{Selector: selector, Have: list(left)}
	}
	return left[0], nil
}

// sameName says whether a name in an archive is the one that was asked for,
// which may leave out docker.io/library, or be the tag alone.
func sameName(have, want string) bool {
	if have == want || strings.TrimPrefix(strings.TrimPrefix(have, "docker.io/"), "library/") == want {
		return true
	}
	_, tag, ok := cutTag(have)
	return ok && tag == want
}

// cutTag splits "name:tag"; a colon before the last slash is a port.
func cutTag(s string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, '/') {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// list names images for AmbiguousError.
func list(images []named) []string {
	var s []string
	for _, n := range images {
		label := strings.Join(n.names, ", ")
		if label == "" {
			label = n.desc.Digest.String()
		}
		if p := platformOf(n.desc.Platform); p.known() {
			label += " (" + p.String() + ")"
		}
		s = append(s, label)
	}
	return s
}

// AmbiguousError says that an archive or layout holds several images and that
// none, or not exactly one, was chosen.
type AmbiguousError struct {
	Selector string   // what stood behind "#"; empty when there was nothing
	Have     []string // the images by their names, or digests where unnamed
}

func (e *AmbiguousError) Error() string {
	const most = 20
	have := e.Have
	more := ""
	if len(have) > most {
		more = fmt.Sprintf(" and %d more", len(have)-most)
		have = have[:most]
	}
	there := strings.Join(have, "; ") + more
	if e.Selector != "" {
		return fmt.Sprintf("%q is not exactly one of the images in it: %s", e.Selector, there)
	}
	return fmt.Sprintf("holds %d images: %s; append #NAME:TAG (or #DIGEST) to the path to take one", len(e.Have), there)
}

// readLayout reads the content of a layout's image.
func readLayout(ctx context.Context, f files, selector string, want Platform) (*content, error) {
	images, err := readIndexJSON(f)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("is no OCI layout: it has no index.json")
		}
		return nil, err
	}
	n, err := pick(images, selector, want)
	if err != nil {
		return nil, err
	}
	c, err := walk(ctx, layout{f}, n.desc, want)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("is incomplete: %w", err)
	}
	return c, err
}
