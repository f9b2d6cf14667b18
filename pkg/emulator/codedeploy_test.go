package emulator

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/emulator/awsapi"
	codedeployroom "ecsdeploy/pkg/emulator/codedeploy"
)

// TestCodeDeployModelIsTheSDKs holds the hand-written shapes against the SDK's types: what they have the SDK has, and requests have all of it.
func TestCodeDeployModelIsTheSDKs(t *testing.T) {
	client := reflect.ValueOf(codedeploy.New(codedeploy.Options{Region: "eu-west-1"}))
	svc := new(codedeployroom.CodeDeploy).Service()
	seen := map[string]bool{}
	var compare func(s *smithy.Schema, typ reflect.Type, path string, whole bool)
	compare = func(s *smithy.Schema, typ reflect.Type, path string, whole bool) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		kind := map[smithy.ShapeType][]reflect.Kind{
			smithy.ShapeTypeString: {reflect.String}, smithy.ShapeTypeEnum: {reflect.String}, smithy.ShapeTypeBoolean: {reflect.Bool},
			smithy.ShapeTypeLong: {reflect.Int32, reflect.Int64}, smithy.ShapeTypeDouble: {reflect.Float64}, smithy.ShapeTypeTimestamp: {reflect.Struct},
			smithy.ShapeTypeStructure: {reflect.Struct}, smithy.ShapeTypeList: {reflect.Slice}, smithy.ShapeTypeMap: {reflect.Map},
		}[s.Type()]
		if !slices.Contains(kind, typ.Kind()) {
			t.Errorf("%s is %v, in the SDK %s", path, s.Type(), typ)
			return
		}
		switch s.Type() {
		case smithy.ShapeTypeEnum:
			if typ.Name() != awsapi.ShapeName(s) {
				t.Errorf("%s is the enumeration %s, in the SDK %s", path, awsapi.ShapeName(s), typ)
			}
		case smithy.ShapeTypeList:
			compare(s.ListMember(), typ.Elem(), path+"[]", whole)
		case smithy.ShapeTypeMap:
			compare(s.MapValue(), typ.Elem(), path+"{}", whole)
		case smithy.ShapeTypeStructure:
			if key := fmt.Sprint(typ, whole); seen[key] {
				return
			} else {
				seen[key] = true
			}
			field := func(member string) (reflect.StructField, bool) {
				return typ.FieldByNameFunc(func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "_"), member) })
			}
			for name, m := range s.Members() {
				f, ok := field(name)
				if !ok {
					t.Errorf("the SDK has no %s.%s", path, name)
					continue
				}
				compare(m, f.Type, path+"."+name, whole)
			}
			if !whole {
				return
			}
			for i := range typ.NumField() {
				f := typ.Field(i)
				if f.IsExported() && !slices.ContainsFunc(memberNames(s), func(m string) bool { return strings.EqualFold(m, strings.TrimSuffix(f.Name, "_")) }) {
					t.Errorf("%s lacks %s", path, f.Name)
				}
			}
		}
	}
	for name, op := range svc.Operations {
		method := client.MethodByName(name)
		if !method.IsValid() {
			t.Errorf("there is no operation %s", name)
			continue
		}
		compare(op.Input, method.Type().In(1), name, true)
		if op.Output != awsapi.Unit {
			compare(op.Output, method.Type().Out(0), name+"Output", false)
		}
	}
}

func memberNames(s *smithy.Schema) []string {
	var out []string
	for name := range s.Members() {
		out = append(out, name)
	}
	return out
}

// inCodeDeploy is inWorld with the demo service in CodeDeploy's hands.
func inCodeDeploy(t *testing.T, f func(w *world)) {
	t.Helper()
	inWorld(t, Options{}, func(w *world) {
		if err := w.CodeDeployDemo(w.ctx); err != nil {
			t.Fatal(err)
		}
		f(w)
	})
}

// appSpecOf is the AppSpec file that brings a task definition.
func appSpecOf(taskDefinition string) string {
	return `{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":"` + taskDefinition + `","LoadBalancerInfo":{"ContainerName":"chat-app","ContainerPort":8080}}}}]}`
}

