package ecs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

// The texts are AWS's:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var denials = []struct {
	text string
	want Denial
}{
	{"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:eu-west-1:123456789012:service/dev/web because no identity-based policy allows the ecs:UpdateService action",
		Denial{"ecs:UpdateService", "arn:aws:ecs:eu-west-1:123456789012:service/dev/web", "identity-based policy", false}},
	{"User: arn:aws:sts::123456789012:assumed-role/ci/x is not authorized to perform: ecs:ListServiceDeployments with an explicit deny in a service control policy: arn:aws:organizations::777788889999:policy/o-exampleorgid/service_control_policy/p-examplepolicyid",
		Denial{"ecs:ListServiceDeployments", "", "service control policy arn:aws:organizations::777788889999:policy/o-exampleorgid/service_control_policy/p-examplepolicyid", true}},
	{"User: u is not authorized to perform: ecs:X on resource: * with an explicit deny in a service control policy", Denial{"ecs:X", "*", "service control policy", true}},
	{"User: u is not authorized to perform: ecs:X on resource: * with an explicit deny in a resource control policy", Denial{"ecs:X", "*", "resource control policy", true}},
	{"User: u is not authorized to perform: ecs:X on resource: r with an explicit deny in an identity-based policy: arn:aws:iam::123456789012:policy/NoDeploys", Denial{"ecs:X", "r", "identity-based policy arn:aws:iam::123456789012:policy/NoDeploys", true}},
	{"User: u is not authorized to perform: sts:AssumeRole on resource: r with an explicit deny in the role trust policy", Denial{"sts:AssumeRole", "r", "role trust policy", true}},
	{"User: u is not authorized to perform: sts:AssumeRole on resource: r because no role trust policy allows the sts:AssumeRole action", Denial{"sts:AssumeRole", "r", "role trust policy", false}},
	{"User: u is not authorized to perform: sts:AssumeRole on resource: r with an explicit deny in a role trust policy", Denial{"sts:AssumeRole", "r", "role trust policy", true}},
	{"User: u is not authorized to perform: ecs:X on resource: r because no session policy allows the ecs:X action", Denial{"ecs:X", "r", "session policy", false}},
	{"User: u is not authorized to perform: ecs:X on resource: r with an explicit deny in a session policy", Denial{"ecs:X", "r", "session policy", true}},
	{"User: u is not authorized to perform: ecs:X on resource: r because no permissions boundary allows the ecs:X action", Denial{"ecs:X", "r", "permissions boundary", false}},
	{"User: u is not authorized to perform: ecs:X on resource: r with an explicit deny in a permissions boundary: arn:aws:iam::1:policy/b", Denial{"ecs:X", "r", "permissions boundary arn:aws:iam::1:policy/b", true}},
	{"User: u is not authorized to perform: ecs:X because no VPC endpoint policy allows the ecs:X action", Denial{"ecs:X", "", "VPC endpoint policy", false}},
	{"User: u is not authorized to perform: ecs:X on resource: r with an explicit deny in a VPC endpoint policy", Denial{"ecs:X", "r", "VPC endpoint policy", true}},
	{"User: u is not authorized to perform: ecs:X on resource: r because no resource-based policy allows the ecs:X action", Denial{"ecs:X", "r", "resource-based policy", false}},
	{"User: u is not authorized to perform: ecs:X on resource: r because no service control policy allows the ecs:X action", Denial{"ecs:X", "r", "service control policy", false}},
	{"User: u is not authorized to perform: ecs:X on resource: r with an explicit deny", Denial{"ecs:X", "r", "", true}},
	{`User: u is not authorized to perform: iam:PassRole on resource: "arn:aws:iam::1:role/task" because no identity-based policy allows the iam:PassRole action (Service: AmazonECS; Status Code: 400)`,
		Denial{"iam:PassRole", "arn:aws:iam::1:role/task", "identity-based policy", false}},
	{"User: u is not authorized to perform: ecs:X", Denial{Action: "ecs:X"}},
	{"User: u is not authorized to perform: ecs:X on resource: arn:aws:ecs:x.", Denial{Action: "ecs:X", Resource: "arn:aws:ecs:x"}},
	{"u is not authorized to perform: logs:GetLogEvents on resource: arn:aws:logs:eu-west-1:1:log-group:/ecs/web:log-stream:a because no identity-based policy allows the logs:GetLogEvents action",
		Denial{"logs:GetLogEvents", "arn:aws:logs:eu-west-1:1:log-group:/ecs/web:log-stream:a", "identity-based policy", false}},
}

func TestDenialOf(t *testing.T) {
	for _, tt := range denials {
		err := during("call", fmt.Errorf("wrapped: %w", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: tt.text}))
		if got, ok := DenialOf(err); !ok || got != tt.want {
			t.Errorf("%s\ngot  %+v, %t\nwant %+v", tt.text, got, ok, tt.want)
		}
		if got, ok := DenialOf(errors.New(tt.text)); !ok || got != tt.want {
			t.Errorf("without the SDK: %s\ngot  %+v, %t", tt.text, got, ok)
		}
	}
	for _, text := range []string{"", "You are not authorized to perform this operation.", "User is not authorized to perform: nothing", "Rate exceeded", "is not authorized to perform: "} {
		if got, ok := DenialOf(errors.New(text)); ok {
			t.Errorf("%q: %+v, want none", text, got)
		}
	}
	if _, ok := DenialOf(nil); ok {
		t.Error("nil is a denial")
	}
}

func TestTaggingDenied(t *testing.T) {
	denied := func(action string) error {
		return during("register", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "User: u is not authorized to perform: " + action + " on resource: r because no identity-based policy allows the " + action + " action"})
	}
	if !TaggingDenied(denied("ecs:TagResource")) || TaggingDenied(denied("ecs:RegisterTaskDefinition")) || TaggingDenied(errors.New("ecs:TagResource")) || TaggingDenied(nil) {
		t.Error("only a denial of ecs:TagResource is one of tagging")
	}
}

func FuzzDenialOf(f *testing.F) {
	for _, d := range denials {
		f.Add(d.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := DenialOf(&smithy.GenericAPIError{Code: "AccessDeniedException", Message: text})
		if !ok {
			if d != (Denial{}) {
				t.Errorf("%q: %+v without ok", text, d)
			}
			return
		}
		if !strings.Contains(text, d.Action) || !strings.Contains(text, d.Resource) || strings.ContainsAny(d.Action+d.Resource+d.Policy, "\r\n") {
			t.Errorf("%q: %+v is not from the text", text, d)
		}
	})
}
