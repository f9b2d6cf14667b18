// One stage of the application: a cluster, a load balancer, and a Fargate service whose image is given from outside.
'use strict';

const { CfnOutput, Duration, RemovalPolicy, Stack } = require('aws-cdk-lib');
const ec2 = require('aws-cdk-lib/aws-ec2');
const ecr = require('aws-cdk-lib/aws-ecr');
const ecs = require('aws-cdk-lib/aws-ecs');
const elb = require('aws-cdk-lib/aws-elasticloadbalancingv2');
const iam = require('aws-cdk-lib/aws-iam');
const logs = require('aws-cdk-lib/aws-logs');
const { pushStatements, rolloutStatements } = require('./permissions');

const PORT = 8080;

class ServiceStack extends Stack {
  // stage names the resources; image is what the service runs, by default the placeholder.
  constructor(scope, id, { stage, image, ...props }) {
    super(scope, id, props);

    // The repository is made by the pipeline of the placeholder, before there is anything else.
    const repository = ecr.Repository.fromRepositoryName(this, 'Repository', 'chat-app');

    // Two public subnets and no NAT gateway: as cheap as it gets. Only the load balancer can reach the tasks.
    const vpc = new ec2.Vpc(this, 'Network', {
      maxAzs: 2,
      natGateways: 0,
      subnetConfiguration: [{ name: 'public', subnetType: ec2.SubnetType.PUBLIC }],
      restrictDefaultSecurityGroup: false,
    });
    const cluster = new ecs.Cluster(this, 'Cluster', { clusterName: `product-${stage}-cluster`, vpc });

    const ecsTasks = new iam.ServicePrincipal('ecs-tasks.amazonaws.com');
    const taskRole = new iam.Role(this, 'TaskRole', { roleName: `chat-app-${stage}-task`, assumedBy: ecsTasks });
    const executionRole = new iam.Role(this, 'ExecutionRole', { roleName: `chat-app-${stage}-execution`, assumedBy: ecsTasks });
    repository.grantPull(executionRole);

    const logGroup = new logs.LogGroup(this, 'Logs', {
      logGroupName: `/ecs/chat-app-${stage}`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });

    const taskDefinition = new ecs.FargateTaskDefinition(this, 'TaskDefinition', {
      family: `chat-app-${stage}`,
      cpu: 256,
      memoryLimitMiB: 512,
      taskRole,
      executionRole,
      runtimePlatform: { cpuArchitecture: ecs.CpuArchitecture.X86_64, operatingSystemFamily: ecs.OperatingSystemFamily.LINUX },
    });
    taskDefinition.addContainer('app', {
      image: image ? ecs.ContainerImage.fromRegistry(image) : ecs.ContainerImage.fromEcrRepository(repository, 'placeholder'),
      portMappings: [{ containerPort: PORT }],
      environment: { PORT: String(PORT), STAGE: stage }, // the placeholder listens where PORT says, too
      logging: ecs.LogDriver.awsLogs({ logGroup, streamPrefix: 'app' }),
    });

    const service = new ecs.FargateService(this, 'Service', {
      serviceName: `chat-app-${stage}-ecs-svc`,
      cluster,
      taskDefinition,
      desiredCount: 2,
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      assignPublicIp: true,
      circuitBreaker: { rollback: true },
      healthCheckGracePeriod: Duration.seconds(60),
    });

    const loadBalancer = new elb.ApplicationLoadBalancer(this, 'LoadBalancer', { vpc, internetFacing: true });
    loadBalancer.addListener('Http', { port: 80 }).addTargets('Service', {
      port: PORT,
      protocol: elb.ApplicationProtocol.HTTP,
      targets: [service],
      healthCheck: { path: '/health', interval: Duration.seconds(15), healthyThresholdCount: 2 },
      deregistrationDelay: Duration.seconds(30),
    });

    // The roles that the application's pipeline assumes: one to push in its build stage, one to roll out in each stage after.
    const account = new iam.AccountRootPrincipal();
    const deployRole = new iam.Role(this, 'DeployRole', { roleName: `chat-app-${stage}-deploy`, assumedBy: account });
    for (const statement of rolloutStatements({ repository, cluster, service, logGroup, taskRole, executionRole })) deployRole.addToPolicy(statement);
    if (stage === 'dev') {
      const pushRole = new iam.Role(this, 'PushRole', { roleName: 'chat-app-push', assumedBy: account });
      for (const statement of pushStatements({ repository })) pushRole.addToPolicy(statement);
      new CfnOutput(this, 'PushRoleArn', { value: pushRole.roleArn });
    }
    new CfnOutput(this, 'DeployRoleArn', { value: deployRole.roleArn });
    new CfnOutput(this, 'Address', { value: `http://${loadBalancer.loadBalancerDnsName}` });
  }
}

module.exports = { ServiceStack };
