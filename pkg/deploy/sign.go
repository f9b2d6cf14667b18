package deploy

// ECR's managed signing: where a rule of the registry is for the repository, the run
// waits after the push for the signature, so that what is rolled out is signed. Whether
// there are rules is read without a need: an identity that may not read them goes on.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
)

const (
	signPoll     = 3 * time.Second
	signBeat     = time.Minute     // between two lines while nothing changes
	signPatience = 5 * time.Minute // for all signatures of an image
	signTrouble  = time.Minute     // how long readings may fail one after the other
)

// SigningError says that ECR has not signed an image with a profile.
type SigningError struct {
	URI       string
	Signature ecr.Signature
	After     time.Duration // without a signature; 0 where it failed
	Untouched bool          // the run would have gone on to services
}

func (e *SigningError) Error() string {
	text := e.what()
	if e.Signature.Failed() {
		text += "; a further run does not sign it, since ECR signs an image only when it is pushed"
	}
	if e.Untouched {
		text += "; the image was pushed, and no service was changed"
	}
	return text
}

func (e *SigningError) what() string {
	text := fmt.Sprintf("ECR did not sign %s with the signing profile %s", e.URI, ProfileName(e.Signature.Profile))
	if !e.Signature.Failed() {
		state := "there is no signing status"
		if e.Signature.Status != "" {
			state = "its status is " + e.Signature.Status
		}
		return fmt.Sprintf("%s within %s: %s", text, strings.TrimSuffix(e.After.Round(time.Second).String(), "0s"), state)
	}
	var why []string
	for _, part := range []string{strings.TrimSuffix(e.Signature.Reason, "."), e.Signature.Code} {
		if part != "" && !slices.Contains(why, part) {
			why = append(why, part)
		}
	}
	if len(why) == 0 {
		why = []string{"ECR says no reason"}
	}
	if len(why) == 2 {
		why = []string{why[0] + " (" + why[1] + ")"}
	}
	return text + ": " + why[0]
}

// Hint says what to do about it.
func (e *SigningError) Hint() string {
	if !e.Signature.Failed() {
		return "run the step again: a signature that is there by then is found at once"
	}
	if strings.Contains(e.Signature.Reason, "is not authorized to perform: ") {
		return "" // whoever explains denials has the statement
	}
	return "the profile must be active, and the identity that pushes needs signer:SignPayload on " + e.Signature.Profile + "; then run the build again"
}

// ProfileName is the name of a signing profile within its ARN.
func ProfileName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// readSigning reads with which profiles ECR signs what is pushed to the repository.
func (d *Deployer) readSigning(ctx context.Context, repository string) []string {
	profiles, err := d.ECR.SigningProfiles(ctx, repository)
	if err != nil {
		d.View.Show(SigningUnread{Err: err})
	}
	return profiles
}

// signed waits until ECR has signed the pushed image with each profile of the plan.
func (d *Deployer) signed(ctx context.Context, p *Plan, im Image) (profiles []string, err error) {
	if len(p.Signing) == 0 {
		return nil, nil
	}
	defer d.View.Section(Section{Kind: SigningSection})()
	w := &signingWatch{uri: im.URI, profiles: p.Signing, pushed: im.Pushed, begin: time.Now()}
	for {
		all, err := d.ECR.Signatures(ctx, im.repository, im.Digest)
		class := ecs.Classify(err)
		switch {
		case err == nil:
			w.all, w.failing = all, time.Time{}
		case ctx.Err() != nil:
			return nil, w.late(ctx)
		case class == ecs.Denied || class == ecs.Unsupported:
			d.View.Show(SigningUnread{URI: im.URI, Err: err})
			return nil, nil
		case class.Lasting() || !w.failing.IsZero() && time.Since(w.failing) >= signTrouble:
			return nil, err
		case w.failing.IsZero():
			w.failing = time.Now()
		}
		switch done, absent, failed := w.judge(time.Now()); {
		case err != nil: // what is known is from before
		case failed != nil:
			failed.Untouched = p.Request.Rollout
			return nil, failed
		case absent:
			var without []string
			for _, s := range w.pending() {
				without = append(without, s.Profile)
			}
			d.View.Show(Unsigned{im.URI, without})
			return nil, nil
		case done:
			d.View.Show(Signed{im.URI, w.profiles})
			return w.profiles, nil
		}
		if time.Since(w.shown) >= signBeat {
			w.shown = time.Now()
			d.View.Show(SigningWaits{im.URI, w.pending(), time.Since(w.begin), min(signPatience-time.Since(w.begin), until(ctx))})
		}
		if sleep(ctx, signPoll) != nil {
			return nil, w.late(ctx)
		}
	}
}

// signingWatch is what is known of the signatures of an image.
type signingWatch struct {
	uri      string
	profiles []string // that are waited for
	pushed   bool     // this run has pushed the image
	begin    time.Time
	all      []ecr.Signature
	failing  time.Time // since when readings fail; zero where they do not
	shown    time.Time // when the latest line was written
}

// of is the signature by a profile.
func (w signingWatch) of(profile string) ecr.Signature {
	for _, s := range w.all {
		if s.Profile == profile {
			return s
		}
	}
	return ecr.Signature{Profile: profile}
}

// pending are the signatures that are not there.
func (w signingWatch) pending() (all []ecr.Signature) {
	for _, profile := range w.profiles {
		if s := w.of(profile); !s.Complete() {
			all = append(all, s)
		}
	}
	return all
}

// judge is pure. absent says that an image which was in ECR before has no signature, and
// gets none: ECR signs what is pushed, and there was no rule for it then.
func (w signingWatch) judge(now time.Time) (done, absent bool, failed *SigningError) {
	pending := w.pending()
	for _, s := range pending {
		if s.Failed() {
			return false, false, &SigningError{URI: w.uri, Signature: s}
		}
	}
	if len(pending) == 0 {
		return true, false, nil
	}
	begun := func(s ecr.Signature) bool { return s.Status != "" }
	if !w.pushed && !slices.ContainsFunc(pending, begun) {
		return false, true, nil
	}
	if after := now.Sub(w.begin); after >= signPatience {
		return false, false, &SigningError{URI: w.uri, Signature: pending[0], After: after}
	}
	return false, false, nil
}

// late is why a wait ended that the time limit of the run, or its end, has ended.
func (w *signingWatch) late(ctx context.Context) error {
	cause := context.Cause(ctx)
	if _, over := errors.AsType[*TimeoutError](cause); over && len(w.pending()) > 0 {
		return &SigningError{URI: w.uri, Signature: w.pending()[0], After: time.Since(w.begin)}
	}
	return cause
}
