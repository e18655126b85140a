// The shrinking cache with `packed`: what is kept takes less room, and what comes back is the same.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { ArgumentError, shrink } from "modelshrink";
import { createShrinkCache, folderStore } from "modelshrink/cache";
import { bytesOf, folder, onWarning, site, warnings } from "../support/cache-site.mjs";
import { tfjsShards } from "../support/file-sets.mjs";
import { chainModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 256 }]);
const { base } = site;
const url = `${base}/m.onnx`;
let store;

beforeEach(() => {
  store = folderStore(folder);
  site.routes["/m.onnx"] = { body: model, headers: { etag: '"1"' } };
});

const cacheOf = (options = {}) => createShrinkCache({ store, onWarning, packed: true, ...options });
const small = async (recipe = "int8") => (await shrink(model, recipe)).bytes();
const partsOf = async () => (await readdir(folder)).filter((name) => name.startsWith("file-"));

test("the first load and the next give what shrink gives, and less is kept", async () => {
  const loads = [await cacheOf().cached(url), await cacheOf().cached(url)];
  assert.deepEqual(
    loads.map(({ hit }) => hit),
    [false, true],
  );
  const expected = await small();
  for (const { files } of loads) {
    assert.deepEqual(Object.keys(files), ["m.onnx"]);
    assert.deepEqual(await bytesOf(files["m.onnx"]), expected);
  }
  assert.equal(site.requests.length, 1);
  const [entry, ...others] = await cacheOf().list();
  assert.deepEqual(others, []);
  assert.deepEqual(entry.files, [{ name: "m.onnx", bytes: expected.length }]);
  const [part, ...more] = await partsOf();
  assert.deepEqual(more, [], "nothing is left of what was not packed");
  assert.equal(entry.keptBytes, (await stat(join(folder, part))).size);
  assert.ok(entry.keptBytes < 0.97 * expected.length, `${entry.keptBytes} of ${expected.length}`);
  assert.deepEqual(warnings, []);
});

test("a model of several files is unpacked once for all of them, and each is what it is without", async () => {
  const files = tfjsShards();
  for (const [name, body] of Object.entries(files)) site.routes[`/t/${name}`] = { body };
  const plain = createShrinkCache({ store: "memory", onWarning });
  await cacheOf().cached(`${base}/t/model.json`);
  const packed = cacheOf();
  const { files: names } = await plain.cached(`${base}/t/model.json`);
  for (const name of Object.keys(names)) {
    const address = `${base}/t/${name}`;
    const [one, other] = [await packed.match(address), await plain.match(address)];
    assert.equal(one.headers.get("x-modelshrink"), "hit");
    assert.deepEqual(await bytesOf(await one.blob()), await bytesOf(await other.blob()));
  }
  assert.deepEqual(warnings, []);
});

test("what is kept unpacked is given as it is, and what is packed, too, without the option", async () => {
  await cacheOf({ packed: false }).cached(url);
  assert.equal((await cacheOf().cached(url)).hit, true);
  await cacheOf().cached(url, "fp16");
  const found = await cacheOf({ packed: false }).cached(url, "fp16");
  assert.equal(found.hit, true);
  assert.deepEqual(await bytesOf(found.files["m.onnx"]), await small("fp16"));
});

test("a packed entry that was damaged, or is none, is made anew", async () => {
  for (const spoil of [
    (bytes) => bytes.fill(0, 40, 44),
    (bytes) => bytes.subarray(0, bytes.length - 1),
    () => Buffer.alloc(0),
  ]) {
    warnings.length = 0;
    await cacheOf().cached(url);
    const [part] = await partsOf();
    const path = join(folder, part);
    await writeFile(path, spoil(await readFile(path)));
    const { files, hit } = await cacheOf().cached(url);
    assert.equal(hit, false);
    assert.deepEqual(await bytesOf(files["m.onnx"]), await small());
    assert.deepEqual(warnings, ["damaged"]);
  }
});

test("a record that is whole but whose packed file is none, or another's, is made anew", async () => {
  const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
  const forgeries = [
    (content) => (content.facts.packed[0].name = "other.onnx"),
    (content) => (content.facts.packed[0].bytes += 1),
    (content) => (content.facts.packed = []),
    (content) => delete content.facts.report,
    (content, part) => part.fill(0, 40, 44),
    (content, part) => part.fill(1, 0, 4),
  ];
  for (const forge of forgeries) {
    warnings.length = 0;
    await cacheOf().cached(url);
    const [record] = (await readdir(folder)).filter((name) => name.startsWith("record-"));
    const [path, partPath] = [record, ...(await partsOf())].map((name) => join(folder, name));
    const content = JSON.parse((await readFile(path, "utf8")).slice(65));
    const part = await readFile(partPath);
    forge(content, part);
    content.files[0].parts[0].sha256 = sha256(part);
    const json = JSON.stringify(content);
    await writeFile(partPath, part);
    await writeFile(path, `${sha256(json)}\n${json}`);
    const { files, hit } = await cacheOf().cached(url);
    assert.equal(hit, false, String(forge));
    assert.deepEqual(await bytesOf(files["m.onnx"]), await small());
    assert.deepEqual(warnings, ["damaged"]);
  }
});

test("where there is no room for packing, the entry stays as it is, and the app hears of it", async () => {
  const full = () => Object.assign(new Error("full"), { name: "QuotaExceededError" });
  let numParts = 0;
  const tight = {
    get: (key) => store.get(key),
    delete: (key) => store.delete(key),
    keys: () => store.keys(),
    async set(key, value) {
      if (key.startsWith("file-") && ++numParts > 1) throw full();
      return store.set(key, value);
    },
  };
  const { files, hit } = await cacheOf({ store: tight }).cached(url);
  assert.equal(hit, false);
  assert.deepEqual(await bytesOf(files["m.onnx"]), await small());
  assert.deepEqual(warnings, ["unpacked"]);
  const found = await cacheOf().cached(url);
  assert.equal(found.hit, true);
  assert.deepEqual(await bytesOf(found.files["m.onnx"]), await small());
});

test("packed may be true or false", () => {
  assert.throws(() => cacheOf({ packed: "yes" }), ArgumentError);
});
