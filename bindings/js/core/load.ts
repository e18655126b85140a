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
import type { CoreError, CoreModule } from "./types.js";

/** A module with one function whose body is `v128.const 0; drop`. */
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 11,
]);

/** One of the two modules that the core is built as. */
export interface CoreBuild {
  /** False: it has the functions of arrays only. */
  hasModels: boolean;
  createModule: (overrides: ModuleOverrides) => Promise<CoreModule>;
  /** Reads and compiles the binary of the package, with SIMD or without. */
  compileDefault: (simd: boolean) => Promise<WebAssembly.Module>;
}

/** The build that `binary`, `loading` and `current` are of. */
let build: CoreBuild | undefined;
let binary: WebAssembly.Module | undefined;
let loading: Promise<CoreModule> | undefined;
let current: CoreModule | undefined;

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
  { compileDefault }: CoreBuild,
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
function instantiate({ createModule }: CoreBuild, module: WebAssembly.Module): Promise<CoreModule> {
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
    createModule(overrides).then((core) => {
      if (!isReady) current = core;
      resolve(core);
    }, reject);
    // Emscripten fills in the very object that it was given.
    isReady = "simdTarget" in overrides;
    if (isReady) current = overrides as unknown as CoreModule;
  });
}

async function load(
  wanted: CoreBuild,
  compiled: () => Promise<WebAssembly.Module>,
): Promise<CoreModule> {
  if (build && wanted.hasModels && !build.hasModels) {
    // The page began with arrays: from now on the whole core serves them, too.
    await loading?.catch(() => undefined);
    current = binary = loading = undefined;
    build = wanted;
  }
  if (current) return current;
  const own = (build ??= wanted);
  loading ??= (async () => {
    try {
      binary ??= await compiled();
      return await instantiate(own, binary);
    } catch (cause) {
      if (cause instanceof ModelShrinkError) throw cause;
      throw new ModelShrinkError(`The core could not be loaded: ${String(cause)}`, "io", { cause });
    } finally {
      loading = undefined;
    }
  })();
  return loading;
}

/** Gives the core, loaded with default options when nobody called `init()`; it may have more than `wanted`. */
export async function loadCore(wanted: CoreBuild, options: InitOptions = {}): Promise<CoreModule> {
  checkOptions(options);
  return load(wanted, () => compile(wanted, options));
}

/** Gives a worker's core, made from the module that its pool has compiled. */
export const loadCompiled = (wanted: CoreBuild, module: WebAssemblyModule): Promise<CoreModule> =>
  load(wanted, () => Promise.resolve(module));

/** Tells what a loaded core is. */
export const infoOf = (core: CoreModule): InitInfo => ({ simd: core.simdTarget() === "WASM" });

/** Gives the compiled module of the loaded core, for workers. */
export function compiledCore(): WebAssemblyModule {
  if (binary) return binary;
  throw new ModelShrinkError("The core is not loaded.", "internal");
}

/** Gives the loaded core to synchronous functions; throws a ModelShrinkError before `init()`. */
export function loadedCore(): CoreModule {
  if (current) return current;
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
export function isAlive(core: CoreModule): boolean {
  return core === current;
}

function fromTrap(cause: unknown): ModelShrinkError {
  const text = cause instanceof Error ? cause.message : String(cause);
  // The core is built without exceptions: an allocation that fails inside the C++ library aborts.
  // Engines call arrays that they have no room for an allocation that failed, or a length that is not valid.
  if (/memory(?! access)|oom|abort|alloc|array length/i.test(text)) {
    return new OutOfMemoryError("The core ran out of memory and was restarted.", { cause });
  }
  return new ModelShrinkError(`The core stopped and was restarted: ${text}`, "internal", { cause });
}

function restart(dead: CoreModule): void {
  if (!isAlive(dead) || !binary || !build) return;
  current = undefined;
  const restarted = instantiate(build, binary).finally(() => {
    loading = undefined;
  });
  restarted.catch(() => undefined);
  loading = restarted;
}

/** Runs one synchronous piece of work in the core; a trap in it becomes one of our errors. */
export function callCore<T>(core: CoreModule, work: (core: CoreModule) => T): T {
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
