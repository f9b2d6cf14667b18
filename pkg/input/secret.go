// Secret values: they print as ***, whoever prints them.

package input

import (
	"fmt"
	"log/slog"
)

// Secret is a value that is only given out by [Secret.Reveal]. In every other
// way, formatted, logged or marshalled, alone or within another value, it is
// ***. The zero Secret is the empty value.
type Secret struct {
	// A pointer, because fmt calls no methods on unexported fields of other
	// types: there it prints an address instead of the value.
	value *string
}

const redacted = "***"

// NewSecret keeps value from being printed.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal gives out the value.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Format writes *** for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// String returns ***.
func (Secret) String() string { return redacted }

// GoString returns ***.
func (Secret) GoString() string { return redacted }

// LogValue returns ***.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns ***, which is what JSON and most other encoders then show.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes in a value, as when the environment is decoded.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
