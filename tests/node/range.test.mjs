// Weights that a float type cannot hold: what is beyond its range, and what is lost below it.
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { compare, plan, restore, shrink } from "modelshrink";
import { makeGguf } from "../support/gguf.mjs";
import { model, node } from "../support/onnx-graphs.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const folder = await mkdtemp(join(tmpdir(), "range-"));
after(() => rm(folder, { recursive: true }));

const size = 64;
const wave = (scale) => Float32Array.from({ length: size * size }, (_, i) => scale * Math.sin(i));
const tensorOf = (name, data) => ({ name, dtype: "F32", shape: [size, size], data });

/** Two matrices, of which `large` holds one value that float16 has not. */
function modelWith(value) {
  const large = wave(1);
  large[100] = value;
  return makeSafetensors([tensorOf("large", large), tensorOf("small", wave(1))]);
}

const prune = { method: "magnitude", sparsity: 0.5 };

const hasReasonOfRange = ({ note = "" }) => /has values beyond the range/.test(note);

const typesOf = ({ tensors }) => Object.fromEntries(tensors.map(({ name, to }) => [name, to]));

/** The stored bytes of a tensor of a safetensors file. */
function storedIn(file, name) {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(Buffer.from(file.subarray(8, 8 + length)).toString());
  const [begin, end] = header[name].data_offsets.map((at) => 8 + length + at);
  return { dtype: header[name].dtype, bytes: file.slice(begin, end) };
}

test("a tensor that overflows its type stays float32, and the others are shrunk", async () => {
  for (const [weights, value] of [
    ["float16", 70000],
    ["float16", -65520],
    ["float8e4m3", 465],
    ["float8e5m2", 61441],
    ["bfloat16", 3.4e38],
  ]) {
    // float8 with a scale has no overflows.
    const recipe = { weights, granularity: "tensor" };
    const { bytes, report } = await shrink(modelWith(value), recipe);
    assert.deepEqual(typesOf(report), { large: "float32", small: weights });
    const [large] = report.tensors.filter(({ name }) => name === "large");
    assert.equal(large.note, `has values beyond the range of ${weights}`);
    assert.match(report.warnings.join(), /1 tensor with values beyond .* "large".*saturate/);
    const stored = storedIn(await bytes(), "large");
    assert.equal(stored.dtype, "F32");
    assert.equal(new Float32Array(stored.bytes.buffer)[100], Math.fround(value));
  }
});

test("where overflows alone leave nothing to change, the copy is written all the same", async () => {
  const large = wave(1);
  large[100] = 70000;
  const file = makeSafetensors([tensorOf("large", large)]);
  const { bytes, report } = await shrink(file, "fp16", { skipIdle: true });
  assert.equal(report.isIdle, undefined);
  assert.equal(report.warnings.length, 1);
  assert.deepEqual(storedIn(await bytes(), "large"), storedIn(file, "large"));
});

test("a value that just rounds into the range is no overflow", async () => {
  const { report } = await shrink(modelWith(65519), "fp16");
  assert.deepEqual(typesOf(report), { large: "float16", small: "float16" });
  assert.equal(report.warnings, undefined);
});

test('overflow: "saturate" writes the type\'s largest value', async () => {
  for (const [weights, largest] of [
    ["float16", [0xff, 0x7b]],
    ["bfloat16", [0x7f, 0x7f]],
  ]) {
    const recipe = { weights, overflow: "saturate" };
    const { bytes, report } = await shrink(modelWith(3.4e38), recipe);
    const [large] = report.tensors.filter(({ name }) => name === "large");
    assert.equal(large.note, "1 value beyond the type's range, written as its largest");
    const stored = storedIn(await bytes(), "large");
    assert.deepEqual([...stored.bytes.subarray(200, 202)], largest);
  }
});

