// Whole GGUF files against llama.cpp's own quantizer, and loaded by it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compare, inspect, plan, restore, shrink } from "modelshrink";
import { makeGguf, tinyLlama, weights } from "./gguf.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const libraries = join(here, "../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");
const run = promisify(execFile);
const fileTypes = { fp16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, bf16: 32 };

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-gguf-"));
});
after(() => rm(folder, { recursive: true }));

/** What llama.cpp makes of the file. */
async function llamaQuantize(model, fileType) {
  const [source, target] = ["in.gguf", "out.gguf"].map((name) => join(folder, name));
  await writeFile(source, model);
  const script = join(here, "../oracles/llama_quantize.py");
  await run("python3", [script, libraries, source, target, String(fileType), "1"]);
  return readFile(target);
}

for (const [source, tied] of [
  ["F32", false],
  ["F16", true],
  ["BF16", false],
]) {
  const model = makeGguf(tinyLlama({ type: source, tied }));
  for (const [recipe, fileType] of Object.entries(fileTypes)) {
    const isFloat = recipe === "fp16" || recipe === "bf16";
    // llama.cpp also narrows between the halves; there modelshrink leaves equal sizes alone.
    if (isFloat && source !== "F32") continue;
    test(`${source} → ${recipe}: the whole file is llama.cpp's`, async () => {
      const small = await (await shrink(model, recipe)).bytes();
      const expected = await llamaQuantize(model, fileType);
      assert.equal(small.length, expected.length);
      assert.equal(Buffer.compare(Buffer.from(small), expected), 0);
    });
  }
}

test("the plan is exact, and compare pairs the tensors", async () => {
  const model = makeGguf(tinyLlama());
  const planned = await plan(model, "Q4_0");
  const { report, files } = await shrink(model, "Q4_0");
  assert.equal(Object.values(files)[0].size, planned.outputBytes);
  assert.equal(report.files[0].bytes, planned.outputBytes);
  const small = new Uint8Array(await Object.values(files)[0].arrayBuffer());
  const { tensors } = await compare(model, small);
  for (const { name, sqnr } of tensors.filter(({ to }) => to === "Q4_0")) {
    assert.ok(sqnr > 15 && sqnr < 30, `${name} ${sqnr}`);
  }
});

test("a quantized model is left alone unless it may be requantized; restoring gives floats", async () => {
  const small = await (await shrink(makeGguf(tinyLlama()), "Q8_0")).bytes();
  const kept = await shrink(small, "Q4_0");
  assert.deepEqual(await kept.bytes(), small);
  assert.ok(kept.report.tensors.some(({ note }) => note === "already quantized"));
  const again = await shrink(small, { weights: "Q4_0", requantize: true });
  const info = await inspect(await again.bytes());
  assert.equal(info.tensors.filter(({ type }) => type === "Q4_0").length, 15);
  const restored = await inspect(await (await restore(small)).bytes());
  assert.ok(restored.tensors.every(({ type }) => type === "float32"));
});

test("splits stay splits and quantize as one model", async () => {
  const { keys, tensors } = tinyLlama({ layers: 1 });
  const half = Math.ceil(tensors.length / 2);
  const parts = [tensors.slice(0, half), tensors.slice(half)];
  const files = Object.fromEntries(
    parts.map((part, i) => [
      `m-0000${i + 1}-of-00002.gguf`,
      makeGguf({
        keys: [
          ...(i === 0 ? keys : []),
          ["split.no", "uint16", i],
          ["split.count", "uint16", 2],
          ["split.tensors.count", "int32", tensors.length],
        ],
        tensors: part,
      }),
    ]),
  );
  const result = await shrink(files, "Q8_0");
  assert.deepEqual(Object.keys(result.files), Object.keys(files));
  const whole = await (await shrink(makeGguf({ keys, tensors }), "Q8_0")).bytes();
  const { tensors: compared } = await compare(whole, result.files);
  assert.equal(compared.length, tensors.length);
  for (const { name, sqnr } of compared) assert.equal(sqnr, Infinity, name);
});

test("other types are copied byte for byte", async () => {
  const data = weights(144 / 4, "F32", 3);
  const tensors = [
    { name: "k.weight", dims: [256], type: "Q4_K", data },
    { name: "m.weight", dims: [64, 64], type: "F32", data: weights(4096, "F32", 4) },
  ];
  const small = await (await shrink(makeGguf({ keys: [], tensors }), "int8")).bytes();
  assert.ok(Buffer.from(small).includes(Buffer.from(data)));
  const info = await inspect(small);
  assert.deepEqual(
    info.tensors.map(({ type }) => type),
    ["Q4_K", "Q8_0"],
  );
});
