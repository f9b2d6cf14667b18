package main

// Which task this is, from ECS's task metadata endpoint, version 4:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

const (
	maxFetch    = 2 * time.Second
	maxMetadata = 1 << 20 // bytes; a task of ten containers has some 20 KB
)

// task is what the page tells of the task. What is unknown is empty.
type task struct{ service, cluster, id string }

// fetchTask asks the endpoint at uri, the value of ECS_CONTAINER_METADATA_URI_V4.
// HTTP/1.0 keeps the answer in one piece.
func fetchTask(ctx context.Context, uri string) (task, error) {
	rest, isHTTP := strings.CutPrefix(uri, "http://")
	host, path, _ := strings.Cut(rest, "/")
	if !isHTTP || host == "" {
		return task{}, errors.New("the metadata endpoint " + uri + " is no http address")
	}
	address := host
	if _, _, err := net.SplitHostPort(host); err != nil {
		address = net.JoinHostPort(host, "80")
	}
	ctx, cancel := context.WithTimeout(ctx, maxFetch)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return task{}, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /" + strings.TrimSuffix(path, "/") + "/task HTTP/1.0\r\nHost: " + host + "\r\n\r\n")); err != nil {
		return task{}, err
	}
	body, err := readOK(bufio.NewReaderSize(io.LimitReader(conn, maxMetadata), maxLine))
	if err != nil {
		return task{}, err
	}
	return parseTask(body)
}

// readOK reads the body of a response that must be a 200.
func readOK(r *bufio.Reader) ([]byte, error) {
	left := maxHead
	line, err := readLine(r, &left)
	if err != nil {
		return nil, err
	}
	if _, code, _ := bytes.Cut(line, []byte(" ")); !bytes.HasPrefix(code, []byte("200")) {
		return nil, errors.New("the metadata endpoint answers " + string(line))
	}
	for len(line) > 0 {
		if line, err = readLine(r, &left); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(r)
}

// parseTask reads the document of the path /task. Cluster is a name or an ARN,
// depending on where the task runs; ServiceName is missing for a task that no
// service started.
func parseTask(document []byte) (task, error) {
	members, err := stringMembers(string(document))
	if err != nil {
		return task{}, err
	}
	return task{
		service: members["ServiceName"],
		cluster: base(members["Cluster"]),
		id:      base(members["TaskARN"]),
	}, nil
}
