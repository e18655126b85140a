// Repositories for layouts, and a folder for what is made of them.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach } from "node:test";
import { shrink } from "modelshrink";
import { sentenceModel } from "./sentence-model.mjs";

export const suffixes = ["_fp16", "_quantized", "_int8", "_uint8", "_q4"];
export const transformers = { layout: "transformers" };
export const text = (content) => Buffer.from(content);
export const json = (content) => text(JSON.stringify(content));
export const small = sentenceModel();

/** All files below a folder, by their paths. */
export async function contents(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const files = await Promise.all(paths.sort().map(async (path) => [path, await readFile(path)]));
  return Object.fromEntries(files.map(([path, bytes]) => [path.slice(folder.length + 1), bytes]));
}

/**
 * A folder for the tests of a file, emptied before each of them: `at` gives a path in it, `save` writes files by their
 * paths into a folder, which it gives, and `refused` expects that a repository is refused, and that nothing is left.
 */
export function layoutFolder() {
  let top;
  before(async () => {
    top = await mkdtemp(join(tmpdir(), "modelshrink-layout-"));
  });
  after(() => rm(top, { recursive: true }));
  beforeEach(async () => {
    for (const name of await readdir(top)) await rm(join(top, name), { recursive: true });
  });
  const at = (...names) => join(top, ...names);
  async function save(files, folder = at("repository")) {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
    }
    return folder;
  }
  async function refused(source, error, message, options = {}) {
    const before = await readdir(top);
    const run = shrink(source, undefined, { ...transformers, sink: at("out"), ...options });
    await assert.rejects(run, (it) => {
      assert.ok(it instanceof error, `${it}`);
      assert.match(it.message, message);
      return true;
    });
    assert.deepEqual(await readdir(top), before);
  }
  return { at, save, refused };
}
