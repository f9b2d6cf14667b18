// How repositories are encrypted: which keys KMS has, and what a repository says of its own. Nothing is encrypted.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html

package ecr

import (
	"cmp"
	"strings"

	"ecsdeploy/pkg/emulator/awsapi"
)

// managedKey is the alias of the key that AWS manages for ECR: any principal that may create repositories may use it.
const managedKey = "alias/aws/ecr"

// AddKey has KMS have a key, under an alias where one is given.
func (e *ECR) AddKey(id, alias string) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	arn := e.ARN("kms", "key/"+id)
	e.keys[id], e.keys[arn] = arn, arn
	if alias != "" {
		e.keys[alias], e.keys[e.ARN("kms", alias)] = arn, arn
	}
}

// key is the ARN of the key that an ID, an ARN or an alias stands for; "" where KMS has none. It is called without the lock.
func (e *ECR) key(named string) string {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return e.keys[named]
}

// encryption is the configuration of a repository that asks for one. It is called with the lock held.
func (e *ECR) encryption(in awsapi.Object) (awsapi.Object, error) {
	kind, key := cmp.Or(in.Str("encryptionType"), "AES256"), in.Str("kmsKey")
	switch {
	case kind == "AES256" && key != "":
		return nil, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: 'kmsKey must not be given with the encryption type AES256'")
	case kind == "KMS_DSSE" && !strings.HasPrefix(e.Region(), "us-gov-"):
		return nil, awsapi.Errorf("InvalidParameterException", "Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: 'encryption type KMS_DSSE is not available in this Region'")
	case kind == "AES256":
		return awsapi.Object{"encryptionType": kind}, nil
	}
	arn := e.keys[cmp.Or(key, managedKey)]
	if arn == "" {
		return nil, awsapi.Errorf("KmsException", "An error was returned by KMS: NotFoundException: Key '%s' does not exist", key)
	}
	return awsapi.Object{"encryptionType": kind, "kmsKey": arn}, nil
}
