// Writes the seeds of corpus/unpack: packed files that are valid, one for each way in which one can be wrong, pieces to
// pack and to damage, and chunks. The files are written here from src/pack/FORMAT.md.
import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { bytesOf } from "./random-bytes.mjs";

const folder = new URL("./corpus/unpack/", import.meta.url);

const rotate = (x, by) => ((x << by) | (x >>> (32 - by))) >>> 0;
const times = (a, b) => Math.imul(a, b) >>> 0;

function checksum(bytes) {
  const lanes = Array.from({ length: 16 }, (_, l) => 0x165667b1 + l);
  const data = Buffer.from(bytes);
  let at = 0;
  for (; at + 64 <= data.length; at += 64) {
    for (const l of lanes.keys()) {
      const word = data.readUInt32LE(at + 4 * l);
      lanes[l] = times(rotate((lanes[l] + times(word, 0x85ebca77)) >>> 0, 13), 0x9e3779b1);
    }
  }
  let sum = data.length;
  for (const lane of lanes) sum = times(rotate(sum, 7) ^ lane, 0x9e3779b1);
  for (; at < data.length; ++at) {
    sum = times(sum ^ data[at], 0x85ebca77);
    sum = (sum ^ (sum >>> 15)) >>> 0;
  }
  sum = times(sum ^ (sum >>> 15), 0x85ebca77);
  return (sum ^ (sum >>> 13)) >>> 0;
}

const u16 = (value) => [value & 255, value >> 8];
const u32 = (value) => [...u16(value & 0xffff), ...u16(value >>> 16)];
const u64 = (value) => [...u32(value), ...u32(0)];
const varint = (value) =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
const text = (string) => [...Buffer.from(string)];
const zeros = (count) => Array.from({ length: count }, () => 0);
const ones = (count) => Array.from({ length: count }, () => 1);

const kind = {
  ...{ bytes: 0, codes: 1, matrix: 2, nibbles: 3, float16: 4, float32: 5 },
  ...{ nibbleMatrix: 21, trellis: 22, repeatedCodes: 23, repeatedNibbles: 24 },
};
const pieces = (...list) => [
  ...varint(list.length),
  ...list.flatMap(([of, size]) => [of, ...varint(size)]),
];
const symbolClass = [5, ...zeros(16).map(() => 16)];
/** A stream of bytes as they are. */
const raw = (bytes) => [0, ...bytes];
/** The streams of a kind, which are not matched. */
const streams = (...bytes) => [0, ...bytes.flat()];
const constant = (byte) => [1, byte];

/** Bits by a range coder: each is [probability that it is 1 of 4096, bit], or [0, bit] of both alike. */
function rangeCoded(bits) {
  const bytes = [];
  let low = 0n;
  let range = (1n << 32n) - 1n;
  let shifts = 0n;
  for (const [probability, bit] of bits) {
    const bound = (range >> 12n) * BigInt(probability);
    if (probability === 0) [low, range] = [low + (bit ? range >> 1n : 0n), range >> 1n];
    else if (bit) range = bound;
    else [low, range] = [low + bound, range - bound];
    for (; range < 1n << 24n; range <<= 8n, low <<= 8n) ++shifts;
  }
  low = (low + (1n << 24n) - 1n) & ~((1n << 24n) - 1n);
  for (let at = shifts + 3n; at >= 0n; --at) bytes.push(Number((low >> (8n * at)) & 255n));
  while (bytes.at(-1) === 0) bytes.pop();
  return bytes;
}

/** What stands before codes: numbers, frequencies and classes of blocks, as bits with their probabilities. */
class Tables {
  bits = [];
  #learned = new Map();

  number(value, count) {
    for (let i = count - 1; i >= 0; --i) this.bits.push([0, (value >> i) & 1]);
  }

