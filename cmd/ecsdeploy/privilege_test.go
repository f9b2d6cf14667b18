package main

// Least privilege, enforced: the emulator evaluates the documented policies, resources
// and conditions included. Every recorded run of a command is played with its policy,
// and then with each action missing in turn.

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/emulator/iam"
)

// documented returns the policy documents of docs/permissions.md by their headings,
// with the names of the account in which the transcripts play.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "permissions.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer(
		"application:chat-app", "application:"+appName,
		"deploymentgroup:chat-app/chat-app-dev", "deploymentgroup:"+appName+"/"+deploymentGroup,
	)
	all := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		if _, document, found := strings.Cut(body, "```json\n"); found {
			document, _, _ = strings.Cut(document, "```")
			all[name] = names.Replace(document)
		}
	}
	return all
}

// without returns a policy document without an action.
func without(t *testing.T, document, action string) string {
	t.Helper()
	var p policy
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		t.Fatal(err)
	}
	p.Statement = slices.DeleteFunc(p.Statement, func(s statement) bool { return slices.Equal(s.Action, texts{action}) })
	if len(p.Statement) == 0 {
		return others // a document of that action alone: one without any is none
	}
	for i, s := range p.Statement {
		p.Statement[i].Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
	}
	changed, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}

// others are what runs ask for without a policy: to suggest the names of clusters and
// services where one does not exist.
const others = `{"Version":"2012-10-17","Statement":[{"Sid":"Names","Effect":"Allow","Action":["ecs:ListClusters","ecs:ListServices"],"Resource":"*"}]}`

// restrict gives the run's identity policies. Further services and repositories of a
// transcript are what a team adds to the documented ones.
func (w *world) restrict(t *testing.T, archive *txtar.Archive, documents ...string) {
	t.Helper()
	title, _, _ := strings.Cut(string(archive.Comment), "\n")
	var policies []iam.Policy
	for _, document := range documents {
		if misnamed[title] {
			document = namedARN.ReplaceAllString(document, `"*"`)
		}
		for _, name := range further.FindAllStringSubmatch(section(archive, "script")+section(archive, "inputs"), -1) {
			document = strings.ReplaceAll(document, "/"+service, "/*")
			if name[1] == "repository" {
				document = strings.ReplaceAll(document, "repository/chat-app", "repository/*")
			}
		}
		p, err := iam.Parse(iam.Identity, "", []byte(document))
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	w.Restrict(w.User(), policies...)
}

// misnamed are the transcripts, by their first lines, in which a name is misspelt or
// does not exist yet: with the documented policy the answer would be that access to
// such a name is denied.
var misnamed = map[string]bool{
	"There is no service yet: the placeholder is the image to begin with.":               true,
	"A task definition without a service: the revision is registered, and is an output.": true,
	"A task definition without a service, and a repository that the run creates.":        true,
	"A cluster that does not exist, with those that do.":                                 true,
	"Everything that names a container which is not there is reported at once, with":     true,
	"Two things that only AWS knows to be wrong are reported together, before":           true,
}

var namedARN = regexp.MustCompile(`"arn:aws:ec[rs]:[^"]*"`)

var further = regexp.MustCompile(`(?m)^(service|repository)(?: |: *another)`)

// granted are the documents for a transcript.
func granted(archive *txtar.Archive, documents map[string]string) []string {
	command, additions := policyNames(policyName(archive))
	all := []string{documents[command], others}
	if command == "verify" { // it tells what its identity may change, as for the deployment that it is about
		all = append(all, documents["deploy"])
	}
	for _, addition := range additions {
		all = append(all, documents[addition])
	}
	return all
}

// dispensable reports whether the table "Without these actions" says that a command
// can do without an action: of every command, or of those that its row names after in;
// and whether it says that the log tells.
func dispensable(t *testing.T, policy, action string) (free, told bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "permissions.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Without these actions")
	table, _, _ = strings.Cut(table, "\n## ")
	for line := range strings.Lines(table) {
		columns := strings.Split(line, "|")
		if len(columns) < 3 || strings.Contains(columns[2], "the step fails") {
			continue
		}
		actions, commands, some := strings.Cut(columns[1], " in ")
		if strings.Contains(actions, "`"+action+"`") && (!some || strings.Contains(commands, "`"+policy+"`")) {
			return true, strings.Contains(columns[2], "log says")
		}
	}
	return false, false
}

