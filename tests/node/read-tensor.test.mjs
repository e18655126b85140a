// One tensor's values, from each format, as they are stored and as the floats that quantized ones stand for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, inspect, readTensor, restore, shrink } from "modelshrink";
import { onnxWithData, safetensorsShards, tfjsLayers } from "../support/file-sets.mjs";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { modelPaths } from "../support/models.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const floats = (buffer) => new Float32Array(new Uint8Array(buffer).buffer);

test("gives stored floats as they are, whatever lies around them", async () => {
  const data = weights(96, "F32", 3);
  const model = makeSafetensors([
    { name: "a", dtype: "F32", shape: [7], data: weights(7, "F32", 1) },
    { name: "b", dtype: "F32", shape: [4, 24], data },
    { name: "empty", dtype: "F32", shape: [0, 3], data: new Uint8Array() },
  ]);
  const { name, shape, values } = await readTensor(model, "b");
  assert.deepEqual([name, shape], ["b", [4, 24]]);
  assert.deepEqual(values, floats(data));
  assert.equal((await readTensor(model, "empty")).values.length, 0);
});

test("reads only the headers and the tensor", async () => {
  const tensor = (name, seed) => ({
    ...{ name, dtype: "F32", shape: [1 << 20], data: weights(1 << 20, "F32", seed) },
  });
  const bytes = makeSafetensors([tensor("a", 1), tensor("b", 2), tensor("c", 3)]);
  let read = 0;
  const source = {
    size: bytes.length,
    read: (offset, length) => {
      read += length;
      return bytes.subarray(offset, offset + length);
    },
  };
  await readTensor(source, "b");
  assert.ok(read >= 4 << 20 && read < (4 << 20) + 1e5, `${read} bytes were read`);
});

const models = {
  "GGUF Q4_0": [makeGguf(tinyLlama({})), "Q4_0"],
  "safetensors int8 in shards": [safetensorsShards(), "int8"],
  "TensorFlow.js int8": [tfjsLayers(), "int8"],
};
for (const [title, [model, recipe]] of Object.entries(models)) {
  test(`${title}: gives what restore writes`, async () => {
    const { files } = await shrink(model, recipe);
    const { files: restored } = await restore(files, { weights: "float32" });
    const { tensors } = await inspect(files);
    const quantized = tensors.filter((tensor) => tensor.quantized);
    assert.ok(quantized.length > 0);
    for (const { name } of quantized) {
      const [small, whole] = [await readTensor(files, name), await readTensor(restored, name)];
      assert.deepEqual(small, whole);
    }
  });
}

const onnx = { recognition: modelPaths.recognition, "external data": await onnxWithData() };
for (const [title, model] of Object.entries(onnx)) {
  test(`ONNX, ${title}: differs from the original by what compare says`, async () => {
    const { files } = await shrink(model, "int8");
    const { tensors } = await compare(model, files);
    const changed = tensors.filter(({ from, to }) => from !== to);
    assert.ok(changed.length > 0);
    for (const { name, maxAbsError } of changed.slice(0, 5)) {
      const [{ values: before }, { values: after }] = [
        await readTensor(model, name),
        await readTensor(files, name),
      ];
      const largest = before.reduce((max, x, i) => Math.max(max, Math.abs(x - after[i])), 0);
      assert.equal(Math.fround(largest), Math.fround(maxAbsError));
    }
  });
}

test("a tensor of more values than an array holds is an error before any of it is read", async () => {
  const numBytes = 10 * 2 ** 30;
  const shape = [numBytes / 4];
  const tensor = { dtype: "F32", shape, data_offsets: [0, numBytes] };
  const header = Buffer.from(JSON.stringify({ w: tensor }));
  const head = Buffer.alloc(8 + header.length);
  head.writeBigUInt64LE(BigInt(header.length));
  header.copy(head, 8);
  const source = {
    size: head.length + numBytes,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      bytes.set(head.subarray(offset, offset + length));
      assert.ok(offset + length < 2 ** 24, "only the header is read");
      return bytes;
    },
  };
  await assert.rejects(readTensor(source, "w"), {
    name: "UnsupportedError",
    message: /2684354560/,
  });
});

test("says what it cannot read", async () => {
  const model = makeSafetensors([
    { name: "ids", dtype: "I64", shape: [4], data: new Uint8Array(32) },
  ]);
  await assert.rejects(readTensor(model, "ids"), { name: "UnsupportedError", message: /ids/ });
  await assert.rejects(readTensor(model, "id"), {
    name: "ArgumentError",
    message: /no tensor "id"/,
  });
  await assert.rejects(readTensor(model, 7), { name: "ArgumentError", message: /no tensor 7/ });
  await assert.rejects(readTensor(model, "ids", { sink: "x" }), { name: "ArgumentError" });
  const signal = AbortSignal.abort();
  await assert.rejects(readTensor(model, "ids", { signal }), { name: "AbortError" });
});
