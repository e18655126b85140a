/** Folders of outputs. */
import type { Dirent } from "node:fs";
import { open, readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Makes new names themselves durable, where the system can open folders. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

/** Removes the empty folders from `folder` up to `top`, which lies above it or is the same. */
export async function removeEmpty(folder: string, top: string): Promise<void> {
  for (let path = folder; path.startsWith(top); path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}

/** Gives all that is below a folder with its path, a folder after what is in it; links are followed nowhere. */
export async function* entriesBelow(folder: string): AsyncGenerator<[path: string, entry: Dirent]> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* entriesBelow(path);
    yield [path, entry];
  }
}
