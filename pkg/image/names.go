package image

// Spelling of image names and digests.

import (
	"regexp"
	"strings"
)

var DigestForm = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// CutTag splits "name:tag"; a colon before the last slash is a port.
func CutTag(s string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, '/') {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
