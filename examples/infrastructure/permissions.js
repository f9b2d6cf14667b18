// What EcsDeploy@1 needs to be allowed, and nothing else: the policies that its documentation gives, with this stack's resources.
'use strict';

const { ArnFormat, Stack } = require('aws-cdk-lib');
const { PolicyStatement } = require('aws-cdk-lib/aws-iam');

const allow = (actions, resources, conditions) => new PolicyStatement({ actions, resources, conditions });

// command: push
function pushStatements({ repository }) {
  return [
    allow(['ecr:GetAuthorizationToken'], ['*']),
    allow([
      'ecr:DescribeRepositories', 'ecr:DescribeImages', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchCheckLayerAvailability',
      'ecr:InitiateLayerUpload', 'ecr:UploadLayerPart', 'ecr:CompleteLayerUpload', 'ecr:PutImage',
    ], [repository.repositoryArn]),
  ];
}

// command: rollout
function rolloutStatements({ repository, cluster, service, logGroup, taskRole, executionRole }) {
  const ofService = (resource) => Stack.of(service).formatArn({
    service: 'ecs', resource, resourceName: `${cluster.clusterName}/${service.serviceName}/*`, arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
  const revisions = Stack.of(service).formatArn({
    service: 'ecs', resource: 'task-definition', resourceName: `${service.taskDefinition.family}:*`, arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
  return [
    allow(['ecr:GetAuthorizationToken'], ['*']),
    allow([
      'ecr:DescribeRepositories', 'ecr:DescribeImages', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer', 'ecr:GetLifecyclePolicy',
    ], [repository.repositoryArn]),
    allow(['ecs:DescribeTaskDefinition', 'ecs:RegisterTaskDefinition'], ['*']),
    allow(['ecs:TagResource', 'ecs:UntagResource'], [revisions]),
    allow(['ecs:DescribeServices', 'ecs:UpdateService', 'ecs:ListServiceDeployments'], [service.serviceArn]),
    allow(['ecs:DescribeServiceDeployments', 'ecs:DescribeServiceRevisions', 'ecs:StopServiceDeployment'],
      [ofService('service-deployment'), ofService('service-revision')]),
    allow(['ecs:ListTasks', 'ecs:DescribeTasks'], ['*'], { ArnEquals: { 'ecs:cluster': cluster.clusterArn } }),
    allow(['logs:GetLogEvents'], [logGroup.logGroupArn]),
    allow(['elasticloadbalancing:DescribeTargetHealth', 'elasticloadbalancing:DescribeTargetGroups', 'elasticloadbalancing:DescribeTargetGroupAttributes'], ['*']),
    allow(['iam:PassRole'], [taskRole.roleArn, executionRole.roleArn], { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } }),
  ];
}

module.exports = { pushStatements, rolloutStatements };
