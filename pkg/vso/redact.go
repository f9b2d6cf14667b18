// Redaction: secrets taken out of text before it is printed.
//
// The agent masks what it was told to mask, but only in what comes after, line by
// line, and not in files. So every text for people is redacted here as well: of
// the secrets that [Console.Mask] was told, and of what is a secret by its form,
// known or not:
//
//   - the user and password of a URL;
//   - the values of a pre-signed URL that authorize its bearer;
//   - the credentials in an HTTP header.
//
// What a task hands on exactly, as the value of an output variable or the path of
// a file, is not touched: a changed value would be a wrong one.
//
// Sources: RFC 3986, section 3.2.1; Amazon S3 API Reference, "Authenticating
// requests: using query parameters"; azure-pipelines-agent, src/Agent.Sdk/
// SecretMasking (the agent masks URLs by their form, too).

package vso

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const redacted = "***"

// A redactor knows secrets. The zero redactor knows none, and redacts by form only.
type redactor struct {
	spellings []string // of secrets, each at least MinSecret characters
	known     map[string]bool
}

// add makes secrets known and returns the commands by which the agent learns of
// them; none for what was known before.
func (r *redactor) add(secrets []string) []Command {
	if r.known == nil {
		r.known = map[string]bool{}
	}
	var commands []Command
	for _, secret := range secrets {
		for _, c := range SetSecret(secret) {
			if !r.known[c.data] {
				r.known[c.data] = true
				commands = append(commands, c)
			}
			r.spell(c.data)
		}
		for _, line := range split(secret) { // at more line breaks than the agent knows
			r.spell(line)
		}
	}
	return commands
}

// spell takes in a spelling as it looks in a line that has been stripped.
func (r *redactor) spell(spelling string) {
	spelling = strip(spelling)
	if maskable(strings.TrimSpace(spelling)) && !slices.Contains(r.spellings, spelling) {
		r.spellings = append(r.spellings, spelling)
	}
}

// redact returns text without secrets.
func (r *redactor) redact(text string) string {
	return byForm(r.byValue(text))
}

// byValue replaces the secrets that are known. Those that overlap or touch become
// one ***: what is left of the second would otherwise be readable.
func (r *redactor) byValue(text string) string {
	type span struct{ from, to int }
	var spans []span
	for _, secret := range r.spellings {
		for from := 0; ; {
			i := strings.Index(text[from:], secret)
			if i < 0 {
				break
			}
			spans = append(spans, span{from + i, from + i + len(secret)})
			_, first := utf8.DecodeRuneInString(secret)
			from += i + first
		}
	}
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	var b strings.Builder
	end := -1 // of what has been replaced
	for _, s := range spans {
		if s.from > end {
			b.WriteString(text[max(end, 0):s.from] + redacted)
		}
		end = max(end, s.to)
	}
	b.WriteString(text[end:])
	return b.String()
}

var (
	// Up to the last @ before the path. A user without a password is redacted where
	// there is a scheme: a token is often given as the user.
	userinfo = regexp.MustCompile("([A-Za-z][A-Za-z0-9+.-]*://)[^\\s/?#\"'`<>]*@|(//)[^\\s/?#\"'`<>:@]*:[^\\s/?#\"'`<>]*@")
	// A value ends where the parameter does, also within a URL that is itself a
	// parameter (%26) or a JSON string (a backslash).
	signed = regexp.MustCompile("(?i)((?:X-Amz-|X-Goog-)(?:Signature|Security-Token|Credential)(?:=|%3D)|" +
		"(?:[?&;]|%3F|%26|u0026)(?:sig|signature|AWSAccessKeyId|access_token)(?:=|%3D))" +
		"(?:[^\\s&\"'`<>\\\\%]|%(?:[013-9a-f][0-9a-f]|2[0-57-9a-f]))+")
	header = regexp.MustCompile("(?i)\\b((?:Proxy-)?Authorization|X-Amz-Security-Token|X-Registry-(?:Auth|Config))" +
		"([\"']?\\s*[:=]\\s*[\"'\\[]*)((?:Basic|Bearer|Negotiate)\\s+)?[^\\s\"'\\]]+")
)

// byForm replaces what is a secret wherever it stands.
func byForm(text string) string {
	if strings.Contains(text, "//") && strings.Contains(text, "@") {
		text = userinfo.ReplaceAllString(text, "${1}${2}"+redacted+"@")
	}
	if strings.ContainsAny(text, "=%") {
		text = signed.ReplaceAllString(text, "${1}"+redacted)
	}
	if strings.ContainsAny(text, ":=") {
		text = header.ReplaceAllString(text, "${1}${2}${3}"+redacted)
	}
	return text
}

// Mask makes secrets unreadable from now on: in all that this console prints, and
// through the agent in all that the job prints. Give it a secret the moment it is
// obtained, before it is used: a registry's token or password, a session's keys
// and token, an OIDC token, a proxy's password. The base64 of a secret is masked
// with it; of a login, mask user:password as well. What is shorter than
// [MinSecret], or a word such as true, is not masked.
func (c *Console) Mask(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range c.redactor.add(secrets) {
		c.send(cmd)
	}
}

// Redact returns text without secrets, for what is not printed through the
// console, as a file that people read.
func (c *Console) Redact(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.redactor.redact(text)
}
