// Package network decides how connections leave the agent: through which proxy,
// and which certificate authorities are trusted. AWS, registries and Azure DevOps
// follow the same rule.
//
// The proxy of a request is the first of
//
//  1. none, for this machine itself and for the addresses of metadata services,
//     and for the hosts in NO_PROXY (no_proxy)
//  2. HTTPS_PROXY or HTTP_PROXY (https_proxy, http_proxy), by the scheme of the request
//  3. none, for the URLs that match an expression of the agent's bypass list
//     (AGENT_PROXYBYPASSLIST)
//  4. the agent's own proxy (AGENT_PROXYURL, with AGENT_PROXYUSERNAME and
//     SECRET_AGENT_PROXYPASSWORD)
//
// Trusted are the authorities of the system, which SSL_CERT_FILE and SSL_CERT_DIR
// replace where Go reads them, together with those in the files that SSL_CERT_FILE,
// AWS_CA_BUNDLE, NODE_EXTRA_CA_CERTS and AGENT_CAINFO name.
//
// The package opens no connection, sets no time limits and does not log. It does
// not switch off the check of certificates, whatever the agent was configured with.
package network

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// Settings are the proxies and the certificate authorities of this agent. They
// do not change after [Read], and may be used by several goroutines.
type Settings struct {
	// Warnings say what could not be used: a full sentence each, without
	// passwords.
	Warnings []string

	// Secrets are the passwords of proxies: plain, as they stand in URLs, and as
	// they are sent. They are to be masked before anything else is printed.
	Secrets []string

	https, http, agent proxy
	direct             noProxy
	bypass             []*regexp.Regexp
	roots              *x509.CertPool // nil: those of the system
	bundles            []string       // "VARIABLE: path" of the files read
}

// proxy is a proxy and the variable that named it; the zero value is none.
type proxy struct {
	url    *url.URL
	source string
}

// Read takes the settings from the agent's environment. The error names the
// variable that has a value which cannot be used: a proxy that is no URL, or an
// AWS_CA_BUNDLE that cannot be read. Everything else that cannot be used is a
// warning, as it is for the agent and for Node.
func Read(lookup func(name string) (string, bool)) (*Settings, error) {
	get := func(names ...string) (value, name string) {
		for _, name = range names {
			if value, _ = lookup(name); strings.TrimSpace(value) != "" {
				return strings.TrimSpace(value), name
			}
		}
		return "", names[0]
	}
	s := &Settings{}
	var err error
	if s.https, err = s.proxy(get("HTTPS_PROXY", "https_proxy")); err != nil {
		return nil, err
	}
	if s.http, err = s.proxy(get("HTTP_PROXY", "http_proxy")); err != nil {
		return nil, err
	}
	if s.agent, err = s.proxy(get("AGENT_PROXYURL")); err != nil {
		return nil, err
	}
	if user, _ := get("AGENT_PROXYUSERNAME"); user != "" && s.agent.url != nil {
		password, _ := get("SECRET_AGENT_PROXYPASSWORD", "AGENT_PROXYPASSWORD")
		s.agent.url.User = url.UserPassword(user, password)
		s.secret(s.agent.url.User)
	}
	hosts, _ := get("NO_PROXY", "no_proxy")
	s.direct = parseNoProxy(hosts)
	list, _ := get("AGENT_PROXYBYPASSLIST")
	s.readBypass(list)
	if skip, _ := get("AGENT_SKIPCERTVALIDATION"); strings.EqualFold(skip, "true") {
		s.warn("the agent was configured not to validate certificates; this task validates them: name the certificate authority in AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS instead")
	}
	return s, s.readBundles(get)
}

func (s *Settings) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// proxy reads a proxy's URL; without a scheme it is an HTTP proxy. The error does
// not quote the value, which may hold a password.
func (s *Settings) proxy(value, variable string) (proxy, error) {
	if value == "" {
		return proxy{}, nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" {
		return proxy{}, fmt.Errorf("%s: the value is not the URL of a proxy: expected http://host:port", variable)
	}
	switch u.Scheme = strings.ToLower(u.Scheme); u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return proxy{}, fmt.Errorf("%s: proxies of the kind %q are not supported: expected http://host:port", variable, u.Scheme)
	}
	s.secret(u.User)
	return proxy{u, variable}, nil
}

