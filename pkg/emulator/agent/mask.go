package agent

// Masking of secrets (Agent.Sdk/SecretMasking; the encoders are those of Microsoft.VisualStudio.Services.Agent/HostContext.cs).

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// masker replaces secrets by ***. A secret of several lines is never found: the log is masked line by line.
type masker struct {
	secrets []string
}

func (m *masker) add(secret string) {
	for _, spelling := range []string{secret, strings.Trim(toJSON(secret), `"`), strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")} {
		if spelling != "" && !slices.Contains(m.secrets, spelling) {
			m.secrets = append(m.secrets, spelling)
		}
	}
}

// mask returns text with every occurrence of every secret replaced. Overlapping and adjacent occurrences become one ***.
func (m *masker) mask(text string) string {
	type span struct{ from, to int }
	var spans []span
	for _, secret := range m.secrets {
		for from := 0; ; {
			i := strings.Index(text[from:], secret)
			if i < 0 {
				break
			}
			spans = append(spans, span{from + i, from + i + len(secret)})
			from += i + 1
		}
	}
	if spans == nil {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })

	var out strings.Builder
	end := -1 // of the last span that was masked
	for _, s := range spans {
		if s.from > end {
			out.WriteString(text[max(end, 0):s.from])
			out.WriteString("***")
		}
		end = max(end, s.to)
	}
	out.WriteString(text[end:])
	return out.String()
}
