package ecr

// Whether the host of a repository is the registry of ECR that calls go to: a
// repository of another registry must not be created here under its name.

import (
	"context"
	"net/url"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// elsewhere are registries that people name by mistake, by the end of their host.
var elsewhere = []struct{ host, is string }{
	{"public.ecr.aws", "Amazon ECR Public, to which this task does not push"},
	{"docker.io", "Docker Hub"},
	{"ghcr.io", "the GitHub Container Registry"},
	{"quay.io", "Quay"},
	{"gcr.io", "the Google Container Registry"},
	{".pkg.dev", "the Google Artifact Registry"},
	{".azurecr.io", "an Azure Container Registry"},
	{"mcr.microsoft.com", "the Microsoft Artifact Registry"},
	{"registry.gitlab.com", "the GitLab Container Registry"},
}

// foreign is the mistake of a repository on a host that is not ECR's.
func foreign(ref Reference, is, own string) error {
	hint := "give the name alone, " + ref.Name + ", or the repository's URI as the console of ECR shows it"
	if own != "" {
		hint = "give " + own + "/" + ref.Name + ", or the name alone"
	}
	return mistake.New(mistake.Repository, hint, "repository %s: %s is %s, not this account's registry in ECR", ref, ref.Host, is)
}

// known refuses a host that is known not to be ECR's.
func known(ref Reference) error {
	host := strings.ToLower(ref.Host)
	for _, e := range elsewhere {
		if host == strings.TrimPrefix(e.host, ".") || strings.HasSuffix(host, "."+strings.TrimPrefix(e.host, ".")) {
			return foreign(ref, e.is, "")
		}
	}
	return nil
}

// ours refuses a host that is not the registry's own: the one for which ECR gives
// tokens, or the one in the URIs of its repositories.
func (c *Client) ours(ctx context.Context, ref Reference) error {
	if ref.Host == "" || ref.Account != "" {
		return nil
	}
	if err := known(ref); err != nil {
		return err
	}
	own, err := c.host(ctx, ref)
	if err != nil || own == ref.Host {
		return err
	}
	for _, uri := range c.uris(ctx, ref) {
		if strings.HasPrefix(uri, ref.Host+"/") {
			return nil
		}
	}
	is := "another registry"
	if host, _, _ := strings.Cut(ref.Host, ":"); host == "localhost" || strings.HasPrefix(host, "127.") {
		is = "this machine"
	}
	return foreign(ref, is, own)
}

// host is the registry's own, as it stands beside a token.
func (c *Client) host(ctx context.Context, ref Reference) (string, error) {
	if ref.Account != "" {
		return ref.Host, nil
	}
	held, err := c.region(c.regionOf(ref)).token.get(ctx)
	if err != nil {
		return "", callError("repository "+ref.String(), "ecr:GetAuthorizationToken", "*", err)
	}
	if u, err := url.Parse(held.endpoint); err == nil && u.Host != "" {
		return u.Host, nil
	}
	return "", nil
}
