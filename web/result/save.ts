/** Outputs as downloads, zip files and folders. */
import { makeZip } from "client-zip";
import type { Files } from "../open/files.js";

/** Where a model came from. */
export interface Origin {
  /** The main file's name, without its folder. */
  main: string;
  /** The folder's name, where it is known. */
  folder: string | undefined;
}

const stemOf = (main: string): string =>
  main.replace(/(-\d+-of-\d+)?(\.safetensors)?(\.index)?\.\w+$/, "");

/** "model.int8.onnx" for one file; for several, whose own names must stay, that of their folder. */
export function outputName({ main, folder }: Origin, label: string, numFiles: number): string {
  if (numFiles > 1) return `${folder ?? stemOf(main)}.${label}`;
  return `${stemOf(main)}.${label}${/\.\w+$/.exec(main)?.[0] ?? ""}`;
}

/** Weights do not compress: they are stored. The zip file is made as it is read, in zip64 where it needs that. */
function zipOf(files: Files): ReadableStream<Uint8Array<ArrayBuffer>> {
  const entries = Object.entries(files).map(([name, blob]) => ({
    name,
    input: blob,
    size: blob.size,
  }));
  return makeZip(entries) as ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** The browser tells nobody when a download has ended. */
const downloadMilliseconds = 10 * 60_000;

/** Until the bytes may go. */
export async function download(blob: Blob, name: string): Promise<void> {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  await new Promise((resolve) => setTimeout(resolve, downloadMilliseconds));
  URL.revokeObjectURL(link.href);
}

declare global {
  interface Window {
    /** Chromium only, both. */
    showDirectoryPicker?: (options: { mode: "readwrite" }) => Promise<FileSystemDirectoryHandle>;
    showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
  }
}

/** Gives what the visitor picks; undefined when the dialog was closed. */
async function picked<T>(pick: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await pick();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  }
}

/** Hands the files over as one zip file of this name; false when the visitor chose no place for it. */
export async function saveZip(files: Files, name: string): Promise<boolean> {
  if (!window.showSaveFilePicker) {
    // A download wants a whole Blob: a second copy, which browsers keep on their disk when it is large.
    const headers = { "content-type": "application/zip" };
    void download(await new Response(zipOf(files), { headers }).blob(), name);
    return true;
  }
  // A picked file takes the stream as it is: there is no copy, and the file appears when it is whole.
  const handle = await picked(() => window.showSaveFilePicker?.({ suggestedName: name }));
  if (!handle) return false;
  await zipOf(files).pipeTo(await handle.createWritable());
  return true;
}

export const canPickFolder = (): boolean => window.showDirectoryPicker !== undefined;

/**
 * Asks for a folder; false when none was chosen. The files go into a folder of their own in it: their
 * names are the original's, which may be there.
 */
export async function saveToFolder(files: Files, name: string): Promise<boolean> {
  const parent = await picked(() => window.showDirectoryPicker?.({ mode: "readwrite" }));
  if (!parent) return false;
  const folder = await parent.getDirectoryHandle(name, { create: true });
  for (const [path, blob] of Object.entries(files)) {
    const inner = path.split("/");
    const last = inner.pop() ?? path;
    let place = folder;
    for (const part of inner) place = await place.getDirectoryHandle(part, { create: true });
    const handle = await place.getFileHandle(last, { create: true });
    await blob.stream().pipeTo(await handle.createWritable());
  }
  return true;
}
