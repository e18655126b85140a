// Weights without their zeros in files: what runtimes and other readers find there.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ArgumentError, UnsupportedError, init, plan, prune, shrink } from "modelshrink";
import { nodeRuntime, webRuntime } from "../support/runtimes.mjs";
import { makeGguf } from "../support/gguf.mjs";
import { chainModel, wave } from "../support/onnx.mjs";
import { makeSafetensors, readSafetensors } from "../support/safetensors.mjs";

before(() => init());

const magnitude = (sparsity) => ({ prune: { method: "magnitude", sparsity } });
const chain = () => chainModel(["first", "second"].map((name) => ({ name, size: 64 })));
const bytesOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

test("ONNX: both onnxruntimes compute the same as with the dense file", async () => {
  const data = wave(64, 5);
  for (const recipe of [
    magnitude(0.9),
    { prune: { method: "n:m", n: 1, m: 8 } },
    { prune: { method: "magnitude", sparsity: 0.9, allocation: "global" } },
    { ...magnitude(0.9), strip: true },
  ]) {
    const dense = await (await shrink(chain(), recipe)).bytes();
    const { bytes, report } = await shrink(chain(), { ...recipe, sparse: true });
    const sparse = await bytes();
    assert.equal(sparse.length, report.outputBytes);
    assert.ok(sparse.length < dense.length / 2, `${sparse.length} of ${dense.length}`);
    assert.match(report.warnings.join(), /WebGPU/);
    for (const runtime of [await nodeRuntime(), await webRuntime()]) {
      const outputs = [];
      for (const model of [dense, sparse]) {
        const session = await runtime.open(model);
        outputs.push((await session.run({ X: { data, dims: [1, 64] } })).Y.data);
        await session.release();
      }
      assert.deepEqual(outputs[1], outputs[0]);
    }
  }
});

test("ONNX: channels leave, and the rest has no zeros", async () => {
  const structured = { prune: { method: "structured", sparsity: 0.5 } };
  const pruned = await (await shrink(chain(), magnitude(0.95))).bytes();
  const cut = await (await shrink(pruned, structured)).bytes();
  const expected = await (await shrink(cut, { sparse: true })).bytes();
  const { bytes } = await shrink(pruned, { ...structured, sparse: true });
  assert.deepEqual(await bytes(), expected);
});

test("ONNX: zeros that are there already are found, and workers do not matter", async () => {
  const pruned = await (await shrink(chain(), magnitude(0.95))).bytes();
  const sparse = await (await shrink(pruned, { sparse: true })).bytes();
  const at_once = await shrink(chain(), { ...magnitude(0.95), sparse: true }, { workers: 2 });
  assert.deepEqual(await at_once.bytes(), sparse);
  // What is dense stays as it is.
  const { bytes, report } = await shrink(chain(), { sparse: true });
  assert.deepEqual(await bytes(), chain());
  assert.match(report.tensors[0].note, /would not shrink/);
});

/** By the rules of compressed-tensors' "sparse-bitmask". */
function expand(tensors, name) {
  const numbers = ({ data }) => [...new BigInt64Array(Uint8Array.from(data).buffer)].map(Number);
  const [rows, columns] = numbers(tensors[`${name}.shape`]);
  const offsets = numbers(tensors[`${name}.row_offsets`]);
  const { data: bits, shape } = tensors[`${name}.bitmask`];
  const { data, dtype } = tensors[`${name}.compressed`];
  const values = new Float32Array(Uint8Array.from(data).buffer);
  assert.deepEqual([shape, dtype], [[rows, Math.ceil(columns / 8)], "F32"]);
  const dense = new Float32Array(rows * columns);
  let next = 0;
  for (let r = 0; r < rows; ++r) {
    assert.equal(offsets[r], next);
    for (let c = 0; c < columns; ++c) {
      const byte = bits[r * shape[1] + (c >> 3)];
      if ((byte >> (c & 7)) & 1) dense[r * columns + c] = values[next++];
    }
  }
  assert.equal(next, values.length);
  return dense;
}

test("safetensors: a bitmask as compressed-tensors has it", async () => {
  const shape = [50, 77];
  const values = wave(50 * 77, 3);
  const bias = { name: "l.bias", dtype: "F32", shape: [50], data: bytesOf(wave(50)) };
  const file = makeSafetensors([
    { name: "l.weight", dtype: "F32", shape, data: bytesOf(values) },
    bias,
  ]);
  const { bytes, report } = await shrink(file, { ...magnitude(0.7), sparse: true });
  const small = await bytes();
  assert.equal(small.length, report.outputBytes);
  assert.match(report.warnings.join(), /sparse-bitmask/);
  const { tensors } = readSafetensors(small);
  assert.deepEqual(Object.keys(tensors).sort(), [
    "l.bias",
    ...["bitmask", "compressed", "row_offsets", "shape"].map((part) => `l.weight.${part}`),
  ]);
  const expected = prune(values, { method: "magnitude", sparsity: 0.7 }).values;
  assert.deepEqual(expand(tensors, "l.weight"), expected);
});

test("safetensors: an index lists what takes a tensor's place", async () => {
  const part = (name, seed) =>
    makeSafetensors([{ name, dtype: "F32", shape: [64, 64], data: bytesOf(wave(4096, seed)) }]);
  const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const index = {
    metadata: { total_size: 2 * 16384 },
    weight_map: { "a.weight": names[0], "b.weight": names[1] },
  };
  const source = {
    "model.safetensors.index.json": Buffer.from(JSON.stringify(index)),
    [names[0]]: part("a.weight", 1),
    [names[1]]: part("b.weight", 2),
  };
  const rules = [{ match: "b.weight", keep: true }];
  const { files } = await shrink(source, { ...magnitude(0.8), sparse: true, rules });
  const written = JSON.parse(await files["model.safetensors.index.json"].text());
  assert.deepEqual(written.weight_map, {
    ...Object.fromEntries(
      ["compressed", "bitmask", "row_offsets", "shape"].map((it) => [`a.weight.${it}`, names[0]]),
    ),
    "b.weight": names[1],
  });
  const { tensors } = readSafetensors(Buffer.from(await files[names[0]].arrayBuffer()));
  const size = Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
  assert.equal(written.metadata.total_size, size + 16384);
});

test("what cannot be sparse says so", async () => {
  const gguf = makeGguf({
    keys: [],
    tensors: [{ name: "blk.0.attn_q.weight", dims: [64, 64], type: 0, data: bytesOf(wave(4096)) }],
  });
  await assert.rejects(shrink(gguf, { sparse: true }), (error) => {
    assert.ok(error instanceof UnsupportedError);
    assert.match(error.message, /A gguf file has no sparse tensors/);
    return true;
  });
  await assert.rejects(plan(chain(), { weights: "int8", sparse: true }), (error) => {
    assert.ok(error instanceof ArgumentError);
    assert.match(error.message, /sparse is for weights that keep their type/);
    return true;
  });
  const { warnings } = await plan(chain(), { ...magnitude(0.9), sparse: true });
  assert.match(warnings.join(), /planned as they are now/);
  const taken = makeSafetensors(
    ["w", "w.shape"].map((name, i) => ({
      ...{ name, dtype: "F32", shape: [64, 64] },
      data: bytesOf(wave(4096, i)),
    })),
  );
  const rules = [{ match: "w.shape", keep: true }];
  const { report } = await shrink(taken, { ...magnitude(0.9), sparse: true, rules });
  assert.match(report.tensors.find(({ name }) => name === "w").note, /another tensor is called/);
});
