// Package ecs is the API of Amazon ECS as the rollout needs it: services and
// their deployments, service revisions, task definitions without loss, tasks,
// and errors that have a class.
//
// Every member of a reply that a caller depends on is checked where the reply
// enters; one that is missing is an error that names the call. Readings of the
// same kind that are asked for at the same time share a call.
//
// The package does not wait for anything, judge how a deployment went, follow
// one, edit task definitions (package taskdef does) or print. It knows neither
// the inputs of the task nor where credentials come from.
package ecs

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/taskdef"
)

// Client talks to Amazon ECS in one region. It is safe for concurrent use.
type Client struct {
	api *ecs.Client
	cfg aws.Config

	skew atomic.Int64 // nanoseconds by which the clock of AWS is ahead, as far as [Client.Signed] has found out

	deployments *coalescer[string, ServiceDeployment]
	revisions   *coalescer[string, ServiceRevision]

	mu          sync.Mutex
	services    map[string]*coalescer[string, Service] // by cluster
	tasks       map[string]*coalescer[string, Task]    // by cluster
	running     map[string]*coalescer[string, tasks]   // by cluster; by the id of the deployment
	separate    map[string]bool                        // clusters whose services can only be asked for one by one
	known       map[string]ServiceRevision             // by ARN: complete ones never change
	definitions map[string]taskdef.Definition          // by ARN
}

// The most names that one call takes.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
const (
	servicesPerCall    = 10
	deploymentsPerCall = 20
	revisionsPerCall   = 20
	tasksPerCall       = 100
)

// window is how long a reading waits for others of its kind, to share a call
// with them.
const window = 20 * time.Millisecond

// New returns a client for the region and identity of cfg.
func New(cfg aws.Config) *Client {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clip(cfg.APIOptions), Survive)
	c := &Client{
		api:         ecs.NewFromConfig(cfg),
		cfg:         cfg,
		services:    map[string]*coalescer[string, Service]{},
		tasks:       map[string]*coalescer[string, Task]{},
		running:     map[string]*coalescer[string, tasks]{},
		separate:    map[string]bool{},
		known:       map[string]ServiceRevision{},
		definitions: map[string]taskdef.Definition{},
	}
	c.deployments = newCoalescer(window, deploymentsPerCall, c.describeDeployments)
	c.revisions = newCoalescer(window, revisionsPerCall, c.describeRevisions)
	return c
}

// Region is the region whose ECS is asked.
func (c *Client) Region() string { return c.cfg.Region }

// Config is the configuration of the client, for clients of other services in
// the same region and with the same identity. A reply at which the SDK panics is
// an error for them too.
func (c *Client) Config() aws.Config { return c.cfg }

// serviceReadings returns the coalescer for the services of a cluster.
func (c *Client) serviceReadings(cluster string) *coalescer[string, Service] {
	c.mu.Lock()
	defer c.mu.Unlock()
	readings := c.services[cluster]
	if readings == nil {
		readings = newCoalescer(window, servicesPerCall, func(ctx context.Context, names []string) map[string]result[Service] {
			return c.describeServices(ctx, cluster, names)
		})
		c.services[cluster] = readings
	}
	return readings
}

// taskReadings returns the coalescer for the tasks of a cluster.
func (c *Client) taskReadings(cluster string) *coalescer[string, Task] {
	c.mu.Lock()
	defer c.mu.Unlock()
	readings := c.tasks[cluster]
	if readings == nil {
		readings = newCoalescer(window, tasksPerCall, func(ctx context.Context, arns []string) map[string]result[Task] {
			return c.describeMany(ctx, cluster, arns)
		})
		c.tasks[cluster] = readings
	}
	return readings
}

// runningTasks returns the coalescer for the running tasks of a cluster's deployments.
func (c *Client) runningTasks(cluster string) *coalescer[string, tasks] {
	c.mu.Lock()
	defer c.mu.Unlock()
	readings := c.running[cluster]
	if readings == nil {
		readings = newCoalescer(window, tasksPerCall, func(ctx context.Context, deployments []string) map[string]result[tasks] {
			return c.readRunning(ctx, cluster, deployments)
		})
		c.running[cluster] = readings
	}
	return readings
}
