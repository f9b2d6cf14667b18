// Package image holds what all rooms of moving an image share: what an image
// consists of ([Content], [Blob], [Document], [Layer]), how manifests and configs
// are read, platforms and the choice between them, what a layer has to unpack to
// ([LayerCheck]), how far a push is ([Progress]), and errors by whose fault they are.
//
// The rooms below it, each of which imports only those named before it:
//
//   - compress: layers compressed in one pass on all cores, and unpacked to be checked;
//   - registry: requests to one repository, tried again, watched and kept where they belong;
//   - engine: the local engine, Docker or podman: asked, read from, and told to push;
//   - source: a reference becomes an image: of an engine, an archive, a layout, a registry;
//   - soci: the format of SOCI indexes;
//   - push: layers, manifests, tags; what is there already is neither sent nor compressed.
//
// Package imagetest has samples and stand-ins for tests.
//
// Together they move a container image into a registry and say under which digest it
// can be pulled. They do not build, run or scan images, do not know AWS (credentials
// come as an authn.Authenticator), read no environment of their own, and print nothing.
// This package makes no request and opens no file.
package image
