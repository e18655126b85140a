// The demo page's verdicts: the original and the small model run side by side, under a strict policy and without a
// request to anybody else.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { formatBytes, shrink } from "modelshrink";
import { accessibilityProblems } from "../support/axe.mjs";
import {
  chosen,
  download,
  open,
  root,
  shoot,
  startDemo,
  status,
  stopDemo,
  visit,
} from "../support/demo.mjs";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { chainModel, wave } from "../support/onnx.mjs";
import { int64, model, node, weight } from "../support/onnx-graphs.mjs";
import { serveStrictly } from "../support/strict-site.mjs";
import { modelFiles, tfjsModels } from "../support/tfjs-models.mjs";

/** Models run on a machine that does other work, too. */
const patience = 240_000;
let site;

before(async () => {
  await startDemo();
  site = await serveStrictly();
});
after(async () => {
  await site?.close();
  await stopDemo();
});

/** The page under a strict policy. */
const visitStrictly = (t, options) => visit(t, options, site.url);

/** Chooses a radio button of the options, wherever it is. */
const choose = (page, name, value) =>
  page.locator(`input[name="${name}"][value="${value}"]`).evaluate((it) => it.click());

async function shrinkWith(page, preset, zeros) {
  await page.locator('input[name="preset"]').first().waitFor({ state: "attached" });
  if (preset) await choose(page, "preset", preset);
  if (zeros) await choose(page, "prune", zeros);
  await status(page, "exact");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
}

const verdictOf = (page) => page.locator(".trial-verdict");
const levelOf = (page) => verdictOf(page).getAttribute("data-level");

/** The verdict, once there is one. */
async function verdict(page) {
  await page.getByRole("button", { name: /^Try it/ }).waitFor({ timeout: patience });
  return verdictOf(page).innerText();
}

async function tryIt(page) {
  await page.getByRole("button", { name: /^Try it/ }).click();
  return verdict(page);
}

const fileOf = (name, bytes) => chosen({ [name]: bytes });

test("text recognition in int8 reads as before, while the page stays responsive; a trial can be cancelled", async (t) => {
  const page = await visitStrictly(t, { viewport: { width: 1280, height: 900 } });
  await page.getByRole("button", { name: "Text recognition" }).click();
  await shrinkWith(page);
  await page.getByRole("button", { name: "Cancel the trial" }).click();
  assert.equal(await verdictOf(page).innerText(), "Cancelled.");
  await page.evaluate(() => {
    globalThis.longest = 0;
    let last = performance.now();
    globalThis.timer = setInterval(() => {
      globalThis.longest = Math.max(globalThis.longest, performance.now() - last);
      last = performance.now();
    }, 20);
  });
  const begin = Date.now();
  const words = await tryIt(page);
  const whole = Date.now() - begin;
  const longest = await page.evaluate(() => globalThis.longest);
  assert.ok(longest < whole / 2, `the page stood still for ${longest} of ${whole} ms`);
  assert.match(words, /^Reads as before \(error rate 0\.0\d\d, was 0\.0\d\d\)\.$/);
  assert.equal(await levelOf(page), "good");

  const rows = page.locator("#trial tbody tr");
  await page.getByLabel("Text to draw").fill("Other words 42");
  for (const name of ["Original", "Small"]) {
    const row = rows.filter({ hasText: new RegExp(`^${name}`) });
    await row.filter({ hasText: "Other words 42" }).waitFor({ timeout: patience });
    assert.match(await row.innerText(), /\d+\.\d %\s+[\d.]+ m?s/);
  }
  assert.deepEqual(await accessibilityProblems(page, "#trial"), []);
  await shoot(page, "trial-reading");
});

test("text recognition in q4 is ruined, and the letters that were read otherwise are marked", async (t) => {
  const narrow = { viewport: { width: 390, height: 844 }, colorScheme: "dark" };
  const page = await visitStrictly(t, narrow);
  await page.getByRole("button", { name: "Text recognition" }).click();
  await shrinkWith(page, "q4");
  assert.match(await verdict(page), /^Ruined: error rate (0\.9|1\.0)\d\d, was 0\.0\d\d\.$/);
  assert.equal(await levelOf(page), "bad");
  const small = page.locator("#trial tbody tr").filter({ hasText: /^Small/ });
  assert.ok((await small.locator("mark, i").count()) > 0, await small.innerText());
  assert.match(
    await page.locator("#trial details").innerText(),
    /^24 of them are not read as written/,
  );
  assert.deepEqual(await accessibilityProblems(page, "#trial"), []);
  await shoot(page, "trial-ruined");
});

