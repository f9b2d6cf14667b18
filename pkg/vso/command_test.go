package vso_test

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/vso"
)

func TestCommandString(t *testing.T) {
	for name, test := range map[string]struct {
		command vso.Command
		want    string
	}{
		"result":              {vso.Complete(vso.Failed, "rolled back"), "##vso[task.complete result=Failed]rolled back"},
		"error":               {vso.LogIssue(vso.Error, "no such cluster"), "##vso[task.logissue type=error]no such cluster"},
		"warning, two lines":  {vso.LogIssue(vso.Warning, "a\r\nb"), "##vso[task.logissue type=warning]a%0Ab"},
		"progress":            {vso.SetProgress(40, "pushing"), "##vso[task.setprogress value=40]pushing"},
		"progress held below": {vso.SetProgress(-1, ""), "##vso[task.setprogress value=0]"},
		"progress held above": {vso.SetProgress(101, ""), "##vso[task.setprogress value=100]"},
		"progress on a line":  {vso.SetProgress(5, "a\nb"), "##vso[task.setprogress value=5]a · b"},
		"output variable":     {vso.SetVariable("imageUri", "host/app:1"), "##vso[task.setvariable variable=imageUri;isoutput=true]host/app:1"},
		"empty value":         {vso.SetVariable("previousImage", ""), "##vso[task.setvariable variable=previousImage;isoutput=true]"},
		"value kept exactly":  {vso.SetVariable("x", " 100%\r\n]; "), "##vso[task.setvariable variable=x;isoutput=true] 100%AZP25%0D%0A]; "},
		"property escaped":    {vso.SetVariable("a];b=%\r\n", ""), "##vso[task.setvariable variable=a%5D%3Bb=%AZP25%0D%0A;isoutput=true]"},
		"property empty":      {vso.SetVariable("", "x"), "##vso[task.setvariable isoutput=true]x"},
		"file":                {vso.UploadFile(`C:\agent\_temp\a.json`), `##vso[task.uploadfile]C:\agent\_temp\a.json`},
		"attachment":          {vso.Attach("EcsDeploy.Result", "result 1", "/tmp/a.json"), "##vso[task.addattachment type=EcsDeploy.Result;name=result 1]/tmp/a.json"},
		"summary":             {vso.AddSummary("dev - web", `C:\agent\_temp\summary.md`), `##vso[task.addattachment type=Distributedtask.Core.Summary;name=dev - web]C:\agent\_temp\summary.md`},
		"debug":               {vso.Debug("polling"), "##vso[task.debug]polling"},
		"message cleaned":     {vso.LogIssue(vso.Error, "said ##vso[task.complete]"), "##vso[task.logissue type=error]said **vso[task.complete]"},
		"no command":          {vso.Command{}, ""},
	} {
		if got := test.command.String(); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

func TestLongMessageIsCut(t *testing.T) {
	message := strings.Repeat(strings.Repeat("x", 100)+"\n", 1000)
	got, ok := parse(vso.LogIssue(vso.Error, message).String())
	if !ok || len(got.data) > vso.MaxText || !strings.HasSuffix(got.data, " more bytes)") {
		t.Errorf("data has %d bytes and ends in %q", len(got.data), got.data[len(got.data)-40:])
	}
}

// Whatever is put into a command comes out of the agent's decoder, and nothing
// of it ends the command early or starts another one.
func FuzzCommandRoundTrip(f *testing.F) {
	f.Add("imageUri", "host/app:1")
	f.Add("100%", "%AZP25%0D%0A%3B%5D")
	f.Add("a;b]c=d", "line\r\nline]; ##vso[task.complete result=Failed]")
	f.Add("%0", "D\x00\u00ad")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, property, data string) {
		line := vso.SetVariable(property, data).String()
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("a line break in %q", line)
		}
		got, ok := parse(line)
		if !ok || got.area != "task" || got.event != "setvariable" ||
			got.properties["variable"] != property || got.properties["isoutput"] != "true" || got.data != data {
			t.Errorf("%q was read as %+v, want property %q and data %q", line, got, property, data)
		}
	})
}
