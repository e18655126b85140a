// shrink with a layout: repositories in, folders that transformers.js loads out. tests/hosts/layout.test.mjs loads them.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ArgumentError, FormatError, plan, shrink, UnsupportedError } from "modelshrink";
import ort from "onnxruntime-node";
import {
  contents,
  json,
  layoutFolder,
  small,
  suffixes,
  text,
  transformers,
} from "../support/layouts.mjs";
import { externalModel } from "../support/onnx.mjs";
import { externalSentenceModel } from "../support/sentence-model.mjs";
import { seq2seqModel } from "../support/seq2seq-model.mjs";

const { at, refused, save } = layoutFolder();

test("a model whose data file is missing is refused, and nothing is written", async () => {
  const { "model.onnx": main } = externalModel("weights.bin");
  const repository = { "config.json": Buffer.from("{}"), "onnx/model.onnx": main };
  const options = { layout: "transformers", dtypes: ["int8"] };
  const written = [];
  const sink = (name) => written.push(name);
  for (const run of [
    () => shrink(repository, {}, { ...options, sink }),
    () => plan(repository, {}, options),
  ]) {
    await assert.rejects(run(), {
      code: "unsupported",
      message: /"w" cannot be read: its values are in "weights\.bin", which is not there/,
    });
  }
  assert.deepEqual(written, [], "it is found before the first sink is asked for");
});

test("plan tells what shrink writes, file for file, and reads no weight", async () => {
  const options = { layout: "transformers", dtypes: ["q8", "fp16"] };
  const repository = externalSentenceModel();
  const planned = await plan(repository, { minElements: 64 }, options);
  const { report } = await shrink(repository, { minElements: 64 }, options);
  const withoutFates = ({ models, ...rest }) => ({
    ...rest,
    models: models.map(({ input, dtype, files }) => ({ input, dtype, files })),
  });
  assert.deepEqual(withoutFates(planned), withoutFates(report));
  assert.ok(planned.models.every(({ plan: { tensors } }) => tensors.length > 0));
  await assert.rejects(plan(repository, {}, { ...options, sink: "out" }), ArgumentError);
});

test("every .onnx file of a repository is written in every dtype, and what lies beside is copied", async () => {
  const extra = {
    "vocab.txt": text("a"),
    LICENSE: text("free"),
    "weights.bin": text("no"),
    ".git/x.onnx": text("no"),
  };
  const files = { ...seq2seqModel(), ...extra };
  const out = at("deep/out");
  const { report } = await shrink(await save(files), undefined, { ...transformers, sink: out });
  const copied = Object.keys(files).filter((name) => !/onnx|weights/.test(name));
  const stems = ["decoder_model", "decoder_model_merged", "encoder_model"];
  const models = stems.flatMap((stem) => suffixes.map((it) => `onnx/${stem}${it}.onnx`));
  const found = await contents(out);
  assert.deepEqual(Object.keys(found), [...copied, ...models].sort());
  for (const name of copied) assert.deepEqual(found[name], files[name]);
  for (const name of models) await (await ort.InferenceSession.create(join(out, name))).release();
  assert.deepEqual(
    report.models.flatMap((it) => it.files.map(({ name }) => name)).sort(),
    models.sort(),
  );
  const sizes = models.map((name) => found[name].length);
  assert.equal(
    report.outputBytes,
    sizes.reduce((a, b) => a + b),
  );
  assert.deepEqual(report.copied.toSorted(), copied.sort());
  assert.equal(report.copied.at(-1), "config.json");
  assert.deepEqual(await readdir(at("deep")), ["out"]);
});

test("memory, sinks and folders get the same bytes from a folder and from a record of sources", async () => {
  const folder = await save(small);
  const out = at("out");
  await shrink(folder, undefined, { ...transformers, sink: out });
  const expected = await contents(out);
  const { files } = await shrink(folder, undefined, transformers);
  const memory = await Promise.all(
    Object.entries(files).map(async ([name, it]) => [name, Buffer.from(await it.arrayBuffer())]),
  );
  assert.deepEqual(Object.fromEntries(memory.sort()), expected);
  const sunk = {};
  const order = [];
  const sink = (name, size) => {
    sunk[name] = Buffer.alloc(size);
    order.push(name);
    const write = (offset, bytes) => void sunk[name].set(bytes, offset);
    return { open() {}, write, close() {}, abort() {} };
  };
  await shrink(small, undefined, { ...transformers, sink });
  assert.deepEqual(sunk, { ...expected });
  assert.equal(order.at(-1), "config.json");
});

