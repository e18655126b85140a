/** What is dropped or chosen, as the files of one model. */

/** By path; within a chosen folder its name comes first. */
export type Files = Record<string, Blob>;

/** Systems leave such files everywhere; no model has them. The folder that was chosen may be hidden. */
const isHidden = (path: string): boolean => /^\.[^/]*$|\/\./.test(path);

function toFiles(entries: readonly (readonly [string, Blob])[]): Files {
  const files: Files = {};
  for (const [path, file] of entries) {
    if (isHidden(path)) continue;
    if (Object.hasOwn(files, path)) {
      throw new Error(`two of them are called “${path}”. Take one model at a time, or a folder.`);
    }
    files[path] = file;
  }
  return files;
}

export function chosenFiles(list: FileList): Files {
  return toFiles([...list].map((file) => [file.webkitRelativePath || file.name, file]));
}

/** All of a folder's entries: each call gives some, the last none. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) return all;
    for (const it of some) all.push(it);
  }
}

async function* walk(entry: FileSystemEntry, parent = ""): AsyncGenerator<[string, File]> {
  const path = parent + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => {
      (entry as FileSystemFileEntry).file(resolve, reject);
    });
    yield [path, file];
  } else {
    for (const inner of await entriesOf(entry as FileSystemDirectoryEntry)) {
      yield* walk(inner, `${path}/`);
    }
  }
}

export async function droppedFiles({ items, files }: DataTransfer): Promise<Files> {
  // Asked at once: the list is empty after the first await.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (entries.length === 0) return chosenFiles(files);
  const found: [string, File][] = [];
  for (const entry of entries) for await (const file of walk(entry)) found.push(file);
  return toFiles(found);
}
