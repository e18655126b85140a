// The README's JavaScript snippets run as they stand, on a model made here; those in TypeScript, which are for
// pages and real models, are right for the compiler.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { tinyModel } from "../package/tiny-model.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Inside the package, so that its own name resolves.
const folder = join(root, "build/readme");
const readme = await readFile(join(root, "README.md"), "utf8");
const snippetsOf = (language) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map(
    ([, it]) => it,
  );
const snippets = snippetsOf("js");

before(() => mkdir(folder, { recursive: true }));
after(() => rm(folder, { recursive: true, force: true }));

test("the README has its snippets", () => assert.equal(snippets.length, 7));

/** What the snippets take from the reader's own code, and from each other. */
const surroundings = `
import type { Calibration } from "modelshrink";
import type { Feeds } from "modelshrink/runtime";
declare const [model, vad]: Uint8Array[] & [Uint8Array, Uint8Array];
declare const [mainFile, dataFile]: File[] & [File, File];
declare const [images, windows]: Float32Array[][] & [Float32Array[], Float32Array[]];
declare const [inputs, others]: Feeds[][] & [Feeds[], Feeds[]];
declare const calibration: Calibration;
`;

/** What the types of recipes refuse, as the functions do. */
const refused = `
// @ts-expect-error -- no amount
await shrink(model, { prune: { method: "magnitude" } });
// @ts-expect-error -- n:m of whole channels
await shrink(model, { prune: { method: "structured", n: 2, m: 4 } });
// @ts-expect-error -- another method's option
await shrink(model, { prune: { method: "magnitude", sparsity: 0.5, multipleOf: 1 } });
`;

const options = {
  ...{ strict: true, noEmit: true, target: "ES2022", module: "NodeNext", skipLibCheck: true },
  ...{ lib: ["ES2022", "DOM", "DOM.Iterable"], types: [] },
};

test("the README's TypeScript snippets are right for the compiler", async () => {
  const importsOf = (snippet) => snippet.match(/^import .*;$/gm) ?? [];
  const typed = snippetsOf("ts");
  assert.equal(typed.length, 6);
  const imports = new Set(typed.flatMap(importsOf).map((line) => line.replace(/ *\/\/.*/, "")));
  const bodies = typed.map((it) => `{\n${it.replace(/^import .*$/gm, "")}}\n`);
  const code = [...imports, surroundings, ...bodies, refused, "export {};\n"].join("\n");
  await writeFile(join(folder, "snippets.ts"), code);
  const config = { compilerOptions: options, files: ["snippets.ts"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", folder]).catch(
    (error) => error,
  );
  assert.equal(stdout, "");
});

for (const [i, snippet] of snippets.entries()) {
  test(`README snippet ${i + 1} runs`, async () => {
    await writeFile(join(folder, "model.onnx"), tinyModel());
    await writeFile(join(folder, "snippet.mjs"), snippet);
    const { stdout } = await promisify(execFile)(process.execPath, ["snippet.mjs"], {
      cwd: folder,
    });
    assert.match(stdout, /\d/);
  });
}
