package ecs

// What ECS says of services and their deployments, in values that hold no more
// than the rollout, its diagnosis and the plan need. A member that ECS left out
// of a reply is the zero value here, and means "not known", never a fact.

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Service is a service as one reading of DescribeServices showed it.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html
type Service struct {
	Cluster     string // as the caller named it: name or ARN
	Name        string
	ARN         string
	Status      string // ACTIVE, DRAINING or INACTIVE; see Deleted
	Controller  string // ECS, CODE_DEPLOY or EXTERNAL
	Express     bool   // ECS manages the resources of the service (resourceManagementType ECS)
	Daemon      bool   // one task an instance: ECS sets the desired count
	Fargate     bool   // tasks run on Fargate, by launch type or capacity provider
	Desired     int
	Running     int
	Pending     int
	Deployments []Deployment
	Events      []Message // newest first, 100 at most
	// TaskDefinition is the ARN of the revision that the service is set to. Where
	// the service names none (Express services), it is that of the PRIMARY
	// deployment; it may still be empty.
	TaskDefinition string
	TargetGroups   []string // ARNs, a blue/green deployment's alternate ones included
	// Current is the ARN of the service deployment in progress
	// (currentServiceDeployment); empty where there is none or ECS does not say.
	Current  string
	Strategy Strategy
	// Described is the whole answer, for checks of members that have no field here.
	Described types.Service
}

// Deleted reports whether the service is being deleted, or was. Any other status may
// be one that ECS has learnt since: what such a service takes is for ECS to say.
func (s Service) Deleted() bool { return s.Status == "DRAINING" || s.Status == "INACTIVE" }

// Deployment is one entry of a service's list of deployments. Several exist only
// while one replaces another. Where CodeDeploy deploys a service there are none,
// and its task sets stand in for them.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskSet.html
type Deployment struct {
	ID             string // ecs-svc/…; tasks carry it as startedBy
	Status         string // PRIMARY, ACTIVE or INACTIVE
	TaskDefinition string
	CreatedAt      time.Time
	Desired        int
	Running        int
	Pending        int
	Failed         int
	RolloutState   string // IN_PROGRESS, COMPLETED, FAILED; empty where ECS gives none
	Reason         string
	CodeDeploy     string // id of the CodeDeploy deployment that made the task set: d-…
}

// Message is one line of a service's own event log.
type Message struct {
	ID   string
	Time time.Time
	Text string
}

// Strategy is how a service's deployments proceed, as far as it decides how long
// one takes and when it is over.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
type Strategy struct {
	Name         string        // ROLLING, BLUE_GREEN, LINEAR, CANARY; empty where ECS does not say
	Bake         time.Duration // after all traffic was shifted
	Steps        int           // steps in which traffic is shifted; 0 where it is not
	StepBake     time.Duration // after each step but the last
	EarlySuccess bool          // SUCCESSFUL before all desired tasks run
	Pauses       []Pause       // PAUSE lifecycle hooks that are configured
}

// Wait is how long a deployment takes at least because of its configuration.
func (s Strategy) Wait() time.Duration {
	return s.Bake + time.Duration(max(s.Steps-1, 0))*s.StepBake
}

// Pause is a configured PAUSE lifecycle hook.
type Pause struct {
	Stages []string
	Limit  time.Duration // after which ECS takes the timeout action; 0 where ECS does not say
	Action string        // CONTINUE or ROLLBACK when nobody answered in time
}

// Primary returns the deployment that the service is being moved to, or the one
// that it has reached; the zero Deployment where the list has none.
func (s Service) Primary() Deployment {
	for _, d := range s.Deployments {
		if d.Status == "PRIMARY" {
			return d
		}
	}
	return Deployment{}
}

// Deployment returns the entry with the given id: ECS's, or CodeDeploy's.
func (s Service) Deployment(id string) (Deployment, bool) {
	i := slices.IndexFunc(s.Deployments, func(d Deployment) bool { return id != "" && (d.ID == id || d.CodeDeploy == id) })
	if i < 0 {
		return Deployment{}, false
	}
	return s.Deployments[i], true
}

