// Whole GGUF files against llama.cpp's own quantizer, and loaded by it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compare, inspect, plan, restore, shrink } from "modelshrink";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import { cosine, makeGguf, splitGguf, tinyLlama, weights } from "../support/gguf.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const libraries = join(here, "../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");
const run = promisify(execFile);
const fileTypes = { fp32: 0, fp16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, bf16: 32 };

// Of tensors that llama.cpp leaves alone, and of some that it does not.
const oddNames = [
  "blk.0.x_norm.weight",
  "blk.0.ffn_gate_inp.weight",
  "blk.0.ffn_gate_tid2eid.weight",
  "altup_proj.weight",
  "blk.0.laurel_l.weight",
  "per_layer_model_proj.weight",
  "a.position_embd.weight",
  "blk.0.ssm_conv1d.weight",
  "blk.0.ssm_conv1d_q.weight",
  "blk.0.shortconv.conv.weight",
  "blk.0.indexer.k_proj.weight",
  "blk.0.indexer.q_proj.weight",
  "blk.0.time_mix_first.weight",
  "blk.0.time_mix_w0.weight",
  "blk.0.time_mix_w1.weight",
  "blk.0.time_mix_w2.weight",
  "blk.0.time_mix_v0.weight",
  "blk.0.time_mix_v1.weight",
  "blk.0.time_mix_v2.weight",
  "blk.0.time_mix_a0.weight",
  "blk.0.time_mix_a1.weight",
  "blk.0.time_mix_a2.weight",
  "blk.0.time_mix_g1.weight",
  "blk.0.time_mix_g2.weight",
  "blk.0.time_mix_decay_w1.weight",
  "blk.0.time_mix_decay_w2.weight",
  "blk.0.time_mix_lerp_fused.weight",
  "blk.0.attn_rel_b.weight",
  "v.sam.pos_embd.weight",
  "v.sam.neck.0.weight",
  "v.sam.net_2.weight",
  "v.blk.0.rel_pos_h.weight",
  "v.patch_embd.weight",
  "v.patch_merger.weight",
  "a.rvq.codebook.weight",
  "mm.a.code_embd.weight",
  "blk.0.a.bias",
  "weight",
  "blk.0.time_mix_key.weight",
  "blk.0.shortconv.in_proj.weight",
  "blk.0.indexer.proj.weight",
  "blk.0.indexer.attn_k.weight",
  "blk.0.ffn_gate_inp_shexp.weight",
  "blk.0.hc_attn_fn.weight",
  "output_hc_fn.weight",
  "blk.0.ssm_a",
  "blk.0.ssm_dt.weight",
];

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-gguf-"));
});
after(() => rm(folder, { recursive: true }));

/** What llama.cpp makes of files, the first of which is opened: all of them, in order of names. */
async function llamaQuantize(files, recipe) {
  const work = await mkdtemp(join(folder, "oracle-"));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(work, name), bytes);
  const names = Object.keys(files);
  const output = await mkdtemp(join(folder, "oracle-"));
  const isSplit = names.length > 1;
  const target = join(output, isSplit ? "m" : "m.gguf");
  const script = join(here, "../oracles/llama_quantize.py");
  const options = [fileTypes[recipe], "1", ...(isSplit ? ["splits"] : [])];
  await run("python3", [script, libraries, join(work, names[0]), target, ...options]);
  return Promise.all((await readdir(output)).sort().map((name) => readFile(join(output, name))));
}

async function outputsOf({ files }) {
  return Promise.all(
    Object.values(files).map(async (file) => Buffer.from(await file.arrayBuffer())),
  );
}

function assertSame(outputs, expected) {
  assert.deepEqual(
    outputs.map((file) => file.length),
    expected.map((file) => file.length),
  );
  outputs.forEach((file, i) => assert.equal(Buffer.compare(file, expected[i]), 0, `file ${i}`));
}

for (const [source, options] of [
  ["F32", {}],
  // The embedding, which is the output matrix too, is most of the model.
  ["F16", { tied: true, layers: 1, words: 800 }],
  ["BF16", {}],
]) {
  const model = makeGguf(tinyLlama({ type: source, ...options }));
  for (const recipe of Object.keys(fileTypes).slice(1)) {
    const isFloat = recipe === "fp16" || recipe === "bf16";
    // llama.cpp also narrows between the halves; there modelshrink leaves equal sizes alone.
    if (isFloat && source !== "F32") continue;
    test(`${source} → ${recipe}: the whole file is llama.cpp's`, async () => {
      const small = await shrink(model, recipe);
      assertSame(await outputsOf(small), await llamaQuantize({ "m.gguf": model }, recipe));
    });
  }
}

