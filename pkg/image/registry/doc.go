// Package registry makes the requests to one repository of a registry: manifests, blobs
// and uploads, over the OCI distribution protocol. It decides what is tried again, ends
// what hardly moves, sends no credentials in the open and follows no address to where it
// does not belong. What a registry refuses is an error of a type of its own.
//
// It does not know where an image comes from, nor which of its blobs a push needs.
package registry
