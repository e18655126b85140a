// Packed files that were damaged, cut off or made by an enemy: an error, no wrong byte, and nothing that is seen.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FormatError, IntegrityError, UnsupportedError } from "modelshrink";
import { pack, unpack } from "modelshrink/pack";
import { wave } from "../support/onnx.mjs";
import { hostilePack } from "../support/hostile-pack.mjs";
import { bytesByName, fileSets, packed } from "../support/packing.mjs";
import { numbersBelow, seedFor } from "../support/random.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { collecting } from "../support/sinks.mjs";

let folder;
/** File sets by what they are: { files, bytes } with the packed file. */
const models = {};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-damage-"));
  const sets = await fileSets();
  const names = ["ONNX as int8", "GGUF splits", "safetensors of every type", "GGUF of every type"];
  for (const name of names) models[name] = sets[name];
  // Pruned codes, a constant, and text: a stream of every kind.
  const codes = wave(256 * 256).map((it, i) => (i % 5 === 0 ? 40 * it : 0));
  models["pruned codes, a constant and text"] = {
    "m.safetensors": makeSafetensors([
      { name: "a", dtype: "I8", shape: [256, 256], data: Int8Array.from(codes) },
      { name: "b", dtype: "I8", shape: [512, 512], data: new Int8Array(512 * 512).fill(3) },
      { name: "c", dtype: "F32", shape: [256, 256], data: codes },
    ]),
    "words.txt": Buffer.from("an apple, a pear\n".repeat(300)),
  };
  for (const [name, files] of Object.entries(models)) {
    models[name] = { files: await bytesByName(files), bytes: Buffer.from(await packed(files)) };
  }
});
after(() => rm(folder, { recursive: true }));

const isDamage = (error) => error instanceof IntegrityError || error instanceof FormatError;

/** Unpacks into streams, whose bytes may only be right ones, and into a folder, which stays empty. */
async function checkRefused(damaged, files, what, isRight = isDamage) {
  for (const sha256 of [true, false]) {
    const taken = {};
    const sink = (name) => (taken[name] = collecting()).stream;
    await assert.rejects(
      unpack(damaged, { sink, sha256, maxGrowth: 1e9 }),
      (error) => isRight(error) || assert.fail(`${what}: ${error.stack}`),
      what,
    );
    for (const [name, { found, bytes }] of Object.entries(taken)) {
      assert.notEqual(found.end, "closed", what);
      const size = bytes().length;
      assert.ok(Buffer.from(bytes()).equals(files[name].subarray(0, size)), `${what}: ${name}`);
    }
  }
  await assert.rejects(unpack(damaged), isRight, what);
  await assert.rejects(unpack(damaged, { sink: join(folder, "out/") }), isRight, what);
  assert.deepEqual(await readdir(folder), [], what);
}

/** The places of parts in a packed file: its groups' heads and tables, its chunks, its index. */
function placesOf(bytes) {
  const headerEnd = 12 + bytes.readUInt32LE(8);
  const places = [0, 4, 8, 12, headerEnd - 4, headerEnd];
  const index = Number(bytes.readBigUInt64LE(bytes.length - 16));
  for (let at = headerEnd; at < index - 20;) {
    const other = bytes.readUInt32LE(at + 4);
    const chunks = bytes.readUInt32LE(at + 12);
    places.push(at + 4, at + 12, at + 16, at + 20);
    let end = at + 20 + 12 * chunks;
    places.push(end, end + other);
    end += other;
    for (let i = 0; i < chunks; i++) places.push((end += bytes.readUInt32LE(at + 24 + 12 * i)));
    at = end;
  }
  return [...places, index - 20, index, index + 24, bytes.length - 16, bytes.length - 8];
}

test("a packed file that is cut off anywhere is refused", async () => {
  for (const [name, { files, bytes }] of Object.entries(models)) {
    const around = placesOf(bytes).flatMap((at) => [at - 1, at, at + 1]);
    const sizes = new Set([...around, bytes.length - 1].filter((it) => it >= 0));
    for (const size of sizes) {
      if (size >= bytes.length) continue;
      const cut = bytes.subarray(0, size);
      await checkRefused(cut, files, `${name}, ${size} of ${bytes.length} bytes`);
    }
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    await checkRefused(longer, files, `${name}, a byte longer`, (it) => it instanceof FormatError);
  }
});

test("every flipped bit is found", async (t) => {
  const below = numbersBelow(seedFor(t));
  for (const [name, { files, bytes }] of Object.entries(models)) {
    const heads = placesOf(bytes);
    for (let round = 0; round < 80; round++) {
      // Half of them where the file's own numbers are.
      const near = heads[below(heads.length)] + below(24);
      const at = round % 2 === 0 ? below(bytes.length) : Math.min(near, bytes.length - 1);
      const bit = below(8);
      const flipped = Buffer.from(bytes);
      flipped[at] ^= 1 << bit;
      const isOfVersion = at >= 4 && at < 8;
      const isError = isOfVersion ? (it) => it instanceof UnsupportedError : isDamage;
      await checkRefused(flipped, files, `${name}, bit ${bit} of byte ${at}`, isError);
    }
  }
});

