package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Whatever somebody prints while looking for a mistake, the keys stay out of it.
func TestKeysNeverPrint(t *testing.T) {
	keys := Keys{"AKIAPRINTED", "PRINTED", "PRINTED"}
	o := Options{Connection: &Connection{Keys: keys}, Variables: Variables{Keys: keys}}
	var out bytes.Buffer
	for _, v := range []any{keys, &keys, *o.Connection, o.Variables, o, []Keys{keys}, map[string]Keys{"k": keys}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	if err := json.NewEncoder(&out).Encode([]any{keys, &keys, o.Connection}); err != nil {
		t.Fatal(err)
	}
	if i := strings.Index(out.String(), "PRINTED"); i >= 0 {
		t.Errorf("printed: …%s…", out.String()[max(0, i-60):i+10])
	}
	if keys.String() != "***" || keys.GoString() != "***" {
		t.Error("String and GoString are ***")
	}
}
