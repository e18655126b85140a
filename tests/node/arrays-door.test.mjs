// "modelshrink/arrays": the array functions on a small core of their own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { promisify } from "node:util";
import * as arrays from "modelshrink/arrays";
import * as whole from "modelshrink";
import { chainModel, wave } from "../support/onnx.mjs";

const exec = promisify(execFile);
const x = wave(4096, 7);

function everything({ quantize, dequantize, prune, toSparse, fromSparse, compare }) {
  const codes = ["int8", "uint4", "float16", "Q4_0"].map((type) =>
    quantize(x, { type, shape: [64, 64] }),
  );
  const pruned = prune(x, { method: "n:m", n: 2, m: 4, shape: [64, 64] });
  const sparse = toSparse(pruned.values, { format: "csr", shape: [64, 64] });
  return {
    codes,
    floats: codes.map((it) => dequantize(it)),
    pruned,
    sparse,
    dense: fromSparse(sparse),
    errors: compare(x, dequantize(codes[0])),
  };
}

test("gives what modelshrink gives, and the whole core takes over where models come", async () => {
  assert.throws(() => everything(arrays), arrays.ModelShrinkError);
  await arrays.init();
  const small = everything(arrays);
  const shape = [64, 64];
  const gram = () => {
    const made = new whole.Gram(64).add(x);
    made.toBytes(); // Rows are summed up when they are asked for.
    return made;
  };
  assert.throws(gram, /needs the whole core: take init from "modelshrink"/);
  await whole.inspect(chainModel([{ name: "w", size: 64 }]));
  assert.deepEqual(everything(arrays), small);
  assert.deepEqual(everything(whole), small);
  assert.equal(whole.quantize(x, { type: "int8", shape, gram: gram() }).data.length, 4096);
  await arrays.init();
  assert.equal(gram().rows, 64);
});

test("loads no more than the small binary, with SIMD and without", async () => {
  const script = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    const { readFile } = fs;
    fs.readFile = (path, ...more) => {
      if (String(path).endsWith(".wasm")) console.log(String(path).split("/").at(-1));
      return readFile(path, ...more);
    };
    syncBuiltinESMExports();
    const { init } = await import("modelshrink/arrays");
    console.log((await init({ simd: process.argv[1] === "simd" })).simd);`;
  for (const [variant, lines] of [
    ["simd", "arrays-simd.wasm\ntrue\n"],
    ["baseline", "arrays-baseline.wasm\nfalse\n"],
  ]) {
    const { stdout } = await exec(
      process.execPath,
      ["--input-type=module", "-e", script, variant],
      {
        cwd: fileURLToPath(new URL("../../", import.meta.url)),
      },
    );
    assert.equal(stdout, lines);
  }
});
