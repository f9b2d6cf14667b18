// Identifiers in the forms that the services give them.

package awsapi

import "fmt"

type idForm int

const (
	TaskID       idForm = iota // 32 hexadecimal digits
	UUID                       // 8-4-4-4-12
	DeploymentID               // 19 decimal digits: ecs-svc/…, service-revision/…
	ReleaseID                  // 21 letters and digits: service-deployment/…
	HookID                     // 43 letters and digits: ecs-pause-…
)

// NewID makes an identifier. It takes e.mu; code that holds it calls id.
func (e *Server) NewID(form idForm) string {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return e.ID(form)
}

func (e *Server) ID(form idForm) string {
	a, b := e.Rand.Uint64(), e.Rand.Uint64()
	switch form {
	case TaskID:
		return fmt.Sprintf("%016x%016x", a, b)
	case UUID:
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff|0x4000, b>>48&0x3fff|0x8000, b&0xffffffffffff)
	case DeploymentID:
		return fmt.Sprintf("%019d", 1_000_000_000_000_000_000+a%8_000_000_000_000_000_000)
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	out := make([]byte, 21)
	if form == HookID {
		out = make([]byte, 43)
	}
	for i := range out {
		out[i] = letters[e.Rand.IntN(len(letters))]
	}
	return string(out)
}