// ship creates a deployment of a new revision.
func (w *world) ship(change func(*codedeploy.CreateDeploymentInput)) (id, revision string) {
	w.Helper()
	revision = *w.register(nil)
	in := &codedeploy.CreateDeploymentInput{
		ApplicationName: aws.String(DemoApplication), DeploymentGroupName: aws.String(DemoDeploymentGroup),
		Revision: &types.RevisionLocation{RevisionType: types.RevisionLocationTypeAppSpecContent, AppSpecContent: &types.AppSpecContent{Content: aws.String(appSpecOf(revision))}},
	}
	if change != nil {
		change(in)
	}
	return *must(w.codedeploy.CreateDeployment(w.ctx, in))(w).DeploymentId, revision
}

func (w *world) shipped(id string) types.DeploymentInfo {
	w.Helper()
	return *must(w.codedeploy.GetDeployment(w.ctx, &codedeploy.GetDeploymentInput{DeploymentId: &id}))(w).DeploymentInfo
}

func (w *world) ecsTarget(id string) types.ECSTarget {
	w.Helper()
	list := must(w.codedeploy.ListDeploymentTargets(w.ctx, &codedeploy.ListDeploymentTargetsInput{DeploymentId: &id}))(w)
	out := must(w.codedeploy.BatchGetDeploymentTargets(w.ctx, &codedeploy.BatchGetDeploymentTargetsInput{DeploymentId: &id, TargetIds: list.TargetIds}))(w)
	return *out.DeploymentTargets[0].EcsTarget
}

func TestCodeDeploy(t *testing.T) {
	inCodeDeploy(t, func(w *world) {
		before := w.service()
		if len(before.TaskSets) != 1 || *before.TaskSets[0].Status != "PRIMARY" || before.RunningCount != 2 || len(before.Deployments) != 0 {
			t.Fatalf("%+v", before)
		}
		id, revision := w.ship(nil)
		_, err := w.codedeploy.CreateDeployment(w.ctx, &codedeploy.CreateDeploymentInput{
			ApplicationName: aws.String(DemoApplication), DeploymentGroupName: aws.String(DemoDeploymentGroup),
			Revision: &types.RevisionLocation{RevisionType: types.RevisionLocationTypeAppSpecContent, AppSpecContent: &types.AppSpecContent{Content: aws.String(appSpecOf(revision))}},
		})
		refused(t, err, "DeploymentLimitExceededException", "The Deployment Group '"+DemoDeploymentGroup+"' already has an active Deployment '"+id+"'")
		var seen []string
		took := w.wait(5*time.Minute, "succeeded", func() bool {
			d, target := w.shipped(id), w.ecsTarget(id)
			now := string(d.Status)
			for _, ev := range target.LifecycleEvents {
				if ev.Status == types.LifecycleEventStatusInProgress {
					now += " " + *ev.LifecycleEventName
				}
			}
			for _, set := range target.TaskSetsInfo {
				now += fmt.Sprintf(" %s %s %g", set.TaskSetLabel, *set.Status, set.TrafficWeight)
			}
			if d.InstanceTerminationWaitTimeStarted {
				now += " waiting"
			}
			if len(seen) == 0 || seen[len(seen)-1] != now {
				seen = append(seen, now)
			}
			return d.Status == types.DeploymentStatusSucceeded
		})
		want := []string{
			"Created",
			"InProgress Install Blue PRIMARY 100 Green ACTIVE 0",
			"InProgress AllowTestTraffic Blue PRIMARY 100 Green ACTIVE 0",
			"InProgress AllowTraffic Blue PRIMARY 100 Green ACTIVE 0",
			"InProgress AllowTraffic Blue PRIMARY 0 Green ACTIVE 100",
			"InProgress Blue ACTIVE 0 Green PRIMARY 100 waiting",
			"InProgress Blue DRAINING 0 Green PRIMARY 100 waiting",
			"Succeeded Blue DRAINING 0 Green PRIMARY 100 waiting",
		}
		if strings.Join(seen, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
		}
		if took < 100*time.Second {
			t.Errorf("took %v, with a minute of waiting", took)
		}
		s := w.service()
		if *s.TaskDefinition != revision || len(s.TaskSets) != 1 || *s.TaskSets[0].TaskDefinition != revision || s.RunningCount != 2 || *s.TaskSets[0].ExternalId != id || s.TaskSets[0].Scale.Value != 100 {
			t.Errorf("%+v", s.TaskSets)
		}
		group := must(w.codedeploy.GetDeploymentGroup(w.ctx, &codedeploy.GetDeploymentGroupInput{ApplicationName: aws.String(DemoApplication), DeploymentGroupName: aws.String(DemoDeploymentGroup)}))(w).DeploymentGroupInfo
		if *group.LastSuccessfulDeployment.DeploymentId != id || *group.EcsServices[0].ServiceName != DemoService {
			t.Errorf("%+v", group)
		}
	})
}

