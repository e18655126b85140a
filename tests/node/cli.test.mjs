import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { shrink } from "modelshrink";
import { ProgressBar } from "../../dist/cli/progress-bar.js";
import { commandFolder, finish, model } from "./cli.mjs";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { chainModel, wave } from "../support/onnx.mjs";

const { path, files, start, run } = commandFolder();

test("inspect prints a table, or JSON and nothing else", async () => {
  const { code, stdout, stderr } = await run("inspect", "model.onnx");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /first +64×64 +float32 +16\.4 kB +MatMul/);
  const json = JSON.parse((await run("inspect", "model.onnx", "--json")).stdout);
  assert.equal(json.tensors.length, 4);
});

test("plan prints exact sizes and writes nothing", async () => {
  const { code, stdout } = await run("plan", "model.onnx", "--recipe", "fp16");
  assert.equal(code, 0);
  assert.match(stdout, /first +64×64 +float32 → float16/);
  assert.match(stdout, /2 of 4 tensors changed/);
  assert.deepEqual(await files(), ["model.onnx"]);
});

test("shrink writes what the library writes, named after the recipe by default", async () => {
  const { code, stdout, stderr } = await run("shrink", "model.onnx");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /SQNR dB/);
  assert.match(stdout, /Lowest SQNR:/);
  assert.match(stdout, /^Weights differ from the original by at most 0\.\d+ % of their size/m);
  assert.match(stdout, /Written to model\.int8\.onnx/);
  assert.match(stdout, /modelshrink verify model\.onnx model\.int8\.onnx --inputs <samples>/);
  const expected = await (await shrink(model, "int8")).bytes();
  assert.ok(Buffer.from(expected).equals(await readFile(path("model.int8.onnx"))));
  await run("shrink", "model.onnx", "--mode", "dynamic");
  assert.deepEqual(await files(), ["model.int8-dynamic.onnx", "model.int8.onnx", "model.onnx"]);
});

test("shrink -o --json prints the report alone", async () => {
  const { code, stdout } = await run("shrink", "model.onnx", "-o", "small.onnx", "--json");
  assert.equal(code, 0);
  const report = JSON.parse(stdout);
  assert.equal(report.outputBytes, (await stat(path("small.onnx"))).size);
});

test("targets give steps, and a survey shows what is packed", async () => {
  const { stdout } = await run("plan", "model.onnx", "--target-bits", "4", "--survey");
  assert.match(
    stdout,
    /packed: about [\d.]+ kB, [34]\.\d\d bits for each of 8,192 weights, \d+\.\d dB/,
  );
  const { stdout: blind } = await run("plan", "model.onnx", "--target-bits", "4");
  assert.doesNotMatch(blind, /packed/);
  const written = await run("shrink", "model.onnx", "--target-size", "5kB", "--json");
  const { rate } = JSON.parse(written.stdout);
  assert.ok(Math.abs(rate.packedBytes - 5000) < 100, String(rate.packedBytes));
  assert.ok((await files()).includes("model.int8-5kB.onnx"));
});

test("--keep, --rule and a recipe file decide tensor by tensor", async () => {
  const types = async (...args) => {
    const { stdout } = await run("plan", "model.onnx", "--json", ...args);
    const { tensors } = JSON.parse(stdout);
    return ["first", "second"].map((name) => tensors.find((it) => it.name === name).to);
  };
  assert.deepEqual(await types("--recipe", "fp16", "--keep", "f*"), ["float32", "float16"]);
  assert.deepEqual(await types("--recipe", "fp16", "--keep", "second", "--rule", "*=float16"), [
    "float16",
    "float32",
  ]);
  const recipe = { weights: "float16", rules: [{ match: "first", keep: true }] };
  await writeFile(path("recipe.json"), JSON.stringify(recipe));
  assert.deepEqual(await types("--recipe", "recipe.json"), ["float32", "float16"]);
});