test("an overflow is found before a stream gets its first byte", async () => {
  const expected = await (await shrink(modelWith(70000), "fp16")).bytes();
  const pieces = [];
  const sink = new WritableStream({ write: (piece) => void pieces.push(Buffer.from(piece)) });
  await shrink(modelWith(70000), "fp16", { sink });
  assert.deepEqual(new Uint8Array(Buffer.concat(pieces)), expected);
});

test("with a path only the second output appears, also with workers and with resume", async () => {
  const expected = await (await shrink(modelWith(70000), "fp16")).bytes();
  for (const options of [{}, { workers: 2 }, { resume: true }]) {
    const path = join(folder, "out.safetensors");
    await shrink(modelWith(70000), "fp16", { sink: path, ...options });
    assert.deepEqual(new Uint8Array(await readFile(path)), expected);
    assert.deepEqual(await readdir(folder), ["out.safetensors"]);
    await rm(path);
  }
});

test("rows that GGUF has no blocks for become float16 only as far as they fit", async () => {
  const data = Float32Array.from({ length: 48 * 40 }, (_, i) => Math.sin(i));
  data[7] = 1e6;
  const name = "blk.0.attn_q.weight";
  const tensor = { name, dims: [40, 48], type: "F32", data: new Uint8Array(data.buffer) };
  const { report } = await shrink(makeGguf({ keys: [], tensors: [tensor] }), "Q8_0");
  assert.equal(report.tensors[0].to, "float32");
});

const formats = {
  safetensors: (large, small) =>
    makeSafetensors([tensorOf("large", large), tensorOf("small", small)]),
  GGUF: (large, small) =>
    makeGguf({
      keys: [],
      tensors: Object.entries({ large, small }).map(([name, { buffer }]) => ({
        ...{
          name: `blk.0.${name}.weight`,
          dims: [size, size],
          type: "F32",
          data: new Uint8Array(buffer),
        },
      })),
    }),
  ONNX: (large, small) =>
    model({
      nodes: [node("MatMul", ["X", "large"], ["x"]), node("MatMul", ["x", "small"], ["Y"])],
      weights: Object.entries({ large, small }).map(([name, values]) => ({
        ...{ name, shape: [size, size], values },
      })),
      ...{ x: [1, size], y: [1, size], opset: 21 },
    }),
  "TensorFlow.js": (large, small) => {
    const weights = ["large", "small"].map((name) => ({
      ...{ name: `${name}/kernel`, shape: [size, size], dtype: "float32" },
    }));
    const manifest = [{ paths: ["w.bin"], weights }];
    const json = { format: "layers-model", modelTopology: {}, weightsManifest: manifest };
    return {
      "model.json": new TextEncoder().encode(JSON.stringify(json)),
      "w.bin": new Uint8Array(
        Buffer.concat([large, small].map(({ buffer }) => Buffer.from(buffer))),
      ),
    };
  },
};

const types = [
  ...["float16", "bfloat16", "float8e4m3", "float8e5m2"],
  ...["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"],
  ...["int4", "uint4", "int8", "uint8", "int16", "uint16"],
];

for (const [format, make] of Object.entries(formats)) {
  test(`no value of a weight ends a run, whatever the type: ${format}`, async () => {
    const large = wave(1);
    large[100] = 3.4e38;
    const file = make(large, wave(1));
    const usual = make(wave(1), wave(1));
    let numShrunk = 0;
    for (const weights of types) {
      for (const more of [{}, { granularity: "tensor" }, { blockSize: 32 }, { prune }]) {
        for (const overflow of ["keep", "saturate"]) {
          const recipe = { weights, overflow, minElements: 64, ...more };
          const what = JSON.stringify(recipe);
          const other = await plan(usual, recipe).catch(() => undefined);
          if (other === undefined) continue;
          const { report } = await shrink(file, recipe);
          const [it, small] = report.tensors;
          assert.equal(small.to, other.tensors[1].to, what);
          if (small.to !== "float32") numShrunk++;
          const isBeyond = hasReasonOfRange(it);
          if (/^u?int/.test(small.to)) assert.ok(!isBeyond, what);
          if (isBeyond) assert.equal(it.to, "float32", what);
          else assert.equal(it.to, small.to, what);
          if (overflow === "saturate") assert.ok(!isBeyond, what);
          assert.ok(Number.isFinite(it.maxAbsError ?? 0), what);
        }
      }
    }
    assert.ok(numShrunk > 20, `${numShrunk}`);
  });
}

