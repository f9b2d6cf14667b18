package report

// A push in lines, at a calm rate: the log cannot redraw one.

import (
	"fmt"
	"strings"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/push"
)

// push shows how far a push is, where that is worth a line.
func (l *Log) push(now image.Progress) {
	l.mu.Lock()
	text := l.pace.next(now)
	l.mu.Unlock()
	if text != "" {
		l.info("", "%s", text)
	}
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
		return fmt.Sprintf("layer %s: %s in %s", shortDigest([]string{l.Digest}), size(l.Size), seconds(l.Duration))
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
	text := fmt.Sprintf("%s: %d %%, %s of %s", stageWords[now.Stage], percent, size(done), size(now.Total))
	if now.Stage == image.StageUpload {
		text += fmt.Sprintf(", %d of %s", now.LayersDone, count(now.Layers, "blob"))
		if now.Reused > 0 {
			text += fmt.Sprintf(" (%d already in ECR)", now.Reused)
		}
		text += fmt.Sprintf(", %s/s sent", size(int64(float64(now.Sent-p.shown.Sent)/since.Seconds())))
	}
	if speed > 0 && done < now.Total {
		left := time.Duration(float64(now.Total-done) / speed * float64(time.Second))
		text += fmt.Sprintf(", about %s left", Duration(max(left, time.Second)))
	}
	p.shown, p.speed = now, speed
	return text
}

var stageWords = map[image.Stage]string{image.StageExport: "reading from the engine", image.StageUpload: "pushing"}

// pushText is what a push did, in one line.
func pushText(r push.Result, tags []string) string {
	as := strings.Join(tags, ", ")
	if r.AlreadyThere {
		return fmt.Sprintf("already in ECR as %s, nothing to push: %s", as, r.Digest)
	}
	text := fmt.Sprintf("pushed as %s in %s: %s sent", as, seconds(r.Duration), size(r.SentBytes))
	if r.Reused > 0 {
		text += fmt.Sprintf(", %s (%d of %s) in ECR already", size(r.ReusedBytes), r.Reused, count(r.Layers, "blob"))
	}
	if z := r.Lazy; z != nil {
		text += fmt.Sprintf(", SOCI index of %d of %s (%s of %s)", z.Layers, count(z.Of, "layer"), size(z.Bytes), size(z.OfBytes))
	}
	return text + ", " + r.Digest
}
