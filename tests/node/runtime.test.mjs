// Models in the user's onnxruntime: sessions' options, external data, outputs that cannot be compared.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import ort from "onnxruntime-node";
import { init, shrink } from "modelshrink";
import { calibrate, refitLayers, verify } from "modelshrink/runtime";
import { formatVerification } from "modelshrink/text";
import { checkRecipe } from "../../dist/recipe/check.js";
import { orderFor } from "../../dist/recipe/order.js";
import { withLevels } from "../../dist/runtime/trials.js";
import { bytes, chainModel, number, string, valueInfo, wave } from "../support/onnx.mjs";

const size = 48;
let folder;

before(async () => {
  await init();
  folder = await mkdtemp(join(tmpdir(), "modelshrink-runtime-"));
});
after(() => rm(folder, { recursive: true }));

const samples = (name = "X") =>
  [1, 2, 3].map((seed) => ({ [name]: { data: wave(size, seed * 7), dims: [1, size] } }));
const inputs = samples();

const chain = (seed) => chainModel([{ name: "w", size, values: wave(size * size, seed) }]);

/** onnxruntime-node, and the options that its sessions were made with. */
function watched() {
  const seen = [];
  const create = (model, options) => {
    seen.push(options);
    return ort.InferenceSession.create(model, options);
  };
  return { ort: { ...ort, Tensor: ort.Tensor, InferenceSession: { create } }, seen };
}

/** Y = X·w, with w in another file, as its main file and its data. */
function externalModel(values, location = "weights.bin") {
  const entry = (key, value) => bytes(13, Buffer.concat([string(1, key), string(2, value)]));
  const weight = [
    ...[number(1, size), number(1, size), number(2, 1), string(8, "w")],
    ...[entry("location", location), number(14, 1)],
  ];
  const node = [string(1, "X"), string(1, "w"), string(2, "Y"), string(4, "MatMul")];
  const graph = [
    bytes(1, Buffer.concat(node)),
    string(2, "external"),
    bytes(5, Buffer.concat(weight)),
    bytes(11, valueInfo("X", [1, size])),
    bytes(12, valueInfo("Y", [1, size])),
  ];
  const main = [number(1, 8), bytes(7, Buffer.concat(graph)), bytes(8, number(2, 13))];
  return { "m.onnx": Buffer.concat(main), [location]: Buffer.from(values.buffer) };
}

