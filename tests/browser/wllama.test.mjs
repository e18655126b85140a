// Shrunken GGUF files in wllama, which is llama.cpp in a page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { shrink } from "modelshrink";
import { cosine, makeGguf, splitGguf, tinyLlama } from "../support/gguf.mjs";
import { launch, serve } from "../support/chromium.mjs";

let browser;
let site;
before(async () => {
  site = await serve(
    fileURLToPath(new URL("../../node_modules/@wllama/wllama/esm", import.meta.url)),
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** The embedding of a text by a model in one or several files. */
async function embed(files) {
  const page = await browser.newPage();
  await page.route("**/page.html", (route) =>
    route.fulfill({ body: "<!doctype html>", contentType: "text/html" }),
  );
  await page.route("**/model/*", (route) =>
    route.fulfill({
      body: Buffer.from(files[Number(new URL(route.request().url()).pathname.split("/").at(-1))]),
    }),
  );
  await page.goto(`${site.url}page.html`);
  const vector = await page.evaluate(async (count) => {
    const { Wllama } = await import("/index.js");
    const wllama = new Wllama({ default: "/wasm/wllama.wasm" }, { suppressNativeLog: true });
    const blobs = [];
    for (let i = 0; i < count; i++) blobs.push(await (await fetch(`/model/${i}`)).blob());
    await wllama.loadModel(blobs, {
      embeddings: true,
      pooling_type: "LLAMA_POOLING_TYPE_MEAN",
      n_ctx: 64,
      n_threads: 1,
    });
    const { data } = await wllama.createEmbedding({ input: "w1 w2 w3" });
    await wllama.exit();
    return data[0].embedding;
  }, files.length);
  await page.close();
  return vector;
}

const model = tinyLlama({ embedding: 128 });
let original;

for (const [recipe, least] of [
  ["Q8_0", 0.999],
  ["Q4_0", 0.95],
  ["fp16", 0.99999],
]) {
  test(`wllama computes with ${recipe} nearly what it does with float32`, async () => {
    const file = makeGguf(model);
    original ??= await embed([file]);
    const small = await (await shrink(file, recipe)).bytes();
    const vector = await embed([small]);
    const likeness = cosine(vector, original);
    assert.equal(vector.length, 128);
    assert.ok(likeness > least, `cosine ${likeness}`);
  });
}

test("wllama joins shrunken splits to the model that one file gives", async () => {
  const whole = await (await shrink(makeGguf(model), "Q8_0")).bytes();
  const { files } = await shrink(splitGguf(model, [4, model.tensors.length - 4]), "Q8_0");
  const splits = await Promise.all(
    Object.values(files).map(async (file) => new Uint8Array(await file.arrayBuffer())),
  );
  assert.equal(splits.length, 2);
  assert.deepEqual(await embed(splits), await embed([whole]));
});
