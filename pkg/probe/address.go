package probe

// Addresses that are never asked, and URLs as they may be shown.

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// addressError is the refusal to connect to an address.
type addressError struct{ address string }

func (e *addressError) Error() string {
	return fmt.Sprintf("%s is an address at which clouds keep the credentials of their machines, and is never asked", e.address)
}

// refuseAddress is called with each address before a connection to it is opened.
func refuseAddress(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err == nil && forbidden(at.Addr()) {
		return &addressError{at.Addr().String()}
	}
	return nil
}

// allowed refuses a URL that has such an address written out, and schemes that are
// not those of the web.
func allowed(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return &redirectError{"a redirect to the scheme " + u.Scheme}
	}
	if at, err := netip.ParseAddr(u.Hostname()); err == nil && forbidden(at) {
		return &addressError{at.String()}
	}
	return nil
}

// forbidden reports whether an address is link-local, or one of those that clouds
// use like one:
//
//   - https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html (fd00:ec2::254)
//   - https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
func forbidden(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	if translated := netip.MustParsePrefix("64:ff9b::/96"); translated.Contains(at) { // IPv4 behind NAT64
		bytes := at.As16()
		at = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return at.IsLinkLocalUnicast() || at.IsLinkLocalMulticast() || at.IsUnspecified() ||
		netip.MustParsePrefix("fd00:ec2::/32").Contains(at) || at == netip.AddrFrom4([4]byte{168, 63, 129, 16})
}

// local reports whether a host is the machine itself.
func local(host string) bool {
	if at, err := netip.ParseAddr(host); err == nil {
		return at.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Shown is a URL as people may read it: without its user, and with *** for the
// values of its query. What cannot be read as one is shown up to its query.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		if i := strings.LastIndexByte(address, '@'); i >= 0 {
			address = "***" + address[i:]
		}
		before, _, _ := strings.Cut(address, "?")
		return before
	}
	u.User, u.Fragment = nil, ""
	query := u.RawQuery
	u.RawQuery, u.ForceQuery = "", false
	shown := u.String()
	for i, parameter := range strings.Split(query, "&") {
		if parameter == "" {
			continue
		}
		name, _, valued := strings.Cut(parameter, "=")
		shown += map[bool]string{true: "?", false: "&"}[i == 0] + name
		if valued {
			shown += "=***"
		}
	}
	return shown
}
