// Prints what each platform adds to the extension, and each module to the executable. Usage: node sizes.js BIN
//
// A platform's cost is how much longer its architecture's stream is with it than without it (see pack.js). A module's cost
// is what the linker's symbol table says of an executable for linux/amd64; what the table does not attribute, as the
// tables of the runtime, is counted apart.
'use strict';

const { execFileSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const bin = process.argv[2];
const bytes = (n) => n.toLocaleString('en-US').padStart(12);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'ecsdeploy-sizes-'));
try {
  platforms();
  modules();
} finally {
  fs.rmSync(work, { recursive: true });
}

// packed returns how many bytes pack.js makes of files of one architecture.
function packed(files) {
  const from = fs.mkdtempSync(path.join(work, 'from-')), to = fs.mkdtempSync(path.join(work, 'to-'));
  for (const file of files) fs.copyFileSync(path.join(bin, file), path.join(from, file));
  execFileSync(process.execPath, [path.join(__dirname, 'pack.js'), from, to]);
  return fs.readdirSync(to).filter((name) => name.endsWith('.br')).reduce((sum, name) => sum + fs.statSync(path.join(to, name)).size, 0);
}

function platforms() {
  const groups = {};
  for (const file of fs.readdirSync(bin).sort()) (groups[/^ecsdeploy-\w+-(\w+)/.exec(file)[1]] ??= []).push(file);
  console.log(`${'platform'.padEnd(34)}  executable  in the extension, added by it`);
  let sum = 0;
  for (const files of Object.values(groups)) {
    const all = packed(files);
    sum += all;
    for (const file of files) {
      const others = files.filter((other) => other !== file);
      console.log(file.padEnd(34) + bytes(fs.statSync(path.join(bin, file)).size) + bytes(all - (others.length > 0 ? packed(others) : 0)));
    }
  }
  console.log('all of them'.padEnd(34) + bytes(files(bin)) + bytes(sum));
}

function files(folder) {
  return fs.readdirSync(folder).reduce((sum, name) => sum + fs.statSync(path.join(folder, name)).size, 0);
}

function modules() {
  const go = (args) => execFileSync('go', args, { encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, CGO_ENABLED: '0', GOOS: 'linux', GOARCH: 'amd64' } });
  const program = path.join(work, 'ecsdeploy');
  go(['build', '-trimpath', '-buildvcs=false', '-gcflags=all=-l', '-gcflags=github.com/klauspost/...=', '-o', program, './cmd/ecsdeploy']);
  const of = new Map(); // module by package
  for (const line of go(['list', '-deps', '-f', '{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}', './cmd/ecsdeploy']).trim().split('\n')) {
    const [pkg, module] = line.split(' ');
    of.set(pkg, module || 'std');
  }
  const sizes = new Map();
  for (const line of go(['tool', 'nm', '-size', program]).split('\n')) {
    const [, size, type, name] = /^\s*\S*\s+(\d+)\s+(\w)\s+(.*)$/.exec(line) ?? [];
    if (!name || 'bBU'.includes(type)) continue; // memory that is zero at the start has no bytes in the file
    const module = of.get(packageOf(name)) ?? 'not attributed';
    sizes.set(module, (sizes.get(module) ?? 0) + Number(size));
  }
  console.log(`\n${'module'.padEnd(62)}       bytes`);
  for (const [module, size] of [...sizes].sort((a, b) => b[1] - a[1])) console.log(module.padEnd(62) + bytes(size));
}

// packageOf returns the package of a symbol, such as "github.com/a/b.(*T).M" or "type:.eq.net/http.T".
function packageOf(symbol) {
  const name = symbol.replace(/^(type:\.\w+\.|type:\*?|go:itab\.\*?)/, '').replace(/%2e/g, '.');
  const slash = name.search(/[\[(]/) < 0 ? name.lastIndexOf('/') : name.slice(0, name.search(/[\[(]/)).lastIndexOf('/');
  const dot = name.indexOf('.', slash + 1);
  return dot < 0 ? name : name.slice(0, dot);
}
