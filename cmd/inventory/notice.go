package main

// The file NOTICE: a table of the modules, then each licence text once, with
// the modules that it is the licence of.

import (
	"fmt"
	"io"
	"strings"
)

const preface = `ECS Deploy for Azure Pipelines
Copyright (c) 2026 The ecs-deploy authors; MIT licence, see LICENSE.

The executables in this extension contain the Go modules below, in object form. This file is
generated from the module graph: ./build.sh notice.

`

func writeNotice(out io.Writer, shipped []module) error {
	var b strings.Builder
	b.WriteString(preface)
	for _, m := range shipped {
		version := m.Version
		if m.Path == standard {
			version = "" // whichever Go builds it: the file must not change with that
		}
		fmt.Fprintf(&b, "  %-62s %-21s %s\n", name(m), version, strings.Join(m.Licences, " and "))
	}
	rule := strings.Repeat("=", 96)
	type text struct {
		body string
		of   []string
	}
	var texts []*text // in the order in which they come up
	seen := map[string]*text{}
	for _, m := range shipped {
		for _, l := range m.Texts {
			body := canonical(l.Text)
			if seen[body] == nil {
				seen[body] = &text{body: body}
				texts = append(texts, seen[body])
			}
			seen[body].of = append(seen[body].of, name(m)+": "+l.Path)
		}
	}
	for _, t := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n%s\n\n%s", rule, strings.Join(t.of, "\n"), rule, t.body)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// name is what people call a module.
func name(m module) string {
	if m.Path == standard {
		return "Go's standard library and runtime"
	}
	return m.Path
}

// canonical makes texts that differ only in line ends and outer space equal.
func canonical(text string) string {
	return strings.Trim(strings.ReplaceAll(text, "\r\n", "\n"), "\n") + "\n"
}
