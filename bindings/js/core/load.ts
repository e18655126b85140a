/** Loads the core, keeps it, and replaces it after a trap. */
import { compileUrl } from "#compile";
import {
  ArgumentError,
  errorOf,
  ModelShrinkError,
  OutOfMemoryError,
  UnsupportedError,
  type ErrorCode,
} from "../base/errors.js";
import { checkKeys, checkObject } from "../base/options.js";
import { isA } from "../base/tags.js";
import type { WebAssemblyModule } from "../base/platform-types.js";
import type { InitInfo, InitOptions } from "./init-options.js";
import type { ModuleOverrides } from "./modelshrink.mjs";
import type { AnyModule, CoreError, CoreModule } from "./types.js";

/** A module with one function whose body is `v128.const 0; drop`. */
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 11,
]);

/** One of the modules that the core is built as. */
export interface CoreBuild<C extends AnyModule = CoreModule> {
  /** The place that its instance takes: those of one place replace each other. */
  place: Place;
  /** False: it has the functions of arrays only, and gives its place to a build that has more. */
  isWhole: boolean;
  createModule: (overrides: ModuleOverrides) => Promise<C>;
  /** Reads and compiles the binary of the package, with SIMD or without. */
  compileDefault: (simd: boolean) => Promise<WebAssembly.Module>;
}

/** "core" is arrays, or arrays and models; "pack" is packed files. */
type Place = "core" | "pack";

type AnyBuild = CoreBuild<AnyModule>;

/** What is loaded in a place; all of it is of `build`. */
interface Loaded {
  build?: AnyBuild | undefined;
  binary?: WebAssembly.Module | undefined;
  loading?: Promise<AnyModule> | undefined;
  current?: AnyModule | undefined;
}

const places: Readonly<Record<Place, Loaded>> = { core: {}, pack: {} };

async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) {
    throw new ModelShrinkError(
      `The core could not be loaded from ${response.url}: HTTP status ${response.status}.`,
      "io",
    );
  }
  return WebAssembly.compile(await response.arrayBuffer());
}

function checkOptions(options: InitOptions): void {
  checkKeys("options", checkObject("options", options), ["wasm", "simd"]);
  const { wasm, simd = "auto" } = options;
  if (simd !== "auto" && typeof simd !== "boolean") {
    throw new ArgumentError(`simd is ${String(simd)}; it may be "auto", true or false.`);
  }
  const known =
    wasm === undefined ||
    ArrayBuffer.isView(wasm) ||
    isA(wasm, "URL", "WebAssembly.Module", "ArrayBuffer", "Response");
  if (!known) {
    throw new ArgumentError(
      "wasm may be a URL, a Response, an ArrayBuffer, a typed array or a WebAssembly.Module.",
    );
  }
}

function compile(
  { compileDefault }: AnyBuild,
  { wasm, simd = "auto" }: InitOptions,
): Promise<WebAssembly.Module> {
  if (isA(wasm, "WebAssembly.Module")) return Promise.resolve(wasm as WebAssembly.Module);
  if (wasm === undefined) {
    return compileDefault(simd === "auto" ? WebAssembly.validate(simdProbe) : simd);
  }
  if (isA(wasm, "URL")) return compileUrl(wasm as URL);
  if (isA(wasm, "Response")) return compileResponse(wasm as Response);
  return WebAssembly.compile(wasm as BufferSource);
}

/**
 * Makes a fresh instance. Instantiating is synchronous where the engine allows it (some refuse large
 * modules on a page's main thread), so that a synchronous call can follow a trap at once.
 */
function instantiate(
  place: Loaded,
  build: AnyBuild,
  module: WebAssembly.Module,
): Promise<AnyModule> {
  return new Promise((resolve, reject) => {
    const overrides = {
      instantiateWasm(
        imports: WebAssembly.Imports,
        receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
      ) {
        let instance;
        try {
          instance = new WebAssembly.Instance(module, imports);
        } catch {
          WebAssembly.instantiate(module, imports).then((late) => {
            receive(late, module);
          }, reject);
          return {};
        }
        receive(instance, module);
        return instance.exports;
      },
      print: () => undefined,
      printErr: () => undefined,
    };
    let isReady = false;
    build.createModule(overrides).then((core) => {
      if (!isReady) place.current = core;
      resolve(core);
    }, reject);
    // Emscripten fills in the very object that it was given.
    isReady = "simdTarget" in overrides;
    if (isReady) place.current = overrides as unknown as AnyModule;
  });
}

