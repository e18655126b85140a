// The demo page's slider, addresses, chart, code and tables, and what axe finds in each state.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { plan, shrink } from "modelshrink";
import { serve } from "../support/chromium.mjs";
import {
  allSizes,
  chosen,
  ocrModel,
  open,
  root,
  shrinkInPage,
  startDemo,
  status,
  stopDemo,
  visit,
} from "../support/demo.mjs";
import { weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

before(startDemo);
after(stopDemo);

const run = promisify(execFile);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function assertClean(page, state) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((it) => it.html).join(" ")}`);
  assert.deepEqual(found, [], state);
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in any state, ${colorScheme}`, async (t) => {
    const page = await visit(t, { colorScheme });
    await assertClean(page, "start");
    await open(page, chosen({ "a.onnx": "x" }));
    await page.getByRole("alert").waitFor();
    await assertClean(page, "error");
    await open(page, ocrModel);
    await allSizes(page);
    await assertClean(page, "planned");
    await page.locator("#more > summary").click();
    await assertClean(page, "more");
    await shrinkInPage(page);
    await page.locator(".row-name").first().click();
    await page.locator("#histogram svg").waitFor();
    await assertClean(page, "shrunk");
  });
}

test("the slider goes through the recipes by size, and each size is exact", async (t) => {
  const page = await visit(t, { viewport: { width: 390, height: 844 } });
  await open(page, ocrModel);
  await allSizes(page);
  const slider = page.getByRole("slider");
  assert.equal(await slider.getAttribute("aria-valuetext"), "int8, 2.89 MB, 27 %");
  for (const locator of [page.locator("#after-bytes"), page.locator("#shrink")]) {
    const { y, height } = await locator.boundingBox();
    assert.ok(y >= 0 && y + height <= 844, "in sight without scrolling");
  }
  await slider.focus();
  await page.keyboard.press("Home");
  const text = await slider.getAttribute("aria-valuetext");
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await slider.getAttribute("aria-valuetext"), text);
  await page.keyboard.press("Home");
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.int4.onnx.").waitFor();
  const { outputBytes } = await plan(ocrModel, "int4");
  assert.equal(text, `int4, ${(outputBytes / 1e6).toFixed(2)} MB, 17 %`);
});

test("a model at an address is planned and shrunk", async (t) => {
  const server = await serve(dirname(ocrModel), { "access-control-allow-origin": "*" });
  t.after(() => server.close());
  const page = await visit(t);
  await page.getByText("From a URL").click();
  await page
    .getByLabel("Address of the model’s file")
    .fill(`${server.url}ch_PP-OCRv4_rec_infer.onnx`);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await status(page, "this size is exact");
  assert.equal(await page.locator("#model-name").innerText(), "ch_PP-OCRv4_rec_infer.onnx");
  await page.getByRole("button", { name: "Work out the sizes" }).click();
  await allSizes(page);
  await shrinkInPage(page);
});

test("the code for Node.js and the command make what the page makes", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.locator("#more > summary").click();
  await page.getByLabel("granularity").selectOption("block");
  await page.getByLabel("block size").fill("64");
  await page.locator("#options").getByText("2:4", { exact: true }).click();
  await page.getByText("granularity-block-blockSize-64.onnx").first().waitFor();
  const folder = await mkdtemp(join(root, "build/snippet-"));
  t.after(() => rm(folder, { recursive: true }));
  const model = await readFile(ocrModel);
  await writeFile(join(folder, "ch_PP-OCRv4_rec_infer.onnx"), model);
  const code = await page.locator("#snippet").textContent();
  await writeFile(join(folder, "run.mjs"), code);
  const out = join(folder, /sink: "(.*)"/.exec(code)[1]);
  await run(process.execPath, ["run.mjs"], { cwd: folder });
  const recipe = { weights: "int8", granularity: "block", blockSize: 64 };
  const prune = { method: "n:m", n: 2, m: 4 };
  const expected = await (await shrink(model, { ...recipe, prune })).bytes();
  assert.ok((await readFile(out)).equals(expected));
  await rm(out);
  await page.locator("#snippet-kind").selectOption("command");
  const command = await page.locator("#snippet").textContent();
  const words = command.replaceAll("\\\n", " ").split(/\s+/).slice(2);
  const cli = join(root, "dist/cli.js");
  await run(process.execPath, [cli, ...words], { cwd: folder });
  assert.ok((await readFile(out)).equals(expected));
});

test("10,000 tensors are a table of few rows, which sorts and filters", async (t) => {
  const data = weights(1024, "F32", 1);
  const tensors = Array.from({ length: 10_000 }, (_, i) => ({
    ...{ name: `layer.${i}.weight`, dtype: "F32", shape: [32, 32], data },
  }));
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-rows-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "m.safetensors"), makeSafetensors(tensors));
  const page = await visit(t);
  await open(page, join(folder, "m.safetensors"));
  await status(page, "this size is exact");
  assert.equal(await page.locator("#tensor-table").getAttribute("aria-rowcount"), "10001");
  assert.ok((await page.locator("#tensors tr").count()) < 60);
  await page.getByRole("button", { name: "Tensor", exact: true }).click();
  await page.getByRole("button", { name: "Tensor", exact: true }).click();
  const head = page.locator("#tensor-heads th").first();
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  assert.match(await page.locator("#tensors tr").first().innerText(), /^layer\.9999\.weight/);
  await page.getByLabel("Filter").fill("layer.77.");
  await page.getByText("1 of 10,000").waitFor();
  assert.equal(await page.locator("#tensors tr").count(), 1);
});

test("all recipes are measured, for the chart and its table", async (t) => {
  const page = await visit(t);
  const tensor = { name: "w", dtype: "F32", shape: [64, 64], data: weights(4096, "F32", 2) };
  await open(page, chosen({ "a.safetensors": makeSafetensors([tensor]) }));
  await allSizes(page);
  await page.getByRole("button", { name: "Measure all recipes" }).click();
  await page.getByText("All are measured.").waitFor();
  await page.getByText("The same as a table").click();
  const rows = await page.locator("#chart-rows tr").allInnerTexts();
  const { report } = await shrink(makeSafetensors([tensor]), "int8");
  const int8 = rows.find((row) => row.startsWith("int8"));
  assert.ok(int8.includes(`${report.tensors[0].sqnr.toFixed(1)} dB`), int8);
  assert.ok(rows.every((row) => !row.includes("not measured")));
});
