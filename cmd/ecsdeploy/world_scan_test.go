package main

// Image scans in the small AWS account of the transcripts.

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	gcrtypes "github.com/google/go-containerregistry/pkg/v1/types"

	appecr "ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/emulator"
)

// scanningOf is the registry's configuration: BASIC or ENHANCED, and SCAN_ON_PUSH or
// CONTINUOUS_SCAN, for repositories that match a filter (chat-app where none is given).
func scanningOf(args []string) *ecr.PutRegistryScanningConfigurationInput {
	in := &ecr.PutRegistryScanningConfigurationInput{ScanType: types.ScanType(args[0])}
	if len(args) > 1 {
		filter := "chat-app"
		if len(args) > 2 {
			filter = args[2]
		}
		in.Rules = []types.RegistryScanningRule{{ScanFrequency: types.ScanFrequency(args[1]), RepositoryFilters: []types.ScanningRepositoryFilter{
			{Filter: aws.String(filter), FilterType: types.ScanningRepositoryFilterTypeWildcard},
		}}}
	}
	return in
}

// scanOf reads SEVERITY=N, takes=DURATION, early=DURATION, ends=STATUS, undated, and
// failure=TEXT, in which _ stands for a blank.
func scanOf(t *testing.T, words []string) emulator.Scan {
	t.Helper()
	scan := emulator.Scan{Findings: map[string]int{}}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "takes", "early":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			if name == "takes" {
				scan.Takes = d
			} else {
				scan.Early = d
			}
		case "ends":
			scan.Ends = value
		case "undated":
			scan.Undated = true
		case "failure":
			scan.Failure = strings.ReplaceAll(value, "_", " ")
		default:
			scan.Findings[name] = number(t, value)
		}
	}
	return scan
}

// pushIndex brings an index of images for the platforms into ECR, with an attestation
// as BuildKit adds one.
func (w *world) pushIndex(t *testing.T, tag string, platforms []string) {
	t.Helper()
	reference, err := name.ParseReference(w.repository.URI+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.IndexMediaType(empty.Index, gcrtypes.OCIImageIndex)
	for _, platform := range append(platforms, "unknown/unknown") {
		os, architecture, _ := strings.Cut(platform, "/")
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: application(t, tag, architecture), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: architecture}}})
	}
	authorization := appecr.New(w.config, appecr.Options{}).Authenticator(t.Context(), w.repository)
	if err := remote.WriteIndex(reference, index, remote.WithAuth(authorization), remote.WithTransport(w.Transport())); err != nil {
		t.Fatal(err)
	}
}
