// What shrink writes with the layout "transformers", loaded by transformers.js on Node.js and in Chromium, on
// WebAssembly and on WebGPU (an adapter in software).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { shrink } from "../../dist/index.js";
import { launchWithWebGpu, serve } from "../support/chromium.mjs";
import { modelPaths } from "../support/models.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { root } from "../support/run.mjs";
import { externalSentenceModel, sentenceModel } from "../support/sentence-model.mjs";
import { seq2seqModel } from "../support/seq2seq-model.mjs";

const modules = "tests/hosts/node_modules";
const web = `/${modules}/onnxruntime-web/dist/`;
const imports = {
  "@huggingface/transformers": `/${modules}/@huggingface/transformers/dist/transformers.web.js`,
  "onnxruntime-web/webgpu": `${web}ort.webgpu.bundle.min.mjs`,
  "onnxruntime-common": `/${modules}/onnxruntime-common/dist/esm/index.js`,
};
const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`;

/** The least cosine with the original's output: weights like noise are harder to round than real ones. */
const least = { fp16: 0.99999, q8: 0.999, int8: 0.999, uint8: 0.999, q4: 0.98 };
const dtypes = Object.keys(least);
const sentence = "small models load faster";
const repositories = {
  sentence: sentenceModel,
  external: externalSentenceModel,
  seq2seq: seq2seqModel,
};

let folder;
let site;
let browser;
let tab;
let transformers;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-layout-"));
  for (const [name, make] of Object.entries(repositories)) {
    for (const [path, content] of Object.entries(make())) {
      const file = join(folder, "whole", name, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    const sink = join(folder, "small", name);
    await shrink(join(folder, "whole", name), undefined, { layout: "transformers", sink });
  }
  transformers = await import("@huggingface/transformers");
  Object.assign(transformers.env, { allowRemoteModels: false, localModelPath: `${folder}/` });
  site = await serve(root);
  browser = await launchWithWebGpu();
  tab = await browser.newPage();
  await tab.route("**/page.html", (route) =>
    route.fulfill({ body: page, contentType: "text/html" }),
  );
  await tab.route("**/models/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    const body = await readFile(join(folder, pathname.slice("/models/".length))).catch(() => {});
    await route.fulfill(body ? { body } : { status: 404 });
  });
  await tab.goto(`${site.url}page.html`);
  await tab.evaluate(
    async ([remoteHost, wasmPaths]) => {
      const { env } = await import("@huggingface/transformers");
      Object.assign(env, {
        ...{ allowLocalModels: false, useBrowserCache: false },
        ...{ remoteHost, remotePathTemplate: "{model}/" },
      });
      Object.assign(env.backends.onnx.wasm, { wasmPaths, numThreads: 1 });
    },
    [`${site.url}models/`, web],
  );
});
after(async () => {
  await browser?.close();
  await site?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The embedding of the sentence, or the generated tokens; runs here and in the page. */
async function run({ pipeline, task, model, dtype, device, sentence }) {
  const pipe = await pipeline(task, model, { dtype, device });
  const isText = task === "feature-extraction";
  try {
    if (isText) return [...(await pipe(sentence, { pooling: "mean" })).data];
    const inputs = pipe.tokenizer(sentence);
    const decoder_input_ids = pipe.tokenizer("load").input_ids;
    const { logits } = await pipe.model({ ...inputs, decoder_input_ids });
    return [...logits.data];
  } finally {
    await pipe.dispose();
  }
}

const onNode = (asked) => run({ ...asked, sentence, pipeline: transformers.pipeline });

const inPage = (asked) =>
  tab.evaluate(
    async ([asked, source]) => {
      const { pipeline } = await import("@huggingface/transformers");
      return (0, eval)(`(${source})`)({ ...asked, pipeline });
    },
    [{ ...asked, sentence }, run.toString()],
  );

function cosine(a, b) {
  assert.equal(a.length, b.length);
  const dot = (x, y) => x.reduce((sum, it, i) => sum + it * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** The output of a repository as it was, by what it is asked. */
const whole = {};

/** Holds the outputs of every dtype against the original's. */
async function check(name, device, ask, asked = dtypes) {
  const task = name === "seq2seq" ? "text2text-generation" : "feature-extraction";
  const model = name === "external" ? "whole/sentence" : `whole/${name}`;
  whole[name] ??= await onNode({ task, model, dtype: "fp32", device: "cpu" });
  for (const dtype of asked) {
    const found = await ask({ task, model: `small/${name}`, dtype, device });
    const near = cosine(found, whole[name]);
    assert.ok(near > least[dtype] && near < 1 - 1e-12, `${name} ${device} ${dtype}: ${near}`);
  }
}

for (const name of Object.keys(repositories)) {
  test(`${name}: transformers.js loads every dtype on Node.js`, () => check(name, "cpu", onNode));
  test(`${name}: transformers.js loads every dtype in Chromium on WebAssembly`, () =>
    check(name, "wasm", inPage));
  test(`${name}: transformers.js loads every dtype in Chromium on WebGPU`, async () => {
    // It refuses fp16 itself where the adapter lacks shader-f16, though these files would not need that.
    const hasHalf = await tab.evaluate(async () =>
      (await navigator.gpu.requestAdapter()).features.has("shader-f16"),
    );
    const asked = hasHalf ? dtypes : dtypes.filter((it) => it !== "fp16");
    await check(name, "webgpu", inPage, asked);
  });
}

test("fp16 loads on WebGPU without shader-f16, as its weights are computed with in float32", async () => {
  const shapes = await tab.evaluate(
    async ([url, wasmPaths]) => {
      const ort = await import("onnxruntime-web/webgpu");
      Object.assign(ort.env.wasm, { wasmPaths, numThreads: 1 });
      const session = await ort.InferenceSession.create(url, { executionProviders: ["webgpu"] });
      const ids = new ort.Tensor("int64", BigInt64Array.of(2n, 4n, 3n), [1, 3]);
      const feeds = Object.fromEntries(session.inputNames.map((name) => [name, ids]));
      const { last_hidden_state: output } = await session.run(feeds);
      return [output.type, output.dims];
    },
    [`${site.url}models/small/sentence/onnx/model_fp16.onnx`, web],
  );
  assert.deepEqual(shapes, ["float32", [1, 3, 64]]);
});

test("real models of other kinds load in every dtype in the build that transformers.js imports, on WebAssembly", async () => {
  const real = { "config.json": Buffer.from("{}") };
  for (const [name, path] of Object.entries(modelPaths)) {
    real[`onnx/${name}.onnx`] = await readFile(path);
  }
  const sink = join(folder, "small/real");
  const { report } = await shrink(real, undefined, { layout: "transformers", sink });
  assert.equal(report.models.length, Object.keys(modelPaths).length * dtypes.length);
  for (const { files } of report.models) {
    assert.equal(files.length, 1);
    const outputs = await tab.evaluate(
      async ([url, wasmPaths]) => {
        const ort = await import("onnxruntime-web/webgpu");
        Object.assign(ort.env.wasm, { wasmPaths, numThreads: 1 });
        const session = await ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
        const { outputNames } = session;
        await session.release();
        return outputNames.length;
      },
      [`${site.url}models/small/real/${files[0].name}`, web],
    );
    assert.ok(outputs > 0);
  }
});

test("the documentation's code loads the folder", async () => {
  const apps = join(root, "tests/hosts/.apps");
  await mkdir(apps, { recursive: true });
  const app = await mkdtemp(join(apps, "layout-"));
  try {
    await mkdir(join(app, "public/models"), { recursive: true });
    await symlink(join(folder, "small/sentence"), join(app, "public/models/small"));
    await writeFile(join(app, "app.mjs"), await hostBlock("transformers-folder"));
    const { stdout } = await promisify(execFile)(process.execPath, ["app.mjs"], { cwd: app });
    assert.match(stdout, /\[ 1, 64 \]/);
  } finally {
    await rm(app, { recursive: true });
  }
});

test("a pipeline generates with the merged decoder of every dtype", async () => {
  for (const dtype of dtypes) {
    const pipe = await transformers.pipeline("text2text-generation", "small/seq2seq", { dtype });
    const [{ generated_text: text }] = await pipe(sentence, { max_new_tokens: 3 });
    assert.equal(typeof text, "string");
    await pipe.dispose();
  }
});
