package schedule

// The calls of EventBridge and EventBridge Scheduler.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// AWS makes signed calls, and knows which clusters there are.
type AWS interface {
	Signed(ctx context.Context, what string, s ecs.Signed) ([]byte, error)
	Clusters(ctx context.Context) iter.Seq2[string, error]
}

// Client reads and changes rules and schedules. It is safe for concurrent use.
type Client struct{ aws AWS }

// New returns a client that makes its calls through aws.
func New(aws AWS) *Client { return &Client{aws} }

// Read returns those targets of a rule, or the target of a schedule, that start
// tasks; none where none does. A rule or schedule that does not exist is a
// [*mistake.Error] that is absent.
func (c *Client) Read(ctx context.Context, r Ref) ([]Entry, error) {
	if r.Kind == Rule {
		return c.readRule(ctx, r)
	}
	return c.readSchedule(ctx, r)
}

func (c *Client) readRule(ctx context.Context, r Ref) (all []Entry, err error) {
	what := "list the targets of " + r.String()
	for page, err := range c.listed(ctx, what, "ListTargetsByRule", object{{"Rule", quote(r.Name)}, {"EventBusName", quote(r.Group)}}) {
		if err != nil {
			return nil, absent(r, err)
		}
		targets, err := page.needed("Targets")
		if err != nil {
			return nil, ecs.During(what, err)
		}
		for _, target := range targets {
			if e, starts := ofRule(r, target); starts {
				all = append(all, e)
			}
		}
	}
	for i := range all {
		all[i].Several = len(all) > 1
	}
	return all, nil
}

func (c *Client) readSchedule(ctx context.Context, r Ref) ([]Entry, error) {
	what := "read " + r.String()
	body, err := c.aws.Signed(ctx, what, ecs.Signed{
		Service: "scheduler", Method: http.MethodGet, Path: "/schedules/" + url.PathEscape(r.Name), Query: url.Values{"groupName": {r.Group}},
	})
	if err != nil {
		return nil, absent(r, err)
	}
	doc, err := parse(body)
	if err == nil && (doc.text("Name") != r.Name || doc.object("Target") == nil || doc.text("ScheduleExpression") == "") {
		err = errors.New("the answer is not this schedule")
	}
	if err != nil {
		return nil, ecs.During(what, err)
	}
	if e, starts := ofSchedule(r, doc, time.Now()); starts {
		return []Entry{e}, nil
	}
	return nil, nil
}

// absent is the error of a reading; a mistake where there is nothing to read.
func absent(r Ref, err error) error {
	if ecs.CodeOf(err) != "ResourceNotFoundException" {
		return err
	}
	hint := "for a rule of another event bus write rule:BUS/NAME"
	if r.Kind == Schedule {
		hint = "for a schedule of another group write schedule:GROUP/NAME"
	}
	m := mistake.New(mistake.Schedule, hint, "%s does not exist", r)
	m.Absent = true
	return m
}

