/** The samples that --inputs names: in a file, or in a folder of files. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { ioError } from "../../files/node/io-error.js";
import { readUserFile } from "../../files/node/user-file.js";
import { labelled, type Feeds } from "../../runtime/session.js";
import { UsageError } from "../usage-error.js";
import { maxSampleBytes, type SampleArray } from "./arrays.js";
import { type ImageOptions, readImage } from "./images.js";
import { readJson } from "./json.js";
import { readNpy, readNpz } from "./npy.js";
import { readSafetensors } from "./safetensors.js";

/** The facts that the files themselves do not have. */
export interface SampleOptions {
  /** The input that a file of one array feeds, where it is given. */
  inputName: string | undefined;
  /** The names of the model's inputs; asked only where a file does not name them. */
  inputNames: () => Promise<readonly string[]>;
  /** undefined: no option for images is given. */
  image: ImageOptions | undefined;
  defaultImage: ImageOptions;
}

/** How the files of one ending are read: arrays by the names of inputs, one array, or several samples. */
type Reader =
  | { kind: "named"; read: (what: string, bytes: Buffer) => Record<string, SampleArray> }
  | { kind: "array"; read: (what: string, bytes: Buffer) => SampleArray }
  | { kind: "image"; isPng: boolean }
  | { kind: "list"; read: (what: string, bytes: Buffer) => Feeds[] };

const readers: Readonly<Record<string, Reader>> = {
  ".npz": { kind: "named", read: readNpz },
  ".safetensors": { kind: "named", read: readSafetensors },
  ".npy": { kind: "array", read: readNpy },
  ".png": { kind: "image", isPng: true },
  ".jpg": { kind: "image", isPng: false },
  ".jpeg": { kind: "image", isPng: false },
  ".json": { kind: "list", read: readJson },
};
const endings = Object.keys(readers).join(", ");

const readerOf = (path: string): Reader | undefined => {
  const ending = extname(path).toLowerCase();
  return Object.hasOwn(readers, ending) ? readers[ending] : undefined;
};

const inOrder = new Intl.Collator("en", { numeric: true });

/** The files that `path` names, each with its reader. A folder's are of one kind, in the order of their names. */
async function filesOf(path: string): Promise<{ path: string; reader: Reader }[]> {
  const entry = await stat(path).catch((cause: unknown) => {
    throw ioError("read", path, cause);
  });
  if (entry.isFile()) {
    const reader = readerOf(path);
    if (reader) return [{ path, reader }];
    throw new UsageError(`--inputs is "${path}"; it must be a folder or end in ${endings}.`);
  }
  if (!entry.isDirectory())
    throw new UsageError(`--inputs is "${path}", which is no file or folder.`);
  const names = (await readdir(path)).filter((name) => !name.startsWith("."));
  const files = names.sort(inOrder.compare).flatMap((name) => {
    const reader = readerOf(name);
    return reader ? [{ path: join(path, name), reader }] : [];
  });
  const [first] = files;
  if (!first)
    throw new UsageError(`The folder "${path}" has no samples: files that end in ${endings}.`);
  const other = files.find(({ reader }) => reader.kind !== first.reader.kind);
  if (other) {
    throw new UsageError(
      `The folder "${path}" mixes kinds of samples: "${basename(first.path)}" and "${basename(other.path)}".`,
    );
  }
  return files;
}

/** Gives the input that files of one array feed. */
async function targetOf(path: string, options: SampleOptions): Promise<string> {
  const { inputName, inputNames } = options;
  if (inputName !== undefined) return inputName;
  const [only, ...others] = await inputNames();
  if (only !== undefined && others.length === 0) return only;
  throw new UsageError(
    `"${path}" is one array, and the model has the inputs ${[only, ...others].join(", ")}: name one ` +
      "with --input-name, or give .npz files with all of them.",
  );
}

const stemOf = (path: string) => basename(path, extname(path));

type SampleFile = Awaited<ReturnType<typeof filesOf>>[number];

/** Tells whether files of one array are the inputs of one sample: each is named like an input. */
async function isOneSample(files: readonly SampleFile[], options: SampleOptions): Promise<boolean> {
  const areArrays = files.length > 1 && files[0]!.reader.kind === "array";
  if (!areArrays || options.inputName !== undefined) return false;
  const names = await options.inputNames();
  return names.length > 1 && files.every(({ path }) => names.includes(stemOf(path)));
}

async function samplesOf({ path, reader }: SampleFile, target: string, options: SampleOptions) {
  const what = `"${path}"`;
  const bytes = Buffer.from((await readUserFile(path, maxSampleBytes)).buffer);
  switch (reader.kind) {
    case "list":
      return reader.read(what, bytes);
    case "named":
      return [reader.read(what, bytes)];
    case "array":
      return [{ [target]: reader.read(what, bytes) }];
    case "image": {
      const image = await readImage(
        what,
        bytes,
        reader.isPng,
        options.image ?? options.defaultImage,
      );
      return [{ [target]: image }];
    }
  }
}

async function* readAll(
  files: readonly SampleFile[],
  target: string,
  options: SampleOptions,
): AsyncGenerator<Feeds> {
  for (const file of files) {
    const samples = await samplesOf(file, target, options);
    for (const [i, sample] of samples.entries()) {
      // What is wrong with a sample is looked for in its file.
      yield labelled(sample, `"${file.path}"${samples.length > 1 ? `[${i}]` : ""}`);
    }
  }
}

/** One sample of all files, each the array of the input that it is named after. */
async function* readTogether(
  files: readonly SampleFile[],
  options: SampleOptions,
): AsyncGenerator<Feeds> {
  const arrays = [];
  for (const file of files) {
    const name = stemOf(file.path);
    const [sample] = await samplesOf(file, name, options);
    arrays.push([name, sample![name]!] as const);
  }
  yield labelled(Object.fromEntries(arrays), `"${dirname(files[0]!.path)}"`);
}

function checkOptions({ reader }: SampleFile, path: string, options: SampleOptions): void {
  if (options.image && reader.kind !== "image") {
    throw new UsageError(`"${path}" has no images: leave out the options for images.`);
  }
  if (options.inputName !== undefined && (reader.kind === "named" || reader.kind === "list")) {
    throw new UsageError(`"${path}" names its inputs itself: leave out --input-name.`);
  }
}

/**
 * The samples in `path`, read one by one while they are used, and anew each time. Throws where there is none, or
 * where it is not clear which input they feed; a broken file is found when its turn comes.
 */
export async function samplesFrom(
  path: string,
  options: SampleOptions,
): Promise<AsyncIterable<Feeds>> {
  const files = await filesOf(path);
  const [first] = files;
  checkOptions(first!, path, options);
  if (await isOneSample(files, options)) {
    return { [Symbol.asyncIterator]: () => readTogether(files, options) };
  }
  const needsTarget = first!.reader.kind === "array" || first!.reader.kind === "image";
  const target = needsTarget ? await targetOf(first!.path, options) : "";
  return { [Symbol.asyncIterator]: () => readAll(files, target, options) };
}
