// Rewrites a zip archive so that the same files give the same bytes: entries sorted by name, one fixed time, no extra
// fields, strongest deflate. tfx packs in the order of the file system and stamps every entry with the time of packing.
// Usage: node vsix.js IN OUT BUDGET. It prints what weighs what, and fails if OUT has more bytes than BUDGET,
// unless that is 0. It knows what tfx writes: one volume, no zip64, deflated or stored entries.
// The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
'use strict';

const fs = require('fs');
const zlib = require('zlib');

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50;
const DOS_DATE = (1980 - 1980) << 9 | 1 << 5 | 1; // 1980-01-01, the earliest there is
const UTF8_NAMES = 0x0800;

// entries reads the central directory, which follows all files.
function* entries(zip) {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0) throw new Error('not a zip archive');
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== CENTRAL) throw new Error(`no directory entry at offset ${at}`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset));
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const raw = zip.subarray(start, start + zip.readUInt32LE(at + 20));
    const content = zip.readUInt16LE(at + 10) === 0 ? raw : zlib.inflateRawSync(raw);
    yield { name, crc: zip.readUInt32LE(at + 16), content };
    at += 46 + nameLength + extraLength + commentLength;
  }
}

// header is what a local header and a directory entry have in common, from "version needed" to "extra field length".
function header(entry) {
  const h = Buffer.alloc(26);
  h.writeUInt16LE(20, 0);
  h.writeUInt16LE(UTF8_NAMES, 2);
  h.writeUInt16LE(8, 4); // deflate
  h.writeUInt16LE(DOS_DATE, 8);
  h.writeUInt32LE(entry.crc, 10);
  h.writeUInt32LE(entry.packed.length, 14);
  h.writeUInt32LE(entry.content.length, 18);
  h.writeUInt16LE(entry.bytes.length, 22);
  return h;
}

function uint32(...values) {
  const b = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => b.writeUInt32LE(value, 4 * i));
  return b;
}

const [input, output, budget] = process.argv.slice(2);
const all = [...entries(fs.readFileSync(input))].sort((a, b) => (a.name < b.name ? -1 : 1));
const files = [];
const directory = [];
let offset = 0;
for (const entry of all) {
  entry.bytes = Buffer.from(entry.name);
  // What is packed already, as nearly all is, grows least in large blocks.
  entry.packed = zlib.deflateRawSync(entry.content, { level: 9, memLevel: 9 });
  files.push(uint32(LOCAL), header(entry), entry.bytes, entry.packed);
  // Version made by, common part, then zeros for comment, disk and attributes, and where the file begins.
  directory.push(uint32(CENTRAL), Buffer.from([20, 0]), header(entry), Buffer.alloc(10), uint32(offset), entry.bytes);
  offset += 4 + 26 + entry.bytes.length + entry.packed.length;
}
const end = Buffer.alloc(22);
end.writeUInt32LE(END, 0);
end.writeUInt16LE(all.length, 8);
end.writeUInt16LE(all.length, 10);
end.writeUInt32LE(directory.reduce((sum, part) => sum + part.length, 0), 12);
end.writeUInt32LE(offset, 16);
const zip = Buffer.concat([...files, ...directory, end]);
fs.writeFileSync(output, zip);

const row = (name, size, packed) => console.log(name.padEnd(38) + size.padStart(12) + packed.padStart(12));
const bytes = (n) => n.toLocaleString('en-US');
row('', 'bytes', 'packed');
for (const { name, content, packed } of all) {
  if (content.length > 100000) row(name, bytes(content.length), bytes(packed.length));
}
row('the extension', bytes(all.reduce((sum, { content }) => sum + content.length, 0)), bytes(zip.length));
if (Number(budget) > 0 && zip.length > Number(budget)) {
  console.error(`vsix.js: the extension has ${bytes(zip.length)} bytes, ${bytes(zip.length - budget)} more than its budget of ${bytes(Number(budget))}`);
  process.exitCode = 1;
}
