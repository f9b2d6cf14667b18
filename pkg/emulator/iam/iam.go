// Package iam evaluates IAM policy documents as AWS does for one request: actions and resources with wildcards, conditions, explicit denials, and
// the kinds of policies that must each allow. It says in AWS's words why a request is denied.
//
// What it does not do: it knows no users, roles or services, only documents and requests; policies of resources, policy variables, and the
// operators for numbers, dates, IP addresses and binary values are errors when a document is read, so that no document seems to work that was
// not understood.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
package iam

import (
	"slices"
	"strings"
)

// The kinds of policies, in the words that denials use for them.
const (
	Identity = "identity-based policy"
	Boundary = "permissions boundary"
	Control  = "service control policy"
	Session  = "session policy"
)

// Policy is a policy document with its name.
type Policy struct {
	Kind       string // Identity, Boundary, Control, Session
	ARN        string // "" is an inline policy, which denials do not name
	statements []statement
}

// Request is one action on one resource. Keys of the context are compared without regard to case.
type Request struct {
	Action   string // ecs:UpdateService
	Resource string // ARN, or "*" for actions that know no resources
	Context  map[string][]string
}

// Denied returns why the policies deny a request, in the words that follow "on resource: …" in AWS's answer; "" is that they allow it. An
// explicit denial counts most; then every kind of policy that is present must allow the request, and there must be an identity-based one.
func Denied(policies []Policy, r Request) string {
	for _, p := range policies {
		if p.matches("Deny", r) {
			return explicit(p)
		}
	}
	for _, kind := range []string{Control, Boundary, Session, Identity} {
		present, allowed := kind == Identity, false
		for _, p := range policies {
			if p.Kind == kind {
				present = true
				allowed = allowed || p.matches("Allow", r)
			}
		}
		if present && !allowed {
			return "because no " + kind + " allows the " + r.Action + " action"
		}
	}
	return ""
}

// explicit words an explicit denial.
func explicit(p Policy) string {
	article := "a "
	if p.Kind == Identity {
		article = "an "
	}
	text := "with an explicit deny in " + article + p.Kind
	if p.ARN != "" {
		text += ": " + p.ARN
	}
	return text
}

// matches says whether a statement with the effect applies to the request.
func (p Policy) matches(effect string, r Request) bool {
	return slices.ContainsFunc(p.statements, func(s statement) bool { return s.effect == effect && s.applies(r) })
}

// Lacking lists, each once, the keys of the conditions under which the policies allow or deny the action on the resource, as far as the request does
// not have them.
func Lacking(policies []Policy, r Request) (keys []string) {
	for _, p := range policies {
		for _, s := range p.statements {
			if !s.covers(r) {
				continue
			}
			for _, c := range s.conditions {
				given := false
				for key := range r.Context {
					given = given || strings.EqualFold(key, c.key)
				}
				if !given && !slices.Contains(keys, c.key) {
					keys = append(keys, c.key)
				}
			}
		}
	}
	return keys
}

func (s statement) applies(r Request) bool {
	if !s.covers(r) {
		return false
	}
	for _, c := range s.conditions {
		if !c.holds(r.Context) {
			return false
		}
	}
	return true
}

// covers says whether a statement is about the action and the resource, whatever its conditions.
func (s statement) covers(r Request) bool {
	action := anyOf(s.actions, func(pattern string) bool { return match(strings.ToLower(pattern), strings.ToLower(r.Action)) })
	resource := anyOf(s.resources, func(pattern string) bool { return match(pattern, r.Resource) })
	return action != s.notActions && resource != s.notResources
}

func anyOf(patterns []string, f func(string) bool) bool { return slices.ContainsFunc(patterns, f) }

// match compares a text with a pattern, in which * stands for any characters and ? for one.
func match(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*':
			p++
			t++
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchARN compares ARNs part by part, so that a wildcard does not reach over a colon but in the last part.
func matchARN(pattern, text string) bool {
	want, got := strings.SplitN(pattern, ":", 6), strings.SplitN(text, ":", 6)
	if len(want) != 6 || len(got) != 6 {
		return false
	}
	for i := range want {
		if !match(want[i], got[i]) {
			return false
		}
	}
	return true
}

// holds says whether a condition is true of a request's context.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func (c condition) holds(context map[string][]string) bool {
	values, present := []string(nil), false
	for key, v := range context {
		if strings.EqualFold(key, c.key) {
			values, present = v, true
		}
	}
	if c.operator == "Null" {
		return c.values[0] == "true" != present
	}
	if !present {
		return c.ifExists || c.negated || c.set == "ForAllValues"
	}
	one := func(value string) bool {
		found := slices.ContainsFunc(c.values, func(wanted string) bool { return compare(c.operator, wanted, value) })
		return found != c.negated
	}
	if c.set == "ForAllValues" || c.set == "" && c.negated {
		return !slices.ContainsFunc(values, func(v string) bool { return !one(v) })
	}
	return slices.ContainsFunc(values, one)
}

func compare(operator, wanted, value string) bool {
	switch operator {
	case "StringEqualsIgnoreCase", "Bool":
		return strings.EqualFold(wanted, value)
	case "StringLike":
		return match(wanted, value)
	case "ArnLike", "ArnEquals":
		return matchARN(wanted, value)
	}
	return wanted == value
}