  #code(key, bit) {
    const it = this.#learned.get(key) ?? { p: 0x200000, times: 0 };
    this.bits.push([(it.p >> 10) | 1, bit]);
    it.p += Math.trunc((((bit ? 0x3fffff : 0) - it.p) * 2) / (2 * it.times + 3));
    it.times = Math.min(it.times + 1, 30);
    this.#learned.set(key, it);
  }

  #tree(key, value) {
    let node = 1;
    for (let i = 3; i >= 0; --i) {
      const bit = (value >> i) & 1;
      this.#code(`${key} ${node}`, bit);
      node = 2 * node + bit;
    }
  }

  frequencies(list, total, last) {
    const widthOf = (value) => value.toString(2).length - (value === 0 ? 1 : 0);
    let left = total;
    let before = 0;
    for (const [s, value] of list.slice(0, -1).entries()) {
      if (left <= 0) return;
      const width = widthOf(value);
      const context = last ? `last ${widthOf(last[s])}` : `own ${before}`;
      this.#tree(context, width);
      if (width > 1) {
        this.#code(`top ${context} ${width}`, (value >> (width - 2)) & 1);
        this.number(value, width - 2);
      }
      before = width;
      left -= value;
    }
  }

  classes(ids) {
    let last = 0;
    let context = 0;
    for (const id of ids) {
      const step = (id - last) & 15;
      this.#tree(`step ${context}`, step);
      context = step === 0 ? 0 : 1;
      last = id;
    }
  }

  bytes() {
    const coded = rangeCoded(this.bits);
    return [...varint(coded.length), ...coded];
  }
}

/** A nibble stream of plain symbols, of which all sixteen are as frequent; `change` may break it. */
function nibble(symbols, change = {}) {
  const states = Array.from({ length: 64 }, () => 256);
  const payload = [];
  for (let i = Math.ceil(symbols.length / 64) * 64 - 1; i >= 0; --i) {
    let state = states[i % 64];
    if (state >> 8 >= 16) {
      payload.unshift(state & 255);
      state >>= 8;
    }
    states[i % 64] = ((state >> 4) << 8) | ((symbols[i] ?? 0) << 4) | (state & 15);
  }
  const ofGroup = (g) => [
    ...states.slice(16 * g, 16 * g + 16).map((it) => it & 255),
    ...states.slice(16 * g, 16 * g + 16).map((it) => it >> 8),
  ];
  const it = {
    bias: 0,
    classes: [symbolClass],
    ids: [],
    patches: [],
    rawBits: [],
    states: [0, 1, 2, 3].flatMap(ofGroup),
    payload,
    ...change,
  };
  const tables = new Tables();
  tables.number(it.classes.length - 1, 4);
  let last;
  for (const [rawBits, ...frequencies] of it.classes) {
    tables.number(rawBits, 3);
    tables.frequencies(frequencies, 256, last);
    last = frequencies;
  }
  tables.classes(it.ids);
  return [
    2,
    it.bias,
    ...(it.tables ?? tables.bytes()),
    ...varint(it.numPatches ?? it.patches.length),
    ...it.patches.flat(),
    ...it.rawBits,
    ...it.states,
    ...varint(it.payloadSize ?? it.payload.length),
    ...it.payload,
  ];
}

const sparse = ({ bias = 0, of = 0, count, mask, others }) => [
  3,
  bias,
  of,
  ...varint(count),
  ...mask,
  ...others,
];

/** A wide stream of one symbol; `change` may break it. */
function wide(symbol, change = {}) {
  const it = { frequency: 4096, states: zeros(8).flatMap(() => u32(1 << 16)), ...change };
  const tables = new Tables();
  tables.frequencies(
    zeros(256).map((_, i) => (i === symbol ? it.frequency : 0)),
    4096,
  );
  const coded = [...it.states, ...(it.words ?? [])];
  return [4, ...(it.tables ?? tables.bytes()), ...varint(it.size ?? coded.length), ...coded];
}

