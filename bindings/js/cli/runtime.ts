/** The user's onnxruntime, and the samples of `--inputs`. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UnsupportedError } from "../base/errors.js";
import { ioError } from "../files/node/io-error.js";
import { checkOrt, type Feeds, type OrtModule } from "../runtime/session.js";
import { UsageError, type Arguments } from "./args.js";

/** onnxruntime-node from the folder where the command runs, or beside modelshrink. */
async function loadOrt(): Promise<OrtModule> {
  const places = [join(process.cwd(), "package.json"), import.meta.url];
  for (const place of places) {
    try {
      const path = createRequire(place).resolve("onnxruntime-node");
      return checkOrt(await import(pathToFileURL(path).href));
    } catch {
      // The next place.
    }
  }
  throw new UnsupportedError(
    "Running a model needs onnxruntime-node: npm install onnxruntime-node",
  );
}

type Numbers = readonly (number | boolean | string)[];

const arrays: Record<string, (data: Numbers) => unknown> = {
  float32: (data) => Float32Array.from(data, Number),
  float64: (data) => Float64Array.from(data, Number),
  int32: (data) => Int32Array.from(data, Number),
  int64: (data) => BigInt64Array.from(data, (it) => BigInt(it)),
  uint8: (data) => Uint8Array.from(data, Number),
  int8: (data) => Int8Array.from(data, Number),
  bool: (data) => Uint8Array.from(data, Number),
  string: (data) => data.map(String),
};

function tensorOf(where: string, value: unknown): Feeds[string] {
  const { data, dims, type = "float32" } = (value ?? {}) as Record<string, unknown>;
  const make = typeof type === "string" && Object.hasOwn(arrays, type) ? arrays[type] : undefined;
  if (!Array.isArray(data) || !Array.isArray(dims) || !make) {
    throw new UsageError(
      `${where} must be {"data": [numbers], "dims": [sizes], "type": one of ` +
        `${Object.keys(arrays).join(", ")}}.`,
    );
  }
  return { type: type as string, data: make(data as Numbers), dims: dims as number[] };
}

async function samplesFrom(path: string): Promise<Feeds[]> {
  let text;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw ioError("read", path, cause);
  }
  let samples: unknown;
  try {
    samples = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`The samples in "${path}" are no JSON: ${String(cause)}`);
  }
  const list: unknown[] = Array.isArray(samples) ? samples : [samples];
  return list.map((sample, i) =>
    Object.fromEntries(
      Object.entries(sample ?? {}).map(([name, value]) => [
        name,
        tensorOf(`"${name}" of sample ${i} in "${path}"`, value),
      ]),
    ),
  );
}

export async function runtimeFor({ inputs }: Arguments, command: string) {
  if (inputs === undefined) throw new UsageError(`"${command}" needs --inputs <data.json>.`);
  return { inputs: await samplesFrom(inputs), ort: await loadOrt() };
}
