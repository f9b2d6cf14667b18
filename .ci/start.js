// Measures how long the task takes from the start of node to its first line. Usage: node start.js TASK [ROUNDS]
// TASK is the packaged task's folder. The step has no inputs, so that its first line says what is missing, and no request
// is made. "cold" unpacks the executable, as the first step of an agent does; "warm" finds it unpacked.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const [task, rounds = '15'] = process.argv.slice(2);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'ecsdeploy-start-'));

// install copies the task into a new folder, without an executable that an earlier step may have unpacked.
function install() {
  const folder = fs.mkdtempSync(path.join(work, 'task-'));
  fs.cpSync(task, folder, { recursive: true, filter: (file) => !/(^|[\\/])ecsdeploy-[^\\/]+$/.test(path.relative(task, file)) });
  fs.mkdirSync(path.join(folder, '_temp'));
  return folder;
}

// first resolves to the milliseconds until the first byte of output, or, where there is none, until the end.
function first(args, temp) {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint();
    const passed = () => Number(process.hrtime.bigint() - began) / 1e6;
    const env = { PATH: process.env.PATH, AGENT_TEMPDIRECTORY: temp, SystemRoot: process.env.SystemRoot ?? '', INPUT_COMMAND: 'deploy' };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let at;
    child.stdout.on('data', () => { at ??= passed(); });
    child.on('error', reject);
    child.on('close', () => resolve(at ?? passed()));
  });
}

async function main() {
  const warm = install();
  await first([path.join(warm, 'index.js')], path.join(warm, '_temp'));
  const times = { 'node -e 0': [], 'the task, warm': [], 'the task, cold': [] };
  for (let round = 0; round < Number(rounds); round++) {
    times['node -e 0'].push(await first(['-e', '0'], work));
    times['the task, warm'].push(await first([path.join(warm, 'index.js')], path.join(warm, '_temp')));
    const cold = install();
    times['the task, cold'].push(await first([path.join(cold, 'index.js')], path.join(cold, '_temp')));
    fs.rmSync(cold, { recursive: true });
  }
  console.log(`Node ${process.version}, ${os.platform()} ${os.arch()}, ${os.cpus().length} processors; milliseconds to the first line, ${rounds} rounds`);
  console.log(`${''.padEnd(18)}${'median'.padStart(8)}${'least'.padStart(8)}${'most'.padStart(8)}`);
  for (const [name, all] of Object.entries(times)) {
    all.sort((a, b) => a - b);
    console.log(name.padEnd(18) + [all[all.length >> 1], all[0], all.at(-1)].map((ms) => ms.toFixed(0).padStart(8)).join(''));
  }
}

main().finally(() => fs.rmSync(work, { recursive: true })).catch((err) => {
  console.error(err);
  process.exitCode = 1;
});
