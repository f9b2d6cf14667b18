package taskdef

// Versions of the secrets that a definition's containers read when a task starts.
// They are kept on the revision, in a tag, so that a later run knows which of them
// have a newer version. Values of secrets are never seen here: a version is the id of
// Secrets Manager or the number of Systems Manager.

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// SecretSources are the sources of the secrets that containers read when a task starts,
// as the definition has them (valueFrom), each once.
func (d Definition) SecretSources() []string {
	var all []string
	for _, c := range d.doc.get("containerDefinitions").items {
		for _, secrets := range []value{c.get("secrets"), c.get("logConfiguration").get("secretOptions")} {
			for _, s := range secrets.items {
				all = appendNew(all, s.get("valueFrom").str())
			}
		}
	}
	return all
}

const (
	sourceHash  = 6  // characters that stand for the source of a secret in the tag
	versionPart = 8  // of a version: the first part of a UUID, and every number that there is
	allHash     = 16 // that stand for all versions together, where they are too many
)

// SecretVersions writes the versions of secrets, by their sources, as the tag has them:
// for each the beginning of the SHA-256 of its source, and that of its version. More
// than fit in a tag are one hash.
func SecretVersions(versions map[string]string) string {
	var parts []string
	for source, version := range versions {
		parts = append(parts, sourceKey(source)+":"+versionKey(version))
	}
	slices.Sort(parts)
	text := strings.Join(parts, " ")
	if len(tagValue(text)) > maxTagValue || tagValue(text) != text {
		return "all:" + together(versions)
	}
	return text
}

// sourceKey stands for the source of a secret. A definition may name one secret
// several times, with different JSON keys: those are different sources.
func sourceKey(source string) string { return hash(source)[:sourceHash] }

// versionKey stands for a version. Whoever puts a secret may choose the id of its
// version, and then many have the same beginning, as those of Terraform.
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func versionKey(version string) string {
	switch {
	case len(version) <= versionPart:
		return version
	case version[versionPart] == '-' && strings.Trim(version[:versionPart], "0123456789abcdefABCDEF") == "":
		return version[:versionPart]
	}
	return hash(version)[:versionPart]
}

// SecretsTogether reports whether the revision keeps the versions of its secrets as one
// hash, with which only all of them can be compared.
func (d Definition) SecretsTogether() bool {
	p, _ := d.Provenance()
	return strings.HasPrefix(p.Secrets, "all:")
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func together(versions map[string]string) string {
	var all strings.Builder
	for _, source := range slices.Sorted(maps.Keys(versions)) {
		all.WriteString(source + "\n" + versions[source] + "\n")
	}
	return hash(all.String())[:allHash]
}

// ChangedSecrets are the sources among versions whose secret had another version when
// the revision was registered. What the revision says nothing about has not changed.
// Where it keeps all versions as one hash, all may have changed.
func (d Definition) ChangedSecrets(versions map[string]string) []string {
	p, _ := d.Provenance()
	if p.Secrets == "" || len(versions) == 0 {
		return nil
	}
	sources := slices.Sorted(maps.Keys(versions))
	if kept, all := strings.CutPrefix(p.Secrets, "all:"); all {
		if kept == together(versions) {
			return nil
		}
		return sources
	}
	kept := map[string]string{}
	for _, part := range strings.Fields(p.Secrets) {
		key, version, _ := strings.Cut(part, ":")
		kept[key] = version
	}
	return slices.DeleteFunc(sources, func(source string) bool {
		before, known := kept[sourceKey(source)]
		return !known || before == versionKey(versions[source])
	})
}