// TestCodeDeployEndings plays scenarios of the file to their ends.
func TestCodeDeployEndings(t *testing.T) {
	for name, want := range map[string]struct {
		status types.DeploymentStatus
		code   types.ErrorCode
		within [2]time.Duration
	}{
		"complete":   {"Succeeded", "", [2]time.Duration{time.Minute, 3 * time.Minute}},
		"slow":       {"Succeeded", "", [2]time.Duration{5 * time.Minute, 7 * time.Minute}},
		"crash":      {"Failed", "TIMEOUT", [2]time.Duration{60 * time.Minute, 61 * time.Minute}},
		"pull-error": {"Failed", "TIMEOUT", [2]time.Duration{60 * time.Minute, 61 * time.Minute}},
		"alarm":      {"Stopped", "ALARM_ACTIVE", [2]time.Duration{time.Minute, 2 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			inCodeDeploy(t, func(w *world) {
				before := w.service()
				w.Script(DemoCluster, DemoService, must(ParseScenario(name))(w))
				id, _ := w.ship(nil)
				start := time.Now()
				for s := w.shipped(id).Status; s == "Created" || s == "InProgress"; s = w.shipped(id).Status {
					time.Sleep(10 * time.Second)
				}
				d := w.shipped(id)
				if took := time.Since(start); d.Status != want.status || took < want.within[0] || took > want.within[1] {
					t.Errorf("%s after %v, want %s after %v", d.Status, took, want.status, want.within)
				}
				if want.code == "" {
					return
				}
				if d.ErrorInformation.Code != want.code || d.RollbackInfo == nil {
					t.Fatalf("%+v, %+v", d.ErrorInformation, d.RollbackInfo)
				}
				back := *d.RollbackInfo.RollbackDeploymentId
				w.wait(time.Minute, "rolled back", func() bool { return w.shipped(back).Status == types.DeploymentStatusSucceeded })
				if r := w.shipped(back); r.Creator != types.DeploymentCreatorCodeDeployRollback || *r.RollbackInfo.RollbackTriggeringDeploymentId != id {
					t.Errorf("%+v", r)
				}
				s := w.service()
				if len(s.TaskSets) != 1 || *s.TaskSets[0].Id != *before.TaskSets[0].Id || *s.TaskSets[0].Status != "PRIMARY" || s.RunningCount != 2 || *s.TaskDefinition != *before.TaskDefinition {
					t.Errorf("%+v", s.TaskSets)
				}
			})
		})
	}
}

func TestStopDeployment(t *testing.T) {
	for _, back := range []bool{true, false} {
		inCodeDeploy(t, func(w *world) {
			w.Script("", "", must(ParseScenario("crash"))(w))
			id, _ := w.ship(nil)
			time.Sleep(time.Minute)
			set := w.service().TaskSets[1]
			stopped := w.tasks(set.Id, ecstypes.DesiredStatusStopped)
			if len(stopped) == 0 || *stopped[0].Group != "service:"+DemoService {
				t.Errorf("%d tasks of the new task set have stopped", len(stopped))
			}
			out := must(w.codedeploy.StopDeployment(w.ctx, &codedeploy.StopDeploymentInput{DeploymentId: &id, AutoRollbackEnabled: &back}))(w)
			if out.Status != types.StopStatusSucceeded {
				t.Errorf("%+v", out)
			}
			d := w.shipped(id)
			if d.Status != types.DeploymentStatusStopped || d.ErrorInformation.Code != types.ErrorCodeManualStop || (d.RollbackInfo != nil) != back {
				t.Errorf("%+v", d)
			}
			_, err := w.codedeploy.StopDeployment(w.ctx, &codedeploy.StopDeploymentInput{DeploymentId: &id})
			refused(t, err, "DeploymentAlreadyCompletedException", "The deployment "+id+" has already completed")
			time.Sleep(time.Minute)
			if n := len(w.service().TaskSets); (n == 1) != back {
				t.Errorf("rolled back %v, %d task sets", back, n)
			}
		})
	}
}

