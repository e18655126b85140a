// shrink -o model.mspk: what is written is packed, and nothing else is left.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { shrink, unpack } from "modelshrink";
import { externalModel } from "../support/onnx.mjs";
import { commandFolder, model } from "./cli.mjs";

const { path, run, files } = commandFolder();

test("a packed output holds what shrink writes otherwise, and is the only thing written", async () => {
  const { code, stdout, stderr } = await run("shrink", "model.onnx", "-o", "new/small.mspk");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Packed: .* kB → .* kB/m);
  assert.match(stdout, /^Written to new\/small\.mspk$/m);
  assert.deepEqual(await files("new"), ["small.mspk"]);
  const packed = await readFile(path("new/small.mspk"));
  const { files: restored } = await unpack(packed);
  const expected = await (await shrink(model, "int8")).bytes();
  assert.deepEqual(Object.keys(restored), ["model.onnx"]);
  assert.deepEqual(new Uint8Array(await restored["model.onnx"].arrayBuffer()), expected);
});

test("--json has the packed bytes, and unpack without -o makes a folder of a name without an ending", async () => {
  const { stdout } = await run("shrink", "model.onnx", "-o", "small.mspk", "--json");
  const report = JSON.parse(stdout);
  assert.equal(report.output, "small.mspk");
  assert.equal(report.packedBytes, (await readFile(path("small.mspk"))).length);
  const { code, stderr } = await run("unpack", "small.mspk");
  assert.equal(code, 0, stderr);
  assert.deepEqual(await files("small"), ["model.onnx"]);
});

test("a model of several files is one packed file", async () => {
  for (const [name, bytes] of Object.entries(externalModel("model.onnx_data"))) {
    await writeFile(path(name), bytes);
  }
  const { code, stderr } = await run("shrink", "model.onnx", "-o", "two.mspk", "--recipe", "fp16");
  assert.equal(code, 0, stderr);
  const { report } = await unpack(await readFile(path("two.mspk")));
  assert.deepEqual(report.files.map(({ name }) => name).sort(), ["model.onnx", "model.onnx_data"]);
});

test("what fails, or changes nothing, leaves nothing", async () => {
  const before = await files();
  for (const [code, args] of [
    [2, ["shrink", "model.onnx", "-o", "x/y.mspk", "--resume"]],
    [1, ["shrink", "missing.onnx", "-o", "x/y.mspk"]],
    [3, ["shrink", "model.onnx", "-o", "x/y.mspk", "--keep", "*"]],
  ]) {
    const result = await run(...args);
    assert.equal(result.code, code, result.stderr);
    assert.deepEqual(await files(), before, args.join(" "));
  }
});