test("what is lost, repeated or in another order is found", async () => {
  for (const [name, { files, bytes }] of Object.entries(models)) {
    const [, , , , , first] = placesOf(bytes);
    const middle = first + Math.floor((bytes.length - first) / 2);
    const parts = [bytes.subarray(0, first), bytes.subarray(first, middle), bytes.subarray(middle)];
    for (const order of [
      [0, 2],
      [0, 1, 1, 2],
      [0, 2, 1],
      [1, 2],
    ]) {
      const mixed = Buffer.concat(order.map((i) => parts[i]));
      await checkRefused(mixed, files, `${name}, parts ${order.join()}`);
    }
    const zeros = Buffer.from(bytes).fill(0, middle, middle + 64);
    if (!zeros.equals(bytes)) await checkRefused(zeros, files, `${name}, zeros`);
  }
});

test("errors say what is wrong and what to do", async () => {
  const { bytes } = models["ONNX as int8"];
  const flipped = (at) => {
    const copy = Buffer.from(bytes);
    copy[at] ^= 4;
    return new File([copy], "small.mspk");
  };
  const [headerEnd] = placesOf(bytes).slice(5);
  for (const [source, code, pattern] of [
    [new File([Buffer.from("PK\x03\x04 some other file")], "x.mspk"), "format", /MSPK/],
    [new File([], "x.mspk"), "format", /cut off/],
    [flipped(4), "unsupported", /another version than 1: a newer modelshrink/],
    [flipped(14), "integrity", /the checksum of its header .*Get the file again/],
    [flipped(headerEnd + 200), "integrity", /checksum of .*Get the file again/],
    [flipped(placesOf(bytes).at(-3)), "integrity", /the SHA-256 of .* byte \d+ on is another/],
    [flipped(placesOf(bytes).at(-4)), "format", /index/],
  ]) {
    await assert.rejects(unpack(source), ({ code: found, message }) => {
      assert.equal(found, code, message);
      assert.match(message, pattern);
      assert.match(message, /small\.mspk|x\.mspk/, "the file is named");
      return true;
    });
  }
});

test("names that lead elsewhere, meet or are no text are refused, and nothing is written", async () => {
  const bad = [
    ["../x.onnx"],
    ["/tmp/x.onnx"],
    ["a/../../x.onnx"],
    ["C:\\x.onnx"],
    ["a\\b.onnx"],
    ["./a.onnx"],
    ["a//b.onnx"],
    [""],
    ["a\0b"],
    ["a.onnx", "a.onnx"],
    ["a", "a/b"],
    ["a/b/c", "x", "a/b"],
    [Buffer.from([0xff, 0xfe])],
    [Buffer.from([0xed, 0xa0, 0x80])],
    ["x".repeat(1025)],
  ];
  for (const names of bad) {
    const file = hostilePack(names.map((name) => ({ name })));
    const isRight = (error) => error instanceof FormatError;
    await checkRefused(file, {}, names.map(String).join(), isRight);
  }
  const good = hostilePack([
    { name: "a" },
    { name: "b/c" },
    { name: "__proto__" },
    { name: "日本" },
  ]);
  const { files } = await unpack(good);
  assert.deepEqual(Object.keys(files), ["a", "b/c", "__proto__", "日本"]);
});

test("no file is packed under a name that could not be unpacked", async () => {
  const bytes = Buffer.from("x");
  for (const name of ["../x", "/x", "a\\b", "a:b", "a//b", "x?", "\ud800"]) {
    await assert.rejects(pack({ [name]: bytes }), (error) => {
      assert.equal(error.code, "argument", `${name}: ${error.message}`);
      return true;
    });
  }
  await assert.rejects(pack({ a: bytes, "a/b": bytes }), { code: "argument" });
});

test("a constant does not become more than maxGrowth allows", async () => {
  const zeros = Buffer.alloc(32e6);
  const bomb = await packed({ "zeros.bin": zeros });
  assert.ok(bomb.length < 32e3, `${bomb.length}`);
  let asked = 0;
  const sink = () => {
    asked++;
    return collecting().stream;
  };
  await assert.rejects(unpack(bomb, { sink }), (error) => {
    assert.ok(error instanceof UnsupportedError, String(error));
    assert.match(error.message, /"model\.mspk": .* 32\.0 MB, more than 1000 times .*maxGrowth/);
    return true;
  });
  await assert.rejects(unpack(bomb), UnsupportedError);
  await assert.rejects(unpack(bomb, { sink: join(folder, "out") }), UnsupportedError);
  assert.equal(asked, 0, "no sink is asked for");
  assert.deepEqual(await readdir(folder), []);
  assert.ok(Buffer.from(await (await unpack(bomb, { maxGrowth: 1e5 })).bytes()).equals(zeros));
  // A header may promise anything.
  const promise = hostilePack([{ name: "a", size: 2 ** 50 }]);
  await assert.rejects(unpack(promise), isDamage);
  const most = hostilePack([
    { name: "a", size: Number.MAX_SAFE_INTEGER },
    { name: "b", size: 2 ** 52 },
  ]);
  await assert.rejects(unpack(most, { maxGrowth: Number.MAX_VALUE }), isDamage);
});
