// Both WASM binaries, TypeScript and the bundles for browsers, into dist/. Ninja and tsc are incremental, so an
// unchanged tree costs seconds.
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root, runOrExit } from "../tests/support/run.mjs";
import { bundle } from "./bundle.mjs";

const dist = join(root, "dist");

function emscriptenEnv() {
  const where = execFileSync("sh", ["-c", "command -v em++"], { encoding: "utf8" }).trim();
  // Debian's Emscripten looks for acorn where Debian's Node.js would.
  return where === "/usr/bin/em++" ? { NODE_PATH: "/usr/share/nodejs" } : {};
}

async function buildWasm(variant) {
  const preset = `wasm-${variant}`;
  const env = emscriptenEnv();
  if (!existsSync(join(root, "build", preset, "build.ninja"))) {
    await runOrExit("emcmake", ["cmake", "--preset", preset], { env });
  }
  console.log(`WebAssembly, ${variant} (the first build takes minutes)`);
  await runOrExit("cmake", ["--build", "--preset", preset, "--parallel", "2"], { env });
  return join(root, "build", preset);
}

/** Writes only what changed, so that what is built from dist stays up to date too. */
async function install(bytes, name) {
  const to = join(dist, name);
  if (existsSync(to) && bytes.equals(await readFile(to))) return;
  await writeFile(to, bytes);
}

/**
 * The glue names a default binary, which no package holds: the loader brings its own. Bundlers would look
 * for that file.
 */
function withoutDefaultBinary(glue) {
  const url = /new URL\((["'])modelshrink\.wasm\1, ?import\.meta\.url\)\.(toString\(\)|href)/g;
  const changed = glue.replace(url, '"modelshrink.wasm"');
  if (!/new URL\(["']modelshrink\.wasm/.test(changed)) return Buffer.from(changed);
  process.stderr.write(
    "Emscripten's glue names its binary in a way that build.mjs does not know.\n",
  );
  process.exit(1);
}

const simd = await buildWasm("simd");
const baseline = await buildWasm("baseline");
const glue = await readFile(join(simd, "modelshrink.mjs"), "utf8");
if (glue !== (await readFile(join(baseline, "modelshrink.mjs"), "utf8"))) {
  process.stderr.write(
    "The SIMD and the baseline build need different glue; dist/ ships one for both.\n",
  );
  process.exit(1);
}
await mkdir(join(dist, "wasm"), { recursive: true });
await mkdir(join(dist, "core"), { recursive: true });
await install(withoutDefaultBinary(glue), "core/modelshrink.mjs");
await install(await readFile(join(simd, "modelshrink.wasm")), "wasm/modelshrink-simd.wasm");
await install(await readFile(join(baseline, "modelshrink.wasm")), "wasm/modelshrink-baseline.wasm");

// tsc trusts its build info even when the files it wrote are gone.
const stamp = existsSync(join(dist, "index.js")) ? [] : ["--force"];
await runOrExit(process.execPath, ["node_modules/typescript/bin/tsc", "--build", ...stamp]);
await bundle();
