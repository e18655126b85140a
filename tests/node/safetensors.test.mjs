// safetensors through the package: what is written obeys the specification and the official writer's
// rules, means what FORMAT.md says, and can be restored.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatError, compare, inspect, plan, restore, shrink } from "modelshrink";
import { dequantized, makeSafetensors, readSafetensors } from "../support/safetensors.mjs";

function noise(count, seed) {
  return Float32Array.from(
    { length: count },
    (_, i) => ((Math.sin((i + seed) * 12.9898) * 43758.5453) % 1) * 0.5,
  );
}

const shapes = {
  "attention.weight": [48, 64],
  "conv.weight": [32, 8, 3, 3],
  "experts.weight": [2, 24, 40],
  "odd.weight": [33, 65],
};
const weights = Object.entries(shapes).map(([name, shape], i) => ({
  name,
  dtype: "F32",
  shape,
  data: noise(
    shape.reduce((a, b) => a * b, 1),
    i * 1000,
  ),
}));
const others = [
  { name: "norm.weight", dtype: "F32", shape: [64], data: noise(64, 7) },
  { name: "position", dtype: "I64", shape: [3], data: new BigInt64Array([1n, 2n, 3n]) },
  { name: "mask", dtype: "BOOL", shape: [5], data: new Uint8Array(5) },
  { name: "empty", dtype: "F16", shape: [0, 4], data: new Uint8Array(0) },
];
const model = makeSafetensors([...weights, ...others], { format: "pt", 'naïve "key"': "\n" });
const original = readSafetensors(model);

const toFloat = (data) => new Float32Array(Uint8Array.from(data).buffer);
const bytesOf = async ({ files }) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(files).map(async ([name, blob]) => [
        name,
        new Uint8Array(await blob.arrayBuffer()),
      ]),
    ),
  );

function assertOthersKept(tensors) {
  for (const { name } of others) assert.deepEqual(tensors[name], original.tensors[name]);
}

test("inspect tells what is in the file", async () => {
  const info = await inspect(model);
  assert.equal(info.format, "safetensors");
  assert.equal(info.inputBytes, model.length);
  assert.deepEqual(info.metadata, { format: "pt", 'naïve "key"': "\n" });
  assert.deepEqual(
    info.tensors.map(({ name, type, shape, isWeight, note }) => [
      name,
      type,
      shape,
      isWeight,
      note,
    ]),
    [
      ["position", "int64", [3], false, "not float32, float16 or bfloat16"],
      ["attention.weight", "float32", [48, 64], true, undefined],
      ["conv.weight", "float32", [32, 8, 3, 3], true, undefined],
      ["experts.weight", "float32", [2, 24, 40], true, undefined],
      ["norm.weight", "float32", [64], false, "rank below 2"],
      ["odd.weight", "float32", [33, 65], true, undefined],
      ["empty", "float16", [0, 4], false, "it has no elements"],
      ["mask", "bool", [5], false, "not float32, float16 or bfloat16"],
    ],
  );
});

const integers = ["int8", "uint8", "int16", "int4", "uint4"];
for (const recipe of [
  ...integers,
  { weights: "int8", granularity: "tensor" },
  { weights: "uint16", granularity: "axis", symmetric: true },
  { weights: "uint8", granularity: "block", blockSize: 16 },
]) {
  test(`${JSON.stringify(recipe)} is written by the rules, read back and restored`, async () => {
    const planned = await plan(model, recipe);
    const result = await shrink(model, recipe);
    const small = await result.bytes();
    assert.equal(small.length, planned.outputBytes);
    const parsed = readSafetensors(small);
    assert.equal(parsed.metadata.format, "pt");
    assertOthersKept(parsed.tensors);
    for (const { name, shape, data } of weights) {
      const { values, scaleOf, scheme } = dequantized(parsed, name);
      assert.deepEqual(scheme.shape, shape);
      assert.equal(values.length, data.length);
      // Codes and zero points are rounded, half a step each, and 16 bits are near float32's own steps.
      const steps = scheme.symmetric ? 0.51 : 1.01;
      values.forEach((value, i) => {
        assert.ok(Math.abs(value - data[i]) <= steps * scaleOf(i), `${name}[${i}]`);
      });
    }

    const info = await inspect(small);
    const quantized = info.tensors.filter((it) => it.quantized);
    assert.deepEqual(quantized.map(({ name }) => name).toSorted(), Object.keys(shapes).toSorted());
    assert.equal(info.tensors.length, weights.length + others.length);
    for (const it of quantized) {
      assert.deepEqual(it.shape, shapes[it.name]);
      assert.equal(it.restoredType, "float32");
    }
    const { tensors: compared } = await compare(model, small);
    for (const name of Object.keys(shapes)) {
      const { sqnr } = compared.find((it) => it.name === name);
      assert.ok(sqnr > 15 && sqnr < 110, `${name}: ${sqnr} dB`);
    }

    const restored = readSafetensors(await (await restore(small)).bytes());
    assert.equal(restored.header, original.header);
    assertOthersKept(restored.tensors);
    for (const name of Object.keys(shapes)) {
      assert.deepEqual(toFloat(restored.tensors[name].data), dequantized(parsed, name).values);
    }
  });
}

