package main

import "testing"

func TestPurposeOf(t *testing.T) {
	for _, test := range []struct {
		name      string
		args      []string
		pid, ppid int
		want      purpose
	}{
		{"as the image says", []string{"/placeholder"}, 1, 0, serve},
		{"with the application's command", []string{"/placeholder", "npm", "run", "start"}, 1, 0, serve},
		{"with the application's entry point", []string{"/bin/sh", "-c", "exec java -jar app.jar"}, 1, 0, serve},
		{"beneath an init process", []string{"/placeholder"}, 7, 1, serve},
		{"beneath an init process, with the application's entry point", []string{"sh", "-c", "./start"}, 7, 1, serve},
		{"in a task whose containers share their processes", []string{"/placeholder"}, 40, 0, serve},
		{"started by hand", []string{"./placeholder"}, 4711, 4700, serve},

		{"the health check it was made for", []string{"/placeholder", "-health"}, 12, 0, check},
		{"CMD-SHELL", []string{"/bin/sh", "-c", "curl -f http://localhost:8080/health || exit 1"}, 12, 0, check},
		{"CMD curl", []string{"curl", "-f", "http://localhost/"}, 12, 0, check},
	} {
		if got := purposeOf(test.args, test.pid, test.ppid); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