func TestCodeDeployHooks(t *testing.T) {
	const yaml = `version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "%s"
        LoadBalancerInfo:
          ContainerName: chat-app
          ContainerPort: 8080
Hooks:
  - BeforeAllowTraffic: smoke-test
`
	for _, fails := range []bool{true, false} {
		inCodeDeploy(t, func(w *world) {
			w.Script("", "", Scenario{Lambda: &Lambda{Takes: time.Minute, Fails: fails}})
			id, _ := w.ship(func(in *codedeploy.CreateDeploymentInput) {
				in.Revision.AppSpecContent.Content = aws.String(fmt.Sprintf(yaml, DemoFamily+":1"))
			})
			want := types.DeploymentStatusSucceeded
			if fails {
				want = types.DeploymentStatusFailed
			}
			w.wait(5*time.Minute, string(want), func() bool { return w.shipped(id).Status == want })
			if d := w.shipped(id); fails && d.ErrorInformation.Code != types.ErrorCodeHookExecutionFailure {
				t.Errorf("%+v", d.ErrorInformation)
			}
		})
	}
}

func TestCodeDeployCanary(t *testing.T) {
	inCodeDeploy(t, func(w *world) {
		id, _ := w.ship(func(in *codedeploy.CreateDeploymentInput) {
			in.DeploymentConfigName = aws.String("CodeDeployDefault.ECSCanary10Percent5Minutes")
		})
		weights := map[float64]time.Duration{}
		w.wait(10*time.Minute, "succeeded", func() bool {
			if sets := w.ecsTarget(id).TaskSetsInfo; len(sets) == 2 {
				weights[sets[1].TrafficWeight] += time.Second
			}
			return w.shipped(id).Status == types.DeploymentStatusSucceeded
		})
		if len(weights) != 3 || weights[10] != 5*time.Minute {
			t.Error(weights)
		}
	})
}

// TestGetApplicationRevision: a deployment tells the digest of its AppSpec file, and the application the file.
func TestGetApplicationRevision(t *testing.T) {
	inCodeDeploy(t, func(w *world) {
		var sent string
		id, _ := w.ship(func(in *codedeploy.CreateDeploymentInput) { sent = *in.Revision.AppSpecContent.Content })
		deployed := w.shipped(id).Revision
		if spec := deployed.AppSpecContent; spec == nil || spec.Content != nil || aws.ToString(spec.Sha256) != codedeployroom.Sha256Of(sent) {
			t.Fatalf("the deployment's revision is %+v", deployed.AppSpecContent)
		}
		ask := &codedeploy.GetApplicationRevisionInput{ApplicationName: aws.String(DemoApplication), Revision: deployed}
		if kept := must(w.codedeploy.GetApplicationRevision(w.ctx, ask))(w); *kept.Revision.AppSpecContent.Content != sent || len(kept.RevisionInfo.DeploymentGroups) != 0 {
			t.Errorf("%+v, %+v", kept.Revision.AppSpecContent, kept.RevisionInfo)
		}
		w.wait(10*time.Minute, "succeeded", func() bool { return w.shipped(id).Status == types.DeploymentStatusSucceeded })
		if kept := must(w.codedeploy.GetApplicationRevision(w.ctx, ask))(w); !slices.Equal(kept.RevisionInfo.DeploymentGroups, []string{DemoDeploymentGroup}) {
			t.Errorf("%+v", kept.RevisionInfo)
		}
	})
}