// ServiceDeployment is the record that ECS keeps of one deployment, also after it
// ended, for 90 days.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html
type ServiceDeployment struct {
	ARN            string
	Status         string
	StatusReason   string
	RollbackReason string
	RollbackTo     string // ARN of the service revision to which it is rolled back
	CreatedAt      time.Time
	FinishedAt     time.Time // zero while it is in progress
	Target         TargetRevision
	Sources        []string // ARNs of the service revisions that it replaces
	Stage          string   // lifecycle stage, such as BAKE_TIME; empty for rolling deployments
	Strategy       Strategy
	Alarms         []string // that went off
	Breaker        Breaker
	Hooks          []Hook
}

// TargetRevision is the service revision that a deployment brings.
type TargetRevision struct {
	ARN         string
	Requested   int
	Running     int
	Pending     int
	Traffic     *float64 // percent of production traffic; nil where there is none to shift
	TestTraffic *float64 // percent of test traffic
}

// Breaker is the deployment circuit breaker. Threshold is 0 where ECS says nothing.
type Breaker struct {
	Failures  int
	Threshold int
	Status    string
}

// Hook is a lifecycle hook of a deployment.
type Hook struct {
	ID      string
	Pause   bool // it waits for ContinueServiceDeployment
	Waiting bool // it waits now (AWAITING_ACTION)
	Status  string
	Expires time.Time
	Timeout string // CONTINUE or ROLLBACK: what ECS does when it expires
}

// Final reports whether the deployment has ended, its rollback included. A
// status that is not known here counts as not ended.
func (d ServiceDeployment) Final() bool { return FinalStatus(d.Status) }

// RollingBack reports whether the deployment is being rolled back or stopped.
func (d ServiceDeployment) RollingBack() bool {
	switch d.Status {
	case "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "STOP_REQUESTED":
		return true
	}
	return false
}

// Waiting returns the first PAUSE hook that waits for an answer; the zero Hook where
// none does or the deployment has ended.
func (d ServiceDeployment) Waiting() Hook { return d.WaitingAt("") }

// WaitingAt is Waiting for the hook with an id: several may wait at one stage. An empty
// id is any.
func (d ServiceDeployment) WaitingAt(id string) Hook {
	if !d.Final() {
		for _, h := range d.Hooks {
			if h.Pause && h.Waiting && (id == "" || h.ID == id) {
				return h
			}
		}
	}
	return Hook{}
}

// FinalStatus reports whether a status of a service deployment is one in which
// it has ended.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeploymentBrief.html
func FinalStatus(status string) bool {
	switch status {
	case "SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED":
		return true
	}
	return false
}

// Brief is one line of a service's history of deployments.
type Brief struct {
	ARN          string
	Status       string
	StatusReason string
	CreatedAt    time.Time
	Target       string // ARN of the service revision that it brings
}

// ServiceRevision is the configuration with which a deployment runs a service.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceRevision.html
type ServiceRevision struct {
	ARN            string
	TaskDefinition string
	Images         []ResolvedImage
	Express        bool     // ECS manages resources for it
	Endpoints      []string // public addresses of an Express service
	Architecture   string   // runtimePlatform that ECS put in place of the task definition's; empty where it did not
}

// ResolvedImage is what ECS resolved a container's image to when it made the
// service revision. Digest is empty where ECS did not resolve it.
type ResolvedImage struct{ Container, Image, Digest string }

// DeploymentID is the id in a service's list of deployments that belongs to a
// service revision: ecs-svc/N to service-revision/<cluster>/<service>/N. It is
// empty where the ARN is.
//
// https://github.com/hashicorp/terraform-provider-aws, findPrimaryDeploymentARN, relies on it.
func DeploymentID(serviceRevision string) string {
	if serviceRevision == "" {
		return ""
	}
	return "ecs-svc/" + ShortARN(serviceRevision)
}

// isRevision reports whether text names a revision of a task definition, by its ARN or
// as family:revision.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html
func isRevision(text string) bool {
	parts := revisionForm.FindStringSubmatch(text)
	if parts == nil || len(parts[1]) > 255 {
		return false
	}
	n, err := strconv.ParseInt(parts[2], 10, 32)
	return err == nil && n > 0
}

// revisionForm has the family, of 255 characters at most, and the number.
var revisionForm = regexp.MustCompile(`^(?:arn:[a-z0-9-]+:ecs:[a-z0-9-]+:[0-9]+:task-definition/)?([A-Za-z0-9_-]+):([0-9]+)$`)

// ShortARN returns what stands behind the last slash of an ARN:
// family:revision, a name, or an id.
func ShortARN(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
