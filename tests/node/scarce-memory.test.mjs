// Every size of memory from far too little to enough: a model of each format is shrunk and compared to the
// right bytes or to an OutOfMemoryError, and the next call works.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { init, quantize, shrink } from "modelshrink";
import { makeGguf } from "../support/gguf.mjs";
import { chainModel, wave } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const size = 256;
const values = wave(size * size);
const text = new TextEncoder();

/** Weights as { name, shape, values }: one that is large, or many that are small. */
const large = [{ name: "w.weight", shape: [size, size], values }];
const many = Array.from({ length: 200 }, (_, i) => ({
  name: `layer${i}.weight`,
  shape: [4, 8],
  values: wave(32, i),
}));

const modelsOf = {
  onnx: (weights) => ({
    "m.onnx": chainModel(
      weights.map(({ name, shape, values }) =>
        shape[0] === shape[1] ? { name, size: shape[0], values } : { name, size: 4 },
      ),
    ),
  }),
  safetensors: (weights) => ({
    "m.safetensors": makeSafetensors(
      weights.map(({ name, shape, values: data }) => ({ name, shape, dtype: "F32", data })),
    ),
  }),
  gguf: (weights) => ({
    "m.gguf": new Uint8Array(
      makeGguf({
        keys: [],
        tensors: weights.map(({ name, shape, values }) => ({
          name,
          dims: shape.toReversed(),
          type: "F32",
          data: new Uint8Array(values.buffer),
        })),
      }),
    ),
  }),
  tfjs: (weights) => ({
    "model.json": text.encode(
      JSON.stringify({
        format: "layers-model",
        modelTopology: {},
        weightsManifest: [
          {
            paths: ["w.bin"],
            weights: weights.map(({ name, shape }) => ({
              name: `${name}/kernel`,
              shape,
              dtype: "float32",
            })),
          },
        ],
      }),
    ),
    "w.bin": new Uint8Array(
      Buffer.concat(weights.map(({ values }) => new Uint8Array(values.buffer))),
    ),
  }),
};
const recipes = { onnx: "int8", safetensors: "int8", gguf: "Q8_0", tfjs: "uint8" };
const jobs = [large, many].flatMap((weights) =>
  Object.entries(modelsOf).map(([format, filesOf]) => ({
    what: `${format}, ${weights.length} tensors`,
    files: filesOf(weights),
    recipe: { weights: recipes[format], minElements: 1 },
  })),
);

function outcomesWith(pages, jobs) {
  const url = new URL("./scarce-memory-worker.mjs", import.meta.url);
  return new Promise((resolve, reject) => {
    const worker = new Worker(url, { workerData: { jobs, pages } });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

async function bytesOf({ files, recipe }) {
  const outputs = Object.values((await shrink(files, recipe)).files);
  const bytes = await Promise.all(outputs.map((blob) => blob.arrayBuffer()));
  return bytes.map((it) => new Uint8Array(it));
}

test("with little memory a run is right or an OutOfMemoryError, and the next call works", async () => {
  await init();
  const { data } = quantize(wave(64), { type: "int8" });
  const expected = new Map();
  for (const job of jobs) expected.set(job.what, await bytesOf(job));
  const failures = new Map();
  let left = jobs;
  // With none the next call may lack room for its own buffers.
  for (let pages = 1; left.length > 0; pages++) {
    assert.ok(pages < 200, `it never is enough for ${left.map(({ what }) => what).join()}`);
    const outcomes = await outcomesWith(pages, left);
    left = left.filter(({ what }, i) => {
      const { first, next } = outcomes[i];
      assert.deepEqual(next.bytes, [data], `${pages} pages, ${what}: ${next.message}`);
      if (first.bytes) {
        assert.deepEqual(first.bytes, expected.get(what), `${pages} pages, ${what}`);
        return false;
      }
      assert.equal(first.code, "out-of-memory", `${pages} pages, ${what}: ${first.message}`);
      failures.set(what, (failures.get(what) ?? 0) + 1);
      return true;
    });
  }
  for (const { what } of jobs) assert.ok(failures.get(what) > 0, what);
});
