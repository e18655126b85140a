// Packed files in a page: into its private file system, a Response, a file that it picked, and without a bundler.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { unpack } from "modelshrink/pack";
import { launch } from "../support/chromium.mjs";
import { safetensorsShards } from "../support/file-sets.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";
import { bytesByName, packed } from "../support/packing.mjs";

const model = chainModel([{ name: "w", size: 400 }]);
const several = externalModel();
let browser;
let site;
let tab;

before(async () => {
  site = await serveRoutes({ files: true });
  const policy = (await hostBlock("csp")).trim();
  const headers = { "content-type": "text/html", "content-security-policy": policy };
  site.routes["/strict.html"] = { body: "<!doctype html>", headers };
  site.routes["/m/a.onnx"] = Buffer.from(model);
  for (const [name, bytes] of Object.entries(several))
    site.routes[`/m/${name}`] = Buffer.from(bytes);
  site.routes["/a.mspk"] = Buffer.from(await packed({ "a.onnx": model }));
  site.routes["/several.mspk"] = Buffer.from(await packed(several));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site?.close();
});

/** Runs a function in a new page under the strict policy of docs/hosts.md; gives its result, of which no rule was broken. */
async function inPage(work, argument) {
  tab = await browser.newPage();
  try {
    await tab.goto(`${site.base}/strict.html`);
    await tab.evaluate(() => {
      globalThis.refused = [];
      document.addEventListener("securitypolicyviolation", (event) =>
        globalThis.refused.push(`${event.violatedDirective} ${event.blockedURI}`),
      );
    });
    const result = await tab.evaluate(work, argument);
    assert.deepEqual(await tab.evaluate(() => globalThis.refused), []);
    return result;
  } finally {
    await tab.close();
  }
}

const isEqual = (numbers, bytes) => assert.equal(Buffer.compare(Buffer.from(numbers), bytes), 0);

test("a page packs a model as Node.js does, from each of its doors", async () => {
  for (const door of ["pack", "index"]) {
    const found = await inPage(async (door) => {
      const { pack } = await import(`/dist/${door}.web.js`);
      const bytesOf = async (source) => [...(await (await pack(source)).bytes())];
      const blob = await (await fetch("/m/a.onnx")).blob();
      return {
        one: await bytesOf(new File([blob], "a.onnx")),
        relative: await bytesOf("m/model.onnx"),
      };
    }, door);
    isEqual(found.one, await packed({ "a.onnx": model }));
    isEqual(found.relative, await packed(several));
  }
});

test("unpacking loads the small module alone", async () => {
  site.requests.length = 0;
  const names = await inPage(async () => {
    const { unpack } = await import("/dist/pack.web.js");
    const { files } = await unpack("several.mspk");
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    return { files: Object.keys(files), loaded: loaded.filter((it) => it.endsWith(".wasm")) };
  });
  assert.deepEqual(names.files, Object.keys(several));
  assert.deepEqual(
    names.loaded.map((it) => it.split("/").at(-1)),
    ["pack-simd.wasm"],
  );
});

test("unpacked into the private file system: a handle for one file, a function for several", async () => {
  const found = await inPage(async () => {
    const { unpack } = await import("/dist/pack.web.js");
    const folder = await navigator.storage.getDirectory();
    const read = async (handle) => [
      ...new Uint8Array(await (await handle.getFile()).arrayBuffer()),
    ];
    const create = (name) => folder.getFileHandle(name, { create: true });
    const one = await create("one.onnx");
    const old = await one.createWritable();
    await old.write("x".repeat(2_000_000));
    await old.close();
    await unpack("/a.mspk", { sink: one });
    const byHandle = await read(one);
    await unpack("/a.mspk", { sink: await one.createWritable() });
    const sizes = {};
    const sink = (name, size) => {
      sizes[name] = size;
      return create(name);
    };
    await unpack("/several.mspk", { sink });
    const files = {};
    for (const name of Object.keys(sizes))
      files[name] = await read(await folder.getFileHandle(name));
    return { byHandle, byWritable: await read(one), sizes, files };
  });
  isEqual(found.byHandle, model);
  isEqual(found.byWritable, model);
  const expected = await bytesByName(several);
  assert.deepEqual(Object.keys(found.files), Object.keys(expected));
  for (const [name, bytes] of Object.entries(expected)) {
    assert.equal(found.sizes[name], bytes.length);
    isEqual(found.files[name], bytes);
  }
});

