// What the service's model says and the SDK's runtime schemas leave out: required members, enumerations, bounds and patterns, from its API reference.

package emulator

import ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

func ecrRules() rules {
	return rules{
		required: map[string][]string{
			"BatchCheckLayerAvailabilityRequest": {"repositoryName", "layerDigests"},
			"BatchDeleteImageRequest":            {"repositoryName", "imageIds"},
			"BatchGetImageRequest":               {"repositoryName", "imageIds"},
			"CreateRepositoryRequest":            {"repositoryName"},
			"DeleteRepositoryRequest":            {"repositoryName"},
			"DescribeImagesRequest":              {"repositoryName"},
			"EncryptionConfiguration":            {"encryptionType"},
			"ImageTagMutabilityExclusionFilter":  {"filterType", "filter"},
			"ListImagesRequest":                  {"repositoryName"},
			"PutImageRequest":                    {"repositoryName", "imageManifest"},
			"Tag":                                {"Key", "Value"},
		},
		enums: map[string][]string{
			"EncryptionType":                        names(ecrtypes.EncryptionType("").Values()),
			"ImageStatusFilter":                     names(ecrtypes.ImageStatusFilter("").Values()),
			"ImageTagMutability":                    names(ecrtypes.ImageTagMutability("").Values()),
			"ImageTagMutabilityExclusionFilterType": names(ecrtypes.ImageTagMutabilityExclusionFilterType("").Values()),
			"TagStatus":                             names(ecrtypes.TagStatus("").Values()),
		},
		limits: map[string]limit{
			"BatchedOperationLayerDigest":            {min: 0, max: 1000},
			"BatchedOperationLayerDigestList":        {min: 1, max: 100},
			"GetAuthorizationTokenRegistryIdList":    {min: 1, max: 10},
			"ImageIdentifierList":                    {min: 1, max: 100},
			"ImageManifest":                          {min: 1, max: 4_194_304},
			"ImageTag":                               {min: 1, max: 300},
			"ImageTagMutabilityExclusionFilterValue": {min: 1, max: 128, pattern: pattern(`[0-9a-zA-Z._*-]{1,128}`)},
			"ImageTagMutabilityExclusionFilters":     {min: 1, max: 5},
			"KmsKey":                                 {min: 1, max: 2048},
			"MaxResults":                             {min: 1, max: 1000},
			"MediaTypeList":                          {min: 1, max: 100},
			"RegistryId":                             {pattern: pattern(`[0-9]{12}`)},
			"RepositoryName":                         {min: 2, max: 256, pattern: pattern(`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`)},
			"RepositoryNameList":                     {min: 1, max: 100},
		},
	}
}
