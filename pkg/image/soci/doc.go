// Package soci writes SOCI indexes, version 2, with which AWS Fargate and the SOCI
// snapshotter start a container before its image is complete
// (https://github.com/awslabs/soci-snapshotter, docs/soci-index-manifest-v2.md).
//
// A layer that is compressed is described by a zTOC: where each file lies in the layer,
// and from which points on the compressed layer can be read (ZTOC). An index manifest
// lists the zTOCs of an image (IndexManifest), and an image index binds both together
// (Bind).
//
// The package makes no requests and opens no file. It does not compress: whoever does,
// tells a Builder what it reads and writes. It can describe only what is compressed in
// blocks that do not refer to each other.
package soci
