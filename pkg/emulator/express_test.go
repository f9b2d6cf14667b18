package emulator

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	ecrroom "ecsdeploy/pkg/emulator/ecr"
)

// TestExpress deploys an image for arm64 to an Express service whose task definition says X86_64.
func TestExpress(t *testing.T) {
	t.Parallel()
	inWorld(t, Options{}, func(w *world) {
		if err := w.ExpressDemo(w.ctx); err != nil {
			t.Fatal(err)
		}
		uri, digest := w.push("9", ecrroom.Platform{OS: "linux", Architecture: "arm64"})
		image := uri + ":9"
		revision := w.register(func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Image = &image })
		for _, change := range []func(*ecs.UpdateServiceInput){
			func(in *ecs.UpdateServiceInput) { in.LoadBalancers = []types.LoadBalancer{} },
			func(in *ecs.UpdateServiceInput) {
				in.DeploymentConfiguration = &types.DeploymentConfiguration{MaximumPercent: ptr(int32(200))}
			},
		} {
			in := &ecs.UpdateServiceInput{Cluster: ptr(DemoCluster), Service: ptr(DemoService)}
			change(in)
			if _, err := w.ecs.UpdateService(w.ctx, in); err == nil || !strings.Contains(err.Error(), "InvalidParameterException") {
				t.Errorf("an update of what ECS manages: %v", err)
			}
		}
		s := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = revision })
		if s.ResourceManagementType != "ECS" || s.TaskDefinition != nil || *s.Deployments[0].TaskDefinition != *revision {
			t.Errorf("the service is %s, on %v, its primary deployment on %s", s.ResourceManagementType, s.TaskDefinition, *s.Deployments[0].TaskDefinition)
		}
		w.wait(2*time.Minute, "complete", func() bool { return w.latest().Status == "SUCCESSFUL" })
		got := w.revision(w.latest().TargetServiceRevision.Arn)
		if got.Overrides == nil || *got.Overrides.RuntimePlatform.CpuArchitecture != "ARM64" || *got.ContainerImages[0].ImageDigest != digest {
			t.Errorf("overrides %+v, images %+v", got.Overrides, got.ContainerImages)
		}
		const url = "https://" + DemoService + ".ecs.eu-west-1.on.aws"
		if p := got.EcsManagedResources.IngressPaths; len(p) != 1 || *p[0].Endpoint != url || p[0].AccessType != "PUBLIC" {
			t.Errorf("ingress paths %+v", p)
		}
		described := must(w.ecs.DescribeExpressGatewayService(w.ctx, &ecs.DescribeExpressGatewayServiceInput{ServiceArn: s.ServiceArn}))(w).Service
		if c := described.ActiveConfigurations; len(c) != 1 || *c[0].IngressPaths[0].Endpoint != url || *c[0].TaskDefinitionArn != *revision {
			t.Errorf("configurations %+v", c)
		}
	})
}

// TestMovedTag pushes a tag again: running tasks and their revision keep the digest that was resolved first, a new deployment gets the new one.
func TestMovedTag(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		uri, first := w.push("1", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
		image := uri + ":1"
		_, second := w.push("2", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
		revision := w.register(func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Image = &image })
		running := func(d *string) string {
			w.wait(2*time.Minute, "complete", func() bool { return w.latest().Status == "SUCCESSFUL" })
			tasks := w.tasks(d, types.DesiredStatusRunning)
			if resolved := *w.revision(w.latest().TargetServiceRevision.Arn).ContainerImages[0].ImageDigest; resolved != *tasks[0].Containers[0].ImageDigest {
				t.Errorf("ECS resolved %s, a task runs %s", resolved, *tasks[0].Containers[0].ImageDigest)
			}
			return *tasks[len(tasks)-1].Containers[0].ImageDigest
		}
		d := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = revision }).Deployments[0].Id
		if got := running(d); got != first {
			t.Errorf("runs %s, want the first image", got)
		}
		if err := w.Retag(DemoRepository, "1", second); err != nil {
			t.Fatal(err)
		}
		w.update(func(in *ecs.UpdateServiceInput) { in.DesiredCount = ptr(int32(3)) })
		w.wait(2*time.Minute, "scaled", func() bool { return w.service().RunningCount == 3 })
		if got := running(d); got != first {
			t.Errorf("a task that was added runs %s, want what the deployment resolved", got)
		}
		if got := running(w.update(force).Deployments[0].Id); got != second {
			t.Errorf("a new deployment runs %s, want the image that has the tag now", got)
		}
		if w.Retag(DemoRepository, "1", "sha256:nope") == nil || w.Retag("nope", "1", second) == nil {
			t.Error("a tag was given to what does not exist")
		}
	})
}

// TestDeniedBy reads the policy that denies in the answer's words.
func TestDeniedBy(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		w.Fail("ecs:ListServices", DeniedBy("a service control policy", "arn:aws:organizations::999999999999:policy/o-abc/service_control_policy/p-1"))
		_, err := w.ecs.ListServices(w.ctx, &ecs.ListServicesInput{Cluster: ptr(DemoCluster)})
		refused(t, err, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ecs:ListServices on resource: * with an explicit deny in a service control policy: arn:aws:organizations::999999999999:policy/o-abc/service_control_policy/p-1")
	})
}

// TestRepeatedPut puts the same manifest again under its immutable tag, in both worlds.
func TestRepeatedPut(t *testing.T) {
	t.Parallel()
	for _, refuses := range []bool{false, true} {
		inWorld(t, Options{Behaviour: Behaviour{RefuseRepeatedPut: refuses}}, func(w *world) {
			if err := w.Demo(w.ctx); err != nil {
				t.Fatal(err)
			}
			w.push("1", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
			had := w.raw("GET", "/v2/"+DemoRepository+"/manifests/1", nil)
			resp := w.raw("PUT", "/v2/"+DemoRepository+"/manifests/1", had.Body, "Content-Type", had.Header.Get("Content-Type"))
			if refuses {
				w.expect(resp, 400, "TAG_INVALID", "The image tag '1' already exists in the 'chat-app' repository and cannot be overwritten because the tag is immutable.")
			} else if resp.StatusCode != 201 {
				t.Errorf("answered %s", resp.Status)
			}
		})
	}
}
