// What the service's model says and the SDK's runtime schemas leave out: required members, enumerations, bounds and patterns, from its API reference.

package ecr

import (
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"ecsdeploy/pkg/emulator/awsapi"
)

func ecrRules() awsapi.Rules {
	return awsapi.Rules{
		Required: map[string][]string{
			"BatchCheckLayerAvailabilityRequest":             {"repositoryName", "layerDigests"},
			"BatchDeleteImageRequest":                        {"repositoryName", "imageIds"},
			"BatchGetImageRequest":                           {"repositoryName", "imageIds"},
			"BatchGetRepositoryScanningConfigurationRequest": {"repositoryNames"},
			"CreateRepositoryRequest":                        {"repositoryName"},
			"RegistryScanningRule":                           {"scanFrequency", "repositoryFilters"},
			"ScanningRepositoryFilter":                       {"filter", "filterType"},
			"StartImageScanRequest":                          {"repositoryName", "imageId"},
			"DeleteRepositoryRequest":                        {"repositoryName"},
			"DescribeImageScanFindingsRequest":               {"repositoryName", "imageId"},
			"DescribeImagesRequest":                          {"repositoryName"},
			"EncryptionConfiguration":                        {"encryptionType"},
			"ImageTagMutabilityExclusionFilter":              {"filterType", "filter"},
			"GetLifecyclePolicyRequest":                      {"repositoryName"},
			"PutLifecyclePolicyRequest":                      {"repositoryName", "lifecyclePolicyText"},
			"ListImagesRequest":                              {"repositoryName"},
			"PutImageRequest":                                {"repositoryName", "imageManifest"},
			"Tag":                                            {"Key", "Value"},
			"DescribeImageSigningStatusRequest":              {"repositoryName", "imageId"},
			"PutSigningConfigurationRequest":                 {"signingConfiguration"},
			"SigningConfiguration":                           {"rules"},
			"SigningRule":                                    {"signingProfileArn"},
			"SigningRepositoryFilter":                        {"filter", "filterType"},
		},
		Enums: map[string][]string{
			"EncryptionType":                        awsapi.Names(ecrtypes.EncryptionType("").Values()),
			"ImageStatusFilter":                     awsapi.Names(ecrtypes.ImageStatusFilter("").Values()),
			"ImageTagMutability":                    awsapi.Names(ecrtypes.ImageTagMutability("").Values()),
			"ImageTagMutabilityExclusionFilterType": awsapi.Names(ecrtypes.ImageTagMutabilityExclusionFilterType("").Values()),
			"ScanFrequency":                         awsapi.Names(ecrtypes.ScanFrequency("").Values()),
			"ScanType":                              awsapi.Names(ecrtypes.ScanType("").Values()),
			"ScanningRepositoryFilterType":          awsapi.Names(ecrtypes.ScanningRepositoryFilterType("").Values()),
			"SigningRepositoryFilterType":           awsapi.Names(ecrtypes.SigningRepositoryFilterType("").Values()),
			"TagStatus":                             awsapi.Names(ecrtypes.TagStatus("").Values()),
		},
		Limits: map[string]awsapi.Limit{
			"BatchedOperationLayerDigest":             {Min: 0, Max: 1000},
			"BatchedOperationLayerDigestList":         {Min: 1, Max: 100},
			"GetAuthorizationTokenRegistryIdList":     {Min: 1, Max: 10},
			"ImageIdentifierList":                     {Min: 1, Max: 100},
			"ImageManifest":                           {Min: 1, Max: 4_194_304},
			"ImageTag":                                {Min: 1, Max: 300},
			"ImageTagMutabilityExclusionFilterValue":  {Min: 1, Max: 128, Pattern: awsapi.Pattern(`[0-9a-zA-Z._*-]{1,128}`)},
			"ImageTagMutabilityExclusionFilters":      {Min: 1, Max: 5},
			"KmsKey":                                  {Min: 1, Max: 2048},
			"LifecyclePolicyText":                     {Min: 100, Max: 30_720},
			"MaxResults":                              {Min: 1, Max: 1000},
			"RegistryScanningRuleList":                {Min: 0, Max: 2},
			"ScanningConfigurationRepositoryNameList": {Min: 1, Max: 25},
			"ScanningRepositoryFilterList":            {Min: 0, Max: 100},
			"ScanningRepositoryFilterValue":           {Min: 1, Max: 256, Pattern: awsapi.Pattern(`[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*`)},
			"SigningProfileArn":                       {Min: 0, Max: 200, Pattern: awsapi.Pattern(`arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:\/signing-profiles\/[a-zA-Z0-9_]{2,}`)},
			"SigningRepositoryFilterList":             {Min: 1, Max: 100},
			"SigningRepositoryFilterValue":            {Min: 1, Max: 256, Pattern: awsapi.Pattern(`[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*`)},
			"SigningRuleList":                         {Min: 0, Max: 10},
			"MediaTypeList":                           {Min: 1, Max: 100},
			"RegistryId":                              {Pattern: awsapi.Pattern(`[0-9]{12}`)},
			"RepositoryName":                          {Min: 2, Max: 256, Pattern: awsapi.Pattern(`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`)},
			"RepositoryNameList":                      {Min: 1, Max: 100},
		},
	}
}
