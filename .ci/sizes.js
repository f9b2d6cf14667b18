// Prints what each platform adds to the extension, and each module to the executable. Usage: node sizes.js BIN [modules]
//
// A platform's cost is how much longer the stream of its family of processors is with it than with those before it (see
// pack.js). A module's cost is what the linker's symbol table says of an executable for linux/amd64 with that table; what
// belongs to no module is counted apart.
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
  if (process.argv[3] === 'modules') modules();
} finally {
  fs.rmSync(work, { recursive: true });
}

// platforms prints what each executable adds to the stream of its family, in the order in which they are there.
function platforms() {
  console.log(`${'platform'.padEnd(34)}  executable       added`);
  const packs = {};
  let sum = 0;
  for (const [platform, { pack, length, end }] of Object.entries(JSON.parse(fs.readFileSync('task/bin/index.json', 'utf8')))) {
    console.log(platform.padEnd(34) + bytes(length) + bytes(end - (packs[pack] ?? 0)));
    packs[pack] = end;
    sum += length;
  }
  console.log('all of them'.padEnd(34) + bytes(sum) + bytes(Object.values(packs).reduce((all, end) => all + end, 0)));
}

function modules() {
  const go = (args) => execFileSync('go', args, { encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, CGO_ENABLED: '0', GOOS: 'linux', GOARCH: 'amd64' } });
  const program = path.join(work, 'ecsdeploy');
  go(['build', '-trimpath', '-buildvcs=false', '-tags=nethttpomithttp2', '-ldflags=-w', '-gcflags=all=-l', '-gcflags=github.com/klauspost/...=', '-o', program, './cmd/ecsdeploy']);
  const of = new Map(); // module by package
  for (const line of go(['list', '-deps', '-f', '{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}', './cmd/ecsdeploy']).trim().split('\n')) {
    const [pkg, module] = line.split(' ');
    of.set(pkg, module || 'std');
  }
  const symbols = go(['tool', 'nm', '-size', program]).split('\n')
    .map((line) => /^\s*([0-9a-f]+)\s+(\d+)\s+\w\s+(.*)$/.exec(line)).filter(Boolean)
    .map(([, address, size, name]) => ({ address: parseInt(address, 16), size: Number(size), name }));
  const at = new Map(symbols.map(({ name, address }) => [name, address]));
  const sizes = new Map();
  let rest = fs.statSync(path.join(bin, 'ecsdeploy-linux-x64')).size; // as it ships, without the symbol table
  for (const { address, size, name } of symbols) {
    // Memory that is zero at the start has no bytes in the file.
    if (['', 'noptr'].some((kind) => address >= at.get(`runtime.${kind}bss`) && address < at.get(`runtime.e${kind}bss`))) continue;
    const module = of.get(packageOf(name));
    if (!module) continue;
    sizes.set(module, (sizes.get(module) ?? 0) + size);
    rest -= size;
  }
  console.log(`\n${'module'.padEnd(62)}       bytes`);
  for (const [module, size] of [...sizes].sort((a, b) => b[1] - a[1])) console.log(module.padEnd(62) + bytes(size));
  console.log('tables of lines and types, which belong to no module'.padEnd(62) + bytes(rest));
}

// packageOf returns the package of a symbol, such as "github.com/a/b.(*T).M" or "type:.eq.net/http.T".
function packageOf(symbol) {
  const name = symbol.replace(/^(type:\.\w+\.|type:\*?|go:itab\.\*?)/, '').replace(/%2e/g, '.');
  const slash = name.search(/[\[(]/) < 0 ? name.lastIndexOf('/') : name.slice(0, name.search(/[\[(]/)).lastIndexOf('/');
  const dot = name.indexOf('.', slash + 1);
  return dot < 0 ? name : name.slice(0, dot);
}
