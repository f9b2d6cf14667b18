package main

// Whole runs as transcripts. Each file of testdata/*.txtar begins with why it
// exists, then says what the pipeline gives (inputs), what happens around it
// (script), and what must come of it: the log as the agent receives it, and
// the summary. "go test ./cmd/ecsdeploy -run Transcripts -update" writes the last two anew.

import (
	"archive/tar"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/iam"
)

var update = flag.Bool("update", false, "write the logs and summaries of the transcripts anew")

// TestTranscripts plays every transcript, and each with no more than the documented
// policy of its command. What the runs called is then held against the policies: none
// allows more, and without any of its actions a run ends as docs/permissions.md says.
// With -short, as under the race detector, a quarter of the transcripts is played.
func TestTranscripts(t *testing.T) {
	clearAWS(t)
	archives, documents := transcripts(t), documented(t)
	called := map[string][]string{} // the IAM actions by transcript
	for i, name := range slices.Sorted(maps.Keys(archives)) {
		if testing.Short() && !*update && i%4 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			archive := archives[name]
			if len(bytes.TrimSpace(archive.Comment)) == 0 {
				t.Errorf("%s does not say why it exists", name)
			}
			synctest.Test(t, func(t *testing.T) {
				called[name] = play(t, archive, func(w *world) {
					if !*update && !unrestricted[name] {
						w.restrict(t, archive, granted(archive, documents)...)
					}
				})
			})
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", name+".txtar"), txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if len(called) < len(archives) {
		return // a part was asked for
	}
	for name, archive := range plays(t, archives) {
		archives[name] = archive
		synctest.Test(t, func(t *testing.T) { called[name] = actions(t, archives[name]) })
	}
	t.Run("policies", func(t *testing.T) { checkPolicies(t, archives, called) })
	t.Run("missing actions", func(t *testing.T) { checkMissingActions(t, archives, called) })
}

// unrestricted are about an identity that lacks permissions, or about other roles.
var unrestricted = map[string]bool{"verify-permissions": true, "verify-codedeploy": true, "denied-all": true, "denied-plan": true, "verify-wrong": true, "verify-register-only": true, "verify-scan-permissions": true}

// transcripts are the files of testdata by their names.
func transcripts(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	all := map[string]*txtar.Archive{}
	for _, file := range files {
		if all[strings.TrimSuffix(filepath.Base(file), ".txtar")], err = txtar.ParseFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// clearAWS hides the settings of the machine that the SDK reads by itself: what
// they lead to must not decide a test.
func clearAWS(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
}

// TestEveryScenarioHasATranscript: whoever adds a scenario shows how it is told.
func TestEveryScenarioHasATranscript(t *testing.T) {
	played := map[string]bool{"complete": true} // the default of a script without a scenario
	for _, archive := range transcripts(t) {
		for line := range strings.Lines(section(archive, "script")) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "scenario "); ok {
				played[name] = true
			}
		}
	}
	for _, scenario := range emulator.Scenarios() {
		if !played[scenario.Name] {
			t.Errorf("no transcript plays scenario %s", scenario.Name)
		}
	}
}

// play runs one transcript, and compares or (with -update) replaces what came of it.
// The identity of the runs is restricted once everything is as the script wants it.
// It returns the IAM actions of the calls that the runs made.
func play(t *testing.T, archive *txtar.Archive, restrict func(*world)) []string {
	w := newWorld(t)
	time.Sleep(10 * time.Minute) // the service has long been stable
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs, untimed, interleaved := 1, false, false
	for line := range strings.Lines(section(archive, "script")) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "untimed":
			untimed = true
		case fields[0] == "interleaved": // two services at once: no order of theirs is the right one
			untimed, interleaved = true, true
		case fields[0] == "runs":
			runs = number(t, fields[1])
		case fields[0] == "cancel":
			after, err := time.ParseDuration(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(after, cancel)
		default:
			w.perform(t, fields)
		}
	}

	restrict(w)
	synctest.Wait() // a request is noted after it was answered
	before := len(w.Requests())
	var log bytes.Buffer
	var temps []string // one for each run, as for each job
	for range runs {
		temp := t.TempDir()
		temps = append(temps, temp)
		environ := environment(t, w, temp, section(archive, "inputs"))
		if code := run(ctx, environ, &log, w.Transport()); code != 0 {
			t.Errorf("exit code %d: only a task that cannot run at all may have one", code)
		}
	}
	text := strings.ReplaceAll(log.String(), w.directory, "DIR")
	for _, temp := range temps {
		text = strings.ReplaceAll(text, temp, "TEMP")
	}
	text = tokens.ReplaceAllString(text, "")
	text = ofRecording.ReplaceAllString(resultFile.ReplaceAllString(text, ""), "")
	text = named(vary.ReplaceAllString(unnamed.ReplaceAllString(text, "ecsdeploy-N.md"), ""))
	if untimed {
		text = stamps.ReplaceAllString(seen.ReplaceAllString(text, ""), "HH:MM:SS")
	}
	if interleaved {
		lines := slices.Collect(strings.Lines(regexp.MustCompile(`ID-\d+`).ReplaceAllString(text, "ID")))
		slices.Sort(lines)
		text = strings.Join(lines, "")
	}
	compare(t, archive, "log", text)
	called := w.actions(before)
	if scheduled.MatchString(section(archive, "script")) {
		w.Restrict(w.User()) // whoever looks now is not the run
		compare(t, archive, "schedules", w.started(t))
	}
	if untimed {
		return called
	}
	files := left(t, temps)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		compare(t, archive, name, named(strings.ReplaceAll(files[name], w.directory, "DIR")))
	}
	return called
}

