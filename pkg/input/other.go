// Inputs as other tasks name them. A step of ECRPushImage@1 of AWS's Toolkit can be
// handed to this task as it is: most of its inputs are aliases in task.json, which
// Azure Pipelines replaces by our names. Here is what an alias cannot do, and what
// becomes of inputs that this task does not have.

package input

import (
	"maps"
	"slices"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// withTag is an image to push whose tag stands in an input of its own.
func withTag(image, tag string) (string, error) {
	name := strings.TrimPrefix(image, registryScheme)
	switch {
	case strings.Contains(name, "@"):
		return "", wrong("leave sourceImageTag empty", "image %s has a digest already", shown(image))
	case strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":"):
		return "", wrong("leave one of the two out", "image %s has a tag already", shown(image))
	case archiveName.MatchString(name) || windowsPath.MatchString(name) || strings.ContainsAny(name, `\#`) || strings.ContainsAny(name[:min(1, len(name))], "./~"):
		return "", wrong("leave sourceImageTag empty", "image %s is a path, which has no tag", shown(image))
	}
	return image + ":" + tag, nil
}

// taggedImage completes the image to push by the input sourceImageTag.
func (l *loader) taggedImage(f *fields) {
	tag := one(l, "sourceImageTag", f.SourceImageTag, parseTag)
	if tag == "" || f.Image == "" || expanded("image", f.Image) != nil {
		return
	}
	image, err := withTag(f.Image, tag)
	if err != nil {
		l.fail("sourceImageTag", 0, err)
		return
	}
	f.Image = image
}

// Inputs of ECRPushImage@1 that have no effect here, by the lower-case names in which
// Azure Pipelines takes them, as they are written there.
// Source: aws-toolkit-azure-devops, src/tasks/ECRPushImage/task.json.
var withoutEffect = map[string]string{
	"imagesource": "imageSource", "logrequest": "logRequest", "logresponse": "logResponse",
}

// Inputs of ECRPushImage@1 whose effect is had in another way.
var replaced = map[string][2]string{
	"outputvariable":               {"outputVariable", "give the step a name and read the output imageUri: $(NAME.imageUri)"},
	"forcedockernamingconventions": {"forceDockerNamingConventions", "write the name of the repository in lower case"},
}

// strangers reports inputs that the task does not have. Azure Pipelines hands them
// over without a word, so that a misspelled input would be left out silently.
func strangers(variables map[string]string, in *Inputs) {
	var known []string
	for _, f := range new(fields).all() {
		known = append(known, f.name)
	}
	given := upper(variables)
	for _, key := range slices.Sorted(maps.Keys(given)) {
		name, isInput := strings.CutPrefix(key, inputPrefix)
		name = strings.ToLower(name)
		if !isInput || name == "" || strings.TrimSpace(given[key]) == "" || slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			continue
		}
		if ours, none := withoutEffect[name]; none {
			in.Ignored = append(in.Ignored, ours)
			continue
		}
		hint := "remove it, or correct its name: docs/inputs.md lists the inputs"
		if near := mistake.Nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		if other, known := replaced[name]; known {
			name, hint = other[0], other[1]
		}
		in.Warnings = append(in.Warnings, &mistake.Error{Text: "the task has no input " + shown(name) + ", so that it has no effect", Advice: hint})
	}
}