test("every plain option of a recipe is an option of the command", async () => {
  for (const [args, recipe] of [
    [["--recipe", "int4", "--block-size", "64"], { weights: "int4", blockSize: 64 }],
    [["--granularity", "tensor"], { weights: "int8", granularity: "tensor" }],
    [["--recipe", "uint8", "--symmetric"], { weights: "uint8", symmetric: true }],
    [["--min-elements", "10000"], { weights: "int8", minElements: 10000 }],
  ]) {
    const { code, stderr } = await run("shrink", "model.onnx", "-o", "small.onnx", ...args);
    assert.deepEqual([code, stderr], [recipe.minElements ? 3 : 0, ""]);
    if (recipe.minElements) continue;
    const expected = await (await shrink(model, recipe)).bytes();
    assert.ok(Buffer.from(expected).equals(await readFile(path("small.onnx"))), args.join(" "));
  }
});

test("compare prints the errors", async () => {
  await run("shrink", "model.onnx", "-o", "small.onnx");
  const { code, stdout } = await run("compare", "model.onnx", "small.onnx");
  assert.equal(code, 0);
  assert.match(stdout, /first .* \d\d\.\d /);
});

test("an address can be shrunk", async () => {
  const server = createServer((_, response) => response.end(model));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { code } = await run("shrink", `http://127.0.0.1:${server.address().port}/remote.onnx`);
  server.close();
  assert.equal(code, 0);
  assert.deepEqual(await files(), ["model.onnx", "remote.int8.onnx"]);
});

test("a folder, an index and splits go where they do not overwrite themselves", async () => {
  await mkdir(path("splits"));
  const { keys, tensors } = tinyLlama({ layers: 1 });
  for (let i = 0; i < 2; i++) {
    const split = [
      ["split.no", "uint16", i],
      ["split.count", "uint16", 2],
      ["split.tensors.count", "int32", tensors.length],
    ];
    const file = makeGguf({
      keys: i === 0 ? [...keys, ...split] : split,
      tensors: i === 0 ? tensors.slice(0, 4) : tensors.slice(4),
    });
    await writeFile(path("splits", `m-0000${i + 1}-of-00002.gguf`), file);
  }
  const names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
  const whole = await run("shrink", "splits", "--recipe", "Q8_0", "--workers", "2");
  assert.deepEqual([whole.code, whole.stderr], [0, ""]);
  assert.deepEqual((await readdir(path("splits.Q8_0"))).sort(), names);
  const beside = await run("shrink", "splits/m-00001-of-00002.gguf", "--recipe", "Q4_0");
  assert.deepEqual([beside.code, beside.stderr], [0, ""]);
  assert.deepEqual(
    (await readdir(path("splits"))).sort(),
    [...names, ...names.map((name) => name.replace("m-", "m.Q4_0-"))].sort(),
  );
  const restored = await run("restore", "splits.Q8_0", "-o", "full/");
  assert.equal(restored.code, 0, restored.stderr);
  const { stdout } = await run("inspect", "full", "--json");
  assert.ok(JSON.parse(stdout).tensors.every(({ type }) => type === "float32"));
});

/** A TensorFlow.js layers model without an architecture; its weights are one matrix. */
async function writeTfjs(name, shard) {
  const weights = [{ name: "dense/kernel", shape: [64, 64], dtype: "float32" }];
  const manifest = { weightsManifest: [{ paths: [shard], weights }] };
  await writeFile(path(name), JSON.stringify({ modelTopology: {}, ...manifest }));
  await writeFile(path(shard), Buffer.from(wave(64 * 64).buffer));
}

test("each of two models in a folder gets an output of its own", async () => {
  await mkdir(path("pair"));
  for (const name of ["a", "b"]) {
    await writeTfjs(`pair/${name}.json`, `pair/${name}.bin`);
    const text = await readFile(path("pair", `${name}.json`), "utf8");
    await writeFile(path("pair", `${name}.json`), text.replace("pair/", ""));
    const { code, stderr } = await run("shrink", `pair/${name}.json`, "--recipe", "fp16");
    assert.equal(code, 0, stderr);
  }
  assert.deepEqual((await readdir(path("pair/a.fp16"))).sort(), ["a.bin", "a.json"]);
  assert.deepEqual((await readdir(path("pair/b.fp16"))).sort(), ["b.bin", "b.json"]);
});

