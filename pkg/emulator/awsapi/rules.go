// What the services' models say and the SDK's runtime schemas leave out: which members are required, which values an enumeration has, and
// bounds and patterns. Taken from the API references of ECS (2014-11-13), ECR (2015-09-21) and CloudWatch Logs (2014-03-28); tests hold the
// required members and the completeness of the enumerations against the SDK's own validators and schemas.

package awsapi

import "regexp"

func Names[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// Pattern compiles a model's pattern, which always means the whole value.
func Pattern(expr string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + expr + `)$`) }
