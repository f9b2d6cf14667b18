// Package image moves a container image into a registry and says under which
// digest it can be pulled.
//
// [Open] finds out what a reference is (an image of the local engine, a docker
// or OCI archive, an OCI layout directory, or an image in another registry),
// [Check] says before any upload what the wanted tags hold already, and [Push]
// uploads what is missing. [Inspect] looks at an image in a registry.
//
// What is already compressed or has a digest is moved byte for byte; layers
// that a "docker save" archive holds as plain tar files are compressed on the
// way, with gzip or zstd, in one pass, on all cores, unless an image in the
// repository proves that they are there already. An engine that has them ready
// for a registry pushes by itself. Memory does not grow with the image.
//
// An image that no engine could unpack is refused: layers are compared with the
// image's config while they are uploaded. What comes from outside, archives and
// registries, is bounded in memory, disk and time, and leads no request to where
// it does not belong.
//
// The package does not build, unpack, run or scan images, does not know AWS (the
// registry's credentials come as an [authn.Authenticator]), reads no environment
// of its own, and prints nothing.
package image
