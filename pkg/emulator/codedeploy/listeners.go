// The listeners that deployment groups shift traffic at.

package codedeploy

import "ecsdeploy/pkg/emulator/ecs"

// Listeners are those of all deployment groups, with the service that each deploys.
func (e *CodeDeploy) Listeners() []ecs.Listener {
	var out []ecs.Listener
	for _, a := range e.applications {
		for _, g := range a.groups {
			s := e.serviceOf(g)
			if s == nil {
				continue
			}
			for _, pair := range g.doc.Object("loadBalancerInfo").Objects("targetGroupPairInfoList") {
				for _, arn := range pair.Object("prodTrafficRoute").Strings("listenerArns") {
					out = append(out, ecs.Listener{ARN: arn, Service: s})
				}
				for _, arn := range pair.Object("testTrafficRoute").Strings("listenerArns") {
					out = append(out, ecs.Listener{ARN: arn, Service: s, Test: true})
				}
			}
		}
	}
	return out
}

// serviceOf is the service that a group deploys; nil where it is not there.
func (e *CodeDeploy) serviceOf(g *deploymentGroup) *ecs.Service {
	for _, named := range g.doc.Objects("ecsServices") {
		for _, cl := range e.ecs.Clusters {
			for _, s := range cl.Services {
				if cl.Name == named.Str("clusterName") && s.Name == named.Str("serviceName") && s.Status == "ACTIVE" {
					return s
				}
			}
		}
	}
	return nil
}
