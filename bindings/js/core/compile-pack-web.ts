/** Fetches and compiles the core of packed files; apart from the others, so that nobody ships what is not imported. */
import { compileOwn } from "./compile-web.js";

/** Fetches and compiles the core of packed files. */
export const compilePack = (simd: boolean): Promise<WebAssembly.Module> =>
  compileOwn(
    simd
      ? new URL("./wasm/pack-simd.wasm", import.meta.url)
      : new URL("./wasm/pack-baseline.wasm", import.meta.url),
  );
