package report

// The current images of services, as output variables and as files that the
// tools of infrastructure read.

import (
	"encoding/json"
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/mistake"
)

// File is a file to be written.
type File struct {
	Name    string
	Content []byte
}

// Files are the images for CDK (a context of the app), CloudFormation
// (parameters of a stack) and Terraform (variables). Each service is a key:
// with one service it is "image", with several "image-<service>" in CDK, and
// the same in the characters that parameters and variables may have elsewhere.
// A fourth file has all that is known of each image. The error names services that
// would have one key.
func Files(images []deploy.CurrentImage) ([]File, error) {
	context, variables := map[string]string{}, map[string]string{}
	parameters := []map[string]string{}
	var details []detail
	suffixes, err := suffixes(images)
	if err != nil {
		return nil, err
	}
	for i, c := range images {
		suffix := suffixes[i]
		context["image"+suffix] = c.URI
		variables["image"+strings.ReplaceAll(suffix, "-", "_")] = c.URI
		details = append(details, detail{c.Cluster, c.Name, c.Exists, c.Container, c.URI, c.Digest, c.BuildID, c.Revision})
		parameters = append(parameters, map[string]string{"ParameterKey": "Image" + camel(suffix), "ParameterValue": c.URI})
	}
	return []File{
		{"cdk.context.json", document(context)},
		{"cloudformation.parameters.json", document(parameters)},
		{"terraform.tfvars.json", document(variables)},
		{"images.json", document(details)},
	}, nil
}

// suffixes tell the keys of several services apart: by the name of the service, and
// where another cluster has a service of that name, by the cluster before it.
func suffixes(images []deploy.CurrentImage) ([]string, error) {
	all := make([]string, len(images))
	if len(images) == 1 {
		return all, nil
	}
	named := map[string]int{}
	for _, c := range images {
		named[camel(c.Name)]++
	}
	used := map[string]string{} // the service by its key
	for i, c := range images {
		if all[i] = "-" + c.Name; named[camel(c.Name)] > 1 {
			all[i] = "-" + strings.ReplaceAll(c.Service.String(), "/", "-")
		}
		key := camel(all[i])
		if other, twice := used[key]; twice {
			return nil, mistake.New(mistake.Service, "run the command once for each of them", "services %s and %s have the same name in the file for CloudFormation, Image%s", other, c.Service, key)
		}
		used[key] = c.Service.String()
	}
	return all, nil
}

// detail is all that is known of an image, for scripts.
type detail struct {
	Cluster        string `json:"cluster"`
	Service        string `json:"service"`
	Exists         bool   `json:"exists"` // false: image is the default
	Container      string `json:"container,omitempty"`
	Image          string `json:"image"`
	Digest         string `json:"digest,omitempty"`
	BuildID        string `json:"buildId,omitempty"`
	TaskDefinition string `json:"taskDefinition,omitempty"`
}

func document(v any) []byte {
	// Strings and booleans always marshal.
	data, _ := json.MarshalIndent(v, "", "  ")
	return append(data, '\n')
}

// camel turns -chat-app_1 into ChatApp1: names of parameters are alphanumeric.
func camel(s string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// current lists the output variables of the command currentImage: one line
// each for every service.
func current(images []deploy.CurrentImage) []Output {
	var uris, digests, revisions []string
	for _, c := range images {
		uris, digests, revisions = append(uris, c.URI), append(digests, c.Digest), append(revisions, c.Revision)
	}
	return []Output{
		{"imageUri", strings.Join(uris, "\n")},
		{"imageDigest", strings.TrimRight(strings.Join(digests, "\n"), "\n")},
		{"taskDefinitionArn", strings.TrimRight(strings.Join(revisions, "\n"), "\n")},
	}
}

// currentLine is what the command currentImage found, in one line.
func currentLine(images []deploy.CurrentImage) string {
	if len(images) == 1 {
		return fmt.Sprintf("Current image of %s: %s", images[0].Name, images[0].URI)
	}
	return fmt.Sprintf("Current images of %d services found", len(images))
}
