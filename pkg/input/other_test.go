package input_test

import (
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/input"
)

func TestTagOfTheImageToPush(t *testing.T) {
	for name, tt := range map[string]struct{ image, tag, want, wrong string }{
		"as ECRPushImage names it":  {"chat-app", "17", "chat-app:17", ""},
		"with a registry":           {"registry.test:5000/chat/app", "17", "registry.test:5000/chat/app:17", ""},
		"of another registry":       {"docker://registry.test:5000/chat/app", "17", "docker://registry.test:5000/chat/app:17", ""},
		"none":                      {"chat-app", "", "chat-app", ""},
		"no tag":                    {"chat-app", "not one", "", `"not one" is not a tag: it contains the character " "; expected up to 128 letters, digits, _ . or -, not starting with . or -`},
		"two tags":                  {"chat-app:16", "17", "", `image "chat-app:16" has a tag already`},
		"a digest":                  {"chat-app@sha256:" + strings.Repeat("a", 64), "17", "", `image "chat-app@sha256:` + strings.Repeat("a", 64) + `" has a digest already`},
		"an archive":                {"out/chat-app.tar", "17", "", `image "out/chat-app.tar" is a path, which has no tag`},
		"a path":                    {"./chat-app", "17", "", `image "./chat-app" is a path, which has no tag`},
		"a variable that is no tag": {"chat-app", "$(Tag)", "", "holds the unexpanded variable $(Tag)"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, "command", "push", "repository", "chat-app", "image", tt.image, "sourceImageTag", tt.tag)
			if tt.wrong == "" && (err != nil || cfg.Inputs.Image != tt.want) {
				t.Errorf("image %q, %v; want %q", cfg.Inputs.Image, err, tt.want)
			}
			if tt.wrong != "" && !slices.Equal(mistakes(t, err), []string{"input sourceImageTag: " + tt.wrong}) {
				t.Errorf("got %q", mistakes(t, err))
			}
		})
	}
	// A rollout takes a full reference. What ECRPushImage's input holds has no effect then.
	cfg, err := load(t, "command", "rollout", "image", "h.io/i:1", "cluster", "dev", "services", "web", "sourceImageTag", "17")
	if err != nil || cfg.Inputs.Image != "h.io/i:1" || !slices.Equal(cfg.Inputs.Ignored, []string{"sourceImageTag"}) {
		t.Errorf("image %q, ignored %q, %v", cfg.Inputs.Image, cfg.Inputs.Ignored, err)
	}
}

// Azure Pipelines hands over inputs that a task does not have without a word.
func TestInputsThatTheTaskDoesNotHave(t *testing.T) {
	cfg, err := load(t, "command", "push", "repository", "chat-app", "image", "chat-app:17",
		"imageSource", "imagename", "logRequest", "false", // of ECRPushImage, without a counterpart
		"outputVariable", "pushed", "forceDockerNamingConventions", "true",
		"platfrom", "linux/arm64", "somethingElse", "x", "empty", " ")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"imageSource", "logRequest"}; !slices.Equal(cfg.Inputs.Ignored, want) {
		t.Errorf("without effect: %q, want %q", cfg.Inputs.Ignored, want)
	}
	want := []string{
		`the task has no input "forceDockerNamingConventions", so that it has no effect: write the name of the repository in lower case`,
		`the task has no input "outputVariable", so that it has no effect: give the step a name and read the output imageUri: $(NAME.imageUri)`,
		`the task has no input "platfrom", so that it has no effect: did you mean platform?`,
		`the task has no input "somethingelse", so that it has no effect: remove it, or correct its name: docs/inputs.md lists the inputs`,
	}
	var got []string
	for _, w := range cfg.Inputs.Warnings {
		got = append(got, w.Error()+": "+w.Hint())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a command cannot do without, by the mistakes of a run that has nothing else.
func TestRequired(t *testing.T) {
	for command, want := range map[input.Command][]string{
		input.Deploy: {"image", "repository", "services"}, input.Push: {"image", "repository"}, input.Placeholder: {"repository"},
		input.Rollout: {"image", "services"}, input.Drift: {"services"},
	} {
		if got := input.Required(command); !slices.Equal(got, want) {
			t.Errorf("%s requires %q, want %q", command, got, want)
		}
	}
}
