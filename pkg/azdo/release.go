package azdo

// Classic releases, which live on a host of their own in Azure DevOps Services.

import (
	"context"
	"strconv"
	"strings"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/release"
)

// readRelease reads the release of this run.
func (c *Client) readRelease(ctx context.Context) (release.Release, error) {
	what := "release " + strconv.Itoa(c.o.Release)
	if c.o.Release == 0 {
		return release.Release{}, notFound("release of this run")
	}
	var out *release.Release
	err := c.call(ctx, what, viewReleases, func(ctx context.Context) (err error) {
		out, err = c.getRelease(ctx)
		return err
	})
	return value(out), err
}

func (c *Client) getRelease(ctx context.Context) (*release.Release, error) {
	base, err := c.releaseURL(ctx)
	if err != nil {
		return nil, err
	}
	client := &release.ClientImpl{Client: c.client(base)}
	return client.GetRelease(ctx, release.GetReleaseArgs{Project: &c.o.Project, ReleaseId: &c.o.Release})
}

// releaseURL is the base URL of the calls for releases. A server that lists no
// resource areas has everything at the URL of the collection.
func (c *Client) releaseURL(ctx context.Context) (string, error) {
	if c.releases != "" {
		return c.releases, nil
	}
	client := c.client(c.base)
	areas, err := client.GetResourceAreas(ctx)
	if err != nil {
		return "", err
	}
	url := c.base
	for _, area := range value(areas) {
		if value(area.Id) == release.ResourceAreaId && value(area.LocationUrl) != "" {
			url = strings.TrimRight(*area.LocationUrl, "/")
		}
	}
	return url, nil
}
