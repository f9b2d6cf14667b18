package main

// What a process was started for. The image has no shell and no curl, but task
// definitions are written for an application that has: their health checks run
// "sh -c …" or "curl …", and some set an entry point. So those names lead to
// this program, and it tells from its place among the processes what is meant.

type purpose int

const (
	serve purpose = iota // be the container's server
	check                // be a health check of the container
)

// purposeOf decides by the name and arguments of a process, its id and its
// parent's. Arguments other than -health are the application's command, and
// mean nothing here.
//
// Under another name than its own, a process whose parent is outside the
// container, and which is not the first one in it, was brought in by the
// container runtime: that is a health check (or somebody's ECS Exec). Whatever
// else the name, the first process serves, and so does the child of an init
// process (initProcessEnabled).
func purposeOf(args []string, pid, ppid int) purpose {
	if len(args) > 1 && args[1] == "-health" {
		return check
	}
	const first, outside = 1, 0
	if len(args) > 0 && base(args[0]) != "placeholder" && pid != first && ppid == outside {
		return check
	}
	return serve
}

// base is what follows the last slash.
func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}
