// What pages read from and write to: addresses relative to them, streams, their private file system.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect, shrink } from "modelshrink";
import { launch, serve } from "../support/chromium.mjs";
import { chainModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 64 }]);
let browser;
let site;
let tab;

const page = `<!doctype html><script type="importmap">{"imports": {
  "modelshrink": "/dist/index.web.js"
}}</script>`;

before(async () => {
  site = await serve(fileURLToPath(new URL("../../", import.meta.url)));
  browser = await launch();
  tab = await browser.newPage();
  const answer = (body, contentType) => (route) => route.fulfill({ body, contentType });
  await tab.route("**/app/page.html", answer(page, "text/html"));
  await tab.route("**/models/a.onnx", answer(Buffer.from(model), "application/octet-stream"));
  await tab.route("**/app/here.onnx", answer(Buffer.from(model), "application/octet-stream"));
  await tab.goto(`${site.url}app/page.html`);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test("a page reads addresses relative to it, streams and handles as Node.js reads bytes", async () => {
  const found = await tab.evaluate(async () => {
    const { inspect } = await import("modelshrink");
    const bytes = await (await fetch("/models/a.onnx")).arrayBuffer();
    const folder = await (
      await navigator.storage.getDirectory()
    ).getDirectoryHandle("repo", {
      create: true,
    });
    const put = async (home, name, content) => {
      const handle = await home.getFileHandle(name, { create: true });
      const file = await handle.createWritable();
      await file.write(content);
      await file.close();
      return handle;
    };
    await put(folder, "config.json", "{}");
    const onnx = await folder.getDirectoryHandle("onnx", { create: true });
    await put(onnx, "model_quantized.onnx", "");
    const handle = await put(onnx, "model.onnx", bytes);
    const sources = {
      root: "/models/a.onnx",
      relative: "here.onnx",
      up: "../models/a.onnx",
      request: new Request("/models/a.onnx"),
      body: (await fetch("/models/a.onnx")).body,
      handle,
      folder,
    };
    const infos = {};
    for (const [kind, source] of Object.entries(sources)) infos[kind] = await inspect(source);
    return infos;
  });
  const expected = await inspect(model);
  for (const [kind, { files, ...info }] of Object.entries(found)) {
    assert.deepEqual({ ...info, files: expected.files }, expected, kind);
    assert.deepEqual(files.length, 1);
  }
  assert.equal(found.relative.files[0].name, "here.onnx");
  assert.equal(found.folder.files[0].name, "model.onnx");
});

test("a page's file has the output when all is written, and what was there when it fails", async () => {
  const bytes = await tab.evaluate(async () => {
    const { shrink } = await import("modelshrink");
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("out.onnx", { create: true });
    const content = async () => [...new Uint8Array(await (await handle.getFile()).arrayBuffer())];
    await shrink("/models/a.onnx", "int8", { sink: handle });
    const byHandle = await content();
    await shrink("/models/a.onnx", "fp16", { sink: await handle.createWritable() });
    const byWritable = await content();
    const reason = new Error("enough");
    const controller = new AbortController();
    const stopped = await shrink("/models/a.onnx", "int8", {
      sink: handle,
      signal: controller.signal,
      onProgress: ({ phase }) => phase === "write" && controller.abort(reason),
    }).catch((error) => error.message);
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    return { byHandle, byWritable, stopped, after: await content(), names };
  });
  const of = async (recipe) => [...(await (await shrink(model, recipe)).bytes())];
  assert.deepEqual(bytes.byHandle, await of("int8"));
  assert.deepEqual(bytes.byWritable, await of("fp16"));
  assert.equal(bytes.stopped, "enough");
  assert.deepEqual(bytes.after, bytes.byWritable);
  assert.deepEqual(bytes.names.sort(), ["out.onnx", "repo"]);
});

test("a stream between pages' streams takes an output", async () => {
  const found = await tab.evaluate(async () => {
    const { shrink } = await import("modelshrink");
    const { readable, writable } = new TransformStream();
    const stored = new Response(readable).arrayBuffer();
    await shrink("/models/a.onnx", "int8", { sink: writable });
    return [...new Uint8Array(await stored)];
  });
  assert.deepEqual(found, [...(await (await shrink(model, "int8")).bytes())]);
});
