// Runs that change nothing, and advice: it leads to what works for this model.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ort from "onnxruntime-node";
import { Gram, init, inspect, plan, restore, shrink } from "modelshrink";
import { commandFolder, model } from "./cli.mjs";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import {
  bytes,
  chainModel,
  initializer,
  number,
  string,
  valueInfo,
  wave,
} from "../support/onnx.mjs";
import { model as graphOf, node, tensorAttribute, weight } from "../support/onnx-graphs.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const { path, files, run } = commandFolder();
const join = (...parts) => Buffer.concat(parts);
const line = /^Nothing is written\. .*\n$/;

test("idle runs say so in one line, exit with 3 and write nothing", async () => {
  const before = await files();
  for (const args of [
    ["shrink", "model.onnx", "--recipe", "Q4_0"],
    ["shrink", "model.onnx", "--keep", "*"],
    ["shrink", "model.onnx", "--recipe", "Q4_0", "--resume", "-o", "new/out.onnx"],
    ["restore", "model.onnx"],
  ]) {
    const { code, stdout, stderr } = await run(...args);
    assert.deepEqual([code, stderr], [3, ""], args.join(" "));
    assert.match(stdout, line);
    assert.deepEqual(await files(), before);
  }
  const quiet = await run("restore", "model.onnx", "-q");
  assert.deepEqual([quiet.code, quiet.stdout], [3, ""]);
  const { code, stdout } = await run("restore", "model.onnx", "--json");
  const { isIdle, warnings } = JSON.parse(stdout);
  assert.deepEqual([code, isIdle, warnings.length], [3, true, 1]);
});

test("a dry run says what the run itself would say: an idle one exits with 3, and names no output", async () => {
  const idle = await run("shrink", "model.onnx", "--recipe", "Q4_0", "--dry-run");
  assert.equal(idle.code, 3);
  assert.match(idle.stdout, /^Nothing would be written\. No weight is changed .*\n$/);
  await writeFile(path("other.onnx"), chainModel([{ name: "only", size: 64 }]));
  const all = ["shrink", "model.onnx", "other.onnx", "-o", "out", "--dry-run"];
  const some = await run(...all, "--keep", "only");
  assert.equal(some.code, 0);
  assert.match(some.stdout, /^model\.onnx: .* would be written to/m);
  assert.match(some.stdout, /^other\.onnx: Nothing would be written\./m);
  assert.equal((await run(...all, "--keep", "*")).code, 3);
});

/** A model of one node, whose matrix and its product are inside a model-local function. */
function functionModel(weights, nodes = []) {
  const inner = weight("", [64, 96]);
  const body = [
    node("Constant", [], ["V"], tensorAttribute("value", initializer(inner))),
    node("MatMul", ["a", "V"], ["b"]),
  ].map((it) => Buffer.concat([Buffer.from([7 * 8 + 2]), it.subarray(1)]));
  const local = [string(1, "Inner"), string(4, "a"), string(5, "b"), ...body, string(10, "my")];
  local.push(bytes(9, number(2, 17)));
  const call = node("Inner", ["X"], [nodes.length > 0 ? "h" : "Y"], string(7, "my"));
  const graph = { nodes: [call, ...nodes], weights, x: [3, 64], y: [3, 96] };
  const imported = bytes(8, join(string(1, "my"), number(2, 1)));
  return join(graphOf(graph), imported, bytes(25, join(...local)));
}

test("what stays inside a model-local function is listed, and no rule is said to help", async () => {
  const note = "inside a model-local function: inline the functions first";
  const only = functionModel([]);
  assert.ok(await ort.InferenceSession.create(only));
  const { tensors } = await inspect(only);
  const [{ name, type, shape, isWeight }] = tensors;
  assert.deepEqual([tensors.length, name, type, shape], [1, "V", "float32", [64, 96]]);
  assert.equal(isWeight, false);
  for (const match of ["*", "V"]) {
    const { warnings } = await plan(only, { rules: [{ match, weights: "int8" }] });
    assert.equal(
      warnings.at(-1),
      `No weight is changed: none is known. The largest tensor of floats is "V" (${note}).`,
    );
  }
  const half = functionModel([weight("W", [96, 96])], [node("MatMul", ["h", "W"], ["Y"])]);
  const { report, bytes: written } = await shrink(half, "int8");
  const kept = report.tensors.find((it) => it.name === "V");
  assert.deepEqual([kept.note, kept.inputBytes, kept.outputBytes], [note, 24_592, 24_592]);
  assert.deepEqual(report.keptFloats, [{ consumer: "function", bytes: 24_592 }]);
  assert.ok(await ort.InferenceSession.create(await written()));
});

