// How much memory a shrink takes in Chromium: a model on the disk, as a page gets it from an <input>, into a
// file of the page's own.
import { readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { inspect } from "modelshrink";
import { makeLarge } from "./large-models.mjs";
import { launchWithProfile, serve } from "./chromium.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Runs in the page. */
async function shrinkInPage(recipe) {
  const memories = [];
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...args) => {
    const result = await instantiate(...args);
    memories.push(...Object.values((result.instance ?? result).exports));
    return result;
  };
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function (...args) {
    const instance = new Instance(...args);
    memories.push(...Object.values(instance.exports));
    return instance;
  };
  const { shrink } = await import("./bundle.js");
  const { files } = document.querySelector("input");
  const home = await navigator.storage.getDirectory();
  const sink = async (name) => {
    const writable = await (await home.getFileHandle(name, { create: true })).createWritable();
    return {
      open: () => undefined,
      write: (position, data) => writable.write({ type: "write", position, data }),
      close: () => writable.close(),
      abort: () => writable.abort(),
    };
  };
  const model =
    files.length > 1 ? Object.fromEntries([...files].map((file) => [file.name, file])) : files[0];
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({ type: "longtask" });
  const started = performance.now();
  const { report } = await shrink(model, recipe, { sink });
  const seconds = (performance.now() - started) / 1000;
  const heap = memories.find((it) => it instanceof WebAssembly.Memory).buffer.byteLength;
  const written = {};
  for (const { name } of report.files) {
    written[name] = (await (await home.getFileHandle(name)).getFile()).size;
  }
  // The observer hears of a task after it has ended.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { seconds, heap, longest, files: report.files, written, inputBytes: report.inputBytes };
}

export const field = (pid, name) =>
  Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) *
  1024;

/** The renderers' and the browser's own processes. */
export async function processesOf(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo
    .filter(({ type }) => type === "renderer" || type === "browser")
    .map(({ id, type }) => ({ id, type, before: field(id, "VmRSS") }));
}

/** What a shrink may take: the page's JavaScript memory is freed late. */
export const maxHeap = 64 * 2 ** 20;
export const maxGrowth = 300e6;

/**
 * `longest`: the longest task of the page's thread in milliseconds, 0 where none took 50. `growth`: by how much the
 * renderer and the browser process, each at its own peak, have grown.
 */
export async function measureInChromium({ format, recipe, size }) {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-chromium-"));
  let context;
  let site;
  try {
    const path = await makeLarge(format, folder, size);
    const models = (await inspect(path)).files.map(({ name }) => join(dirname(path), name));
    const pages = await mkdtemp(join(folder, "site-"));
    await esbuild.build({
      entryPoints: [join(root, "dist/index.web.js")],
      bundle: true,
      format: "esm",
      platform: "browser",
      outfile: join(pages, "bundle.js"),
      logLevel: "error",
    });
    await cp(join(root, "dist/wasm"), join(pages, "wasm"), { recursive: true });
    await writeFile(join(pages, "index.html"), "<!doctype html><input type=file multiple>");
    site = await serve(pages);
    context = await launchWithProfile(join(folder, "profile"));
    const page = await context.newPage();
    await page.goto(site.url);
    await page.locator("input").setInputFiles(models);
    const processes = await processesOf(context.browser());
    const result = await page.evaluate(shrinkInPage, recipe);
    const growth = processes.reduce(
      (sum, { id, before }) => sum + Math.max(field(id, "VmHWM") - before, 0),
      0,
    );
    for (const { name, bytes } of result.files) {
      if (result.written[name] !== bytes)
        throw new Error(`${name} has ${result.written[name]} bytes`);
    }
    return { ...result, growth };
  } finally {
    await context?.close();
    await site?.close();
    await rm(folder, { recursive: true });
  }
}
