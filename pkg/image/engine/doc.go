// Package engine speaks to the local engine, Docker or podman: it finds it, asks it about
// an image, has it hand one out as an archive, or has it push one by itself.
//
// It does not read what the archive holds.
package engine
