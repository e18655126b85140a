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

/**
 * Gives the same repository, whose files are copied into a folder of their commit in `scratch`, a path, when they are
 * first opened. Those that an earlier run has left there stay: a file is there when it is whole.
 */
export async function keptIn(
  scratch: string,
  remote: RawRepository,
  options: LayoutOptions,
): Promise<Repository> {
  const folder = `${scratch}/${remote.commit ?? ""}`;
  const left = await openFolder(folder).catch(() => undefined);
  const kept = new Set<string>(left?.names);
  const reading = readingOf(options);
  let done = 0;
  const keep = async (path: string, raw: RawFile): Promise<void> => {
    checkApart([...kept, path]);
    const opened = await openSource(new FileSetSource({ main: raw, open: () => nothing }), reading);
    const total = done + raw.size;
    const home = folderOf(path);
    try {
      await withTarget(`${folder}/${home}`, false, (target) =>
        copyFile(target!, path.slice(home.length), opened.main, (bytes) => {
          options.signal?.throwIfAborted();
          done += bytes;
          callUser(() => options.onProgress?.({ phase: "read", done, total }));
        }),
      );
    } finally {
      await opened.close();
    }
    kept.add(path);
  };
  /** The file at `path` out of the folder; `come` gives it from the network. */
  const local = async (
    path: string,
    come: () => Promise<RawFile | undefined>,
  ): Promise<RawFileSet | undefined> => {
    if (!kept.has(path)) {
      const raw = await come();
      if (!raw) return undefined;
      await keep(path, raw);
    }
    return (await openFolder(folder)).open(path);
  };
  return {
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
}

const nothing = Promise.resolve(undefined);
