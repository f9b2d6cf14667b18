package agent

// The part of task.json that an agent reads, and the choice of the handler.

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// definition is a task.json (Agent.Worker/TaskManager.cs, DefinitionData).
type definition struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	FriendlyName string `json:"friendlyName"`
	Description  string `json:"description"`
	Author       string `json:"author"`
	HelpURL      string `json:"helpUrl"`
	HelpMarkDown string `json:"helpMarkDown"`

	Version struct{ Major, Minor, Patch int } `json:"version"`

	Inputs          []inputDefinition `json:"inputs"`
	OutputVariables []struct {
		Name string `json:"name"`
	} `json:"outputVariables"`
	Execution    map[string]execution `json:"execution"`
	Restrictions restrictions         `json:"restrictions"`
}

type inputDefinition struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	DefaultValue string   `json:"defaultValue"`
	Aliases      []string `json:"aliases"`
}

type execution struct {
	Target string `json:"target"`
}

// restrictions limit what a task's logging commands may do (Agent.Worker/TaskRestrictionsExtension.cs).
type restrictions struct {
	Commands struct {
		Mode string `json:"mode"`
	} `json:"commands"`
	SettableVariables *struct {
		Allowed []string `json:"allowed"`
	} `json:"settableVariables"`
}

func readTask(dir string) (definition, error) {
	var d definition
	data, err := os.ReadFile(filepath.Join(dir, "task.json"))
	if err != nil {
		return d, fmt.Errorf("read the task's manifest: %w", err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("task.json: %w", err)
	}
	if d.ID == "" || d.Name == "" {
		return d, fmt.Errorf("task.json: id and name must not be empty")
	}
	return d, nil
}

func (d definition) version() string {
	return fmt.Sprintf("%d.%d.%d", d.Version.Major, d.Version.Minor, d.Version.Patch)
}

// handler returns the handler that an agent off Windows prefers, newest Node first, and the script it runs.
// Priorities: Agent.Worker/TaskManager.cs. Node16 and older are left out: newer agents do not carry them.
func (d definition) handler() (name, target string, err error) {
	for _, name := range []string{"Node24", "Node20_1"} {
		e, ok := d.Execution[name]
		if !ok {
			continue
		}
		if e.Target == "" {
			return "", "", fmt.Errorf("task.json: execution.%s has no target", name)
		}
		return name, e.Target, nil
	}
	return "", "", fmt.Errorf("task.json: no handler that a current agent has: want execution.Node24 or execution.Node20_1")
}

// input finds a declared input by its name or one of its aliases; both ignore case.
func (d definition) input(name string) (inputDefinition, bool) {
	i := slices.IndexFunc(d.Inputs, func(in inputDefinition) bool {
		return strings.EqualFold(in.Name, name) ||
			slices.ContainsFunc(in.Aliases, func(alias string) bool { return strings.EqualFold(alias, name) })
	})
	if i < 0 {
		return inputDefinition{}, false
	}
	return d.Inputs[i], true
}

func (d definition) isOutput(name string) bool {
	for _, o := range d.OutputVariables {
		if strings.EqualFold(o.Name, name) {
			return true
		}
	}
	return false
}

// maySet reports whether the task may set a variable. No list allows every name, an empty list none; patterns ignore case.
func (r restrictions) maySet(variable string) bool {
	if r.SettableVariables == nil || r.SettableVariables.Allowed == nil {
		return true
	}
	for _, pattern := range r.SettableVariables.Allowed {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(variable)); ok {
			return true
		}
	}
	return false
}

func (r restrictions) restricted() bool { return strings.EqualFold(r.Commands.Mode, "restricted") }