test("a folder's output is a folder; what is not copied is named", async () => {
  await mkdir(path("in"));
  await writeFile(path("in", "model.onnx"), model);
  await writeFile(path("in", "config.json"), "{}");
  const { code, stdout } = await run("shrink", "in", "-o", "out");
  assert.equal(code, 0);
  assert.match(stdout, /^Not copied: config\.json$/m);
  assert.deepEqual(await readdir(path("out")), ["model.onnx"]);
});

test("a missing folder of the output is made, and goes again when nothing is written", async () => {
  const values = wave(64 * 64);
  values[5] = NaN;
  await writeFile(path("nan.onnx"), chainModel([{ name: "broken", size: 64, values }]));
  assert.equal((await run("shrink", "nan.onnx", "-o", "new/deep/out.onnx")).code, 1);
  assert.deepEqual(await files(), ["model.onnx", "nan.onnx"]);
  const { code, stdout } = await run("shrink", "model.onnx", "-o", "new/deep/out.onnx");
  assert.equal(code, 0);
  assert.match(stdout, /^Written to new\/deep\/out\.onnx$/m);
  assert.deepEqual(await files("new/deep"), ["out.onnx"]);
  const below = await run("shrink", "model.onnx", "-o", "model.onnx/out.onnx");
  assert.equal(below.code, 1);
  assert.match(below.stderr, /"model\.onnx": a file of that name exists/);
});

test("an output is not named like another format", async () => {
  await writeFile(path("old.gguf"), "old");
  const { code, stderr } = await run("shrink", "model.onnx", "-o", "old.gguf");
  assert.equal(code, 1);
  assert.match(stderr, /"old\.gguf" would be ONNX.*\.onnx/);
  assert.equal(await readFile(path("old.gguf"), "utf8"), "old");
});

test("what is not finite can be written as 0, and is counted", async () => {
  const values = wave(64 * 64);
  values[5] = NaN;
  await writeFile(path("nan.onnx"), chainModel([{ name: "broken", size: 64, values }]));
  const { code, stdout } = await run("shrink", "nan.onnx", "--non-finite", "zero");
  assert.equal(code, 0);
  assert.match(stdout, /broken .* 1 value not finite, written as 0/);
});

test("models without a common tensor cannot be compared", async () => {
  await writeFile(path("other.onnx"), chainModel([{ name: "unrelated", size: 8 }]));
  const { code, stdout, stderr } = await run("compare", "model.onnx", "other.onnx");
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /no tensor in common/);
});

test("--prune, --refit, --sparse and --gptq are the recipe's words", async () => {
  const library = async (recipe) => Buffer.from(await (await shrink(model, recipe)).bytes());
  for (const [args, name, recipe] of [
    [
      ["--prune", "lamp:0.5"],
      "lamp-0.5",
      { method: "magnitude", sparsity: 0.5, allocation: "lamp" },
    ],
    [["--prune", "2:4"], "2-4", { method: "n:m", n: 2, m: 4 }],
    [["--prune", "structured:0.25"], "structured-0.25", { method: "structured", sparsity: 0.25 }],
  ]) {
    const { code, stderr } = await run("shrink", "model.onnx", ...args);
    assert.deepEqual([code, stderr], [0, ""]);
    const written = await readFile(path(`model.${name}.onnx`));
    assert.ok(written.equals(await library({ prune: recipe })), name);
  }
  const both = await run("shrink", "model.onnx", "--prune", "magnitude:0.9", "--sparse");
  assert.match(both.stdout, /float32 sparse, magnitude[^]*WebGPU/);
  const sparse = await readFile(path("model.magnitude-0.9-sparse.onnx"));
  const prune = { method: "magnitude", sparsity: 0.9 };
  assert.ok(sparse.equals(await library({ prune, sparse: true })));
  await writeFile(path("pruned.onnx"), await library({ prune }));
  const { code } = await run("shrink", "pruned.onnx", "--sparse", "-o", "again.onnx");
  assert.equal(code, 0);
  assert.ok(sparse.equals(await readFile(path("again.onnx"))));
});

