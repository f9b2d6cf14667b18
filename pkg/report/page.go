package report

// The summary as a whole: what went wrong before any rollout, what came of each
// service, how long it took, what was in it. And the name of its section.

import (
	"cmp"
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
)

// Page is what a summary says beside the result.
type Page struct {
	Issues   []Issue // why the run could not be carried out
	Timeline *Timeline
	Contents []Contents

	// Secrets returns where the secrets of a line of plain text stand; nil finds none.
	Secrets func(line string) [][2]int
}

// Summary is the Markdown that a run leaves on its page. A service that the run had
// not come to when it ended is left out.
func Summary(r deploy.Result, p Page, explain Explain) string {
	var b strings.Builder
	if len(p.Issues) > 0 {
		problems(&b, p.Issues)
		began := r
		began.Services = nil
		for _, s := range r.Services {
			if s.Outcome != "" || s.Revision != "" {
				began.Services = append(began.Services, s)
			}
		}
		if len(began.Services) > 0 {
			b.WriteString(Markdown(began, explain))
		} else if r.Image.Digest != "" {
			imageTable(&b, r.Image)
		}
	} else {
		b.WriteString(Markdown(r, explain))
	}
	scanMarkdown(&b, r.Scan)
	if p.Timeline != nil {
		b.WriteString(p.Timeline.Markdown(r.Services...))
	}
	b.WriteString(ContentsMarkdown(p.Contents))
	if len(p.Issues) > 0 || len(Failures(r, explain)) > 0 {
		b.WriteString("[Every error with its reasons and what to do](" + troubleshooting + ")\n")
	}
	return withoutSecrets(b.String(), p.Secrets)
}

// troubleshooting is the page on the errors of the task.
const troubleshooting = "https://github.com/ecsdeploy/ecsdeploy/blob/main/docs/troubleshooting.md"

// problems says why a run was not carried out, each once.
func problems(b *strings.Builder, all []Issue) {
	fmt.Fprintf(b, "### ❌ %s\n\n", text(shorten(all[0].Text, partLength)))
	for i, issue := range all {
		if i > 0 {
			fmt.Fprintf(b, "- %s\n", text(issue.Text))
		}
		if issue.Hint != "" {
			fmt.Fprintf(b, "%s- 💡 %s\n", strings.Repeat("  ", min(i, 1)), text(issue.Hint))
		}
	}
	b.WriteString("\n")
}

func imageTable(b *strings.Builder, image deploy.Image) {
	table(b, [][2]string{{"Image", imageLink(image.URI)}, {"Digest", code(image.Digest)}, {"Taken from", code(image.Source)}, {"Sent", sentText(image)}, {"Signed by", signedBy(image)}, {"Time", durationText(image.Took)}})
	b.WriteString("\n")
}

// signedBy are the signing profiles by which ECR has signed an image; "" for none.
func signedBy(image deploy.Image) string {
	var names []string
	for _, arn := range image.Signed {
		names = append(names, code(deploy.ProfileName(arn)))
	}
	return strings.Join(names, ", ")
}

// sentText says what a push had to send; "" where there was none.
func sentText(image deploy.Image) string {
	if !image.Pushed {
		return ""
	}
	sent := size(image.SentBytes)
	if image.Layers > 0 {
		sent += fmt.Sprintf(", %d of %s in ECR already", image.Reused, count(image.Layers, "blob"))
	}
	return sent
}

func imageLink(uri string) string { return link(code(uri), repositoryURL(uri)) }

// answer says exactly how a paused deployment is answered: as a step.
func answer(b *strings.Builder, s deploy.ServiceResult) {
	if s.Outcome != rollout.Paused {
		return
	}
	b.WriteString("\n**To answer**, run this step, in a job that waits for an approval for example; `action: rollback` goes back instead.\n\n<pre>\n")
	lines := []string{"- task: EcsDeploy@1", "  inputs:", "    # awsCredentials, roleArn and region as in this step", "    command: resume", "    cluster: " + s.Cluster, "    services: " + s.Name}
	if id := cmp.Or(s.HookID, s.Reason.Hook.ID); id != "" {
		lines = append(lines, "    hookId: "+id)
	}
	for _, line := range append(lines, "    action: continue") {
		fmt.Fprintf(b, "%s\n", pre(line))
	}
	b.WriteString("</pre>\n")
}

// SectionName is the name of the summary's section on the run's page: cluster and
// service, without secrets. The agent makes a file's name of it, so it has only
// letters, digits, blanks, and . _ - ( ), and no *** in place of a secret.
func SectionName(r deploy.Result, redact func(string) string) string {
	var name string
	switch {
	case len(r.Services) == 0 && r.Task != nil:
		name = r.Task.Service.String() + " - task"
	case len(r.Deviations) == 1:
		name = "Drift - " + r.Deviations[0].Service.String()
	case len(r.Deviations) > 1:
		name = "Drift - " + count(len(r.Deviations), "service")
	case len(r.Services) == 1 && r.Services[0].Alone(), len(r.Services) == 0 && r.Image.URI == "":
		name = "Amazon ECS"
	case len(r.Services) == 0:
		uri, _, _ := strings.Cut(r.Image.URI, "@")
		name = uri[strings.IndexByte(uri, '/')+1:]
	case len(r.Services) == 1:
		name = deploy.Service{Cluster: r.Services[0].Cluster, Name: r.Services[0].Name}.String()
	default:
		clusters := map[string]bool{}
		for _, s := range r.Services {
			clusters[s.Cluster] = true
		}
		cluster, _, _ := strings.Cut(r.Services[0].String(), "/")
		if name = count(len(r.Services), "service"); len(clusters) == 1 {
			name = cluster + "/" + name
		}
	}
	return sectionName(redact(name))
}

// sectionName is a text as the name of a section.
func sectionName(text string) string {
	const limit = 100
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-() ", r):
			return r
		}
		return -1
	}, strings.NewReplacer("/", " - ", ":", " - ").Replace(text))
	name = strings.Trim(name[:min(len(name), limit)], " .")
	return cmp.Or(name, "Amazon ECS")
}
