// Azure DevOps' side of the demo: the builds of a pipeline, what lies between them, and a server for it on loopback.

package main

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/azdo"
)

// earlierBuild is the build that runs before the one that is tried.
const earlierBuild = 1040

// demoDevOps serves Azure DevOps with the demo's builds on a free port of loopback.
func demoDevOps() (server *azdo.Server, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	url := "http://" + listener.Addr().String() + "/example"
	// Azure DevOps Server has everything at one URL, as a demo on one port needs it.
	server = azdo.New(azdo.Options{OnPremises: true, URL: url})
	addHistory(server)
	s := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(listener) }() // ends with stop
	return server, func() { _ = s.Close() }, nil
}

// addHistory adds three builds, the last of which is the one that is tried.
func addHistory(server *azdo.Server) {
	commit := func(author, message string) azdo.Change {
		return azdo.Change{ID: fmt.Sprintf("%x", sha256.Sum256([]byte(message)))[:40], Author: author, Message: message, Time: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
	}
	for i, changes := range [][]azdo.Change{
		{commit("Ada Lovelace", "Begin")},
		{commit("Grace Hopper", "Merged PR 12: Keep a message that could not be sent\n\nRelated work items: #41")},
		{commit("Ada Lovelace", "Merged PR 13: Show who is typing"), commit("Ada Lovelace", "Name the reasons of refused messages")},
	} {
		build := azdo.Build{ID: earlierBuild + i, Number: fmt.Sprintf("20260105.%d", i), DefinitionID: 17, Definition: "chat-app", Repository: "chat-app", Changes: changes}
		if i == 1 {
			build.WorkItems = []int{41}
		}
		server.AddBuild(build)
		for _, c := range changes {
			if n, title, is := mergedPull(c.Message); is {
				server.AddPullRequest(azdo.PullRequest{ID: n, Title: title, Author: c.Author, Merge: c.ID})
			}
		}
	}
	server.AddWorkItem(azdo.WorkItem{ID: 41, Type: "Bug", Title: "Messages are lost on a bad line", State: "Resolved"})
}

// mergedPull reads the message of a commit that completed a pull request.
func mergedPull(message string) (id int, title string, is bool) {
	first, _, _ := strings.Cut(message, "\n")
	number, title, is := strings.Cut(strings.TrimPrefix(first, "Merged PR "), ": ")
	id, err := strconv.Atoi(number)
	return id, title, is && err == nil
}
