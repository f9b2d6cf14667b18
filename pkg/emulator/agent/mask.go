package agent

// Masking of secrets (Agent.Sdk/SecretMasking; the encoders are those of Microsoft.VisualStudio.Services.Agent/HostContext.cs).

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// masker replaces secrets by ***, in a message as a whole: a secret of several lines is found in an issue of several lines,
// and not in the lines of a stream, which are messages of their own.
type masker struct {
	secrets []string
}

func (m *masker) add(secret string) {
	unescaped := strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`, `\t`, "\t").Replace(secret)
	unquoted := secret
	if len(secret) > 2 && strings.HasPrefix(secret, `"`) && strings.HasSuffix(secret, `"`) {
		unquoted = secret[1 : len(secret)-1]
	}
	quoted := toJSON(secret)
	for _, spelling := range []string{secret, quoted[1 : len(quoted)-1], strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"), unescaped, unquoted} {
		if spelling != "" && !slices.Contains(m.secrets, spelling) {
			m.secrets = append(m.secrets, spelling)
		}
	}
}

// urlPassword finds what stands in a URL as a password (Agent.Sdk/SecretMasking, the expressions added by HostContext.cs).
var urlPassword = regexp.MustCompile(`//[^:/?#\s]+:([^@/?#\s]+)@`)

// mask returns text with every occurrence of every secret replaced. Overlapping and adjacent occurrences become one ***.
func (m *masker) mask(text string) string {
	type span struct{ from, to int }
	var spans []span
	for _, at := range urlPassword.FindAllStringSubmatchIndex(text, -1) {
		spans = append(spans, span{at[2], at[3]})
	}
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
