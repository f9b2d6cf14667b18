// Identifiers in the forms that the services give them.

package emulator

import "fmt"

type idForm int

const (
	taskID       idForm = iota // 32 hexadecimal digits
	uuidID                     // 8-4-4-4-12
	deploymentID               // 19 decimal digits: ecs-svc/…, service-revision/…
	releaseID                  // 21 letters and digits: service-deployment/…
	hookID                     // 43 letters and digits: ecs-pause-…
)

// newID makes an identifier. It takes e.mu; code that holds it calls id.
func (e *Server) newID(form idForm) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.id(form)
}

func (e *Server) id(form idForm) string {
	a, b := e.rand.Uint64(), e.rand.Uint64()
	switch form {
	case taskID:
		return fmt.Sprintf("%016x%016x", a, b)
	case uuidID:
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff|0x4000, b>>48&0x3fff|0x8000, b&0xffffffffffff)
	case deploymentID:
		return fmt.Sprintf("%019d", 1_000_000_000_000_000_000+a%8_000_000_000_000_000_000)
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	out := make([]byte, 21)
	if form == hookID {
		out = make([]byte, 43)
	}
	for i := range out {
		out[i] = letters[e.rand.IntN(len(letters))]
	}
	return string(out)
}
