package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/report"
)

// TestEndings measures how the usual ways to deploy end in each scenario of the
// emulator, and holds docs/endings.md to it ("-update" writes it anew):
//
//   - the script: describe | jq | register, update-service, done;
//   - the script with "aws ecs wait services-stable", which asks every 15 s, 40 times;
//   - this task.
//
// With -short, as under the race detector, one scenario in four is played, and the
// document left alone.
func TestEndings(t *testing.T) {
	const document = "../../docs/endings.md"
	clearAWS(t)
	var table strings.Builder
	table.WriteString("| scenario | what happens | script | script and waiter | this task | outcome |\n|---|---|---|---|---|---|\n")
	for i, scenario := range slices.Concat(scripted(), special()) {
		if testing.Short() && i%4 != 0 {
			continue
		}
		var script, waiter, ours ending
		t.Run(scenario.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { script, waiter = byScript(t, scenario) })
			synctest.Test(t, func(t *testing.T) { ours = byTask(t, scenario) })
		})
		if scenario.ThrottleEvery > 0 {
			// The SDK waits at random before it tries again.
			waiter.after, ours.after = waiter.after.Round(time.Minute), ours.after.Round(time.Minute)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s | `%s` |\n", scenario.Name, scenario.Description, script, waiter, ours, ours.outcome)

		if ours.green && ours.outcome != "succeeded" && ours.outcome != "unchanged" && ours.outcome != "paused" {
			t.Errorf("scenario %s: green with outcome %s", scenario.Name, ours.outcome)
		}
	}
	if testing.Short() {
		return
	}
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- measured: begin -->\n", "<!-- measured: end -->"
	before, rest, found := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has lost its marks", document)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("%s is not what is measured: %s", document, difference(string(data), want))
	}
}

// ending is how a way to deploy ended, and after how long.
type ending struct {
	green   bool
	warned  bool
	after   time.Duration
	outcome string
}

func (e ending) String() string {
	mark := "🔴"
	switch {
	case e.warned:
		mark = "🟡"
	case e.green:
		mark = "🟢"
	}
	return mark + " " + report.Duration(e.after)
}

// situation is a scenario, and what there was before it, as lines of a script.
type situation struct {
	emulator.Scenario
	before []string
}

// scripted are the emulator's scenarios, for a service that runs build 16.
func scripted() []situation {
	var all []situation
	for _, s := range emulator.Scenarios() {
		all = append(all, situation{s, []string{"running 16", "image 17"}})
	}
	return all
}

// special are situations that lie in the service, not in how its tasks fare.
func special() []situation {
	named := func(name, description string, before ...string) situation {
		return situation{emulator.Scenario{Name: name, Description: description, Fates: []emulator.Fate{{}}}, before}
	}
	return []situation{
		named("express", "an Express service, whose task definition only its deployments name; it succeeds", "running 16", "image 17", "express bare"),
		named("moved-tag", "the service runs build 17 already, and the tag 17 was pushed again with another image", "mutable", "running 17", "moved 17 18"),
		named("scaled", "the service runs build 17 already, and its desired count was just raised from 2 to 5", "running 17", "count 5"),
		named("termination-wait", "CodeDeploy keeps the previous tasks for an hour after the traffic is shifted; it succeeds", "codedeploy 60", "image 16", "busy 16", "after 90m", "image 17"),
	}
}

// settledWorld is the service in a situation.
func settledWorld(t *testing.T, s situation) *world {
	w := newWorld(t)
	time.Sleep(10 * time.Minute)
	for _, line := range s.before {
		w.perform(t, strings.Fields(line))
	}
	w.Script(cluster, service, s.Scenario)
	return w
}

// byScript judges by botocore's waiter services_stable, as the CLI has it:
// https://github.com/boto/botocore/blob/develop/botocore/data/ecs/2014-11-13/waiters-2.json
func byScript(t *testing.T, scenario situation) (script, waiter ending) {
	w := settledWorld(t, scenario)
	w.update(t, "17")
	script.green = true // the update was accepted, and nobody looked further
	begin := time.Now()
	for range 40 {
		out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
		if err != nil { // the CLI gives up at the first error that its few retries do not cure
			break
		}
		if s := out.Services[0]; len(s.Deployments) == 1 && s.RunningCount == s.DesiredCount {
			return script, ending{green: true, after: time.Since(begin)}
		}
		time.Sleep(15 * time.Second)
	}
	return script, ending{after: time.Since(begin)}
}

func byTask(t *testing.T, scenario situation) ending {
	w := settledWorld(t, scenario)
	begin := time.Now()
	var log bytes.Buffer
	environ := environment(t, w, t.TempDir(), "command: rollout\nrepository: chat-app\ncluster: "+cluster+"\nservices: "+service)
	run(t.Context(), environ, &log, w.Transport())
	e := ending{green: !strings.Contains(log.String(), "result=Failed]"), warned: strings.Contains(log.String(), "result=SucceededWithIssues]"), after: time.Since(begin)}
	if m := regexp.MustCompile(`variable=outcome;isoutput=true\](\w+)`).FindStringSubmatch(log.String()); m != nil {
		e.outcome = m[1]
	}
	return e
}
