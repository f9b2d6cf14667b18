package source

// OCI image layouts, in a directory or an archive (OCI image specification,
// image-layout.md).

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
)

// layout is the store of an OCI layout.
type layout struct {
	files  files
	budget *image.Budget
}

func (l layout) document(_ context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	if b, ok := image.Embedded(d); ok {
		return b, nil
	}
	b, err := readFile(l.files, image.BlobName(d.Digest), limit)
	if err != nil {
		return nil, err
	}
	if image.DigestOf(b) != d.Digest {
		return nil, errors.New("digest mismatch: its bytes do not have that digest; the layout is corrupt")
	}
	return b, l.budget.Take(d.Digest, len(b))
}

func (l layout) blob(d v1.Descriptor) (image.Blob, error) {
	name := image.BlobName(d.Digest)
	size, err := l.files.stat(name)
	if b, ok := image.Embedded(d); ok && errors.Is(err, fs.ErrNotExist) {
		return image.Blob{Desc: d, Open: image.BytesOpener(b)}, nil
	}
	if err != nil {
		return image.Blob{}, err
	}
	if size != d.Size {
		return image.Blob{}, fmt.Errorf("has %d bytes instead of %d: the layout is corrupt", size, d.Size)
	}
	return image.Blob{Desc: d, Open: fileOpener(l.files, name), Foreign: l.files.foreign(name)}, nil
}

// named is an image in a layout or an archive and the names it has there.
type named struct {
	desc  v1.Descriptor
	names []string
}