test("companions in a record are copied as they are, whatever models lie beside them", async () => {
  const repository = {
    ...small,
    "vocab.txt": text("a"),
    "other.gguf": text("GGUF, another model"),
    "other.safetensors": text("and one more"),
  };
  const { files } = await shrink(repository, {}, { ...transformers, dtypes: ["int8"] });
  assert.equal(await files["vocab.txt"].text(), "a");
  const { model_type } = JSON.parse(String(Buffer.from(small["config.json"])));
  assert.equal(JSON.parse(await files["config.json"].text()).model_type, model_type);
});

test("dtypes choose; rules and other words of a recipe hold for all", async () => {
  const words = { rules: [{ match: "words", keep: true }], minElements: 1 };
  const { files, report } = await shrink(small, words, { ...transformers, dtypes: ["q4", "fp16"] });
  const models = Object.keys(files).filter((name) => name.endsWith(".onnx"));
  assert.deepEqual(models, ["onnx/model_q4.onnx", "onnx/model_fp16.onnx"]);
  for (const { report: own } of report.models) {
    const { words: embedding, w1 } = Object.fromEntries(own.tensors.map((it) => [it.name, it.to]));
    assert.equal(embedding, "float32");
    assert.notEqual(w1, "float32");
  }
});

test("models that are there in a number type already are no sources; one at the top goes to onnx/", async () => {
  const { "onnx/model.onnx": model, ...beside } = small;
  const files = { ...beside, "model.onnx": model, "model_q4.onnx": text("not read") };
  const { report, files: written } = await shrink(files, undefined, {
    ...transformers,
    dtypes: ["q4"],
  });
  assert.deepEqual(report.leftOut, ["model_q4.onnx"]);
  assert.ok(Object.hasOwn(written, "onnx/model_q4.onnx"));
});

test("external data has the names that transformers.js looks for, and config.json tells of it", async () => {
  const { "model.onnx": main, "weights.bin": data } = externalModel("weights.bin");
  const config = {
    model_type: "bert",
    "transformers.js_config": {
      use_external_data_format: { model: 2 },
      kv_cache_dtype: { fp16: "float16" },
      dtype: "q4f16",
      device_config: { webgpu: { use_external_data_format: true, dtype: { model: "q8" } } },
    },
  };
  const repository = {
    "config.json": json(config),
    ...{ "onnx/large.onnx": main, "onnx/weights.bin": data },
    "onnx/small.onnx": small["onnx/model.onnx"],
  };
  const out = at("out");
  await shrink(await save(repository), undefined, {
    ...transformers,
    sink: out,
    dtypes: ["fp16", "int8"],
  });
  assert.deepEqual(Object.keys(await contents(out)), [
    "config.json",
    ...["large_fp16.onnx", "large_fp16.onnx_data", "large_int8.onnx", "large_int8.onnx_data"].map(
      (it) => `onnx/${it}`,
    ),
    ...["onnx/small_fp16.onnx", "onnx/small_int8.onnx"],
  ]);
  assert.deepEqual(JSON.parse(await readFile(join(out, "config.json"), "utf8")), {
    model_type: "bert",
    "transformers.js_config": {
      device_config: { webgpu: {} },
      use_external_data_format: { "large_fp16.onnx": 1, "large_int8.onnx": 1 },
    },
  });
  await (await ort.InferenceSession.create(join(out, "onnx/large_int8.onnx"))).release();
});

test("models of one name, one with its data inside and one not, are refused: config.json cannot say which", async () => {
  const external = externalSentenceModel();
  const [model, data] = [external["onnx/model.onnx"], external["onnx/weights.bin"]];
  const sink = () => assert.fail("a file was begun");
  const message = (outside, inside) =>
    new RegExp(`"${outside}" has data in another file, and "${inside}" has not`);
  await refused(
    { ...small, "other/model.onnx": model, "other/weights.bin": data },
    UnsupportedError,
    message("other/model.onnx", "onnx/model.onnx"),
    { sink },
  );
  await refused(
    { ...external, "other/model.onnx": small["onnx/model.onnx"] },
    UnsupportedError,
    message("onnx/model.onnx", "other/model.onnx"),
    { sink },
  );
  const { files } = await shrink(
    { ...external, "other/model.onnx": model, "other/weights.bin": data },
    undefined,
    { ...transformers, dtypes: ["fp16"] },
  );
  assert.deepEqual(JSON.parse(await files["config.json"].text())["transformers.js_config"], {
    use_external_data_format: { "model_fp16.onnx": 1 },
  });
});