/** A file; each of the options takes the place of what would be right. */
function pack(change = {}) {
  const it = { version: 1, second: 0, magic: "MSPK", tail: "MSPK", after: [], ...change };
  const groups = it.groups ?? [];
  const contents = groups.flatMap((group) => group.chunks.flatMap((chunk) => chunk.contents));
  const files = it.files ?? [["a", contents.length]];
  const names = files.flatMap(([name, size]) => [
    ...varint(name.length),
    ...text(name),
    ...(Array.isArray(size) ? size : varint(size)),
  ]);
  const header = [...(it.numFiles ?? varint(files.length)), ...names];
  const start = [
    ...text(it.magic),
    ...u16(it.version),
    ...u16(it.second),
    ...u32(it.headerSize ?? header.length + 4),
  ];
  const bytes = [...start, ...header];
  bytes.push(...u32(it.headerChecksum ?? checksum(bytes)));
  const places = [];
  let offset = 0;
  for (const group of groups) {
    const unpacked = group.chunks.flatMap((chunk) => chunk.contents);
    const digest = createHash("sha256").update(Buffer.from(unpacked)).digest();
    places.push(...u64(bytes.length), ...u64(offset), ...(it.digest ?? digest));
    const other =
      group.other ?? group.chunks.flatMap(({ list, others = [] }) => [...list, ...others]);
    const packedOther = group.packedOther ?? [0, ...other];
    const table = group.chunks.flatMap((chunk) => [
      ...u32(chunk.size ?? chunk.contents.length),
      ...u32(chunk.packedSize ?? chunk.bytes.length),
      ...u32(chunk.checksum ?? checksum(chunk.contents)),
    ]);
    const sizes = [
      ...u32(group.otherSize ?? other.length),
      ...u32(group.packedOtherSize ?? packedOther.length),
      ...u32(group.otherChecksum ?? checksum(other)),
      ...u32(group.numChunks ?? group.chunks.length),
    ];
    const sum = group.checksum ?? checksum([...sizes, ...u32(0), ...table]);
    bytes.push(...sizes, ...u32(sum), ...table, ...packedOther);
    for (const chunk of group.chunks) {
      bytes.push(...chunk.bytes);
      offset += chunk.contents.length;
    }
  }
  bytes.push(...zeros(20));
  const indexOffset = bytes.length;
  const index = [...(it.numGroups ?? u64(groups.length)), ...(it.places ?? places)];
  bytes.push(...index, ...(it.indexOffset ?? u64(indexOffset)));
  bytes.push(...u32(it.indexChecksum ?? checksum(index)), ...text(it.tail), ...it.after);
  return bytes;
}

const codes = bytesOf(1, 200);
const symbols = codes.map((it) => it & 15);
/** A file of one chunk of these pieces and bytes, which give `contents`. */
const ofChunk = (list, bytes, contents, { others, ...group } = {}) =>
  pack({ groups: [{ chunks: [{ list, bytes, contents, others }], ...group }] });
/** A chunk of one piece of codes. */
const ofStream = (stream, contents = symbols) =>
  ofChunk(pieces([kind.codes, contents.length]), [0, ...stream], contents);
/** A chunk of nothing but other bytes. */
const ofOthers = (change = {}) =>
  ofChunk(pieces([kind.bytes, 200]), [0], codes, { others: codes, ...change });
const plain = {
  list: pieces([kind.codes, 200]),
  bytes: streams(raw(codes)),
  contents: codes,
};
const oneGroup = (change) => pack({ groups: [{ chunks: [plain], ...change }] });
const oneChunk = (change) => pack({ groups: [{ chunks: [{ ...plain, ...change }] }] });
const mask = [1, 0, 0, 1];

/** A matrix whose lowest bits follow from indices, with these bytes in the place of the lag. */
function trellis(lag, sizeOfLag = varint(lag)) {
  const parities = bytesOf(9, Math.ceil(Math.min(200, 3 * lag) / 8));
  const contents = [];
  for (const [i, index] of codes.entries()) {
    const before = (steps) => contents[i - steps * lag];
    const parity =
      i < 3 * lag ? parities[i >> 3] >> (i & 7) : (before(1) >> 1) ^ before(2) ^ before(3);
    contents.push(((index << 1) & 254) | (parity & 1));
  }
  const last = parities.length - 1;
  parities[last] &= (2 << ((Math.min(200, 3 * lag) - 1) & 7)) - 1;
  const bytes = streams(sizeOfLag, parities, 0, raw(codes));
  return ofChunk(pieces([kind.trellis, 200]), bytes, contents);
}
const eight = [7, 0, 0, 0, 0, 0, 0, 0];

const twoGroups = [{ chunks: [plain] }, { chunks: [plain] }];
/** The index of these two groups, of which the second is said to begin elsewhere. */
function otherPlaces(packed, offset) {
  const index = pack({ groups: twoGroups }).slice(-16 - 96, -16);
  index[48] += packed;
  index[56] += offset;
  return index;
}