test("float16 that loses some of the outputs is a warning, however small their share is", async () => {
  const values = wave(1).map((value, i) => (Math.floor(i / size) % 2 === 0 ? value : value * 1e-9));
  const { report } = await shrink(makeSafetensors([tensorOf("w", values)]), "fp16");
  const [{ sqnr, worstSqnr }] = report.tensors;
  assert.ok(sqnr > 70 && worstSqnr < 5, `${sqnr} ${worstSqnr}`);
  assert.match(report.warnings.join(), /1 tensor lost much.*"w"/);
  const whole = await shrink(makeSafetensors([tensorOf("w", wave(1))]), "fp16");
  assert.equal(whole.report.warnings, undefined);
  assert.ok(whole.report.tensors[0].worstSqnr > 70);
  // Blocks tell it, too: those of GGUF run along rows.
  const blocks = await shrink(formats.GGUF(values, wave(1)), "Q4_0");
  assert.ok(blocks.report.tensors[0].worstSqnr < 5);
  assert.ok(blocks.report.tensors[1].worstSqnr > 15);
  assert.match(blocks.report.warnings.join(), /1 tensor lost much/);
});

test("a loss above the stated bound is a warning that names the tensor", async () => {
  const tiny = makeSafetensors([tensorOf("tiny", wave(1e-9)), tensorOf("usual", wave(1))]);
  const { report } = await shrink(tiny, "fp16");
  assert.match(
    report.warnings.join(),
    /1 tensor lost much, or an output of them \(SQNR below 10 dB.*"tiny"/,
  );
  const fp8 = makeSafetensors([tensorOf("usual", wave(5e-4))]);
  const recipe = { weights: "float8e4m3", granularity: "tensor" };
  const { report: coarse } = await shrink(fp8, recipe);
  assert.match(coarse.warnings.join(), /lost much.*"usual"/);
  // Pruning takes what it was asked to take.
  const pruned = await shrink(modelWith(1), { prune: { method: "magnitude", sparsity: 0.9 } });
  assert.doesNotMatch((pruned.report.warnings ?? []).join(), /lost much/);
});

test("float8 has a scale for each output where the format can hold one", async () => {
  // Outputs that are a million times as large as others, and all far from 1.
  const values = wave(5e-4).map((value, i) => value * 10 ** -(Math.floor(i / size) % 7));
  for (const [weights, bound] of [
    ["float8e4m3", 28],
    ["float8e5m2", 22],
  ]) {
    const small = await shrink(makeSafetensors([tensorOf("w", values)]), { weights });
    const [{ to, sqnr, worstSqnr }] = small.report.tensors;
    assert.equal(to, weights);
    assert.ok(sqnr > bound && (worstSqnr ?? sqnr) > bound, `${sqnr} ${worstSqnr}`);
    assert.equal(small.report.warnings, undefined);
    const file = await small.bytes();
    const scales = new Float32Array(storedIn(file, "w.scale").bytes.buffer);
    assert.equal(scales.length, size);
    const row = values.subarray(0, size);
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.equal(scales[0], Math.fround(largest / (weights === "float8e4m3" ? 448 : 57344)));
    // Once more nothing is to do, and back they are floats.
    assert.equal((await shrink(file, { weights })).report.isIdle, true);
    const back = storedIn(await (await restore(file)).bytes(), "w");
    assert.equal(back.dtype, "F32");
    const restored = new Float32Array(back.bytes.buffer);
    assert.ok((await compare(values, restored)).sqnr > bound);
  }
});
