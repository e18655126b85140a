// Packed files damaged in hundreds of ways, also with checksums that are right: an error that says so, or the right bytes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ModelShrinkError } from "modelshrink";
import { unpack } from "modelshrink/pack";
import { checksum } from "../support/hostile-pack.mjs";
import { fileSets, packed } from "../support/packing.mjs";
import { numbersBelow, seedFor } from "../support/random.mjs";
import { collecting } from "../support/sinks.mjs";

const rounds = 400;
const maxMilliseconds = 240_000;
/** What is packed, one file after the other, and the packed file, of each set. */
const seeds = [];
const unheard = [];
const hear = (reason) => unheard.push(reason);

before(async () => {
  process.on("unhandledRejection", hear);
  const sets = await fileSets();
  for (const name of [
    "ONNX as int8",
    "GGUF of every type",
    "safetensors of every type",
    "GGUF splits",
  ]) {
    const bytes = Buffer.from(await packed(sets[name]));
    const { files } = await unpack(bytes);
    const parts = await Promise.all(Object.values(files).map((it) => it.arrayBuffer()));
    seeds.push({ bytes, all: Buffer.concat(parts.map((it) => Buffer.from(it))) });
  }
});
after(() => process.off("unhandledRejection", hear));

const hostileNumbers = [0, 1, 2, 127, 128, 255, 256, 65536, 2 ** 20, 2 ** 31, 2 ** 32 - 1];

const damages = {
  bits: (bytes, below) => {
    for (let i = below(4); i >= 0; i--) bytes[below(bytes.length)] ^= 1 << below(8);
    return bytes;
  },
  "cut off": (bytes, below) => bytes.subarray(0, below(bytes.length)),
  longer: (bytes, below) => Buffer.concat([bytes, Buffer.alloc(1 + below(100), below(256))]),
  "a run of one byte": (bytes, below) => {
    const at = below(bytes.length);
    return bytes.fill(below(256), at, Math.min(at + 1 + below(300), bytes.length));
  },
  "a piece moved": (bytes, below) => {
    const size = 1 + below(500);
    bytes.copyWithin(below(bytes.length - size), below(bytes.length - size), undefined);
    return bytes;
  },
  "another's end": (bytes, below) => {
    const other = seeds[below(seeds.length)].bytes;
    return Buffer.concat([
      bytes.subarray(0, below(bytes.length)),
      other.subarray(below(other.length)),
    ]);
  },
  noise: (bytes, below) => bytes.map(() => below(256)),
  "a number of the header": (bytes, below) => {
    const end = 12 + bytes.readUInt32LE(8);
    if (below(8) === 0) bytes.writeUInt32LE(hostileNumbers[below(hostileNumbers.length)], 8);
    else bytes[12 + below(end - 16)] = below(256);
    bytes.writeUInt32LE(checksum(bytes.subarray(0, end - 4)), end - 4);
    return bytes;
  },
  "a number of a group": (bytes, below) => {
    const at = 12 + bytes.readUInt32LE(8);
    const size = 20 + 12 * bytes.readUInt32LE(at + 12);
    const place = at + 4 * below(size / 4);
    const number = below(2) ? hostileNumbers[below(hostileNumbers.length)] : below(2 ** 20);
    bytes.writeUInt32LE(number, place);
    const table = Buffer.from(bytes.subarray(at, at + size)).fill(0, 16, 20);
    bytes.writeUInt32LE(checksum(table), at + 16);
    return bytes;
  },
  "a number of the index": (bytes, below) => {
    const end = bytes.length - 16;
    const begin = Number(bytes.readBigUInt64LE(end));
    bytes[begin + below(end - begin)] ^= 1 << below(8);
    bytes.writeUInt32LE(checksum(bytes.subarray(begin, end)), end + 8);
    return bytes;
  },
};

/** What becomes of a packed file: "right", or the code of an error. Nothing wrong may be given, whole or in part. */
async function outcomeOf({ all }, damaged, sha256, what) {
  const taken = [];
  const sink = () => {
    const it = collecting();
    taken.push(it);
    return it.stream;
  };
  let outcome = "right";
  try {
    await unpack(damaged, { sink, sha256 });
  } catch (error) {
    assert.ok(error instanceof ModelShrinkError, `${what}: ${error.stack}`);
    assert.match(
      error.code,
      /^(format|integrity|unsupported|out-of-memory)$/,
      `${what}: ${error.stack}`,
    );
    outcome = error.code;
  }
  const isWhole = outcome === "right";
  for (const { found } of taken) assert.equal(found.end === "closed", isWhole, what);
  const given = Buffer.concat(taken.map(({ bytes }) => bytes()));
  const size = isWhole ? all.length : given.length;
  assert.ok(given.equals(all.subarray(0, size)), `${what}: wrong bytes`);
  return outcome;
}

test(
  `packed files are damaged ${rounds} times: nothing wrong is given`,
  { timeout: maxMilliseconds },
  async (t) => {
    const below = numbersBelow(seedFor(t));
    const counts = {};
    for (let round = 0; round < rounds; round++) {
      const seed = seeds[below(seeds.length)];
      const kinds = Object.keys(damages);
      const kind = kinds[round % kinds.length];
      const damaged = damages[kind](Buffer.from(seed.bytes), below);
      if (seed.bytes.equals(damaged)) continue;
      const what = `round ${round}, ${kind}`;
      const outcome = await outcomeOf(seed, damaged, true, what);
      // Without digests an index may name others.
      if (!/index|header/.test(kind)) await outcomeOf(seed, damaged, false, what);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    assert.ok(
      counts.format > rounds / 10 && counts.integrity > rounds / 10,
      JSON.stringify(counts),
    );
    assert.deepEqual(unheard, []);
    for (const { bytes, all } of seeds) {
      assert.equal(await outcomeOf({ all }, bytes, true, "the last one"), "right");
    }
  },
);