// secret notes a proxy's password, plain, as it is escaped in URLs and as it is
// sent in the header Proxy-Authorization.
func (s *Settings) secret(user *url.Userinfo) {
	password, ok := user.Password()
	if !ok || password == "" {
		return
	}
	s.Secrets = append(s.Secrets, password,
		base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	if escaped := strings.TrimPrefix(url.UserPassword("", password).String(), ":"); escaped != password {
		s.Secrets = append(s.Secrets, escaped)
	}
}

// readBypass reads the agent's bypass list, a JSON list of regular expressions.
// Source: azure-pipelines-agent, src/Agent.Sdk/AgentWebProxy.cs.
func (s *Settings) readBypass(list string) {
	if list == "" {
		return
	}
	var expressions []string
	if err := json.Unmarshal([]byte(list), &expressions); err != nil {
		s.warn("AGENT_PROXYBYPASSLIST is not a JSON list of regular expressions and is not used")
		return
	}
	for _, e := range expressions {
		if e = strings.TrimSpace(e); e == "" {
			continue
		}
		compiled, err := regexp.Compile("(?i)" + e)
		if err != nil {
			s.warn("AGENT_PROXYBYPASSLIST: %q is not a regular expression that this task can use, so its hosts are reached through the proxy", e)
			continue
		}
		s.bypass = append(s.bypass, compiled)
	}
}

// The variables that name files of certificate authorities.
var bundleVariables = []string{"SSL_CERT_FILE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "AGENT_CAINFO"}

// maxBundle is far more than the certificates of all public authorities take.
const maxBundle = 16 << 20

func (s *Settings) readBundles(get func(...string) (string, string)) error {
	for _, variable := range bundleVariables {
		path, _ := get(variable)
		if path == "" {
			continue
		}
		pem, err := readBundle(path)
		if err == nil {
			if s.roots == nil {
				if s.roots, err = x509.SystemCertPool(); err != nil {
					s.roots = x509.NewCertPool() // the system has none
				}
			}
			if s.roots.AppendCertsFromPEM(pem) {
				s.bundles = append(s.bundles, variable+": "+path)
				continue
			}
			err = fmt.Errorf("%s has no certificate in PEM form", path)
		}
		if variable == "AWS_CA_BUNDLE" { // an error of the AWS SDK, too
			return fmt.Errorf("%s: %w", variable, err)
		}
		s.warn("%s is not used: %v", variable, err)
	}
	return nil
}

func readBundle(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxBundle || info.IsDir() {
		return nil, fmt.Errorf("%s is not a file of at most %d MB", path, maxBundle>>20)
	}
	return os.ReadFile(path)
}

// Proxy returns the proxy of a request, nil for none. It has the form of
// [http.Transport.Proxy].
func (s *Settings) Proxy(r *http.Request) (*url.URL, error) {
	return s.choose(r.URL).url, nil
}

// choose is the rule in the package's comment.
func (s *Settings) choose(to *url.URL) proxy {
	if isLocal(to.Hostname()) || s.direct.matches(to) {
		return proxy{}
	}
	own := s.https
	if to.Scheme == "http" {
		own = s.http
	}
	if own.url != nil {
		return own
	}
	target := to.Scheme + "://" + strings.TrimSuffix(to.Host, map[string]string{"http": ":80", "https": ":443"}[to.Scheme])
	for _, e := range s.bypass {
		if e.MatchString(target) {
			return proxy{}
		}
	}
	return s.agent
}

// Apply makes a transport follow the settings. Other TLS settings of the
// transport stay; the settings' authorities are copied, so that nobody who adds
// to them changes them for others.
func (s *Settings) Apply(t *http.Transport) {
	t.Proxy = s.Proxy
	if s.roots == nil {
		return
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.RootCAs = s.roots.Clone()
}

// Roots returns a copy of the trusted authorities; nil are those of the system.
func (s *Settings) Roots() *x509.CertPool {
	if s.roots == nil {
		return nil
	}
	return s.roots.Clone()
}

// Describe says, one line each, through which proxy hosts are reached and which
// files of authorities are trusted: for the debug log. Nothing is secret in it.
func (s *Settings) Describe() []string {
	var lines []string
	for _, p := range []proxy{s.https, s.http, s.agent} {
		if p.url != nil {
			lines = append(lines, fmt.Sprintf("proxy %s://%s (%s)", p.url.Scheme, p.url.Host, p.source))
		}
	}
	for _, b := range s.bundles {
		lines = append(lines, "certificate authorities of "+b)
	}
	return lines
}
