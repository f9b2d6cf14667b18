// Holds the templates: testdata/template.json is the whole of what "node app.js" makes for the stage dev. Where a change is
// meant, UPDATE=1 writes it anew: UPDATE=1 node --test
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { build } = require('./app');

const snapshot = path.join(__dirname, 'testdata', 'template.json');
const out = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-'));
process.env.CDK_OUTDIR = out; // where apps write
after(() => fs.rmSync(out, { recursive: true }));

// synth returns the template of a stage, a copy that the test may change.
function synth(context = {}) {
  const { template } = build(context).synth().getStackByName(`chat-app-${context.stage || 'dev'}`);
  return structuredClone(template);
}

// only returns the properties of the one resource of a type.
function only(template, type) {
  const found = Object.values(template.Resources).filter((resource) => resource.Type === type);
  assert.strictEqual(found.length, 1, `${found.length} resources of type ${type}`);
  return found[0].Properties;
}

test('the template is the one that was reviewed', () => {
  const text = JSON.stringify(synth(), null, 2) + '\n';
  if (process.env.UPDATE) fs.writeFileSync(snapshot, text);
  assert.strictEqual(text, fs.readFileSync(snapshot, 'utf8'), 'if the change is meant, run: UPDATE=1 node --test');
});

test('the app writes it without the CDK CLI, and without a network', () => {
  const folder = path.join(out, 'app');
  execFileSync(process.execPath, [path.join(__dirname, 'app.js')], { env: { ...process.env, CDK_OUTDIR: folder }, stdio: 'inherit' });
  assert.deepStrictEqual(JSON.parse(fs.readFileSync(path.join(folder, 'chat-app-dev.template.json'), 'utf8')), synth());
});

test('without an image the service runs the placeholder of this account', () => {
  const [app] = only(synth(), 'AWS::ECS::TaskDefinition').ContainerDefinitions;
  assert.deepStrictEqual(app.Image, {
    'Fn::Join': ['', [{ Ref: 'AWS::AccountId' }, '.dkr.ecr.', { Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }, '/chat-app:placeholder']],
  });
});

test('the image that is given changes the image, and nothing else', () => {
  const image = '123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:17';
  const before = synth();
  const after = synth({ image });
  const container = only(after, 'AWS::ECS::TaskDefinition').ContainerDefinitions[0];
  assert.strictEqual(container.Image, image);
  container.Image = only(before, 'AWS::ECS::TaskDefinition').ContainerDefinitions[0].Image;
  assert.deepStrictEqual(after, before);
});

test('a deployment that fails is rolled back by ECS itself', () => {
  assert.deepStrictEqual(only(synth(), 'AWS::ECS::Service').DeploymentConfiguration, {
    DeploymentCircuitBreaker: { Enable: true, Rollback: true }, MaximumPercent: 200, MinimumHealthyPercent: 100,
  });
});

test('each stage has names of its own; the role to push is there once', () => {
  const names = (template) => Object.values(template.Resources)
    .flatMap(({ Properties: p = {} }) => [p.RoleName, p.ClusterName, p.ServiceName, p.LogGroupName, p.Family])
    .filter(Boolean).sort();
  assert.deepStrictEqual(names(synth({ stage: 'prod' })), [
    '/ecs/chat-app-prod', 'chat-app-prod', 'chat-app-prod-deploy', 'chat-app-prod-ecs-svc', 'chat-app-prod-execution', 'chat-app-prod-task',
    'product-prod-cluster',
  ]);
  assert.ok(names(synth()).includes('chat-app-push'));
});

const linter = process.env.PATH.split(path.delimiter).some((folder) => fs.existsSync(path.join(folder, 'cfn-lint')));
test('cfn-lint has nothing to say', { skip: linter ? false : 'cfn-lint is not installed' }, () => {
  const files = ['dev', 'prod'].map((stage) => {
    const file = path.join(out, `lint-${stage}.json`);
    fs.writeFileSync(file, JSON.stringify(synth({ stage })));
    return file;
  });
  // W3005: CDK says that the service depends on its target group, as the reference to that says already.
  const lint = ['--regions', 'eu-west-1', '--ignore-checks', 'W3005', '--', ...files];
  execFileSync('cfn-lint', lint, { stdio: ['ignore', 'inherit', 'inherit'] });
});
