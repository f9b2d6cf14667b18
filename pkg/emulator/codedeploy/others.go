// Somebody else, as far as CodeDeploy's deployments go: another pipeline that deploys, a person who stops or answers a deployment, an alarm.

package codedeploy

import (
	"encoding/json"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecs"
)

// others implements [ecs.Others].
type others struct{ *CodeDeploy }

// call makes one call of CodeDeploy's API as the stranger. The state must be that of now.
func (o others) call(operation string, in awsapi.Object, now time.Time) bool {
	_, err := o.Perform(o.Services["CodeDeploy_20141006"], operation, &awsapi.Invocation{Now: now, In: in, Principal: o.Stranger()})
	return err == nil
}

// groupOf is the deployment group that deploys to a service; nil where there is none.
func (o others) groupOf(s *ecs.Service) *deploymentGroup {
	for _, a := range o.applications {
		for _, g := range a.groups {
			ref := g.doc.Objects("ecsServices")[0]
			if cl := o.ecs.FindCluster(ref.Str("clusterName")); cl == s.Cluster && ref.Str("serviceName") == s.Name {
				return g
			}
		}
	}
	return nil
}

// inFlight is the deployment of a service in progress; nil where there is none.
func (o others) inFlight(s *ecs.Service) *deployment {
	for _, d := range o.deployments {
		if d.service == s && !d.final() {
			return d
		}
	}
	return nil
}

// Deploy moves the service to a revision of their own, made from what runs; their tasks stay healthy.
func (o others) Deploy(s *ecs.Service, now time.Time) bool {
	g, serving := o.groupOf(s), s.Serving()
	if g == nil || serving == nil || o.inFlight(s) != nil {
		return false
	}
	arn := o.ecs.Derive(s, serving, now)
	balancer := s.Doc.Objects("loadBalancers")[0]
	content, err := json.Marshal(awsapi.Object{"version": 0.0, "Resources": []any{awsapi.Object{"TargetService": awsapi.Object{"Type": "AWS::ECS::Service", "Properties": awsapi.Object{
		"TaskDefinition": arn, "LoadBalancerInfo": awsapi.Object{"ContainerName": balancer["containerName"], "ContainerPort": balancer["containerPort"]},
	}}}}})
	if err != nil {
		panic(err) // it is made of JSON values only
	}
	return o.call("CreateDeployment", awsapi.Object{
		"applicationName": g.application.name, "deploymentGroupName": g.name,
		"revision": awsapi.Object{"revisionType": "AppSpecContent", "appSpecContent": awsapi.Object{"content": string(content), "sha256": Sha256Of(string(content))}},
	}, now)
}

// Stop stops the deployment in progress, which is rolled back.
func (o others) Stop(s *ecs.Service, now time.Time) bool {
	d := o.inFlight(s)
	return d != nil && o.call("StopDeployment", awsapi.Object{"deploymentId": d.id, "autoRollbackEnabled": true}, now)
}

// Answer lets a deployment that is ready shift its traffic, or has it rolled back.
func (o others) Answer(s *ecs.Service, action string, now time.Time) bool {
	d := o.inFlight(s)
	switch {
	case d == nil || d.status != "Ready":
		return false
	case action == "ROLLBACK":
		return o.Stop(s, now)
	}
	return o.call("ContinueDeployment", awsapi.Object{"deploymentId": d.id, "deploymentWaitType": "READY_WAIT"}, now)
}

// RaiseAlarm makes the named alarm go off now, where the group of the deployment in progress watches it.
func (o others) RaiseAlarm(s *ecs.Service, name string, now time.Time) bool {
	d := o.inFlight(s)
	if d == nil || d.rollsBack != nil || d.status == "Created" {
		return false
	}
	configuration := d.group.doc.Object("alarmConfiguration")
	for _, alarm := range configuration.Objects("alarms") {
		if configuration.Flag("enabled") && alarm.Str("name") == name {
			o.end(d, "Stopped", "ALARM_ACTIVE", alarmActive(name), d.autoRollback("DEPLOYMENT_STOP_ON_ALARM"), now)
			return true
		}
	}
	return false
}
