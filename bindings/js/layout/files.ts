/** The files of a repository that transformers.js loads, and their places in a folder for it. */
import { ArgumentError, FormatError, UnsupportedError } from "../base/errors.js";
import { companion, plainNameOf } from "../base/formats.js";
import { list } from "../base/options.js";
import { visible } from "../base/visible.js";
import { fold } from "../files/fold.js";
import { folderOf, onnxFolder } from "../files/main-file.js";

/** The most models of a repository; real ones have up to ten. */
const maxModels = 100;
/** The most files that are copied. */
const maxCompanions = 1000;
/** The longest path in UTF-16 units. */
const maxPathLength = 1024;

/** The file that says what a repository is. */
export const configName = "config.json";

/** A model of the repository. */
export interface RepositoryModel {
  /** Its path. */
  name: string;
  /** The folder of its outputs, "" or with "/" at its end. */
  folder: string;
  /** Its name without ".onnx". */
  stem: string;
}

/** What is made of which files. */
export interface RepositoryFiles {
  models: RepositoryModel[];
  /** The files that are copied, `config.json` last: without it nothing is loaded. */
  companions: string[];
  /** Models that are left out because they are in a number type of transformers.js already. */
  leftOut: string[];
}

/** Names that Windows takes for devices, whatever comes after a dot. */
const device = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³]) *(\.|$)/i;

/** Tells whether a part of a path names the same file on every system: Windows drops dots and spaces at the end. */
const isPlainPart = (part: string) => part !== "" && !/[. ]$/.test(part) && !device.test(part);

/**
 * Throws a FormatError for a path that could lead out of a folder, is another file's or a device's on some system, is no
 * text (surrogates without their halves), or is not shown as it is.
 */
function checkPath(name: string): void {
  const isBad =
    name.length > maxPathLength ||
    /[\\:\p{Cs}]/u.test(name) ||
    visible(name) !== name ||
    !name.split("/").every(isPlainPart);
  if (!isBad) return;
  const shown = list([name.slice(0, maxPathLength)]);
  throw new FormatError(`The repository has a file ${shown}, which is no path in it.`);
}

/** Throws an ArgumentError where two paths would be one file on some file system, or one file another's folder. */
export function checkApart(names: readonly string[]): void {
  const taken = new Map<string, string>();
  const folders = new Map<string, string>();
  for (const name of names) {
    const other = taken.get(fold(name));
    if (other !== undefined) {
      throw new ArgumentError(
        other === name
          ? `Two files would be written to ${list([name])}.`
          : `${list([other, name])} would be one file on some file systems.`,
      );
    }
    taken.set(fold(name), name);
    for (const { index } of name.matchAll(/\//g)) folders.set(fold(name.slice(0, index)), name);
  }
  for (const [folded, name] of taken) {
    const inside = folders.get(folded);
    if (inside === undefined) continue;
    throw new ArgumentError(
      `${list([name])} would be a file, and the folder of ${list([inside])}.`,
    );
  }
}

function bounded(what: string, names: readonly string[], most: number): void {
  if (names.length <= most) return;
  throw new UnsupportedError(
    `The repository has ${names.length} ${what}; at most ${most} are read.`,
  );
}

/** Chooses among the names of a repository's files. Throws an ArgumentError where it has no model or no config.json. */
export function chooseFiles(names: readonly string[]): RepositoryFiles {
  const seen = names.filter((name) => !/(^|\/)\.(?!\.?(\/|$))/.test(name));
  const all = seen.filter((name) => /\.onnx$/i.test(name));
  // One level only: what lies deeper is of other models, or of the tools that made them.
  const companions = seen.filter((name) => !name.includes("/") && companion.test(name)).sort();
  for (const name of [...all, ...companions]) checkPath(name);
  const leftOut = all.filter((name) => plainNameOf(name) !== name);
  const models = all
    .filter((name) => !leftOut.includes(name))
    .map((name) => ({
      name,
      folder: folderOf(name) || `${onnxFolder}/`,
      stem: name.slice(folderOf(name).length, -".onnx".length),
    }));
  bounded("models", all, maxModels);
  bounded("files to copy", companions, maxCompanions);
  const [first] = leftOut;
  if (models.length === 0) {
    throw new ArgumentError(
      first === undefined
        ? "The repository has no .onnx file."
        : `The repository has models in small number types only: ${list([plainNameOf(first)])} is needed, not ${list([first])}.`,
    );
  }
  if (!companions.includes(configName)) {
    throw new ArgumentError(`The repository has no ${configName}, which transformers.js needs.`);
  }
  const others = companions.filter((name) => name !== configName);
  return { models, companions: [...others, configName], leftOut };
}
