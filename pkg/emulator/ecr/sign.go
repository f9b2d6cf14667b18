// Managed signing: which rules the registry has, and the signing jobs of pushed images. A job takes a while; it fails where whoever pushed may not
// sign with the profile, or as a test says. The signatures themselves are not stored.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/managed-signing.html

package ecr

import (
	"errors"
	"slices"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/iam"
)

// signingTime is how long a signing job takes.
const signingTime = 10 * time.Second

// Signing is how the signing jobs of a repository go.
type Signing struct {
	Takes time.Duration // 0 is 10 s
	Late  time.Duration // how long after the push the job shows
	// Code and Reason are why it fails; empty is that it does not. AWS documents no list of codes.
	Code, Reason string
}

// signingJob is the signature of an image by one profile.
type signingJob struct {
	profile      string
	begun, ends  time.Time
	code, reason string
}

// SetSigning sets how the signing jobs of a repository go that begin from now on.
func (e *ECR) SetSigning(name string, s Signing) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	r, err := e.repository(name)
	if err == nil {
		r.signing = s
	}
	return err
}

// signPushed begins a job for each profile of a rule that is for the repository: with the identity of whoever pushed the image, which takes
// signer:SignPayload. It is called with the lock held.
func (e *ECR) signPushed(r *repository, img *image, principal string, now time.Time) {
	for _, profile := range e.profilesFor(r.name) {
		takes := r.signing.Takes
		if takes == 0 {
			takes = signingTime
		}
		begun := now.Add(r.signing.Late)
		job := signingJob{profile: profile, begun: begun, ends: begun.Add(takes), code: r.signing.Code, reason: r.signing.Reason}
		need := iam.Request{Action: "signer:SignPayload", Resource: profile, Context: map[string][]string{"aws:RequestedRegion": {e.Region()}}}
		if err := e.Allowed(principal, need); err != nil && job.code == "" {
			job.code, job.reason = "AccessDeniedException", err.Error()
			if denied, is := errors.AsType[*awsapi.Error](err); is {
				job.reason = denied.Message
			}
		}
		img.signatures = append(img.signatures, job)
	}
}

// profilesFor are the profiles of the rules without filters, and of those with one that matches the repository, each once.
func (e *ECR) profilesFor(repository string) (all []string) {
	for _, rule := range e.signingRules {
		filters := rule.Objects("repositoryFilters")
		matches := len(filters) == 0 || slices.ContainsFunc(filters, func(f awsapi.Object) bool { return wildcardMatch(f.Str("filter"), repository) })
		if profile := rule.Str("signingProfileArn"); matches && !slices.Contains(all, profile) {
			all = append(all, profile)
		}
	}
	return all
}

// wildcardMatch matches all of a name, slashes included.
func wildcardMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] == '*' {
		for i := range len(name) + 1 {
			if wildcardMatch(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	return name != "" && pattern[0] == name[0] && wildcardMatch(pattern[1:], name[1:])
}

func (e *ECR) putSigningConfiguration(c *awsapi.Invocation) (awsapi.Object, error) {
	configuration := c.In.Object("signingConfiguration")
	e.signingRules, e.signs = configuration.Objects("rules"), true
	return awsapi.Object{"signingConfiguration": configuration}, nil
}

func (e *ECR) getSigningConfiguration(*awsapi.Invocation) (awsapi.Object, error) {
	if !e.signs {
		return nil, awsapi.Errorf("SigningConfigurationNotFoundException", "Signing configuration does not exist in the registry with id '%s'", e.Account())
	}
	rules := []any{}
	for _, rule := range e.signingRules {
		rules = append(rules, rule)
	}
	return awsapi.Object{"registryId": e.Account(), "signingConfiguration": awsapi.Object{"rules": rules}}, nil
}

func (e *ECR) describeImageSigningStatus(c *awsapi.Invocation) (awsapi.Object, error) {
	r, err := e.ours(c, c.In.Str("repositoryName"))
	if err != nil {
		return nil, err
	}
	id := c.In.Object("imageId")
	img := r.lookup(id)
	if img == nil {
		return nil, awsapi.Errorf("ImageNotFoundException", "The image with imageId %v does not exist within the repository with name '%s' in the registry with id '%s'", id, r.name, e.Account())
	}
	statuses := []any{}
	for _, job := range img.signatures {
		status := awsapi.Object{"signingProfileArn": job.profile, "status": "IN_PROGRESS"}
		switch {
		case c.Now.Before(job.begun):
			continue
		case c.Now.Before(job.ends):
		case job.code != "":
			status = status.With(awsapi.Object{"status": "FAILED", "failureCode": job.code, "failureReason": job.reason})
		default:
			status["status"] = "COMPLETE"
		}
		statuses = append(statuses, status)
	}
	return awsapi.Object{"registryId": e.Account(), "repositoryName": r.name, "imageId": imageID(img.digest, id.Str("imageTag")), "signingStatuses": statuses}, nil
}
