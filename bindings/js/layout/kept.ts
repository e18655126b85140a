/** Repositories on a network, whose files are read more than once: each comes once, and stays in a folder meanwhile. */
import { openFolder } from "#files";
import { callUser } from "../base/door.js";
import { openSource, FileSetSource } from "../files/open.js";
import { folderOf } from "../files/main-file.js";
import type { RawFile, RawFileSet, RawRepository } from "../files/raw.js";
import type { Repository } from "../files/repository.js";
import { withTarget } from "../files/with-target.js";
import { readingOf } from "../models/options.js";
import { checkApart } from "./files.js";
import { copyFile } from "./output.js";
import type { LayoutOptions } from "./types.js";
import { Notes, PiecesDigest } from "./whole.js";

/**
 * Gives the same repository, whose files are copied into a folder of their commit in `scratch`, a path, when they are
 * first opened. Those that an earlier run has left there stay when they are as they were when they had come. `hasCome`
 * tells whether one has come since.
 */
export async function keptIn(
  scratch: string,
  remote: RawRepository,
  options: LayoutOptions,
): Promise<{ repository: Repository; hasCome: () => boolean }> {
  const folder = `${scratch}/${remote.commit ?? ""}`;
  const reading = readingOf(options);
  const notes = new Notes(folder, `${folder}.whole`, reading);
  /** The files of an earlier run that nobody has looked at yet, and those that are whole. */
  const left = new Set((await openFolder(folder).catch(() => undefined))?.names);
  const kept = new Set<string>();
  let done = 0;
  let hasCome = false;
  const keep = async (path: string, raw: RawFile): Promise<void> => {
    checkApart([...kept, path]);
    const opened = await openSource(new FileSetSource({ main: raw, open: () => nothing }), reading);
    const total = done + raw.size;
    const home = folderOf(path);
    const digest = new PiecesDigest();
    try {
      await withTarget(`${folder}/${home}`, false, (target) =>
        copyFile(target!, path.slice(home.length), opened.main, async (bytes) => {
          options.signal?.throwIfAborted();
          await digest.add(bytes);
          done += bytes.length;
          callUser(() => options.onProgress?.({ phase: "read", done, total }));
        }),
      );
    } finally {
      await opened.close();
    }
    await notes.write(path, digest);
    kept.add(path);
    hasCome = true;
  };
  /** The file at `path` out of the folder; `come` gives it from the network. */
  const local = async (
    path: string,
    come: () => Promise<RawFile | undefined>,
  ): Promise<RawFileSet | undefined> => {
    if (left.delete(path) && (await notes.holdsOf(path))) kept.add(path);
    if (!kept.has(path)) {
      const raw = await come();
      if (!raw) return undefined;
      await keep(path, raw);
    }
    return (await openFolder(folder)).open(path);
  };
  const repository: Repository = {
    names: remote.names,
    open: async (name) => {
      let set: Promise<RawFileSet> | undefined;
      const remoteSet = () => (set ??= remote.open(name));
      const home = folderOf(name);
      const main = (await local(name, async () => (await remoteSet()).main))!.main;
      const open = async (it: string) =>
        (await local(home + it, async () => (await remoteSet()).open(it)))?.main;
      return new FileSetSource({ main, open });
    },
  };
  return { repository, hasCome: () => hasCome };
}

const nothing = Promise.resolve(undefined);
