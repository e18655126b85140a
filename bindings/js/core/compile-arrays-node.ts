/** Reads and compiles the small core; apart from the whole one, so that nobody ships what is not imported. */
import { compileOwn } from "./compile-node.js";

/** Reads and compiles the core of the array functions. */
export const compileArrays = (simd: boolean): Promise<WebAssembly.Module> =>
  compileOwn(
    simd
      ? new URL("../wasm/arrays-simd.wasm", import.meta.url)
      : new URL("../wasm/arrays-baseline.wasm", import.meta.url),
  );