for (const [recipe, dtype, bytes] of [
  ["fp16", "F16", 2],
  ["bf16", "BF16", 2],
  [{ weights: "float8e4m3", granularity: "tensor" }, "F8_E4M3", 1],
  [{ weights: "float8e5m2", granularity: "tensor" }, "F8_E5M2", 1],
]) {
  test(`${dtype} is written in place`, async () => {
    const parsed = readSafetensors(await (await shrink(model, recipe)).bytes());
    assertOthersKept(parsed.tensors);
    assert.deepEqual(
      Object.keys(parsed.tensors).toSorted(),
      Object.keys(original.tensors).toSorted(),
    );
    for (const { name, shape, data } of weights) {
      assert.equal(parsed.tensors[name].dtype, dtype);
      assert.deepEqual(parsed.tensors[name].shape, shape);
      assert.equal(parsed.tensors[name].data.length, data.length * bytes);
    }
    if (dtype !== "BF16") return;
    // The upper half of a float32, rounded half to even.
    const { data } = parsed.tensors["odd.weight"];
    const source = new Uint32Array(weights.at(-1).data.buffer);
    source.forEach((word, i) => {
      const rounded = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
      assert.equal(data.readUInt16LE(2 * i), rounded);
    });
  });
}

test("a model with nothing to quantize stays as it is", async () => {
  const small = await (await shrink(model, { weights: "int8", minElements: 1e6 })).bytes();
  assert.deepEqual(small, model);
});

test("shards stay shards, with their index", async () => {
  const [first, second] = [weights.slice(0, 2), [...weights.slice(2), ...others]];
  const index = {
    metadata: { total_size: 0 },
    weight_map: Object.fromEntries([
      ...first.map(({ name }) => [name, "model-00001-of-00002.safetensors"]),
      ...second.map(({ name }) => [name, "model-00002-of-00002.safetensors"]),
    ]),
  };
  for (const { data } of [...first, ...second]) index.metadata.total_size += data.byteLength;
  const files = {
    "model.safetensors.index.json": Buffer.from(JSON.stringify(index, undefined, 2)),
    "model-00001-of-00002.safetensors": makeSafetensors(first),
    "model-00002-of-00002.safetensors": makeSafetensors(second, { format: "pt" }),
  };
  const { tensors } = await inspect(files);
  assert.equal(tensors.length, weights.length + others.length);

  const small = await bytesOf(await shrink(files, "uint8"));
  assert.deepEqual(Object.keys(small).toSorted(), Object.keys(files).toSorted());
  const smallIndex = JSON.parse(Buffer.from(small["model.safetensors.index.json"]).toString());
  let total = 0;
  for (const name of Object.keys(files).slice(1)) {
    const parsed = readSafetensors(small[name]);
    for (const [tensor, { data }] of Object.entries(parsed.tensors)) {
      assert.equal(smallIndex.weight_map[tensor], name);
      delete smallIndex.weight_map[tensor];
      total += data.length;
    }
  }
  assert.deepEqual(smallIndex, { metadata: { total_size: total }, weight_map: {} });

  const restored = await bytesOf(await restore(small));
  const indexName = "model.safetensors.index.json";
  assert.equal(
    Buffer.from(restored[indexName]).toString(),
    Buffer.from(files[indexName]).toString(),
  );
  for (const name of Object.keys(files).slice(1)) {
    assert.equal(readSafetensors(restored[name]).header, readSafetensors(files[name]).header);
  }
});

