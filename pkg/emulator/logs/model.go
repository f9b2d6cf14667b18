// What the service's model says and the SDK's runtime schemas leave out: required members, enumerations, bounds and patterns, from its API reference.

package logs

import (
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"ecsdeploy/pkg/emulator/awsapi"
)

func logsRules() awsapi.Rules {
	return awsapi.Rules{
		Required: map[string][]string{
			"CreateLogGroupRequest":  {"logGroupName"},
			"CreateLogStreamRequest": {"logGroupName", "logStreamName"},
			"DeleteLogGroupRequest":  {"logGroupName"},
			"GetLogEventsRequest":    {"logStreamName"},
			"InputLogEvent":          {"timestamp", "message"},
			"PutLogEventsRequest":    {"logGroupName", "logStreamName", "logEvents"},
		},
		Enums: map[string][]string{
			"LogGroupClass": awsapi.Names(logtypes.LogGroupClass("").Values()),
			"OrderBy":       awsapi.Names(logtypes.OrderBy("").Values()),
		},
		Limits: map[string]awsapi.Limit{
			"DescribeLimit":       {Min: 1, Max: 50},
			"EventMessage":        {Min: 1},
			"EventsLimit":         {Min: 1, Max: 10_000},
			"FilterPattern":       {Min: 0, Max: 1024},
			"InputLogEvents":      {Min: 1, Max: 10_000},
			"InputLogStreamNames": {Min: 1, Max: 100},
			"LogGroupIdentifier":  {Min: 1, Max: 2048, Pattern: awsapi.Pattern(`[\w#+=/:,.@-]*`)},
			"LogGroupName":        {Min: 1, Max: 512, Pattern: awsapi.Pattern(`[\.\-_/#A-Za-z0-9]+`)},
			"LogGroupNamePattern": {Min: 0, Max: 512, Pattern: awsapi.Pattern(`[\.\-_/#A-Za-z0-9]*`)},
			"LogStreamName":       {Min: 1, Max: 512, Pattern: awsapi.Pattern(`[^:*]*`)},
			"NextToken":           {Min: 1},
			"SequenceToken":       {Min: 1},
			"TagKey":              {Min: 1, Max: 128},
			"TagValue":            {Min: 0, Max: 256},
			"Tags":                {Min: 1, Max: 50},
			"Timestamp":           {Min: 0},
		},
	}
}
