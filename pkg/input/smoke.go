// The input smokeTest: checks of a new revision, one per line. A line is a URL or a
// path of the test listener, with what is expected of its answer, or a command.

package input

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// SmokeTest is one line of smokeTest.
type SmokeTest struct {
	URL     string // http or https, or a path; empty for a command
	Status  [2]int // first and last status that is taken; zero is 200 to 299
	Body    string // text that the body has to contain; empty is any
	Retries int
	Command []string // nil for a URL
}

// defaultRetries is how often a URL is asked again, which gives a load balancer half
// a minute.
const defaultRetries = 5

const smokeHint = `for instance /health status=200 retries=5 body=ok, https://test.example.com/health, or ["npm", "run", "smoke"]`

// parseSmokeTest reads a line. What stands behind body= is its value up to the end.
func parseSmokeTest(text string) (t SmokeTest, err error) {
	if strings.HasPrefix(text, "[") {
		t.Command, err = parseMigrationCommand(text)
		return t, err
	}
	line, body, expectsBody := cutBody(text)
	words := strings.Fields(line)
	if len(words) == 0 {
		return t, wrong(smokeHint, "%s names no URL", shown(text))
	}
	t = SmokeTest{URL: words[0], Body: body, Retries: defaultRetries}
	if expectsBody && body == "" {
		return t, wrong("write the text that the answer has to contain behind body=, or leave it out", "body= has no value")
	}
	if err := checkURL(t.URL); err != nil {
		return t, err
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "status":
			t.Status, err = parseStatus(value)
		case "retries":
			t.Retries, err = strconv.Atoi(value)
			if err != nil || t.Retries < 0 || t.Retries > 100 {
				err = wrong("for instance retries=5", "%s is not a number of retries from 0 to 100", shown(value))
			}
		default:
			err = wrong(smokeHint, "%s is none of status=, retries= and body=", shown(word))
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

var bodyOption = regexp.MustCompile(`[ \t]body=`)

// cutBody cuts a line before the option body.
func cutBody(text string) (line, body string, found bool) {
	at := bodyOption.FindStringIndex(text)
	if at == nil {
		return text, "", false
	}
	return text[:at[0]], strings.TrimSpace(text[at[1]:]), true
}

var statuses = regexp.MustCompile(`^([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?$`)

func parseStatus(text string) (r [2]int, err error) {
	m := statuses.FindStringSubmatch(text)
	if m == nil {
		return r, wrong("for instance status=200, or status=200-399", "%s is not a status or a range of them", shown(text))
	}
	r[0], _ = strconv.Atoi(m[1]) // three digits
	if r[1] = r[0]; m[2] != "" {
		r[1], _ = strconv.Atoi(m[2])
	}
	if r[1] < r[0] {
		return r, wrong("write the lower one first", "%s is not a range of statuses", shown(text))
	}
	return r, nil
}

// checkURL takes URLs of http and https, and paths. What it says of a URL shows
// nothing of its user or query.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return wrong(smokeHint, "the URL cannot be read")
	case u.Fragment != "":
		return wrong("leave out the # and what follows", "the URL has a fragment, which is never sent")
	case strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//"):
		return nil
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return wrong(smokeHint, "expected a URL of http or https, or a path that begins with /")
	}
	if at, err := netip.ParseAddr(u.Hostname()); err == nil && at.Unmap().IsLinkLocalUnicast() {
		return wrong("name the address of the application", "%s is an address at which clouds keep the credentials of their machines, and is never asked", u.Hostname())
	}
	return nil
}

// smoke reads the input, and what contradicts it.
func (l *loader) smoke(in *Inputs, f *fields) {
	in.SmokeTests = list(l, "smokeTest", f.SmokeTest, parseSmokeTest, func(t SmokeTest) string { return t.URL + "\n" + strings.Join(t.Command, "\n") })
	if f.SmokeTest == "" {
		return
	}
	fail := func(hint, format string, args ...any) { l.fail("smokeTest", 0, wrong(hint, format, args...)) }
	switch {
	case f.Services == "":
		fail("set services, or leave smokeTest empty", "there is no service whose deployment it could decide on")
	case strings.EqualFold(f.Wait, "false"):
		fail("set wait to true, or leave smokeTest empty", "a deployment that is not waited for cannot be tested")
	case in.Command == Resume && in.Action == ActionRollback:
		fail("leave smokeTest empty, or set action to continue", "action: rollback rolls back whatever the test finds")
	case in.WaitUntil.before("POST_TEST_TRAFFIC_SHIFT"):
		fail("wait for a later stage, or leave smokeTest empty", "waitUntil: %s ends the step before there is test traffic", in.WaitUntil)
	}
}

// before reports whether it is a lifecycle stage that comes before another one.
func (u WaitUntil) before(another string) bool {
	for _, stage := range Stages() {
		switch stage {
		case another:
			return false
		case string(u):
			return true
		}
	}
	return false
}

// secretParameters are the values in queries of URLs that are probably secret, by
// the names of their parameters.
var secretParameters = regexp.MustCompile(`(?i)[?&][^=&\s]*(?:token|key|secret|signature|sig|password|passwd|pwd|auth|code|credential)[^=&\s]*=([^&\s#]{4,})`)

// querySecrets lists the secrets in the queries of URLs, as they stand and decoded.
func querySecrets(text string) (list []string) {
	for _, m := range secretParameters.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
		if decoded, err := url.QueryUnescape(m[1]); err == nil && decoded != m[1] {
			list = append(list, decoded)
		}
	}
	return list
}
