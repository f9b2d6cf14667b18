package deploy

import (
	"testing"

	"ecsdeploy/pkg/taskdef"
)

func TestMoves(t *testing.T) {
	const images = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web"
	of := func(build, image string) taskdef.Definition {
		d, err := taskdef.Parse([]byte(`{"family": "web", "taskDefinitionArn": "` + revisionARN("web:7") + `", "containerDefinitions": [{"name": "app", "image": "` + image + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if build == "" {
			return d
		}
		if d, err = d.WithProvenance(taskdef.Provenance{BuildID: build, Tag: "x"}); err != nil {
			t.Fatal(err)
		}
		return d
	}
	run := Request{Push: true, Rollout: true, Origin: taskdef.Provenance{BuildID: "20"}}
	base := Lineage{Base: of("", images+":17")}
	for _, tt := range []struct {
		name     string
		request  Request
		service  ServicePlan
		image    string
		from, to string // empty: no move
	}{
		{"by the tags of the revision", run, ServicePlan{Running: of("17", images+":latest"), Lineage: base}, images + ":20", "17", "20"},
		{"by the tag of the image", run, ServicePlan{Running: of("", images+":17"), Lineage: base}, images + ":20", "17", "20"},
		{"the first build", run, ServicePlan{Running: of("", images+":placeholder"), Lineage: base}, images + ":20", "", ""},
		{"the same build", run, ServicePlan{Running: of("20", images+":20"), Lineage: base}, images + ":20", "", ""},
		{"a release number is no build", run, ServicePlan{Running: of("", images+":1.2"), Lineage: base}, images + ":20", "", ""},
		{"only the configuration changes", Request{Rollout: true, Origin: run.Origin}, ServicePlan{Running: of("17", images+":17"), Lineage: base}, "", "", ""},
		{"the image stays", Request{Rollout: true, Image: Current, Origin: run.Origin}, ServicePlan{Running: of("17", images+":17"), Lineage: base}, images + ":17", "", ""},
		{"an image that another run made", Request{Rollout: true, Image: images + ":19", Origin: run.Origin}, ServicePlan{Running: of("17", images+":17"), Lineage: base}, images + ":19", "17", "19"},
		{"back to a revision", Request{}, ServicePlan{Running: of("20", images+":20"), Target: of("17", images+":17")}, "", "20", "17"},
		{"back to a revision without tags", Request{}, ServicePlan{Running: of("20", images+":20"), Target: of("", images+":16")}, "", "20", "16"},
		{"a paused deployment is rolled back", Request{}, ServicePlan{Running: of("17", images+":17"), Target: of("20", images+":20"), Back: true}, "", "", ""},
	} {
		tt.service.Name, tt.service.Container = Service{"main", "web"}, "app"
		p := &Plan{Request: tt.request, Image: Candidate{URI: tt.image}, Services: []ServicePlan{tt.service}}
		moves := p.Moves()
		switch {
		case tt.to == "" && len(moves) > 0:
			t.Errorf("%s: %+v", tt.name, moves)
		case tt.to != "" && (len(moves) != 1 || moves[0].From.BuildID != tt.from || moves[0].To.BuildID != tt.to):
			t.Errorf("%s: %+v, want %s to %s", tt.name, moves, tt.from, tt.to)
		}
	}
}
