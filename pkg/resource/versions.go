package resource

// Versions of secrets and parameters: which one a task that starts now would read.
// Neither call gives out a value.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// mostNames is how many parameters one call may ask for:
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
	mostNames = 50
	// mostPages bounds the pages of one call: a page may be empty and not the last.
	mostPages = 20
	// atOnce is how many secrets are asked about at the same time.
	atOnce = 4
)

// Versions returns, for sources of secrets as a task definition has them, the version
// that a task reads when it starts now: the id of a version of Secrets Manager, or the
// number of a parameter of Systems Manager. A source that names a version itself has
// none, since that never changes. The error says what could not be read; the versions
// that could are there beside it.
//
// It takes secretsmanager:DescribeSecret on the secrets and ssm:DescribeParameters.
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html
func (c *Client) Versions(ctx context.Context, sources []string) (map[string]string, error) {
	secrets, parameters := map[string][]string{}, map[string][]string{} // sources, by secret and by region
	for _, source := range sources {
		parts := strings.Split(source, ":")
		switch {
		case len(parts) > 9 && parts[2] == "secretsmanager" && parts[9] != "": // a version by its id
		case len(parts) > 6 && parts[2] == "secretsmanager":
			id := strings.Join(parts[:7], ":")
			secrets[id] = append(secrets[id], source)
		case len(parts) > 5 && parts[2] == "ssm":
			parameters[parts[3]] = append(parameters[parts[3]], source)
		default:
			parameters[c.cfg.Region] = append(parameters[c.cfg.Region], source)
		}
	}
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		found = map[string]string{}
		errs  []error
		gate  = make(chan struct{}, atOnce)
	)
	ask := func(read func() (map[string]string, error)) {
		wait.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			versions, err := read()
			mu.Lock()
			defer mu.Unlock()
			for source, version := range versions {
				found[source] = version
			}
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	for id, of := range secrets {
		ask(func() (map[string]string, error) { return c.secretVersions(ctx, id, of) })
	}
	for region, of := range parameters {
		for some := range slices.Chunk(of, mostNames/2) { // a source may stand for two names
			ask(func() (map[string]string, error) { return c.parameterVersions(ctx, region, some) })
		}
	}
	wait.Wait()
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return found, errors.Join(errs...)
}

// secretVersions reads the versions of one secret for its sources, which may name a
// stage each.
func (c *Client) secretVersions(ctx context.Context, id string, sources []string) (map[string]string, error) {
	parts := strings.Split(id, ":")
	body, err := c.json(ctx, "secretsmanager", parts[3], "secretsmanager.DescribeSecret", map[string]any{"SecretId": id})
	if err != nil {
		return nil, fmt.Errorf("read the versions of secret %s: secretsmanager:DescribeSecret: %w", parts[6], err)
	}
	var answer struct{ VersionIdsToStages map[string][]string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read the versions of secret %s: %w", parts[6], err)
	}
	found := map[string]string{}
	for _, source := range sources {
		stage := "AWSCURRENT"
		if of := strings.Split(source, ":"); len(of) > 8 && of[8] != "" {
			stage = of[8]
		}
		for version, stages := range answer.VersionIdsToStages {
			if slices.Contains(stages, stage) {
				found[source] = version
			}
		}
	}
	return found, nil
}

// parameterVersions reads the versions of parameters of one region.
func (c *Client) parameterVersions(ctx context.Context, region string, sources []string) (map[string]string, error) {
	by := map[string][]string{} // sources by the names that they may mean
	var names []string
	for _, source := range sources {
		for _, name := range parameterNames(source) {
			by[name] = append(by[name], source)
			names = append(names, name)
		}
	}
	found := map[string]string{}
	in := map[string]any{"MaxResults": mostNames, "ParameterFilters": []map[string]any{{"Key": "Name", "Option": "Equals", "Values": names}}}
	for range mostPages {
		body, err := c.json(ctx, "ssm", region, "AmazonSSM.DescribeParameters", in)
		if err != nil {
			return found, fmt.Errorf("read the versions of parameters: ssm:DescribeParameters: %w", err)
		}
		var answer struct {
			NextToken  string
			Parameters []struct {
				Name    string
				Version int64
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return found, fmt.Errorf("read the versions of parameters: %w", err)
		}
		for _, p := range answer.Parameters {
			for _, source := range by[p.Name] {
				if p.Version > 0 {
					found[source] = strconv.FormatInt(p.Version, 10)
				}
			}
		}
		if answer.NextToken == "" {
			break
		}
		in["NextToken"] = answer.NextToken
	}
	return found, nil
}

// parameterNames are the names that a source of Systems Manager may mean. The ARN of a
// name of one level does not tell whether that begins with a slash.
func parameterNames(source string) []string {
	parts := strings.Split(source, ":")
	if len(parts) <= 5 || parts[2] != "ssm" {
		return []string{source}
	}
	name := strings.TrimPrefix(parts[5], "parameter/")
	if strings.Contains(name, "/") {
		return []string{"/" + name}
	}
	return []string{"/" + name, name}
}
