// What each build of onnxruntime-web loads on WebAssembly: the table of docs/recipes.md, from a page in Chromium. The
// WebGPU build is the one that transformers.js imports, for every device.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { init, shrink } from "modelshrink";
import { launch, serve } from "../support/chromium.mjs";
import { int64, model, node, noise, weight } from "../support/onnx-graphs.mjs";
import { root } from "../support/run.mjs";

const matMul = {
  nodes: [node("MatMul", ["X", "W"], ["Y"])],
  weights: [weight("W", [64, 48])],
  x: [1, 64],
  y: [1, 48],
  opset: 21,
};
const gather = {
  nodes: [node("Gather", ["W", "X"], ["Y"])],
  weights: [weight("W", [60, 64])],
  x: [1, 3],
  y: [1, 3, 64],
  xType: int64,
  opset: 21,
};
const sparse = {
  ...matMul,
  weights: [
    { ...weight("W", [64, 48]), values: noise(64 * 48, 1).map((it, i) => (i % 40 ? 0 : it)) },
  ],
};

/** By the first cell of a row: models, and the recipes for what the row names. */
const rows = {
  "int8 and int4 `storage`, float16": [matMul, ["int8", "int4", "fp16"]],
  "`dynamic`": [matMul, ["dynamic"]],
  "`lowmem`: MatMulNBits, 4 and 8 bits": [matMul, ["q4", "q8"]],
  "`lowmem` with `packEmbeddings`: GatherBlockQuantized": [
    gather,
    ["uint4", "uint8"].map((weights) => ({
      ...{ weights, mode: "lowmem", symmetric: true, packEmbeddings: true },
    })),
  ],
  "bfloat16, float8": [matMul, ["bf16", "fp8"]],
  "`sparse_initializer`": [sparse, [{ sparse: true }]],
};

let browser;
let site;
let tab;

before(async () => {
  await init();
  site = await serve(root);
  browser = await launch();
  tab = await browser.newPage();
  await tab.route("**/page.html", (route) =>
    route.fulfill({ body: "<!doctype html>", contentType: "text/html" }),
  );
  await tab.goto(`${site.url}page.html`);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** Tells whether a build loads a model on WebAssembly. */
const loads = (build, file) =>
  tab.evaluate(
    async ({ build, file }) => {
      const ort = await import(`/node_modules/onnxruntime-web/dist/${build}`);
      ort.env.wasm.wasmPaths = "/node_modules/onnxruntime-web/dist/";
      ort.env.wasm.numThreads = 1;
      ort.env.logLevel = "fatal";
      try {
        const session = await ort.InferenceSession.create(Uint8Array.from(file), {
          executionProviders: ["wasm"],
        });
        await session.release();
        return true;
      } catch {
        return false;
      }
    },
    { build, file: [...file] },
  );

/** The rows of the table in docs/recipes.md. */
async function documented() {
  const page = await readFile(join(root, "docs/recipes.md"), "utf8");
  const [, table] = /<!-- web-builds:begin -->\n([^]*?)<!-- web-builds:end -->/.exec(page);
  const cells = table
    .trim()
    .split("\n")
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return new Map(cells.map(([first, ...others]) => [first, others]));
}

test("the table of runtimes has a column for the build of onnxruntime-web that transformers.js imports", async () => {
  const table = await documented();
  assert.deepEqual([...table.keys()], Object.keys(rows));
  const builds = ["ort.wasm.min.mjs", "ort.webgpu.min.mjs"];
  for (const [row, [parts, recipes]] of Object.entries(rows)) {
    for (const recipe of recipes) {
      const { report, bytes } = await shrink(model(parts), recipe);
      assert.notEqual(report.tensors[0].to, "float32", JSON.stringify(recipe));
      const file = await bytes();
      for (const [i, build] of builds.entries()) {
        const found = (await loads(build, file)) ? "loads" : "refused";
        assert.equal(found, table.get(row)[i], `${row}, ${JSON.stringify(recipe)}, ${build}`);
      }
    }
  }
});
