package main

// The bill of materials, in CycloneDX 1.6 as JSON: https://cyclonedx.org/docs/1.6/json

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/CycloneDX/cyclonedx-go"
)

// file is one that ships, with its SHA-256 in hexadecimal.
type file struct{ name, sum string }

func hash(paths []string) ([]file, error) {
	var all []file
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		all = append(all, file{filepath.Base(path), hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// writeSBOM describes the extension's version: its files and its modules, and
// which module requires which. It has neither a time nor a serial number, for
// the same sources are to give the same bytes.
func writeSBOM(out io.Writer, version string, shipped []module, graph map[string][]string, files []file) error {
	refs := map[string]string{"ecsdeploy": "ecsdeploy"}
	for _, m := range shipped {
		refs[m.Path] = purl(m)
	}
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = ""
	main := &cyclonedx.Component{
		BOMRef: "ecsdeploy", Type: cyclonedx.ComponentTypeApplication, Name: "ecsdeploy", Version: version,
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "MIT"}}},
	}
	if len(files) > 0 {
		var parts []cyclonedx.Component
		for _, f := range files {
			parts = append(parts, cyclonedx.Component{
				BOMRef: "file:" + f.name, Type: cyclonedx.ComponentTypeFile, Name: f.name,
				Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: f.sum}},
			})
		}
		main.Components = &parts
	}
	bom.Metadata = &cyclonedx.Metadata{Component: main}
	var components []cyclonedx.Component
	for _, m := range shipped {
		var licences cyclonedx.Licenses
		for _, id := range m.Licences {
			licences = append(licences, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
		}
		components = append(components, cyclonedx.Component{
			BOMRef: purl(m), Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
			Scope: cyclonedx.ScopeRequired, PackageURL: purl(m), Licenses: &licences,
		})
	}
	bom.Components = &components
	var dependencies []cyclonedx.Dependency
	for _, m := range slices.Concat([]module{{Path: "ecsdeploy"}}, shipped) {
		d := cyclonedx.Dependency{Ref: refs[m.Path]}
		var on []string
		for _, path := range graph[m.Path] {
			on = append(on, refs[path])
		}
		if on != nil {
			d.Dependencies = &on
		}
		dependencies = append(dependencies, d)
	}
	bom.Dependencies = &dependencies
	encoder := cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON)
	if err := encoder.SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return fmt.Errorf("write CycloneDX: %w", err)
	}
	return nil
}

// purl names a module for scanners: https://github.com/package-url/purl-spec
func purl(m module) string {
	return "pkg:golang/" + m.Path + "@" + m.Version
}
