package resource

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ecsdeploy/pkg/emulator"
)

// TestVersions: each kind of source, before and after its secret was renewed. What one
// call may not read does not take the rest along.
func TestVersions(t *testing.T) {
	e, c := account(t)
	const secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat/db-AbCdEf"
	const pinned = secret + ":::0f0e0d0c-0b0a-4908-8706-050403020100"
	sources := []string{secret, secret + ":password::", secret + "::AWSPREVIOUS:", pinned, "/chat/mode", "short", "arn:aws:ssm:eu-west-1:123456789012:parameter/chat/level", "arn:aws:ssm:eu-west-1:123456789012:parameter/short"}
	before, err := c.Versions(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != len(sources)-2 || before["/chat/mode"] != "1" || before[secret] == "" || before[secret] != before[secret+":password::"] || before[pinned] != "" {
		t.Errorf("before: %v", before)
	}
	e.Renew(secret, "/chat/mode", "short")
	after, err := c.Versions(t.Context(), sources)
	if err != nil || after["/chat/mode"] != "2" || after["short"] != "2" || after[sources[7]] != "2" || after[sources[6]] != "1" || after[secret] == before[secret] || after[secret+"::AWSPREVIOUS:"] != before[secret] {
		t.Errorf("after: %v, %v", after, err)
	}
	e.Fail("secretsmanager:DescribeSecret", emulator.Denied())
	some, err := c.Versions(t.Context(), sources)
	if err == nil || !strings.Contains(err.Error(), "secretsmanager:DescribeSecret") || some["/chat/mode"] != "2" || some[secret] != "" {
		t.Errorf("denied: %v, %v", some, err)
	}
}

// TestVersionsOverPages: a page may be empty and not the last one.
func TestVersionsOverPages(t *testing.T) {
	pages := []string{`{"NextToken":"1"}`, `{"Parameters":[{"Name":"/a","Version":3}],"NextToken":"2"}`, `{"Parameters":[{"Name":"/b","Version":4},{"Name":"/other","Version":5}]}`}
	asked := 0
	c := New(aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: pageServer(func(r *http.Request) string {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), `"NextToken"`) != (asked > 0) {
				t.Errorf("call %d: %s", asked+1, body)
			}
			asked++
			return pages[asked-1]
		})},
	})
	got, err := c.Versions(t.Context(), []string{"/a", "/b"})
	if err != nil || !maps.Equal(got, map[string]string{"/a": "3", "/b": "4"}) || asked != 3 {
		t.Errorf("%v, %v, %d calls", got, err, asked)
	}
}

type pageServer func(r *http.Request) string

func (a pageServer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(a(r))), Request: r}, nil
}
