// The types and functions of the rooms that a test needs, under this package's name.

package emulator

import (
	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecr"
	"ecsdeploy/pkg/emulator/ecs"
	"ecsdeploy/pkg/emulator/scenario"
	"ecsdeploy/pkg/emulator/sts"
)

// How rollouts go.
type (
	Scenario     = scenario.Scenario
	Answer       = scenario.Answer
	Breaker      = scenario.Breaker
	EarlySuccess = scenario.EarlySuccess
	Strategy     = scenario.Strategy
	Pause        = scenario.Pause
	Alarm        = scenario.Alarm
	Lambda       = scenario.Lambda
	Fate         = scenario.Fate
	Unplaced     = scenario.Unplaced
	Target       = scenario.Target
)

// How the services behave and who else acts on them.
type (
	Behaviour = ecs.Behaviour
	Express   = ecs.Express
	Outsider  = ecs.Outsider
)

// What scans of images find.
type Scan = ecr.Scan

// Signing is how ECR's signing jobs go.
type Signing = ecr.Signing

// Whom the emulated IAM trusts.
type OIDCProvider = sts.OIDCProvider

// What becomes of calls, and what is known of them.
type (
	Call             = awsapi.Call
	Change           = awsapi.Change
	DeploymentRecord = awsapi.DeploymentRecord
	Fault            = awsapi.Fault
	History          = awsapi.History
	Request          = awsapi.Request
)

// Scenarios returns all scenarios, the default one first.
func Scenarios() []Scenario { return scenario.Scenarios() }

// ParseScenario returns the scenario of that name; "" is the default one. The error lists the names there are.
func ParseScenario(name string) (Scenario, error) { return scenario.ParseScenario(name) }

// Realistic is the behaviour of ECS as logs and issues show it, with a seed that draws the amounts and which of the open questions is answered
// how.
func Realistic(seed uint64) Behaviour { return ecs.Realistic(seed) }

// Throttled makes the next calls answer ThrottlingException.
func Throttled(times int) Fault { return awsapi.Throttled(times) }

// Denied makes every call answer AccessDeniedException, naming principal, action and resource as IAM does.
func Denied() Fault { return awsapi.Denied() }

// DeniedBy makes every call answer AccessDeniedException with the policy that denies: DeniedBy("a service control policy", "arn:aws:organizations::…").
func DeniedBy(kind, policy string) Fault { return awsapi.DeniedBy(kind, policy) }

// Broken makes the next calls answer 500.
func Broken(times int) Fault { return awsapi.Broken(times) }

// Reset cuts the connection of the next calls.
func Reset(times int) Fault { return awsapi.Reset(times) }

// Concurrent makes the next calls of RegisterTaskDefinition answer as ECS does when two callers register a family at once.
func Concurrent(times int) Fault { return awsapi.Concurrent(times) }
