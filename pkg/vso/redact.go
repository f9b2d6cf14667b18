// Redaction: secrets taken out of text before it is printed.
//
// The agent masks what it was told to mask, but only in what comes after, line by
// line, and not in files. So every text for people is redacted here as well: of
// the secrets that [Console.Mask] was told, and of what is a secret by its form,
// known or not:
//
//   - the user and password of a URL;
//   - the values of a pre-signed URL that authorize its bearer;
//   - the credentials in an HTTP header;
//   - the members of JSON by which programs hand credentials over.
//
// What a task hands on exactly, as the value of an output variable or the path of
// a file, is not touched: a changed value would be a wrong one.
//
// Sources: RFC 3986, section 3.2.1; Amazon S3 API Reference, "Authenticating
// requests: using query parameters"; azure-pipelines-agent, src/Agent.Sdk/
// SecretMasking (the agent masks URLs by their form, too).

package vso

import (
	"iter"
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
			r.spell(percent.ReplaceAllStringFunc(c.data, strings.ToLower))
			r.spell(unreserved.Replace(c.data))
		}
		for _, line := range split(secret) { // at more line breaks than the agent knows
			r.spell(line)
			r.spell(strings.Join(strings.Fields(line), " ")) // as messages that are made one line have it
		}
	}
	return commands
}

// Other programs percent-encode with small letters, or leave what JavaScript's
// encodeURIComponent leaves.
var (
	percent    = regexp.MustCompile("%[0-9A-F]{2}")
	unreserved = strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")
)

// spell takes in a spelling as it looks in a line that has been stripped.
func (r *redactor) spell(spelling string) {
	spelling = strip(spelling)
	if maskable(strings.TrimSpace(spelling)) && !slices.Contains(r.spellings, spelling) {
		r.spellings = append(r.spellings, spelling)
	}
}

// hidden stands for each byte of a secret until all of them are found. It is in no line
// that is printed, and no form of a secret depends on it.
const hidden = "\x00"

// redact returns text without secrets.
func (r *redactor) redact(text string) string {
	blank := r.blank(text)
	if blank == text {
		return text
	}
	var b strings.Builder
	end := 0
	for _, s := range spans(blank) {
		b.WriteString(text[end:s[0]] + redacted)
		end = s[1]
	}
	return b.String() + text[end:]
}

// blank returns text with [hidden] in place of each byte of a secret, so that every
// other byte stays where it is.
func (r *redactor) blank(text string) string {
	return byForm(r.byValue(strings.ReplaceAll(text, hidden, " ")))
}

// spans are the runs of [hidden]: where each begins, and where it ends.
func spans(blank string) (all [][2]int) {
	for from := 0; ; {
		i := strings.Index(blank[from:], hidden)
		if i < 0 {
			return all
		}
		from += i
		end := from + len(blank[from:]) - len(strings.TrimLeft(blank[from:], hidden))
		all = append(all, [2]int{from, end})
		from = end
	}
}

// byValue blanks the secrets that are known, and what is left of one where a text was cut. Those that overlap or touch become one
// run: what is left of the second would otherwise be readable.
func (r *redactor) byValue(text string) string {
	var blank []byte
	for _, secret := range r.spellings {
		for from := 0; ; {
			i := strings.Index(text[from:], secret)
			if i < 0 {
				break
			}
			if blank == nil {
				blank = []byte(text)
			}
			from += i
			hide(blank, from, from+len(secret))
			_, first := utf8.DecodeRuneInString(secret)
			from += first
		}
	}
	if strings.Contains(text, cutMark) {
		for _, secret := range r.spellings {
			for at, n := range beginnings(text, secret) {
				if blank == nil {
					blank = []byte(text)
				}
				hide(blank, at-n, at)
			}
			for from, to := range ends(text, secret) {
				if blank == nil {
					blank = []byte(text)
				}
				hide(blank, from, to)
			}
		}
	}
	if blank == nil {
		return text
	}
	return string(blank)
}

// cutMark is what stands where the rest of a text was left out, in all that this program
// says: a text may have been cut in the middle of a secret.
const cutMark = "…"

