// Package push brings an image into a repository: [Check] says before any upload what the
// wanted tags hold already, and [Push] uploads what is missing.
//
// What is already compressed or has a digest is moved byte for byte; layers that a
// "docker save" archive holds as plain tar files are compressed on the way, unless an image
// in the repository proves that they are there already. An engine that has them ready for a
// registry pushes by itself. Memory does not grow with the image.
//
// An image that no engine could unpack is refused: layers are compared with the image's
// config while they are uploaded.
//
// The package creates no repository and deletes nothing.
package push
