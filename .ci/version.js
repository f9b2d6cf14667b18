// Sets the version where it is written down: vss-extension.json, task/task.json, and a new section of CHANGELOG.md.
// Usage: node version.js X.Y.Z
'use strict';

const fs = require('fs');

const version = process.argv[2];
const parts = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.exec(version);
if (!parts) {
  console.error(`build.sh: ${version} is not a version: want X.Y.Z`);
  process.exit(1);
}
const [, major, minor, patch] = parts;

// replace changes one place of a file and leaves its layout alone.
function replace(file, pattern, by) {
  const text = fs.readFileSync(file, 'utf8');
  if (!pattern.test(text)) throw new Error(`${file} has nothing like ${pattern}`);
  fs.writeFileSync(file, text.replace(pattern, by));
}

replace('vss-extension.json', /"version": "[^"]*"/, `"version": "${version}"`);
replace('task/task.json', /"version": \{[^}]*\}/, `"version": { "Major": ${major}, "Minor": ${minor}, "Patch": ${patch} }`);
if (!fs.readFileSync('CHANGELOG.md', 'utf8').includes(`\n## ${version}`)) {
  replace('CHANGELOG.md', /\n## /, `\n## ${version} (unreleased)\n\n## `);
}
