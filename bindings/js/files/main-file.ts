/** Which file of a set is the one that names the others. */
import { ArgumentError } from "../base/errors.js";
import { mainFilePatterns } from "../base/formats.js";

const list = (names: readonly string[]) =>
  names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");

/** The main file among `names`; an ArgumentError when there is none or more than one. */
export function mainFileOf(names: readonly string[]): string {
  const [first] = names;
  if (first !== undefined && names.length === 1) return first;
  for (const pattern of mainFilePatterns) {
    const [main, ...others] = names.filter((name) => pattern.test(name));
    if (main === undefined) continue;
    if (others.length === 0) return main;
    throw new ArgumentError(
      `There are several models among the files (${list([main, ...others])}): give one of them alone.`,
    );
  }
  // A TensorFlow.js model need not be called model.json.
  const [json, ...others] = names.filter((name) => /\.json$/i.test(name));
  if (json !== undefined && others.length === 0) return json;
  throw new ArgumentError(
    names.length === 0
      ? "There are no files."
      : `None of the files is known as a model (${list(names)}): an .onnx, .safetensors, .gguf, ` +
          ".index.json or model.json file is needed.",
  );
}