async function writeModel(name, files) {
  const home = join(folder, name);
  await mkdir(home, { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(home, file), content);
  return join(home, "m.onnx");
}

test("sessions run as onnxruntime runs them, and with the options that are given", async () => {
  const { ort, seen } = watched();
  const session = {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "basic",
    logSeverityLevel: 4,
    extra: { session: { disable_prepacking: "1" } },
  };
  const model = chain(1);
  await verify(model, model, { ort, inputs });
  assert.equal(seen.length, 2);
  for (const options of seen) assert.equal(options.graphOptimizationLevel, undefined);
  const guard = { ort, inputs, minCosine: 0.5, session };
  for (const work of [
    () => verify(model, model, { ort, inputs, session }),
    () => calibrate(model, { ort, inputs, session }),
    () => refitLayers(model, chain(1), { ort, inputs, session }),
    () => shrink(model, "int8", { guard }),
  ]) {
    seen.length = 0;
    await work();
    assert.ok(seen.length >= 1);
    for (const { extra, ...options } of seen) {
      assert.equal(options.graphOptimizationLevel, "basic");
      assert.deepEqual(options.executionProviders, ["cpu"]);
      assert.equal(options.logSeverityLevel, 4);
      assert.equal(extra.session.disable_prepacking, "1");
    }
  }
});

test("wrong options of sessions and outputs are refused", async () => {
  const model = chain(1);
  for (const [options, pattern] of [
    [{ session: 7 }, /session is 7/],
    [{ session: { externalData: [] } }, /record of all its files/],
    [{ outputs: [] }, /outputs is \[\]/],
    [{ outputs: "Y" }, /outputs is "Y"; it must be a list/],
    [{ outputs: ["Z"] }, /outputs has "Z"; the model's outputs are Y/],
  ]) {
    await assert.rejects(verify(model, model, { ort, inputs, ...options }), {
      code: "argument",
      message: pattern,
    });
  }
  const session = { executionProviders: ["nothing"] };
  await assert.rejects(verify(model, model, { ort, inputs, session }), {
    code: "unsupported",
    message: /cannot load the original model/,
  });
});

test("external data is read from where the model is, however it is given, and from nowhere else", async () => {
  const [a, b] = [wave(size * size, 1), wave(size * size, 5)];
  const original = externalModel(a);
  const other = externalModel(b);
  const expected = (await verify(chain2(a), chain2(b), { ort, inputs })).worst.cosine;
  assert.ok(expected < 0.999, `${expected}`);
  const path = await writeModel("original", original);
  const otherPath = await writeModel("other", other);
  const blobs = Object.fromEntries(Object.entries(other).map(([k, v]) => [k, new Blob([v])]));
  const streams = () => ({
    "m.onnx": other["m.onnx"],
    "weights.bin": Readable.from([other["weights.bin"]]),
  });
  const before = process.cwd();
  // onnxruntime would find the data of the other model here.
  process.chdir(join(folder, "original"));
  try {
    for (const source of [otherPath, join(folder, "other"), other, blobs, streams()]) {
      const { worst } = await verify(path, source, { ort, inputs });
      assert.ok(Math.abs(worst.cosine - expected) < 1e-6, `${worst.cosine} for ${expected}`);
    }
    await assert.rejects(verify(path, { "m.onnx": other["m.onnx"] }, { ort, inputs }), (error) => {
      assert.match(error.message, /weights\.bin/);
      return true;
    });
  } finally {
    process.chdir(before);
  }
});

/** The same product with its weights inside, and no bias. */
const chain2 = (values) =>
  chainModel([{ name: "w", size, values }], { bias: () => new Float32Array(size) });

test("models with external data are calibrated and guarded", async () => {
  const path = await writeModel("calibrated", externalModel(wave(size * size, 2)));
  const calibration = await calibrate(path, { ort, inputs });
  assert.deepEqual(Object.keys(calibration), ["w"]);
  const inside = await calibrate(chain2(wave(size * size, 2)), { ort, inputs });
  assert.deepEqual(calibration.w.norms(), inside.w.norms());
  const { guard, files } = await shrink(path, "int8", { guard: { ort, inputs, minCosine: 0.99 } });
  assert.ok(guard.verification.worst.cosine >= 0.99);
  assert.ok(Object.keys(files).length >= 1);
});

test("an abort of shrink ends its guard, too", async () => {
  const controller = new AbortController();
  const metric = () => {
    controller.abort();
    return 1;
  };
  const guard = { ort, inputs, metric, maxDrop: 0 };
  const running = shrink(chain(3), "int8", { guard, signal: controller.signal });
  await assert.rejects(running, { name: "AbortError" });
});

test("a model that can be read only once serves calibrate and the guard", async () => {
  const model = chain(3);
  const calibration = await calibrate(new Response(model), { ort, inputs });
  assert.deepEqual(Object.keys(calibration), ["w"]);
  const guard = { ort, inputs, minCosine: 1 };
  const found = await shrink(Readable.from([model]), "int8", { guard });
  assert.ok(found.guard.attempts > 1);
});

/** A model of one input X whose nodes are [operator, inputs, output], and its outputs [name, type, shape]. */
function graphModel(nodes, outputs) {
  const encode = ([operator, names, output]) =>
    Buffer.concat([
      ...names.map((name) => string(1, name)),
      string(2, output),
      string(4, operator),
    ]);
  const info = ([name, type, shape]) =>
    type === "sequence"
      ? Buffer.concat([
          string(1, name),
          // TypeProto.sequence_type.elem_type.tensor_type.elem_type
          bytes(2, bytes(4, bytes(1, bytes(1, number(1, 1))))),
        ])
      : valueInfo(name, shape, type);
  const graph = [
    ...nodes.map((node) => bytes(1, encode(node))),
    string(2, "g"),
    bytes(11, valueInfo("X", [1, size])),
    ...outputs.map((output) => bytes(12, info(output))),
  ];
  const model = [number(1, 8), bytes(7, Buffer.concat(graph)), bytes(8, number(2, 13))];
  return new Uint8Array(Buffer.concat(model));
}

/** onnxruntime-node whose sessions tell nothing of their outputs, as those before 1.21. */
const withoutMetadata = {
  ...ort,
  Tensor: ort.Tensor,
  InferenceSession: {
    async create(...args) {
      const session = await ort.InferenceSession.create(...args);
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        run: (...it) => session.run(...it),
        release: () => session.release(),
      };
    },
  },
};

test("outputs of sequences, texts and other lengths are skipped with a note", async () => {
  // NonZero of X and of Relu(X): as many columns as there are such numbers.
  const countOf = (input) => ["NonZero", [input], "count"];
  const negated = ["Relu", ["X"], "positive"];
  const outputs = [
    ["Y", 1, [1, size]],
    ["list", "sequence"],
    ["count", 7, [2, size]],
  ];
  const nodes = (input) => [
    negated,
    ["Identity", ["X"], "Y"],
    ["SequenceConstruct", ["X", "X"], "list"],
    countOf(input),
  ];
  const a = graphModel(nodes("X"), outputs);
  const b = graphModel(nodes("positive"), outputs);
  const found = await verify(a, b, { ort, inputs });
  assert.deepEqual(
    found.outputs.map(({ name }) => name),
    ["Y"],
  );
  assert.equal(found.worst.name, "Y");
  assert.equal(found.worst.cosine, 1);
  assert.deepEqual(found.skipped[0], { name: "list", reason: "is no tensor" });
  assert.equal(found.skipped[1].name, "count");
  assert.match(
    found.skipped[1].reason,
    /^has 96 elements in the original and \d+ in .* \(inputs\[0\]\)/,
  );
  assert.match(
    formatVerification(found),
    /Not compared: list is no tensor\nNot compared: count has/,
  );
  const same = await verify(a, a, { ort, inputs, outputs: ["count", "Y"] });
  assert.deepEqual(same.skipped, []);
  assert.deepEqual(
    same.outputs.map(({ name, cosine }) => [name, cosine > 0.999999]),
    [
      ["count", true],
      ["Y", true],
    ],
  );
  const only = { ort, inputs, outputs: ["list", "count"] };
  await assert.rejects(verify(a, b, only), {
    code: "argument",
    message: /No output can be compared: "list" is no tensor; "count" has 96 elements/,
  });
  const metric = async (run) => Object.keys(await run(inputs[0])).length;
  const measured = await verify(a, a, { ort, inputs, metric });
  assert.equal(measured.metric.original, 2);
});

test("outputs of texts are skipped, whether onnxruntime tells their type before or not", async () => {
  const cast = Buffer.concat([
    ...[string(1, "X"), string(2, "text"), string(4, "Cast")],
    bytes(5, Buffer.concat([string(1, "to"), number(3, 8), number(20, 2)])),
  ]);
  const identity = Buffer.concat([string(1, "X"), string(2, "Y"), string(4, "Identity")]);
  const graph = [
    ...[bytes(1, cast), bytes(1, identity), string(2, "g")],
    ...[bytes(11, valueInfo("X", [1, size])), bytes(12, valueInfo("text", [1, size], 8))],
    bytes(12, valueInfo("Y", [1, size])),
  ];
  const model = [number(1, 8), bytes(7, Buffer.concat(graph)), bytes(8, number(2, 13))];
  const texts = new Uint8Array(Buffer.concat(model));
  for (const runtime of [ort, withoutMetadata]) {
    const { skipped, outputs } = await verify(texts, texts, { ort: runtime, inputs });
    assert.deepEqual(skipped, [{ name: "text", reason: "is of texts" }]);
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ["Y"],
    );
  }
});

