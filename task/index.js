// Starts the ecsdeploy executable for this agent's platform, hands the agent's signals on, and tells the agent when the
// executable ended without having done so itself.
//
// The executable alone writes to standard output, from where the agent takes its commands. Its standard error is read
// here: that is where Go's runtime writes when it crashes, in words that may come from outside, so that they are cleaned
// and shown as debug lines after the executable has ended. Its standard input ends when this process does; a process
// that was killed could tell the agent nothing, and the agent would take that for success.
//
// This script always exits with 0: after a failure that was reported with task.complete, another exit code would keep a
// step that the agent retries from ever succeeding.
//
// No dependencies: azure-pipelines-task-lib would move the inputs out of the environment that the executable reads.
// The syntax is that of Node 10, to which an agent can fall back.
'use strict';

const { spawn } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

const windows = process.platform === 'win32';

// CONCLUDED is the exit code by which the executable says that it has told the agent how the run ended. Any other ending
// is a failure, 0 included: a shell exits with that when it is given an empty file.
const CONCLUDED = 83;

// ---- What the agent is told ----

// clean makes a line from outside harmless, more strictly than the executable does: what is invisible goes, and so does
// every number sign, without which there is no command. Passwords and signatures in URLs go, too.
function clean(line) {
  const visible = line.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, '').replace(/\t/g, ' ').replace(/[\p{C}\p{Default_Ignorable_Code_Point}]/gu, '');
  const redacted = visible.replace(/:\/\/[^\s/?#"'`<>]*@/g, '://***@').replace(/(X-Amz-(?:Signature|Security-Token|Credential)(?:=|%3D))[^\s&"'`<>\\]+/gi, '$1***');
  return redacted.replace(/[#＃﹟♯⌗]/g, '*').slice(0, 1000);
}

const lines = (text) => text.split(/\r\n|[\r\n\v\f\u0085\u2028\u2029]/).map(clean).filter((line) => line.trim());

// tell sends commands. Each begins on a line of its own even where the executable was ended in the middle of one.
function tell(commands) {
  process.stdout.on('error', () => { process.exitCode = 1; }); // nobody listens
  process.stdout.write(commands.map(([command, text]) => `\n##vso[task.${command}]${text.replace(/%/g, '%AZP25')}`).join('') + '\n');
}

let failed = false;

// fail ends the step as failed, once.
function fail(message) {
  if (failed) return;
  failed = true;
  const text = lines(message).join(' ');
  tell([['logissue type=error', text], ['complete result=Failed', text]]);
}

// ---- The executable ----

const bin = path.join(__dirname, 'bin');
const sha256 = (content) => crypto.createHash('sha256').update(content).digest('hex');

// architecture is that of the executable: an agent for 32-bit Windows on a 64-bit one brings a 32-bit Node, from which the
// executable for the system itself can be started. Windows tells a 32-bit process so by this variable.
function architecture() {
  const system = process.arch === 'ia32' && process.env.PROCESSOR_ARCHITEW6432;
  return { AMD64: 'x64', ARM64: 'arm64' }[system] || process.arch;
}

// packed returns how .ci/pack.js has described the executable for this platform.
function packed() {
  const platform = `${process.platform}-${architecture()}`;
  const all = undamaged(() => {
    const index = JSON.parse(fs.readFileSync(path.join(bin, 'index.json'), 'utf8'));
    if (!index || !Object.keys(index).length) throw new Error('index.json names no executables');
    return index;
  });
  if (!all[platform]) throw new Error(`EcsDeploy does not run on this agent's platform, ${platform}. It runs on linux (x64, arm64, arm), win32 (x64, arm64, ia32) and darwin (x64, arm64).`);
  return Object.assign({ name: `ecsdeploy-${platform}${windows ? '.exe' : ''}` }, all[platform]);
}

// unpacked returns the executable's content.
function unpacked(entry) {
  if (!zlib.brotliDecompressSync) throw new Error(`EcsDeploy needs the Node 20 of agents from 3.232.1 on; this agent (${process.env.AGENT_VERSION || 'version not known'}) runs it with Node ${process.version}. Update the agent, or use a distribution or container image on which its Node 20 runs.`);
  return undamaged(() => {
    const options = {
      params: { [zlib.constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 },
      finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH, // what comes after the executable is not unpacked
    };
    const all = zlib.brotliDecompressSync(fs.readFileSync(path.join(bin, entry.pack)).slice(0, entry.end), options);
    const content = all.slice(entry.offset, entry.offset + entry.length);
    if (sha256(content) !== entry.sha256) throw new Error(`${entry.pack} and index.json do not agree`);
    return content;
  });
}

function undamaged(read) {
  try { return read(); } catch (err) {
    throw new Error(`The task's files in ${bin} are damaged: ${err.message}. Delete ${__dirname}, so that the agent downloads the task again.`);
  }
}

// Who may own what is run: this user, root, and whoever owns this script.
const owners = windows ? [] : [process.getuid(), 0, fs.statSync(__filename).uid];
const guarded = (stat, writers) => windows || ((stat.mode & writers) === 0 && owners.includes(stat.uid));

// hashOf returns the SHA-256 of a file, read in parts: a buffer for all of it takes longer to allocate than the file to read.
function hashOf(file) {
  const hash = crypto.createHash('sha256'), part = Buffer.allocUnsafe(1 << 18);
  const fd = fs.openSync(file, 'r');
  try {
    for (let n; (n = fs.readSync(fd, part, 0, part.length, null)) > 0;) hash.update(part.slice(0, n));
  } finally { fs.closeSync(fd); }
  return hash.digest('hex');
}

// intact reports whether file is the executable as it was packed, nobody else may change it, and this user may run it.
// It is asked before every start: a file can be cut off by a power failure, or be somebody else's.
function intact(file, entry) {
  try {
    const stat = fs.lstatSync(file);
    if (!stat.isFile() || stat.size !== entry.length || !guarded(stat, 0o022)) return false;
    fs.accessSync(file, fs.constants.X_OK);
    return hashOf(file) === entry.sha256;
  } catch (err) { return false; }
}

// write puts content into file, whole or not at all, also when the machine fails meanwhile.
function write(file, content) {
  const partial = `${file}.${process.pid}.tmp`;
  const fd = fs.openSync(partial, 'wx', 0o755); // a new file, never what is there
  try {
    try {
      fs.writeFileSync(fd, content);
      if (!windows) fs.fchmodSync(fd, 0o755);
      fs.fsyncSync(fd);
    } finally { fs.closeSync(fd); }
    fs.renameSync(partial, file);
  } catch (err) {
    attempt(() => fs.unlinkSync(partial));
    throw err;
  }
  attempt(() => { // Windows opens no folders
    const folder = fs.openSync(path.dirname(file), 'r');
    try { fs.fsyncSync(folder); } finally { fs.closeSync(folder); }
  });
}

const attempt = (what) => { try { return what(); } catch (err) { return undefined; } };

// sweep removes what processes that are gone have left unfinished.
function sweep(folder) {
  for (const name of fs.readdirSync(folder)) {
    const [, pid] = /^ecsdeploy-.*\.(\d+)\.tmp$/.exec(name) || [];
    if (pid && (Number(pid) === process.pid || !alive(Number(pid)))) attempt(() => fs.unlinkSync(path.join(folder, name)));
  }
}

function alive(pid) {
  try { return process.kill(pid, 0); } catch (err) { return err.code !== 'ESRCH'; }
}

// temporary makes a folder that is this user's alone and is removed at the end.
function temporary(parent) {
  const folder = fs.mkdtempSync(path.join(parent, 'ecsdeploy-'));
  process.on('exit', () => attempt(() => {
    for (const name of fs.readdirSync(folder)) fs.unlinkSync(path.join(folder, name));
    fs.rmdirSync(folder);
  }));
  return folder;
}

// folders lists where the executable may lie: the task's folder, unless everybody may write there, then temporary ones.
function folders() {
  const task = () => {
    if (!guarded(fs.statSync(bin), 0o002)) throw new Error(`${bin} can be changed by other users`);
    attempt(() => sweep(bin));
    return bin;
  };
  const parents = new Set([process.env.AGENT_TEMPDIRECTORY, os.tmpdir()].filter(Boolean));
  return [task, ...[...parents].map((parent) => () => temporary(parent))];
}

// executable returns the path of the executable. The first step unpacks it into the task's folder. Where that is read-only,
// as in container jobs, or may hold no programs, each step unpacks it into a temporary folder.
function executable() {
  const entry = packed();
  const problems = [];
  let content;
  for (const folder of folders()) {
    let file;
    try { file = path.join(folder(), entry.name); } catch (err) { problems.push(err.message); continue; }
    if (intact(file, entry)) return file;
    content = content || unpacked(entry);
    let problem = `${file} cannot be run, as on a file system mounted with noexec`;
    try { write(file, content); } catch (err) { problem = err.message; }
    if (intact(file, entry)) return file; // unpacked now, or by another job meanwhile
    problems.push(problem);
  }
  throw new Error(`EcsDeploy could not unpack its executable: ${problems.join('; ')}.`);
}

// ---- The run ----

// reason says in one sentence how the executable ended, as far as that can be known from outside.
function reason(code, signal, said) {
  const crash = said.find((line) => /^(panic|fatal error|runtime|SIG[A-Z]+): /.test(line));
  const number = code > 255 || code < 0 ? `0x${(code >>> 0).toString(16).toUpperCase()}` : code; // Windows' status codes
  if (crash) return `EcsDeploy crashed: ${crash}.`;
  if (signal === 'SIGKILL' || code === 137) return 'EcsDeploy was ended by SIGKILL, as when the agent has no memory left.';
  if (signal) return `EcsDeploy was ended by ${signal}.`;
  return `EcsDeploy ended with exit code ${number} and did not say how the run ended.`;
}

function run() {
  let child;
  // On Windows the console tells the executable itself, and child.kill would end it before it could clean up.
  const forward = (signal) => { if (!windows && child) child.kill(signal); };
  for (const signal of windows ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGTERM']) process.on(signal, forward);

  const env = Object.assign({}, process.env, { ECSDEPLOY_TASK_FOLDER: __dirname, ECSDEPLOY_CONCLUDED: String(CONCLUDED) });
  const file = executable();
  const problem = (err) => `EcsDeploy could not start ${file}: ${err.message}.`;
  try { child = spawn(file, [], { stdio: ['pipe', 'inherit', 'pipe'], env }); } catch (err) { throw new Error(problem(err)); }
  child.on('error', (err) => fail(problem(err)));
  if (!child.stdin) return; // Node could open no pipes, and the error is to come
  child.stdin.on('error', () => {}); // nothing is written to it

  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part) => { if (text.length < 1 << 18) text += part; });
  const conclude = (code, signal) => {
    const said = lines(text);
    text = '';
    child.stderr.destroy();
    if (said.length) tell(said.map((line) => ['debug', line]));
    if (code !== CONCLUDED) fail(`${reason(code, signal, said)} What it had begun may still be in progress: look at the deployments of the service in the ECS console.`);
  };
  // The streams close with the executable, unless another program has got hold of them.
  let timer;
  child.on('exit', (code, signal) => { timer = setTimeout(conclude, 2000, code, signal); });
  child.on('close', (code, signal) => { clearTimeout(timer); conclude(code, signal); });
}

process.on('uncaughtException', (err) => fail(err.message));
run();
