package main

// The image, run: its layer unpacked and its server started, first as any
// process, then with nothing but what a container has.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// container is a running server.
type container struct {
	cmd    *exec.Cmd
	line   string // what it said when it started
	output *bufio.Reader
}

// start runs a server and returns when it says that it serves.
func start(t *testing.T, cmd *exec.Cmd) *container {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	c := &container{cmd: cmd, output: bufio.NewReader(out)}
	if c.line, err = c.output.ReadString('\n'); err != nil {
		t.Fatalf("it said %q, and ended: %v", c.line, errors.Join(err, cmd.Wait()))
	}
	return c
}

// stop asks the server to end, which it must within a second and with success.
func (c *container) stop(t *testing.T) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(deadline, func() { c.cmd.Process.Kill() })()
	rest, err := io.ReadAll(c.output)
	if err = errors.Join(err, c.cmd.Wait()); err != nil {
		t.Errorf("did not stop within a second of SIGTERM: %v", err)
	}
	if len(rest) > 0 {
		t.Errorf("said more than one line: %q", rest)
	}
}

// answers checks that every method and path is answered 200, and returns the page.
func answers(t *testing.T, address string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{}} // without a proxy
	var page string
	for _, request := range []string{"GET /", "HEAD /", "GET /health/ready?deep=1", "POST /api/v1/messages", "OPTIONS /x", "DELETE /a/b/c"} {
		method, path, _ := strings.Cut(request, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", request, err)
			continue
		}
		body, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil || got.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %v", request, got.Status, err)
		}
		if request == "GET /" {
			page = string(body)
		}
	}
	if !strings.Contains(page, "<h1>Waiting for the first deployment</h1>") {
		t.Errorf("the page is %q", page)
	}
	return page
}

func needImageOfThisMachine(t *testing.T) {
	if !slices.Contains(architectures, runtime.GOARCH) {
		t.Skipf("the image is not for %s", runtime.GOARCH)
	}
}

// With PORT, as a task definition for an application has it.
func TestServesOnPORT(t *testing.T) {
	needImageOfThisMachine(t)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v4/0a1b-42/task" {
			io.WriteString(w, `{"Cluster": "product-dev-cluster", "TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/product-dev-cluster/1c5b6a8e", "ServiceName": "chat-<app>"}`)
		}
	}))
	defer metadata.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err = errors.Join(err, free.Close()); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(unpack(t), "placeholder")
	environ := []string{"PORT=" + port, "ECS_CONTAINER_METADATA_URI_V4=" + metadata.URL + "/v4/0a1b-42"}
	health := func() error {
		cmd := exec.Command(program, "-health")
		cmd.Env = environ
		out, err := cmd.CombinedOutput()
		if err != nil && !strings.HasPrefix(string(out), "placeholder: unhealthy: ") {
			t.Errorf("the health check says %q", out)
		}
		return err
	}
	if err := health(); err == nil {
		t.Error("healthy before it runs")
	}
	cmd := exec.Command(program, "npm", "run", "start") // the application's command
	cmd.Env = environ
	c := start(t, cmd)
	if want := "placeholder: waiting for the first deployment; port: " + port + "\n"; c.line != want {
		t.Errorf("said %q, want %q", c.line, want)
	}
	if err := health(); err != nil {
		t.Errorf("the health check: %v", err)
	}
	if os.Getuid() == 0 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
		if err != nil || !strings.Contains(string(status), "\nUid:\t65532\t65532\t65532\t65532\nGid:\t65532\t65532\t65532\t65532\n") {
			t.Errorf("it still has rights: %s, %v", status, err)
		}
	}
	// The metadata endpoint is asked at the start, and answers at once: the
	// facts are there within a few requests.
	facts := "<dt>Service<dd>chat-&lt;app&gt;\n<dt>Cluster<dd>product-dev-cluster\n<dt>Task<dd>1c5b6a8e\n"
	page := answers(t, "127.0.0.1:"+port)
	for tries := 0; !strings.Contains(page, facts) && tries < 1000; tries++ {
		page = answers(t, "127.0.0.1:"+port)
	}
	if !strings.Contains(page, facts) {
		t.Errorf("the page lacks the task: %s", page)
	}
	c.stop(t)
	if err := health(); err == nil {
		t.Error("healthy after its end")
	}
}

// Without PORT, on 80 and 8080, with the layer as root and the first process
// of its own: in namespaces, so that it does not matter what else this machine
// runs. This test starts itself again within them.
func TestInAContainer(t *testing.T) {
	needImageOfThisMachine(t)
	const inside = "PLACEHOLDER_TEST_INSIDE"
	if os.Getenv(inside) == "" {
		self := exec.Command(os.Args[0], "-test.run=^TestInAContainer$", "-test.v")
		self.Env = append(os.Environ(), inside+"=1")
		self.SysProcAttr = namespaces(syscall.CLONE_NEWNET)
		out, err := self.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EACCES) {
			t.Skipf("this machine allows no namespaces, without which ports 80 and 8080 may be somebody else's: %v", err)
		}
		if t.Logf("%s", out); err != nil {
			t.Error(err)
		}
		return
	}
	if err := loopbackUp(); err != nil {
		t.Fatal(err)
	}
	folder := unpack(t)
	contained := func(args ...string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = []string{}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: folder, Cloneflags: syscall.CLONE_NEWPID}
		return cmd
	}
	for _, command := range [][]string{
		{"/placeholder"},
		{"/bin/sh", "-c", "node server.js"}, // an application's entry point
	} {
		c := start(t, contained(command...))
		// In a user namespace there is no other user to become.
		said := regexp.MustCompile(`^placeholder: waiting for the first deployment; port: 80, 8080(; stays root: .*)?\n$`)
		if !said.MatchString(c.line) {
			t.Errorf("said %q", c.line)
		}
		for _, address := range []string{"127.0.0.1:80", "127.0.0.1:8080", "[::1]:8080"} {
			answers(t, address)
		}
		if out, err := contained("/placeholder", "-health").CombinedOutput(); err != nil {
			t.Errorf("unhealthy: %s, %v", out, err)
		}
		c.stop(t)
	}
	if out, err := contained("/placeholder", "-health").CombinedOutput(); err == nil {
		t.Errorf("healthy after its end: %s", out)
	}

	// Containers of the same task have taken one port, then the other, too.
	for _, test := range []struct{ taken, want string }{
		{":80", "port: 8080; port 80: bind: address already in use"},
		{":8080", "port: none; port 80: bind: address already in use; port 8080: bind: address already in use"},
	} {
		other, err := net.Listen("tcp", test.taken)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		c := start(t, contained("/placeholder"))
		if !strings.HasPrefix(c.line, "placeholder: waiting for the first deployment; "+test.want) {
			t.Errorf("said %q", c.line)
		}
		if test.taken == ":80" {
			answers(t, "127.0.0.1:8080")
		}
		c.stop(t)
	}
}

// namespaces asks for namespaces; who is not root needs one of users, too.
func namespaces(flags uintptr) *syscall.SysProcAttr {
	if os.Getuid() == 0 {
		return &syscall.SysProcAttr{Cloneflags: flags}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  flags | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

// loopbackUp brings up the loopback interface, which a new network namespace
// has down: netdevice(7).
func loopbackUp() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
