// Package imagetest has what tests of images share: samples in the formats of the tools in
// the field, a registry that makes faults, a stand-in for an engine, and content that
// compresses as software does. The benchmark of pushes makes its images of the latter, too.
//
// It is imported by tests and cmd/pushbench only, so that it never ships.
package imagetest