test("an output is new: neither in the repository, nor a folder with files, nor a file", async () => {
  const folder = await save(small);
  const full = await save({ "mine.txt": text("mine") }, at("full"));
  await refused(folder, ArgumentError, /lies in/, { sink: join(folder, "onnx/out") });
  await refused(folder, ArgumentError, /lies in/, { sink: folder });
  await refused(folder, ArgumentError, /not empty/, { sink: full });
  await refused(folder, ArgumentError, /no folder/, { sink: join(full, "mine.txt") });
  await symlink(full, at("link"));
  await refused(folder, ArgumentError, /no folder/, { sink: at("link") });
  await symlink(full, at(".out.part"));
  await assert.rejects(
    shrink(folder, undefined, { ...transformers, sink: at("out") }),
    /\.out\.part" is in the way/,
  );
  await mkdir(at("empty"));
  await shrink(folder, undefined, { ...transformers, sink: at("empty"), dtypes: ["q8"] });
  assert.ok((await readdir(at("empty"))).includes("config.json"));
});

test("an aborted or failed run leaves nothing", async () => {
  const folder = await save(small);
  for (let last = 1; last <= 4; last++) {
    const controller = new AbortController();
    let count = 0;
    const onProgress = ({ done, total }) => {
      assert.ok(done <= total);
      if (++count === last) controller.abort(new Error("enough"));
    };
    await refused(folder, Error, /enough/, { signal: controller.signal, onProgress });
  }
  await writeFile(join(folder, "onnx/zz.onnx"), "no model");
  await refused(folder, FormatError, /ONNX/);
});

test("wrong options are errors", async () => {
  for (const [recipe, options, message] of [
    [undefined, { layout: "other" }, /layout is "other"/],
    [undefined, { dtypes: ["q5"] }, /dtypes is "q5"/],
    [undefined, { dtypes: [] }, /dtypes is \[\]/],
    [undefined, { resume: true }, /resume needs a path/],
    [undefined, { guard: { ort } }, /guard needs minCosine or maxDrop/],
    [undefined, { skipIdle: true }, /unknown key "skipIdle"/],
    [{ weights: "int8" }, {}, /decide "weights"/],
    [{ wieghts: "int8" }, {}, /unknown key "wieghts"/],
    ["int8", {}, /must be an object/],
    [undefined, { sink: 5 }, /sink is 5/],
  ]) {
    await assert.rejects(shrink(small, recipe, { ...transformers, ...options }), message);
  }
  await assert.rejects(
    shrink(new Uint8Array(5), undefined, transformers),
    /a repository is a folder's path/,
  );
});

test("a guard holds for each model that is written; a function gives each its own", async () => {
  const source = await save(small);
  const ids = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, 4]);
  const sample = {
    input_ids: ids([1, 2, 3, 4]),
    attention_mask: ids([1, 1, 1, 1]),
    token_type_ids: ids([0, 0, 0, 0]),
  };
  const guard = { ort, inputs: [sample], minCosine: 0.9999 };
  const options = { ...transformers, dtypes: ["fp16", "q4"] };
  const whole = await shrink(source, undefined, options);
  const out = at("out");
  for (const sink of [undefined, out]) {
    const { report } = await shrink(source, undefined, { ...options, sink, guard });
    for (const { guard: outcome } of report.models) {
      assert.ok(outcome.verification.worst.cosine >= 0.9999);
    }
    const [fp16, q4] = report.models;
    assert.deepEqual(fp16.guard.keptTensors, []);
    assert.ok(q4.guard.attempts > 1);
    assert.ok(q4.files[0].bytes > whole.report.models[1].files[0].bytes);
  }
  await (await ort.InferenceSession.create(join(out, "onnx/model_q4.onnx"))).release();
  const seen = [];
  const guardFor = (model) => {
    seen.push(model);
    return model.dtype === "q4" ? guard : undefined;
  };
  const { report } = await shrink(source, undefined, { ...options, guard: guardFor });
  assert.deepEqual(seen, [
    { input: "onnx/model.onnx", dtype: "fp16" },
    { input: "onnx/model.onnx", dtype: "q4" },
  ]);
  assert.deepEqual(
    report.models.map((it) => it.guard !== undefined),
    [false, true],
  );
});
