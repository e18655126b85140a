// Makes a WebAssembly module of this process trap when it next calls JavaScript, as every call into it does.
import { readFile } from "node:fs/promises";

/** The message of each module's next trap. */
const traps = new Map();

const { Instance } = WebAssembly;
WebAssembly.Instance = function (module, imports) {
  const wrap = (work) =>
    function (...args) {
      const message = traps.get(module);
      if (message === undefined) return work(...args);
      traps.delete(module);
      throw new WebAssembly.RuntimeError(message);
    };
  const wrapAll = (functions) =>
    Object.fromEntries(
      Object.entries(functions).map(([name, value]) => [
        name,
        typeof value === "function" ? wrap(value) : value,
      ]),
    );
  const wrapped = Object.entries(imports).map(([name, functions]) => [name, wrapAll(functions)]);
  return new Instance(module, Object.fromEntries(wrapped));
};

/** Compiles a binary of dist/wasm: `{ wasm, trapNext }`, for init(), and to make it trap with a message in its next call. */
export async function trappable(name) {
  const wasm = await WebAssembly.compile(
    await readFile(new URL(`../../dist/wasm/${name}`, import.meta.url)),
  );
  return { wasm, trapNext: (message) => void traps.set(wasm, message) };
}
