/** What config.json says of the ONNX files beside it, for transformers.js. */
import { FormatError } from "../base/errors.js";
import { configName } from "./files.js";

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parse(text: string): Json {
  try {
    const config: unknown = JSON.parse(text);
    if (isObject(config)) return config;
  } catch {
    // Said below.
  }
  throw new FormatError(`${configName} is no JSON object.`);
}

/** Removes from a configuration, or from that of a device, what holds for other files than those that are written. */
function prune(config: Json, written: ReadonlySet<unknown>): void {
  delete config.use_external_data_format;
  // By dtype: caches of the files here have the types of the original's.
  if (isObject(config.kv_cache_dtype)) delete config.kv_cache_dtype;
  const { dtype } = config;
  const asked = isObject(dtype) ? Object.values(dtype) : dtype === undefined ? [] : [dtype];
  if (!asked.every((it) => it === "auto" || written.has(it))) delete config.dtype;
}

/** Gives a configuration as text; `space` is that of JSON.stringify, which needs stack for each level. */
function textOf(config: Json, space?: number): string {
  try {
    return JSON.stringify(config, null, space);
  } catch (cause) {
    throw new FormatError(`${configName} is too deep or too large to be written.`, { cause });
  }
}

/**
 * Gives the config.json of a folder that has these `dtypes`, and of whose ONNX files those named in `external` have a file
 * of data each; undefined where that is `text` itself. Throws a FormatError where it is no JSON object, or so
 * deep that it cannot be written.
 */
export function configFor(
  text: string,
  dtypes: readonly string[],
  external: readonly string[],
): string | undefined {
  const key = "transformers.js_config";
  const config = parse(text);
  const before = textOf(config);
  if (external.length > 0 && !isObject(config[key])) config[key] = {};
  const own = config[key];
  if (!isObject(own)) return undefined;
  const written = new Set<unknown>(dtypes);
  prune(own, written);
  if (isObject(own.device_config)) {
    for (const device of Object.values(own.device_config)) {
      if (isObject(device)) prune(device, written);
    }
  }
  if (external.length > 0) {
    own.use_external_data_format = Object.fromEntries(external.map((name) => [name, 1]));
  }
  return textOf(config) === before ? undefined : `${textOf(config, 2)}\n`;
}
