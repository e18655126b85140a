// The demo page's slider, addresses, chart, code and tables, and what axe finds in each state.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { pack, plan, readTensor, shrink } from "modelshrink";
import { serve } from "../support/chromium.mjs";
import {
  allSizes,
  browser,
  choose,
  chosen,
  ocrModel,
  open,
  root,
  shoot,
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

test("the slider goes through the recipes by packed size, and each file's size is exact", async (t) => {
  const page = await visit(t, { viewport: { width: 390, height: 844 } });
  await open(page, ocrModel);
  await allSizes(page);
  const slider = page.getByRole("slider");
  const valueText = () => slider.getAttribute("aria-valuetext");
  assert.match(await valueText(), /^int8, 2\.89 MB, 27 %, packed ≈ 2\.\d MB$/);
  for (const locator of [page.locator("#after-bytes"), page.locator("#shrink")]) {
    const { y, height } = await locator.boundingBox();
    assert.ok(y >= 0 && y + height <= 844, "in sight without scrolling");
  }
  await slider.focus();
  await page.keyboard.press("Home");
  assert.match(await valueText(), /^int16, /);
  const packed = [];
  for (const tick of await page.locator("#slide-sizes li").all()) {
    const text = await valueText();
    const { outputBytes, rate } = await plan(ocrModel, text.split(",")[0], { survey: true });
    packed.push(rate.packedBytes);
    assert.ok(text.includes(`, ${(outputBytes / 1e6).toFixed(2)} MB, `), text);
    const about = Number(/packed ≈ ([\d.]+) MB$/.exec(text)[1]);
    assert.ok(Math.abs(about - rate.packedBytes / 1e6) <= 0.0501, `${text}: ${rate.packedBytes}`);
    assert.match(await tick.textContent(), new RegExp(`≈ ${about} MB$`));
    await page.keyboard.press("ArrowRight");
  }
  assert.deepEqual(
    packed,
    packed.toSorted((a, b) => b - a),
  );
});

test("the slider ends in the smallest packed file, and a trial says how that works", async (t) => {
  const page = await visit(t);
  await page.getByRole("button", { name: "Text recognition" }).click();
  await allSizes(page);
  await page.getByRole("slider").focus();
  await page.keyboard.press("End");
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.small.onnx.").waitFor();
  assert.match(await page.locator("#packed-bytes").innerText(), /^≈ 1\.\d MB · 13 %$/);
  await shrinkInPage(page);
  const verdict = page.locator("#verdict[data-level=good]");
  await verdict.filter({ hasText: /^Reads as before/ }).waitFor();
  const { files, report } = await shrink(ocrModel, "small");
  const { outputBytes } = (await pack(files)).report;
  const size = `${(outputBytes / 1e6).toFixed(2)} MB`;
  const share = ((100 * outputBytes) / report.inputBytes).toFixed(1);
  await page.locator("#packed-bytes").filter({ hasText: size }).waitFor();
  assert.equal(await page.locator("#packed-bytes").innerText(), `${size} · ${share} %`);
  await shoot(page, "smallest");
  await page.getByRole("slider").focus();
  await page.keyboard.press("Home");
  assert.equal(await page.locator("#verdict").isVisible(), false, "nobody has tried this one");
  await page.keyboard.press("End");
  await verdict.waitFor();
  assert.deepEqual(
    await page.locator("#slide-sizes li[data-level=good]").allInnerTexts(),
    await page.locator("#slide-sizes li").last().allInnerTexts(),
  );
});

test("the table of recipes says which one is chosen, however that is done", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.getByText("The same as a table").click();
  const current = page.locator("#chart-rows tr[aria-current=true] th");
  assert.deepEqual(await current.allInnerTexts(), ["int8"]);
  await page.getByRole("slider").focus();
  await page.keyboard.press("Home");
  assert.deepEqual(await current.allInnerTexts(), ["int16"]);
  await choose(page, "fp16");
  assert.deepEqual(await current.allInnerTexts(), ["fp16"]);
  await page.locator("#slide-sizes li").filter({ hasText: "q4" }).first().click();
  assert.deepEqual(await current.allInnerTexts(), ["q4"]);
  await shrinkInPage(page);
  assert.deepEqual(await current.allInnerTexts(), ["q4"]);
});

test("on a phone an error and the place for an address are in sight", async (t) => {
  const page = await visit(t, { viewport: { width: 390, height: 844 } });
  const isInSight = (locator) =>
    locator.evaluate((it) => {
      const { left, top, right, bottom } = it.getBoundingClientRect();
      return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    });
  await open(page, chosen({ "a.onnx": "x" }));
  await page.getByRole("alert").waitFor();
  assert.ok(await isInSight(page.getByRole("alert")));
  const summary = page.getByText("From a URL");
  await summary.focus();
  await page.keyboard.press("Enter");
  const address = page.getByLabel("Address of the model’s file");
  await page.waitForFunction(() => document.activeElement?.id === "address");
  for (const it of [address, page.locator("#address-form")]) assert.ok(await isInSight(it));
  await page.keyboard.press("Escape");
  assert.equal(await address.isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "From a URL");
});

