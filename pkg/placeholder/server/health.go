package main

// The container's health check: the server, asked from within.

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"time"
)

// maxCheck bounds a health check; the shortest timeout that ECS allows is two
// seconds.
const maxCheck = time.Second

// healthy asks the server of this container for a page, on the ports that it
// serves on by the value of PORT. One of them is enough.
func healthy(port string) error {
	ports, err := portsOf(port)
	if err != nil {
		return err
	}
	var errs []error
	for _, port := range ports {
		err := ask(net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func ask(address string) error {
	conn, err := net.DialTimeout("tcp", address, maxCheck)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(maxCheck))
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")); err != nil {
		return err
	}
	left := maxLine
	line, err := readLine(bufio.NewReaderSize(conn, maxLine), &left)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return errors.New(address + " answers " + string(line))
	}
	return nil
}