// TestCodeDeployReady: a deployment group may want to be told when traffic is to be rerouted.
func TestCodeDeployReady(t *testing.T) {
	inCodeDeploy(t, func(w *world) {
		demo := must(w.codedeploy.GetDeploymentGroup(w.ctx, &codedeploy.GetDeploymentGroupInput{ApplicationName: aws.String(DemoApplication), DeploymentGroupName: aws.String(DemoDeploymentGroup)}))(w).DeploymentGroupInfo
		demo.BlueGreenDeploymentConfiguration.DeploymentReadyOption = &types.DeploymentReadyOption{ActionOnTimeout: types.DeploymentReadyActionStopDeployment, WaitTimeInMinutes: 30}
		must(w.codedeploy.CreateDeploymentGroup(w.ctx, &codedeploy.CreateDeploymentGroupInput{
			ApplicationName: demo.ApplicationName, DeploymentGroupName: aws.String("careful"), ServiceRoleArn: demo.ServiceRoleArn, DeploymentStyle: demo.DeploymentStyle,
			BlueGreenDeploymentConfiguration: demo.BlueGreenDeploymentConfiguration, EcsServices: demo.EcsServices, LoadBalancerInfo: demo.LoadBalancerInfo,
		}))(w)
		careful := func(in *codedeploy.CreateDeploymentInput) { in.DeploymentGroupName = aws.String("careful") }
		id, _ := w.ship(careful)
		w.wait(2*time.Minute, "ready", func() bool { return w.shipped(id).Status == types.DeploymentStatusReady })
		must(w.codedeploy.ContinueDeployment(w.ctx, &codedeploy.ContinueDeploymentInput{DeploymentId: &id}))(w)
		w.wait(2*time.Minute, "waiting", func() bool { return w.shipped(id).InstanceTerminationWaitTimeStarted })
		must(w.codedeploy.ContinueDeployment(w.ctx, &codedeploy.ContinueDeploymentInput{DeploymentId: &id, DeploymentWaitType: types.DeploymentWaitTypeTerminationWait}))(w)
		w.wait(30*time.Second, "succeeded", func() bool { return w.shipped(id).Status == types.DeploymentStatusSucceeded })
		id, _ = w.ship(careful)
		w.wait(40*time.Minute, "stopped", func() bool { return w.shipped(id).Status == types.DeploymentStatusStopped })
	})
}

