// Apps that load a large model in Chromium over a line of a known rate: how long a visit takes, and how much memory the tab.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchWithProfile } from "./chromium.mjs";
import { field, processesOf } from "./large-in-chromium.mjs";
import { appPage, newLine, serveRoutes } from "./model-server.mjs";

/** 100 Mbit/s, in bytes a second. */
const rate = 100e6 / 8;

/** The site: its page, what the page loads at once, and the models, which come over the line. */
async function openSite({ imports, models, inputs = {} }) {
  const site = await serveRoutes({ files: true });
  site.routes["/"] = appPage(imports);
  const line = newLine(rate);
  Object.assign(site.routes, inputs);
  for (const [path, body] of Object.entries(models)) {
    const headers = { etag: '"1"', "cache-control": "max-age=86400" };
    site.routes[path] = { body, line, headers };
  }
  return site;
}

/** The code of a page that only downloads the models, one after the other, and drops what comes. */
const bareDownload = (models) => `
  for (const path of ${JSON.stringify(Object.keys(models))}) {
    const reader = (await fetch(path)).body.getReader();
    while (!(await reader.read()).done);
  }
`;

/**
 * Runs a page of `code` in a browser of its own: seconds until its end, the bytes that the tab's process grew by, and what the
 * code has put into `globalThis.noted`.
 */
async function visit(profile, base, { prepare = "", code }) {
  const context = await launchWithProfile(profile);
  try {
    const tab = await context.newPage();
    await tab.goto(base);
    // What the app consists of is there before the clock starts.
    await tab.addScriptTag({ type: "module", content: `${prepare}\nglobalThis.isReady = true;` });
    await tab.waitForFunction("globalThis.isReady");
    const processes = (await processesOf(context.browser())).filter((it) => it.type === "renderer");
    const [imports, rest] = parted(code);
    const failed = new Promise((_, reject) => tab.on("pageerror", reject));
    failed.catch(() => undefined);
    const content = `${imports}\nconst started = performance.now();\n${rest}
      globalThis.seconds = (performance.now() - started) / 1000;`;
    await tab.addScriptTag({ type: "module", content });
    await Promise.race([tab.waitForFunction("globalThis.seconds", null, { timeout: 0 }), failed]);
    const seconds = await tab.evaluate("globalThis.seconds");
    const tabBytes = Math.max(...processes.map(({ id, before }) => field(id, "VmHWM") - before));
    return { seconds, tabBytes, noted: await tab.evaluate("globalThis.noted") };
  } finally {
    await context.close();
  }
}

/** The imports of a module, which run first anyway, and the rest. */
function parted(code) {
  const lines = code.split("\n");
  const isImport = (line) => /^\s*import\b.*";/.test(line);
  return [lines.filter(isImport), lines.filter((it) => !isImport(it))].map((it) => it.join("\n"));
}

/** The first and the second visit of a new visitor. */
async function visitTwice(base, app, { isOnce = false } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  try {
    const first = await visit(profile, base, app);
    return { first, second: isOnce ? undefined : await visit(profile, base, app) };
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

/** The first and the second visit of an app on the site that `openSite` makes of `given`. */
export async function measureTwoVisits({ code, prepare, ...given }) {
  const site = await openSite(given);
  try {
    return await visitTwice(site.base, { prepare, code });
  } finally {
    site.close();
  }
}

/** The code of a page that has the cache make the small model, and nothing else. */
const cachedAlone = ({ main, recipe = "int8" }) => `
  import { createShrinkCache } from "modelshrink/cache";
  await createShrinkCache({ recipe: "${recipe}" }).cached("${main}");
`;

/**
 * Visits an app whose model has the main file `main`: { bare, alone, plain, cached }. The first two are { seconds, tabBytes }
 * of the bare download and of the cache's first load; the others { first, second } of those, of the app without the cache
 * (`plain`) and with it (`code`).
 */
export async function measureVisits({ code, plain, prepare, ...given }) {
  const site = await openSite(given);
  try {
    const once = async (app) => (await visitTwice(site.base, app, { isOnce: true })).first;
    return {
      bare: await once({ code: bareDownload(given.models) }),
      alone: await once({ code: cachedAlone(given) }),
      plain: await visitTwice(site.base, { prepare, code: plain }),
      cached: await visitTwice(site.base, { prepare, code }),
    };
  } finally {
    site.close();
  }
}
