// Packs the executables of all platforms, which are alike: those of one architecture go into one Brotli stream whose window
// spans them all. That is half of what they weigh zipped one by one, and every job downloads them all.
// Usage: node pack.js FROM TO [QUALITY]. FROM holds ecsdeploy-<platform>-<arch>[.exe] in Node's words; TO receives <arch>.br
// and index.json, which says where in which stream each is, and its SHA-256. task/index.js unpacks them.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');
const { promisify } = require('util');

const [from, to, quality = '9'] = process.argv.slice(2);
const c = zlib.constants;
const index = {};
const packs = {};
for (const file of fs.readdirSync(from).sort()) {
  const [, platform, arch] = /^ecsdeploy-(\w+)-(\w+)(?:\.exe)?$/.exec(file);
  const content = fs.readFileSync(path.join(from, file));
  const pack = (packs[arch] ??= { parts: [], length: 0 });
  const sha256 = crypto.createHash('sha256').update(content).digest('hex');
  index[`${platform}-${arch}`] = { pack: `${arch}.br`, offset: pack.length, length: content.length, sha256 };
  pack.parts.push(content);
  pack.length += content.length;
  console.log(file.padEnd(38) + content.length.toLocaleString('en-US').padStart(12));
}
fs.mkdirSync(to, { recursive: true });
fs.writeFileSync(path.join(to, 'index.json'), JSON.stringify(index, null, 2) + '\n');
for (const [arch, { parts, length }] of Object.entries(packs)) {
  const params = {
    [c.BROTLI_PARAM_QUALITY]: Number(quality),
    [c.BROTLI_PARAM_LARGE_WINDOW]: 1,
    [c.BROTLI_PARAM_LGWIN]: 26, // 64 MiB
    [c.BROTLI_PARAM_SIZE_HINT]: length,
  };
  promisify(zlib.brotliCompress)(Buffer.concat(parts), { params }).then((stream) => fs.writeFileSync(path.join(to, `${arch}.br`), stream));
}
