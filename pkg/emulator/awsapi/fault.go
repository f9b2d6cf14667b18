// Faults that tests ask for: calls that are throttled, denied, broken, cut, delayed, or acted on and never answered, whatever they say.

package awsapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is how calls of an operation fail. One that has only Delay, Late or Lost lets the call act; any other does not, and with neither code
// nor Reset nor Hang it is a 500 ServerException.
type Fault struct {
	Code    string // error code of the answer: ThrottlingException
	Message string // empty: what AWS says with that code
	Status  int    // HTTP status; 0 is the code's usual one
	Reset   bool   // the connection is cut instead
	Hang    bool   // no answer until the caller gives up
	Because string // of AccessDenied: why, behind "on resource: …"; empty: "because no identity-based policy allows the … action"

	Delay time.Duration // before the call is acted on, in real time
	Late  time.Duration // after it was acted on and before it is answered, in real time
	Lost  bool          // it is acted on, and the connection is cut instead of the answer

	Times int // how many calls fail; 0 is every one until [Server.Mend]
	Skip  int // how many calls go through first
	Every int // only every so many calls fail; 0 and 1 are each
}

// Throttled makes the next calls answer ThrottlingException.
func Throttled(times int) Fault { return Fault{Code: "ThrottlingException", Times: times} }

// Denied makes every call answer AccessDeniedException, naming principal, action and resource as IAM does.
func Denied() Fault { return Fault{Code: "AccessDeniedException"} }

// DeniedBy makes every call answer AccessDeniedException with the policy that denies: DeniedBy("a service control policy", "arn:aws:organizations::…").
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func DeniedBy(kind, policy string) Fault {
	return Fault{Code: "AccessDeniedException", Because: "with an explicit deny in " + kind + ": " + policy}
}

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
func (e *Server) Fail(operation string, f Fault) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.faults = append(e.faults, &fault{Fault: f, action: operation})
}

// Mend ends all faults of an operation, given as it was to [Server.Fail].
func (e *Server) Mend(operation string) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
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

// Call is one request that is about to be acted on.
type Call struct {
	Time      time.Time
	Service   string // as in [Request]
	Operation string
	Principal string // ARN of who signed; "" at the registry
	Resource  string // that IAM would name; "" at the registry
	Body      []byte // nil at the registry
}

// Interpose has f called for every request before it is acted on, and before the faults of [Server.Fail]. What f returns, if not nil, becomes of
// that call; its Times, Skip and Every do not count. f may use every method of the emulator, and is called by one request at a time. Nil ends it.
func (e *Server) Interpose(f func(Call) *Fault) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.interposed = f
}

// harmless says whether a call with the fault is acted on.
func (f *Fault) harmless() bool {
	return f.Code == "" && f.Message == "" && f.Status == 0 && !f.Reset && !f.Hang && (f.Delay > 0 || f.Late > 0 || f.Lost)
}

// Answered is called when a call has acted: it is late or lost if that is what the fault says. It may be called on nil.
func (f *Fault) Answered(ctx context.Context) error {
	if f == nil {
		return nil
	}
	if err := pause(ctx, f.Late); err != nil {
		return err
	}
	if f.Lost {
		return ErrReset
	}
	return nil
}

// pause waits, unless the caller gives up first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ErrReset
	}
}

// faultOf is what becomes of a call: what the interposed function says, or the fault of [Server.Fail] that is due.
func (e *Server) faultOf(c Call) *Fault {
	e.Mu.Lock()
	f := e.interposed
	e.Mu.Unlock()
	if f != nil {
		e.interposing.Lock()
		defer e.interposing.Unlock()
		if out := f(c); out != nil {
			return out
		}
	}
	if due := e.takeFault(c.Service + ":" + c.Operation); due != nil {
		return &due.Fault
	}
	return nil
}

// Injected returns the error of the fault that is due for a call, an *apiError or errReset; where the call is acted on all the same, the fault itself.
func (e *Server) Injected(ctx context.Context, c Call) (*Fault, error) {
	f := e.faultOf(c)
	if f == nil {
		return nil, nil
	}
	if err := pause(ctx, f.Delay); err != nil {
		return nil, err
	}
	switch {
	case f.harmless():
		return f, nil
	case f.Hang:
		<-ctx.Done()
		return nil, ErrReset
	case f.Reset:
		return nil, ErrReset
	}
	return nil, f.refusal(c)
}

// refusal words the error answer of a fault.
func (f *Fault) refusal(c Call) *Error {
	out := &Error{Status: f.Status, Code: f.Code, Message: f.Message}
	if out.Code == "" {
		out.Code = "ServerException"
	}
	if out.Message == "" {
		switch out.Code {
		case "ThrottlingException", "TooManyRequestsException":
			out.Message = "Rate exceeded"
		case "AccessDeniedException", "AccessDenied":
			action := c.Service + ":" + c.Operation
			out.Message = denial(c.Principal, action, c.Resource, cmp.Or(f.Because, "because no identity-based policy allows the "+action+" action"))
		case "ServerException":
			out.Message = "Service Unavailable. Please try again later."
		}
	}
	if out.Status == 0 && strings.HasPrefix(out.Code, "Server") {
		out.Status = http.StatusInternalServerError
	}
	return out
}

// denial words a refusal as IAM does.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func denial(principal, action, resource, because string) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", principal, action, resource, because)
}

func (e *Server) takeFault(action string) *fault {
	service, _, _ := strings.Cut(action, ":")
	e.Mu.Lock()
	defer e.Mu.Unlock()
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

// Throttle has every so many calls of an action throttled, in the place of what it did before for the same script; 0 ends it. It must be called with
// the lock held.
func (e *Server) Throttle(script [2]string, action string, every int) {
	e.faults = slices.DeleteFunc(e.faults, func(f *fault) bool { return f.scripted == script && f.action == action })
	if every > 0 {
		e.faults = append(e.faults, &fault{Fault: Fault{Code: "ThrottlingException", Every: every}, action: action, scripted: script})
	}
}
