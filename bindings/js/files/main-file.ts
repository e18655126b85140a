/** The choice of a set's main file, the one that names the others. */
import { ArgumentError } from "../base/errors.js";
import { isMainFile, isVariantOf, mainFilePatterns } from "../base/formats.js";

const list = (names: readonly string[]) =>
  names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");

const depthOf = (name: string) => name.split("/").length;

/** The one of `names` that all others are variants of, if there is one. */
const plainOf = (names: readonly string[]) =>
  names.find((plain) => names.every((name) => name === plain || isVariantOf(name, plain)));

/** The model among files of one folder level; undefined when none is known as one. */
function modelAmong(names: readonly string[], advice: string): string | undefined {
  for (const pattern of mainFilePatterns) {
    const models = names.filter((name) => pattern.test(name));
    if (models.length === 0) continue;
    const plain = plainOf(models);
    if (plain !== undefined) return plain;
    throw new ArgumentError(
      `There are several models among the files (${list(models)}): ${advice}.`,
    );
  }
  return undefined;
}

/**
 * The main file among `names`, whose folders are parted by "/": the nearest model to the top, and of an ONNX model in
 * several number types the plain one. Throws an ArgumentError when there is none or more than one; `advice` says what
 * to pass then.
 */
export function mainFileOf(names: readonly string[], advice = "give one of them alone"): string {
  const [first] = names;
  if (first !== undefined && names.length === 1) return first;
  for (const depth of [...new Set(names.map(depthOf))].sort((a, b) => a - b)) {
    const main = modelAmong(
      names.filter((name) => depthOf(name) === depth),
      advice,
    );
    if (main !== undefined) return main;
  }
  // A TensorFlow.js model need not be called model.json.
  const [json, ...others] = names.filter((name) => /\.json$/i.test(name));
  if (json !== undefined && others.length === 0) return json;
  throw new ArgumentError(
    names.length === 0
      ? "There are no files; those in further folders are not looked for."
      : `None of the files is known as a model (${list(names)}): an .onnx, .safetensors, .gguf, ` +
          ".index.json or model.json file is needed.",
  );
}

/** The subfolder where transformers.js and Hugging Face's repositories keep ONNX models. */
export const onnxFolder = "onnx";

/** Gives the part of a path that names its folder: "" or with "/" at its end. */
export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);

/**
 * The main file of a folder: one of the `names` in it, or of those in its subfolder "onnx", which `namesInOnnx`
 * lists. `folder` is what errors call it.
 */
export async function mainFileInFolder(
  folder: string,
  names: readonly string[],
  namesInOnnx: () => Promise<readonly string[]>,
): Promise<string> {
  const visible = (all: readonly string[]) => all.filter((name) => !name.startsWith(".")).sort();
  const own = visible(names);
  try {
    const isKnown = own.some(isMainFile);
    const below = isKnown ? [] : visible(await namesInOnnx());
    const models = below.filter((name) => /\.onnx$/i.test(name)).map((it) => `${onnxFolder}/${it}`);
    const advice = "pass the path of one of them instead of the folder";
    return mainFileOf(models.length > 0 ? models : own, advice);
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new ArgumentError(`"${folder}": ${error.message}`);
  }
}
