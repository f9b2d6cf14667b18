// Packs the executables of all platforms, which are alike: those of one family of processors go into one Brotli stream whose
// window spans them all. That is less than half of what they weigh zipped one by one, and every job downloads them all.
// Usage: node pack.js FROM TO [QUALITY]. FROM holds ecsdeploy-<platform>-<arch>[.exe] in Node's words; TO receives
// <family>.br and index.json, which says where in which stream each is, and its SHA-256. task/index.js unpacks them.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');
const { promisify } = require('util');

const [from, to, quality = '9'] = process.argv.slice(2);
const c = zlib.constants;
const LARGE = { [c.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 };
const FAMILIES = { x64: 'x86', ia32: 'x86', arm64: 'arm', arm: 'arm' };
const STEP = 16384; // bytes; an executable is said to end at a multiple of it

const sha256 = (content) => crypto.createHash('sha256').update(content).digest('hex');

// rank is the platform's place in .ci/platforms, which is that in the stream, too: what comes first is unpacked first, and
// what comes after it not at all.
const order = fs.readFileSync(path.join(__dirname, 'platforms'), 'utf8').split('\n').filter((line) => line && !line.startsWith('#')).map((line) => line.split(/\s+/)[2]);
const rank = (platform) => (order.includes(platform) ? order.indexOf(platform) : order.length);

const index = {};
const packs = {};
const executables = fs.readdirSync(from).map((file) => ({ file, platform: /^ecsdeploy-(\w+-\w+)(?:\.exe)?$/.exec(file)[1] }));
for (const { file, platform } of executables.sort((a, b) => rank(a.platform) - rank(b.platform) || (a.file < b.file ? -1 : 1))) {
  const content = fs.readFileSync(path.join(from, file));
  const pack = `${FAMILIES[platform.split('-')[1]]}.br`;
  const { parts } = (packs[pack] ??= { parts: [] });
  const { offset, length } = parts.length ? parts[parts.length - 1].entry : { offset: 0, length: 0 };
  index[platform] = { pack, offset: offset + length, length: content.length, sha256: sha256(content) };
  parts.push({ platform, content, entry: index[platform] });
  console.log(file.padEnd(38) + content.length.toLocaleString('en-US').padStart(12));
}

const compress = (content) => promisify(zlib.brotliCompress)(content, { params: {
  [c.BROTLI_PARAM_QUALITY]: Number(quality),
  [c.BROTLI_PARAM_LARGE_WINDOW]: 1,
  [c.BROTLI_PARAM_LGWIN]: 27, // 128 MiB
  [c.BROTLI_PARAM_SIZE_HINT]: content.length,
} });

// findEnds says of each executable how much of the stream has to be read for it.
async function findEnds(stream, parts) {
  const decoder = zlib.createBrotliDecompress({ params: LARGE });
  let unpacked = 0;
  decoder.on('data', (chunk) => { unpacked += chunk.length; });
  for (let end = 0; end < stream.length; ) {
    const step = stream.subarray(end, end + STEP);
    end += step.length;
    await promisify(decoder.write.bind(decoder))(step);
    for (const { entry } of parts) if (!entry.end && unpacked >= entry.offset + entry.length) entry.end = end;
  }
}

// check unpacks each executable as the task does.
function check(stream, { platform, entry }) {
  const all = zlib.brotliDecompressSync(stream.subarray(0, entry.end), { params: LARGE, finishFlush: c.BROTLI_OPERATION_FLUSH });
  const content = all.subarray(entry.offset, entry.offset + entry.length);
  if (sha256(content) !== entry.sha256) throw new Error(`pack.js: ${entry.pack} does not give back the executable for ${platform}`);
}

async function main() {
  fs.mkdirSync(to, { recursive: true });
  await Promise.all(Object.entries(packs).map(async ([pack, { parts }]) => {
    const stream = await compress(Buffer.concat(parts.map(({ content }) => content)));
    await findEnds(stream, parts);
    for (const part of parts) check(stream, part);
    fs.writeFileSync(path.join(to, pack), stream);
  }));
  fs.writeFileSync(path.join(to, 'index.json'), JSON.stringify(index, null, 2) + '\n');
}
main();
