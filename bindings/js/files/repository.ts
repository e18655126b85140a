/** Repositories: models with the files that lie beside them, in a folder, on a hub, or as a record of sources. */
import { openFolder } from "#files";
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import { isA } from "../base/tags.js";
import { isFolderHandle } from "./handle.js";
import { FileSetSource, isPlainRecord, openerOf, reusable } from "./open.js";
import type { RawRepository, ReadOptions } from "./raw.js";
import type { OneSource } from "./source.js";

/** The files of a repository. Names are paths below it, parted by "/". */
export interface Repository {
  names: readonly string[];
  /** The path in the file system, for a folder there. */
  path?: string;
  /** The same before anything is checked, for a repository on a network. */
  remote?: RawRepository;
  /** Gives the file of this name, one of `names`, with its neighbours, as a source that is opened once. */
  open(name: string): Promise<FileSetSource>;
}

async function fromRecord(
  source: Readonly<Record<string, unknown>>,
  waiting: ReadOptions,
): Promise<Repository> {
  const files = (await reusable(source, waiting)) as Readonly<Record<string, OneSource>>;
  return openerOf(files, waiting);
}

async function openRaw(source: unknown): Promise<RawRepository> {
  if (typeof source === "string" || isA(source, "URL")) return openFolder(source as string | URL);
  if (isFolderHandle(source)) {
    return (await import("./folder-handle.js")).openFolderRepository(source);
  }
  throw new ArgumentError(
    `The source is ${show(source)}; a repository is a folder's path (Node.js) or handle, the address of one on a hub (or a ` +
      "Request), or a record of sources by their paths.",
  );
}

/**
 * Opens a repository: a folder's path or handle, the address of a hub's (`https://huggingface.co/<owner>/<name>`) or a
 * Request for it, whose headers may have a token, or a record of sources by their paths. Throws an ArgumentError for anything else.
 */
export async function openRepository(source: unknown, waiting: ReadOptions): Promise<Repository> {
  if (isPlainRecord(source)) return fromRecord(source, waiting);
  const template = isA(source, "Request") ? (source as Request) : undefined;
  const address = isA(source, "URL") ? (source as URL).href : (template?.url ?? source);
  const isRemote = typeof address === "string" && /^https?:/i.test(address);
  const raw = isRemote
    ? await (await import("./hub.js")).openHub(address, waiting, template)
    : await openRaw(source);
  const open = async (name: string) => new FileSetSource(await raw.open(name));
  return { ...raw, ...(isRemote ? { remote: raw } : {}), open };
}
