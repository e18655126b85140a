/** All files of what is to be packed: a model with those that it names, or a folder or a record as they are. */
import { isFolder } from "#files";
import { UnsupportedError } from "../base/errors.js";
import { mainFilePatterns } from "../base/formats.js";
import { isA } from "../base/tags.js";
import { isFolderHandle } from "../files/handle.js";
import { folderOf } from "../files/main-file.js";
import { attend, isFileRecord, openSource } from "../files/open.js";
import type { ReadOptions } from "../files/raw.js";
import { openRepository } from "../files/repository.js";
import type { OpenFile, OpenFileSet, Source } from "../files/source.js";

/** The most files: all are open at once. */
const maxFiles = 1000;

/** Open files. Names are paths below the source, parted by "/". */
export interface OpenFiles {
  files: OpenFile[];
  /** The files that may be main files of models, with what they name; files of no other model come first. */
  models: OpenFileSet[];
  close(): Promise<void>;
}

const isFolderSource = async (source: unknown): Promise<boolean> =>
  isFolderHandle(source) ||
  ((typeof source === "string" || isA(source, "URL")) && (await isFolder(source as string | URL)));

/** The place of a name in the order in which models are looked for; -1 for no model's. */
const rankOf = (name: string): number =>
  mainFilePatterns.findIndex((pattern) => pattern.test(name));

/** Opens one file, and as a model's those that it names. */
async function openOne(source: unknown, waiting: ReadOptions): Promise<OpenFiles> {
  const set = await openSource(source, waiting);
  const files = [set.main];
  const open = async (name: string): Promise<OpenFile | undefined> => {
    const file = await set.open(name);
    if (file) files.push(file);
    return file;
  };
  return { files, models: [{ ...set, open }], close: () => set.close() };
}

/** Opens every file of a folder or a record. */
async function openMany(source: Source, waiting: ReadOptions): Promise<OpenFiles> {
  const repository = await openRepository(source, waiting);
  const { names } = repository;
  if (names.length > maxFiles) {
    throw new UnsupportedError(`There are ${names.length} files; the most is ${maxFiles}.`);
  }
  const sets: OpenFileSet[] = [];
  const close = async () => {
    for (const set of sets) await set.close();
  };
  try {
    for (const name of names) sets.push(await openSource(await repository.open(name), waiting));
  } catch (error) {
    await close();
    throw error;
  }
  const files = sets.map(({ main }, i) => ({ ...main, name: names[i]! }));
  const byName = new Map(files.map((file) => [file.name, file]));
  const mains = files.filter(({ name }) => rankOf(name) >= 0);
  mains.sort((a, b) => rankOf(a.name) - rankOf(b.name));
  const models = mains.map((main) => ({
    main,
    open: (name: string) => Promise.resolve(byName.get(folderOf(main.name) + name)),
    close: () => Promise.resolve(),
  }));
  return { files, models, close };
}

/** Opens all files of a source. */
export async function openAll(source: Source, waiting: ReadOptions): Promise<OpenFiles> {
  attend(source);
  const isMany = isFileRecord(source) || (await isFolderSource(source));
  return isMany ? openMany(source, waiting) : openOne(source, waiting);
}
