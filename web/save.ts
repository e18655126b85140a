/** Outputs as downloads, zip files and folders. */
import { Zip, ZipPassThrough } from "fflate";
import type { Files } from "./open.js";

/** A zip file without zip64 ends here. */
const maxZipBytes = 2 ** 32 - 2 ** 20;

export const fitsZip = (files: Files): boolean =>
  Object.values(files).reduce((bytes, { size }) => bytes + size, 0) < maxZipBytes;

/** Weights do not compress; storing them is fast, and they can be read in place. */
export async function zipOf(files: Files): Promise<Blob> {
  const parts: Blob[] = [];
  let failure: Error | undefined;
  const zip = new Zip((error, bytes) => {
    // As Blobs, which the browser may keep on disk.
    if (error) failure ??= error;
    else parts.push(new Blob([bytes]));
  });
  for (const [name, blob] of Object.entries(files)) {
    const entry = new ZipPassThrough(name);
    zip.add(entry);
    const reader = blob.stream().getReader();
    for (;;) {
      const { value, done } = await reader.read();
      entry.push(value ?? new Uint8Array(0), done);
      if (done) break;
    }
  }
  zip.end();
  if (failure) throw failure;
  return new Blob(parts, { type: "application/zip" });
}

export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has its own hold on the bytes once it has begun.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}

declare global {
  interface Window {
    /** Chromium only. */
    showDirectoryPicker?: (options: { mode: "readwrite" }) => Promise<FileSystemDirectoryHandle>;
  }
}

export const canPickFolder = (): boolean => window.showDirectoryPicker !== undefined;

/** Asks for a folder; false when none was chosen. */
export async function saveToFolder(files: Files): Promise<boolean> {
  let folder;
  try {
    folder = await window.showDirectoryPicker?.({ mode: "readwrite" });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  }
  if (!folder) return false;
  for (const [path, blob] of Object.entries(files)) {
    const names = path.split("/");
    const name = names.pop() ?? path;
    let place = folder;
    for (const inner of names) place = await place.getDirectoryHandle(inner, { create: true });
    const handle = await place.getFileHandle(name, { create: true });
    await blob.stream().pipeTo(await handle.createWritable());
  }
  return true;
}
