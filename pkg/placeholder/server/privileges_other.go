//go:build !unix

package main

// dropPrivileges does nothing where the image does not run.
func dropPrivileges() error { return nil }
