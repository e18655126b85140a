// The demo page as a visitor uses it: files and folders that come and go.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unzipSync } from "fflate";
import { restore } from "modelshrink";
import {
  ocrModel,
  visit,
  status,
  open,
  shoot,
  download,
  browser,
  site,
  startDemo,
  stopDemo,
  chosen,
  shrunk,
  assertSame,
  shrinkInPage,
  choose,
  allSizes,
  withoutDialogs,
} from "../support/demo.mjs";
import { ggufSplits, onnxWithData, safetensorsShards } from "../support/file-sets.mjs";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

before(startDemo);
after(stopDemo);

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

test("a zip file goes straight into the file that is picked", async (t) => {
  const page = await visit(t);
  const files = ggufSplits();
  await page.evaluate(async () => {
    const home = await navigator.storage.getDirectory();
    const picked = await home.getFileHandle("picked.zip", { create: true });
    const closed = new DOMException("It was closed.", "AbortError");
    const answers = [() => Promise.reject(closed), () => Promise.resolve(picked)];
    window.showSaveFilePicker = ({ suggestedName }) => {
      window.suggestedName = suggestedName;
      return answers.shift()();
    };
  });
  await open(page, chosen(files));
  await status(page, "this size is exact");
  await shrinkInPage(page);
  const save = page.getByRole("button", { name: "Download zip" });
  await save.click();
  await status(page, "Nothing is saved.");
  await save.click();
  await status(page, "m.Q8_0.zip is made.");
  assert.equal(await page.evaluate(() => window.suggestedName), "m.Q8_0.zip");
  const bytes = await page.evaluate(async () => {
    const home = await navigator.storage.getDirectory();
    const file = await (await home.getFileHandle("picked.zip")).getFile();
    return Array.from(new Uint8Array(await file.arrayBuffer()));
  });
  assertSame(unzipSync(Uint8Array.from(bytes)), await shrunk(files, "Q8_0"));
});

const quantizedModels = {
  "safetensors int8": [
    "a.safetensors",
    makeSafetensors([{ name: "w", dtype: "F32", shape: [64, 64], data: weights(4096, "F32", 1) }]),
    "int8",
  ],
  "GGUF Q4_0": ["a.gguf", makeGguf(tinyLlama({})), "Q4_0"],
};
for (const [title, [name, model, recipe]] of Object.entries(quantizedModels)) {
  test(`${title}: the floats of a quantized model are restored`, async (t) => {
    const small = Object.values(await shrunk({ [name]: model }, recipe))[0];
    const page = await visit(t);
    await open(page, chosen({ [name]: small }));
    await allSizes(page);
    await page.getByRole("button", { name: "Restore floats" }).click();
    await status(page, "Done in");
    const { bytes } = await download(page);
    const { files } = await restore({ [name]: small });
    const [expected] = Object.values(files);
    assert.ok(bytes.equals(Buffer.from(await expected.arrayBuffer())));
  });
}

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

test("a recipe that changes nothing is not offered, and it says why", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  assert.doesNotMatch(await page.locator("#slide-sizes").textContent(), /bf16|fp8/);
  await page.locator("#more > summary").click();
  const chips = page.locator("#recipes label", { has: page.locator(":disabled") });
  assert.deepEqual(await chips.locator("span").allInnerTexts(), ["bf16", "fp8"]);
  assert.match(
    await page.locator("#refused").innerText(),
    /bf16: No weight is changed \(41 × bfloat16 needs opset 13, the model has 9\)/,
  );
  await shoot(page, "nothing-changes");
});

test("options that leave nothing to change say so, and Shrink waits", async (t) => {
  const page = await visit(t);
  await open(page, ocrModel);
  await allSizes(page);
  await page.locator("#more > summary").click();
  await page.getByLabel("min elements").fill("100000000");
  await page.getByLabel("min elements").press("Tab");
  await status(page, "Nothing changes");
  const notes = page.getByRole("group", { name: "Notes" });
  assert.match(await notes.innerText(), /^Nothing changes with this recipe\.\n.{20}/);
  assert.equal(await page.locator("#tensors").innerText(), "No tensor changes.");
  assert.ok(await page.getByRole("button", { name: "Shrink", exact: true }).isDisabled());
  await page.getByText("No recipe makes this model smaller").waitFor();
});

test("says why most of a model stays, and when it is hardly smaller", async (t) => {
  const page = await visit(t);
  const notes = page.getByRole("group", { name: "Notes" });
  const half = { name: "half", dtype: "BF16", shape: [64, 64], data: weights(4096, "BF16", 1) };
  const wide = { name: "wide", dtype: "F32", shape: [32, 32], data: weights(1024, "F32", 2) };
  await open(page, chosen({ "a.safetensors": makeSafetensors([half]) }));
  await status(page, "this size is exact");
  assert.equal(await page.locator("#recipes :checked").inputValue(), "int8");
  await choose(page, "fp16");
  await status(page, "hardly smaller");
  await open(page, chosen({ "a.safetensors": makeSafetensors([half, wide]) }));
  await status(page, "this size is exact");
  await choose(page, "bf16");
  await status(page, "Most of the model stays");
  assert.match(await notes.innerText(), /already bfloat16: 1 tensor, 8\.\d+ kB/);
});

/** Files in the outputs' folders on the browser's disk. */
const onDisk = (page) =>
  page.evaluate(async () => {
    const found = [];
    const walk = async (folder, path) => {
      for await (const [name, handle] of folder) {
        // The page may remove a folder meanwhile.
        const unlessRemoved = (error) => {
          if (error.name !== "NotFoundError") throw error;
        };
        if (handle.kind === "directory") await walk(handle, `${path}/${name}`).catch(unlessRemoved);
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
      globalThis.postMessage = (m) => post(m.result?.tensors && ++globalThis.plans === 2
        ? { kind: "failed", id: m.id, message: "no room" } : m);
      globalThis.plans = 0;`;
    await route.fulfill({ response, body: `${failing}\n${await response.text()}` });
  });
  await page.reload();
  await open(page, ocrModel);
  await status(page, "this size is exact");
  await choose(page, "fp16");
  await page.getByRole("alert").filter({ hasText: "no room" }).waitFor();
  assert.equal(await page.locator("#bars").isVisible(), false);
  assert.equal(await page.locator("#tensors tr").count(), 0);
  await choose(page, "int4");
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
  await choose(page, "Q4_0");
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
  await withoutDialogs(page);
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
