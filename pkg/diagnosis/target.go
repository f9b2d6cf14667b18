package diagnosis

// The targets of the service's load balancers.

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// target is one registered target of a target group.
type target struct {
	group string // name
	arn   string // of the group
	elbtypes.TargetHealthDescription
}

// readTargets reads the health of everything that is registered with target
// groups, side by side, and says what could not be read.
func readTargets(ctx context.Context, cfg aws.Config, groups []string) (targets []target, unread []Note) {
	groups = groups[:min(len(groups), maxGroups)]
	if len(groups) == 0 {
		return nil, nil
	}
	elb := elasticloadbalancingv2.NewFromConfig(cfg)
	read := make([][]target, len(groups))
	notes := make([][]Note, len(groups))
	var wait sync.WaitGroup
	for i, arn := range groups {
		wait.Go(func() {
			failed := guard(func() { read[i], notes[i] = readGroup(ctx, elb, arn) })
			notes[i] = append(notes[i], failed...)
		})
	}
	wait.Wait()
	return slices.Concat(read...), slices.Concat(notes...)
}

func readGroup(ctx context.Context, elb *elasticloadbalancingv2.Client, arn string) ([]target, []Note) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	name := targetGroupName(arn)
	out, err := elb.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn)})
	if err != nil {
		return nil, []Note{Note{What: TargetHealth, Name: name}.because(err, "elasticloadbalancing:DescribeTargetHealth")}
	}
	var targets []target
	for _, t := range out.TargetHealthDescriptions {
		if t.Target != nil && t.TargetHealth != nil {
			targets = append(targets, target{name, arn, t})
		}
	}
	return targets, nil
}

// unhealthyTargets groups the targets of the subject's tasks that are not
// healthy; of a target group that shows none any more, those that ECS's events
// speak of. What the load balancer has not finished checking counts only where
// there is no other reason.
func (x *examination) unhealthyTargets() []UnhealthyTargets {
	var groups []UnhealthyTargets
	shown := map[string]bool{}
	for _, t := range x.targets {
		if !x.registered(aws.ToString(t.Target.Id)) {
			continue
		}
		switch t.TargetHealth.State {
		case elbtypes.TargetHealthStateEnumHealthy, elbtypes.TargetHealthStateEnumDraining, elbtypes.TargetHealthStateEnumUnhealthyDraining:
			continue
		case elbtypes.TargetHealthStateEnumInitial:
			if !x.idle {
				continue
			}
		}
		shown[t.group] = true
		groups = addTarget(groups, UnhealthyTargets{
			Group:  t.group,
			ARN:    t.arn,
			Port:   int(aws.ToInt32(t.Target.Port)),
			State:  string(t.TargetHealth.State),
			Reason: normalise(strings.Trim(string(t.TargetHealth.Reason)+": "+aws.ToString(t.TargetHealth.Description), ": ")),
		})
	}
	for _, g := range unhealthyEvents(x.subject.Events, x.subject.Since, x.belongs) {
		if !shown[g.Group] {
			groups = append(groups, g)
		}
	}
	slices.SortStableFunc(groups, func(a, b UnhealthyTargets) int { return cmp.Compare(b.Count, a.Count) })
	return groups
}

// registered says whether a target can be one of the subject's. Addresses are
// compared with those of its running tasks; an instance carries anybody's tasks.
func (x *examination) registered(id string) bool {
	target, err := netip.ParseAddr(id)
	if err != nil || !x.complete {
		return true
	}
	addressed := false
	for _, t := range x.running {
		own := addresses(t)
		if slices.Contains(own, target) {
			return true
		}
		addressed = addressed || len(own) > 0
	}
	return len(x.running) > 0 && !addressed
}

// addresses lists the addresses of a task's own network interfaces; none where it
// uses those of its instance.
func addresses(t types.Task) []netip.Addr {
	var all []netip.Addr
	add := func(text *string) {
		if a, err := netip.ParseAddr(aws.ToString(text)); err == nil {
			all = append(all, a)
		}
	}
	for _, c := range t.Containers {
		for _, i := range c.NetworkInterfaces {
			add(i.PrivateIpv4Address)
			add(i.Ipv6Address)
		}
	}
	for _, a := range t.Attachments { // until the containers are created, only this one has them
		for _, d := range a.Details {
			if name := strings.ToLower(aws.ToString(d.Name)); strings.HasSuffix(name, "ipv4address") || strings.HasSuffix(name, "ipv6address") {
				add(d.Value)
			}
		}
	}
	return all
}