test("an idle run on standard output writes nothing there", async () => {
  const {
    code,
    bytes: output,
    stderr,
  } = await run("shrink", "model.onnx", "--keep", "*", "-o", "-");
  assert.deepEqual([code, output.length], [3, 0]);
  assert.match(stderr, line);
});

test("among several models an idle one has its line, and all of them exit with 3", async () => {
  await writeFile(path("other.onnx"), chainModel([{ name: "only", size: 64 }]));
  const all = ["shrink", "model.onnx", "other.onnx", "-o", "out"];
  const some = await run(...all, "--keep", "only");
  assert.equal(some.code, 0);
  assert.match(some.stdout, /^other\.onnx: Nothing is written\. No weight is changed/m);
  assert.deepEqual(await files("out"), ["model.onnx"]);
  assert.equal((await run(...all, "--keep", "*")).code, 3);
});

test("a run that strips is not idle, and the library writes a copy unless it is told not to", async () => {
  const stripped = await run("shrink", "model.onnx", "--keep", "*", "--strip");
  assert.equal(stripped.code, 0);
  const rules = [{ match: "*", keep: true }];
  const copied = await shrink(model, { weights: "int8", rules });
  assert.equal(copied.report.isIdle, true);
  assert.deepEqual(Buffer.from(await copied.bytes()), Buffer.from(model));
  const skipped = await shrink(model, { weights: "int8", rules }, { skipIdle: true });
  assert.deepEqual(skipped.files, {});
  await assert.rejects(skipped.bytes(), { code: "unsupported", message: /nothing was written/ });
  assert.equal((await plan(model, { weights: "int8", rules })).isIdle, true);
  assert.equal((await shrink(model)).report.isIdle, undefined);
  await assert.rejects(shrink(model, "int8", { skipIdle: 1 }), { message: /skipIdle is 1/ });
});

test("quantized ONNX files are not said to be restored or quantized anew", async () => {
  for (const recipe of ["int8", "fp16", "q4", "dynamic"]) {
    const small = await (await shrink(model, recipe)).bytes();
    for (const found of [
      await plan(small, "int8"),
      await plan(small, { weights: "int8", requantize: true }),
      (await restore(small)).report,
    ]) {
      const [warning] = found.warnings;
      assert.match(warning, /take the model as it was before/, recipe);
      assert.doesNotMatch(warning, /requantize|restore it/, recipe);
    }
  }
});

test("where the weights are integers of a quantized graph, no rule for what is left of its floats is offered", async () => {
  for (const name of ["fashion-cnn.ort-dynamic.onnx", "fashion-cnn.ort-static.onnx"]) {
    const source = fileURLToPath(new URL(`../support/fixtures/${name}`, import.meta.url));
    for (const recipe of ["int8", "fp16", "q4"]) {
      const { isIdle, warnings } = await plan(source, recipe);
      assert.equal(isIdle, true);
      assert.match(
        warnings.join(),
        /^No weight is changed: most of the model is quantized already, such as "9\.\w+\.weight_quantized" \(u?int8\)\. .*take the model as it was before\.$/,
      );
    }
  }
  // A table of bytes does not make a model of floats a quantized one.
  const floats = Buffer.alloc(4 * 100);
  const bytesAndFloats = makeSafetensors([
    { name: "table", dtype: "U8", shape: [64], data: Buffer.alloc(64) },
    { name: "vector", dtype: "F32", shape: [100], data: floats },
  ]);
  const { warnings } = await plan(bytesAndFloats, "int8");
  assert.match(warnings.join(), /none is known\. The largest tensor of floats is "vector"/);
});

test("what is said to quantize anew does so", async () => {
  const data = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i));
  const safetensors = makeSafetensors([{ name: "w", dtype: "F32", shape: [64, 64], data }]);
  for (const [source, first, then] of [
    [safetensors, "int8", "int4"],
    [makeGguf(tinyLlama()), "Q8_0", "Q4_0"],
  ]) {
    const small = await (await shrink(source, first)).bytes();
    const { warnings } = await plan(small, then);
    assert.match(warnings[0], /requantize: true \(--requantize\)/);
    const anew = await plan(small, { weights: then, requantize: true });
    assert.ok(anew.tensors.some(({ from, to }) => from !== to));
  }
});

