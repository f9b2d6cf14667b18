package report

// How long the phases of a run took, and why the longest one did where that is
// known: from the events that a view is shown.

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
)

// Timeline collects the phases of a run. It is safe for concurrent use.
type Timeline struct {
	mu       sync.Mutex
	phases   []phase
	services []*serviceTime
}

// phase is a part of a run, or of a rollout.
type phase struct {
	name       string
	kind       string // why it takes time, one of the keys of slowness; may be empty
	begin, end time.Time
}

func (p phase) took() time.Duration { return p.end.Sub(p.begin) }

// serviceTime are the phases of one service. The last one is open while ends is
// not set.
type serviceTime struct {
	name   string
	phases []phase
	ended  bool
	all    bool      // all tasks ran
	drains time.Time // when ECS last began to take targets from the load balancer
}

// Begin marks the beginning of a section of a run, and returns its end.
func (t *Timeline) Begin(s deploy.Section) (end func()) {
	name := map[deploy.SectionKind]string{deploy.PlanSection: "plan", deploy.PushSection: "push", deploy.RevisionSection: "register the revision"}[s.Kind]
	if name == "" {
		return func() {}
	}
	begin := time.Now()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.phases = append(t.phases, phase{name: name, begin: begin, end: time.Now()})
	}
}

// Show takes what an event says of the time.
func (t *Timeline) Show(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch e := event.(type) {
	case deploy.BusyWith:
		if e.Do == deploy.Wait {
			t.of(e.Service).next(now, "wait for another deployment", "")
		}
	case deploy.Started:
		if e.Now.New {
			t.of(e.Service).next(now, "start the first task", "first")
		}
	case deploy.Happened:
		t.happened(t.of(e.Service), e.Event)
	case deploy.RollingBack:
		t.of(e.Service).next(now, "roll back", "")
	case deploy.RollbackEnded:
		t.of(e.Service).close(now)
	case deploy.Verified:
		t.of(e.Service).close(now)
	case deploy.Failing:
		t.of(e.Service).close(now)
	}
}

func (t *Timeline) happened(s *serviceTime, e rollout.Event) {
	if len(s.phases) == 0 || s.ended {
		return
	}
	last := &s.phases[len(s.phases)-1]
	switch what := e.What.(type) {
	case rollout.Said:
		if strings.Contains(what.Text, "begun draining connections") {
			s.drains = e.Time
		}
	case rollout.Stage:
		s.all = true // the stages tell the rest
		s.next(e.Time, plain(what.Name), what.Name)
	case rollout.Counts:
		switch {
		case s.all || last.kind == "":
		case what.Desired > 0 && what.Running >= what.Desired:
			s.all = true
			if last.kind == "first" {
				last.name, last.kind = "start the tasks", "tasks"
			}
			s.next(e.Time, "until the deployment is complete", "complete")
		case what.Running > 0 && last.kind == "first":
			s.next(e.Time, "start the other tasks", "tasks")
		}
	}
}

func (t *Timeline) of(service deploy.Service) *serviceTime {
	name := service.String()
	for _, s := range t.services {
		if s.name == name {
			return s
		}
	}
	s := &serviceTime{name: name}
	t.services = append(t.services, s)
	return s
}

// next closes the open phase and opens another one. Events may be told late, and
// times do not run backwards.
func (s *serviceTime) next(at time.Time, name, kind string) {
	if n := len(s.phases); n > 0 {
		if s.phases[n-1].name == name && !s.ended {
			return
		}
		if at.Before(s.phases[n-1].begin) {
			at = s.phases[n-1].begin
		}
	}
	s.close(at)
	s.ended = false
	s.phases = append(s.phases, phase{name: name, kind: kind, begin: at})
}

func (s *serviceTime) close(at time.Time) {
	if n := len(s.phases); n > 0 && !s.ended {
		s.phases[n-1].end = at
	}
	s.ended = true
}