test("the weights after a second recipe are those of that recipe", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await shrinkInPage(page);
  await page.locator(".row-name").first().click();
  await page.locator("#histogram .key-after").waitFor();
  const first = await page.locator("#histogram .key-after").innerText();
  await page.locator('input[name="preset"][value="int4"]').evaluate((it) => it.click());
  await status(page, "this size is exact");
  await shrinkInPage(page);
  await page
    .locator("#histogram .key-after")
    .filter({ hasNotText: first })
    .waitFor({ timeout: 20_000 });
});

test("a model at an address is planned and shrunk", async (t) => {
  const server = await serve(dirname(ocrModel), { "access-control-allow-origin": "*" });
  t.after(() => server.close());
  const page = await visit(t, { hosts: [server.url] });
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
  const verdict = page.locator(".trial-verdict");
  assert.match(await verdict.innerText(), /the original model is downloaded whole for it/);
  const whole = page.waitForRequest((request) => !("range" in request.headers()));
  await page.getByRole("button", { name: "Download the original and try it" }).click();
  assert.equal((await whole).url(), `${server.url}ch_PP-OCRv4_rec_infer.onnx`);
  await page.getByRole("button", { name: "Try it again" }).waitFor({ timeout: 120_000 });
  assert.match(await verdict.innerText(), /: cosine \d\.\d{5} of the output/);
  await page.getByRole("button", { name: "Keep it in this browser" }).click();
  const kept = page.locator("#cached").getByRole("listitem");
  await kept.filter({ hasText: "ch_PP-OCRv4_rec_infer.onnx" }).waitFor({ timeout: 120_000 });
});

test("an option that is off goes into a recipe file, which the command takes", async (t) => {
  const page = await visit(t);
  const tensor = { name: "w", dtype: "F32", shape: [64, 64], data: weights(4096, "F32", 2) };
  const model = makeSafetensors([tensor]);
  await open(page, chosen({ "a.safetensors": model }));
  await allSizes(page);
  await page.locator("#more > summary").click();
  await page.locator('input[name="preset"][value="int8"]').evaluate((it) => it.click());
  await page.getByLabel("symmetric").selectOption("false");
  await page.getByText("no-symmetric.safetensors").first().waitFor();
  await page.locator("#snippet-kind").selectOption("command");
  const command = await page.locator("#snippet").textContent();
  const folder = await mkdtemp(join(root, "build/command-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "a.safetensors"), model);
  const npx = `npx() { shift; "${process.execPath}" "${join(root, "dist/cli.js")}" "$@"; }`;
  await run("bash", ["-ec", `${npx}\n${command}`], { cwd: folder });
  const out = / -o (\S+)/.exec(command)[1];
  const expected = await (await shrink(model, { weights: "int8", symmetric: false })).bytes();
  assert.ok((await readFile(join(folder, out))).equals(expected));
});

test("the code is copied, and that for a page shrinks and keeps the model in a browser", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-page-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(join(root, "dist"), join(folder, "dist"), { recursive: true });
  const model = await readFile(ocrModel);
  await writeFile(join(folder, "ch_PP-OCRv4_rec_infer.onnx"), model);
  await writeFile(join(folder, "index.html"), "<!doctype html><title>A page</title>");
  const server = await serve(folder);
  t.after(() => server.close());
  const home = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  t.after(() => home.close());
  const page = await visit(t, {}, undefined, home);
  await open(page, ocrModel);
  await allSizes(page);
  await page.locator("#snippet-kind").selectOption("page");
  await page.getByRole("button", { name: "Copy" }).click();
  await status(page, "Copied.");
  const code = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(code, await page.locator("#snippet").textContent());
  const own = code.replace('"modelshrink/cache"', '"./dist/cache.web.js"');
  await writeFile(join(folder, "snippet.mjs"), `${own}\nexport { small };\n`);
  const other = await home.newPage();
  await other.goto(server.url);
  const sum = await other.evaluate(async () => {
    const { small } = await import("/snippet.mjs");
    return Array.from(
      new Uint8Array(await crypto.subtle.digest("SHA-256", await small.arrayBuffer())),
    );
  });
  const expected = await (await shrink(model, "int8")).bytes();
  assert.deepEqual(sum, [...createHash("sha256").update(expected).digest()]);
});

test("the arrow keys go from row to row, and the histogram says what the weights are", async (t) => {
  const page = await visit(t);
  const tensors = ["a", "b", "c"].map((name, i) => ({
    ...{ name, dtype: "F32", shape: [64, 64], data: weights(4096, "F32", i + 2) },
  }));
  const model = makeSafetensors(tensors);
  await open(page, chosen({ "m.safetensors": model }));
  await allSizes(page);
  await page.locator('input[name="preset"][value="int8"]').evaluate((it) => it.click());
  await status(page, "this size is exact");
  await shrinkInPage(page);
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  const names = await page.locator(".row-name").allInnerTexts();
  await page.locator(".row-name").first().focus();
  for (const [key, name] of [
    ["ArrowDown", names[1]],
    ["ArrowDown", names[2]],
    ["ArrowUp", names[1]],
  ]) {
    await page.keyboard.press(key);
    await page.waitForFunction((it) => document.activeElement.textContent === it, name);
    assert.equal(await focused(), name);
  }
  await page.keyboard.press("Enter");
  await page.locator("#histogram svg").waitFor();
  const { files } = await shrink(model, "int8");
  const text = await page.locator("#histogram").innerText();
  for (const [when, source] of Object.entries({ Before: model, After: files })) {
    const { values } = await readTensor(source, names[1]);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const deviation = Math.sqrt(
      values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length,
    );
    const zeros = (100 * values.filter((x) => x === 0).length) / values.length;
    const [min, max, spread, share] = [
      values.reduce((a, b) => Math.min(a, b)),
      values.reduce((a, b) => Math.max(a, b)),
      deviation,
      zeros,
    ].map((it) => new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(it));
    const words = `${when}: 4,096 weights from ${min} to ${max}, standard deviation ${spread}, ${share} % zeros.`;
    assert.ok(text.includes(words), `${text}\n${words}`);
  }
});

test("the code for Node.js and the command make what the page makes", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.locator("#more > summary").click();
  await page.getByLabel("granularity").selectOption("block");
  await page.getByLabel("block size").fill("64");
  await page.locator("#options").getByText("2:4", { exact: true }).click();
  // What is planned after the last choice, which the code is of.
  await page.getByText("2of4-granularity-block-blockSize-64.onnx").first().waitFor();
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
  assert.ok(
    rows.every((row) => / dB$/.test(row)),
    rows.join(),
  );
});

