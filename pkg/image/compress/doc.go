// Package compress compresses layers in one pass on all cores, so that the bytes depend
// only on the layer, and unpacks layers to compare them with what a config lists.
//
// It does not know registries, and does not keep what is unpacked.
package compress