test("a file of another format is not run", async () => {
  const gguf = new Uint8Array([...new TextEncoder().encode("GGUF"), 3, ...new Array(19).fill(0)]);
  await assert.rejects(verify(gguf, gguf, { ort, inputs }), (error) => {
    assert.ok(["unsupported", "format"].includes(error.code), String(error));
    return true;
  });
});

test("a guard stores in 8 bits what 4 bits harm before it keeps floats, and tries the least bytes first", async () => {
  const weights = [1, 2, 3, 4].map((seed) => ({
    ...{ name: `w${seed}`, size },
    values: wave(size * size, seed * 31),
  }));
  const model = chainModel(weights);
  const plain = await verify(model, (await shrink(model, "int4")).files, { ort, inputs });
  const eight = await verify(model, (await shrink(model, "int8")).files, { ort, inputs });
  assert.ok(eight.worst.cosine > plain.worst.cosine);
  const between = (plain.worst.cosine + eight.worst.cosine) / 2;
  const { report, guard } = await shrink(model, "int4", {
    guard: { ort, inputs, minCosine: between },
  });
  assert.ok(guard.verification.worst.cosine >= between);
  assert.deepEqual(guard.keptTensors, []);
  assert.ok(guard.finerTensors.length > 0 && guard.finerTensors.length < 4);
  for (const { name, to, note } of report.tensors.filter((it) => it.from !== it.to)) {
    const isFiner = guard.finerTensors.includes(name);
    assert.match(to, isFiner ? /^int8/ : /^int4/, name);
    assert.equal(note, isFiner ? "8 bits by the guard, not 4" : undefined);
  }
  // Between 8 bits and floats: all have 8 bits, and as few as possible are kept.
  const strict = 1 - (1 - eight.worst.cosine) / 4;
  const second = await shrink(model, "int4", { guard: { ort, inputs, minCosine: strict } });
  assert.ok(second.guard.verification.worst.cosine >= strict);
  const { keptTensors, finerTensors } = second.guard;
  assert.ok(keptTensors.length > 0 && keptTensors.length < 4, keptTensors.join());
  assert.ok(finerTensors.every((name) => !keptTensors.includes(name)));
  assert.ok(second.report.outputBytes > report.outputBytes);
});

