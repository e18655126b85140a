/** The options of init() and its result; apart from the loader, so that users need not have its types. */
import type {
  Response as AnyResponse,
  URL as AnyURL,
  WebAssemblyModule,
} from "../base/platform-types.js";

/** The options of `init`. */
export interface InitOptions {
  /** The core's binary, or a URL that it is fetched from; by default the file that the package has. */
  wasm?: AnyURL | AnyResponse | ArrayBuffer | ArrayBufferView<ArrayBuffer> | WebAssemblyModule;
  /** Chooses between the two default binaries: "auto" (the default) asks the engine whether it has SIMD. */
  simd?: "auto" | boolean;
}

/** The result of `init`. */
export interface InitInfo {
  /** True when the core that runs uses SIMD instructions. */
  simd: boolean;
}