// readIndexJSON lists the images of a layout, each digest once.
func readIndexJSON(f files) ([]named, error) {
	raw, err := readFile(f, "index.json", image.MaxDocument)
	if err != nil {
		return nil, err
	}
	var index struct {
		Manifests image.List[v1.Descriptor] `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if err := image.WellFormed("manifest", index.Manifests); err != nil {
		return nil, fmt.Errorf("index.json %w", err)
	}
	var images []named
	for _, d := range index.Manifests {
		var names []string
		for _, a := range []string{image.AnnotationName, image.AnnotationRefName, image.AnnotationCosign} {
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
		return nil, errNoImage
	}
	return images, nil
}

var errNoImage = errors.New("index.json lists no image")

// pick takes the one image that selector and want leave. selector is a name, a
// tag, or a digest.
func pick(images []named, selector string, want image.Platform) (named, error) {
	left := images
	if selector != "" {
		left = nil
		for _, n := range images {
			if n.is(selector) {
				left = append(left, n)
			}
		}
		if len(left) == 0 {
			return named{}, &AmbiguousError{Selector: selector, Have: labels(images)}
		}
	}
	// Several manifests side by side in index.json may be one image for several
	// platforms.
	if len(left) > 1 && want != (image.Platform{}) {
		var match []image.Candidate
		for _, n := range left {
			if n.desc.Platform != nil {
				match = append(match, image.Candidate{Desc: n.desc, Platform: image.PlatformOf(n.desc.Platform), Available: true})
			}
		}
		if best := image.Best(match, want); len(best) == 1 {
			left = slices.DeleteFunc(slices.Clone(left), func(n named) bool { return n.desc.Digest != best[0].Desc.Digest })
		}
	}
	if len(left) > 1 {
		return named{}, &AmbiguousError{Selector: selector, Have: labels(left)}
	}
	return left[0], nil
}

// roots leaves out of a layout's images those that belong to another one there:
// the children of its index, what refers to it (OCI image specification,
// manifest.md, "subject"), attestations of its build, and what is named by its
// digest, as tools name it that do without the referrers of a registry.
func (l layout) roots(ctx context.Context, images []named) []named {
	if len(images) < 2 {
		return images
	}
	belongs := map[v1.Hash]bool{}
	for _, n := range images {
		if n.companion() || image.IsAuxiliary(n.desc) {
			belongs[n.desc.Digest] = true
		}
		raw, err := l.document(ctx, n.desc, image.MaxDocument)
		if err != nil {
			continue // it is an image that cannot be taken
		}
		m, _, err := image.ParseManifest(raw, n.desc.MediaType)
		if err != nil {
			continue
		}
		if m.Subject != nil {
			belongs[n.desc.Digest] = true
		}
		for _, child := range m.Manifests {
			belongs[child.Digest] = true
		}
	}
	left := slices.DeleteFunc(slices.Clone(images), func(n named) bool { return belongs[n.desc.Digest] })
	if len(left) == 0 {
		return images
	}
	return left
}

// digestTag is the form of a tag that stands for what refers to an image: of OCI's
// referrers tag schema, and with a suffix of cosign's.
var digestTag = regexp.MustCompile(`(?:^|:)sha256-([0-9a-f]{64})(?:\.[a-z]+)?$`)

// companion says whether a layout's entry says of itself that it belongs to an
// image: "cosign save" notes what it is, and others name it by the digest.
func (n named) companion() bool {
	if kind := n.desc.Annotations["kind"]; strings.HasPrefix(kind, "dev.cosignproject.cosign/") {
		return kind != "dev.cosignproject.cosign/image" && kind != "dev.cosignproject.cosign/imageIndex"
	}
	return len(n.names) > 0 && !slices.ContainsFunc(n.names, func(name string) bool { return !digestTag.MatchString(name) })
}

// sameName says whether a name in an archive is the one that was asked for,
// which may leave out docker.io/library, or localhost, which podman puts there, or
// be the tag alone.
func sameName(have, want string) bool {
	if have == want || strings.TrimPrefix(strings.TrimPrefix(have, "docker.io/"), "library/") == want || strings.TrimPrefix(have, "localhost/") == want {
		return true
	}
	_, tag, ok := image.CutTag(have)
	return ok && tag == want
}

// labels names images for AmbiguousError.
func labels(images []named) []string {
	var s []string
	for _, n := range images {
		label := strings.Join(n.names, ", ")
		if label == "" {
			label = n.desc.Digest.String()
		}
		if p := image.PlatformOf(n.desc.Platform); p.Known() {
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

// readLayout reads the content of a layout's image. more are names of images that
// stand elsewhere, by the digest of the config.
func readLayout(ctx context.Context, f files, selector string, want image.Platform, more map[v1.Hash][]string) (*image.Content, error) {
	images, err := readIndexJSON(f)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("is no OCI layout: it has no index.json")
		}
		return nil, err
	}
	l := layout{f, image.NewBudget()}
	all := images
	if len(more) > 0 && (len(images) > 1 || selector != "") {
		l.name(ctx, images, more)
	}
	if images = l.roots(ctx, all); selector != "" && !slices.ContainsFunc(images, func(n named) bool { return n.is(selector) }) {
		images = all
	}
	n, err := pick(images, selector, want)
	if err != nil {
		return nil, err
	}
	c, err := walk(ctx, l, n.desc, want)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("is incomplete: %w", err)
	}
	if err == nil {
		c.Companions = func(ctx context.Context) ([]image.Companion, error) { return layoutCompanions(ctx, l, all, c) }
	}
	return c, err
}

// is says whether the selector, a name, a tag or a digest, is of this image.
func (n named) is(selector string) bool {
	return n.desc.Digest.String() == selector || slices.ContainsFunc(n.names, func(name string) bool { return sameName(name, selector) })
}

// covers says whether the images, or those of their indexes, have all of these configs.
func (l layout) covers(ctx context.Context, images []named, configs map[v1.Hash][]string) bool {
	var descs []v1.Descriptor
	for _, n := range images {
		descs = append(descs, n.desc)
	}
	have := map[v1.Hash]bool{}
	for depth := 0; depth <= image.MaxDepth && len(descs) > 0; depth++ {
		var below []v1.Descriptor
		for _, d := range descs {
			if have[d.Digest] {
				continue
			}
			have[d.Digest] = true
			raw, err := l.document(ctx, d, image.MaxDocument)
			if err != nil {
				continue // it is an image that cannot be taken
			}
			if m, _, err := image.ParseManifest(raw, d.MediaType); err == nil {
				below = append(below, m.Manifests...)
				if m.Config != nil {
					have[m.Config.Digest] = true
				}
			}
		}
		descs = below
	}
	for h := range configs {
		if !have[h] {
			return false
		}
	}
	return true
}

// name adds the names that are known by the digest of the config.
func (l layout) name(ctx context.Context, images []named, more map[v1.Hash][]string) {
	for i := range images {
		raw, err := l.document(ctx, images[i].desc, image.MaxDocument)
		if err != nil {
			continue
		}
		if m, _, err := image.ParseManifest(raw, images[i].desc.MediaType); err == nil && m.Config != nil {
			for _, name := range more[m.Config.Digest] {
				if !slices.Contains(images[i].names, name) {
					images[i].names = append(images[i].names, name)
				}
			}
		}
	}
}