test("a tensor that a guard stores in 8 bits keeps its rule and its pruning", async () => {
  const recipe = await checkRecipe({
    weights: "int4",
    prune: { method: "magnitude", sparsity: 0.1 },
    rules: [
      { match: "a", weights: "uint4", prune: false },
      { match: "b", weights: "int16" },
    ],
  });
  const levels = new Map([...["a", "b", "c"].map((name) => [name, "finer"]), ["d", "kept"]]);
  const tensors = ["a", "b", "c", "d", "e"].map((name) => ({
    ...{ name, shape: [64, 64], isWeight: true, consumer: "MatMul" },
  }));
  const { order, warnings } = orderFor(withLevels(recipe, levels), tensors);
  const found = order.specs.map(({ keep, scheme, prune }) => [keep || scheme.type, prune?.method]);
  assert.deepEqual(found, [
    ["uint8", undefined],
    ["int16", "magnitude"],
    ["int8", "magnitude"],
    [true, undefined],
    ["int4", "magnitude"],
  ]);
  assert.deepEqual(warnings, []);
});

test("the original of a guard is run once for all trials", async () => {
  const { ort, seen } = watched();
  const model = chain(3);
  const { guard } = await shrink(model, "int4", { guard: { ort, inputs, minCosine: 0.9999 } });
  assert.ok(guard.attempts > 1);
  assert.equal(seen.length, 1 + guard.attempts);
});
