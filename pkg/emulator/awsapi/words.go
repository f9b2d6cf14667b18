// What several services have in common: words made of members' names, names out of ARNs, pages of lists.

package awsapi

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Sentence turns taskDefinition into "Task definition".
func Sentence(member string) string {
	var b strings.Builder
	for i, r := range member {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case unicode.IsUpper(r):
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// NameOf returns the last part of an ARN, or a name as it is.
func NameOf(s string) string {
	if strings.HasPrefix(s, "arn:") {
		return s[strings.LastIndex(s, "/")+1:]
	}
	return s
}

// Paginate cuts one page out of a list. The token is the place where the next one begins.
func Paginate[T any](in Object, all []T, maxMember string, def int) (page []T, next string, err error) {
	start := 0
	if t := in.Str("nextToken"); t != "" {
		raw, err := base64.RawURLEncoding.DecodeString(t)
		n, err2 := strconv.Atoi(strings.TrimPrefix(string(raw), "page:"))
		if err != nil || err2 != nil || n < 0 || n > len(all) {
			return nil, "", Errorf("InvalidParameterException", "Invalid token: %s", t)
		}
		start = n
	}
	end := min(start+in.Number(maxMember, def), len(all))
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "page:%d", end))
	}
	return all[start:end], next, nil
}