// left is what the runs left in their temporary directories: the summaries as
// one text, and each file that the run hands on.
func left(t *testing.T, temps []string) map[string]string {
	t.Helper()
	found := map[string]string{"summary": ""}
	for _, temp := range temps {
		err := filepath.WalkDir(temp, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if rel, _ := filepath.Rel(temp, path); filepath.Ext(rel) == ".md" {
				found["summary"] += string(text)
			} else if strings.HasPrefix(rel, "ecsdeploy-recording-") {
				return checkRecording(text)
			} else if filepath.Ext(rel) == ".json" && filepath.Dir(rel) == "." {
				return checkResultFile(text)
			} else if filepath.ToSlash(filepath.Dir(rel)) == "ecs-deploy" {
				found[filepath.ToSlash(rel)] = string(text)
			} else {
				t.Errorf("left in the temporary directory: %s", rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// What differs from run to run: the summary's file name, ECR's tokens, how far a push is when
// one of its layers ends, and, where the SDK waits at random before it tries
// again, the times, and what a poll happens to see at its own.
var (
	unnamed = regexp.MustCompile(`ecsdeploy-\d+\.md`)
	tokens  = regexp.MustCompile(`(?m)(^##vso\[task\.setsecret\](AWS(:|%AZP253A))?([A-Z2-7]{52}|[\w+/]{60,}=*)\n)+`) // of ECR, masked as soon as one of several readings has them
	vary    = regexp.MustCompile(`##vso\[task\.setprogress value=\d+\]Pushing\n`)
	seen    = regexp.MustCompile(`(?m)^(\S+  \S+  (\d+ of|has |\(deployment).*|##vso\[task\.setprogress value=\d+\]Rolling out)\n`)
	stamps  = regexp.MustCompile(`\d\d:\d\d:\d\d|(\d+m )?\d+ ?s\b`)
	// The result file, which each run has: TestResultFile is about it.
	resultFile = regexp.MustCompile(`(?m)^##vso\[task\.setvariable variable=resultFile;isoutput=true\]TEMP.ecsdeploy-\d+\.json\n##vso\[task\.addattachment type=EcsDeploy\.Result;name=result\.json\]TEMP.ecsdeploy-\d+\.json\n`)
	// The recording, which each run has that failed: TestRecording is about it.
	ofRecording = regexp.MustCompile(`(?m)^\S+  attached a recording of this run to its logs.*\n##vso\[task\.uploadfile\].+\n`)
	ids         = regexp.MustCompile(`(?:\(task |task |task <code>|Task \| \[?<code>|task/\S+?/|ecs-svc/|service-deployment/[\w-]+/[\w-]+/|: )([0-9a-f]{32}|\d{19}|[\w-]{21})\b|\bd-([0-9A-Z]{9})\b|\becs-pause-(\w{20,})`)
)

// named gives ids names in the order in which they come up, so that a
// transcript can be read and does not change with every call that is made.
func named(text string) string {
	names := map[string]string{}
	var pairs []string
	for _, m := range ids.FindAllStringSubmatch(text, -1) {
		id := m[1] + m[2] + m[3]
		if names[id] == "" {
			names[id] = fmt.Sprintf("ID-%d", len(names)+1)
			pairs = append(pairs, id, names[id])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// perform does what a line of a script says.
func (w *world) perform(t *testing.T, fields []string) {
	t.Helper()
	switch verb, args := fields[0], fields[1:]; verb {
	case "scenario": // scenario NAME: how the next deployments of the service go
		scenario, err := emulator.ParseScenario(args[0])
		if err != nil {
			t.Fatal(err)
		}
		w.scenario = scenario
		w.Script(cluster, service, scenario)
	case "running": // running BUILD: this pipeline has rolled it out before
		w.push(t, args[0], "amd64")
		environ := environment(t, w, t.TempDir(), "command: rollout\nrepository: chat-app\ncluster: "+cluster+"\nservices: "+service+"\ntags: "+args[0])
		var log bytes.Buffer
		run(t.Context(), environ, &log, w.Transport())
		if !strings.Contains(log.String(), "outcome;isoutput=true]succeeded") {
			t.Fatalf("build %s could not be rolled out:\n%s", args[0], log.String())
		}
		time.Sleep(10 * time.Minute)
	case "rolled": // rolled BUILD [INPUT…]: this pipeline has rolled it out just now, however that ended
		environ := environment(t, w, t.TempDir(), "command: rollout\nrepository: chat-app\ncluster: "+cluster+"\nservices: "+service+"\ntags: "+args[0]+"\n"+strings.Join(args[1:], " "))
		var log bytes.Buffer
		run(t.Context(), environ, &log, w.Transport())
		if _, hook, paused := strings.Cut(log.String(), "variable=hookId;isoutput=true]"); paused {
			w.hook, _, _ = strings.Cut(hook, "\n")
		}
	case "service": // service NAME: another service on the same task definition
		w.addService(t, args[0])
	case "ungrouped": // the service is to be deployed by CodeDeploy, and nobody has told that
		w.ungrouped(t)
	case "codedeploy": // codedeploy KEEP [READY [CONFIGURATION]]: the service is deployed by CodeDeploy, see there
		args = append(args, []string{"", "0", ""}[len(args):]...)
		w.byCodeDeploy(t, number(t, args[0]), number(t, args[1]), args[2])
	case "hook": // hook EVENT FUNCTION: people who deploy by hand have it checked so
		w.hooks = append(w.hooks, fmt.Sprintf("{%q:%q}", args[0], args[1]))
	case "after": // after DURATION
		pause, err := time.ParseDuration(args[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
	case "busy": // busy BUILD: somebody has just begun to roll it out by hand
		w.update(t, args[0])
	case "untagged": // as an identity that may not tag
		w.Fail("ecs:RegisterTaskDefinition", emulator.Fault{Code: "AccessDeniedException", Times: 1,
			Message: "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ecs:TagResource on resource: arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:* because no identity-based policy allows the ecs:TagResource action"})
	case "image": // image TAG [ARCHITECTURE]: another stage has pushed it
		w.push(t, args[0], slices.Concat(args[1:], []string{"amd64"})[0])
	case "repository": // repository NAME: another one, empty
		if _, err := ecr.NewFromConfig(w.config).CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: &args[0]}); err != nil {
			t.Fatal(err)
		}
	case "signed": // signed PROFILE [FILTER…]: a rule of the registry has images signed, of repositories that match a filter
		w.sign(t, args[0], args[1:])
	case "signing": // signing takes=DURATION late=DURATION code=CODE reason=TEXT: how the jobs go, see signingOf
		if err := w.SetSigning("chat-app", signingOf(t, args)); err != nil {
			t.Fatal(err)
		}
	case "key": // key ID [ALIAS]: KMS has it
		w.AddKey(args[0], strings.Join(args[1:], ""))
	case "index": // index TAG PLATFORM…: another stage has pushed an index, with an attestation of its build
		w.pushIndex(t, args[0], args[1:])
	case "lifecycle": // lifecycle POLICY: of the repository, its JSON
		if _, err := ecr.NewFromConfig(w.config).PutLifecyclePolicy(t.Context(), &ecr.PutLifecyclePolicyInput{RepositoryName: aws.String("chat-app"), LifecyclePolicyText: aws.String(strings.Join(args, " "))}); err != nil {
			t.Fatal(err)
		}
	case "scanning": // scanning TYPE FREQUENCY: the registry's scanning configuration, for all repositories
		if _, err := ecr.NewFromConfig(w.config).PutRegistryScanningConfiguration(t.Context(), scanningOf(args)); err != nil {
			t.Fatal(err)
		}
	case "scan": // scan WORD…: what scans of the repository find, SEVERITY=N, and how they go, see scanOf
		if err := w.SetScan("chat-app", scanOf(t, args)); err != nil {
			t.Fatal(err)
		}
	case "archive": // archive FILE BUILD [ARCHITECTURE]: the build has saved it
		w.save(t, args[0], args[1], slices.Concat(args[2:], []string{"amd64"})[0])
	case "file": // file NAME TEXT…: any other file
		if err := os.WriteFile(filepath.Join(w.directory, args[0]), []byte(strings.Join(args[1:], " ")), 0o600); err != nil {
			t.Fatal(err)
		}
	case "task": // task FATE: what becomes of the next one-off task, see there
		w.task(t, args)
	case "deny": // deny OPERATION: as an identity without that right
		w.Fail(args[0], emulator.Denied())
	case "deregister": // deregister REVISION: somebody has tidied up
		if _, err := w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &args[0]}); err != nil {
			t.Fatal(err)
		}
	case "variable": // variable NAME VALUE: the agent gives it to every run
		w.variables = append(w.variables, args[0]+"="+args[1])
	case "policy": // policy DOCUMENT: all that the identity of the run may do
		policy, err := iam.Parse(iam.Identity, "", []byte(strings.Join(args, " ")))
		if err != nil {
			t.Fatal(err)
		}
		w.Restrict(w.User(), policy)
	case "lack": // lack NAME: the account does not have a role, parameter or secret
		w.Lack(args...)
	case "renew": // renew NAME: somebody has given a parameter or secret a new value
		w.Renew(args...)
	case "throttle": // throttle OPERATION TIMES
		w.Fail(args[0], emulator.Throttled(number(t, args[1])))
	case "concurrent": // concurrent OPERATION TIMES: another pipeline registers at the same time
		w.Fail(args[0], emulator.Fault{Code: "ClientException", Times: number(t, args[1]),
			Message: "Too many concurrent attempts to create a new revision of the specified family."})
	default:
		if w.performRunning(t, verb, args) || w.performSchedule(t, verb, args) {
			return
		}
		t.Fatalf("the script says %q, which nobody understands", verb)
	}
}

// environment is what an agent sets for a task, by the names of the inputs in YAML.
func environment(t *testing.T, w *world, temp, inputs string) []string {
	t.Helper()
	given := map[string]string{"region": region}
	if err := yaml.Unmarshal([]byte(inputs), &given); err != nil {
		t.Fatal(err)
	}
	build := "17"
	if given["tags"] != "" { // the tag of an image is the id of the build that made it
		build = given["tags"]
	}
	environ := []string{
		"BUILD_BUILDID=" + build, "AWS_ACCESSKEYID=AKIAIOSFODNN7EXAMPLE", "SECRET_AWS_SECRETACCESSKEY=wJalrXUtnFEMI",
		"SYSTEM_DEFAULTWORKINGDIRECTORY=" + w.directory, "AGENT_TEMPDIRECTORY=" + temp,
		taskFolder + "=" + w.directory, // where the script may put the placeholder
		"SYSTEM_COLLECTIONURI=https://dev.azure.com/example/", "SYSTEM_TEAMPROJECT=chat", "BUILD_DEFINITIONNAME=chat-app", "BUILD_SOURCEVERSION=5f2d0c1",
	}
	if given["hookId"] == "PAUSED" { // the output of the run before
		given["hookId"] = w.hook
	}
	for name, value := range given {
		environ = append(environ, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	if given["tags"] == "" {
		environ = append(environ, "INPUT_TAGS=17") // the default $(Build.BuildId), which the agent expands
	}
	return append(environ, w.variables...)
}

func section(archive *txtar.Archive, name string) string {
	for _, f := range archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func compare(t *testing.T, archive *txtar.Archive, name, got string) {
	t.Helper()
	if *update {
		archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
		if got != "" {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got)})
		}
		return
	}
	if want := section(archive, name); got != want {
		t.Errorf("the %s is another one than the transcript's:\n%s", name, difference(want, got))
	}
}

// difference shows the first lines in which two texts differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d\nwant: %s\ngot:  %s\n\nall of it:\n%s", i+1, x, y, got)
		}
	}
	return ""
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// layerOf is a layer, uncompressed, that holds one file.
func layerOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
