//go:build unix

package main

// The process as a whole: its streams, its last word, and whom it listens to. The
// process is this test's own binary, which then runs main.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ecsdeploy/pkg/vso"
)

func TestMain(m *testing.M) {
	if os.Getenv("ECSDEPLOY_TEST_AS_TASK") != "" {
		os.Unsetenv("ECSDEPLOY_TEST_AS_TASK")
		main()
	}
	os.Exit(m.Run())
}

// process is the task's executable with an environment of its own.
func process(t *testing.T, environ ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.CommandContext(t.Context(), self)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	temp := t.TempDir()
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "ECSDEPLOY_TEST_AS_TASK=1", "GORACE=atexit_sleep_ms=0", "AGENT_TEMPDIRECTORY=" + temp,
		"AWS_EC2_METADATA_DISABLED=true", "INPUT_COMMAND=push", "INPUT_REPOSITORY=chat-app", "INPUT_IMAGE=app.tar", "INPUT_TAGS=17",
		"INPUT_REGION=eu-west-1", "AWS_CONFIG_FILE=" + filepath.Join(temp, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(temp, "none"),
	}, environ...)
	return cmd, stdout, stderr
}

// credentials has the SDK get its credentials from a shell script.
func credentialProcess(t *testing.T, cmd *exec.Cmd, script string) {
	t.Helper()
	for _, entry := range cmd.Env {
		if config, ok := strings.CutPrefix(entry, "AWS_CONFIG_FILE="); ok {
			program := filepath.Join(filepath.Dir(config), "helper")
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(config, []byte("[default]\ncredential_process = "+program+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestChildrenCannotCommand: what a credential_process prints, or finds among its
// descriptors, reaches the agent as harmless lines only.
func TestChildrenCannotCommand(t *testing.T) {
	cmd, stdout, stderr := process(t, "ECSDEPLOY_CONCLUDED=83")
	credentialProcess(t, cmd, `
		printf '##vso[task.complete result=Succeeded]\r##vso[task.setvariable variable=outcome;isoutput=true]succeeded\n' >&2
		printf '##v\302\255so[task.complete]\0##\342\200\213vso[a.b]\n#' >&2
		for fd in 1 3 4 5 6 7 8 9; do (printf '\n##vso[task.setvariable variable=imageUri;isoutput=true]fd%s\n' $fd >&$fd) 2>/dev/null; done
		printf 'conclude=%s input=%s\n' "$ECSDEPLOY_CONCLUDED" "$INPUT_IMAGE" >&2
		printf '#vso[task.complete result=Succeeded] no line end' >&2
		exit 7`)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if code := exitCode(t, cmd.Run()); code != 83 {
		t.Errorf("exit code %d, want the agreed 83", code)
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error: %q", stderr)
	}
	for line := range strings.Lines(stdout.String()) {
		if at := strings.Index(line, "##vso"); at > 0 || at == 0 && !strings.HasPrefix(line, "##vso[task.logissue type=error]") && !strings.HasPrefix(line, "##vso[task.complete result=Failed]") &&
			!strings.HasPrefix(line, "##vso[task.setvariable variable=resultFile;isoutput=true]/") &&
			!strings.HasPrefix(line, "##vso[task.uploadfile]/") &&
			!strings.HasPrefix(line, "##vso[task.addattachment type=EcsDeploy.Result;name=result.json]/") &&
			!strings.HasPrefix(line, "##vso[task.addattachment type=Distributedtask.Core.Summary;name=Amazon ECS]/") {
			t.Errorf("a foreign command: %q", line)
		}
	}
	for _, want := range []string{
		"external output: **vso[task.complete result=Succeeded]\nexternal output: **vso[task.setvariable variable=outcome;isoutput=true]succeeded\n",
		"external output: **vso[task.complete]**vso[a.b]\n", "external output: #conclude= input=\n", "no line end\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout)
		}
	}
	if n := strings.Count(stdout.String(), "##vso[task.complete "); n != 1 {
		t.Errorf("%d times task.complete:\n%s", n, stdout)
	}
}

// TestOutputOfHelpersIsNotShown: what a credential_process printed is never part of an
// error, whatever is wrong with it: the SDK quotes all of it.
func TestOutputOfHelpersIsNotShown(t *testing.T) {
	const secret, token = "wJalrXUtnFEMI/K7MDENG", "IQoJb3JpZ2luX2VjEXAMPLE"
	keys := `"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"` + secret + `","SessionToken":"` + token + `"`
	for name, tt := range map[string]struct{ script, want string }{
		"a version that is a text":     {`echo '{"Version":"1",` + keys + `}'`, "Version"},
		"a time of another form":       {`echo '{"Version":1,` + keys + `,"Expiration":"tomorrow"}'`, "tomorrow"},
		"a line before":                {`echo 'Signing in'; echo '{"Version":1,` + keys + `}'`, "invalid character"},
		"cut off":                      {`printf '%s' '{"Version":1,` + keys + `'`, "unexpected end"},
		"other names":                  {`echo '{"Version":"1","key":"` + secret + `","session":"` + token + `"}'`, "Version"},
		"on several lines":             {`printf '{\n"Version": "1",\n"key":\n"` + secret + `",\n"session":\n"` + token + `"}'`, "Version"},
		"the base of a profile's role": {`echo '{"Version":"1","key":"` + secret + `","session":"` + token + `"}'`, "Version"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, stdout, stderr := process(t, "SYSTEM_DEBUG=true", "AWS_ENDPOINT_URL=http://127.0.0.1:1")
			credentialProcess(t, cmd, tt.script)
			for _, entry := range cmd.Env {
				if config, ok := strings.CutPrefix(entry, "AWS_CONFIG_FILE="); ok && strings.HasPrefix(name, "the base") {
					text, err := os.ReadFile(config)
					if err == nil {
						err = os.WriteFile(config, []byte(strings.Replace(string(text), "[default]", "[profile base]", 1)+"[default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\n"), 0o600)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			if code := exitCode(t, cmd.Run()); code != 0 {
				t.Errorf("exit code %d", code)
			}
			for _, s := range []string{secret, token} {
				if strings.Contains(stdout.String()+stderr.String(), s) {
					t.Errorf("%s is shown:\n%s%s", s, stdout, stderr)
				}
			}
			for _, want := range []string{"task.logissue type=error", "credential_process", tt.want} {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, stdout)
				}
			}
		})
	}
}

// A child process that lives on does not keep the task from ending.
func TestChildrenDoNotHoldTheTask(t *testing.T) {
	cmd, stdout, _ := process(t)
	credentialProcess(t, cmd, "sleep 60 >/dev/null & echo $! >&2; exit 7")
	if code := exitCode(t, cmd.Run()); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var pid int
	if _, after, ok := strings.Cut(stdout.String(), "external output: "); !ok {
		t.Errorf("the child printed nothing:\n%s", stdout)
	} else if _, err := fmt.Sscan(after, &pid); err != nil {
		t.Error(err)
	} else if child, err := os.FindProcess(pid); err == nil {
		_ = child.Kill()
	}
}

// TestLostParent: when the process that would report the ending is gone, the agent
// is told of the failure at once, and the run is cancelled.
func TestLostParent(t *testing.T) {
	cmd, stdout, _ := process(t, "ECSDEPLOY_CONCLUDED=83")
	credentialProcess(t, cmd, "echo waiting >&2; exec sleep 60")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout = io.MultiWriter(stdout, w)
	go func() { // the run is in the middle of something when its parent dies
		buffer := make([]byte, 1<<10)
		for seen := ""; !strings.Contains(seen, "waiting"); {
			n, err := r.Read(buffer)
			if seen += string(buffer[:n]); err != nil {
				break
			}
		}
		stdin.Close()
		_, _ = io.Copy(io.Discard, r)
	}()
	if code := exitCode(t, cmd.Run()); code != 83 {
		t.Errorf("exit code %d", code)
	}
	w.Close()
	if !strings.Contains(stdout.String(), "##vso[task.complete result=Failed]the task's Node process was ended") {
		t.Errorf("output:\n%s", stdout)
	}
}

func TestConclude(t *testing.T) {
	broken := func() io.Writer { _, w := io.Pipe(); w.Close(); return w }
	var log bytes.Buffer
	for name, test := range map[string]struct {
		to   io.Writer
		run  func(*vso.Console)
		code int
		want string
	}{
		"succeeded": {&log, func(c *vso.Console) { c.Send(vso.Complete(vso.Succeeded, "done")) }, 83, "##vso[task.complete result=Succeeded]done\n"},
		"failed":    {&log, func(c *vso.Console) { c.Send(vso.Complete(vso.Failed, "no")) }, 83, "##vso[task.complete result=Failed]no\n"},
		"silent":    {&log, func(*vso.Console) {}, 83, "##vso[task.complete result=Failed]internal error: the run ended without a result\n"},
		"a panic":   {&log, func(*vso.Console) { panic("##vso[a.b]") }, 83, "##vso[task.complete result=Failed]internal error: **vso[a.b]\n"},
		"a panic at the end": {&log, func(c *vso.Console) { c.Send(vso.Complete(vso.Succeeded, "done")); panic(errors.New("late")) }, 83,
			"##vso[task.complete result=Failed]internal error: late\n"},
		"nobody reads": {broken(), func(c *vso.Console) { c.Send(vso.Complete(vso.Succeeded, "done")) }, 1, ""},
	} {
		log.Reset()
		console := vso.NewConsole(test.to)
		started := startedByShim([]string{concludedVariable + "=83"})
		if code := started.conclude(console, func() { test.run(console) }); code != test.code {
			t.Errorf("%s: exit code %d, want %d", name, code, test.code)
		}
		if !strings.HasSuffix(log.String(), test.want) {
			t.Errorf("%s: the log is\n%s", name, log.String())
		}
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line[1:], "##vso[") {
				t.Errorf("%s: a command within a line: %q", name, line)
			}
		}
	}
	for _, value := range []string{"", "0", "-1", "256", "x"} {
		if s := startedByShim([]string{concludedVariable + "=" + value}); s.byShim || s.concluded != 0 {
			t.Errorf("%q is taken for an exit code", value)
		}
	}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}
