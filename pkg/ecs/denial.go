package ecs

// Which right was missing, as AWS's texts say it. Pure.

import (
	"regexp"
	"strings"
)

// Denial is what AWS says of a call that it did not allow.
type Denial struct {
	Action   string // such as ecs:UpdateService
	Resource string // ARN or *; empty where the text names none
	// Policy is what decided, in AWS's words: the kind of policy, such as
	// "identity-based policy" or "service control policy", followed by its ARN
	// where the text has one; empty where the text does not say.
	Policy string
	// Explicit is set where a policy denies the action: allowing it elsewhere
	// does not help. Otherwise no policy of the kind allows it.
	Explicit bool
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var (
	denialText = regexp.MustCompile(`is not authorized to perform: ([A-Za-z0-9_-]{1,64}:[A-Za-z0-9_*]{1,128})` +
		`(?:,? on (?:the )?resources?: ["']?([^\s"',]+)["']?)?([^\r\n]*)`)
	denialExplicit = regexp.MustCompile(`^,? with an explicit deny(?: in (?:an? |the )?([A-Za-z][A-Za-z -]*?(?:policy|boundary|policies))(?:: ?["']?(arn:[^\s"',)]+))?)?`)
	denialImplicit = regexp.MustCompile(`^,? because no ([A-Za-z][A-Za-z -]*?(?:policy|boundary|policies)) allows?`)
)

// DenialOf returns which right a call lacked. It is false where err is no denial
// or its text does not name the action.
func DenialOf(err error) (Denial, bool) {
	if err == nil {
		return Denial{}, false
	}
	return parseDenial(apiMessage(err))
}

func parseDenial(text string) (Denial, bool) {
	m := denialText.FindStringSubmatch(text)
	if m == nil {
		return Denial{}, false
	}
	d := Denial{Action: m[1], Resource: strings.TrimRight(m[2], ".;")}
	if e := denialExplicit.FindStringSubmatch(m[3]); e != nil {
		d.Explicit = true
		d.Policy = strings.TrimSpace(e[1] + " " + strings.TrimRight(e[2], ".;"))
	} else if i := denialImplicit.FindStringSubmatch(m[3]); i != nil {
		d.Policy = i[1]
	}
	return d, true
}