const files = {
  "valid-raw": oneGroup({}),
  "valid-empty": pack({}),
  "valid-files": pack({
    files: [
      ["a", 50],
      ["none", 0],
      ["b/c", 150],
    ],
    groups: [{ chunks: [plain] }],
  }),
  "valid-groups": pack({ groups: [{ chunks: [plain, plain] }, { chunks: [plain] }] }),
  "valid-other": ofOthers({}),
  "valid-constant": ofStream(
    constant(3),
    ones(40).map(() => 3),
  ),
  "valid-nibble": ofStream(nibble(symbols)),
  "valid-nibble-classes": ofStream(
    nibble(symbols, { classes: [symbolClass, symbolClass], ids: [0, 0, 1, 1] }),
  ),
  "valid-sparse-symbols": ofStream(
    sparse({ of: 1, count: 1, mask: raw([1, 0]), others: raw([7]) }),
    eight,
  ),
  "valid-nibble-matrix": ofChunk(
    pieces([kind.nibbleMatrix, 4]),
    streams(0, raw([1, 2, 3, 4, 5, 6, 7, 8])),
    [0x21, 0x43, 0x65, 0x87],
  ),
  "symbols-large": ofChunk(
    pieces([kind.nibbleMatrix, 4]),
    streams(0, raw([1, 2, 3, 4, 5, 6, 7, 24])),
    [0x21, 0x43, 0x65, 0x87],
  ),
  "valid-sparse": ofStream(sparse({ count: 1, mask: raw([1, 0]), others: raw([6]) }), eight),
  "valid-wide": ofStream(
    wide(9),
    zeros(30).map(() => 9),
  ),
  "valid-matrix": ofChunk(
    pieces([kind.matrix, 8]),
    [0, 2, 0, 0, 0, ...raw([1, 3, 5, 7, 2, 4, 6, 8])],
    [1, 2, 3, 4, 5, 6, 7, 8],
  ),
  "valid-floats": ofChunk(
    pieces([kind.float32, 8]),
    [0, 0, ...raw([1, 2]), ...constant(0), ...constant(0), ...constant(0)],
    [0, 0, 0, 128, 1, 0, 0, 0],
  ),
  "valid-float-zeros": ofChunk(
    pieces([kind.float16, 4]),
    [0, 1, ...raw([0, 1]), ...raw([2]), ...raw([4])],
    [0, 0, 1, 2],
  ),
  magic: pack({ magic: "MSPX" }),
  version: pack({ version: 2 }),
  "version-second": pack({ second: 1 }),
  "header-size": pack({ headerSize: 4 }),
  "header-large": pack({ headerSize: 1 << 25 }),
  "header-checksum": pack({ headerChecksum: 1 }),
  "header-rest": pack({ numFiles: varint(0), files: [["a", 0]] }),
  "files-none": pack({ files: [] }),
  "files-many": pack({ numFiles: varint(100001) }),
  "files-cut": pack({ numFiles: varint(3) }),
  "files-sizes": pack({
    files: [
      ["a", [...zeros(9).map(() => 255), 1]],
      ["b", 1],
    ],
  }),
  "varint-long": pack({ numFiles: [129, 0] }),
  "varint-wide": pack({ numFiles: [...zeros(9).map(() => 255), 2] }),
  "name-absolute": pack({ files: [["/a", 0]] }),
  "name-up": pack({ files: [["../a", 0]] }),
  "name-twice": pack({
    files: [
      ["a", 0],
      ["a", 0],
    ],
  }),
  "other-large": oneGroup({ otherSize: (1 << 22) + 1, packedOtherSize: 9 }),
  "other-grows": oneGroup({ otherSize: 4, packedOtherSize: 6 }),
  "other-none": oneGroup({ otherSize: 4, packedOtherSize: 0 }),
  "other-checksum": ofOthers({ otherChecksum: 1 }),
  "other-mixed": ofOthers({ packedOther: [1, 2, 3] }),
  "other-matched": ofOthers({ packedOther: [2, 0, 3] }),
  "other-copied": ofOthers({ packedOther: [2, 0, ...zeros(40)] }),
  "other-layout": ofOthers({ packedOther: [2, 3, 3] }),
  "other-mode": ofOthers({ packedOther: [3, 2, 3] }),
  "other-raw": ofOthers({ packedOther: [0, 3] }),
  "other-missing": ofOthers({ others: [] }),
  "other-left": oneGroup({ other: [...plain.list, 3] }),
  "chunks-none": oneGroup({ numChunks: 0, otherSize: 1, packedOtherSize: 1 }),
  "chunks-many": oneGroup({ numChunks: 257 }),
  "table-checksum": oneGroup({ checksum: 1 }),
  "chunk-empty": oneChunk({ size: 0 }),
  "chunk-large": oneChunk({ size: (1 << 19) + 1 }),
  "chunk-no-bytes": oneChunk({ packedSize: 0 }),
  "chunk-many-bytes": oneChunk({ packedSize: 1 << 24 }),
  "chunk-checksum": oneChunk({ checksum: 1 }),
  "chunk-size": oneChunk({ size: 199 }),
  "more-than-files": pack({ files: [["a", 100]], groups: [{ chunks: [plain] }] }),
  "fewer-than-files": pack({ files: [["a", 201]], groups: [{ chunks: [plain] }] }),
  "pieces-none": ofChunk(varint(0), [...raw(codes)], codes),
  "pieces-many": ofChunk(varint(4097), [...raw(codes)], codes),
  "piece-kind": ofChunk(pieces([200, 200]), [...raw(codes)], codes),
  "piece-empty": ofChunk(pieces([kind.codes, 0], [kind.codes, 200]), [0, ...raw(codes)], codes),
  "piece-odd": ofChunk(pieces([kind.float32, 3]), [0, ...raw([1, 2, 3])], [1, 2, 3]),
  "piece-large": ofChunk(pieces([kind.codes, 201]), [0, ...raw(codes), 1], codes),
  "piece-small": ofChunk(pieces([kind.codes, 199]), [0, ...raw(codes)], codes),
  "matrices-two": ofChunk(
    pieces([kind.matrix, 100], [kind.matrix, 100]),
    [0, 0, ...raw(codes)],
    codes,
  ),
  "columns-odd": ofChunk(pieces([kind.matrix, 200]), [0, 7, ...zeros(4), ...raw(codes)], codes),
  "columns-many": ofChunk(pieces([kind.matrix, 200]), [0, ...varint(201), ...raw(codes)], codes),
  "columns-cut": ofChunk(pieces([kind.matrix, 200]), [0, ...varint(200), 1, 2], codes),
  "matched-flag": ofChunk(pieces([kind.codes, 200]), [2, ...raw(codes)], codes),
  "matched-cut": ofChunk(pieces([kind.codes, 200]), [1, ...varint(99), 0, 1, 2], codes),
  "matched-others": ofChunk(pieces([kind.codes, 200]), [1, 5, 1, 1, 2, 3, 4], codes),
  "matched-layout": ofChunk(pieces([kind.codes, 200]), [1, 5, 7, 1, 2, 3, 4], codes),
  "valid-trellis": trellis(64),
  "valid-trellis-near": trellis(1),
  "valid-trellis-far": trellis(200),
  "trellis-no-lag": trellis(64, [0]),
  "trellis-lag-large": trellis(64, varint(201)),
  "trellis-cut": ofChunk(pieces([kind.trellis, 200]), [0, 64, 1, 2], codes),
  "trellis-second-matrix": ofChunk(
    pieces([kind.matrix, 100], [kind.trellis, 100]),
    [0, 0, ...raw(codes)],
    codes,
  ),
  "chunk-rest": ofStream([...raw(symbols), 1]),
  "mode-unknown": ofStream([9, ...codes]),
  "raw-cut": ofStream(raw(symbols.slice(1))),
  "constant-cut": ofStream([1]),
  "stream-none": ofStream([]),
  "nibble-tables-cut": ofStream([2, 0, 200, 1, 2]),
  "nibble-tables-short": ofStream(nibble(symbols, { tables: [1, 7] })),
  "nibble-tables-longer": ofStream(nibble(symbols, { tables: [9, ...bytesOf(8, 9)] })),
  "nibble-tables-zero": ofStream(nibble(symbols, { tables: [2, 9, 0] })),
  "nibble-raw-bits": ofStream(nibble(symbols, { classes: [[6, ...symbolClass.slice(1)]] })),
  "nibble-sum": ofStream(nibble(symbols, { classes: [[5, 200, 57, ...zeros(14)]] })),
  "nibble-class-unknown": ofStream(
    nibble(symbols, { classes: [symbolClass, symbolClass], ids: [0, 2, 0, 0] }),
  ),
  "nibble-patches": ofStream(nibble(symbols, { numPatches: 201 })),
  "nibble-patches-cut": ofStream(nibble(symbols).slice(0, 20).concat([9, 1, 1])),
  "nibble-patch-far": ofStream(nibble(symbols, { patches: [[...varint(200), 1]] })),
  "nibble-raw-cut": ofStream(nibble(symbols, { classes: [[4, ...symbolClass.slice(1)]] })),
  "nibble-payload-cut": ofStream(nibble(symbols, { payloadSize: 5000 })),
  "nibble-payload-early": ofStream(nibble(symbols, { payload: [] })),
  "nibble-payload-late": ofStream(nibble(symbols, { payload: zeros(300) })),
  "nibble-states": ofStream(nibble(symbols, { states: zeros(128).map(() => 3) })),
  "sparse-kind": ofStream(sparse({ of: 2, count: 1, mask: raw([1, 0]), others: raw([6]) }), eight),
  "sparse-count": ofStream(sparse({ count: 9, mask: raw([1, 0]), others: raw([6]) }), eight),
  "sparse-count-other": ofStream(
    sparse({ count: 2, mask: raw([1, 0]), others: raw([6, 1]) }),
    eight,
  ),
  "sparse-in-mask": ofStream(
    sparse({
      count: 1,
      mask: sparse({ count: 0, mask: constant(0), others: [] }),
      others: raw([6]),
    }),
    eight,
  ),
  "sparse-in-others": ofStream(
    sparse({
      count: 1,
      mask: raw([1, 0]),
      others: sparse({ count: 0, mask: constant(0), others: [] }),
    }),
    eight,
  ),
  "sparse-bits-behind": ofStream(
    sparse({ count: 1, mask: raw([0, 8]), others: raw([6]) }),
    eight.slice(1),
  ),
  "sparse-mask-cut": ofStream(sparse({ count: 1, mask: [0, 1], others: [] }), eight),
  "wide-sum": ofStream(
    wide(9, { frequency: 5000 }),
    zeros(30).map(() => 9),
  ),
  "wide-frequency": ofStream(
    wide(9, { tables: [3, 255, 255, 255] }),
    zeros(30).map(() => 9),
  ),
  "wide-cut": ofStream(
    wide(9, { size: 1000 }),
    zeros(30).map(() => 9),
  ),
  "wide-short": ofStream(
    wide(9, { states: u32(1 << 16) }),
    zeros(30).map(() => 9),
  ),
  "wide-late": ofStream(
    wide(9, { words: [1, 2] }),
    zeros(30).map(() => 9),
  ),
  "wide-states": ofStream(
    wide(9, { states: zeros(8).flatMap(() => u32(9)) }),
    zeros(30).map(() => 9),
  ),
  "float-mask-cut": ofChunk(pieces([kind.float16, 4]), [0, 1, ...mask], [0, 0, 0, 0]),
  "index-digest": pack({ groups: [{ chunks: [plain] }], digest: zeros(32) }),
  "index-groups": pack({ groups: [{ chunks: [plain] }], numGroups: u64(2) }),
  "index-place": pack({
    groups: [{ chunks: [plain] }],
    places: [...u64(18), ...u64(1), ...zeros(32)],
  }),
  "index-checksum": pack({ indexChecksum: 1 }),
  "index-offset": pack({ indexOffset: u64(1) }),
  "end-magic": pack({ tail: "MSPX" }),
  "after-the-end": pack({ after: [0] }),
  cut: oneGroup({}).slice(0, 150),
};

