/**
 * Outputs on the browser's own disk, so that memory does not grow with the model; downloads and
 * copies read from there.
 */
import type { Sink } from "modelshrink";
import { once } from "../base/once.js";

/** Of workers only. */
interface SyncAccess {
  write(bytes: Uint8Array, options: { at: number }): number;
  close(): void;
}
type FileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccess> };

export interface DiskOutput {
  sink: (name: string) => Promise<Sink>;
  /** What was written, by name; the main file first. They are read from there. */
  files(): Promise<Record<string, Blob>>;
  remove: () => Promise<void>;
}

const prefix = "modelshrink-output-";

/** This worker's own folder. A lock of the same name tells other tabs that it is in use. */
async function openFolder(): Promise<FileSystemDirectoryHandle> {
  const home = await navigator.storage.getDirectory();
  const own = prefix + crypto.randomUUID();
  await new Promise<void>((resolve, reject) => {
    const untilTheEnd = () => {
      resolve();
      return new Promise<never>(() => undefined);
    };
    navigator.locks.request(own, untilTheEnd).catch(reject);
  });
  const { held = [] } = await navigator.locks.query();
  for await (const name of home.keys()) {
    const isLeft = name.startsWith(prefix) && !held.some((lock) => lock.name === name);
    if (isLeft) await home.removeEntry(name, { recursive: true }).catch(() => undefined);
  }
  return home.getDirectoryHandle(own, { create: true });
}

function sinkTo(access: SyncAccess): Sink {
  return {
    open: () => undefined,
    write: (offset, bytes) => {
      const written = access.write(bytes, { at: offset });
      if (written < bytes.length) throw new Error("The browser’s disk space is used up.");
    },
    close: () => {
      access.close();
    },
    abort: () => {
      access.close();
    },
  };
}

const folder = once(openFolder);
let runs = 0;

/** Place for the files of one run; undefined where there is none. */
export async function diskOutput(): Promise<DiskOutput | undefined> {
  const name = String(runs++);
  let own: FileSystemDirectoryHandle;
  let place: FileSystemDirectoryHandle;
  try {
    if (!("createSyncAccessHandle" in FileSystemFileHandle.prototype)) return undefined;
    own = await folder();
    place = await own.getDirectoryHandle(name, { create: true });
  } catch {
    // Private windows of some browsers, and pages without TLS.
    return undefined;
  }
  const handles: [string, FileHandle][] = [];
  return {
    sink: async (name) => {
      // By number: a name may have folders in it.
      const number = String(handles.length);
      const handle = (await place.getFileHandle(number, { create: true })) as FileHandle;
      handles.push([name, handle]);
      return sinkTo(await handle.createSyncAccessHandle());
    },
    files: async () => {
      const entries = handles.map(
        async ([name, handle]) => [name, await handle.getFile()] as const,
      );
      return Object.fromEntries(await Promise.all(entries));
    },
    remove: () => own.removeEntry(name, { recursive: true }),
  };
}
