// A packed file gives back every byte, of whatever was packed and wherever it came from.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import * as whole from "modelshrink";
import { pack, unpack } from "modelshrink/pack";
import { serveRoutes } from "../support/model-server.mjs";
import { bytesByName, fileSets, packed } from "../support/packing.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

const sets = await fileSets();
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-pack-"));
});
after(() => rm(folder, { recursive: true }));

/** Writes files into a new folder, whose path it gives. */
async function written(files) {
  const place = await mkdtemp(join(folder, "files-"));
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(place, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  return place;
}

const sizesOf = (files) =>
  Object.entries(files)
    .map(([name, { length: bytes }]) => ({ name, bytes }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** Packs a source, unpacks it, and compares both reports and all bytes with what is expected. */
async function checkComesBack(source, expected, options) {
  const result = await pack(source, options);
  const bytes = await result.bytes();
  const total = Object.values(expected).reduce((sum, { length }) => sum + length, 0);
  const { inputBytes, outputBytes, files, warnings } = result.report;
  assert.deepEqual([inputBytes, outputBytes], [total, bytes.length]);
  const byName = (list) => list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(byName(files), sizesOf(expected));
  assert.equal(Object.keys(result.files)[0], `${files[0].name.split("/").at(-1)}.mspk`);
  for (const sha256 of [true, false]) {
    const unpacked = await unpack(bytes, { sha256, maxGrowth: 1e4 });
    assert.deepEqual(await bytesByName(unpacked.files), await bytesByName(expected));
    assert.deepEqual(unpacked.report, { inputBytes: bytes.length, outputBytes: total, files });
  }
  return { bytes, warnings };
}

describe("every byte comes back", () => {
  for (const [what, files] of Object.entries(sets)) {
    test(`of ${what}`, async () => {
      const { warnings } = await checkComesBack(files, files);
      assert.equal(warnings, undefined);
      // The main file alone names the others.
      const place = await written({ ...files, "beside.txt": Buffer.from("of no model") });
      const [main] = Object.keys(files);
      await checkComesBack(join(place, main), files);
    });
  }

  test("of a folder with two models, what lies beside them, and folders", async () => {
    const external = externalModel();
    const files = {
      "config.json": Buffer.from('{"model_type": "bert"}'),
      "README.md": Buffer.from("# A model\n"),
      "onnx/model.onnx": external["model.onnx"],
      "onnx/model.onnx.data": external["model.onnx.data"],
      "onnx/other.onnx": chainModel([{ name: "other", size: 64 }]),
      "vocabulary/of/words.txt": Buffer.from("a\nb\n".repeat(1000)),
      "weights.bin": Buffer.alloc(0),
    };
    const place = await written({
      ...files,
      ".hidden/x": Buffer.from("1"),
      "onnx/.cache": Buffer.from("2"),
    });
    const { bytes } = await checkComesBack(place, files);
    await checkComesBack(pathToFileURL(place), files);
    assert.deepEqual(await packed(`${place}/`), bytes);
    // A record is the same, and may have hidden files.
    await checkComesBack(
      { ...files, ".gitattributes": Buffer.from("*") },
      {
        ...files,
        ".gitattributes": Buffer.from("*"),
      },
    );
  });

  test("of plain bytes, of one byte and of none", async () => {
    const text = Buffer.from("What is no model is packed as it is. ".repeat(99));
    for (const bytes of [text, text.subarray(0, 1), Buffer.alloc(0), Buffer.alloc(3e6, 1)]) {
      const { warnings } = await checkComesBack({ "notes.txt": bytes }, { "notes.txt": bytes });
      assert.equal(warnings, undefined);
    }
    const none = { "a.txt": Buffer.alloc(0), "b.txt": Buffer.alloc(0) };
    await checkComesBack(none, none);
  });

  test("of what has no name, which gets that of its format", async () => {
    const gguf = sets["GGUF as Q8_0"]["llama.gguf"];
    for (const [bytes, name] of [
      [new Uint8Array(gguf), "model.gguf"],
      [chainModel([{ name: "w", size: 64 }]), "model.onnx"],
      [new Uint8Array(Buffer.from("neither")), "model.onnx"],
      [new Uint8Array(0), "model.onnx"],
    ]) {
      const { warnings } = await checkComesBack(bytes, { [name]: bytes });
      assert.equal(warnings, undefined, "nobody said that it is a model");
    }
  });
});

test("what is named as a model and is none is packed as bytes, with a warning", async () => {
  for (const name of ["m.onnx", "m.safetensors", "m.gguf", "model.json"]) {
    const bytes = Buffer.from('{"this": "is no model"}');
    const { warnings } = await checkComesBack({ [name]: bytes }, { [name]: bytes });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /packed as bytes, not as a model: .*/);
  }
});

test("sources of every kind give the same packed file", async () => {
  const bytes = chainModel([{ name: "w", size: 256 }]);
  const path = join(await written({ "model.onnx": bytes }), "model.onnx");
  const expected = await packed({ "model.onnx": bytes });
  const site = await serveRoutes();
  site.routes["/model.onnx"] = Buffer.from(bytes);
  const address = `${site.base}/model.onnx`;
  const handle = await open(path);
  const sources = {
    Uint8Array: bytes,
    ArrayBuffer: bytes.slice().buffer,
    Blob: new Blob([bytes]),
    File: new File([bytes], "model.onnx"),
    ReadableStream: new Blob([bytes]).stream(),
    Response: new Response(bytes),
    "a fetched Response": await fetch(address),
    Request: new Request(address),
    address,
    URL: new URL(address),
    path,
    "a file: address": pathToFileURL(path),
    FileHandle: handle,
    "an object": { size: bytes.length, read: async (at, size) => bytes.slice(at, at + size) },
    iterable: (async function* () {
      yield bytes.subarray(0, 1000);
      yield bytes.subarray(1000);
    })(),
  };
  try {
    for (const [what, source] of Object.entries(sources)) {
      assert.deepEqual(await packed(source), expected, what);
    }
    // And packed files come from everywhere, too.
    site.routes["/model.onnx.mspk"] = Buffer.from(expected);
    const at = `${site.base}/model.onnx.mspk`;
    for (const source of [at, new Request(at), await fetch(at), new Blob([expected]).stream()]) {
      assert.deepEqual(await (await unpack(source)).bytes(), bytes);
    }
  } finally {
    await handle.close();
    site.close();
  }
});

test("a model is packed with the files that it names on a server", async () => {
  const files = externalModel();
  const site = await serveRoutes();
  for (const [name, bytes] of Object.entries(files)) site.routes[`/m/${name}`] = Buffer.from(bytes);
  try {
    await checkComesBack(`${site.base}/m/model.onnx`, files);
  } finally {
    site.close();
  }
});

test("weights are known: they take less than the same bytes of which nothing is known", async () => {
  for (const [what, share] of [
    ["GGUF as fp16", 0.98],
    ["GGUF as Q8_0", 0.99],
    ["GGUF as Q4_0", 0.98],
  ]) {
    const [[name, bytes]] = Object.entries(sets[what]);
    const known = await packed({ [name]: bytes });
    const unknown = await packed({ "unknown.bin": bytes });
    assert.ok(known.length < share * unknown.length, `${what}: ${known.length} ${unknown.length}`);
    assert.ok(known.length < bytes.length);
  }
});

test("nothing gets much larger", async () => {
  for (const size of [0, 1, 1000, 300_000]) {
    const bytes = crypto.getRandomValues(new Uint8Array(Math.min(size, 65536)));
    const noise = Buffer.alloc(size, bytes.length > 0 ? bytes : undefined);
    const { length } = await packed({ "noise.bin": noise });
    assert.ok(length <= size * 1.001 + 1024, `${length} for ${size}`);
  }
});

test('"modelshrink" has both functions, too, with the same results', async () => {
  const { "ONNX as int8": files } = sets;
  const bytes = await (await whole.pack(files)).bytes();
  assert.deepEqual(bytes, await packed(files));
  const { files: unpacked } = await whole.unpack(bytes);
  assert.deepEqual(await bytesByName(unpacked), await bytesByName(files));
});

test("progress tells of every byte of the files", async () => {
  const bytes = await packed(sets["GGUF splits"]);
  const total = Object.values(sets["GGUF splits"]).reduce((sum, { length }) => sum + length, 0);
  for (const work of [
    (options) => pack(sets["GGUF splits"], options),
    (options) => unpack(bytes, options),
  ]) {
    const seen = [];
    await work({ onProgress: (it) => seen.push(it) });
    assert.deepEqual(seen.at(-1), { ...seen.at(-1), phase: "write", done: total, total });
    assert.ok(seen.every((it, i) => i === 0 || it.done >= seen[i - 1].done));
  }
});

test("bytes() gives one file only", async () => {
  const several = await unpack(await packed(sets["TensorFlow.js shards"]));
  await assert.rejects(several.bytes(), { code: "unsupported", message: /several files/ });
  const path = join(folder, "elsewhere.mspk");
  const elsewhere = await pack(sets.ONNX, { sink: path });
  assert.deepEqual(elsewhere.files, {});
  await assert.rejects(elsewhere.bytes(), { code: "unsupported", message: /sink/ });
  assert.deepEqual(await readFile(path), Buffer.from(await packed(sets.ONNX)));
});

/** What a build makes of all sets, in a thread of its own. */
function madeBy(simd) {
  const url = new URL("./pack-same-bytes-worker.mjs", import.meta.url);
  return new Promise((resolve, reject) => {
    const worker = new Worker(url, { workerData: { simd, sets: Object.values(sets) } });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test("the builds with and without SIMD give the same bytes, both ways", async () => {
  const [fast, plain] = [await madeBy(true), await madeBy(false)];
  assert.deepEqual([fast.info, plain.info], [{ simd: true }, { simd: false }]);
  for (const [i, [what, files]] of Object.entries(sets).entries()) {
    assert.equal(Buffer.compare(fast.packed[i], plain.packed[i]), 0, what);
    const sizes = Object.values(files).map(({ length }) => length);
    for (const { unpacked } of [fast, plain]) {
      assert.deepEqual(unpacked[i].map(({ length }) => length).toSorted(), sizes.toSorted(), what);
    }
    fast.unpacked[i].forEach((bytes, k) => {
      assert.equal(Buffer.compare(bytes, plain.unpacked[i][k]), 0, what);
    });
  }
});
