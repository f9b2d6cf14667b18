// Faults that tests ask for: calls that are throttled, denied, broken or cut, whatever they say.

package emulator

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Fault is how calls of an operation fail. A fault with neither code nor Reset nor Hang is a 500 ServerException.
type Fault struct {
	Code    string // error code of the answer: ThrottlingException
	Message string // empty: what AWS says with that code
	Status  int    // HTTP status; 0 is the code's usual one
	Reset   bool   // the connection is cut instead
	Hang    bool   // no answer until the caller gives up

	Times int // how many calls fail; 0 is every one until [Emulator.Mend]
	Skip  int // how many calls go through first
	Every int // only every so many calls fail; 0 and 1 are each
}

// Throttled makes the next calls answer ThrottlingException.
func Throttled(times int) Fault { return Fault{Code: "ThrottlingException", Times: times} }

// Denied makes every call answer AccessDeniedException, naming principal, action and resource as IAM does.
func Denied() Fault { return Fault{Code: "AccessDeniedException"} }

// Broken makes the next calls answer 500.
func Broken(times int) Fault { return Fault{Code: "ServerException", Times: times} }

// Reset cuts the connection of the next calls.
func Reset(times int) Fault { return Fault{Reset: true, Times: times} }

// Concurrent makes the next calls of RegisterTaskDefinition answer as ECS does when two callers register a family at once.
func Concurrent(times int) Fault {
	return Fault{Code: "ClientException", Message: "Too many concurrent attempts to create a new revision of the specified family.", Times: times}
}

type fault struct {
	Fault
	action   string
	scripted [2]string // cluster and service of the scenario it belongs to
	calls    int
	failed   int
}

// Fail makes calls of an operation fail: "ecs:UpdateService", "sts:AssumeRole", "registry:PutManifest" (see [Request]), or "ecs:*" for all of a
// service. Faults of the same operation are taken one after the other.
func (e *Emulator) Fail(operation string, f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, &fault{Fault: f, action: operation})
}

// Mend ends all faults of an operation, given as it was to [Emulator.Fail].
func (e *Emulator) Mend(operation string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.faults[:0]
	for _, f := range e.faults {
		if f.action != operation {
			kept = append(kept, f)
		}
	}
	e.faults = kept
}

// due counts one call and says whether it fails, and whether this fault took the call at all.
func (f *fault) due() bool {
	f.calls++
	if f.calls <= f.Skip || f.Every > 1 && (f.calls-f.Skip)%f.Every != 0 {
		return false
	}
	f.failed++
	return true
}

func (f *fault) spent() bool { return f.Times > 0 && f.failed >= f.Times }

// injected returns the error of the fault that is due for an action such as "ecs:UpdateService": an *apiError or errReset.
func (e *Emulator) injected(ctx context.Context, action, principal string, resource func() string) error {
	f := e.takeFault(action)
	switch {
	case f == nil:
		return nil
	case f.Hang:
		<-ctx.Done()
		return errReset
	case f.Reset:
		return errReset
	}
	out := &apiError{status: f.Status, code: f.Code, message: f.Message}
	if out.code == "" {
		out.code = "ServerException"
	}
	if out.message == "" {
		switch out.code {
		case "ThrottlingException", "TooManyRequestsException":
			out.message = "Rate exceeded"
		case "AccessDeniedException", "AccessDenied":
			// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
			out.message = fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action", principal, action, resource(), action)
		case "ServerException":
			out.message = "Service Unavailable. Please try again later."
		}
	}
	if out.status == 0 && strings.HasPrefix(out.code, "Server") {
		out.status = http.StatusInternalServerError
	}
	return out
}

func (e *Emulator) takeFault(action string) *fault {
	service, _, _ := strings.Cut(action, ":")
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.faults {
		if f.spent() || f.action != action && f.action != service+":*" {
			continue
		}
		if f.due() {
			return f
		}
	}
	return nil
}