test("packed into a file of the page, which is cut to its size, and unpacked from there", async () => {
  const found = await inPage(async () => {
    const { pack, unpack } = await import("/dist/pack.web.js");
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("small.mspk", { create: true });
    const old = await handle.createWritable();
    await old.write("x".repeat(2_000_000));
    await old.close();
    const { report } = await pack("/m/a.onnx", { sink: handle });
    const bytes = [...new Uint8Array(await (await handle.getFile()).arrayBuffer())];
    const repository = await folder.getDirectoryHandle("repo", { create: true });
    const inner = await repository.getDirectoryHandle("onnx", { create: true });
    for (const [home, name] of [
      [repository, "config.json"],
      [inner, "model.onnx"],
    ]) {
      const file = await (await home.getFileHandle(name, { create: true })).createWritable();
      await file.write(name === "config.json" ? "{}" : await (await fetch("/m/a.onnx")).blob());
      await file.close();
    }
    const ofFolder = await unpack(await (await pack(repository)).bytes());
    return {
      ...{ report, bytes, names: Object.keys(ofFolder.files).sort() },
      back: [...(await (await unpack(handle)).bytes())],
    };
  });
  isEqual(found.bytes, await packed({ "a.onnx": model }));
  assert.equal(found.report.outputBytes, found.bytes.length);
  isEqual(found.back, model);
  assert.deepEqual(found.names, ["config.json", "onnx/model.onnx"]);
});

test("unpacked into a Response as it comes, from a Response", async () => {
  const found = await inPage(async () => {
    const { unpack } = await import("/dist/pack.web.js");
    const { readable, writable } = new TransformStream();
    const response = new Response(readable, {
      headers: { "content-type": "application/octet-stream" },
    });
    const unpacked = unpack(await fetch("/a.mspk"), { sink: writable });
    const bytes = [...new Uint8Array(await response.arrayBuffer())];
    return { bytes, report: (await unpacked).report };
  });
  isEqual(found.bytes, model);
  assert.equal(found.report.outputBytes, model.length);
});

test("a damaged file leaves the old one, and ends the Response with an error", async () => {
  const damaged = Buffer.from(site.routes["/a.mspk"]);
  damaged[damaged.length >> 1] ^= 1;
  site.routes["/damaged.mspk"] = damaged;
  const found = await inPage(async () => {
    const { unpack } = await import("/dist/pack.web.js");
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("kept.onnx", { create: true });
    const old = await handle.createWritable();
    await old.write("old");
    await old.close();
    const toFile = await unpack("/damaged.mspk", { sink: handle }).catch(({ name }) => name);
    const { readable, writable } = new TransformStream();
    const body = new Response(readable).arrayBuffer().catch(({ name }) => name);
    const toStream = await unpack("/damaged.mspk", { sink: writable }).catch(({ name }) => name);
    const content = await (await handle.getFile()).text();
    return { toFile, toStream, body: await body, content };
  });
  assert.deepEqual(found, {
    toFile: "IntegrityError",
    toStream: "IntegrityError",
    // Chromium's word for a body whose stream has failed.
    body: "TypeError",
    content: "old",
  });
});

test("init({ wasm }) takes the module from elsewhere, also one that is compiled already", async () => {
  const found = await inPage(async () => {
    const { init, unpack } = await import("/dist/pack.web.js");
    const wasm = await WebAssembly.compileStreaming(fetch("/dist/wasm/pack-baseline.wasm"));
    const info = await init({ wasm });
    const { files } = await unpack("/several.mspk");
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    return { info, files: Object.keys(files), wasm: loaded.filter((it) => it.endsWith(".wasm")) };
  });
  assert.deepEqual(found.info, { simd: false });
  assert.deepEqual(found.files, Object.keys(several));
  assert.equal(found.wasm.length, 1);
});

test("what a page packs Node.js unpacks", async () => {
  const shards = safetensorsShards();
  const given = Object.entries(shards).map(([name, bytes]) => [name, [...bytes]]);
  const bytes = await inPage(async (given) => {
    const { pack } = await import("/dist/pack.web.js");
    const files = Object.fromEntries(given.map(([name, it]) => [name, Uint8Array.from(it)]));
    return [...(await (await pack(files)).bytes())];
  }, given);
  const { files } = await unpack(Uint8Array.from(bytes));
  assert.deepEqual(await bytesByName(files), await bytesByName(shards));
});
