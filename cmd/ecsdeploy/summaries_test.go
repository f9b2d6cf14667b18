package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

var summaries = flag.String("summaries", "", "write the summaries as pages to this directory, for pictures")

// page is about what the Extensions tab looks like: its font, tables, and no more.
const page = `<!doctype html><meta charset="utf-8"><title>%s</title><style>
body { font: 14px/1.5 "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; color: #323130; margin: 20px; width: 960px }
table { border-collapse: collapse; margin: 8px 0 } td, th { border: 1px solid #d0d0d0; padding: 4px 10px; text-align: left; vertical-align: top }
th:empty { padding: 0 } code, pre { font: 12px/1.45 Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere } pre { background: #f4f4f4; padding: 10px }
a { color: #0078d4; text-decoration: none } blockquote { border-left: 3px solid #d0d0d0; margin: 0; padding-left: 12px }
header { font-size: 18px; font-weight: 600; border-bottom: 1px solid #d0d0d0; padding-bottom: 6px }</style><header>%s</header>%s`

// TestSummaries plays the runs whose summaries docs/summaries shows.
func TestSummaries(t *testing.T) {
	clearAWS(t)
	rollout := "{command: rollout, repository: chat-app, cluster: " + cluster + ", services: " + service + ", tags: '20'}"
	task := "{command: runTask, cluster: " + cluster + ", services: " + service + `, containerCommand: '["npm", "run", "migrate"]'}`
	for _, tt := range []struct {
		name, scenario, inputs, services string
		further                          []string // lines of a script
	}{
		{"succeeded", "complete", rollout, "", nil},
		{"failed", "crash", rollout, "", nil},
		{"paused", "paused", rollout, "", nil},
		{"several", "crash", strings.Replace(rollout, service, "'"+service+"\n\n  chat-worker'", 1), "chat-worker", nil},
		{"mistake", "complete", strings.Replace(rollout, cluster, "product-dev", 1), "", nil},
		{"slow", "draining", rollout, "", []string{"balanced"}},
		{"smoke", "paused", strings.Replace(rollout, "{", "{smokeTest: /health retries=2, ", 1), "", []string{"balanced", "scenario paused", "answers 500 the database is locked"}},
		{"task", "complete", task, "", []string{"task exit 3 20s applying 0001|duplicate column"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), history()
				if len(tt.further) > 0 && tt.further[0] == "balanced" { // before there is a deployment of the pipeline
					w.perform(t, []string{"balanced"})
				}
				w.perform(t, []string{"running", "17"})
				if tt.services != "" {
					w.addService(t, tt.services)
				}
				w.push(t, "20", "amd64")
				w.perform(t, []string{"scenario", tt.scenario})
				for _, line := range tt.further {
					if line != "balanced" {
						w.perform(t, strings.Fields(line))
					}
				}
				temp := t.TempDir()
				var log bytes.Buffer
				run(t.Context(), inPipeline(devops, environment(t, w, temp, tt.inputs)...), &log, clouds{devops, w.Transport()})
				_, name, _ := strings.Cut(log.String(), "type=Distributedtask.Core.Summary;name=")
				name, _, named := strings.Cut(name, "]")
				all := markdownIn(t, temp)
				if !named || len(all) != 1 {
					t.Fatalf("%d summaries, section %q:\n%s", len(all), name, log.String())
				}
				var body bytes.Buffer
				markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
				if err := markdown.Convert([]byte(all[0]), &body); err != nil {
					t.Fatal(err)
				}
				if *summaries == "" {
					return
				}
				if err := os.WriteFile(filepath.Join(*summaries, tt.name+".html"), fmt.Appendf(nil, page, name, name, body.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