const write = (name, what, bytes) =>
  writeFile(new URL(name, folder), Buffer.from([what, ...bytes]));

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const [name, bytes] of Object.entries(files)) await write(name, 0, bytes);
for (const name of ["valid-groups", "valid-files", "valid-empty", "index-digest", "index-groups"]) {
  await write(`groups-${name}`, 4, files[name]);
}
await write("groups-place", 5, pack({ groups: twoGroups, places: otherPlaces(1, 0) }));
await write("groups-offset", 5, pack({ groups: twoGroups, places: otherPlaces(0, 1) }));
await write("groups-cut", 5, files["valid-groups"].slice(0, 30));
await write("mended-checksums", 1, oneGroup({ checksum: 1 }));
const numKinds = 25;
for (let i = 0; i < numKinds; ++i) {
  // One chunk of two pieces: kind, count, row length, way, middle of each.
  const chunk = [0, 1, i, 90, 0, 12, i % 6, 128, (i + 1) % numKinds, 20, 0, 4, 2, 0];
  await write(`packed-${i}`, 2, [...chunk, ...bytesOf(i + 2, 120)]);
}
await write("packed-trellis", 2, [0, 0, kind.trellis, 200, 3, 12, 5, 0, ...bytesOf(30, 3000)]);
const other = (list) => [list.length, ...list];
await write("chunk-raw", 3, [199, 0, ...other(plain.list), ...plain.bytes]);
await write("chunk-nibble", 3, [199, 0, ...other(plain.list), ...streams(nibble(symbols))]);
const text200 = [...pieces([kind.bytes, 200]), ...codes];
await write("chunk-other", 3, [199, 0, ...other(text200), 0]);
