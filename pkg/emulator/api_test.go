package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"ecsdeploy/pkg/emulator/awsapi"
	ecrroom "ecsdeploy/pkg/emulator/ecr"
)

func TestSignatureIsRequired(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		for _, c := range []struct{ authorization, code string }{
			{"", "MissingAuthenticationTokenException"},
			{"Basic QVdTOng=", "IncompleteSignatureException"},
			{authorization("AKIATEST", "us-east-1", "ecs"), "InvalidSignatureException"},
			{authorization("AKIATEST", "eu-west-1", "ecr"), "InvalidSignatureException"},
			{authorization("AKIATEST", "eu-west-1", "ecs"), ""},
		} {
			r := must(http.NewRequestWithContext(w.ctx, "POST", "https://ecs.eu-west-1.amazonaws.com/", strings.NewReader("{}")))(w)
			r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters")
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Date", "20260101T000000Z")
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			resp := must(w.Transport().RoundTrip(r))(w)
			out := must(awsapi.ParseObject(must(io.ReadAll(resp.Body))(w)))(w)
			resp.Body.Close()
			if out.Str("__type") != c.code {
				t.Errorf("%q: %v, want %s", c.authorization, out, c.code)
			}
		}
	})
}

func TestSTS(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		me := must(w.sts.GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{}))(w)
		if *me.Account != "123456789012" || *me.Arn != "arn:aws:iam::123456789012:user/emulator" {
			t.Errorf("%+v", me)
		}
		in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/ci/deploy"), RoleSessionName: aws.String("build-7"), DurationSeconds: aws.Int32(900)}
		role := must(w.sts.AssumeRole(w.ctx, in))(w)
		as := func(token string) (*sts.GetCallerIdentityOutput, error) {
			return w.sts.GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) {
				o.Credentials = credentials.NewStaticCredentialsProvider(*role.Credentials.AccessKeyId, *role.Credentials.SecretAccessKey, token)
			})
		}
		who := must(as(*role.Credentials.SessionToken))(w)
		if *who.Arn != "arn:aws:sts::123456789012:assumed-role/deploy/build-7" || *who.UserId != *role.AssumedRoleUser.AssumedRoleId {
			t.Errorf("%+v", who)
		}
		_, err := as("another")
		refused(t, err, "InvalidClientTokenId", "The security token included in the request is invalid.")
		time.Sleep(15*time.Minute + time.Second)
		_, err = as(*role.Credentials.SessionToken)
		refused(t, err, "ExpiredToken", "The security token included in the request is expired")
		_, err = w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{}, func(o *ecs.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(*role.Credentials.AccessKeyId, *role.Credentials.SecretAccessKey, *role.Credentials.SessionToken)
		})
		refused(t, err, "ExpiredTokenException", "The security token included in the request is expired")

		for _, c := range []struct {
			change        func(in *sts.AssumeRoleInput)
			code, message string
		}{
			{func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }, "ValidationError", `1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
			{func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("deploy") }, "ValidationError", "deploy is invalid"},
			{func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(60) }, "ValidationError", "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200"},
		} {
			bad := *in
			c.change(&bad)
			_, err := w.sts.AssumeRole(w.ctx, &bad)
			refused(t, err, c.code, c.message)
		}
		w.Fail("sts:AssumeRole", Denied())
		_, err = w.sts.AssumeRole(w.ctx, in)
		refused(t, err, "AccessDenied", "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/ci/deploy")
	})
}

func TestFaults(t *testing.T) {
	inDemo(t, func(w *world) {
		update := func() error {
			_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)})
			return err
		}
		w.Fail("ecs:UpdateService", Denied())
		refused(t, update(), "AccessDeniedException", "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:eu-west-1:123456789012:service/product-dev-cluster/chat-app-dev-ecs-svc because no identity-based policy allows the ecs:UpdateService action")
		w.Mend("ecs:UpdateService")
		w.Fail("ecs:UpdateService", Throttled(2))
		for range 2 {
			refused(t, update(), "ThrottlingException", "Rate exceeded")
		}
		if err := update(); err != nil {
			t.Error(err)
		}
		w.Fail("ecs:*", Fault{Times: 1, Skip: 1})
		if err := update(); err != nil {
			t.Error(err)
		}
		refused(t, update(), "ServerException", "Service Unavailable. Please try again later.")
		w.Fail("ecs:RegisterTaskDefinition", Concurrent(1))
		register := func() error {
			_, err := w.send("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", `{"family":"f","containerDefinitions":[{"name":"a","image":"b","memory":64}]}`)
			return err
		}
		if err := register(); err == nil || err.Error() != "ClientException: Too many concurrent attempts to create a new revision of the specified family." {
			t.Error(err)
		}
		if err := register(); err != nil {
			t.Error(err)
		}
		w.Fail("ecs:UpdateService", Reset(1))
		if err := update(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a connection reset", err)
		}
		w.Fail("ecs:UpdateService", Fault{Hang: true, Times: 1})
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		start := time.Now()
		_, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		w.Fail("registry:PutManifest", Throttled(1))
		w.expect(w.raw("PUT", "/v2/chat-app/manifests/1", strings.NewReader("{}")), 429, "TOOMANYREQUESTS", "Rate exceeded")
		w.Fail("ecr:DescribeImages", Denied())
		_, err = w.ecr.DescribeImages(w.ctx, &ecr.DescribeImagesInput{RepositoryName: aws.String(DemoRepository)})
		if err == nil || !strings.Contains(err.Error(), "on resource: arn:aws:ecr:eu-west-1:123456789012:repository/chat-app because no identity-based policy") {
			t.Error(err)
		}
	})
}

func TestRequests(t *testing.T) {
	inDemo(t, func(w *world) {
		if n := len(w.Requests()); n != 0 {
			t.Errorf("%d requests of the demo are listed", n)
		}
		w.update(force)
		w.push("1", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
		synctest.Wait() // a request is noted after it was answered
		var got []string
		for _, r := range w.Requests() {
			if !slices.Contains(got, r.Service+":"+r.Operation) {
				got = append(got, r.Service+":"+r.Operation)
			}
			if r.Status/100 != 2 && r.Error == "" {
				t.Errorf("%+v", r)
			}
		}
		slices.Sort(got)
		want := "ecr:DescribeRepositories ecr:GetAuthorizationToken ecs:UpdateService registry:FinishUpload registry:HeadBlob registry:HeadManifest registry:Ping registry:PutManifest registry:StartUpload registry:UploadChunk"
		if strings.Join(got, " ") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
		}
		if body := string(w.Requests()[0].Body); !strings.Contains(body, `"forceNewDeployment":true`) {
			t.Error(body)
		}
	})
}

func TestLogs(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		group, stream := aws.String("/app"), aws.String("a/b/1")
		must(w.logsAPI.CreateLogGroup(w.ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}))(w)
		_, err := w.logsAPI.CreateLogGroup(w.ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
		refused(t, err, "ResourceAlreadyExistsException", "The specified log group already exists")
		_, err = w.logsAPI.GetLogEvents(w.ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream})
		refused(t, err, "ResourceNotFoundException", "The specified log stream does not exist.")
		must(w.logsAPI.CreateLogStream(w.ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}))(w)
		now := time.Now().UnixMilli()
		var events []logtypes.InputLogEvent
		for i := range int64(5) {
			events = append(events, logtypes.InputLogEvent{Timestamp: aws.Int64(now + i), Message: aws.String(fmt.Sprintf("line %d", i))})
		}
		must(w.logsAPI.PutLogEvents(w.ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events}))(w)

		read := func(in *cloudwatchlogs.GetLogEventsInput) (string, *cloudwatchlogs.GetLogEventsOutput) {
			in.LogGroupName, in.LogStreamName = group, stream
			out := must(w.logsAPI.GetLogEvents(w.ctx, in))(w)
			var lines []string
			for _, e := range out.Events {
				lines = append(lines, *e.Message)
			}
			return strings.Join(lines, "|"), out
		}
		tail, out := read(&cloudwatchlogs.GetLogEventsInput{Limit: aws.Int32(2)})
		if tail != "line 3|line 4" {
			t.Error(tail)
		}
		if back, _ := read(&cloudwatchlogs.GetLogEventsInput{Limit: aws.Int32(2), NextToken: out.NextBackwardToken}); back != "line 1|line 2" {
			t.Error(back)
		}
		none, end := read(&cloudwatchlogs.GetLogEventsInput{NextToken: out.NextForwardToken})
		if none != "" || *end.NextForwardToken != *out.NextForwardToken {
			t.Errorf("%q: at the end the same token must come back", none)
		}
		if head, _ := read(&cloudwatchlogs.GetLogEventsInput{StartFromHead: aws.Bool(true), Limit: aws.Int32(1)}); head != "line 0" {
			t.Error(head)
		}
		if some, _ := read(&cloudwatchlogs.GetLogEventsInput{StartTime: aws.Int64(now + 1), EndTime: aws.Int64(now + 3)}); some != "line 1|line 2" {
			t.Error(some)
		}
		found := must(w.logsAPI.FilterLogEvents(w.ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String(`line -"line 2" -4`)}))(w)
		if len(found.Events) != 3 {
			t.Errorf("%d events found", len(found.Events))
		}
		streams := must(w.logsAPI.DescribeLogStreams(w.ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group, LogStreamNamePrefix: aws.String("a/")}))(w)
		if len(streams.LogStreams) != 1 || *streams.LogStreams[0].LastEventTimestamp != now+4 {
			t.Errorf("%+v", streams.LogStreams)
		}
		if groups := must(w.logsAPI.DescribeLogGroups(w.ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: group}))(w); len(groups.LogGroups) != 1 {
			t.Errorf("%+v", groups.LogGroups)
		}
	})
}

// TestOverSockets shows that the same handler serves real connections: repositories carry the server's own host, and a cut connection is cut.
func TestOverSockets(t *testing.T) {
	e, err := New(Options{Directory: t.TempDir(), Speed: 1000})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	defer server.Close()
	cfg := aws.Config{Region: e.Region(), BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""), Retryer: func() aws.Retryer { return aws.NopRetryer{} }}
	repo, err := ecr.NewFromConfig(cfg).CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String("app")})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(server.URL, "http://") + "/app"; *repo.Repository.RepositoryUri != want {
		t.Errorf("%s, want %s", *repo.Repository.RepositoryUri, want)
	}
	token, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(t.Context(), &ecr.GetAuthorizationTokenInput{})
	if err != nil || *token.AuthorizationData[0].ProxyEndpoint != server.URL {
		t.Errorf("%+v, %v", token, err)
	}
	e.Fail("ecs:ListClusters", Reset(1))
	if _, err := ecs.NewFromConfig(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err == nil {
		t.Error("the connection was not cut")
	}
	if _, err := ecs.NewFromConfig(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
		t.Error(err)
	}
	resp, err := http.Get(server.URL)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("%v, %v", resp, err)
	}
	resp.Body.Close()
}
