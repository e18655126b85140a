// How much memory the shrinking cache takes in Chromium when a large model comes from a server for the first time.
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { launchWithProfile, serve } from "./chromium.mjs";
import { field, processesOf } from "./large-in-chromium.mjs";
import { makeLarge } from "./large-models.mjs";
import { root } from "./run.mjs";

/** Runs in the page. */
async function loadInPage([name, recipe]) {
  const { createShrinkCache } = await import("/dist/cache.web.js");
  const warnings = [];
  const cache = createShrinkCache({ recipe, onWarning: ({ message }) => warnings.push(message) });
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({ type: "longtask" });
  const started = performance.now();
  const { files, hit, report } = await cache.cached(new URL(name, location.href));
  const seconds = (performance.now() - started) / 1000;
  const bytes = Object.values(files).reduce((sum, { size }) => sum + size, 0);
  const { inputBytes, outputBytes } = report;
  // The observer hears of a task after it has ended.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { seconds, longest, hit, warnings, inputBytes, isWhole: bytes === outputBytes };
}

/** A load of 1 GB takes ten seconds, and half a minute on a busy machine. */
const maxMilliseconds = 75_000;

/** The work of the page was not done in time. */
class Hanging extends Error {}

async function inTime(work) {
  let timer;
  const end = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Hanging("The load did not end.")), maxMilliseconds);
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the tab may take of a model of so many bytes. */
export const maxTabBytes = (inputBytes) => inputBytes / 8 + 150e6;

async function measureOnce({ format, recipe, size }) {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-cached-"));
  let context;
  let site;
  try {
    const name = basename(await makeLarge(format, folder, size));
    await symlink(join(root, "dist"), join(folder, "dist"));
    await writeFile(join(folder, "index.html"), "<!doctype html>");
    site = await serve(folder, { etag: '"1"' });
    context = await launchWithProfile(join(folder, "profile"));
    const page = await context.newPage();
    await page.goto(site.url);
    const processes = await processesOf(context.browser());
    const loading = page.evaluate(loadInPage, [name, recipe]);
    const { hit, warnings, isWhole, ...result } = await inTime(loading);
    if (hit || !isWhole || warnings.length > 0) throw new Error(`Not kept: ${warnings}`);
    const later = await processesOf(context.browser());
    if (later.some(({ id }) => processes.every((it) => it.id !== id)))
      throw new Error("The page may have moved to another process.");
    const growthOf = (wanted) =>
      processes
        .filter(({ type }) => type === wanted)
        .reduce((most, { id, before }) => Math.max(most, field(id, "VmHWM") - before), 0);
    return { ...result, tab: growthOf("renderer"), browser: growthOf("browser") };
  } finally {
    await context?.close();
    await site?.close();
    await rm(folder, { recursive: true });
  }
}

/**
 * Loads a model by the cache with its default store. `tab` and `browser`: by how much the page's process and the
 * browser's own one, each at its peak, have grown. `longest`: the longest task of the page's thread in milliseconds, 0 where
 * none took 50.
 * Some loads do not end, mostly on a machine whose cores are all busy, for a reason that is not known yet: such a one is
 * said by `tell` and tried again, twice at most.
 */
export async function measureCached(given, tell = console.error) {
  for (let again = 0; ; again++) {
    try {
      return await measureOnce(given);
    } catch (error) {
      if (!(error instanceof Hanging) || again === 2) throw error;
      tell(`${error.message} It is tried again.`);
    }
  }
}