test("--inputs: what a model is run on, to fit it and to judge it", async () => {
  const samples = Array.from({ length: 80 }, (_, i) => ({
    X: { data: [...wave(64, i * 7)], dims: [1, 64] },
  }));
  await writeFile(path("samples.json"), JSON.stringify(samples));
  const inputs = ["--inputs", "samples.json"];
  const worst = async (name) => {
    const { code, stdout } = await run("verify", "model.onnx", name, ...inputs, "--json");
    assert.equal(code, 0);
    return JSON.parse(stdout).worst;
  };
  const cosines = [];
  for (const more of [[], ["--refit", ...inputs]]) {
    const args = ["--prune", "magnitude:0.5", ...more, "-o", `pruned${more.length}.onnx`];
    assert.equal((await run("shrink", "model.onnx", ...args)).code, 0);
    cosines.push((await worst(`pruned${more.length}.onnx`)).cosine);
  }
  assert.ok(cosines[1] > cosines[0], cosines.join());

  const bound = ["--min-cosine", "0.8", ...inputs];
  const args = ["--prune", "magnitude:0.5", "-o", "guarded.onnx", ...bound];
  const { code, stdout } = await run("shrink", "model.onnx", ...args);
  assert.equal(code, 0);
  assert.match(stdout, /Cosine of "Y" 0\.8\d+ after \d trials; kept as they were: second/);
  assert.ok((await worst("guarded.onnx")).cosine >= 0.8);
  const { guard } = JSON.parse((await run("shrink", "model.onnx", ...args, "--json")).stdout);
  assert.ok(guard.keptTensors.length > 0);
});

test("a guard that spares many tensors names a few of them, and all as JSON", async () => {
  const weights = Array.from({ length: 12 }, (_, i) => ({ name: `w${i}`, size: 64 }));
  await writeFile(path("deep.onnx"), chainModel(weights));
  const sample = { X: { data: [...wave(64, 1)], dims: [1, 64] } };
  await writeFile(path("sample.json"), JSON.stringify(sample));
  const bound = ["--inputs", "sample.json", "--min-cosine", "0.5"];
  const args = ["shrink", "deep.onnx", "--prune", "magnitude:0.5", ...bound];
  const { keptTensors } = JSON.parse((await run(...args, "--json", "-o", "a.onnx")).stdout).guard;
  assert.ok(keptTensors.length > 6, keptTensors.join());
  const { stdout } = await run(...args, "-o", "b.onnx");
  const more = keptTensors.length - 6;
  const shown = keptTensors.slice(0, 6).join(", ");
  assert.ok(
    stdout.includes(`kept as they were: ${shown} and ${more} more (--json has all)`),
    stdout,
  );
});

test("the input is not overwritten, through a link either", async () => {
  await symlink("model.onnx", path("link.onnx"));
  for (const input of ["model.onnx", "link.onnx"]) {
    const { code, stderr } = await run("shrink", input, "-o", "model.onnx");
    assert.equal(code, 1);
    assert.match(stderr, /is a file of the model itself/);
  }
  assert.ok(Buffer.from(model).equals(await readFile(path("model.onnx"))));
});

