package image

// How far a push is. Uploads count bytes; one goroutine tells the caller at a
// calm rate.

import (
	"sync"
	"time"
)

// Stage is what a push is doing.
type Stage string

// The stages of a push, in order. Only an engine's image has the first.
const (
	StageExport Stage = "export" // the engine hands the image out
	StageUpload Stage = "upload"
)

// Progress is how far a push is.
type Progress struct {
	Stage Stage
	// Done and Total are bytes of the image as they lie in the source, so that
	// their quotient is the part of the work that is done. Total is 0 when
	// unknown, and an estimate while exporting.
	Done, Total int64
	// Sent is what went over the wire, ReusedBytes what did not have to.
	Sent, ReusedBytes int64
	// LayersDone and Layers count layers and configs.
	// Reused are those of LayersDone that the registry had.
	LayersDone, Layers, Reused int
	Elapsed                    time.Duration // of this stage
	// Layer is set when the report is that this layer is done.
	Layer *LayerDone
}

// LayerDone says how a layer came to be in the registry.
type LayerDone struct {
	Digest string
	// Size is the layer's size in the registry, in bytes.
	Size int64
	// Reused says that the registry had it, or took it from another repository.
	Reused   bool
	Duration time.Duration
}

// Meter gathers the counts of all parts.
type Meter struct {
	report func(Progress) // serialised by telling; may be nil

	mu      sync.Mutex
	now     Progress
	started time.Time

	telling sync.Mutex
	stop    chan struct{}
	ticking sync.WaitGroup
}

// NewMeter starts reporting to report every interval; close ends it.
func NewMeter(report func(Progress), interval time.Duration) *Meter {
	p := &Meter{report: report, started: time.Now(), stop: make(chan struct{})}
	if report == nil {
		return p
	}
	p.ticking.Go(func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.tell(nil)
			case <-p.stop:
				return
			}
		}
	})
	return p
}

func (p *Meter) Close() {
	close(p.stop)
	p.ticking.Wait()
}

// Stage begins a stage of so many bytes and parts, or begins it anew: what was
// sent before counts.
func (p *Meter) Stage(s Stage, total int64, layers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.Stage != s {
		p.now, p.started = Progress{}, time.Now()
	}
	p.now = Progress{Stage: s, Total: total, Layers: layers, Sent: p.now.Sent}
}

// Grow adds bytes and parts that were not known when the stage began.
func (p *Meter) Grow(total int64, layers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Total += total
	p.now.Layers += layers
}

// SoFar is how far the stage is.
func (p *Meter) SoFar() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now
	now.Elapsed = time.Since(p.started)
	return now
}

// tell reports; layer is what has just been done, or nil.
func (p *Meter) tell(layer *LayerDone) {
	if p.report == nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	now := p.SoFar()
	if now.Stage == "" {
		return
	}
	now.Layer = layer
	p.report(now)
}

// Add counts bytes done and sent.
func (p *Meter) Add(done, sent int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Done += done
	p.now.Sent += sent
}

// Part is one blob's or layer's share of the progress.
type Part struct {
	started time.Time

	mu   sync.Mutex
	p    *Meter // nil until it has joined one
	Done int64  // bytes of the source counted so far
	sent int64  // counted before it joined
}

func (p *Meter) Part() *Part { return &Part{p: p, started: time.Now()} }

// NewPart is a part that is begun before the stage that it belongs to: it counts for
// itself until Join.
func NewPart() *Part { return &Part{started: time.Now()} }

// Join makes it a part of p, with all that it has counted.
func (q *Part) Join(p *Meter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.p = p
	p.Add(q.Done, q.sent)
}

// Continue makes q the continuation of a part that has ended, and whose counts become its.
func (q *Part) Continue(ended *Part) {
	ended.mu.Lock()
	done := ended.Done
	ended.Done = 0
	ended.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Done, q.started = q.Done+done, ended.started
}

// add counts; q is locked.
func (q *Part) add(done, sent int64) {
	q.Done += done
	if q.p == nil {
		q.sent += sent
		return
	}
	q.p.Add(done, sent)
}

// Restart takes back what was counted: the source is read anew.
func (q *Part) Restart() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(-q.Done, 0)
}

// Read counts bytes read from the source.
func (q *Part) Read(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(int64(n), 0)
}

// Sent counts bytes given to the network.
func (q *Part) Sent(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(0, int64(n))
}

// Moved counts bytes that are sent as they are read.
func (q *Part) Moved(n int) { q.Advance(int64(n)) }

// Advance is Moved for what somebody else moves, of which one message may tell more bytes
// than an int has on 32 bits.
func (q *Part) Advance(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(n, n)
}

// Finish ends the part, which has size bytes in the source, and has joined a meter.
func (q *Part) Finish(size int64, l LayerDone) {
	q.mu.Lock()
	rest := size - q.Done
	q.Done = size
	q.mu.Unlock()
	q.p.mu.Lock()
	q.p.now.Done += rest
	q.p.now.LayersDone++
	if l.Reused {
		q.p.now.ReusedBytes += l.Size
		q.p.now.Reused++
	}
	q.p.mu.Unlock()
	l.Duration = time.Since(q.started)
	q.p.tell(&l)
}
