package deploy

import (
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/ecr"
)

func TestSigningJudge(t *testing.T) {
	const one, two = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/one", "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/two"
	s := func(profile, status string) ecr.Signature { return ecr.Signature{Profile: profile, Status: status} }
	for _, tt := range []struct {
		name   string
		pushed bool
		all    []ecr.Signature
		after  time.Duration
		want   string // done, absent, or what the error says; empty is to wait
	}{
		{"both are there", true, []ecr.Signature{s(one, "COMPLETE"), s(two, "COMPLETE")}, 0, "done"},
		{"one has begun", true, []ecr.Signature{s(one, "COMPLETE"), s(two, "IN_PROGRESS")}, time.Minute, ""},
		{"one has not begun", true, []ecr.Signature{s(one, "COMPLETE")}, time.Minute, ""},
		{"none has begun", true, nil, time.Minute, ""},
		{"one failed", true, []ecr.Signature{s(one, "IN_PROGRESS"), s(two, "FAILED")}, 0, "profile two: ECR says no reason; a further run does not sign it, since ECR signs an image only when it is pushed"},
		{"of a profile that no rule names", true, []ecr.Signature{s("x/three", "FAILED"), s(one, "COMPLETE"), s(two, "COMPLETE")}, 0, "done"},
		{"a status that is not known", true, []ecr.Signature{s(one, "QUEUED"), s(two, "COMPLETE")}, time.Minute, ""},
		{"too late", true, []ecr.Signature{s(one, "COMPLETE"), s(two, "IN_PROGRESS")}, signPatience, "profile two within 5m: its status is IN_PROGRESS"},
		{"never begun", true, nil, signPatience, "profile one within 5m: there is no signing status"},
		{"pushed before the rule", false, nil, 0, "absent"},
		{"pushed before one of the rules", false, []ecr.Signature{s(one, "COMPLETE")}, 0, "absent"},
		{"pushed just before", false, []ecr.Signature{s(one, "COMPLETE"), s(two, "IN_PROGRESS")}, time.Minute, ""},
		{"failed before", false, []ecr.Signature{s(one, "FAILED")}, 0, "profile one: ECR says no reason; a further run does not sign it, since ECR signs an image only when it is pushed"},
	} {
		begin := time.Now()
		w := signingWatch{uri: "host/web:1", profiles: []string{one, two}, pushed: tt.pushed, all: tt.all, begin: begin}
		done, absent, failed := w.judge(begin.Add(tt.after))
		got := map[bool]string{true: "done"}[done] + map[bool]string{true: "absent"}[absent]
		if failed != nil {
			got = failed.Error()
		}
		if got != tt.want && (tt.want == "" || !strings.HasSuffix(got, tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSigningError(t *testing.T) {
	failed := &SigningError{URI: "host/web:1", Signature: ecr.Signature{Profile: "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/one", Status: "FAILED", Code: "Revoked", Reason: "The profile is revoked."}, Untouched: true}
	if want := "ECR did not sign host/web:1 with the signing profile one: The profile is revoked (Revoked); a further run does not sign it, since ECR signs an image only when it is pushed; the image was pushed, and no service was changed"; failed.Error() != want {
		t.Errorf("%s", failed)
	}
	if !strings.Contains(failed.Hint(), "signer:SignPayload on arn:aws:signer:eu-west-1:123456789012:/signing-profiles/one") {
		t.Error(failed.Hint())
	}
}
