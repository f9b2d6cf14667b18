// Starts the ecsdeploy executable for this agent's platform, hands the agent's signals on, and ends with its exit code.
// No dependencies: azure-pipelines-task-lib would move the inputs out of the environment that the executable reads.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const windows = process.platform === 'win32';

// fail ends the step as failed. The exit code stays 0: the agent would add an error of its own to any other.
function fail(message) {
  const text = message.replace(/%/g, '%AZP25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  console.log(['logissue type=error', 'complete result=Failed'].map((command) => `##vso[task.${command}]${text}`).join('\n'));
}

function runnable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// executable returns the path of the executable for this platform, made executable: packaging loses that bit. A task
// folder that is read-only, or mounted without leave to execute, as in container jobs, has it copied.
function executable() {
  const platform = `${process.platform}-${process.arch}`;
  const name = `ecsdeploy-${platform}${windows ? '.exe' : ''}`;
  const file = path.join(__dirname, 'bin', name);
  if (!fs.existsSync(file)) {
    throw new Error(`EcsDeploy does not run on this agent's platform, ${platform}. It runs on linux, win32 and darwin, each x64 or arm64.`);
  }
  if (windows || runnable(file)) return file;
  try { fs.chmodSync(file, 0o755); } catch { /* read-only: copied below */ }
  if (runnable(file)) return file;
  const copy = path.join(fs.mkdtempSync(path.join(process.env.AGENT_TEMPDIRECTORY || os.tmpdir(), 'ecsdeploy-')), name);
  fs.copyFileSync(file, copy);
  fs.chmodSync(copy, 0o755);
  return copy;
}

try {
  let child;
  // On Windows the console tells the executable itself, and child.kill would end it before it could clean up.
  const forward = (signal) => { if (!windows) child?.kill(signal); };
  for (const signal of windows ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGTERM']) process.on(signal, forward);
  child = spawn(executable(), [], { stdio: ['ignore', 'inherit', 'inherit'] });
  child.on('error', (err) => fail(`EcsDeploy could not start ${child.spawnfile}: ${err.message}`));
  child.on('exit', (code, signal) => {
    if (code === null) fail(`EcsDeploy was ended by ${signal}.`);
    process.exitCode = code ?? 1;
  });
} catch (err) {
  fail(err.message);
}
