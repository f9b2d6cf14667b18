package image

// What is known of an image before any of it is moved.

// Kind is what a source turned out to be, in words for a log.
type Kind string

// The kinds of source.
const (
	KindEngine        Kind = "local engine"
	KindDockerArchive Kind = "docker archive"
	KindOCIArchive    Kind = "OCI archive"
	KindOCILayout     Kind = "OCI layout"
	KindRegistry      Kind = "registry"
)

// Description is what is known of an image before any of it is moved.
type Description struct {
	Kind Kind
	// Ref is the reference as it was given.
	Ref string
	// ImageID is the digest of the config, which Docker calls the image's ID;
	// empty for an index, and for an engine that does not say.
	ImageID string
	// Digest and MediaType are those of the manifest or index; empty when the
	// manifest has yet to be written because its layers are not compressed.
	Digest, MediaType string
	// Platforms are those the image runs on; attestations are left out.
	Platforms []Platform
	// Layers counts the distinct layers of all platforms; 0 when unknown.
	Layers int
	// Size is the sum of the layers' sizes in bytes as they lie in the source,
	// compressed or not; for an engine its own estimate.
	Size int64
}
