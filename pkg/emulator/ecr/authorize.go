// What the registry's operations need to be allowed.

package ecr

import "ecsdeploy/pkg/emulator/iam"

// registryActions are the ECR actions that the registry's operations need.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
var registryActions = map[string]string{
	"HeadBlob": "BatchCheckLayerAvailability", "GetBlob": "GetDownloadUrlForLayer",
	"StartUpload": "InitiateLayerUpload", "UploadChunk": "UploadLayerPart", "GetUpload": "UploadLayerPart", "FinishUpload": "CompleteLayerUpload",
	"HeadManifest": "BatchGetImage", "GetManifest": "BatchGetImage", "PutManifest": "PutImage", "ListTags": "ListImages",
}

// authorizeRegistryAction checks an operation of the registry for whoever got its password.
func (e *ECR) authorizeRegistryAction(principal, operation, repository string) error {
	action := registryActions[operation]
	if action == "" {
		return nil
	}
	actions := []string{action}
	if operation == "FinishUpload" { // which sends the last part, or all of a layer
		actions = []string{"UploadLayerPart", action}
	}
	var needs []iam.Request
	for _, action := range actions {
		needs = append(needs, iam.Request{Action: "ecr:" + action, Resource: e.ARN("ecr", "repository/"+repository), Context: map[string][]string{"aws:RequestedRegion": {e.Region()}}})
	}
	return e.Authorize(principal, needs)
}