// Find returns everything that starts tasks in some clusters, given by their ARNs;
// nil is every cluster of the region, and all that calls RunTask in another way. It is
// complete or an error.
func (c *Client) Find(ctx context.Context, clusters []string) ([]Entry, error) {
	universal := clusters == nil
	if clusters == nil {
		for cluster, err := range c.aws.Clusters(ctx) {
			if err != nil {
				return nil, err
			}
			clusters = append(clusters, cluster)
		}
	}
	rules, err := c.rules(ctx, clusters)
	if err != nil {
		return nil, err
	}
	schedules, err := c.schedules(ctx, clusters, universal)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all []Entry
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	for _, r := range append(rules, schedules...) {
		work.Go(func() error {
			some, err := c.Read(ctx, r)
			if mistake.Absent(err) { // deleted since it was listed
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			for _, e := range some {
				if slices.Contains(clusters, e.Cluster) && !e.Universal || universal && e.Universal {
					all = append(all, e)
				}
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return sorted(all), nil
}

// rules are the rules of every event bus with a target in one of the clusters.
func (c *Client) rules(ctx context.Context, clusters []string) (all []Ref, err error) {
	var buses []string
	for page, err := range c.listed(ctx, "list the event buses", "ListEventBuses", object{}) {
		if err != nil {
			return nil, err
		}
		found, err := page.needed("EventBuses")
		if err != nil {
			return nil, ecs.During("list the event buses", err)
		}
		for _, bus := range found {
			buses = append(buses, bus.text("Name"))
		}
	}
	for _, bus := range buses {
		for _, cluster := range clusters {
			what := "list the rules that start tasks in cluster " + ecs.ShortARN(cluster)
			for page, err := range c.listed(ctx, what, "ListRuleNamesByTarget", object{{"TargetArn", quote(cluster)}, {"EventBusName", quote(bus)}}) {
				if err != nil {
					return nil, err
				}
				var names []string
				if json.Unmarshal(page.get("RuleNames"), &names) != nil || names == nil {
					return nil, ecs.During(what, errors.New("RuleNames is no list of names"))
				}
				for _, name := range names {
					if r := (Ref{Rule, bus, name}); !slices.Contains(all, r) {
						all = append(all, r)
					}
				}
			}
		}
	}
	return all, nil
}

// schedules are the schedules of every group whose target is one of the clusters, and
// with universal those that call RunTask.
func (c *Client) schedules(ctx context.Context, clusters []string, universal bool) (all []Ref, err error) {
	const what = "list the schedules"
	query := url.Values{"MaxResults": {"100"}}
	for pages := 0; ; pages++ {
		body, err := c.aws.Signed(ctx, what, ecs.Signed{Service: "scheduler", Method: http.MethodGet, Path: "/schedules", Query: query})
		if err != nil {
			return nil, err
		}
		page, err := parse(body)
		if err != nil {
			return nil, ecs.During(what, err)
		}
		found, err := page.needed("Schedules")
		if err != nil {
			return nil, ecs.During(what, err)
		}
		for _, s := range found {
			if arn := s.object("Target").text("Arn"); slices.Contains(clusters, arn) || universal && strings.HasSuffix(arn, universalRunTask) {
				all = append(all, Ref{Schedule, s.text("GroupName"), s.text("Name")})
			}
		}
		next := page.text("NextToken")
		if next == "" {
			return all, nil
		}
		if next == query.Get("NextToken") || pages == mostPages {
			return nil, ecs.During(what, errEndless)
		}
		query.Set("NextToken", next)
	}
}

// mostPages bounds every list: 100 pages are 10,000 names.
const mostPages = 100

var errEndless = errors.New("the list does not end")

// listed yields the pages of a list of EventBridge; an error is the last.
func (c *Client) listed(ctx context.Context, what, operation string, in object) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		token := ""
		for pages := 0; ; pages++ {
			page, err := c.events(ctx, what, operation, in, false)
			if !yield(page, err) || err != nil {
				return
			}
			next := page.text("NextToken")
			if next == "" {
				return
			}
			if next == token || pages == mostPages {
				yield(nil, ecs.During(what, errEndless))
				return
			}
			token, in = next, in.with("NextToken", quote(next))
		}
	}
}

// events makes a call of EventBridge.
func (c *Client) events(ctx context.Context, what, operation string, in object, change bool) (object, error) {
	body, err := c.aws.Signed(ctx, what, ecs.Signed{
		Service: "events", Method: http.MethodPost, Path: "/", Change: change, Body: in.encode(),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AWSEvents." + operation}},
	})
	if err != nil {
		return nil, err
	}
	out, err := parse(body)
	return out, ecs.During(what, err)
}

// Put has AWS keep an entry as it is given here, in the place of the one of the same
// name. An error that is not a refusal leaves open whether it did.
func (c *Client) Put(ctx context.Context, e Entry) (Adjustment, error) {
	what := "change " + e.String()
	if e.Kind == Rule {
		what = "change target " + e.ID + " of " + e.Ref.String()
		in := object{{"Rule", quote(e.Name)}, {"EventBusName", quote(e.Group)}, {"Targets", append(append(json.RawMessage{'['}, e.doc.encode()...), ']')}}
		out, err := c.events(ctx, what, "PutTargets", in, true)
		if err == nil {
			err = ecs.During(what, failedEntry(out))
		}
		return None, err
	}
	doc, adjusted := update(e.doc, time.Now())
	_, err := c.aws.Signed(ctx, what, ecs.Signed{
		Service: "scheduler", Method: http.MethodPut, Path: "/schedules/" + url.PathEscape(e.Name), Change: true,
		Body: doc.with("GroupName", quote(e.Group)).encode(), Header: http.Header{"Content-Type": {"application/json"}},
	})
	return adjusted, err
}

// failedEntry is why EventBridge did not take a target that it took the request for;
// nil where it did take it.
//
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargetsResultEntry.html
func failedEntry(out object) error {
	failed, err := out.objects("FailedEntries")
	switch {
	case err != nil:
		return err
	case len(failed) > 0:
		return &smithy.GenericAPIError{Code: failed[0].text("ErrorCode"), Message: failed[0].text("ErrorMessage")}
	}
	switch count := string(out.get("FailedEntryCount")); count {
	case "0":
		return nil
	case "":
		return errors.New("the answer does not say whether the target was taken")
	default:
		return fmt.Errorf("%s target was not taken", strings.TrimSpace(count))
	}
}