async function load<C extends AnyModule>(
  wanted: CoreBuild<C>,
  compiled: () => Promise<WebAssembly.Module>,
): Promise<C> {
  const place = places[wanted.place];
  if (place.build && wanted.isWhole && !place.build.isWhole) {
    // The page began with arrays: from now on the whole core serves them, too.
    await place.loading?.catch(() => undefined);
    place.current = place.binary = place.loading = undefined;
    place.build = wanted;
  }
  if (place.current) return place.current as C;
  const own = (place.build ??= wanted);
  place.loading ??= (async () => {
    try {
      place.binary ??= await compiled();
      return await instantiate(place, own, place.binary);
    } catch (cause) {
      if (cause instanceof ModelShrinkError) throw cause;
      throw new ModelShrinkError(`The core could not be loaded: ${String(cause)}`, "io", { cause });
    } finally {
      place.loading = undefined;
    }
  })();
  return place.loading as Promise<C>;
}

/** Gives the core, loaded with default options when nobody called `init()`; it may have more than `wanted`. */
export async function loadCore<C extends AnyModule>(
  wanted: CoreBuild<C>,
  options: InitOptions = {},
): Promise<C> {
  checkOptions(options);
  return load(wanted, () => compile(wanted, options));
}

/** Gives a worker's core, made from the module that its pool has compiled. */
export const loadCompiled = <C extends AnyModule>(
  wanted: CoreBuild<C>,
  module: WebAssemblyModule,
): Promise<C> => load(wanted, () => Promise.resolve(module));

/** Tells what a loaded core is. */
export const infoOf = (core: AnyModule): InitInfo => ({ simd: core.simdTarget() === "WASM" });

/** Gives the compiled module of the loaded core of a place, for workers. */
export function compiledCore(place: Place): WebAssemblyModule {
  const { binary } = places[place];
  if (binary) return binary;
  throw new ModelShrinkError("The core is not loaded.", "internal");
}

/** Gives the loaded core to synchronous functions; throws a ModelShrinkError before `init()`. */
export function loadedCore(): CoreModule {
  const { current } = places.core;
  if (current) return current as CoreModule;
  throw new ModelShrinkError(
    "modelshrink is not initialized: call `await init()` once before the array functions.",
    "internal",
  );
}

/** Gives the core if it has functions of layers; the small one of "modelshrink/arrays" has none. */
export function withLayers(core: CoreModule): CoreModule {
  if ("fitLayer" in core) return core;
  throw new UnsupportedError('This needs the whole core: take init from "modelshrink".');
}

/** Tells whether `core` still runs: a trap ends an instance, and its objects with it. */
export const isAlive = (core: AnyModule): boolean =>
  Object.values(places).some(({ current }) => current === core);

function fromTrap(cause: unknown): ModelShrinkError {
  const text = cause instanceof Error ? cause.message : String(cause);
  // The core is built without exceptions: an allocation that fails inside the C++ library aborts.
  // Engines call arrays that they have no room for an allocation that failed, or a length that is not valid.
  if (/memory(?! access)|oom|abort|alloc|array length/i.test(text)) {
    return new OutOfMemoryError("The core ran out of memory and was restarted.", { cause });
  }
  return new ModelShrinkError(`The core stopped and was restarted: ${text}`, "internal", { cause });
}

function restart(dead: AnyModule): void {
  const place = Object.values(places).find(({ current }) => current === dead);
  if (!place?.binary || !place.build) return;
  place.current = undefined;
  const restarted = instantiate(place, place.build, place.binary).finally(() => {
    place.loading = undefined;
  });
  restarted.catch(() => undefined);
  place.loading = restarted;
}

/** Runs one synchronous piece of work in the core; a trap in it becomes one of our errors. */
export function callCore<T, C extends AnyModule>(core: C, work: (core: C) => T): T {
  try {
    return work(core);
  } catch (error) {
    if (error instanceof ModelShrinkError) throw error;
    const isTrap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    if (isTrap) restart(core);
    throw isTrap
      ? fromTrap(error)
      : new ModelShrinkError(`The core failed: ${String(error)}`, "internal", { cause: error });
  }
}

/** The code of each error class, whose name is spelled as in src/base/errors.def. */
const codes: Readonly<Record<string, ErrorCode>> = {
  FormatError: "format",
  UnsupportedError: "unsupported",
  ArgumentError: "argument",
  OutOfMemoryError: "out-of-memory",
  IntegrityError: "integrity",
};

/** Makes the error that a value of the core stands for; its message says where. */
export function fromCoreError({ error, message, tensor, offset }: CoreError): ModelShrinkError {
  const place = [];
  if (tensor !== undefined && !message.includes(`"${tensor}"`)) place.push(`tensor "${tensor}"`);
  if (offset !== undefined) place.push(`byte ${offset}`);
  const text = place.length > 0 ? `${message} (${place.join(", ")})` : message;
  const code = Object.hasOwn(codes, error) ? codes[error]! : "internal";
  return errorOf({ message: text, code, tensor, offset });
}

/** Gives the value of a result of the core; throws when it is an error. */
export function unwrap<T>(result: T | CoreError): T {
  if (typeof result === "object" && result !== null && "error" in result) {
    throw fromCoreError(result);
  }
  return result;
}
