/** A model in the user's onnxruntime. */
import { usersValues } from "../base/door.js";
import { ArgumentError, ModelShrinkError, UnsupportedError } from "../base/errors.js";
import { checkObject, show } from "../base/options.js";
import { isA, tagOf } from "../base/tags.js";
import { oneLine } from "../base/visible.js";
import { init } from "../core/init.js";
import { dequantize } from "../arrays/quantize.js";
import type { ReadOptions } from "../files/raw.js";
import type { Source } from "../files/source.js";
import { modelFilesOf, type ModelFiles } from "./model-files.js";

const textOf = (cause: unknown) => oneLine(cause instanceof Error ? cause.message : String(cause));

/** The part of an onnxruntime tensor that modelshrink uses. */
export interface OrtTensor {
  /** The element type: "float32", "int64", … */
  readonly type: string;
  /** The elements: a typed array, or an array of strings. */
  readonly data: unknown;
  /** The sizes of the dimensions; none for a single number. */
  readonly dims: readonly number[];
  /** Frees the tensor's memory, where it is not JavaScript's. */
  dispose?(): void;
}

interface ValueMetadata {
  name: string;
  isTensor: boolean;
  type?: string;
  /** A number, or the name of a dimension of any size. */
  shape?: readonly (number | string)[];
}

interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Descriptions of the inputs, since onnxruntime 1.21. */
  readonly inputMetadata?: readonly ValueMetadata[];
  /** Descriptions of the outputs, since onnxruntime 1.21. */
  readonly outputMetadata?: readonly ValueMetadata[];
  run(
    feeds: Record<string, unknown>,
    fetches?: readonly string[],
  ): Promise<Record<string, OrtTensor>>;
  release?(): Promise<void>;
}

/** The part of `import * as ort from "onnxruntime-web"` (or "onnxruntime-node") that modelshrink uses. */
export interface OrtModule {
  /** The environment; a native onnxruntime has its version there. */
  env?: object;
  /** The class of sessions. */
  InferenceSession: {
    /** Loads a model. */
    create(model: Uint8Array, options?: Record<string, unknown>): Promise<unknown>;
  };
  /** The class of tensors. */
  Tensor: {
    /** Makes a tensor of a type from its elements. */
    new (type: never, data: never, dims: readonly number[]): unknown;
  };
}

/** Options of onnxruntime's sessions, by its names: `executionProviders`, `graphOptimizationLevel`, … */
export type SessionOptions = Readonly<Record<string, unknown>>;

/** Gives the option `session` when it is an object without `externalData`; throws an ArgumentError otherwise. */
export function checkSessionOptions(value: unknown): SessionOptions {
  const options = checkObject("session", value ?? {});
  if (options.externalData === undefined) return options;
  throw new ArgumentError(
    "session.externalData is not yours to give: pass the model as a record of all its files.",
  );
}

/** The parts of an onnxruntime tensor that is to be made. */
export interface TensorParts {
  /** The element type; by default that of the typed array (a Uint16Array is float16). */
  type?: string;
  /** The elements: a typed array, or an array of strings. */
  data: unknown;
  /** The sizes of the dimensions; none for a single number. */
  dims: readonly number[];
}

/** One sample: a value for every input of the model, by name. */
export type Feeds = Readonly<Record<string, OrtTensor | TensorParts>>;

/** A function that runs a model on one sample and gives its outputs by name. */
export type Run = (feeds: Feeds) => Promise<Record<string, OrtTensor>>;

/** A function that gives a figure of quality for a model that it can run; higher is better. */
export type Metric = (run: Run) => number | Promise<number>;

/** Samples to run, one after the other. */
export type Samples = Iterable<Feeds> | AsyncIterable<Feeds>;

/** Gives onnxruntime when `value` is it, or holds it as `default`; throws an ArgumentError otherwise. */
export function checkOrt(value: unknown): OrtModule {
  const ort = checkObject("ort", value) as Partial<OrtModule> & { default?: unknown };
  if (ort.InferenceSession && ort.Tensor) return ort as OrtModule;
  // A CommonJS module in an ES one.
  if (ort.default !== undefined && ort.default !== value) return checkOrt(ort.default);
  throw new ArgumentError(
    "ort has no InferenceSession and Tensor: pass onnxruntime-node or onnxruntime-web itself.",
  );
}