test("a failure exits with 1, one sentence, and nothing written", async () => {
  const values = wave(64 * 64);
  values[5] = NaN;
  await writeFile(path("nan.onnx"), chainModel([{ name: "broken", size: 64, values }]));
  await writeFile(path("page.onnx"), "<!doctype html><html></html>");
  await writeFile(path("cut.onnx"), model.subarray(0, 1000));
  for (const [name, pattern, errorCode, tensor] of [
    ["missing.onnx", /missing\.onnx": no such file/, "io"],
    ["nan.onnx", /broken/, "argument", "broken"],
    ["page.onnx", /"page\.onnx": /, "format"],
    ["cut.onnx", /"cut\.onnx": .*only \d+ are left/, "format"],
  ]) {
    const { code, stdout, stderr } = await run("shrink", name, "--json");
    assert.match(stderr, /^modelshrink: [^\n]+\n$/);
    assert.match(stderr, pattern);
    const { schemaVersion, error } = JSON.parse(stdout);
    assert.deepEqual([code, schemaVersion], [1, 1], name);
    assert.equal(stderr, `modelshrink: ${error.message}\n`);
    assert.equal(error.code, errorCode);
    assert.equal(error.tensor, tensor);
  }
  assert.deepEqual(await files(), ["cut.onnx", "model.onnx", "nan.onnx", "page.onnx"]);
});

test("a full disk exits with 1 and leaves nothing", async () => {
  const { code, stderr } = await finish(start(["shrink", "model.onnx"], { fault: "full" }));
  assert.equal(code, 1);
  assert.match(stderr, /^modelshrink: Cannot write "model\.int8\.onnx": the disk is full\.\n$/);
  assert.deepEqual(await files(), ["model.onnx"]);
});

test("an interrupt exits with 130; what is done stays for --resume alone", async () => {
  const weights = Array.from({ length: 40 }, (_, i) => ({ name: `w${i}`, size: 64 }));
  await writeFile(path("model.onnx"), chainModel(weights));
  const interrupted = async (...options) => {
    const child = start(["shrink", "model.onnx", ...options], { fault: "slow" });
    const finished = finish(child);
    while ((await files()).length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    const { code, stdout, stderr } = await finished;
    assert.deepEqual([code, stdout], [130, ""]);
    return stderr;
  };
  assert.match(await interrupted(), /interrupted; nothing was written/);
  assert.deepEqual(await files(), ["model.onnx"]);
  assert.match(await interrupted("--resume"), /the same command goes on/);
  const left = [".model.int8.onnx.journal", ".model.int8.onnx.part", "model.onnx"];
  assert.deepEqual(await files(), left);
  assert.equal((await run("shrink", "model.onnx", "--resume")).code, 0);
  assert.deepEqual(await files(), ["model.int8.onnx", "model.onnx"]);
});

test("an interrupt ends the command while its thread works without a pause", async () => {
  const stub = path("node_modules", "onnxruntime-node");
  await mkdir(stub, { recursive: true });
  const busy = "process.stderr.write('busy'); for (;;);";
  const code = `exports.Tensor = class {}; exports.InferenceSession = { create() { ${busy} } };`;
  await writeFile(join(stub, "index.js"), code);
  await writeFile(path("in.json"), JSON.stringify([{ X: { data: [1], dims: [1] } }]));
  const child = start(["verify", "model.onnx", "model.onnx", "--inputs", "in.json"]);
  const finished = once(child, "close");
  await once(child.stderr, "data");
  child.kill("SIGINT");
  const [exitCode, signal] = await finished;
  assert.ok(exitCode === 130 || signal === "SIGINT", `${exitCode} ${signal}`);
});

test("the progress bar is one line, throttled, and only on a terminal", async () => {
  const lines = [];
  const terminal = { isTTY: true, columns: 40, write: (text) => lines.push(text) };
  const bar = new ProgressBar(terminal);
  for (let done = 0; done <= 1000; done++) {
    bar.update({ phase: "write", done, total: 1000, tensor: "a".repeat(200) });
  }
  assert.ok(lines.length >= 1 && lines.length < 20, `${lines.length} lines`);
  assert.ok(lines.every((line) => line.startsWith("\r\u001b[K") && line.length <= 4 + 39));
  bar.clear();
  assert.equal(lines.at(-1), "\r\u001b[K");
  const silent = [];
  const plain = new ProgressBar({ isTTY: false, write: (text) => silent.push(text) });
  plain.update({ phase: "write", done: 1, total: 2 });
  plain.clear();
  assert.deepEqual(silent, []);
});
