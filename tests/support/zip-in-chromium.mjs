// A zip file of more than 4 GiB from the demo page's own code: files on the disk, as a page gets them from an <input>,
// are streamed into a file that is picked, and Python reads what came out.
import { execFileSync } from "node:child_process";
import { mkdtemp, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { launchWithProfile, serve } from "./chromium.mjs";
import { field, processesOf } from "./large-in-chromium.mjs";
import { root } from "./run.mjs";

/** Two such sparse files make more than 32 bits can count. */
const sizes = { "first.bin": 2_300_000_000, "second.bin": 2_300_000_000, "config.json": 2 };

const checking = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as file:
    print(json.dumps([file.testzip(), {it.filename: it.file_size for it in file.infolist()}]))
`;

/** Runs in the page: picks a file of its own disk, and writes the zip file there. */
async function zipInPage() {
  const home = await navigator.storage.getDirectory();
  const picked = await home.getFileHandle("picked.zip", { create: true });
  window.showSaveFilePicker = () => Promise.resolve(picked);
  const { saveZip } = await import("./save.js");
  const { files } = document.querySelector("input");
  const started = performance.now();
  const isSaved = await saveZip(Object.fromEntries([...files].map((it) => [it.name, it])), "m.zip");
  const seconds = (performance.now() - started) / 1000;
  return { isSaved, seconds, bytes: (await picked.getFile()).size };
}

/** The file of this size in a folder, however deep. */
async function fileOf(folder, bytes) {
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined);
    if (info?.isFile() && info.size === bytes) return path;
  }
  throw new Error(`The browser's profile has no file of ${bytes} bytes.`);
}

/**
 * Gives the seconds that it took, the bytes that were written, and by how many bytes the renderer and the browser
 * process have grown, each at its own peak. Throws where the zip file is not what it should be.
 */
export async function makeLargeZip() {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-zip-"));
  try {
    const site = join(folder, "site");
    await build({
      ...{ entryPoints: [join(root, "web/result/save.ts")], outfile: join(site, "save.js") },
      ...{ bundle: true, format: "esm", logLevel: "error" },
    });
    await writeFile(join(site, "index.html"), "<!doctype html><input type=file multiple>");
    const paths = [];
    for (const [name, size] of Object.entries(sizes)) {
      const file = await open(join(folder, name), "w");
      await file.truncate(size);
      await file.close();
      paths.push(join(folder, name));
    }
    const server = await serve(site);
    const context = await launchWithProfile(join(folder, "profile"));
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(0);
      await page.goto(server.url);
      await page.locator("input").setInputFiles(paths);
      const processes = await processesOf(context.browser());
      const { isSaved, seconds, bytes } = await page.evaluate(zipInPage);
      const growth = processes.reduce(
        (sum, { id, before }) => sum + Math.max(field(id, "VmHWM") - before, 0),
        0,
      );
      const zip = await fileOf(join(folder, "profile"), bytes);
      const [damaged, found] = JSON.parse(execFileSync("python3", ["-c", checking, zip]));
      const isWhole = isSaved && damaged === null && bytes > 2 ** 32;
      if (!isWhole || JSON.stringify(found) !== JSON.stringify(sizes)) {
        throw new Error(`The zip file of ${bytes} bytes has ${JSON.stringify([damaged, found])}.`);
      }
      return { seconds, bytes, growth };
    } finally {
      await context.close();
      await server.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}
