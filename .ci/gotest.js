// Shows "go test -json" as go test itself shows it, and ends with the tests that were skipped, each with its reason, and the
// count of all. A test that several runs play counts once: as failed when it failed in one, as skipped when none played it.
// Usage: go test -json ./... | node gotest.js
'use strict';

const seen = new Map(); // output of a test that is not over, by package and name
const results = new Map(); // pass, fail or skip, by package and name
const skipped = new Map(); // the reason, by package and name
const shuffles = new Map(); // by package
const failing = new Set(); // packages with a failed test
const rank = { skip: 0, pass: 1, fail: 2 };

function event({ Action: action, Package: pkg, Test: test, Output: text = '' }) {
  if (!test) {
    ofPackage(action, pkg, text);
    return;
  }
  const id = `${pkg} ${test}`;
  if (action === 'output') {
    if (!text.startsWith('=== ')) seen.set(id, (seen.get(id) ?? '') + text);
    return;
  }
  if (!(action in rank)) return;
  if (!(rank[results.get(id)] >= rank[action])) results.set(id, action);
  const output = seen.get(id) ?? '';
  seen.delete(id);
  if (action === 'fail') {
    failing.add(pkg);
    process.stdout.write(output);
  }
  if (action === 'skip') skipped.set(id, output.replace(/^\s*--- SKIP.*$/gm, '').replace(/\s+/g, ' ').trim());
}

// ofPackage takes what is said of a whole package, or of its build.
function ofPackage(action, pkg, text) {
  if (text.startsWith('-test.shuffle')) {
    shuffles.set(pkg, text);
  } else if (text !== 'PASS\n') {
    process.stdout.write(text);
  }
  if (action !== 'fail') return;
  for (const [id, output] of seen) { // of tests that did not end: with the stacks where the time was up, or of a panic
    if (!id.startsWith(`${pkg} `)) continue;
    process.stdout.write(output);
    seen.delete(id);
  }
  process.stdout.write(shuffles.get(pkg) ?? '');
  if (!failing.has(pkg)) results.set(pkg, 'fail'); // it was not built, or broke outside its tests
}

require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  if (line.startsWith('{')) event(JSON.parse(line));
  else console.log(line);
}).on('close', () => {
  const ids = (result) => [...results].filter(([, r]) => r === result).map(([id]) => id).sort();
  const never = ids('skip');
  if (never.length > 0) console.log(`\nSkipped:\n${never.map((id) => `  ${id}: ${skipped.get(id)}`).join('\n')}`);
  console.log(`\n${ids('pass').length} passed, ${ids('fail').length} failed, ${never.length} skipped`);
});
