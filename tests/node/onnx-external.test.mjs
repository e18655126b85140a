// Models whose values are in another file: what is written loads, and computes the same.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { inspect, plan, shrink } from "modelshrink";
import { bytes, chainModel, number, string, valueInfo, wave } from "./onnx.mjs";

const size = 64;
const names = ["a", "b"];
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-external-"));
});
after(() => rm(folder, { recursive: true }));

/** Unlike a wave's, its products do not cancel out. */
const noise = (seed) =>
  Float32Array.from(
    { length: size * size },
    (_, i) => ((Math.sin((i + seed) * 12.9898) * 43758.5453) % 1) * 0.5,
  );

const entry = (key, value) => bytes(13, Buffer.concat([string(1, key), string(2, value)]));

/** Y = X·a·b, with both matrices in another file. */
function externalModel(location = "model.onnx.data") {
  const values = names.map((name) => noise(name.charCodeAt(0)));
  const data = Buffer.concat(values.map((it) => Buffer.from(it.buffer)));
  const initializers = names.map((name, i) =>
    Buffer.concat([
      number(1, size),
      number(1, size),
      number(2, 1),
      string(8, name),
      entry("location", location),
      entry("offset", String(i * size * size * 4)),
      entry("length", String(size * size * 4)),
      number(14, 1),
    ]),
  );
  const matMul = (left, right, output) =>
    Buffer.concat([string(1, left), string(1, right), string(2, output), string(4, "MatMul")]);
  const graph = Buffer.concat([
    bytes(1, matMul("X", "a", "h")),
    bytes(1, matMul("h", "b", "Y")),
    string(2, "external"),
    ...initializers.map((it) => bytes(5, it)),
    bytes(11, valueInfo("X", [1, size])),
    bytes(12, valueInfo("Y", [1, size])),
  ]);
  const main = Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 13))]);
  return { "model.onnx": main, [location]: data };
}

const feeds = (ort) => ({ X: new ort.Tensor("float32", wave(size, 3), [1, size]) });

async function runNode(path) {
  const session = await ortNode.InferenceSession.create(path);
  const { Y } = await session.run(feeds(ortNode));
  await session.release();
  return Y.data;
}

async function runWeb(files) {
  const [[, main], ...others] = Object.entries(files);
  ortWeb.env.wasm.numThreads = 1;
  const externalData = others.map(([path, data]) => ({ path, data: new Uint8Array(data) }));
  const session = await ortWeb.InferenceSession.create(new Uint8Array(main), { externalData });
  const { Y } = await session.run(feeds(ortWeb));
  await session.release();
  return Y.data;
}

function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

async function save(name, files) {
  const target = join(folder, name);
  await rm(target, { recursive: true, force: true });
  await mkdir(target);
  for (const [file, content] of Object.entries(files)) await writeFile(join(target, file), content);
  return join(target, Object.keys(files)[0]);
}

for (const recipe of ["int8", "int4", "fp16", "dynamic", "q4", "q8"]) {
  test(`${recipe}: both runtimes load it and compute nearly the same`, async () => {
    const files = externalModel();
    const path = await save("full", files);
    const expected = await runNode(path);
    const small = join(folder, `${recipe}.onnx`);
    const { report } = await shrink(path, recipe, { sink: small });
    assert.deepEqual(
      report.files.map(({ name }) => name),
      [`${recipe}.onnx`, `${recipe}.onnx.data`],
    );
    assert.ok(report.outputBytes < report.inputBytes * 0.6);
    const least = recipe.includes("4") ? 0.98 : 0.999;
    assert.ok(cosine(await runNode(small), expected) > least);
    const { files: blobs } = await shrink(files, recipe);
    const buffers = {};
    for (const [name, blob] of Object.entries(blobs)) buffers[name] = await blob.arrayBuffer();
    assert.ok(cosine(await runWeb(buffers), expected) > least);
  });
}

test("the codes are those of a one-file model", async () => {
  const weights = names.map((name) => ({ name, size, values: noise(name.charCodeAt(0)) }));
  const inline = await (await shrink(chainModel(weights), "int8")).bytes();
  const small = await shrink(externalModel(), "int8");
  const data = Buffer.from(await small.files["model.onnx.data"].arrayBuffer());
  for (let i = 0; i < names.length; i++) {
    const codes = data.subarray(i * size * size, (i + 1) * size * size);
    assert.ok(Buffer.from(inline).includes(codes), names[i]);
  }
});

test("the main file alone can be inspected; its values are left alone", async () => {
  const { "model.onnx": main } = externalModel();
  const { tensors } = await inspect(main);
  assert.match(tensors[0].note, /model\.onnx\.data", which is not there/);
  assert.deepEqual(await (await shrink(main, "int8")).bytes(), new Uint8Array(main));
});

test("names that lead elsewhere are refused", async () => {
  for (const location of ["../secret", "/etc/passwd", "a\\b", "%2e%2e/x", "http://x/y"]) {
    const files = externalModel(location);
    await assert.rejects(inspect(files), { code: "format", message: /location of its external/ });
  }
  const path = await save("link", { "model.onnx": externalModel()["model.onnx"] });
  const secret = join(folder, "secret");
  await writeFile(secret, new Uint8Array(size * size * 8));
  await symlink(secret, join(folder, "link", "model.onnx.data"));
  await assert.rejects(inspect(path), { code: "argument", message: /outside the model's folder/ });
});

test("an output never replaces an input", async () => {
  const path = await save("same", externalModel());
  await assert.rejects(shrink(path, "int8", { sink: `${join(folder, "same")}/` }), {
    code: "argument",
    message: /is a file of the model itself/,
  });
  assert.deepEqual((await readdir(join(folder, "same"))).sort(), ["model.onnx", "model.onnx.data"]);
});

test("a source of more than 4 GiB is planned and cut exactly", async () => {
  const columns = 2 ** 29;
  const location = "model.onnx.data";
  const tensor = Buffer.concat([
    number(1, columns),
    number(1, 4),
    number(2, 1),
    string(8, "w"),
    entry("location", location),
    entry("offset", String(2 ** 33)),
    number(14, 1),
  ]);
  const gather = Buffer.concat([
    string(1, "w"),
    string(1, "X"),
    string(2, "Y"),
    string(4, "Gather"),
  ]);
  const graph = Buffer.concat([
    bytes(1, gather),
    string(2, "large"),
    bytes(5, tensor),
    bytes(11, valueInfo("X", [1], 7)),
    bytes(12, valueInfo("Y", [1, 4])),
  ]);
  const main = Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 13))]);
  const never = () => assert.fail("no weight is read for a plan");
  const dataBytes = 2 ** 33 + columns * 16;
  const source = { "model.onnx": main, [location]: { size: dataBytes, read: never } };
  const planned = await plan(source, "int8");
  assert.equal(planned.inputBytes, main.length + dataBytes);
  // One scale a row: as much as the codes.
  assert.equal(planned.files[1].bytes, columns * 4 + columns * 4);
});