// beginnings finds where a text was cut within a secret: before which of its marks how
// many bytes of the secret stand, the most of several. What would be no secret by itself
// does not count.
func beginnings(text, secret string) iter.Seq2[int, int] {
	return func(yield func(at, n int) bool) {
		m := newMatch(len(secret), func(i int) byte { return secret[i] })
		for i := range len(text) {
			if text[i] == cutMark[0] && strings.HasPrefix(text[i:], cutMark) && maskable(secret[:m.n]) && !yield(i, m.n) {
				return
			}
			m.read(text[i])
		}
	}
}

// ends finds where a text was cut in the middle of a secret: behind which of its marks,
// and a blank, the end of the secret stands, from where to where. It reads backwards.
func ends(text, secret string) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		m := newMatch(len(secret), func(i int) byte { return secret[len(secret)-1-i] })
		for i := len(text); i > 0; i-- {
			if strings.HasSuffix(strings.TrimSuffix(text[:i], " "), cutMark) && maskable(secret[len(secret)-m.n:]) && !yield(i, i+m.n) {
				return
			}
			m.read(text[i-1])
		}
	}
}

// match knows how much of a sequence of bytes the last bytes that were read are: the
// search of Knuth, Morris and Pratt, which takes as long as the text and the sequence are,
// whatever they hold.
type match struct {
	at    func(i int) byte
	again []int // how much of it is read again where a byte behind i does not fit
	n     int   // how much of it has been read
}

func newMatch(length int, at func(i int) byte) *match {
	m := &match{at: at, again: make([]int, length)}
	for i, n := 1, 0; i < length; i++ {
		for n > 0 && at(i) != at(n) {
			n = m.again[n-1]
		}
		if at(i) == at(n) {
			n++
		}
		m.again[i] = n
	}
	return m
}

func (m *match) read(b byte) {
	for m.n > 0 && (m.n == len(m.again) || b != m.at(m.n)) {
		m.n = m.again[m.n-1]
	}
	if b == m.at(m.n) {
		m.n++
	}
}

func hide(text []byte, from, to int) { clear(text[from:to]) }

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
	// A member of JSON, which may be quoted once more, by the names under which programs
	// hand credentials over: the SDK's credential_process, Docker's credential helpers and
	// configuration, OAuth, Azure DevOps.
	member = regexp.MustCompile(`(?i)(\\*"(?:SecretAccessKey|SessionToken|Secret|Password|(?:Identity|Registry|Oidc|Authorization|Access_?|Refresh_?|Id_)Token|Client_?Secret|Auth)\\*"\s*:\s*\\*")` +
		`(?:[^"\\]|\\+[^"\\]|\\+"[^\s,}\]])+`)
)

// byForm blanks what is a secret wherever it stands.
func byForm(text string) string {
	if strings.Contains(text, "//") && strings.Contains(text, "@") {
		text = blankBehind(userinfo, text, len("@"))
	}
	if strings.ContainsAny(text, "=%") {
		text = blankBehind(signed, text, 0)
	}
	if strings.ContainsAny(text, ":=") {
		text = blankBehind(header, text, 0)
	}
	if strings.Contains(text, `"`) {
		text = blankBehind(member, text, 0)
	}
	return text
}

// blankBehind blanks of each match what stands behind its groups, but for the last
// bytes.
func blankBehind(form *regexp.Regexp, text string, last int) string {
	matches := form.FindAllStringSubmatchIndex(text, -1)
	if matches == nil {
		return text
	}
	blank := []byte(text)
	for _, m := range matches {
		hide(blank, slices.Max(m[2:]), m[1]-last)
	}
	return string(blank)
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

// Secrets returns where the secrets of a line stand, for what is not printed as it
// is: where each begins, and where it ends, in bytes.
func (c *Console) Secrets(line string) [][2]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return spans(c.redactor.blank(line))
}

// Redact returns text without secrets, for what is not printed through the
// console, as a file that people read.
func (c *Console) Redact(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.redactor.redact(text)
}
