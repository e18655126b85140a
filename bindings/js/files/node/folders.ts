/** Folders of outputs. */
import { open, rmdir } from "node:fs/promises";
import { dirname } from "node:path";

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
