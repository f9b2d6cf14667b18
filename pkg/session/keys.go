package session

// Access keys that cannot be printed by accident.

import (
	"fmt"
	"io"
	"log/slog"
)

// Keys are AWS access keys: a long-lived pair, or a temporary one with its
// session token. However they are formatted, logged or encoded as text or
// JSON, what appears is "***".
type Keys struct{ AccessKeyID, SecretAccessKey, SessionToken string }

const redacted = "***"

// String returns "***".
func (Keys) String() string { return redacted }

// GoString returns "***".
func (Keys) GoString() string { return redacted }

// Format writes "***" for every verb, the ones that ignore String included.
func (Keys) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "***".
func (Keys) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "***"; encoding/json uses it too.
func (Keys) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func (k Keys) empty() bool { return k == Keys{} }

func (k Keys) complete() bool { return k.AccessKeyID != "" && k.SecretAccessKey != "" }

// held names the part that an incomplete pair does have.
func (k Keys) held() string {
	switch {
	case k.AccessKeyID != "":
		return "the id"
	case k.SecretAccessKey != "":
		return "the secret"
	default:
		return "the session token"
	}
}
