// Policy documents: read strictly, so that what is misspelt or not understood is an error.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type statement struct {
	effect                   string
	actions, resources       []string
	notActions, notResources bool // the statement is about all others
	conditions               []condition
}

type condition struct {
	operator string // without its prefix, its suffix and Not
	set      string // ForAnyValue, ForAllValues or ""
	ifExists bool
	negated  bool
	key      string
	values   []string
}

// texts is a string or a list of strings.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// values is one or several strings, booleans or numbers.
type values []string

func (v *values) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		list = []json.RawMessage{data}
	}
	for _, one := range list {
		text := string(one)
		if json.Unmarshal(one, &text) != nil && (len(one) == 0 || strings.ContainsAny(text[:1], "[{n")) {
			return fmt.Errorf("%s is no value of a condition", one)
		}
		*v = append(*v, text)
	}
	return nil
}

type rawStatement struct {
	Sid               string
	Effect            string
	Action, NotAction texts
	Resource          texts
	NotResource       texts
	Condition         map[string]map[string]values
	Principal         json.RawMessage
	NotPrincipal      json.RawMessage
}

// statements is one statement or a list of them.
type statements []rawStatement

func (s *statements) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode((*[]rawStatement)(s))
}

// Parse reads a policy document of a kind. arn names it in denials; inline policies have none.
func Parse(kind, arn string, document []byte) (Policy, error) {
	var raw struct {
		Version, ID string
		Statement   statements
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return Policy{}, fmt.Errorf("policy document: %w", err)
	}
	if raw.Version != "2012-10-17" {
		return Policy{}, fmt.Errorf("policy document: Version is %q, expected 2012-10-17", raw.Version)
	}
	if len(raw.Statement) == 0 {
		return Policy{}, errors.New("policy document: it has no statement")
	}
	p := Policy{Kind: kind, ARN: arn}
	for i, r := range raw.Statement {
		s, err := r.statement()
		if err != nil {
			return Policy{}, fmt.Errorf("policy document: statement %d: %w", i+1, err)
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

func (r rawStatement) statement() (statement, error) {
	s := statement{effect: r.Effect, actions: r.Action, resources: r.Resource}
	if r.Principal != nil || r.NotPrincipal != nil {
		return s, errors.New("policies of identities have no principal")
	}
	if r.Effect != "Allow" && r.Effect != "Deny" {
		return s, fmt.Errorf("the effect is %q; expected Allow or Deny", r.Effect)
	}
	if r.NotAction != nil {
		s.actions, s.notActions = r.NotAction, true
	}
	if r.NotResource != nil {
		s.resources, s.notResources = r.NotResource, true
	}
	if len(s.actions) == 0 || r.Action != nil && r.NotAction != nil {
		return s, errors.New("it must have either Action or NotAction")
	}
	if len(s.resources) == 0 || r.Resource != nil && r.NotResource != nil {
		return s, errors.New("it must have either Resource or NotResource")
	}
	for _, a := range s.actions {
		if service, name, ok := strings.Cut(a, ":"); a != "*" && (!ok || service == "" || name == "") {
			return s, fmt.Errorf("action %q must be of the form service:Name", a)
		}
	}
	for _, res := range s.resources {
		if res != "*" && len(strings.SplitN(res, ":", 6)) != 6 {
			return s, fmt.Errorf("resource %q must be an ARN or *", res)
		}
	}
	for _, operator := range slices.Sorted(maps.Keys(r.Condition)) {
		for _, key := range slices.Sorted(maps.Keys(r.Condition[operator])) {
			c, err := newCondition(operator, key, r.Condition[operator][key])
			if err != nil {
				return s, err
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return s, nil
}

// operators are those that are understood.
var operators = []string{"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Bool", "Null"}

func newCondition(operator, key string, wanted []string) (condition, error) {
	c := condition{operator: operator, key: key, values: wanted}
	if set, rest, ok := strings.Cut(operator, ":"); ok {
		c.set, c.operator = set, rest
		if set != "ForAnyValue" && set != "ForAllValues" {
			return c, fmt.Errorf("condition operator %q is not known", operator)
		}
	}
	c.operator, c.ifExists = strings.CutSuffix(c.operator, "IfExists")
	if plain := strings.Replace(c.operator, "Not", "", 1); plain != c.operator {
		c.operator, c.negated = plain, true
	}
	if !slices.Contains(operators, c.operator) || c.operator == "Null" && (c.ifExists || c.negated || c.set != "") {
		return c, fmt.Errorf("condition operator %q is not known", operator)
	}
	if len(wanted) == 0 {
		return c, fmt.Errorf("condition on %q has no value", key)
	}
	for _, v := range wanted {
		if strings.Contains(v, "${") {
			return c, fmt.Errorf("condition on %q: policy variables are not supported", key)
		}
	}
	return c, nil
}
