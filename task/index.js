// Starts the ecsdeploy executable for this agent's platform, hands the agent's signals on, and ends with its exit code.
// No dependencies: azure-pipelines-task-lib would move the inputs out of the environment that the executable reads.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

const windows = process.platform === 'win32';

// fail ends the step as failed. The exit code stays 0: the agent would add an error of its own to any other.
function fail(message) {
  const text = message.replace(/%/g, '%AZP25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  console.log(['logissue type=error', 'complete result=Failed'].map((command) => `##vso[task.${command}]${text}`).join('\n'));
}

function runnable(file) {
  try { fs.accessSync(file, fs.constants.X_OK); } catch { return false; }
  return true;
}

// executable returns the path of the executable for this platform. The first step unpacks it into the task's folder; where
// that is read-only or may hold no programs, as in container jobs, each step unpacks it into the job's temporary folder.
function executable() {
  const bin = path.join(__dirname, 'bin');
  const platform = `${process.platform}-${process.arch}`;
  const place = JSON.parse(fs.readFileSync(path.join(bin, 'index.json')))[platform];
  if (!place) throw new Error(`EcsDeploy does not run on this agent's platform, ${platform}. It runs on linux (x64, arm64, arm), win32 (x64, arm64, ia32) and darwin (x64, arm64).`);
  const name = `ecsdeploy-${platform}${windows ? '.exe' : ''}`;
  const file = path.join(bin, name);
  if (runnable(file)) return file;
  const params = { [zlib.constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 };
  const all = zlib.brotliDecompressSync(fs.readFileSync(path.join(bin, place.pack)), { params });
  const unpack = (to) => fs.writeFileSync(to, all.subarray(place.offset, place.offset + place.length), { mode: 0o755 });
  try {
    unpack(`${file}.${process.pid}`);
    fs.renameSync(`${file}.${process.pid}`, file); // whole or not at all
  } catch { /* read-only */ }
  if (runnable(file)) return file;
  const copy = path.join(fs.mkdtempSync(path.join(process.env.AGENT_TEMPDIRECTORY || os.tmpdir(), 'ecsdeploy-')), name);
  unpack(copy);
  return copy;
}

try {
  let child;
  // On Windows the console tells the executable itself, and child.kill would end it before it could clean up.
  const forward = (signal) => { if (!windows) child?.kill(signal); };
  for (const signal of windows ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGTERM']) process.on(signal, forward);
  child = spawn(executable(), [], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ECSDEPLOY_TASK_FOLDER: __dirname } });
  child.on('error', (err) => fail(`EcsDeploy could not start ${child.spawnfile}: ${err.message}`));
  child.on('exit', (code, signal) => {
    if (code === null) fail(`EcsDeploy was ended by ${signal}.`);
    process.exitCode = code ?? 1;
  });
} catch (err) {
  fail(err.message);
}
