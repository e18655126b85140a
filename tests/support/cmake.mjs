// CMake's presets, built for as many cores as there are.
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { root, run } from "./run.mjs";

/** Where a preset is built. */
export const buildFolder = (preset) => join(root, "build", preset);

/** What the build of WebAssembly needs in its environment. */
function emscriptenEnv() {
  const where = execFileSync("sh", ["-c", "command -v em++"], { encoding: "utf8" }).trim();
  // Debian's Emscripten looks for acorn where Debian's Node.js would.
  return where === "/usr/bin/em++" ? { NODE_PATH: "/usr/share/nodejs" } : {};
}

/**
 * Configures a preset, which takes a second when nothing has changed, and builds it.
 * @param {string} preset a name of CMakePresets.json
 * @param {{ targets?: string[], settings?: string[] }} [options] `targets`: by default what CMake builds by default;
 *   `settings`: "-DNAME=VALUE" beside those of the preset
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
export async function buildPreset(preset, { targets = [], settings = [] } = {}) {
  const isWasm = preset.startsWith("wasm-");
  const env = isWasm ? emscriptenEnv() : {};
  const configure = ["cmake", "--preset", preset, ...settings];
  const [command, ...args] = isWasm ? ["emcmake", ...configure] : configure;
  const configured = await run(command, args, { env });
  if (!configured.ok) return configured;
  const build = ["--build", "--preset", preset, "--parallel", `${availableParallelism()}`];
  if (targets.length > 0) build.push("--target", ...targets);
  return run("cmake", build, { env });
}

/** Builds a preset and ends this process with the compiler's output when that fails. */
export async function buildPresetOrExit(preset, options) {
  const { ok, output } = await buildPreset(preset, options);
  if (ok) return;
  process.stderr.write(`${output}\n${preset}: the build failed\n`);
  process.exit(1);
}
