// Shows "go test -json" as go test itself shows it, and ends with the tests that were skipped, each with its reason, and the
// count of all. Usage: go test -json ./... | node gotest.js
'use strict';

const seen = new Map(); // output of a test that is not over, by package and name
const skipped = [];
const shuffles = new Map(); // by package
const failing = new Set(); // packages with a failed test
const count = { pass: 0, fail: 0, skip: 0 };

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
  if (!(action in count)) return;
  count[action]++;
  const output = seen.get(id) ?? '';
  seen.delete(id);
  if (action === 'fail') {
    failing.add(pkg);
    process.stdout.write(output);
  }
  if (action === 'skip') skipped.push(`  ${id}: ${output.replace(/^\s*--- SKIP.*$/gm, '').replace(/\s+/g, ' ').trim()}`);
}

// ofPackage takes what is said of a whole package, or of its build.
function ofPackage(action, pkg, text) {
  if (text.startsWith('-test.shuffle')) {
    shuffles.set(pkg, text);
  } else if (text !== 'PASS\n') {
    process.stdout.write(text);
  }
  if (action !== 'fail') return;
  process.stdout.write(shuffles.get(pkg) ?? '');
  if (!failing.has(pkg)) count.fail++; // it was not built, or broke outside its tests
}

require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  if (line.startsWith('{')) event(JSON.parse(line));
  else console.log(line);
}).on('close', () => {
  if (skipped.length > 0) console.log(`\nSkipped:\n${skipped.sort().join('\n')}`);
  console.log(`\n${count.pass} passed, ${count.fail} failed, ${count.skip} skipped`);
});