/** Gives `value` when it is a list of samples; throws an ArgumentError otherwise. */
export function checkSamples(value: unknown): Samples {
  if ((value as { locked?: unknown } | null | undefined)?.locked === true) {
    throw new ArgumentError("inputs is a stream that is locked: another reader has it.");
  }
  const isList = typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
  if (isList && (Symbol.iterator in value || Symbol.asyncIterator in value)) {
    return { [Symbol.asyncIterator]: () => usersValues(value as Samples) };
  }
  throw new ArgumentError(`inputs is ${show(value)}; it must be a list of samples.`);
}

const typeOfArray = new Map<string, string>([
  ["Float32Array", "float32"],
  ["Float64Array", "float64"],
  ["Int32Array", "int32"],
  ["BigInt64Array", "int64"],
  ["Uint8Array", "uint8"],
  ["Int8Array", "int8"],
  ["Uint16Array", "float16"],
  ["Float16Array", "float16"],
  ["Int16Array", "int16"],
  ["Uint32Array", "uint32"],
  ["BigUint64Array", "uint64"],
]);

/**
 * Gives the numbers of an output as float32, whatever onnxruntime holds them in. Throws an UnsupportedError for
 * texts.
 */
export function floatsOf(name: string, tensor: OrtTensor): Float32Array {
  const { type, data } = tensor;
  if (isA(data, "Float32Array")) return data as Float32Array;
  if (isA(data, "Uint16Array") && type === "float16") {
    const codes = new Uint16Array(data as Uint16Array);
    return dequantize({
      ...{ type: "float16", shape: [codes.length], data: codes, scale: new Float32Array(0) },
    });
  }
  if (ArrayBuffer.isView(data) && !isA(data, "DataView")) {
    return Float32Array.from(data as unknown as ArrayLike<number | bigint>, Number);
  }
  throw new UnsupportedError(`The value "${name}" is of type ${type}, which holds no numbers.`);
}

const givenLabels = new WeakMap<object, string>();

/** Gives `sample` the name that errors have for it: that of its file, say, in quotes. */
export function labelled(sample: Feeds, label: string): Feeds {
  givenLabels.set(sample, label);
  return sample;
}

/** Gives the name that errors have for the sample of this number. */
export const labelOf = (number: number, sample: Feeds) =>
  givenLabels.get(sample) ?? `inputs[${number}]`;

/** Describes a value for people: its type, and its dimensions, of which "?" has any size. */
const valueText = (type: string, dims: readonly (number | string)[]) =>
  `${type} [${dims.map((it) => (typeof it === "number" ? it : "?")).join(", ")}]`;

/**
 * Options that keep a native onnxruntime from reading files: of a model in memory it would look for external data in
 * the folder where the process runs. Files that are given by name are found nevertheless.
 */
function withoutDisk(ort: OrtModule, { extra }: SessionOptions): SessionOptions {
  const { versions } = (ort.env ?? {}) as { versions?: { node?: unknown } };
  if (versions?.node === undefined) return {};
  const given = (extra ?? {}) as { session?: SessionOptions };
  const folder = { model_external_initializers_file_folder_path: "files in memory only" };
  return { extra: { ...given, session: { ...given.session, ...folder } } };
}

/** Describes the tensors of a sample. */
const givenText = (tensors: Readonly<Record<string, unknown>>) =>
  Object.entries(tensors as Record<string, OrtTensor>)
    .map(([name, { type, dims }]) => `${name} (${valueText(type, dims)})`)
    .join(", ");

/** A model that is loaded in the user's onnxruntime. */
export class Session {
  readonly #ort: OrtModule;
  readonly #session: OrtSession;

  private constructor(ort: OrtModule, session: OrtSession) {
    this.#ort = ort;
    this.#session = session;
  }

