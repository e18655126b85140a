// Runtimes and test runners: each runs the app and must give what this Node.js gives.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
import { hostBlock } from "../support/host-blocks.mjs";
import { tinyModel } from "../support/app/tiny-model.mjs";
import { onOneThread, runInNode } from "../support/installed-package.mjs";
import { root } from "../support/run.mjs";
import { installBesideTools, node, run, tool } from "./tools.mjs";

let folder;
let installed;
let expected;

before(async () => {
  installed = await installBesideTools();
  folder = installed.folder;
  expected = await runInNode(folder);
  await writeFile(
    join(folder, "print.mjs"),
    `import { run } from "./app.mjs";
console.log("result " + JSON.stringify(await run()));`,
  );
});

after(() => installed?.remove());

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** What print.mjs, or a test that prints as it does, has found. */
const resultIn = (output) => JSON.parse(/result (\{.*\})/.exec(output)[1]);

const print = async (...command) => resultIn(await run(folder, ...command, "print.mjs"));

test("Node.js, the oldest that package.json names", async () => {
  const { engines } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  assert.equal(engines.node, ">=20");
  assert.equal(await run(folder, node(20), "--version"), "v20.0.0\n");
  assert.deepEqual(await print(node(20)), expected);
  await writeFile(join(folder, "model.onnx"), tinyModel());
  const command = join(folder, "node_modules/modelshrink/dist/cli.js");
  await run(folder, node(20), command, "shrink", "model.onnx", "-o", "small.onnx");
  const small = await readFile(join(folder, "small.onnx"));
  assert.equal(sha256(small), expected.small);
});

for (const major of [22, 24]) {
  test(`Node.js ${major}`, async () => {
    assert.deepEqual(await print(node(major)), expected);
  });

  test(`Node.js ${major}, CommonJS require`, async () => {
    const script = `const { init, quantize } = require("modelshrink");
init().then(() => console.log(quantize(Float32Array.of(-1, 0, 1), { type: "int8" }).data.join(" ")));`;
    await writeFile(join(folder, "user.cjs"), script);
    assert.equal(await run(folder, node(major), "--no-warnings", "user.cjs"), "-127 0 127\n");
  });
}

const deno = tool("@deno/linux-x64-glibc/deno");
const offline = ["--no-lock", "--cached-only"];
const bun = tool("@oven/bun-linux-x64-baseline/bin/bun");

test("Deno", async () => {
  assert.deepEqual(await print(deno, "run", "--allow-read", ...offline), expected);
});

test("Bun", async () => {
  assert.deepEqual(await print(bun), expected);
});

for (const host of ["deno", "bun"]) {
  test(`${host}, the documented script and command`, async () => {
    await writeFile(join(folder, "deno-bun.mjs"), await hostBlock("deno-bun.mjs"));
    await writeFile(join(folder, "model.onnx"), tinyModel());
    await rm(join(folder, "small.onnx"), { force: true });
    const words = (await (host === "deno" ? hostBlock("deno") : hostBlock("bun")))
      .trim()
      .split(" ");
    assert.equal(words.shift(), host);
    const own = host === "deno" ? [deno, words.shift(), ...offline] : [bun];
    await run(folder, ...own, ...words);
    assert.equal(sha256(await readFile(join(folder, "small.onnx"))), expected.small);
  });
}

test("Jest", async () => {
  await writeFile(
    join(folder, "app.jest.mjs"),
    `import { expect, test } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { run } from "./app.mjs";
test("app", async () => {
  expect(await run()).toEqual(JSON.parse(await readFile("expected.json", "utf8")));
}, 60_000);`,
  );
  await writeFile(join(folder, "expected.json"), JSON.stringify(expected));
  const config = {
    testMatch: ["**/*.jest.mjs"],
    transform: {},
    moduleFileExtensions: ["mjs", "js"],
  };
  const args = ["--experimental-vm-modules", tool("jest/bin/jest.js"), "--watchman=false"];
  await run(folder, node(24), ...args, "--config", JSON.stringify({ ...config, rootDir: folder }));
});

test("Vitest", async () => {
  await writeFile(
    join(folder, "app.vitest.mjs"),
    `import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { run } from "./app.mjs";
test("app", { timeout: 60_000 }, async () => {
  expect(await run()).toEqual(JSON.parse(await readFile("expected.json", "utf8")));
});`,
  );
  await writeFile(join(folder, "expected.json"), JSON.stringify(expected));
  const config = `export default { test: { include: ["*.vitest.mjs"] } };`;
  await writeFile(join(folder, "vitest.config.mjs"), config);
  await run(folder, node(24), tool("vitest/vitest.mjs"), "run");
});

const wasm = "modelshrink/wasm/simd.wasm";

/**
 * What an edge worker answers to `body`. As wrangler does it, the worker is a bundle, and the binary that it imports
 * is a module of its own.
 */
async function askEdgeWorker(name, code, body) {
  const [entry, bundled] = [join(folder, `${name}.mjs`), join(folder, `${name}.bundle.mjs`)];
  await writeFile(entry, code);
  await esbuild.build({
    absWorkingDir: folder,
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    conditions: ["workerd", "worker", "browser"],
    external: ["*.wasm"],
    outfile: bundled,
    logLevel: "error",
  });
  const binary = createRequire(join(folder, "package.json")).resolve(wasm);
  await writeFile(join(folder, "request.bin"), body);
  await writeFile(
    join(folder, "miniflare.mjs"),
    `import { readFile, rm, writeFile } from "node:fs/promises";
import { Miniflare } from "miniflare";
const modules = [
  { type: "ESModule", path: "edge.mjs", contents: await readFile("${bundled}", "utf8") },
  { type: "CompiledWasm", path: "${wasm}", contents: await readFile("${binary}") },
];
const miniflare = new Miniflare({ compatibilityDate: "2026-07-01", modules });
try {
  const body = await readFile("request.bin");
  const response = await miniflare.dispatchFetch("http://localhost/", { method: "POST", body });
  await writeFile("response.bin", new Uint8Array(await response.arrayBuffer()));
} finally {
  await miniflare.dispose();
}`,
  );
  await run(folder, node(24), "miniflare.mjs");
  return readFile(join(folder, "response.bin"));
}

test("workerd", async () => {
  const code = `import wasm from "${wasm}";
import { run } from "./app.mjs";
export default {
  async fetch() {
    return Response.json(await run({ initOptions: { wasm }, hasWorkers: false }));
  },
};`;
  const result = JSON.parse(await askEdgeWorker("app-at-the-edge", code, ""));
  const [warning] = result.large.warnings;
  assert.match(warning, /this host has no Worker/);
  assert.deepEqual(result, onOneThread(expected, warning));
});

test("workerd, as the documentation has it", async () => {
  const small = await askEdgeWorker("edge", await hostBlock("edge.mjs"), tinyModel());
  assert.equal(sha256(small), expected.small);
});