test("voice detection in int8 hears as before; with half of its weights zero it does not", async (t) => {
  const page = await visitStrictly(t, { viewport: { width: 390, height: 844 } });
  await page.getByRole("button", { name: "Voice detection" }).click();
  await shrinkWith(page);
  assert.match(
    await verdict(page),
    /^Hears as before \((99|100)\.\d % of 192 moments decided alike/,
  );
  const lines = page.locator("#trial polyline");
  const heights = await lines.evaluateAll((all) =>
    all.map((line) => line.getAttribute("points").split(" ").length),
  );
  assert.deepEqual(heights, [192, 192]);
  assert.deepEqual(await accessibilityProblems(page, "#trial"), []);
  await shoot(page, "trial-hearing");
  await shrinkWith(page, "int4", "50");
  assert.doesNotMatch(await verdict(page), /as before/);
  assert.notEqual(await levelOf(page), "good");
});

test("any other ONNX model is judged by its worst output on random inputs, on request", async (t) => {
  const page = await visitStrictly(t, {
    viewport: { width: 1280, height: 900 },
    colorScheme: "dark",
  });
  const chain = chainModel([
    { name: "first", size: 64 },
    { name: "second", size: 64, values: wave(4096, 77) },
  ]);
  await open(page, fileOf("chain.onnx", chain));
  await shrinkWith(page);
  assert.match(await verdictOf(page).innerText(), /^Not tried yet/);
  assert.match(
    await tryIt(page),
    /^Answers as before: cosine (0\.999|1\.000)\d\d of the output “Y”\.$/,
  );
  assert.equal(await levelOf(page), "good");
  const text = await page.locator("#trial").innerText();
  assert.match(text, /Run on 4 samples of random numbers \(seed 1\)/);
  assert.match(text, /X: float32 1×64, random from −1 to 1/);
  assert.match(text, /at least 0\.999; check it: at least 0\.98; harmed: less/);
  assert.deepEqual(await accessibilityProblems(page, "#trial"), []);
  await shoot(page, "trial-outputs");
  await choose(page, "prune", "50");
  await shrinkWith(page);
  assert.match(await tryIt(page), /^Harmed: cosine 0\.\d{5} of the output “Y”\.$/);
  assert.equal(await levelOf(page), "bad");
});

test("ids are below the rows of the embedding, and inputs of one's own are taken instead", async (t) => {
  const page = await visitStrictly(t);
  const embedding = model({
    nodes: [node("Gather", ["table", "X"], ["Y"])],
    weights: [weight("table", [100, 64])],
    x: [1, 8],
    y: [1, 8, 64],
    xType: int64,
  });
  await open(page, fileOf("embedding.onnx", embedding));
  await shrinkWith(page);
  assert.match(await tryIt(page), /^Answers as before/);
  assert.match(await page.locator("#trial").innerText(), /X: int64 1×8, random from 0 to 99/);
  const given = page.locator("#trial-samples");
  await page.getByText("Use inputs of your own").click();
  await given.setInputFiles(fileOf("bad.json", Buffer.from("no json")));
  assert.match(await tryIt(page), /^It cannot be tried here: The file with inputs is no JSON/);
  const sample = { X: { data: [1, 2, 3, 4, 5, 6, 7, 99], dims: [1, 8], type: "int64" } };
  await given.setInputFiles(fileOf("mine.json", Buffer.from(JSON.stringify(sample))));
  assert.match(await tryIt(page), /^Answers as before/);
  assert.match(await page.locator("#trial").innerText(), /Run on 1 sample of mine\.json/);
});

test("a model that cannot be run says why", async (t) => {
  const page = await visitStrictly(t);
  const unknown = model({
    nodes: [node("MatMul", ["X", "w"], ["h"]), node("Mystery", ["h"], ["Y"])],
    weights: [weight("w", [64, 64])],
    x: [1, 64],
    y: [1, 64],
  });
  await open(page, fileOf("unknown.onnx", unknown));
  await shrinkWith(page);
  const words = await tryIt(page);
  assert.match(
    words,
    /^It cannot be tried here: onnxruntime cannot load the original model: .*Mystery/,
  );
  assert.equal(await levelOf(page), "none");
});

test("a trial whose runtime did not load works when it is tried again", async (t) => {
  const page = await visitStrictly(t, { expected: /wasm|ArrayBuffer|Aborted/i });
  let isBroken = true;
  await page.route("**/ort-wasm*.wasm", (route) => {
    if (!isBroken) return route.continue();
    return route.fulfill({ contentType: "application/wasm", body: "no module" });
  });
  await page.getByRole("button", { name: "Voice detection" }).click();
  await shrinkWith(page);
  assert.match(await verdict(page), /^It cannot be tried here: /);
  isBroken = false;
  assert.match(await tryIt(page), /^Hears as before/);
});

test("a TensorFlow.js model runs, too", async (t) => {
  const page = await visitStrictly(t);
  const files = await modelFiles(tfjsModels.mobilefacenet.path);
  await open(page, chosen(files));
  await shrinkWith(page, "fp16");
  assert.match(await tryIt(page), /^Answers as before: cosine (0\.999|1\.000)\d\d of the output “/);
  assert.match(await page.locator("#trial").innerText(), /float32 1×112×112×3, random/);
});

for (const how of ["dynamic", "static"]) {
  test(`what onnxruntime has quantized (${how}) gets no control that leads nowhere`, async (t) => {
    const page = await visitStrictly(t, { viewport: { width: 1280, height: 900 } });
    const name = `fashion-cnn.ort-${how}.onnx`;
    const model = await readFile(join(root, "tests/support/fixtures", name));
    await open(page, fileOf(name, model));
    await page.getByText("This model is quantized already: ").waitFor();
    const strip = page.getByRole("button", { name: /^Leave out names: [\d.]+ kB$/ });
    const offered = await strip.innerText();
    const disabled = page.locator("button:visible:disabled, input:visible:disabled");
    assert.deepEqual(await disabled.allInnerTexts(), []);
    assert.equal(await page.locator("#status").innerText(), "");
    for (const name of ["Shrink", "Measure all recipes", "Copy"]) {
      assert.equal(await page.getByRole("button", { name, exact: true }).isVisible(), false, name);
    }
    assert.equal(await page.locator("#more").isVisible(), false);
    assert.deepEqual(await accessibilityProblems(page, "#work"), []);
    await page.getByLabel("only what changes").uncheck();
    assert.ok((await page.locator("#tensors .row-name").count()) > 5);
    await shoot(page, `quantized-${how}`);
    await strip.click();
    await status(page, "Done in");
    assert.equal(await strip.isVisible(), false);
    const { name: file, bytes } = await download(page);
    assert.equal(file, `fashion-cnn.ort-${how}.stripped.onnx`);
    const expected = await shrink(model, { weights: "int8", strip: true });
    assert.ok(bytes.equals(await expected.bytes()));
    assert.ok(offered.includes(`: ${formatBytes(bytes.length)}`), offered);
    assert.match(await tryIt(page), /^Answers as before: cosine 1\.00000 /);
    await page.getByRole("button", { name: "Voice detection" }).click();
    await status(page, "exact");
    assert.ok(await page.getByRole("button", { name: "Shrink", exact: true }).isEnabled());
    assert.equal(await strip.isVisible(), false);
    assert.ok(await page.locator("#more").isVisible());
  });
}

const tooLarge =
  /^It cannot be tried here: both models together have 2\.\d\d GB, and a page can run 1\.20 GB at most\.$/;

/** Has reports of the page's worker say that a model of this size was shrunk. */
const claimSize = (page, inputBytes) =>
  page.route("**/worker*.js", async (route) => {
    const response = await route.fetch();
    const claiming = `const post = globalThis.postMessage;
      globalThis.postMessage = (m) => {
        if (m.result?.report) m.result.report.inputBytes = ${inputBytes};
        post(m);
      };`;
    await route.fulfill({ response, body: `${claiming}\n${await response.text()}` });
  });

test("what is too large to be run is not offered to be, whatever its format", async (t) => {
  const page = await visitStrictly(t);
  await claimSize(page, 2e9);
  await page.reload();
  const models = [
    await modelFiles(tfjsModels.mobilefacenet.path),
    { "chain.onnx": chainModel([{ name: "first", size: 64 }]) },
  ];
  for (const files of models) {
    await open(page, chosen(files));
    await page
      .locator("#model-name")
      .filter({ hasText: Object.keys(files)[0] })
      .waitFor();
    await shrinkWith(page);
    assert.match(await verdictOf(page).innerText(), tooLarge);
    assert.equal(await page.getByRole("button", { name: /try it/i }).isVisible(), false);
  }
});

test("GGUF is judged by its worst tensor, and the page says that it was not run", async (t) => {
  const page = await visitStrictly(t);
  await open(page, fileOf("tiny.gguf", makeGguf(tinyLlama({}))));
  await shrinkWith(page, "Q8_0");
  assert.match(
    await verdictOf(page).innerText(),
    /^Close to the original: SQNR \d\d\.\d dB of the tensor “/,
  );
  assert.match(await page.locator("#trial").innerText(), /The model itself was not run/);
  assert.equal(await page.getByRole("button", { name: /^Try it/ }).isVisible(), false);
  await shrinkWith(page, "Q4_0");
  assert.match(await verdictOf(page).innerText(), /^Check it: SQNR \d\d\.\d dB of the tensor “/);
});