test("one of several files is a warning", async () => {
  const source = { "model-00002-of-00003.safetensors": model };
  const { warnings } = await plan(source, "fp16");
  assert.deepEqual(warnings?.length, 1);
  assert.match(warnings[0], /part 2 of 3.*index/);
});

test("text of a model is what it says, byte order marks and __proto__ too", async () => {
  const names = ["\uFEFFa", "nul\0\uFEFFb", "__proto__", "\u{1F600}"];
  const pairs = [
    ["__proto__", "x"],
    ["k", "\uFEFFvalue"],
    ["\uFEFFkey", "1"],
  ];
  const tensors = names.map((name) => {
    const data = new Uint8Array(4 * 1024);
    return { name, dtype: "F32", shape: [32, 32], data };
  });
  const odd = makeSafetensors(tensors, Object.fromEntries(pairs));
  const info = await inspect(odd);
  assert.deepEqual(info.tensors.map(({ name }) => name).sort(), names.toSorted());
  assert.deepEqual(Object.entries(info.metadata).sort(), pairs.toSorted());
  const { report } = await shrink(odd, "fp16");
  for (const { tensors } of [await plan(odd, "fp16"), report]) {
    assert.deepEqual(tensors.map(({ name }) => name).sort(), names.toSorted());
  }
  const { buffer } = new Float32Array(1024).fill(NaN);
  tensors[0].data = new Uint8Array(buffer);
  await assert.rejects(shrink(makeSafetensors(tensors), "int8"), { tensor: "\uFEFFa" });
});

test("a broken file is a FormatError with its place", async () => {
  const file = Buffer.from(model);
  const at = file.indexOf('"odd.weight"');
  file.write('"odd.weighs"', at);
  file.write("9", file.indexOf("[33,65]", at) + 1);
  await assert.rejects(inspect(new Uint8Array(file)), (error) => {
    assert.ok(error instanceof FormatError);
    assert.equal(error.tensor, "odd.weighs");
    assert.equal(error.offset, file.indexOf("[", file.indexOf("data_offsets", at)));
    assert.match(error.message, /its shape and dtype need 24180 bytes, its data_offsets give 8580/);
    return true;
  });
});

test("ten thousand tensors", async () => {
  const many = Array.from({ length: 10000 }, (_, i) => ({
    name: `model.layers.${i}.self_attn.q_proj.weight`,
    dtype: "F32",
    shape: [4, 4],
    data: noise(16, i),
  }));
  const file = makeSafetensors(many);
  const info = await inspect(file);
  assert.equal(info.tensors.length, 10000);
  const planned = await plan(file, { weights: "float16", minElements: 0 });
  const small = await (await shrink(file, { weights: "float16", minElements: 0 })).bytes();
  assert.equal(small.length, planned.outputBytes);
  assert.equal(Object.keys(readSafetensors(small).tensors).length, 10000);
});

test("a rule that names a vector or a number forces it", async () => {
  const values = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i));
  const file = makeSafetensors([
    { name: "b", dtype: "F32", shape: [2048], data: values },
    { name: "c", dtype: "F32", shape: [2048], data: values },
    { name: "n", dtype: "F32", shape: [], data: values.subarray(5, 6) },
  ]);
  for (const [weights, bound] of [
    ["int8", 35],
    ["uint8", 35],
    ["int4", 12],
    ["float16", 60],
    ["float8e4m3", 28],
  ]) {
    const rules = [
      { match: "b", weights },
      { match: "n", weights },
    ];
    const { report, bytes } = await shrink(file, { rules });
    const to = Object.fromEntries(report.tensors.map((it) => [it.name, it]));
    assert.match(to.b.to, new RegExp(`^${weights}`));
    assert.ok(to.b.sqnr > bound, `${weights}: ${to.b.sqnr}`);
    // A longer header takes what one number saves.
    assert.equal(to.n.to, weights === "float16" ? weights : "float32");
    assert.equal(to.c.to, "float32");
    const { tensors } = readSafetensors(await (await restore(await bytes())).bytes());
    assert.equal(tensors.b.dtype, weights.startsWith("float") ? tensors.b.dtype : "F32");
    assert.deepEqual(tensors.b.shape, [2048]);
  }
  // A pattern is no name.
  const globbed = await plan(file, { weights: "int8", rules: [{ match: "b*", weights: "int8" }] });
  assert.ok(globbed.tensors.every(({ to }) => to === "float32"));
});
