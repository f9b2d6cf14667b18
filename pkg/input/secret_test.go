package input_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"ecsdeploy/pkg/input"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	s := input.NewSecret("hunter2")
	type hidden struct {
		s input.Secret
		S input.Secret
		p *input.Secret
	}
	h := hidden{s, s, &s}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+" "+verb+"\n", s, &s, h, []input.Secret{s})
	}
	fmt.Fprintln(&out, s, h, s.String(), s.GoString(), map[string]input.Secret{"k": s})
	for _, v := range []any{s, &s, h, []any{s}} {
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Error(err)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	if text := out.String(); strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("the secret is in:\n%s", text)
	}
	if s.String() != "***" || s.Reveal() != "hunter2" {
		t.Errorf("String() = %s, Reveal() = %s", s, s.Reveal())
	}
}

func TestEmptySecret(t *testing.T) {
	if (input.Secret{}).Reveal() != "" || input.NewSecret("") != (input.Secret{}) {
		t.Error("the empty secret is not the zero Secret")
	}
}
