// The infrastructure of one stage, as an AWS CDK app.
//
//   npx cdk deploy -c stage=dev -c image=123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17
//
// image is what the service runs now, which the pipeline finds out (command: currentImage). Without it the service gets the
// placeholder: right for the first time, and for the first time only.
'use strict';

const { App } = require('aws-cdk-lib');
const { ServiceStack } = require('./service');

// build makes the app; context comes before what the CDK CLI passes on.
function build(context = {}) {
  const app = new App({
    analyticsReporting: false,
    context: { '@aws-cdk/aws-ecs:removeDefaultDeploymentAlarm': true, ...context },
  });
  const stage = app.node.tryGetContext('stage') || 'dev';
  new ServiceStack(app, `chat-app-${stage}`, { stage, image: app.node.tryGetContext('image') });
  return app;
}

module.exports = { build };
if (require.main === module) build().synth();
