package network

// NO_PROXY: the hosts that are reached without a proxy, and those that always
// are: this machine and the metadata services that AWS answers on an instance.
// The form is the one that curl, Go and most other tools share.

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// noProxy is a list of hosts; a nil list matches nothing.
type noProxy []entry

// entry matches all hosts, addresses of a prefix, or a domain's hosts.
type entry struct {
	all    bool
	prefix netip.Prefix
	domain string // without the leading dot
	below  bool   // only hosts below the domain, not the domain itself
	port   string // empty: any
}

// parseNoProxy reads a list of hosts, separated by commas: "*", addresses,
// prefixes such as 10.0.0.0/8, and names, which hold for all hosts below them.
// A name with a leading dot or "*." does not hold for itself. Each may have a port.
func parseNoProxy(list string) noProxy {
	var out noProxy
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.ToLower(strings.TrimSpace(text)); text == "" {
			continue
		}
		if text == "*" {
			out = append(out, entry{all: true})
			continue
		}
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, entry{prefix: prefix.Masked()})
			continue
		}
		e := entry{}
		host := strings.Trim(text, "[]")
		if h, port, err := net.SplitHostPort(text); err == nil {
			host, e.port = h, port
		}
		if address, err := netip.ParseAddr(host); err == nil {
			e.prefix = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
			out = append(out, e)
			continue
		}
		host = strings.TrimPrefix(host, "*")
		e.domain, e.below = strings.CutPrefix(host, ".")
		if e.domain = strings.TrimSuffix(e.domain, "."); e.domain != "" {
			out = append(out, e)
		}
	}
	return out
}

func (n noProxy) matches(to *url.URL) bool {
	host := strings.TrimSuffix(strings.ToLower(to.Hostname()), ".")
	port := to.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[to.Scheme]
	}
	address, err := netip.ParseAddr(host)
	isAddress := err == nil
	for _, e := range n {
		switch {
		case e.port != "" && e.port != port:
		case e.all:
			return true
		case e.prefix.IsValid():
			if isAddress && e.prefix.Contains(address.Unmap().WithZone("")) {
				return true
			}
		case !isAddress && (host == e.domain && !e.below || strings.HasSuffix(host, "."+e.domain)):
			return true
		}
	}
	return false
}

// isLocal reports whether a host is this machine or answers only on it: loopback,
// and the link-local addresses of the metadata services of EC2, ECS and EKS.
func isLocal(host string) bool {
	if host = strings.TrimSuffix(strings.ToLower(host), "."); host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	address = address.Unmap()
	return address.IsLoopback() || address.IsLinkLocalUnicast() || address == metadataV6 || address == podIdentityV6
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
var (
	metadataV6    = netip.MustParseAddr("fd00:ec2::254")
	podIdentityV6 = netip.MustParseAddr("fd00:ec2::23")
)
