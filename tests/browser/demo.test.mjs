// The demo page as a visitor uses it, built and from the development server: recipes and results.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { unzipSync, zipSync } from "fflate";
import { inspect, shrink, unpack } from "modelshrink";
import * as vite from "vite";
import {
  allSizes,
  ocrModel,
  configFile,
  visit,
  status,
  open,
  shoot,
  download,
  startDemo,
  stopDemo,
  chosen,
  shrunk,
  assertSame,
  shrinkInPage,
  choose,
} from "../support/demo.mjs";
import {
  ggufSplits,
  onnxWithData,
  safetensorsShards,
  tfjsLayers,
  tfjsShards,
} from "../support/file-sets.mjs";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

before(startDemo);
after(stopDemo);

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
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
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
  await choose(page, "fp16");
  await status(page, "this size is exact");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
  const counted = async () => (await page.locator("#tensor-count").textContent()).split(" of ");
  const [changed, all] = await counted();
  assert.ok(Number(changed) < Number(all));
  const first = await page.locator("#tensors tr").first().innerText();
  assert.match(first, /float32 → float16/);
  assert.match(first, /\d dB/);
  await page.getByLabel("only what changes").uncheck();
  assert.deepEqual(await counted(), [all, all]);
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
    assert.equal(
      await page.getByRole("button", { name: "Shrink", exact: true }).isVisible(),
      false,
    );
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
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await status(page, "Cancelled.");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
});

test("what was shrunk can be downloaded packed", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download packed" }).click();
  const download = await coming;
  assert.match(download.suggestedFilename(), /^ch_PP-OCRv4_rec_infer\.\w+\.onnx\.mspk$/);
  await status(page, "of the small model, losslessly");
  await shoot(page, "packed");
  const packed = await readFile(await download.path());
  const expected = await (await shrink(ocrModel, "int8")).bytes();
  assert.ok(packed.length < 0.84 * expected.length, `${packed.length} of ${expected.length}`);
  assert.deepEqual(new Uint8Array(await (await unpack(packed)).bytes()), expected);
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
  page.locator("#recipes span").evaluateAll((all) => all.map((it) => it.textContent));

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

const onnxRecipes = "int8 small uint8 int16 int4 uint4 fp16 bf16 fp8 dynamic q8 q4";
const sets = [
  {
    make: ggufSplits,
    kind: "GGUF · 2 files",
    recipes: "Q8_0 fp16 bf16 Q5_1 Q5_0 Q4_1 Q4_0",
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
    recipes: "fp16 int8 small uint8 int16 int4 uint4 bf16 fp8",
    suggested: "fp16",
    zip: "model.fp16.zip",
    loads: /Loads in everything that reads safetensors/,
  },
  {
    make: tfjsShards,
    kind: "TensorFlow.js · 3 files",
    recipes: "int8 small int16 fp16",
    suggested: "int8",
    zip: "model.int8.zip",
    loads: /Loads in TensorFlow\.js/,
  },
  {
    make: tfjsLayers,
    kind: "TensorFlow.js · 2 files",
    recipes: "fp16 int8 small int16",
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
    await choose(page, suggested);
    assert.equal(
      await page.getByText("Written as", { exact: true }).isVisible(),
      kind.startsWith("ONNX"),
    );
    const hint = page.locator("#hint");
    assert.match(await hint.innerText(), loads);
    // What presets say of themselves is meant for ONNX.
    for (const name of kind.startsWith("ONNX") ? [] : recipes.split(" ")) {
      await choose(page, name);
      assert.match(await hint.innerText(), new RegExp(`^${name}: .{10}`));
      assert.doesNotMatch(await hint.innerText(), /opset|anywhere|GGUF:/);
    }
    await choose(page, suggested);
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
  await choose(page, "lowmem");
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.int8-lowmem.onnx.").waitFor();
  assert.match(await page.locator("#hint").innerText(), /lowmem: stays packed in memory/);
  await shrinkInPage(page);
  const { bytes } = await download(page);
  const expected = await shrunk(ocrModel, { weights: "int8", mode: "lowmem" });
  assertSame({ "": bytes }, { "": Object.values(expected)[0] });
  await choose(page, "fp16");
  assert.ok(await page.getByLabel("lowmem").isDisabled());
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.fp16.onnx.").waitFor();
});

test("weights become zero as chosen", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await choose(page, "2:4");
  await page.getByText("Out comes ch_PP-OCRv4_rec_infer.int8-2of4.onnx.").waitFor();
  assert.match(await page.locator("#hint").innerText(), /each four weights/);
  await shrinkInPage(page);
  await shoot(page, "pruned");
  const { bytes } = await download(page);
  const expected = await shrunk(ocrModel, {
    ...{ weights: "int8", prune: { method: "n:m", n: 2, m: 4 } },
  });
  assertSame({ "": bytes }, { "": Object.values(expected)[0] });
  await choose(page, "30 %");
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
  await page.locator("#more > summary").click();
  assert.deepEqual(await page.locator("#more-options label").allInnerTexts(), [
    "pack embeddings",
    "granularity",
    "block size",
    "symmetric",
    "trellis",
    "min elements",
    "non finite",
    "overflow",
    "strip",
    "requantize",
  ]);
  await page.getByLabel("granularity").selectOption("block");
  await page.getByLabel("block size").fill("64");
  await page.getByLabel("strip").selectOption("true");
  await page.locator("#outputs", { hasText: "blockSize-64-strip.onnx" }).waitFor();
  await status(page, "this size is exact");
  await shoot(page, "more-options");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
  const recipe = { weights: "int8", granularity: "block", blockSize: 64, strip: true };
  const { name, bytes } = await download(page);
  assert.equal(name, "ch_PP-OCRv4_rec_infer.int8-granularity-block-blockSize-64-strip.onnx");
  assert.ok(
    bytes.equals(await (await shrink(ocrModel, recipe)).bytes()),
    "the same bytes as in Node.js",
  );
});

test("the button stays under the pointer while a number that was typed changes sizes", async (t) => {
  const page = await visit(t);
  const top = () =>
    page.locator("#shrink").evaluate((it) => it.getBoundingClientRect().top + scrollY);
  await open(page, ocrModel);
  await status(page, "this size is exact");
  const before = await top();
  await allSizes(page);
  assert.equal(await top(), before);
  await page.locator("#more > summary").click();
  await page.getByLabel("granularity").selectOption("block");
  await allSizes(page);
  await page.getByLabel("block size").fill("64");
  await page.locator("#shrink").hover();
  await page.mouse.down();
  await page.locator("#outputs", { hasText: "blockSize-64.onnx" }).waitFor();
  assert.equal(await top(), before);
  await page.mouse.up();
  await status(page, "Done in");
  assert.equal(
    (await download(page)).name.split(".").at(-2),
    "int8-granularity-block-blockSize-64",
  );
});

test("a run goes on when a thumb has just moved", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.evaluate(() => {
    const slider = document.querySelector("#size-slider");
    slider.value = slider.max;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    document.querySelector("#shrink").click();
  });
  await status(page, "Done in");
  const name = await page.locator("#slide-name").textContent();
  assert.equal((await download(page)).name, `ch_PP-OCRv4_rec_infer.${name}.onnx`);
});

test("another recipe than the suggested one stays chosen for the next model", async (t) => {
  const page = await visit(t);
  await open(page, chosen(tfjsLayers()));
  await status(page, "this size is exact");
  await choose(page, "int16");
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
