// The authoritative record: who changed what, and how every deployment truly ended, whatever the API's views said in the meantime. Tests check
// invariants against it; nothing of it can be read through the API.

package awsapi

import (
	"slices"
	"strings"
	"time"
)

// History is what truly happened, oldest first.
type History struct {
	Changes     []Change
	Deployments []DeploymentRecord
}

// Change is one call of an operation that changes something, also where it was refused.
type Change struct {
	Time       time.Time
	Caller     string // ARN of the principal
	Operation  string // ecs:UpdateService
	Resource   string // ARN of what it is about; "*" where there is none
	Deployment string // that it started, stopped or continued: ecs-svc/…, or CodeDeploy's d-…; "" is none
	Effect     string // "started", "scaled", "stopped", "continued", "rolled back", "deleted" …; "" is none
	Error      string // code with which it was refused
	Lost       bool   // the caller did not get the answer
}

// DeploymentRecord is one deployment of a service.
type DeploymentRecord struct {
	Cluster, Service string // names
	ID               string // ecs-svc/…, or CodeDeploy's d-…
	ARN              string // of the service deployment; "" with CodeDeploy
	TaskDefinition   string // ARN of the revision that it moves the service to
	Digests          map[string]string
	Caller           string // who started it
	StoppedBy        string // who asked for its end; "" is nobody
	SupersededBy     string // id of the deployment that took its place
	RolledBackTo     string // id of the deployment that was revived in its place
	Created, Ended   time.Time
	Turned           time.Time // when its rollback began; zero with CodeDeploy, whose rollbacks are deployments
	Status, Reason   string    // as ECS or CodeDeploy would say it with no delay
}

// Final says whether nothing more becomes of the deployment.
func (d DeploymentRecord) Final() bool { return !d.Ended.IsZero() }

// changes says whether an operation changes anything, by the services' own naming.
func changes(operation string) bool {
	for _, reading := range []string{"Describe", "List", "Get", "BatchGet", "BatchCheck", "Filter", "AssumeRole"} {
		if strings.HasPrefix(operation, reading) {
			return false
		}
	}
	return true
}

// maxChanges bounds the memory of an emulator that runs for days.
const maxChanges = 20_000

// NoteChange adds to the record. It must be called with e.mu held.
func (e *Server) NoteChange(c Change) {
	if len(e.changes) >= maxChanges {
		e.changes = slices.Delete(e.changes, 0, maxChanges/2)
	}
	e.changes = append(e.changes, c)
}
