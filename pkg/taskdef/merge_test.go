package taskdef_test

import (
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/taskdef"
)

// shop is what infrastructure registered first: the application's container has
// a placeholder, beside a proxy.
const shop = `{"family":"shop","networkMode":"awsvpc","cpu":"256","memory":"512",` +
	`"containerDefinitions":[` +
	`{"name":"app","image":"placeholder:1","essential":true,"command":["serve"],` +
	`"environment":[{"name":"STAGE","value":"prod"},{"name":"LEVEL","value":"info"}],` +
	`"secrets":[{"name":"DB","valueFrom":"arn:db"}],` +
	`"healthCheck":{"command":["CMD","up"],"interval":10}},` +
	`{"name":"proxy","image":"envoy:1","essential":false,"dockerLabels":{"a":"1"},"teleport":{"to":"mars"}}],` +
	`"volumes":[{"name":"data","host":{"sourcePath":"/data"}}],` +
	`"tags":[{"key":"team","value":"shop"}]}`

func conflicts(all []taskdef.Conflict) string {
	var lines []string
	for _, c := range all {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

type edits = []string // old, new, … in a document

// Each story begins with the shop: infrastructure and the pipeline each edit it,
// and the result is infrastructure's document with a few edits.
func TestMerge(t *testing.T) {
	build7 := edits{"placeholder:1", "shop:7"} // what every pipeline does
	for _, test := range []struct {
		name      string
		theirs    edits // to the shop
		ours      edits // to the shop
		want      edits // to infrastructure's document
		conflicts edits // their lines
	}{
		// Images.
		{"a new build, and infrastructure stands still", nil, build7, build7, nil},
		{"infrastructure changes, and its placeholder does not come back",
			edits{`"cpu":"256"`, `"cpu":"512"`},
			build7, build7, nil},
		{"infrastructure passes in the running image",
			build7, build7, nil, nil},
		{"infrastructure passes in an image that ran some time ago",
			edits{"placeholder:1", "shop:6"},
			build7,
			edits{"shop:6", "shop:7"},
			edits{"app.image: infrastructure shop:6, pipeline shop:7, before placeholder:1; kept the pipeline's"}},
		{"infrastructure updates a sidecar that the pipeline leaves alone",
			edits{"envoy:1", "envoy:2"},
			build7, build7, nil},
		{"which the pipeline had updated, too",
			edits{"envoy:1", "envoy:2"},
			edits{"envoy:1", "envoy:3"},
			edits{"envoy:2", "envoy:3"},
			edits{"proxy.image: infrastructure envoy:2, pipeline envoy:3, before envoy:1; kept the pipeline's"}},
		{"which the pipeline leaves out",
			edits{"envoy:1", "envoy:2"},
			edits{`"image":"envoy:1",`, ``},
			nil,
			edits{"proxy.image: infrastructure envoy:2, pipeline (none), before envoy:1; kept infrastructure's"}},

		// Variables.
		{"each adds a variable",
			edits{`{"name":"STAGE"`, `{"name":"ZONE","value":"a"},{"name":"STAGE"`},
			edits{`{"name":"STAGE"`, `{"name":"FLAG","value":""},{"name":"STAGE"`},
			edits{`"info"}`, `"info"},{"name":"FLAG","value":""}`}, nil},
		{"each changes another one",
			edits{`"prod"`, `"test"`},
			edits{`"info"`, `"debug"`},
			edits{`"info"`, `"debug"`}, nil},
		{"both change one, to the same",
			edits{`"info"`, `"debug"`},
			edits{`"info"`, `"d\u0065bug"`},
			nil, nil},
		{"both change one, and its values are not shown",
			edits{`"info"`, `"debug"`},
			edits{`"info"`, `"trace"`},
			nil,
			edits{"app.environment LEVEL: infrastructure ***, pipeline ***, before ***; kept infrastructure's"}},
		{"both add one, with different values",
			edits{`"info"}`, `"info"},{"name":"X","value":"1"}`},
			edits{`"info"}`, `"info"},{"name":"X","value":"2"}`},
			nil,
			edits{"app.environment X: infrastructure ***, pipeline ***, before (none); kept infrastructure's"}},
		{"the pipeline removes one", nil,
			edits{`{"name":"STAGE","value":"prod"},`, ``},
			edits{`{"name":"STAGE","value":"prod"},`, ``}, nil},
		{"infrastructure removes one that the pipeline leaves alone, and all others",
			edits{`{"name":"STAGE","value":"prod"},{"name":"LEVEL","value":"info"}`, ``},
			build7, build7, nil},
		{"infrastructure removes all, the pipeline adds one",
			edits{`"environment":[{"name":"STAGE","value":"prod"},{"name":"LEVEL","value":"info"}],`, ``},
			edits{`"info"}`, `"info"},{"name":"X","value":"2"}`},
			edits{`"interval":10}}`, `"interval":10},"environment":[{"name":"X","value":"2"}]}`}, nil},
		{"infrastructure removes all, the pipeline changes one",
			edits{`"environment":[{"name":"STAGE","value":"prod"},{"name":"LEVEL","value":"info"}],`, ``},
			edits{`"info"`, `"debug"`},
			nil,
			edits{"app.environment LEVEL: infrastructure (none), pipeline ***, before ***; kept infrastructure's"}},
		{"the pipeline removes one that infrastructure changes",
			edits{`"info"`, `"debug"`},
			edits{`,{"name":"LEVEL","value":"info"}`, ``},
			nil,
			edits{"app.environment LEVEL: infrastructure ***, pipeline (none), before ***; kept infrastructure's"}},
		{"a variable with more than a value",
			edits{`"name":"LEVEL",`, `"name":"LEVEL","origin":"here",`},
			edits{`"info"`, `"debug"`},
			edits{`"info"`, `"debug"`}, nil},
		{"and with less",
			edits{`"LEVEL","value":"info"`, `"LEVEL"`},
			edits{`"info"`, `"debug"`},
			nil,
			edits{"app.environment LEVEL.value: infrastructure (none), pipeline ***, before ***; kept infrastructure's"}},
		{"a variable that is there twice is one thing", nil,
			edits{`"info"}`, `"debug"},{"name":"STAGE","value":"test"}`},
			edits{`"info"}`, `"debug"},{"name":"STAGE","value":"test"}`}, nil},
		{"also where both change it",
			edits{`"info"}`, `"info"},{"name":"STAGE","value":"test"}`},
			edits{`"prod"`, `"dev"`},
			nil,
			edits{"app.environment STAGE: infrastructure […], pipeline […], before […]; kept infrastructure's"}},

		// Variables that are secrets.
		{"a variable becomes a secret in the pipeline", nil,
			edits{`,{"name":"LEVEL","value":"info"}`, ``, `"arn:db"}`, `"arn:db"},{"name":"LEVEL","valueFrom":"arn:level"}`},
			edits{`,{"name":"LEVEL","value":"info"}`, ``, `"arn:db"}`, `"arn:db"},{"name":"LEVEL","valueFrom":"arn:level"}`}, nil},
		{"which infrastructure changes",
			edits{`"info"`, `"debug"`},
			edits{`,{"name":"LEVEL","value":"info"}`, ``, `"arn:db"}`, `"arn:db"},{"name":"LEVEL","valueFrom":"arn:level"}`},
			nil,
			edits{"app.environment LEVEL: infrastructure ***, pipeline arn:level, before ***; kept infrastructure's"}},
		{"which infrastructure removes",
			edits{`,{"name":"LEVEL","value":"info"}`, ``},
			edits{`,{"name":"LEVEL","value":"info"}`, ``, `"arn:db"}`, `"arn:db"},{"name":"LEVEL","valueFrom":"arn:level"}`},
			nil,
			edits{"app.secrets LEVEL: infrastructure (none), pipeline arn:level, before ***; kept infrastructure's"}},
		{"a variable becomes a secret in infrastructure, the pipeline changes it",
			edits{`,{"name":"LEVEL","value":"info"}`, ``, `"arn:db"}`, `"arn:db"},{"name":"LEVEL","valueFrom":"arn:level"}`},
			edits{`"info"`, `"debug"`},
			nil,
			edits{"app.secrets LEVEL: infrastructure arn:level, pipeline ***, before ***; kept infrastructure's"}},
		{"the pipeline adds a variable, infrastructure a secret of that name",
			edits{`"arn:db"}`, `"arn:db"},{"name":"X","valueFrom":"arn:x"}`},
			edits{`"info"}`, `"info"},{"name":"X","value":"2"},{"name":"Y","value":"3"}`},
			edits{`"info"}`, `"info"},{"name":"Y","value":"3"}`},
			edits{"app.secrets X: infrastructure arn:x, pipeline ***, before (none); kept infrastructure's"}},
		{"infrastructure removes a secret, the pipeline a variable of it",
			edits{`{"name":"DB","valueFrom":"arn:db"}`, ``},
			edits{`{"name":"DB","valueFrom":"arn:db"}`, ``, `"info"}`, `"info"},{"name":"DB","value":"2"}`},
			nil,
			edits{"app.environment DB: infrastructure (none), pipeline ***, before arn:db; kept infrastructure's"}},
		{"a secret that is there twice",
			edits{`"arn:db"}`, `"arn:db"},{"name":"LEVEL","valueFrom":"arn:1"},{"name":"LEVEL","valueFrom":"arn:2"}`},
			edits{`"info"`, `"debug"`},
			edits{`"info"`, `"info"`},
			edits{"app.environment LEVEL: infrastructure ***, pipeline ***, before ***; kept infrastructure's"}},

		// Containers.
		{"infrastructure adds a container",
			edits{`{"name":"proxy"`, `{"name":"log","image":"fluent:1","cpu":0,"new":[]},{"name":"proxy"`},
			build7, build7, nil},
		{"infrastructure removes one that the pipeline leaves alone",
			edits{`,{"name":"proxy","image":"envoy:1","essential":false,"dockerLabels":{"a":"1"},"teleport":{"to":"mars"}}`, ``},
			build7, build7, nil},
		{"infrastructure removes one that the pipeline changed",
			edits{`,{"name":"proxy","image":"envoy:1","essential":false,"dockerLabels":{"a":"1"},"teleport":{"to":"mars"}}`, ``},
			edits{"envoy:1", "envoy:2", `"essential":false`, `"essential":false,"environment":[{"name":"X","value":"2"}]`},
			nil,
			edits{
				"proxy.environment X: infrastructure (none), pipeline ***, before (none); kept infrastructure's",
				"proxy.image: infrastructure (none), pipeline envoy:2, before envoy:1; kept infrastructure's"}},
		{"infrastructure renames one: removed and added",
			edits{`"name":"app"`, `"name":"web"`},
			build7, nil,
			edits{"app.image: infrastructure (none), pipeline shop:7, before placeholder:1; kept infrastructure's"}},
		{"the pipeline adds a container", nil,
			edits{`{"name":"proxy"`, `{"name":"log","image":"fluent:1"},{"name":"proxy"`},
			edits{`"teleport":{"to":"mars"}}`, `"teleport":{"to":"mars"}},{"name":"log","image":"fluent:1"}`}, nil},
		{"the pipeline removes one that infrastructure updates",
			edits{"envoy:1", "envoy:2"},
			edits{`,{"name":"proxy","image":"envoy:1","essential":false,"dockerLabels":{"a":"1"},"teleport":{"to":"mars"}}`, ``},
			nil,
			edits{"proxy.image: infrastructure envoy:2, pipeline (none), before envoy:1; kept infrastructure's"}},
		{"both add a container of one name",
			edits{`{"name":"proxy"`, `{"name":"log","image":"fluent:1","essential":false},{"name":"proxy"`},
			edits{`{"name":"proxy"`, `{"name":"log","image":"fluent:2","user":"1"},{"name":"proxy"`},
			edits{`"fluent:1","essential":false`, `"fluent:2","essential":false,"user":"1"`},
			edits{
				"log.essential: infrastructure false, pipeline true, before (none); kept infrastructure's",
				"log.image: infrastructure fluent:1, pipeline fluent:2, before (none); kept the pipeline's"}},
		{"each removes what the other kept, and a task has to have a container",
			edits{`,{"name":"proxy","image":"envoy:1","essential":false,"dockerLabels":{"a":"1"},"teleport":{"to":"mars"}}`, ``},
			edits{shop[strings.Index(shop, `{"name":"app"`):strings.Index(shop, `{"name":"proxy"`)], ``},
			nil,
			edits{"app: infrastructure placeholder:1, pipeline (none), before placeholder:1; kept infrastructure's"}},

		// All else.
		{"both change the size",
			edits{`"cpu":"256"`, `"cpu":"512"`},
			edits{`"cpu":"256"`, `"cpu":"1 vCPU"`},
			nil,
			edits{"cpu: infrastructure 512, pipeline 1024, before 256; kept infrastructure's"}},
		{"both to the same, in other words",
			edits{`"cpu":"256"`, `"cpu":"512"`},
			edits{`"cpu":"256"`, `"cpu":".5 vCPU"`},
			nil, nil},
		{"one cpu, the other memory",
			edits{`"cpu":"256"`, `"cpu":"512"`},
			edits{`"memory":"512"`, `"memory":"1024"`},
			edits{`"memory":"512"`, `"memory":"1024"`}, nil},
		{"a command is one value",
			edits{`["serve"]`, `["serve","--fast"]`},
			edits{`["serve"]`, `["serve","--safe"]`},
			nil,
			edits{`app.command: infrastructure ["serve","--fast"], pipeline ["serve","--safe"], before ["serve"]; kept infrastructure's`}},
		{"a command that infrastructure leaves to the image",
			edits{`,"command":["serve"]`, ``},
			edits{`["serve"]`, `["serve","--safe"]`},
			nil,
			edits{`app.command: infrastructure (none), pipeline ["serve","--safe"], before ["serve"]; kept infrastructure's`}},
		{"members of an object are not",
			edits{`"interval":10`, `"interval":20`},
			edits{`["CMD","up"]`, `["CMD","ready"]`},
			edits{`["CMD","up"]`, `["CMD","ready"]`}, nil},
		{"unless there is no object any more: each change is named",
			edits{`,"healthCheck":{"command":["CMD","up"],"interval":10}`, ``},
			edits{`["CMD","up"]`, `["CMD","ready"]`, `"interval":10`, `"interval":30`},
			nil,
			edits{
				`app.healthCheck.command: infrastructure (none), pipeline ["CMD","ready"], before ["CMD","up"]; kept infrastructure's`,
				`app.healthCheck.interval: infrastructure (none), pipeline 30, before 10; kept infrastructure's`}},
		{"defaults have a value",
			edits{`"interval":10`, `"interval":20`},
			edits{`,"interval":10`, ``},
			nil,
			edits{"app.healthCheck.interval: infrastructure 20, pipeline 30, before 10; kept infrastructure's"}},
		{"labels",
			edits{`{"a":"1"}`, `{}`},
			edits{`{"a":"1"}`, `{"a":"1","b":"2"}`},
			edits{`"dockerLabels":{}`, `"dockerLabels":{"b":"2"}`}, nil},
		{"labels, of which none are left",
			edits{`,"dockerLabels":{"a":"1"}`, ``},
			edits{`{"a":"1"}`, `{"a":"2"}`},
			nil,
			edits{"proxy.dockerLabels.a: infrastructure (none), pipeline ***, before ***; kept infrastructure's"}},
		{"unknown members",
			edits{`{"to":"mars"}`, `{"to":"mars","by":["ship"]}`},
			edits{`{"to":"mars"}`, `{"to":"venus"}`},
			edits{`"mars"`, `"venus"`}, nil},
		{"unknown members, of another kind",
			edits{`{"to":"mars"}`, `"mars"`},
			edits{`{"to":"mars"}`, `{"to":"venus"}`},
			nil,
			edits{"proxy.teleport: infrastructure ***, pipeline ***, before ***; kept infrastructure's"}},
		{"volumes",
			edits{`"sourcePath":"/data"`, `"sourcePath":"/mnt"`},
			edits{`{"name":"data"`, `{"name":"tmp"},{"name":"data"`},
			edits{`"/mnt"}}`, `"/mnt"}},{"name":"tmp"}`}, nil},
		{"tags",
			edits{`{"key":"team","value":"shop"}`, `{"key":"team","value":"core"},{"key":"aws:stack","value":"s"}`},
			edits{`"value":"shop"}`, `"value":"sales"},{"key":"x","value":"1"},{"key":"ecs-deploy:build-id","value":"7"}`},
			edits{`"value":"s"}`, `"value":"s"},{"key":"x","value":"1"}`},
			edits{"tags team: infrastructure core, pipeline sales, before shop; kept infrastructure's"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			theirs := edited(t, shop, test.theirs...)
			merged, found := taskdef.Merge(parse(t, shop), parse(t, theirs), parse(t, edited(t, shop, test.ours...)))
			if got, want := string(merged.RegisterInput()), string(parse(t, edited(t, theirs, test.want...)).RegisterInput()); got != want {
				t.Errorf("merged:\n got %s\nwant %s", got, want)
			}
			if got, want := conflicts(found), strings.Join(test.conflicts, "\n"); got != want {
				t.Errorf("conflicts:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// The story in testdata, with revisions as ECS describes them.
func TestMergeDescribed(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/merge/sidecar.txtar")
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string]string{}
	for _, f := range archive.Files {
		doc[f.Name] = string(f.Data)
	}
	merged, found := taskdef.Merge(parse(t, doc["base.json"]), parse(t, doc["theirs.json"]), parse(t, doc["ours.json"]))
	if got, want := string(merged.RegisterInput()), compact(t, []byte(doc["merged.json"])); got != want {
		t.Errorf("merged:\n got %s\nwant %s", got, want)
	}
	if len(found) > 0 {
		t.Errorf("conflicts:\n%s", conflicts(found))
	}
	if got := merged.String(); got != "chat-app:22" {
		t.Errorf("merged is known as %s, want its base in infrastructure, chat-app:22", got)
	}
	if p, ok := merged.Provenance(); ok {
		t.Errorf("merged has the provenance of another revision: %+v", p)
	}
}

// Changes of different places meet in one way, whoever makes them: no conflict,
// and all of them are there.
func TestMergeOfDifferentPlaces(t *testing.T) {
	places := [][]string{
		{`"cpu":"256"`, `"cpu":"512"`},
		{`,"memory":"512"`, ``},
		{"placeholder:1", "shop:7"},
		{`["serve"]`, `["serve","--fast"]`},
		{`{"name":"STAGE","value":"prod"},`, ``},
		{`"info"}`, `"debug"},{"name":"X","value":"1"}`},
		{`"arn:db"`, `"arn:other"`},
		{`"interval":10`, `"interval":20`},
		{`"essential":false`, `"essential":false,"user":"0"`},
		{`{"a":"1"}`, `{"a":"1","b":"2"}`},
		{`{"name":"proxy"`, `{"name":"log","image":"fluent:1"},{"name":"proxy"`},
		{`"volumes":[{"name":"data","host":{"sourcePath":"/data"}}]`, `"volumes":[]`},
		{`"tags":[`, `"tags":[{"key":"x","value":"1"},`},
	}
	everything := shop
	for _, place := range places {
		everything = edited(t, everything, place...)
	}
	base, want := parse(t, shop), parse(t, everything)
	for who := 0; who < 1<<len(places); who += 7 { // a seventh of all ways to share them out
		theirs, ours := shop, shop
		for i, place := range places {
			if who>>i&1 == 0 {
				theirs = edited(t, theirs, place...)
			} else {
				ours = edited(t, ours, place...)
			}
		}
		merged, found := taskdef.Merge(base, parse(t, theirs), parse(t, ours))
		if !taskdef.Equal(merged, want) || len(found) > 0 {
			t.Fatalf("theirs %s\nours %s\ndifferences:\n%s\nconflicts:\n%s", theirs, ours, strings.Join(lines(taskdef.Diff(want, merged)), "\n"), conflicts(found))
		}
	}
}

// What is not there changes nothing.
func TestMergeWithLess(t *testing.T) {
	var none taskdef.Definition
	theirs := parse(t, edited(t, shop, `"cpu":"256"`, `"cpu":"512"`))
	ours := parse(t, edited(t, shop, "placeholder:1", "shop:7", `"tags":[`, `"tags":[{"key":"ecs-deploy:build-id","value":"7"},`))
	without := parse(t, edited(t, shop, "placeholder:1", "shop:7"))
	for _, test := range []struct {
		name                     string
		base, theirs, ours, want taskdef.Definition
		conflicts                []string
	}{
		{"the pipeline has registered nothing yet", none, theirs, none, theirs, nil},
		{"nor has infrastructure", none, none, ours, without, nil},
		{"nobody has", none, none, none, none, nil},
		{"the base is deleted: both sides added what they have", none, theirs, ours,
			parse(t, edited(t, shop, "placeholder:1", "shop:7", `"cpu":"256"`, `"cpu":"512"`)),
			[]string{
				"app.image: infrastructure placeholder:1, pipeline shop:7, before (none); kept the pipeline's",
				"cpu: infrastructure 512, pipeline 256, before (none); kept infrastructure's"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			merged, found := taskdef.Merge(test.base, test.theirs, test.ours)
			if got, want := string(merged.RegisterInput()), string(test.want.RegisterInput()); got != want {
				t.Errorf("merged:\n got %s\nwant %s", got, want)
			}
			if got, want := conflicts(found), strings.Join(test.conflicts, "\n"); got != want {
				t.Errorf("conflicts:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// A host port that the network mode implied on one side is still the port where
// the other side's mode no longer implies it.
func TestMergeNetworkModes(t *testing.T) {
	awsvpc := definition(`,"networkMode":"awsvpc"`, `,"portMappings":[{"containerPort":80}]`)
	bridge := definition(`,"networkMode":"bridge"`, `,"portMappings":[{"containerPort":80,"hostPort":80}]`)
	for name, test := range map[string]struct{ base, theirs, ours, want string }{
		"the pipeline changes the mode":    {awsvpc, awsvpc, bridge, bridge},
		"infrastructure does":              {awsvpc, bridge, awsvpc, bridge},
		"both do":                          {awsvpc, bridge, bridge, bridge},
		"infrastructure, and ours a port":  {awsvpc, bridge, strings.ReplaceAll(awsvpc, "80", "90"), strings.ReplaceAll(bridge, "80", "90")},
		"the pipeline, and theirs a port":  {awsvpc, strings.ReplaceAll(awsvpc, "80", "90"), bridge, strings.ReplaceAll(bridge, "80", "90")},
		"the mode stays, and so the bytes": {awsvpc, awsvpc, edited(t, awsvpc, `"i"`, `"j"`), edited(t, awsvpc, `"i"`, `"j"`)},
	} {
		t.Run(name, func(t *testing.T) {
			merged, found := taskdef.Merge(parse(t, test.base), parse(t, test.theirs), parse(t, test.ours))
			if got, want := parse(t, string(merged.RegisterInput())), parse(t, test.want); !taskdef.Equal(got, want) || len(found) > 0 {
				t.Errorf("merged %s\nwant %s\nconflicts: %s", got.RegisterInput(), test.want, conflicts(found))
			}
		})
	}
}

// Conflicts show no more than differences do.
func TestMergeHidesSecrets(t *testing.T) {
	const doc = `{"family":"f","containerDefinitions":[{"name":"c","image":"i","environment":[{"name":"A","value":"hunter2"},{"value":"hunter2"}],` +
		`"dockerLabels":{"l":"hunter2"},"logConfiguration":{"logDriver":"d","options":{"o":"hunter2"}},"unknown":{"deep":["hunter2"]}}]}`
	others := []string{
		strings.ReplaceAll(doc, "hunter2", "hunter2a"),
		strings.ReplaceAll(doc, "hunter2", "hunter2b"),
		edited(t, doc, `[{"name":"A","value":"hunter2"},{"value":"hunter2"}]`, `["hunter2"]`, `{"l":"hunter2"}`, `"hunter2"`, `{"o":"hunter2"}`, `["hunter2"]`),
		edited(t, doc, `"name":"c"`, `"name":"d"`),
		edited(t, doc, `"environment":[{"name":"A","value":"hunter2"},{"value":"hunter2"}]`, `"environment":[{"name":"A","value":"hunter2"},{"name":"A","value":"hunter2"}],"secrets":[{"name":"A","value":"hunter2"}]`),
		`{"family":"f","containerDefinitions":[{"name":"c"}]}`,
	}
	shown := 0
	for _, base := range append(others, doc) {
		for _, theirs := range others {
			for _, ours := range others {
				_, found := taskdef.Merge(parse(t, base), parse(t, theirs), parse(t, ours))
				shown += len(found)
				if all := conflicts(found); strings.Contains(all, "hunter2") {
					t.Errorf("a secret is shown:\n%s", all)
				}
			}
		}
	}
	if shown == 0 {
		t.Error("no conflicts to look at")
	}
}
