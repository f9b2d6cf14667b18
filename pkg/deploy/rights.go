package deploy

// The permissions by which a run changes something. They cannot be tried without
// effect; IAM tells of them where the identity may ask. Rights that a run can do
// without are optional: they are named, and are no reason to fail.

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/resource"
	"ecsdeploy/pkg/schedule"
	"ecsdeploy/pkg/taskdef"
)

// right is what a run needs.
type right struct {
	service   Service // zero where it belongs to none
	actions   []string
	resources []string
	context   map[string]string // of the call, for conditions of policies
	optional  bool
}

// permissions checks the rights by which a run changes something, as far as IAM tells.
func (v *verifier) permissions(ctx context.Context, p *Plan) {
	for _, r := range v.rights(p) {
		v.permission(ctx, r)
	}
}

func (v *verifier) permission(ctx context.Context, r right) {
	if len(r.resources) == 0 {
		return
	}
	denied, unclear, err := v.resources.Denied(ctx, resource.Question{Identity: v.identity, Actions: r.actions, Resources: r.resources, Context: r.context})
	switch {
	case err != nil:
		v.open(r.service, PermissionCheck, strings.Join(r.actions, ", "), &Permission{r.actions, r.resources, false})
	case len(denied) > 0:
		actions, resources := parts(denied)
		lacks := &Permission{actions, resources, true}
		if r.optional {
			v.open(r.service, PermissionCheck, strings.Join(actions, ", "), lacks)
		} else {
			v.add(r.service, PermissionCheck, strings.Join(actions, ", "), lacks)
		}
	case len(unclear) > 0:
		actions, resources := parts(unclear)
		v.open(r.service, PermissionCheck, strings.Join(actions, ", "), &Permission{actions, resources, false})
	default:
		v.add(r.service, PermissionCheck, strings.Join(r.actions, ", "), nil)
	}
}

// parts are the actions and the resources of rights, each once.
func parts(rights []resource.Right) (actions, resources []string) {
	for _, r := range rights {
		actions, resources = appendNew(actions, r.Action), appendNew(resources, r.Resource)
	}
	return actions, resources
}

