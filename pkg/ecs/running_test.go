package ecs

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator"
)

// TestRunningTasks: the tasks of several deployments are listed for the whole cluster,
// unless that takes more calls than a list for each.
func TestRunningTasks(t *testing.T) {
	names := []string{"web", "api", "admin", "worker", "mail"}
	for name, tt := range map[string]struct {
		deployments int
		web         int // tasks of the first
		fault       string
		lists       int // calls of ListTasks
		denied      bool
	}{
		"few":                     {deployments: 3, web: 1, lists: 3},
		"several":                 {deployments: 5, web: 1, lists: 1},
		"on two pages":            {deployments: 5, web: 150, lists: 2},
		"on too many pages":       {deployments: 5, web: 250, lists: 2 + 4 + 3},
		"one cannot be described": {deployments: 5, web: 1, fault: "ecs:DescribeTasks", lists: 6, denied: true},
		"they cannot be listed":   {deployments: 5, web: 1, fault: "ecs:ListTasks", lists: 6, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, names...)
				s, err := a.Service(t.Context(), "dev", "web")
				if err == nil {
					_, err = a.Update(t.Context(), s, Update{DesiredCount: &tt.web})
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Minute)
				ids := make([]string, tt.deployments)
				for i := range ids {
					s, err := a.Service(t.Context(), "dev", names[i])
					if err != nil {
						t.Fatal(err)
					}
					ids[i] = s.Primary().ID
				}
				if tt.fault != "" {
					a.Fail(tt.fault, emulator.Denied())
				}
				before := a.count("ListTasks")
				var wait sync.WaitGroup
				for i, id := range ids {
					wait.Go(func() {
						want := 1
						if i == 0 {
							want = tt.web
						}
						tasks, complete, err := a.Tasks(t.Context(), "dev", id, "RUNNING", 1000)
						if denied := Classify(err) == Denied; denied != tt.denied || !denied && (err != nil || !complete || len(tasks) != want) {
							t.Errorf("%s: %d tasks, complete %t, %v; want %d, denied %t", names[i], len(tasks), complete, err, want, tt.denied)
						}
					})
				}
				wait.Wait()
				if lists := a.count("ListTasks") - before; lists != tt.lists {
					t.Errorf("%d calls of ListTasks, want %d", lists, tt.lists)
				}
			})
		})
	}
}