test("where no weight is known, no preset is offered but the rule that helps", async () => {
  const added = {
    nodes: [node("Add", ["X", "W"], ["Y"])],
    weights: [weight("W", [64, 64])],
    x: [1, 64],
    y: [64, 64],
  };
  const data = wave(4096, 1);
  const vector = makeSafetensors([{ name: "W", dtype: "F32", shape: [4096], data }]);
  for (const source of [graphOf(added), vector]) {
    const [warning] = (await plan(source, "int8")).warnings;
    assert.match(warning, /none is known\..* is "W" \(.*\): a rule whose match is its whole name/);
    assert.doesNotMatch(warning, /Presets/);
    const rules = [{ match: "W", weights: "int8" }];
    assert.notEqual((await plan(source, { weights: "int8", rules })).isIdle, true);
  }
  const integers = makeSafetensors([
    { name: "W", dtype: "I32", shape: [64, 64], data: new Int32Array(4096) },
  ]);
  const [warning] = (await plan(integers, "int8")).warnings;
  assert.match(warning, /no tensor of float32, float16 or bfloat16\.$/);
});

test("no preset is offered where another type changes nothing", async () => {
  const recipe = { prune: { method: "magnitude", sparsity: 0.95 }, sparse: true };
  const sparse = await (await shrink(chainModel([{ name: "w", size: 64 }]), recipe)).bytes();
  const { warnings } = await plan(sparse, "int8");
  assert.deepEqual(warnings, [
    "No weight is changed (1 × stored without its zeros: stays as it is).",
  ]);
});

test("no preset is offered that the model's opset lacks", async () => {
  const presetsIn = async (source) => {
    const { warnings } = await plan(source, "Q4_0");
    return /ONNX are (.*)\.$/.exec(warnings[0])[1].split(", ");
  };
  const names = await presetsIn(model);
  assert.equal((await inspect(model)).metadata.opset, "13");
  assert.ok(names.includes("bf16") && !names.includes("fp8"), names.join());
  for (const name of names) assert.notEqual((await plan(model, name)).isIdle, true, name);
});

test("GPTQ says nothing of embeddings, and of layers that cannot be seen nothing about samples", async () => {
  const size = 64;
  const node = (operator, inputs, output) =>
    bytes(1, join(...inputs.map((it) => string(1, it)), string(2, output), string(4, operator)));
  const graph = join(
    node("Gather", ["table", "ids"], "X"),
    node("MatMul", ["X", "w"], "Y"),
    string(2, "embedded"),
    ...["table", "w"].map((name, i) =>
      bytes(5, initializer({ name, shape: [size, size], values: wave(size * size, i + 1) })),
    ),
    bytes(11, valueInfo("ids", [4], 7)),
    bytes(12, valueInfo("Y", [4, size])),
  );
  const source = join(number(1, 8), bytes(7, graph), bytes(8, number(2, 13)));
  await init();
  const gram = new Gram(64);
  gram.add(Float32Array.from({ length: 64 * 512 }, (_, i) => Math.sin(i * i)));
  const recipe = { weights: "int8", gptq: true };
  const { report } = await shrink(source, recipe, { calibration: { w: gram } });
  assert.equal(report.warnings, undefined);
  assert.equal(report.tensors.find(({ name }) => name === "table").note, undefined);
});

test("GGUF weights are restored to float32, float16 or bfloat16", async () => {
  const small = await (await shrink(makeGguf(tinyLlama()), "Q8_0")).bytes();
  for (const [weights, type] of [
    [undefined, "float32"],
    ["float32", "float32"],
    ["float16", "float16"],
    ["bfloat16", "bfloat16"],
  ]) {
    const { report, bytes: read } = await restore(small, weights ? { weights } : {});
    const changed = report.tensors.filter(({ from }) => from === "Q8_0");
    assert.ok(changed.length > 0 && changed.every(({ to }) => to === type), type);
    const { tensors } = await inspect(await read());
    assert.ok(tensors.every((it) => it.name !== changed[0].name || it.type === type));
  }
  await assert.rejects(restore(small, { weights: "int8" }), { message: /weights is "int8"/ });
  await writeFile(path("small.gguf"), small);
  const { code, stdout } = await run("restore", "small.gguf", "--weights", "bfloat16");
  assert.equal(code, 0);
  assert.match(stdout, /Q8_0 → bfloat16/);
  assert.equal((await run("restore", "small.gguf", "--weights", "int8")).code, 2);
});