func appendNew(all []string, one string) []string {
	if one == "" || slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// rights are all that the run needs beyond what was read.
func (v *verifier) rights(p *Plan) []right {
	all := append(v.pushRights(p), v.scanning...)
	if !p.Request.Rollout {
		return all
	}
	all = append(all, right{actions: []string{"ecs:RegisterTaskDefinition"}, resources: []string{"*"}})
	var roles, families, groups []string
	for i, s := range p.Services {
		r := p.Request
		if i > 0 { // the migration runs for the first alone
			r.Migration = nil
		}
		all = append(all, s.rights(r)...)
		made := s.makes()
		if family := made.Family(); family != "" {
			families = appendNew(families, v.place(p, s)+":task-definition/"+family+":*")
		}
		needs := made.Needs()
		for _, role := range needs.Roles {
			roles = appendNew(roles, v.roleARN(role))
		}
		groups = append(groups, v.logGroups(p, s, needs.LogGroups)...)
	}
	all = append(all,
		// Without them a revision has no tags.
		right{actions: []string{"ecs:TagResource"}, resources: families, optional: true, context: map[string]string{"ecs:CreateAction": "RegisterTaskDefinition"}},
		right{actions: []string{"ecs:UntagResource"}, resources: families, optional: true},
		right{actions: []string{"iam:PassRole"}, resources: roles, context: map[string]string{"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
	)
	all = append(all, scheduleRights(p.Schedules)...)
	if p.Request.KeepRevisions > 0 {
		all = append(all, right{actions: []string{"ecs:DeregisterTaskDefinition"}, resources: []string{"*"}, optional: true})
	}
	if len(p.Request.Services) > 0 {
		slices.Sort(groups)
		all = append(all, right{actions: []string{"logs:GetLogEvents"}, resources: slices.Compact(groups), optional: true})
	}
	return all
}

// pushRights are those of a push, and of a repository that is to be created.
func (v *verifier) pushRights(p *Plan) []right {
	if !p.Request.Push {
		return nil
	}
	push := right{actions: []string{"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"}}
	var sign []right
	if len(p.Signing) > 0 {
		sign = []right{{actions: []string{"signer:SignPayload"}, resources: p.Signing}}
	}
	if p.Repository != nil {
		push.resources = []string{p.Repository.ARN}
		return append(sign, push)
	}
	ref, err := ecr.ParseRepository(p.Request.Repository)
	if !p.Request.CreateRepository || err != nil {
		return nil // it was not read, which has been said
	}
	parts := strings.Split(regional(v.identity, "ecr", v.region), ":")
	parts[3], parts[4] = cmp.Or(ref.Region, parts[3]), cmp.Or(ref.Account, parts[4])
	push.resources = []string{strings.Join(parts, ":") + ":repository/" + ref.Name}
	creation := right{actions: []string{"ecr:CreateRepository"}, resources: push.resources}
	if p.Request.Creation.LifecyclePolicy != "" {
		creation.actions = append(creation.actions, "ecr:PutLifecyclePolicy")
	}
	all := append(sign, creation, push)
	// What an alias stands for is not known here, and the key that AWS manages takes no
	// right of one's own.
	if key := p.Request.Creation.Key; strings.HasPrefix(key, "arn:") && strings.Contains(key, ":key/") {
		via := "ecr." + strings.Split(key, ":")[3] + ".amazonaws.com" // a key is in the repository's region
		all = append(all, right{actions: []string{"kms:DescribeKey", "kms:CreateGrant"}, resources: []string{key}, context: map[string]string{"kms:ViaService": via}})
	}
	return all
}

// rights are what changing one service takes.
func (s ServicePlan) rights(r Request) []right {
	if s.Service.ARN == "" {
		return nil // it was not read
	}
	ours := func(actions, resources []string, optional bool) right {
		return right{service: s.Name, actions: actions, resources: resources, optional: optional}
	}
	var all []right
	here := regional(s.Service.ARN, "ecs", "")
	cluster := "/" + clusterOf(s)
	if by, is := s.Controller.(interface {
		Group() (application, name string)
	}); is {
		application, group := by.Group()
		deploy := regional(s.Service.ARN, "codedeploy", "")
		all = append(all,
			ours([]string{"codedeploy:CreateDeployment"}, []string{deploy + ":deploymentgroup:" + application + "/" + group}, false),
			ours([]string{"codedeploy:RegisterApplicationRevision"}, []string{deploy + ":application:" + application}, false),
			ours([]string{"codedeploy:GetDeploymentConfig"}, []string{deploy + ":deploymentconfig:*"}, false),
			ours([]string{"codedeploy:StopDeployment"}, []string{"*"}, false),
		)
	} else {
		// A deployment that cannot be stopped is replaced by one of the earlier revision.
		record := here + ":service-deployment" + cluster + "/" + s.Service.Name + "/*"
		all = append(all, ours([]string{"ecs:UpdateService"}, []string{s.Service.ARN}, false), ours([]string{"ecs:StopServiceDeployment"}, []string{record}, true))
	}
	if len(r.Migration) > 0 {
		run := ours([]string{"ecs:RunTask"}, []string{here + ":task-definition/" + s.makes().Family() + ":*"}, false)
		run.context = map[string]string{"ecs:cluster": here + ":cluster" + cluster}
		all = append(all, run, ours([]string{"ecs:StopTask"}, []string{here + ":task" + cluster + "/*"}, true))
	}
	if len(s.Service.TargetGroups) > 0 {
		all = append(all, ours([]string{"elasticloadbalancing:DescribeTargetHealth"}, []string{"*"}, true))
	}
	return all
}

// clusterOf is the name of the cluster of a service.
func clusterOf(s ServicePlan) string {
	if parts := strings.Split(s.Service.ARN, "/"); len(parts) == 3 { // …:service/cluster/name
		return parts[1]
	}
	return s.Name.Cluster[strings.LastIndexByte(s.Name.Cluster, '/')+1:]
}

// place is the beginning of the ARNs of ECS where a revision is registered.
func (v *verifier) place(p *Plan, s ServicePlan) string {
	repository := ""
	if p.Repository != nil {
		repository = p.Repository.ARN
	}
	return regional(cmp.Or(s.Service.ARN, s.Lineage.Base.ARN(), repository, v.identity), "ecs", v.region)
}

// logGroups are the ARNs of the log groups from which a failed task is explained.
func (v *verifier) logGroups(p *Plan, s ServicePlan, groups []taskdef.LogGroup) (arns []string) {
	for _, g := range groups {
		parts := strings.Split(v.place(p, s), ":")
		parts[2], parts[3] = "logs", cmp.Or(g.Region, parts[3])
		arns = append(arns, strings.Join(parts, ":")+":log-group:"+g.Name+":*")
	}
	return arns
}

// roleARN is the ARN of a role that a definition may give by its name alone.
func (v *verifier) roleARN(role string) string {
	if arn := v.roles[role]; arn != "" || strings.HasPrefix(role, "arn:") {
		return cmp.Or(arn, role)
	}
	parts := strings.Split(regional(v.identity, "iam", v.region), ":")
	parts[3] = "" // IAM has no regions
	return strings.Join(parts, ":") + ":role/" + role
}

// regional is the beginning of the ARNs of an AWS service in the partition, region and
// account of arn; with * for each where that is none. The region is the given one
// where that of arn is empty.
func regional(arn, service, region string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return "arn:*:" + service + ":*:*"
	}
	return strings.Join([]string{parts[0], parts[1], service, cmp.Or(parts[3], region), parts[4]}, ":")
}

// scheduleRights are for the rules and schedules that follow the services.
func scheduleRights(planned []schedule.Entry) (all []right) {
	for _, of := range []struct {
		kind           schedule.Kind
		action, passed string
	}{{schedule.Rule, "events:PutTargets", "events.amazonaws.com"}, {schedule.Schedule, "scheduler:UpdateSchedule", "scheduler.amazonaws.com"}} {
		changed, roles := changes(planned, of.kind)
		all = append(all,
			right{actions: []string{of.action}, resources: changed},
			right{actions: []string{"iam:PassRole"}, resources: roles, context: map[string]string{"iam:PassedToService": of.passed}},
		)
	}
	return all
}

// changes are the rules, or the schedules, that a run changes, by their ARNs, and the
// roles that it passes with them.
func changes(planned []schedule.Entry, kind schedule.Kind) (changed, roles []string) {
	for _, e := range planned {
		if e.Kind != kind || !e.Pinned() || e.Over {
			continue
		}
		if arn := e.ARN(); !slices.Contains(changed, arn) {
			changed = append(changed, arn)
		}
		if e.Role != "" && !slices.Contains(roles, e.Role) {
			roles = append(roles, e.Role)
		}
	}
	return changed, roles
}