test("names, ranks and versions are treated as llama.cpp does", async () => {
  const { keys, tensors } = tinyLlama({ layers: 1, tied: true });
  const add = (name, dims) =>
    tensors.push({
      name,
      dims,
      type: "F32",
      data: weights(
        dims.reduce((a, b) => a * b),
        "F32",
        tensors.length,
      ),
    });
  for (const name of oddNames) add(name, [32, 4]);
  add("blk.0.ffn_gate_exps.weight", [64, 3, 5]);
  add("per_layer_token_embd.weight", [64, 8]);
  add("blk.10.a.weight", [32, 2]);
  add("blk.9.a.weight", [32, 2]);
  add("blk.0.vector.weight", [64, 1, 1]);
  add("blk.0.one.weight", [1, 64]);
  const more = [
    ["split.other", "string", "kept"],
    ["general.quantization_version", "uint32", 1],
    ["texts", "array", ["string", ["a", ""]]],
    ["none", "array", ["int64", []]],
    ["doubles", "array", ["float64", [1.5, -2]]],
    ["flags", "array", ["bool", [1, 0]]],
    ["one", "uint64", 2n ** 63n],
    ["less", "int8", -1],
  ];
  const model = makeGguf({
    keys: [...keys.slice(0, 3), ...more, ...keys.slice(3)],
    tensors,
    version: 2,
  });
  const expected = await llamaQuantize({ "m.gguf": model }, "Q4_0");
  assertSame(await outputsOf(await shrink(model, { weights: "Q4_0", minElements: 1 })), expected);
});

test("node-llama-cpp computes with shrunken files nearly what it does with float32", async () => {
  const model = tinyLlama({ embedding: 128 });
  const file = makeGguf(model);
  const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
  /** Logarithms of the probabilities of all tokens after some, less that of pure chance. */
  const scores = async (files) => {
    const work = await mkdtemp(join(folder, "load-"));
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(work, name), bytes);
    const loaded = await llama.loadModel({ modelPath: join(work, Object.keys(files)[0]) });
    const context = await loaded.createContext({ contextSize: 64 });
    const last = [270, { generateNext: { probabilities: true } }];
    const results = await context.getSequence().controlledEvaluate([1, 5, 260, last]);
    await loaded.dispose();
    const { probabilities } = results[3].next;
    assert.equal(probabilities.size, 320);
    return Array.from({ length: 320 }, (_, i) => Math.log(320 * probabilities.get(i)));
  };
  const expected = await scores({ "m.gguf": file });
  for (const [recipe, least] of [
    ["Q8_0", 0.999],
    ["Q5_1", 0.99],
    ["Q4_0", 0.95],
    ["bf16", 0.9999],
  ]) {
    const small = await (await shrink(file, recipe)).bytes();
    const likeness = cosine(await scores({ "m.gguf": small }), expected);
    assert.ok(likeness > least, `${recipe}: cosine ${likeness}`);
  }
  const { files } = await shrink(splitGguf(model, [3, model.tensors.length - 3]), "Q8_0");
  const parts = await outputsOf({ files });
  const whole = await (await shrink(file, "Q8_0")).bytes();
  const splits = Object.fromEntries(Object.keys(files).map((name, i) => [name, parts[i]]));
  assert.deepEqual(await scores(splits), await scores({ "m.gguf": whole }));
  await llama.dispose();
});

test("a quantized model is requantized as by llama.cpp", async () => {
  const small = await (await shrink(makeGguf(tinyLlama()), "Q8_0")).bytes();
  const expected = await llamaQuantize({ "m.gguf": small }, "Q5_1");
  assertSame(await outputsOf(await shrink(small, { weights: "Q5_1", requantize: true })), expected);
  assertSame(
    await outputsOf(await restore(small)),
    await llamaQuantize({ "m.gguf": small }, "fp32"),
  );
});

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

for (const sizes of [
  [5, 7],
  [0, 1, 11],
]) {
  test(`splits of ${sizes} tensors stay splits, as llama.cpp's do`, async () => {
    const model = tinyLlama({ layers: 1 });
    assert.equal(model.tensors.length, 12);
    const files = splitGguf(model, sizes);
    const result = await shrink(files, "Q4_1");
    assert.deepEqual(Object.keys(result.files), Object.keys(files));
    assertSame(await outputsOf(result), await llamaQuantize(files, "Q4_1"));
  });
}

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
