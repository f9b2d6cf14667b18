// Package source finds out what a reference is and what image it stands for: one of the
// local engine, a docker or OCI archive, an OCI layout, or one in a registry. [Open] looks
// at it without moving any of it; [Inspect] looks at an image in a registry.
//
// What comes from outside, archives and registries, is bounded in memory, disk and time.
// The package sends nothing to where the image is to go.
package source