// currentWhileBusy is a run that no transcript shows: it asks for the current image
// while somebody deploys.
const currentWhileBusy = `
-- inputs --
command: currentImage
repository: chat-app
cluster: product-dev-cluster
services: chat-app-dev-ecs-svc
-- script --
running 16
image 17
busy 17
`

// implied are the actions that AWS checks as part of another call.
var implied = map[string]string{
	"ecs:RegisterTaskDefinition": "iam:PassRole ecs:TagResource", "ecs:UpdateService": "iam:PassRole", "ecs:RunTask": "iam:PassRole",
	"ecr:CreateRepository": "kms:DescribeKey kms:CreateGrant", "ecr:DescribeImageSigningStatus": "signer:SignPayload",
	"codedeploy:CreateDeployment": "codedeploy:RegisterApplicationRevision codedeploy:GetDeploymentConfig",
}

// checkMissingActions takes each action of each policy away: the run fails and names the
// action, the resource and the statement to add; or, where the table says that it can
// do without, it ends as it would, and the log says what is missing. An action without
// which no run changes is one too many. One in ten is taken away, with "-faults" every one.
func checkMissingActions(t *testing.T, archives map[string]*txtar.Archive, called map[string][]string) {
	documents := documented(t)
	users := map[string][]string{}           // the runs that use an action of a policy, by "command policy action"
	commands := map[string]map[string]bool{} // that are played with a policy
	for _, name := range slices.Sorted(maps.Keys(archives)) {
		if strings.Contains(section(archives[name], "script"), "cancel ") {
			continue // how these end is not the policy's doing
		}
		command, additions := policyNames(policyName(archives[name]))
		for _, action := range called[name] {
			for _, action := range append(strings.Fields(implied[action]), action) {
				for _, policy := range append([]string{command}, additions...) {
					cell := command + " " + policy + " " + action
					users[cell] = append(users[cell], name)
					if commands[policy] == nil {
						commands[policy] = map[string]bool{}
					}
					commands[policy][command] = true
				}
			}
		}
	}
	for _, addition := range everywhere {
		for _, command := range []string{"deploy", "rollout"} {
			if !commands[addition][command] {
				t.Errorf("no run of %s is played with the policy of %s", command, addition)
			}
		}
	}
	random, cells := rand.New(rand.NewPCG(max(*seed, 1), 9)), 0
	for _, policy := range slices.Sorted(maps.Keys(policies(t))) {
		if policy == "roleArn" || policy == "sourceCredentials" {
			continue // for another identity; TestPromotion runs with that of sourceCredentials
		}
		for _, action := range slices.Sorted(maps.Keys(policies(t)[policy])) {
			played := 0
			for _, command := range slices.Sorted(maps.Keys(commands[policy])) {
				runs := users[command+" "+policy+" "+action]
				played += len(runs)
				own := command != policy && policies(t)[command][action] // the command may do it all the same
				if len(runs) == 0 || own || !*allFaults && random.IntN(10) > 0 {
					continue // "-faults" takes every one away
				}
				cells++
				var problems []string
				for _, name := range preferred(runs) {
					if problems = missing(t, archives[name], documents, policy, action); len(problems) == 0 {
						break
					}
				}
				if len(problems) > 0 {
					t.Errorf("%s with the policy of %s without %s: %s", command, policy, action, strings.Join(append(problems, fmt.Sprintf("(%d runs use it)", len(runs))), "\n"))
				}
			}
			if played == 0 && !unused(policy, action) {
				t.Errorf("no run uses %s, which the policy of %s allows: add one to plays", action, policy)
			}
		}
	}
	t.Logf("%d actions taken away", cells)
}

