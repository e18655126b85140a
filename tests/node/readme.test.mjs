// The README's JavaScript snippets run as they stand, on a model made here.
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
const snippets = [...readme.matchAll(/^```js\n([^]*?)^```$/gm)].map((match) => match[1]);

before(() => mkdir(folder, { recursive: true }));
after(() => rm(folder, { recursive: true, force: true }));

test("the README has its snippets", () => assert.equal(snippets.length, 7));

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
