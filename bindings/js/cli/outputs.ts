/** The places of outputs: names beside the models, a folder for several, and names that clash. */
import { lstat, readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { companion, mainFileExtensions, packExtension } from "../base/formats.js";
import { visible } from "../base/visible.js";
import { placeOf, placesOf } from "../files/node/meetings.js";
import { nameOfUrl, parseUrl } from "../files/url.js";
import { UsageError } from "./usage-error.js";

/** The name of standard input or output for an operand or -o. */
export const standardStream = "-";

export const isUrl = (model: string): boolean => /^https?:\/\//i.test(model);

/** Tells whether there is a folder at `path`. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (it) => it.isDirectory(),
    () => false,
  );
}

/** Behind a GGUF split's name, which has to stay at the end. */
const splitSuffix = /-\d{5}-of-\d{5}$/;

/** Tells whether a main file of this name has the model's folder to itself. */
const isUsualIndex = (name: string) => /^model(\.\w+)*\.json$/i.test(name);

/**
 * Beside the model, or here when that is a URL: "model.int8.onnx" for a file; for a folder or a model
 * whose files have names of their own (an index, model.json) the folder "folder.int8".
 */
async function defaultOutput(model: string, label: string): Promise<string> {
  if (model === standardStream) {
    throw new UsageError("A model on standard input needs -o <path>, or -o - for standard output.");
  }
  const address = isUrl(model) ? parseUrl(model) : undefined;
  if (isUrl(model) && !address) throw new UsageError(`"${visible(model)}" is no address.`);
  const path = address ? nameOfUrl(address.href) || "model.onnx" : model;
  if (!isUrl(model) && (await isFolder(path))) return `${resolve(path)}.${label}/`;
  const extension = extname(path);
  const name = basename(path, extension);
  if (/^\.json$/i.test(extension)) {
    const own = join(dirname(path), name.replace(/(\.safetensors)?\.index$/i, ""));
    const isShared = isUrl(model) || !isUsualIndex(basename(path));
    return `${isShared ? own : resolve(dirname(path))}.${label}/`;
  }
  const suffix = splitSuffix.exec(name)?.[0] ?? "";
  const stem = name.slice(0, name.length - suffix.length);
  return join(dirname(path), `${stem}.${label}${suffix}${extension}`);
}

/** A folder's output is a folder, unless it is named like a model's file. */
async function givenOutput(model: string, output: string): Promise<string> {
  const isPlain = !output.endsWith("/") && extname(output) === "";
  if (!isPlain || output === standardStream || model === standardStream) return output;
  return (await isFolder(model)) ? `${output}/` : output;
}

const mainFile = new RegExp(`\\.(${mainFileExtensions.join("|")})$`, "i");

/** The folder that `-o` names for several models, with "/" at its end. */
async function sharedFolder(output: string): Promise<string> {
  if (output === standardStream) {
    throw new UsageError("Standard output takes one model: for several -o is a folder.");
  }
  const isFile = await stat(output).then(
    (it) => !it.isDirectory(),
    () => mainFile.test(output),
  );
  if (isFile) {
    throw new UsageError(`For several models -o is a folder; "${visible(output)}" is a file.`);
  }
  return output.endsWith("/") ? output : `${output}/`;
}

/** Throws a UsageError for a link that the user has not named: whoever made the model's folder may have put it there. */
export async function refuseLink(output: string): Promise<void> {
  const entry = await lstat(output.replace(/\/$/, "")).catch(() => undefined);
  if (!entry?.isSymbolicLink()) return;
  throw new UsageError(`The output "${visible(output)}" is a link: name another with -o.`);
}

/** The packed file of an input: beside it, or here when that is a URL. */
export function packedOutput(input: string): string {
  const suffix = `.${packExtension}`;
  if (isUrl(input)) return (nameOfUrl(input) || "model") + suffix;
  const path = resolve(input);
  // The folder that this one lies in has no name of its own relative to this one.
  return join(relative("", dirname(path)), basename(path)) + suffix;
}

/** What a packed file is unpacked to, beside it, or here when that is a URL: "model.onnx", or a folder without such an ending. */
export function unpackedOutput(packed: string): string {
  const path = isUrl(packed) ? nameOfUrl(packed) || "model" : packed;
  const isNamed = extname(basename(path)).toLowerCase() === `.${packExtension}`;
  if (!isNamed) return `${path}.unpacked/`;
  const inner = path.slice(0, -packExtension.length - 1);
  return extname(inner) === "" ? `${inner}/` : inner;
}

/** Throws a UsageError where the last of two models is not there: it was most likely meant as the output. */
async function refuseOutputAsModel([, last, ...others]: readonly string[]): Promise<void> {
  if (last === undefined || others.length > 0 || isUrl(last) || last === standardStream) return;
  const isThere = await lstat(last).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  const name = visible(last);
  throw new UsageError(`There is no model "${name}"; as the output it is named by -o ${name}.`);
}

/** The output of each of `models`, in their order. Of several, folders get folders of their own under `output`. */
export async function outputsFor(
  models: readonly string[],
  output: string | undefined,
  label: string,
): Promise<string[]> {
  if (output === undefined) {
    await refuseOutputAsModel(models);
    const outputs = await Promise.all(models.map((model) => defaultOutput(model, label)));
    for (const it of outputs) await refuseLink(it);
    return outputs;
  }
  if (output === "") throw new UsageError("-o has no path.");
  const [model = ""] = models;
  if (models.length === 1) return [await givenOutput(model, output)];
  const folder = await sharedFolder(output);
  return Promise.all(
    models.map(async (it) =>
      !isUrl(it) && (await isFolder(it)) ? `${join(folder, basename(resolve(it)))}/` : folder,
    ),
  );
}

/** A model and the files that it reads and writes. */
export interface Placed {
  model: string;
  /** As `outputsFor` gives it. */
  output: string;
  /** The names of its files, the main one first, which its outputs in a folder have, too. */
  files: readonly string[];
}

const outputPaths = ({ output, files }: Placed) =>
  output.endsWith("/") ? files.map((name) => join(output, name)) : [output];

async function inputPlaces({ model, files }: Placed): Promise<string[]> {
  if (isUrl(model)) return [];
  const folder = (await isFolder(model)) ? model : dirname(model);
  return (await Promise.all(files.map((name) => placesOf(join(folder, name))))).flat();
}

/**
 * Throws a UsageError where two models would write the same file, or one would write over what another is read
 * from. Nothing is written before.
 */
export async function refuseClashes(placed: readonly Placed[]): Promise<void> {
  const readers = new Map<string, Placed>();
  for (const it of placed) {
    for (const place of await inputPlaces(it)) readers.set(place, it);
  }
  const writers = new Map<string, Placed>();
  for (const it of placed) {
    for (const path of outputPaths(it)) {
      const key = await placeOf(path);
      const other = writers.get(key);
      const reader = readers.get(key);
      if (other) {
        throw new UsageError(
          `"${visible(other.model)}" and "${visible(it.model)}" would both be written to "${visible(path)}": ` +
            "shrink them one by one, with an output each.",
        );
      }
      if (reader && reader !== it) {
        throw new UsageError(
          `The output of "${visible(it.model)}" would be written over "${visible(reader.model)}".`,
        );
      }
      writers.set(key, it);
    }
  }
}

/** The names of what lies in a model's folder besides the model: configurations, vocabularies. */
export async function companionsIn(model: string, written: readonly string[]): Promise<string[]> {
  if (model === standardStream || !(await isFolder(model))) return [];
  const names = await readdir(model);
  return names.filter((name) => companion.test(name) && !written.includes(name)).sort();
}