test("points of the chart that lie on each other are named when they are pointed at or have the focus, and choose", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.getByRole("button", { name: "Measure all recipes" }).click();
  await page.getByText("All are measured.").waitFor();
  const points = page.locator(".chart-point");
  const rows = page.locator("#chart-rows tr");
  assert.equal(await points.count(), await rows.count());
  const tip = page.locator(".chart-tip");
  assert.equal(await tip.isVisible(), false);
  const dynamic = page.getByRole("button", { name: /^dynamic: 2\.90 MB, \d\d\.\d dB$/ });
  await dynamic.focus();
  assert.match(await tip.innerText(), /^dynamic: [^]*\bint8: 2\.89 MB/);
  await page.locator("#measure").focus();
  assert.equal(await tip.isVisible(), false);
  await page.getByRole("button", { name: /^fp16: / }).hover();
  assert.match(await tip.innerText(), /^fp16: 5\.49 MB, \d\d\.\d dB$/);
  await assertClean(page, "chart");
  await shoot(page, "chart");
  await dynamic.focus();
  await page.keyboard.press("Enter");
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.dynamic.onnx.").waitFor();
  assert.match(await page.getByRole("slider").getAttribute("aria-valuetext"), /^dynamic, /);
});

test("measuring can be stopped; what was measured goes with the options and the mode", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.getByRole("button", { name: "Measure all recipes" }).click();
  await page
    .locator("#measure-status")
    .filter({ hasText: /^[1-9]/ })
    .waitFor();
  await page.getByRole("button", { name: "Stop measuring" }).click();
  await status(page, "Stopped.");
  await page.getByText("The same as a table").click();
  const measured = () => page.locator("#chart-rows tr").filter({ hasText: " dB" }).count();
  const all = await page.locator("#chart-rows tr").count();
  assert.ok((await measured()) > 0 && (await measured()) < all);
  await page.locator("#more > summary").click();
  await page.locator("#options").getByText("lowmem", { exact: true }).click();
  assert.equal(await measured(), 0);
  await page.getByRole("button", { name: "Measure all recipes" }).waitFor();
});

test("the table's shapes, types and bytes are there whole", async (t) => {
  const page = await visit(t, { viewport: { width: 1280, height: 900 } });
  await open(page, ocrModel);
  await status(page, "this size is exact");
  const cells = page.locator("#tensors td");
  assert.ok((await cells.count()) > 0);
  const cut = await cells.evaluateAll((all) =>
    all.filter((it) => it.scrollWidth > it.clientWidth).map((it) => it.textContent),
  );
  assert.deepEqual(cut, []);
});