  /**
   * Loads a model; `what` is its name in errors. Unless `options` say otherwise it runs as onnxruntime runs it for
   * everyone, with all optimizations of the graph. Throws a ModelShrinkError of code "unsupported" when it cannot load.
   */
  static async open(
    ort: OrtModule,
    { main, externalData }: ModelFiles,
    what: string,
    options: SessionOptions,
  ): Promise<Session> {
    await init();
    try {
      const session = await ort.InferenceSession.create(main, {
        // Warnings about unused initializers are not the user's business.
        logSeverityLevel: 3,
        ...options,
        ...(externalData.length > 0 ? { externalData } : {}),
        ...withoutDisk(ort, options),
      });
      return new Session(ort, session as OrtSession);
    } catch (cause) {
      const message = `onnxruntime cannot load ${what}: ${textOf(cause)}`;
      throw new ModelShrinkError(message, "unsupported", { cause });
    }
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  /** Says why an output holds no numbers that could be read, as far as onnxruntime tells before it runs. */
  unreadable(name: string): string | undefined {
    const found = this.#session.outputMetadata?.find((it) => it.name === name);
    if (found?.isTensor === false) return "is no tensor";
    return found?.type === "string" ? "is of texts" : undefined;
  }

  /** Runs one sample, whose name in errors is `label`; gives all outputs that are tensors, or those of `fetches`. */
  async run(
    feeds: Feeds,
    label: string,
    fetches: readonly string[] = this.#tensorOutputs(),
  ): Promise<Record<string, OrtTensor>> {
    const given = checkObject(label, feeds) as Feeds;
    const { inputNames } = this.#session;
    const missing = inputNames.find((name) => !Object.hasOwn(given, name));
    const unknown = Object.keys(given).find((name) => !inputNames.includes(name));
    if (missing !== undefined || unknown !== undefined) {
      const what = [
        missing === undefined ? [] : `has no ${show(missing)}`,
        unknown === undefined ? [] : `has ${show(unknown)}, which is no input`,
      ].flat();
      throw new ArgumentError(
        `${label} ${what.join(", and ")}; the model's inputs are ${this.#inputsText()}.`,
      );
    }
    const tensors = Object.fromEntries(
      Object.entries(given).map(([name, it]) => [name, this.#tensorOf(`${label}.${name}`, it)]),
    );
    try {
      return await this.#session.run(tensors, fetches);
    } catch (cause) {
      throw new ArgumentError(
        `onnxruntime cannot run ${label}: ${textOf(cause).replace(/\.?$/, ".")} The model's inputs are ` +
          `${this.#inputsText()}; the sample has ${givenText(tensors)}.`,
        { cause },
      );
    }
  }

  async close(): Promise<void> {
    await this.#session.release?.();
  }

  /** Describes the model's inputs, as far as onnxruntime tells. */
  #inputsText(): string {
    const { inputNames, inputMetadata } = this.#session;
    const describe = (name: string) => {
      const found = inputMetadata?.find((it) => it.name === name);
      if (found?.type === undefined || found.shape === undefined) return name;
      return `${name} (${valueText(found.type, found.shape)})`;
    };
    return inputNames.map(describe).join(", ");
  }

  #tensorOutputs(): string[] {
    return this.outputNames.filter((name) => this.unreadable(name) !== "is no tensor");
  }

  #tensorOf(label: string, value: Feeds[string]): unknown {
    if (value instanceof this.#ort.Tensor) return value;
    const { type, data, dims } = checkObject(label, value);
    const known = type ?? typeOfArray.get(tagOf(data));
    if (known === undefined || !Array.isArray(dims)) {
      throw new ArgumentError(
        `${label} must be an onnxruntime Tensor or { data, dims } with a typed array.`,
      );
    }
    try {
      return new this.#ort.Tensor(known as never, data as never, dims as number[]);
    } catch (cause) {
      throw new ArgumentError(`${label} makes no tensor: ${textOf(cause)}`, { cause });
    }
  }
}

/** The names of a model's inputs, as onnxruntime tells them. The model is loaded for it and released again. */
export async function inputNamesOf(
  ort: OrtModule,
  model: Source,
  options: ReadOptions,
): Promise<readonly string[]> {
  const session = await Session.open(ort, await modelFilesOf(model, options), "the model", {});
  try {
    return session.inputNames;
  } finally {
    await session.close();
  }
}