func TestCodeDeployRefusals(t *testing.T) {
	const CD = "CodeDeploy_20141006."
	group := `"applicationName":"` + DemoApplication + `","deploymentGroupName":"` + DemoDeploymentGroup + `"`
	revision := func(content string) string {
		return `{` + group + `,"revision":{"revisionType":"String","string":{"content":` + fmt.Sprintf("%q", content) + `}}}`
	}
	good := appSpecOf(DemoFamily)
	tests := []struct{ name, target, body, code, message string }{
		{"unknown member", "GetDeployment", `{"deploymentID":"d-1"}`, "SerializationException", `Unknown member "deploymentID" of GetDeploymentRequest at 'deploymentID'`},
		{"no id", "GetDeployment", `{}`, "DeploymentIdRequiredException", "Deployment id must be specified."},
		{"no application", "CreateDeployment", `{}`, "ApplicationNameRequiredException", "Application name must be specified."},
		{"no group", "CreateDeployment", `{"applicationName":"` + DemoApplication + `"}`, "DeploymentGroupNameRequiredException", "Deployment group name must be specified."},
		{"missing application", "ListDeploymentGroups", `{"applicationName":"x"}`, "ApplicationDoesNotExistException", "No application found for name: x"},
		{"missing group", "GetDeploymentGroup", `{"applicationName":"` + DemoApplication + `","deploymentGroupName":"x"}`, "DeploymentGroupDoesNotExistException", "No Deployment Group found for name: x"},
		{"malformed id", "GetDeployment", `{"deploymentId":"x"}`, "InvalidDeploymentIdException", "Specified DeploymentId is not in the valid format: x"},
		{"missing deployment", "StopDeployment", `{"deploymentId":"d-123456789"}`, "DeploymentDoesNotExistException", "The deployment d-123456789 could not be found"},
		{"no revision", "CreateDeployment", `{` + group + `}`, "RevisionRequiredException", "RevisionLocation must be specified"},
		{"no revision to read", "GetApplicationRevision", `{"applicationName":"` + DemoApplication + `"}`, "RevisionRequiredException", "RevisionLocation must be specified"},
		{"missing revision", "GetApplicationRevision", `{"applicationName":"` + DemoApplication + `","revision":{"revisionType":"AppSpecContent","appSpecContent":{"sha256":"5eed"}}}`, "RevisionDoesNotExistException", ""},
		{"reading a revision in S3", "GetApplicationRevision", `{"applicationName":"` + DemoApplication + `","revision":{"revisionType":"S3"}}`, "InvalidRevisionException", ""},
		{"a revision in S3", "CreateDeployment", `{` + group + `,"revision":{"revisionType":"S3"}}`, "InvalidRevisionException", "The emulator reads revisions of the types AppSpecContent and String, not S3"},
		{"wrong digest", "CreateDeployment", `{` + group + `,"revision":{"revisionType":"String","string":{"content":"a","sha256":"b"}}}`, "InvalidRevisionException", "The SHA256 of the revision's content does not match the one specified"},
		{"configuration", "CreateDeployment", `{` + group + `,"deploymentConfigName":"x","revision":{"revisionType":"String","string":{"content":` + fmt.Sprintf("%q", good) + `}}}`, "DeploymentConfigDoesNotExistException", "No deployment configuration found for name: x"},
		{"not YAML", "CreateDeployment", revision("{"), "InvalidRevisionException", ""},
		{"version", "CreateDeployment", revision(strings.Replace(good, "0.0", "1", 1)), "InvalidRevisionException", "The AppSpec file is not valid: the version must be 0.0"},
		{"resources", "CreateDeployment", revision(`{"version":0.0,"Resources":[]}`), "InvalidRevisionException", "The AppSpec file is not valid: Resources must be a list of one TargetService"},
		{"task definition", "CreateDeployment", revision(strings.Replace(good, "TaskDefinition", "taskDefinition", 1)), "InvalidRevisionException", "The AppSpec file is not valid: Properties has the unknown member taskDefinition"},
		{"no port", "CreateDeployment", revision(strings.Replace(good, `,"ContainerPort":8080`, "", 1)), "InvalidRevisionException", "The AppSpec file is not valid: LoadBalancerInfo must have ContainerName and ContainerPort"},
		{"hook", "CreateDeployment", revision(strings.TrimSuffix(good, "}") + `,"Hooks":[{"AfterLunch":"f"}]}`), "InvalidRevisionException", "The AppSpec file is not valid: there is no hook AfterLunch of the name of a function"},
		{"same application", "CreateApplication", `{"applicationName":"` + DemoApplication + `","computePlatform":"ECS"}`, "ApplicationAlreadyExistsException", "Application already exists with the name: " + DemoApplication},
		{"in place", "CreateDeploymentGroup", `{"applicationName":"` + DemoApplication + `","deploymentGroupName":"g","serviceRoleArn":"r"}`, "InvalidDeploymentStyleException", ""},
	}
	inCodeDeploy(t, func(w *world) {
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				_, err := w.post(CD+c.target, "codedeploy", []byte(c.body))
				api, ok := err.(*awsapi.Error)
				if !ok {
					t.Fatalf("it was accepted: %v", err)
				}
				if api.Code != c.code || c.message != "" && api.Message != c.message {
					t.Errorf("got  %s: %s\nwant %s: %s", api.Code, api.Message, c.code, c.message)
				}
			})
		}
		_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService), TaskDefinition: aws.String(DemoFamily)})
		refused(t, err, "InvalidParameterException", "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")

		// What ECS would refuse is found out only when the deployment has begun.
		id, _ := w.ship(func(in *codedeploy.CreateDeploymentInput) {
			in.Revision.AppSpecContent.Content = aws.String(strings.Replace(good, "chat-app\"", "web\"", 1))
		})
		time.Sleep(5 * time.Second)
		if d := w.shipped(id); d.Status != types.DeploymentStatusFailed || !strings.HasPrefix(*d.ErrorInformation.Message, "The ECS service cannot be updated due to an unexpected error: The container web does not exist in the task definition.") {
			t.Errorf("%s, %+v", d.Status, d.ErrorInformation)
		}
		if n := len(must(w.codedeploy.ListDeployments(w.ctx, &codedeploy.ListDeploymentsInput{IncludeOnlyStatuses: []types.DeploymentStatus{"Failed"}}))(w).Deployments); n != 1 {
			t.Errorf("%d deployments have failed", n)
		}
	})
}

// FuzzAppSpec feeds arbitrary files to the parser: what it accepts has all that a deployment takes.
func FuzzAppSpec(f *testing.F) {
	f.Add(appSpecOf("web:1"))
	f.Add("version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n")
	f.Add("{}")
	f.Add("? [a]\n: b")
	f.Fuzz(func(t *testing.T, content string) {
		spec, problem := codedeployroom.ParseAppSpec(content)
		if problem == "" && (spec.TaskDefinition == "" || spec.Container == "" || spec.Port == 0) {
			t.Errorf("%+v", spec)
		}
	})
}
