package agent

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	variables := map[string]string{"Build.BuildId": "42", "a": "$(b)", "b": "B", "empty": ""}
	tests := []struct{ name, text, want string }{
		{"one", "app:$(Build.BuildId)", "app:42"},
		{"names ignore case", "$(BUILD.buildid)", "42"},
		{"several", "$(b)-$(b)", "B-B"},
		{"an unknown name stays", "$(Build.BuidId)", "$(Build.BuidId)"},
		{"an empty value", "[$(empty)]", "[]"},
		{"an empty name stays", "$()", "$()"},
		{"no end", "$(b", "$(b"},
		{"a value is not expanded again", "$(a)", "$(b)"},
		{"a candidate inside a candidate", "$(x$(b)", "$(xB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := expand(tt.text, variables); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExpandVariables(t *testing.T) {
	secret := map[string]bool{"password": true}
	got, problems := expandVariables(map[string]string{
		"tag": "v$(number)", "image": "app:$(TAG)", "number": "7", // to any depth
		"self": "$(self)", "left": "$(right)", "right": "$(left) $(number)", // circles stay
		"password": "hunter2", "URL": "http://me:$(Password)@host", "link": "$(url)", // become secret with it
	}, secret)
	want := map[string]string{
		"tag": "v7", "image": "app:v7", "number": "7",
		"self": "$(self)", "left": "$(right)", "right": "$(left) $(number)",
		"password": "hunter2", "URL": "http://me:hunter2@host", "link": "http://me:hunter2@host",
	}
	if want := map[string]bool{"password": true, "url": true, "link": true}; !maps.Equal(secret, want) {
		t.Errorf("secret are %v, want %v", secret, want)
	}
	if len(problems) != 3 || !strings.Contains(problems[0], `"left" refers to itself`) {
		t.Errorf("problems %q", problems)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestExpandVariablesTooDeep(t *testing.T) {
	variables := map[string]string{"v0": "end"}
	for i := range 60 {
		variables[fmt.Sprintf("v%d", i+1)] = fmt.Sprintf("$(v%d)", i)
	}
	got, problems := expandVariables(variables, map[string]bool{})
	if got["v50"] != "end" || got["v51"] != "$(v50)" || len(problems) != 10 {
		t.Errorf("v50 is %s, v51 is %s, problems %q", got["v50"], got["v51"], problems)
	}
}

func TestExpandMachine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("names of the machine's variables ignore case there")
	}
	if got := expandMachine("$(HOME) $(home) $()", map[string]string{"HOME": "/root", "": "x"}); got != "/root $(home) $()" {
		t.Errorf("got %q", got)
	}
}