// slowness is why a phase of a rollout takes long, as far as its kind tells.
var slowness = map[string]string{
	"first":                         "the image is pulled, and the container starts",
	"tasks":                         "ECS starts as many tasks at once as minimumHealthyPercent and maximumPercent allow, and waits for their health checks",
	"complete":                      "ECS waits for health checks, and for the previous tasks to stop: a target group's deregistration delay (300 s by default) and the container's stopTimeout",
	"BAKE_TIME":                     "both revisions run, as long as the service's configuration says",
	"PRODUCTION_TRAFFIC_SHIFT":      "traffic is shifted in the steps of the service's configuration",
	"CLEAN_UP":                      "the previous tasks stop: a target group's deregistration delay and the container's stopTimeout",
	"SCALE_UP":                      "the image is pulled, the containers start, and their health checks pass",
	"POST_TEST_TRAFFIC_SHIFT":       "lifecycle hooks run",
	"POST_PRODUCTION_TRAFFIC_SHIFT": "lifecycle hooks run",
}

// settingsText says which settings of the target group a phase took its time for; ""
// where they are not known or have nothing to do with it.
func (s *serviceTime) settingsText(p phase, b rollout.Balancing) string {
	group, check := targetGroupName(b.Group), ""
	if b.Interval > 0 && b.Healthy > 0 {
		check = fmt.Sprintf("the health check of target group %s needs %d × %.0f s", group, b.Healthy, b.Interval.Seconds())
	}
	switch p.kind {
	case "complete", "CLEAN_UP":
		if b.Delay == 0 {
			return check
		}
		text := fmt.Sprintf("the deregistration delay of target group %s is %.0f s", group, b.Delay.Seconds())
		if !s.drains.Before(p.begin) && s.drains.Before(p.end) {
			text = fmt.Sprintf("%s of it were deregistration delay, which target group %s sets to %.0f s", Duration(min(p.end.Sub(s.drains), b.Delay)), group, b.Delay.Seconds())
		}
		return strings.TrimSuffix(text+"; "+check, "; ")
	case "first", "tasks", "SCALE_UP":
		return check
	}
	return ""
}

// balancingOf are the settings of the target group of a service.
func balancingOf(services []deploy.ServiceResult, name string) rollout.Balancing {
	for _, s := range services {
		if s.String() == name {
			return s.Balancing
		}
	}
	return rollout.Balancing{}
}

// barLength is that of the longest bar, in characters.
const barLength = 20

// Markdown is the timeline as a table; "" where there is too little to tell. What is
// known of the services explains where the time went.
func (t *Timeline) Markdown(services ...deploy.ServiceResult) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	rows := slices.Clone(t.phases)
	var why []string
	for _, s := range t.services {
		if !s.ended {
			s.close(now)
		}
		prefix := ""
		if len(t.services) > 1 {
			prefix = s.name + ": "
		}
		for _, p := range s.phases {
			p.name = prefix + p.name
			rows = append(rows, p)
		}
		if reason := s.slowness(balancingOf(services, s.name)); reason != "" {
			why = append(why, prefix+reason)
		}
	}
	rows = slices.DeleteFunc(rows, func(p phase) bool { return p.took() < time.Second/2 })
	if len(rows) < 2 {
		return ""
	}
	return phaseTable(rows, why)
}

// slowness says why the longest phase of a slow rollout took as long as it did; ""
// where the rollout was not slow, or none of its phases stands out.
func (s *serviceTime) slowness(b rollout.Balancing) string {
	var total time.Duration
	var longest phase
	for _, p := range s.phases {
		if total += p.took(); p.took() > longest.took() {
			longest = p
		}
	}
	reason := slowness[longest.kind]
	if total < deploy.Slow || longest.took()*2 < total || reason == "" {
		return ""
	}
	text := fmt.Sprintf("%s of %s: %s. In that time %s.", Duration(longest.took()), Duration(total), longest.name, reason)
	if settings := s.settingsText(longest, b); settings != "" {
		text += " " + strings.ToUpper(settings[:1]) + settings[1:] + "."
	}
	return text
}

// phaseTable is the table of a timeline, with what explains it below.
func phaseTable(rows []phase, why []string) string {
	var longest time.Duration
	for _, p := range rows {
		longest = max(longest, p.took())
	}
	var b strings.Builder
	b.WriteString("#### Timeline\n\n| phase | time | |\n|---|---|---|\n")
	for _, p := range rows {
		bar := strings.Repeat("█", int((p.took()*barLength+longest/2)/longest))
		fmt.Fprintf(&b, "| %s | %s | %s |\n", text(p.name), Duration(p.took()), bar)
	}
	b.WriteString("\n")
	for _, line := range why {
		fmt.Fprintf(&b, "%s\n\n", text(line))
	}
	return b.String()
}
