package mistake_test

import (
	"errors"
	"fmt"
	"testing"

	"ecsdeploy/pkg/mistake"
)

func TestErrorNamesTheInput(t *testing.T) {
	m := mistake.New(mistake.Cluster, "check its name", "cluster %s does not exist", "main")
	for want, err := range map[string]*mistake.Error{
		"cluster main does not exist":                m,
		"input cluster: cluster main does not exist": m.In("cluster"),
		"input tags, line 2: is no tag":              {Input: "tags", Line: 2, Text: "is no tag"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if m.Input != "" {
		t.Error("In changed the mistake itself")
	}
	if again := m.In("cluster").In("services"); again.Input != "cluster" {
		t.Errorf("In replaced the input by %s", again.Input)
	}
	if m.Hint() != "check its name" {
		t.Errorf("hint %q", m.Hint())
	}
}

func TestIs(t *testing.T) {
	err := fmt.Errorf("service web: %w", &mistake.Error{Kind: mistake.Service, Absent: true})
	if !mistake.Is(err, mistake.Service) || mistake.Is(err, mistake.Cluster) || mistake.Is(errors.New("x"), mistake.Service) {
		t.Error("Is does not tell kinds apart")
	}
	if !mistake.Absent(err) || mistake.Absent(nil) {
		t.Error("Absent does not tell what is not there")
	}
}

func TestEach(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	got := mistake.Each(errors.Join(a, errors.Join(b, nil, c)))
	if len(got) != 3 || got[0] != a || got[1] != b || got[2] != c {
		t.Errorf("got %v", got)
	}
	if mistake.Each(nil) != nil || len(mistake.Each(a)) != 1 {
		t.Error("nil has none, and another error is one")
	}
}
