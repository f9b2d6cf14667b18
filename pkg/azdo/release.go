package azdo

// Classic releases, which live on a host of their own in Azure DevOps Services.

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// readRelease reads the release of this run.
func (c *Client) readRelease(ctx context.Context) (out release, err error) {
	what := "release " + strconv.Itoa(c.o.Release)
	if c.o.Release == 0 {
		return out, notFound("release of this run")
	}
	err = c.call(ctx, what, viewReleases, func(ctx context.Context) (err error) {
		out, err = c.getRelease(ctx)
		return err
	})
	return out, err
}

// RenameRelease gives the release of this run another name.
func (c *Client) RenameRelease(ctx context.Context, name string) error {
	what := fmt.Sprintf("rename release %d", c.o.Release)
	if c.o.Release == 0 {
		return notFound("release of this run")
	}
	return c.call(ctx, what, manageReleases, func(ctx context.Context) error {
		base, err := c.releaseURL(ctx)
		if err != nil {
			return err
		}
		return c.renameRelease(ctx, base, name)
	})
}

func (c *Client) getRelease(ctx context.Context) (release, error) {
	base, err := c.releaseURL(ctx)
	if err != nil {
		return release{}, err
	}
	return c.askRelease(ctx, base)
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
		if value(area.Id) == releaseArea && value(area.LocationUrl) != "" {
			url = strings.TrimRight(*area.LocationUrl, "/")
		}
	}
	return url, nil
}
