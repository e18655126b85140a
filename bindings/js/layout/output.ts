/** The place that the files of a layout go to. */
import { makeFolder } from "#files";
import { isFolderHandle } from "../files/handle.js";
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import type { Blob, FileSystemDirectoryHandle, URL } from "../base/platform-types.js";
import { isA } from "../base/tags.js";
import type { OneSink, SinkFor, Target } from "../files/sink.js";
import type { OpenFile } from "../files/source.js";
import { withTarget } from "../files/with-target.js";

/** A folder's path or file: address (Node.js), its handle, or a function that gives a sink for each path in it. */
export type FolderSink = string | URL | FileSystemDirectoryHandle | SinkFor;

/** The output of a layout. */
export interface LayoutOutput {
  /** Gives the option `sink` for files in a folder, "" or with "/" at its end; undefined for memory. */
  sinkIn(folder: string): string | SinkFor | undefined;
  /** Gives the place of a model's files in such a folder, which a later run can go on with, for an output with a path. */
  targetIn?: (folder: string) => Target;
  /** The path of a folder that is there until the output is visible, for an output with a path. */
  scratch?: string;
  /** Removes what an earlier run has left but for that folder, for an output with a path. */
  startOver?: () => Promise<void>;
  /** The files in memory, by path. */
  files: Record<string, Blob>;
  /** Makes the output visible, whose files have these paths. */
  commit: (paths: Iterable<string>) => Promise<void>;
  /** Leaves nothing of a folder that is named by a path, unless a later run shall go on with it. */
  abort: () => Promise<void>;
}

/** Gives the sinks of files below a folder. */
function sinksBelow(root: FileSystemDirectoryHandle): SinkFor {
  return async (path): Promise<OneSink> => {
    let folder = root;
    const parts = path.split("/");
    const name = parts.pop()!;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
    return folder.getFileHandle(name, { create: true });
  };
}

async function refuseFull(folder: FileSystemDirectoryHandle): Promise<void> {
  // The DOM library's own declaration leaves out that a folder can be iterated.
  for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) {
    throw new ArgumentError(`The folder "${folder.name}" is not empty: it has "${name}".`);
  }
}

/** Opens the place that `sink` names; `input` is the path of the folder that is read, where it has one. */
export async function openOutput(
  sink: unknown,
  isResuming: boolean,
  input?: string,
): Promise<LayoutOutput> {
  const files: Record<string, Blob> = {};
  const nothing = () => Promise.resolve();
  if (typeof sink === "string" || isA(sink, "URL")) {
    const folder = await makeFolder(sink as string | URL, isResuming, input);
    return { ...folder, files, sinkIn: (name) => `${folder.path}/${name}` };
  }
  if (isResuming) throw new ArgumentError("resume needs a path as sink.");
  if (sink === undefined) {
    return { files, sinkIn: () => undefined, commit: nothing, abort: nothing };
  }
  if (isFolderHandle(sink)) await refuseFull(sink);
  else if (typeof sink !== "function") {
    throw new ArgumentError(
      `sink is ${show(sink)}; with a layout it may be a folder's path (Node.js) or handle, or a function of path and ` +
        "size that gives a sink for each file.",
    );
  }
  const sinkFor = isFolderHandle(sink) ? sinksBelow(sink) : (sink as SinkFor);
  const sinkIn =
    (folder: string): SinkFor =>
    (name, size) =>
      sinkFor(folder + name, size);
  return { files, sinkIn, commit: nothing, abort: nothing };
}

/** The bytes that are in memory at a time while a file is copied. */
const pieceBytes = 1 << 22;

/** Gives a file in pieces, each in memory of its own. */
export async function* piecesOf(
  file: Pick<OpenFile, "size" | "read">,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let offset = 0; offset < file.size; offset += pieceBytes)
    yield new Uint8Array(await file.read(offset, Math.min(pieceBytes, file.size - offset)));
}

/** Writes a file as it is read; `onPiece` gets each piece. */
export async function copyFile(
  target: Target,
  name: string,
  from: OpenFile,
  onPiece?: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  const { size } = from;
  const sink = target.sink();
  const run = {
    files: [{ name, sizeBytes: size }],
    inputs: [from],
    unitBytes: [size],
    numTensors: () => 0,
    order: "copy",
    tensors: [],
  };
  try {
    await sink.open(run);
    let offset = 0;
    for await (const bytes of piecesOf(from)) {
      await sink.write({ unit: 0, file: 0, offset, bytes });
      offset += bytes.length;
      await onPiece?.(bytes);
    }
    await sink.close();
  } catch (error) {
    await sink.abort(error);
    throw error;
  }
}

/** Writes a small file at a path without folders. */
export async function writeFile(output: LayoutOutput, name: string, file: OpenFile): Promise<void> {
  await withTarget(output.sinkIn(""), false, async (target) => {
    if (target) await copyFile(target, name, file);
    else output.files[name] = new Blob([new Uint8Array(await file.read(0, file.size))]);
  });
}

/** Gives bytes as an open file. */
export const fileOf = (name: string, bytes: Uint8Array): OpenFile => ({
  ...{ name, size: bytes.length, inMemory: true, isSerial: false },
  read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  close: () => Promise.resolve(),
});
