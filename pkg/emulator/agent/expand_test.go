package agent

import (
	"maps"
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
	got := expandVariables(map[string]string{
		"tag": "v$(number)", "image": "app:$(TAG)", "number": "7", // to any depth
		"self": "$(self)", "left": "$(right)", "right": "$(left)", // circles stay
	})
	want := map[string]string{
		"tag": "v7", "image": "app:v7", "number": "7",
		"self": "$(self)", "left": "$(left)", "right": "$(right)",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
