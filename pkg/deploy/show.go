package deploy

// What the log shows of a plan, and figures in words.

import (
	"fmt"
	"strings"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/rollout"
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
		d.Log.Info("image  " + candidateText(p.image))
	}
	for _, s := range p.services {
		log := d.Log.With("service", s.name.Name)
		for _, text := range []string{s.drift(), s.lineage.note} {
			if text != "" {
				log.Warn(text)
			}
		}
		if s.image != nil {
			log.Info("image  " + candidateText(*s.image))
		}
		if arn := s.registered(); arn != "" {
			if arn == s.service.TaskDefinition {
				log.Info("runs " + rollout.ShortARN(arn) + " already")
				continue
			}
			log.Info(rollout.ShortARN(s.service.TaskDefinition) + " → " + rollout.ShortARN(arn) + ", which is registered already")
		} else {
			log.Info(fmt.Sprintf("%s → a new revision, made from %s", rollout.ShortARN(s.service.TaskDefinition), baseText(s.lineage)))
		}
		for _, difference := range taskdef.Diff(s.running, s.target) {
			log.Info("  " + difference.String())
		}
		for _, conflict := range s.lineage.conflicts {
			log.Info("  both changed " + conflict.String())
		}
		for _, absent := range s.lineage.base.Absent(p.request.Change) {
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

func candidateText(c candidate) string {
	text := c.uri
	if len(c.platforms) > 0 {
		names := make([]string, len(c.platforms))
		for i, platform := range c.platforms {
			names[i] = platform.String()
		}
		text += "  (" + strings.Join(names, ", ") + ")"
	}
	return text + "  " + shortDigest(c.digests)
}

func baseText(l lineage) string {
	switch {
	case l.merged != "":
		return fmt.Sprintf("%s with what the pipeline changed in %s", l.base, l.merged)
	case l.base.ARN() == "":
		return "the file"
	default:
		return l.base.String()
	}
}

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

// pace decides which reports on a push become lines of the log.
type pace struct {
	shown image.Progress // in the latest line
	speed float64        // of the source, bytes a second, the past counted in
}

// A line is worth writing after some time only, and when enough has happened
// since the one before; a layer has its own when it took long.
const (
	oftenEnough  = 5 * time.Second
	seldomEnough = 30 * time.Second
	aStep        = 5 // percent
)

// next returns the line for a report, or "".
func (p *pace) next(now image.Progress) string {
	if now.Stage != p.shown.Stage {
		*p = pace{shown: image.Progress{Stage: now.Stage}}
	}
	if l := now.Layer; l != nil {
		if l.Reused || l.Duration < oftenEnough {
			return "" // counted, not told one by one
		}
		return fmt.Sprintf("layer %s: %s in %s", shortDigest([]string{l.Digest}), bytesText(l.Size), seconds(l.Duration))
	}
	since := now.Elapsed - p.shown.Elapsed
	if now.Total <= 0 || since < oftenEnough {
		return ""
	}
	done := min(now.Done, now.Total)
	percent := 100 * done / now.Total
	if since < seldomEnough && percent-100*min(p.shown.Done, now.Total)/now.Total < aStep {
		return ""
	}
	speed := float64(done-p.shown.Done) / since.Seconds()
	if p.speed > 0 {
		speed = (speed + p.speed) / 2
	}
	text := fmt.Sprintf("%s: %d %%, %s of %s", stageText[now.Stage], percent, bytesText(done), bytesText(now.Total))
	if now.Stage == image.StageUpload {
		text += fmt.Sprintf(", %d of %s", now.LayersDone, count(now.Layers, "blob"))
		if now.Reused > 0 {
			text += fmt.Sprintf(" (%d already in ECR)", now.Reused)
		}
		text += fmt.Sprintf(", %s/s sent", bytesText(int64(float64(now.Sent-p.shown.Sent)/since.Seconds())))
	}
	if speed > 0 && done < now.Total {
		left := time.Duration(float64(now.Total-done) / speed * float64(time.Second))
		text += fmt.Sprintf(", about %s left", max(left, time.Second).Round(time.Second))
	}
	p.shown, p.speed = now, speed
	return text
}

var stageText = map[image.Stage]string{image.StageExport: "reading from the engine", image.StageUpload: "pushing"}

// pushText is what a push did, in one line.
func pushText(r image.Result, tags []string) string {
	as := strings.Join(tags, ", ")
	if r.AlreadyThere {
		return fmt.Sprintf("already in ECR as %s, nothing to push: %s", as, r.Digest)
	}
	text := fmt.Sprintf("pushed as %s in %s: %s sent", as, seconds(r.Duration), bytesText(r.SentBytes))
	if r.Reused > 0 {
		text += fmt.Sprintf(", %s (%d of %s) in ECR already", bytesText(r.ReusedBytes), r.Reused, count(r.Layers, "blob"))
	}
	return text + ", " + r.Digest
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
