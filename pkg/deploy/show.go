package deploy

// What the log shows of a plan, and figures in words.

import (
	"fmt"
	"strings"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/taskdef"
)

// show prints the plan: what will happen, before it does.
func (d *Deployer) show(p *plan) {
	title := "Plan"
	if p.request.DryRun {
		title = "Plan (dry run: nothing is changed)"
	}
	end := d.Console.Group(title)
	defer end()
	if p.source != nil {
		d.Log.Info("image  " + describe(p.source.Describe()))
		d.Log.Info("push   " + pushPlan(p))
	} else if p.image.uri != "" {
		d.Log.Info("image  " + p.image.uri + platformText(p) + "  " + shortDigest(p.image.digests))
	}
	for _, s := range p.services {
		log := d.Log.With("service", s.name.Name)
		if arn := s.registered(); arn != "" {
			if arn == s.service.TaskDefinition {
				log.Info("runs " + shortARN(arn) + " already")
				continue
			}
			log.Info(shortARN(s.service.TaskDefinition) + " → " + shortARN(arn) + ", which is registered already")
		} else {
			log.Info(fmt.Sprintf("%s → a new revision, made from %s", shortARN(s.service.TaskDefinition), baseText(s.base)))
		}
		for _, difference := range taskdef.Diff(s.running, s.target) {
			log.Info("  " + difference.String())
		}
		for _, absent := range s.base.Absent(p.request.Change) {
			log.Info(fmt.Sprintf("  removeEnvironment: %s is not there", absent.Name))
		}
	}
}

func describe(i image.Description) string {
	parts := []string{string(i.Kind)}
	for _, p := range i.Platforms {
		parts = append(parts, p.String())
	}
	if i.Layers > 0 {
		parts = append(parts, count(i.Layers, "layer"))
	}
	if i.Size > 0 {
		parts = append(parts, bytesText(i.Size))
	}
	return i.Ref + "  (" + strings.Join(parts, ", ") + ")"
}

func pushPlan(p *plan) string {
	tags := strings.Join(p.request.Tags, ", ")
	switch {
	case p.repository == nil:
		return fmt.Sprintf("%s, a repository that will be created, as %s", p.request.Repository, tags)
	case p.state != nil && p.state.AlreadyThere():
		return fmt.Sprintf("%s has it already as %s", p.repository.URI, tags)
	default:
		return fmt.Sprintf("%s as %s", p.repository.URI, tags)
	}
}

func platformText(p *plan) string {
	if len(p.image.platforms) == 0 {
		return ""
	}
	names := make([]string, len(p.image.platforms))
	for i, platform := range p.image.platforms {
		names[i] = platform.String()
	}
	return "  (" + strings.Join(names, ", ") + ")"
}

func baseText(d taskdef.Definition) string {
	if d.ARN() == "" {
		return "the file"
	}
	return shortARN(d.ARN())
}

// shortARN returns what stands behind the last slash: family:revision.
func shortARN(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// shortDigest shows as much of the first digest as people compare by eye.
func shortDigest(digests []string) string {
	if len(digests) == 0 {
		return "an unknown digest"
	}
	const enough = len("sha256:") + 12
	if d := digests[0]; len(d) > enough {
		return d[:enough]
	}
	return digests[0]
}

// bytesText writes a size with three digits at most, in decimal units as
// registries and networks count.
func bytesText(n int64) string {
	size, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if size < 999.5 {
			break
		}
		size, unit = size/1000, next
	}
	if unit == "B" || size >= 99.95 {
		return fmt.Sprintf("%.0f %s", size, unit)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

// count says "1 layer", "2 layers".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
