// What the service's model says and the SDK's runtime schemas leave out: required members, enumerations, bounds and patterns, from its API reference.

package emulator

import logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

func logsRules() rules {
	return rules{
		required: map[string][]string{
			"CreateLogGroupRequest":  {"logGroupName"},
			"CreateLogStreamRequest": {"logGroupName", "logStreamName"},
			"DeleteLogGroupRequest":  {"logGroupName"},
			"GetLogEventsRequest":    {"logStreamName"},
			"InputLogEvent":          {"timestamp", "message"},
			"PutLogEventsRequest":    {"logGroupName", "logStreamName", "logEvents"},
		},
		enums: map[string][]string{
			"LogGroupClass": names(logtypes.LogGroupClass("").Values()),
			"OrderBy":       names(logtypes.OrderBy("").Values()),
		},
		limits: map[string]limit{
			"DescribeLimit":       {min: 1, max: 50},
			"EventMessage":        {min: 1},
			"EventsLimit":         {min: 1, max: 10_000},
			"FilterPattern":       {min: 0, max: 1024},
			"InputLogEvents":      {min: 1, max: 10_000},
			"InputLogStreamNames": {min: 1, max: 100},
			"LogGroupIdentifier":  {min: 1, max: 2048, pattern: pattern(`[\w#+=/:,.@-]*`)},
			"LogGroupName":        {min: 1, max: 512, pattern: pattern(`[\.\-_/#A-Za-z0-9]+`)},
			"LogGroupNamePattern": {min: 0, max: 512, pattern: pattern(`[\.\-_/#A-Za-z0-9]*`)},
			"LogStreamName":       {min: 1, max: 512, pattern: pattern(`[^:*]*`)},
			"NextToken":           {min: 1},
			"SequenceToken":       {min: 1},
			"TagKey":              {min: 1, max: 128},
			"TagValue":            {min: 0, max: 256},
			"Tags":                {min: 1, max: 50},
			"Timestamp":           {min: 0},
		},
	}
}
