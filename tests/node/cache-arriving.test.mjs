// Models that are shrunk while they come: what the server still has to give decides whether anything is kept.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import { ModelShrinkError, shrink } from "modelshrink";
import { createShrinkCache, folderStore } from "modelshrink/cache";
import { bytesOf, folder, later, onWarning, site, warnings } from "../support/cache-site.mjs";
import { externalized } from "../support/external-onnx.mjs";
import { tfjsShards } from "../support/file-sets.mjs";
import { gate, ranged } from "../support/model-server.mjs";
import { chainModel } from "../support/onnx.mjs";

// Two tensors, the first of which fills a part of the small model.
const { main, data } = externalized(
  Buffer.from(chainModel(["w", "wv"].map((name) => ({ name, size: 2200 })))),
  "m.onnx_data",
);
const etag = { etag: '"1"' };
/** The bytes of the first tensor, and some of the second. */
const most = 2 ** 24 + 2 ** 23;
const url = `${site.base}/m.onnx`;

beforeEach(() => {
  site.routes["/m.onnx"] = { body: main, headers: etag };
});

/** A store in a folder that calls `onPart` before it keeps a part of a small model. */
function watchedStore(onPart) {
  const store = folderStore(folder);
  const { set } = store;
  store.set = async (key, value) => {
    if (key.startsWith("file-")) await onPart();
    return set(key, value);
  };
  return store;
}

const cacheOf = (options) => createShrinkCache({ recipe: "fp16", onWarning, ...options });
const isIoError = (error) => error instanceof ModelShrinkError && error.code === "io";
const expected = async () => {
  const { files } = await shrink({ "m.onnx": main, "m.onnx_data": data }, "fp16");
  return bytesOf(files["m.onnx_data"]);
};

test("parts of the small model are kept before the original has come whole", async () => {
  const kept = later();
  site.routes["/m.onnx_data"] = { body: data, headers: etag, line: gate(most, kept.promise) };
  const { files } = await cacheOf({ store: watchedStore(kept.resolve) }).cached(url);
  assert.deepEqual(await bytesOf(files["m.onnx_data"]), await expected());
  assert.deepEqual(warnings, []);
});

test("when the rest does not come after all, nothing is kept but what came, and the next call goes on with that", async () => {
  const kept = later();
  const line = gate(most, kept.promise, { isCut: true });
  site.routes["/m.onnx_data"] = { body: data, headers: etag, line };
  await assert.rejects(cacheOf({ store: watchedStore(kept.resolve) }).cached(url), isIoError);
  const kinds = (await readdir(folder)).map((key) => key.split("-")[0]);
  assert.deepEqual([...new Set(kinds)].sort(), ["draft", "part"]);
  site.routes["/m.onnx_data"] = ranged(data, etag);
  const { files } = await cacheOf({ store: folderStore(folder) }).cached(url);
  assert.deepEqual(await bytesOf(files["m.onnx_data"]), await expected());
  assert.match(site.requests.at(-1).headers.range, /^bytes=[1-9]/);
});

test("a file of which only the unused end does not come is no whole one", async () => {
  const body = Buffer.concat([data, Buffer.alloc(1 << 18)]);
  const made = later();
  const line = gate(data.length + (1 << 16), made.promise, { isCut: true });
  site.routes["/m.onnx_data"] = { body, headers: etag, line };
  // Three parts of weights, and the graph.
  let numLeft = 4;
  const store = watchedStore(() => void (--numLeft === 0 && made.resolve()));
  await assert.rejects(cacheOf({ store }).cached(url), isIoError);
  assert.equal(numLeft, 0);
  assert.deepEqual(
    (await readdir(folder)).filter((key) => /^(file|record)/.test(key)),
    [],
  );
});

/** A model of TensorFlow.js whose weights are in four shards: [model.json, the others]. */
function fourShards() {
  const { "model.json": json, ...shards } = tfjsShards();
  const model = JSON.parse(json);
  const all = Buffer.concat(Object.values(shards));
  const size = all.length / 4;
  const paths = ["a.bin", "b.bin", "c.bin", "d.bin"];
  model.weightsManifest[0].paths = paths;
  return [
    Buffer.from(JSON.stringify(model)),
    paths.map((path, i) => [path, all.subarray(i * size, (i + 1) * size)]),
  ];
}

test("two files of a model come at once, and no more", async () => {
  const [json, shards] = fourShards();
  site.routes["/model.json"] = { body: json, headers: etag };
  const asked = shards.map(later);
  let open = 0;
  let most = 0;
  for (const [i, [name, body]] of shards.entries()) {
    site.routes[`/${name}`] = () => {
      asked[i].resolve();
      most = Math.max(most, ++open);
      const line = async () => {
        // Whoever asked for one file at a time would wait forever.
        await asked[i + 1]?.promise;
        open--;
      };
      return { body, headers: etag, line };
    };
  }
  const { files } = await cacheOf({ store: folderStore(folder) }).cached(`${site.base}/model.json`);
  const expected = await shrink({ "model.json": json, ...Object.fromEntries(shards) }, "fp16");
  for (const [name, blob] of Object.entries(expected.files))
    assert.deepEqual(await bytesOf(files[name]), await bytesOf(blob));
  assert.equal(most, 2);
});

test("a store that is full takes a model's original back into memory while that is read", async () => {
  const large = chainModel(["w", "wv"].map((name) => ({ name, size: 3000 })));
  site.routes["/large.onnx"] = { body: large, headers: etag };
  let isFull = true;
  const store = watchedStore(() => {
    const error = isFull ? Object.assign(new Error("full"), { code: "ENOSPC" }) : undefined;
    isFull = false;
    if (error) throw error;
  });
  const { files } = await cacheOf({ store }).cached(`${site.base}/large.onnx`);
  assert.deepEqual(await bytesOf(files["large.onnx"]), await (await shrink(large, "fp16")).bytes());
  assert.deepEqual(warnings, []);
});

test("a store that gives other bytes than it was given is not what the model is shrunk from", async () => {
  // Nobody says how long it is: it is not held in memory, and read from the store.
  const chunked = { ...etag, "transfer-encoding": "chunked", "content-length": [] };
  site.routes["/m.onnx_data"] = { body: data, headers: chunked };
  const store = folderStore(folder);
  const { get } = store;
  let numChanged = 0;
  store.get = async (key) => {
    const kept = await get(key);
    if (!key.startsWith("part-")) return kept;
    const bytes = await bytesOf(kept);
    bytes[1003] ^= 64;
    numChanged++;
    return new Blob([bytes]);
  };
  const { files } = await cacheOf({ store }).cached(url);
  // Compared as one: a difference of many bytes takes long to show.
  assert.ok(Buffer.from(await bytesOf(files["m.onnx_data"])).equals(await expected()));
  assert.ok(numChanged > 0);
});
