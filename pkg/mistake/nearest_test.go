package mistake_test

import (
	"testing"

	"ecsdeploy/pkg/mistake"
)

func TestNearest(t *testing.T) {
	words := []string{"deploy", "push", "rollout", "environment", "environmentFiles", "cpu"}
	for text, want := range map[string]string{
		"Deploy": "deploy", " push ": "push", "rolout": "rollout", "rolllout": "rollout", "orllout": "rollout", "rullout": "rollout",
		"Enviroment": "environment", "environmentfile": "environmentFiles", "CPU": "cpu",
		"deploy": "", "cp": "", "gpu": "cpu", "roll": "", "": "", "xyz": "",
	} {
		if got := mistake.Nearest(text, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzNearest(f *testing.F) {
	f.Add("Deploy", "deploy")
	f.Add("ab", "ba")
	f.Fuzz(func(t *testing.T, text, word string) {
		if got := mistake.Nearest(text, []string{word}); got != "" && got != word || got == text && text != "" {
			t.Errorf("Nearest(%q, %q) = %q", text, word, got)
		}
	})
}