// unused are the actions of a policy that no run here needs, each for a reason.
func unused(policy, action string) bool {
	switch policy {
	case "deploy", "rollback", "resume":
		if action == "ecs:UntagResource" { // takes two runs with another desired count; rollout shows it
			return true
		}
	case "placeholder":
		return action == "ecr:GetDownloadUrlForLayer" // that of push, which it is
	case "runTask": // for a base that the pipeline has made and that was rolled back
		return action == "ecs:DescribeServiceRevisions" || action == "ecs:ListServiceDeployments"
	}
	// How a deployment ends after it was resumed is what rollout shows.
	after := []string{"logs:GetLogEvents", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetGroupAttributes", "ecs:StopServiceDeployment", "ecs:ListServiceDeployments"}
	if policy == "rollback" { // to what ran before, which the emulator never lets fail
		return slices.Contains(append(after, "elasticloadbalancing:DescribeTargetHealth"), action)
	}
	return policy == "resume" && slices.Contains(after, action)
}

// preferred are the transcripts with which an action is tried: the shortest names,
// which are of the plain runs, and no more than six.
func preferred(names []string) []string {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return len(a) - len(b) })
	return names[:min(len(names), 6)]
}

// missing plays a transcript without an action and returns what is wrong with how it
// ended.
func missing(t *testing.T, archive *txtar.Archive, documents map[string]string, policy, action string) (problems []string) {
	free, told := dispensable(t, policy, action)
	var with, lacking performance
	for _, p := range []*performance{&with, &lacking} {
		reduced := map[string]string{}
		for name, document := range documents {
			reduced[name] = document
			// What verify reads it may not read by the other policy, either, of which it tells.
			if p == &lacking && (name == policy || policy == "verify" && name == "deploy") {
				reduced[name] = without(t, document, action)
			}
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			time.Sleep(10 * time.Minute)
			runs := 1
			for line := range strings.Lines(section(archive, "script")) {
				switch fields := strings.Fields(line); {
				case len(fields) == 0 || fields[0] == "untimed" || fields[0] == "interleaved":
				case fields[0] == "runs":
					runs = number(t, fields[1])
				default:
					w.perform(t, fields)
				}
			}
			w.restrict(t, archive, granted(archive, reduced)...)
			var log strings.Builder
			for range runs {
				run(t.Context(), append(environment(t, w, t.TempDir(), section(archive, "inputs")), "SYSTEM_DEBUG=true"), &log, w.Transport())
			}
			p.log = log.String()
		})
	}
	if problem := injected(lacking.log); len(problem) > 0 {
		problems = append(problems, problem...)
	}
	named := strings.Contains(lacking.log, action)
	switch {
	case !free && lacking.result() != "Failed":
		problems = append(problems, "the run does not fail: "+lacking.result())
	case !free && !regexp.MustCompile(regexp.QuoteMeta(action)+` on (arn:\S+|\*)`).MatchString(lacking.log):
		problems = append(problems, "the error does not name the action and the resource\n"+tail(lacking.log))
	case !free && !strings.Contains(lacking.log, `"Effect":"Allow","Action":"`+action+`","Resource":"`):
		problems = append(problems, "the error has no statement to add\n"+tail(lacking.log))
	case free && (lacking.result() == "Failed" && with.result() != "Failed" || lacking.output("outcome") != with.output("outcome")):
		problems = append(problems, fmt.Sprintf("ends as %s %s, and otherwise as %s %s\n%s", lacking.result(), lacking.output("outcome"), with.result(), with.output("outcome"), tail(lacking.log)))
	case free && told && !named:
		problems = append(problems, "the log does not name it\n"+tail(lacking.log))
	}
	return problems
}
