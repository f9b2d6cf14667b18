package report

// ECR's managed signing in words.

import (
	"strings"

	"ecsdeploy/pkg/deploy"
)

// showSigning shows the events of managed signing.
func (l *Log) showSigning(event any) {
	switch e := event.(type) {
	case deploy.SigningUnread:
		if e.URI == "" { // most registries have no signing configuration
			l.log.Debug("could not read whether ECR signs images that are pushed: " + e.Err.Error())
			return
		}
		l.warn("", "could not read whether ECR has signed %s, so that it is not waited for: %s", e.URI, shorten(e.Err.Error(), partLength))
	case deploy.SigningWaits:
		var pending []string
		for _, s := range e.Pending {
			status := s.Status
			if status == "" {
				status = "no status yet"
			}
			pending = append(pending, deploy.ProfileName(s.Profile)+" "+status)
		}
		text := "waiting for the signature of " + shorten(e.URI, briefLength) + ": " + strings.Join(pending, ", ")
		if e.Elapsed >= 1e9 {
			text += "; " + Duration(e.Elapsed) + " elapsed"
		}
		l.info("", "%s; %s left", text, Duration(e.Left))
	case deploy.Signed:
		l.info("", "ECR has signed %s with %s", e.URI, profileNames(e.Profiles))
	case deploy.Unsigned:
		l.info("", "%s was in ECR already and has no signature: ECR signs an image when it is pushed, and the signing rule for %s came later", e.URI, profileNames(e.Profiles))
	}
}

// profileNames are the names of signing profiles.
func profileNames(arns []string) string {
	var names []string
	for _, arn := range arns {
		names = append(names, deploy.ProfileName(arn))
	}
	if len(names) == 1 {
		return "the signing profile " + names[0]
	}
	return "the signing profiles " + strings.Join(names, ", ")
}
