// The input order: which services of a step are rolled out before which.

package input

import "strings"

// Precedence says that the rollout to one service has to succeed before that to the
// other begins. Both are among the services.
type Precedence struct{ First, Then Service }

// order parses lines such as "a before b", or "a before b before c".
func (l *loader) order(in *Inputs, text string) {
	if text != "" && !in.Wait && in.Command != Verify {
		l.fail("order", 0, wrong("set wait to true, or leave order empty", "without waiting it is not known when the first service has succeeded"))
		return
	}
	for i, line := range strings.Split(newlines.Replace(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		some, err := parseOrder(strings.TrimSpace(line), in.Services)
		if err != nil {
			l.fail("order", i+1, err)
			continue
		}
		in.Order = append(in.Order, some...)
	}
	if s, circular := circle(in.Order); circular {
		l.fail("order", 0, wrong("remove one of the lines", "service %s would have to be rolled out before itself", s.Name))
	}
}

// parseOrder reads one line: services of the step, by name or cluster/service, with
// the word before between them.
func parseOrder(text string, services []Service) (all []Precedence, err error) {
	const hint = "for instance worker before web, both of them named in services"
	words := strings.Fields(text)
	var before Service
	for i, word := range words {
		if i%2 == 1 {
			if word != "before" || i == len(words)-1 {
				return nil, wrong(hint, "%s is not written as SERVICE before SERVICE", shown(text))
			}
			continue
		}
		s, err := among(services, word)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, Precedence{before, s})
		}
		before = s
	}
	if len(words) < 3 {
		return nil, wrong(hint, "%s is not written as SERVICE before SERVICE", shown(text))
	}
	return all, nil
}

// among finds the service that a name means.
func among(services []Service, name string) (Service, error) {
	asked := Service{Name: name}
	if strings.ContainsAny(name, "/:") {
		var err error
		if asked, err = parseService(name); err != nil {
			return Service{}, err
		}
	}
	var found []Service
	for _, s := range services {
		if s.Name == asked.Name && (asked.Cluster == "" || s.ClusterName() == asked.ClusterName()) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Service{}, wrong("name one of the lines of services", "%s is none of the services of this step", shown(name))
	}
	return Service{}, wrong("write cluster/"+asked.Name, "%s is the name of several services of this step", shown(name))
}

// circle returns a service that would have to come before itself.
func circle(order []Precedence) (Service, bool) {
	then := map[Service][]Service{}
	for _, p := range order {
		then[p.First] = append(then[p.First], p.Then)
	}
	var reaches func(from, to Service, seen map[Service]bool) bool
	reaches = func(from, to Service, seen map[Service]bool) bool {
		for _, next := range then[from] {
			if next == to {
				return true
			}
			if !seen[next] { // of each service it is asked once, however many ways lead to it
				seen[next] = true
				if reaches(next, to, seen) {
					return true
				}
			}
		}
		return false
	}
	for _, p := range order {
		if reaches(p.First, p.First, map[Service]bool{}) {
			return p.First, true
		}
	}
	return Service{}, false
}
