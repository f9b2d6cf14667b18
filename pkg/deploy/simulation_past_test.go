package deploy_test

// Late views: for some seconds after a change, whoever makes it, a reading that was made
// before is answered as it would have been right before the change. ECS is eventually
// consistent: a call may not show the effects of one before it.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// past is what the readings of the run were answered right before the last change.
type past struct {
	late time.Duration // for which that is answered; 0 where views are not late

	mu      sync.Mutex
	at      time.Time            // of the last change
	changes map[string]bool      // that are not shown yet, by what they ask
	asked   map[string]*seenCall // the readings so far, likewise
	answers map[string]*answer   // to them
}

// answer is one to a reading, and when it was true.
type answer struct {
	at     time.Time
	header http.Header
	body   []byte
}

func (a *answer) response() *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body))}
}

var (
	lateReadings = []string{"DescribeServices", "DescribeServiceDeployments", "ListServiceDeployments", "GetDeployment", "BatchGetDeploymentGroups"}
	lateChanges  = []string{"UpdateService", "StopServiceDeployment", "ContinueServiceDeployment", "CreateDeployment", "StopDeployment", "ContinueDeployment"}
)

// of returns the answer from before the last change to a reading, or nil.
func (p *past) of(c *seenCall) *answer {
	if p.late == 0 || !slices.Contains(lateReadings, c.operation) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[string]*seenCall{}
	}
	p.asked[c.order()] = c
	if time.Since(p.at) > p.late {
		return nil
	}
	return p.answers[c.order()]
}

// keep takes down what the readings so far are answered before a change. One that is made
// again while it is not shown yet changes nothing.
func (p *past) keep(aws http.RoundTripper, change string) {
	if p.late == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) > p.late {
		p.answers, p.changes = map[string]*answer{}, map[string]bool{}
	}
	if p.changes[change] {
		return
	}
	p.changes[change], p.at = true, time.Now()
	for key, asked := range p.asked {
		if p.answers[key] != nil {
			continue
		}
		r := asked.request.Clone(context.WithoutCancel(asked.request.Context()))
		r.Body = io.NopCloser(bytes.NewReader(asked.body))
		response, err := aws.RoundTrip(r)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode == http.StatusOK {
			p.answers[key] = &answer{time.Now(), response.Header, body}
		}
	}
}

// truth is the time at which the answer to a call was true.
func (c *seenCall) truth() time.Time {
	if c.past != nil {
		return c.past.at
	}
	return time.Now()
}
